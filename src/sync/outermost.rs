//! A guard against reentrancy.

use std::cell::Cell;

#[cfg(clockhand_loom)]
pub(crate) use loom::thread_local;
#[cfg(not(clockhand_loom))]
pub(crate) use std::thread_local;

#[cfg(clockhand_loom)]
type Flag = &'static loom::thread::LocalKey<Cell<bool>>;
#[cfg(not(clockhand_loom))]
type Flag = &'static std::thread::LocalKey<Cell<bool>>;

/// While this exists, the calling thread is inside the code that its flag stands for.
#[derive(Debug)]
pub(crate) struct Outermost(Flag);

impl Outermost {
    /// Sets the flag. Returns `None` if the thread is inside already.
    pub(crate) fn enter(flag: Flag) -> Option<Self> {
        let inside = flag.with(|inside| inside.replace(true));
        // Made only if this call has set the flag, as its drop clears it.
        (!inside).then(|| Self(flag))
    }
}

impl Drop for Outermost {
    fn drop(&mut self) {
        self.0.with(|inside| inside.set(false));
    }
}
