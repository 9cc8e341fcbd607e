//! How many may be inside at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::limits::Limits;
use crate::reply::Refusal;

/// Places for requests and for streams, and whether the service closes.
pub(crate) struct Gates {
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

/// So many places, as far as there can be.
pub(crate) fn places(number: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)))
}

impl Gates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: places(limits.requests),
            streams: places(limits.streams),
            closed: watch::Sender::new(false),
        }
    }

    /// A place for a request, until it is dropped.
    pub(crate) fn request(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy =
            |_| Refusal::new(503, "too many requests at the same time").with("retry-after", "1");
        Arc::clone(&self.requests).try_acquire_owned().map_err(busy)
    }

    /// A place for a stream, until it is dropped.
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let busy =
            |_| Refusal::new(503, "too many streams at the same time").with("retry-after", "5");
        Arc::clone(&self.streams).try_acquire_owned().map_err(busy)
    }

    /// Ends the streams that are open, and those that are opened from now on.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    pub(crate) fn closed(&self) -> watch::Receiver<bool> {
        self.closed.subscribe()
    }
}
