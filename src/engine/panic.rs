//! Panics of the user's functions, kept until the rest is done.

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A panic that goes on when this is dropped: what else there is to do, and whom else there is to tell, comes first.
#[derive(Default)]
pub(crate) struct Panicked(Option<Box<dyn Any + Send>>);

impl Panicked {
    /// Calls a function of the user's. Of several that panic, the first is the one that counts.
    #[inline]
    pub(crate) fn call(&mut self, f: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
            self.keep(panic);
        }
    }

    #[cold]
    fn keep(&mut self, panic: Box<dyn Any + Send>) {
        if self.0.is_none() {
            self.0 = Some(panic);
        } else {
            // Its destructor is the user's, too, and could panic again.
            mem::forget(panic);
        }
    }
}

impl Drop for Panicked {
    #[inline]
    fn drop(&mut self) {
        if let Some(panic) = self.0.take() {
            if std::thread::panicking() {
                return mem::forget(panic);
            }
            resume_unwind(panic);
        }
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panicked").field(&self.0.is_some()).finish()
    }
}
