//! The thread that cleans up behind the writers, where the user wants one.

use std::hash::{BuildHasher, Hash};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::sync::Patrol;

/// How long the thread rests when there is nothing left to do.
const REST: Duration = Duration::from_millis(10);
/// What it does at a time.
const BUDGET: usize = 1024;

/// The thread. It ends when this is dropped, and is waited for.
pub(crate) type Janitor = Patrol;

/// Starts the thread, which ends by itself once the cache is gone.
pub(crate) fn start<K, V, S>(engine: &Arc<Engine<K, V, S>>) -> io::Result<Arc<Janitor>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let engine = Arc::downgrade(engine);
    let round = move || {
        let done = engine.upgrade()?.maintain(BUDGET);
        let more = done.freed == BUDGET || done.expired > 0;
        Some(if more { Duration::ZERO } else { REST })
    };
    Patrol::start("clockhand-keep", REST, round).map(Arc::new)
}
