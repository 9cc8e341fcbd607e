//! What a thread does not do again inside of itself.

use std::cell::Cell;

#[cfg(clockhand_loom)]
pub(crate) use loom::thread_local;
#[cfg(not(clockhand_loom))]
pub(crate) use std::thread_local;

#[cfg(clockhand_loom)]
type Flag = &'static loom::thread::LocalKey<Cell<bool>>;
#[cfg(not(clockhand_loom))]
type Flag = &'static std::thread::LocalKey<Cell<bool>>;

/// While it lives, the calling thread is inside of what its flag stands for.
#[derive(Debug)]
pub(crate) struct Outermost(Flag);

impl Outermost {
    /// Goes inside; nothing if the thread is there already.
    pub(crate) fn enter(flag: Flag) -> Option<Self> {
        let inside = flag.with(|inside| inside.replace(true));
        // Made only by whoever has set the flag, as its end takes the flag back.
        (!inside).then(|| Self(flag))
    }
}

impl Drop for Outermost {
    fn drop(&mut self) {
        self.0.with(|inside| inside.set(false));
    }
}
