//! The thread that does the maintenance of a cache, if the user asks for one.

use std::hash::{BuildHasher, Hash};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::sync::PeriodicThread;

/// How long the thread sleeps when there is nothing left to do.
const INTERVAL: Duration = Duration::from_millis(10);
/// How much it does at a time.
const BUDGET: usize = 1024;

/// The thread. Dropping this ends it, and waits for that.
pub(crate) type MaintenanceThread = PeriodicThread;

/// Starts the thread, which ends when the cache is dropped.
pub(crate) fn start<K, V, S>(engine: &Arc<Engine<K, V, S>>) -> io::Result<Arc<MaintenanceThread>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let engine = Arc::downgrade(engine);
    let round = move || {
        let done = engine.upgrade()?.maintain(BUDGET);
        let more = done.freed == BUDGET || done.expired > 0;
        Some(if more { Duration::ZERO } else { INTERVAL })
    };
    PeriodicThread::start("clockhand-keep", INTERVAL, round).map(Arc::new)
}
