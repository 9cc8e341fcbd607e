//! The threads that clean up and write snapshots, if the user asks for them.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::sync::PeriodicThread;

/// Starts a thread that calls `round` for `target` every `interval`, and ends when `target` is
/// dropped.
pub(super) fn start<T: Send + Sync + 'static>(
    name: &str,
    interval: Duration,
    target: &Arc<T>,
    round: impl Fn(&T) + Send + 'static,
) -> io::Result<Arc<PeriodicThread>> {
    let target: Weak<T> = Arc::downgrade(target);
    let round = move || {
        round(&*target.upgrade()?);
        Some(interval)
    };
    PeriodicThread::start(name, interval, round).map(Arc::new)
}
