//! Panics of the user's functions, kept until the rest is done.

use std::mem;

use crate::sync::FirstPanic;

/// A panic that goes on when this is dropped: whatever else has to be done or told comes first.
#[derive(Debug, Default)]
pub(crate) struct Panicked(FirstPanic);

impl Panicked {
    /// Calls a function of the user's. Of several that panic, the first is the one that counts.
    #[inline]
    pub(crate) fn call(&mut self, f: impl FnOnce()) {
        self.0.catch(f);
    }
}

impl Drop for Panicked {
    #[inline]
    fn drop(&mut self) {
        mem::take(&mut self.0).pass_on();
    }
}
