//! The thread that cleans up behind the writers, where the user wants one.

use std::hash::{BuildHasher, Hash};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::Engine;

/// How long the thread rests when there is nothing left to do.
const REST: Duration = Duration::from_millis(10);
/// What it does at a time.
const BUDGET: usize = 1024;

/// The thread. It ends when this is dropped, and is waited for.
#[derive(Debug)]
pub(crate) struct Janitor {
    /// Dropped to tell the thread to stop.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
pub(crate) fn start<K, V, S>(engine: &Arc<Engine<K, V, S>>) -> io::Result<Arc<Janitor>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let (stop, stopped) = mpsc::sync_channel(0);
    let engine = Arc::downgrade(engine);
    let thread = thread::Builder::new().name("clockhand-keep".to_string()).spawn(move || {
        let mut rest = REST;
        while stopped.recv_timeout(rest) == Err(RecvTimeoutError::Timeout) {
            let Some(more) = round(&engine) else { return };
            rest = if more { Duration::ZERO } else { REST };
        }
    })?;
    Ok(Arc::new(Janitor { stop: Some(stop), thread: Some(thread) }))
}

/// One round of work; whether there is more that can be done, or `None` if the cache is gone.
///
/// A panic in a destructor or a listener has been reported by the panic hook, and loses nothing.
fn round<K, V, S>(engine: &Weak<Engine<K, V, S>>) -> Option<bool>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    let engine = engine.upgrade()?;
    let done = catch_unwind(AssertUnwindSafe(|| engine.maintain(BUDGET)));
    Some(done.is_ok_and(|done| done.freed == BUDGET || done.expired > 0))
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a destructor or a listener on the thread itself.
        if thread.thread().id() != thread::current().id() {
            // A panic there was reported already.
            let _ = thread.join();
        }
    }
}
