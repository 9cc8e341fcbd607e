//! Parking a thread until a waker is called, and calling wakers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::panics::discard;
use super::{AtomicBool, Ordering};

/// Parks a thread until its waker is called. The thread's park token alone would not do, as user
/// code that parks may consume it.
pub(crate) struct Sleep(Arc<Unpark>);

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Sleep {
    /// For the calling thread.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Sleeps until the waker is called, for at most `most`. Returns at once if the waker was
    /// called since the last time.
    pub(crate) fn rest(&self, most: Duration) {
        // ORDERING S-e: Acquire: what was done before the wake is seen; pairs with `wake`. If the flag
        // is not seen yet, the park token, which is set after it, ends the park.
        if !self.0.woken.swap(false, Ordering::Acquire) {
            thread::park_timeout(most);
            // ORDERING S-e: Acquire: as above.
            self.0.woken.swap(false, Ordering::Acquire);
        }
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        // ORDERING S-e: Release: pairs with the swap in `rest`.
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Calls every waker, even if some of them panic. Returns the first panic, which the panic hook has
/// reported.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) -> Result<(), Box<dyn Any + Send>> {
    let mut first = Ok(());
    for waker in wakers {
        match (&first, catch_unwind(AssertUnwindSafe(|| waker.wake()))) {
            (Ok(()), Err(panic)) => first = Err(panic),
            (Err(_), Err(panic)) => discard(panic),
            (_, Ok(())) => {}
        }
    }
    first
}

/// As [`wake_all`], and drops the panics: they do not affect the thread that wakes.
pub(crate) fn wake_quietly(wakers: impl IntoIterator<Item = Waker>) {
    wake_all(wakers).unwrap_or_else(discard);
}
