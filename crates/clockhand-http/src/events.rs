//! Events: what is told anew after each interval.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::service::Service;

/// The latest event, and when it was made.
#[derive(Default)]
pub(crate) struct Frames(Mutex<Option<(Instant, Arc<str>)>>);

impl Service {
    /// The figures of everything as a server-sent event, with the blank line that ends it. All that ask within an
    /// interval get the same one.
    ///
    /// # Examples
    ///
    /// ```
    /// let service = clockhand_http::Service::builder().build()?;
    /// let event = service.event();
    /// assert!(event.starts_with("retry: 1000\nevent: figures\ndata: {"));
    /// assert!(event.ends_with("}\n\n"));
    /// # Ok::<_, clockhand_http::ServiceError>(())
    /// ```
    pub fn event(&self) -> Arc<str> {
        let shared = &self.shared;
        let mut latest = shared.frames.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Ticks of streams are not quite regular: one that is a little early gets a new event all the same.
        let fresh = shared.limits.interval - shared.limits.interval / 4;
        if let Some((made, event)) = &*latest
            && made.elapsed() < fresh
        {
            return Arc::clone(event);
        }
        let event: Arc<str> = match serde_json::to_string(&shared.report()) {
            Ok(body) => format!("retry: 1000\nevent: figures\ndata: {body}\n\n").into(),
            Err(_) => ": the figures cannot be written\n\n".into(),
        };
        *latest = Some((Instant::now(), Arc::clone(&event)));
        event
    }
}
