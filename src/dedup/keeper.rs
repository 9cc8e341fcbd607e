//! The thread that cleans up every now and then, where the user wants one.

use std::convert::Infallible;
use std::hash::Hash;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use super::store::Store;

/// The thread. It ends when this is dropped, and is waited for.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Nothing is ever sent: the thread sleeps on the other end and wakes when this one is gone.
    line: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
pub(super) fn start<Id>(store: &Arc<Store<Id>>) -> io::Result<Arc<Keeper>>
where
    Id: Hash + Eq + Clone + Send + Sync + 'static,
{
    let (line, end) = mpsc::channel();
    let interval = store.rules.cleanup_interval;
    let store = Arc::downgrade(store);
    let thread = thread::Builder::new().name("clockhand-dedup".to_string()).spawn(move || {
        while end.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let Some(store) = store.upgrade() else { return };
            // A panic in a destructor or a waker was reported by the panic hook, and loses nothing.
            let _ = catch_unwind(AssertUnwindSafe(|| store.clean()));
        }
    })?;
    Ok(Arc::new(Keeper { line: Some(line), thread: Some(thread) }))
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.line.take());
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a destructor on the thread itself.
        if thread.thread().id() != thread::current().id() {
            // A panic there was reported already.
            let _ = thread.join();
        }
    }
}
