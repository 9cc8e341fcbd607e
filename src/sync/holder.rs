//! Which thread holds a participant or a lock, so that a child of `fork` can tell which holders do not
//! exist.
//!
//! ```text
//!   63          32 31           0
//!   +-------------+-------------+
//!   | process     | thread      |     zero: no thread
//!   +-------------+-------------+
//! ```
//!
//! A thread gets its number in the process in which it first holds something. Only the thread that
//! calls `fork` exists in the child. So in the child
//!
//! - a running thread whose number names another process is that one, and
//! - every other holder whose number names another process does not exist.
//!
//! Threads that the child starts get their numbers in the child. If the thread that calls `fork`
//! has no number, it gets one in the child, and then no holder is known to be missing: that is safe
//! but useless, so the thread that builds a cache gets its number then.

use std::cell::Cell;

use super::unique;

/// A thread, by the process that it was numbered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder(u64);

impl Holder {
    /// No thread.
    pub(crate) const NONE: u64 = 0;

    /// The calling thread.
    pub(crate) fn me() -> Self {
        thread_local!(static ME: Cell<u64> = const { Cell::new(Holder::NONE) });
        if ME.get() == Self::NONE {
            let thread = unique() & u64::from(u32::MAX);
            ME.set(u64::from(process()) << 32 | thread);
        }
        Self(ME.get())
    }

    pub(crate) fn from_raw(word: u64) -> Option<Self> {
        (word != Self::NONE).then_some(Self(word))
    }

    pub(crate) fn into_raw(self) -> u64 {
        self.0
    }

    /// Whether the thread was numbered in another process than this one.
    pub(crate) fn is_from_elsewhere(self) -> bool {
        self.0 >> 32 != u64::from(process())
    }

    /// Whether it is a thread of the process that this one was forked from, and not `me`, the one
    /// that called `fork`.
    pub(crate) fn was_left_by_fork(self, me: Self) -> bool {
        self != me && self.is_from_elsewhere()
    }
}

/// The number of this process, which is not zero.
fn process() -> u32 {
    if cfg!(unix) { std::process::id() } else { 1 }
}
