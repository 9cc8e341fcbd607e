//! Sleeping until a waker is called, and calling wakers.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::panics::discard;
use super::{AtomicBool, Ordering};

/// The sleep of a thread, from which a waker wakes it. Not the park token alone, which user code that
/// parks may use up.
pub(crate) struct Sleep(Arc<Unpark>);

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Sleep {
    /// The calling thread's.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Sleeps until it is woken, or has been since the last time, but no longer than that.
    pub(crate) fn rest(&self, most: Duration) {
        // ORDERING S-e: Acquire: what was done before the wake is seen; pairs with `wake`. If it is
        // not seen yet, the token that follows it ends the park.
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

/// Calls every waker, whatever the others do; the first panic among them, for the caller to pass on or
/// not. It was reported by the panic hook.
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

/// The same where a panic of a waker ends: who wakes others has no part in it.
pub(crate) fn wake_quietly(wakers: impl IntoIterator<Item = Waker>) {
    wake_all(wakers).unwrap_or_else(discard);
}
