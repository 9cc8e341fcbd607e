//! The threads that clean up and write snapshots every now and then, where the user wants them.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::sync::Patrol;

/// Starts a thread that does this to the target every now and then, and ends by itself once the target is gone.
pub(super) fn start<T: Send + Sync + 'static>(
    name: &str,
    interval: Duration,
    target: &Arc<T>,
    round: impl Fn(&T) + Send + 'static,
) -> io::Result<Arc<Patrol>> {
    let target: Weak<T> = Arc::downgrade(target);
    let round = move || {
        round(&*target.upgrade()?);
        Some(interval)
    };
    Patrol::start(name, interval, round).map(Arc::new)
}
