//! Which thread holds a seat or a lock, so that a child that `fork` made can tell who is not there.
//!
//! ```text
//!   63          32 31           0
//!   +-------------+-------------+
//!   | process     | thread      |     zero: nobody
//!   +-------------+-------------+
//! ```
//!
//! A thread is given its number in the process in which it first takes part. Only one thread survives a
//! `fork`: the one that called it. So in the child
//!
//! - a thread whose number names another process is that one, and
//! - every other holder whose number names another process is not there.
//!
//! Threads that the child starts are numbered in the child. A thread that has no number when it is forked
//! is numbered in the child, too, and then nobody is taken for gone: that is safe, and of no use, so the
//! thread that builds a cache is given its number there.

use std::cell::Cell;

use super::unique;

/// A thread, by the process that it was numbered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder(u64);

impl Holder {
    /// Nobody.
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

    /// Whether it is a thread of the process that this one was forked from, and not `me`, the one that called `fork`.
    pub(crate) fn was_left_by_fork(self, me: Self) -> bool {
        self != me && self.is_from_elsewhere()
    }
}

/// The number of this process, which is not zero.
fn process() -> u32 {
    if cfg!(unix) { std::process::id() } else { 1 }
}
