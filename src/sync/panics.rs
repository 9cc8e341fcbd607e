//! User code whose panics must not go further, or not yet.

use std::any::Any;
use std::mem::{self, ManuallyDrop};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// Runs user code where a panic cannot be passed on to a caller: the panic hook reports it, and it
/// ends here. Returns `None` if the code panicked.
pub(crate) fn quietly<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => Some(done),
        Err(panic) => {
            discard(panic);
            None
        }
    }
}

/// Drops the payload of a panic. Its destructor is the user's and may panic as well, with a payload
/// whose destructor panics, and so on: after a few of them, the last payload is leaked.
pub(crate) fn discard(mut panic: Box<dyn Any + Send>) {
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            Ok(()) => return,
            Err(another) => panic = another,
        }
    }
    mem::forget(panic);
}

/// The first panic of several pieces of user code, to be passed on when all have run.
#[derive(Debug, Default)]
#[must_use = "a panic that is not passed on is lost"]
pub(crate) struct FirstPanic(Option<Box<dyn Any + Send>>);

impl FirstPanic {
    /// Runs a piece of user code. Returns whether it did not panic.
    pub(crate) fn catch(&mut self, run: impl FnOnce()) -> bool {
        let Err(panic) = catch_unwind(AssertUnwindSafe(run)) else { return true };
        match &self.0 {
            None => self.0 = Some(panic),
            Some(_) => discard(panic),
        }
        false
    }

    /// Resumes the first panic, unless the thread is panicking already, as that would abort the
    /// process.
    #[inline]
    pub(crate) fn pass_on(self) {
        if let Some(panic) = self.0 {
            resume(panic);
        }
    }
}

#[cold]
#[inline(never)]
fn resume(panic: Box<dyn Any + Send>) {
    if thread::panicking() {
        discard(panic);
    } else {
        resume_unwind(panic);
    }
}

/// A value of the user's that may be dropped during unwinding: if its destructor panics then, that
/// is caught.
#[derive(Debug)]
pub(crate) struct NoAbort<T>(ManuallyDrop<T>);

impl<T> NoAbort<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(ManuallyDrop::new(value))
    }

    /// Returns the value, without this protection.
    #[allow(unsafe_code)]
    pub(crate) fn into_inner(self) -> T {
        let mut kept = ManuallyDrop::new(self);
        // SAFETY: taken once, as `kept` is not dropped.
        unsafe { ManuallyDrop::take(&mut kept.0) }
    }
}

/// Several values of the user's, dropped one after another. The first panic of their destructors is
/// passed on, unless the thread is unwinding already.
#[derive(Debug)]
pub(crate) struct NoAborts<T>(Vec<T>);

impl<T> NoAborts<T> {
    pub(crate) fn new(values: Vec<T>) -> Self {
        Self(values)
    }

    /// Returns the values, without this protection.
    pub(crate) fn into_inner(mut self) -> Vec<T> {
        mem::take(&mut self.0)
    }
}

impl<T> Deref for NoAborts<T> {
    type Target = Vec<T>;
    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for NoAborts<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<T> Drop for NoAborts<T> {
    fn drop(&mut self) {
        let mut panics = FirstPanic::default();
        mem::take(&mut self.0).into_iter().for_each(|value| _ = panics.catch(|| drop(value)));
        panics.pass_on();
    }
}

impl<T> Deref for NoAbort<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Drop for NoAbort<T> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let mut panics = FirstPanic::default();
        // SAFETY: this is the end of it, and nothing drops it again.
        panics.catch(|| unsafe { ManuallyDrop::drop(&mut self.0) });
        panics.pass_on();
    }
}
