//! The thread that cleans up every now and then, where the user wants one.

use std::hash::Hash;
use std::io;
use std::sync::Arc;

use super::store::Store;
use crate::sync::Patrol;

/// Starts the thread, which ends by itself once the deduplicator is gone.
pub(super) fn start<Id>(store: &Arc<Store<Id>>) -> io::Result<Arc<Patrol>>
where
    Id: Hash + Eq + Clone + Send + Sync + 'static,
{
    let interval = store.rules.cleanup_interval;
    let store = Arc::downgrade(store);
    let round = move || {
        store.upgrade()?.clean();
        Some(interval)
    };
    Patrol::start("clockhand-dedup", interval, round).map(Arc::new)
}
