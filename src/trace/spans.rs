//! Spans and events.

use tracing::field::Empty;
use tracing::{Span, debug, debug_span, trace_span, warn};

use super::MaintenanceWork;

const TARGET: &str = "clockhand";

/// A run of a loader.
#[derive(Debug)]
pub(crate) struct LoadSpan(Span);

impl LoadSpan {
    pub(crate) fn new(cache: &str, renewal: bool) -> Self {
        Self(debug_span!(target: TARGET, "load", cache, renewal))
    }

    /// Runs a part of it.
    pub(crate) fn enter<T>(&self, part: impl FnOnce() -> T) -> T {
        self.0.in_scope(part)
    }
}

/// The load of a key has ended, with a value or the answer that there is none, or without.
pub(crate) fn load_ended(cache: &str, renewal: bool, loaded: bool) {
    if renewal && !loaded {
        warn!(target: TARGET, cache, renewal, loaded, "load ended");
    } else {
        debug!(target: TARGET, cache, renewal, loaded, "load ended");
    }
}

/// Does some maintenance.
pub(crate) fn maintain<T>(
    cache: &str,
    budget: usize,
    maintain: impl FnOnce() -> T,
    done: impl FnOnce(&T) -> MaintenanceWork,
) -> T {
    let (swept, expired, freed, backlog) = (Empty, Empty, Empty, Empty);
    let span = trace_span!(
        target: TARGET, "maintain", cache, budget, swept, expired, freed, backlog
    );
    span.in_scope(|| {
        let maintained = maintain();
        let MaintenanceWork { swept, expired, freed, backlog } = done(&maintained);
        span.record("swept", swept).record("expired", expired);
        span.record("freed", freed).record("backlog", backlog);
        maintained
    })
}
