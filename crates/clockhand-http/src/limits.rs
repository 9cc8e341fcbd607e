//! How much is done at the same time, and how large it may be.

use std::time::Duration;

/// Bounds of what the service takes and does. What goes beyond is refused with an error in JSON.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand_http::{Limits, Service};
///
/// let limits = Limits::default().streams(4).interval(Duration::from_millis(500));
/// let service = Service::builder().limits(limits).build()?;
/// # Ok::<_, clockhand_http::ServiceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "limits do nothing until a service is built with them"]
pub struct Limits {
    pub(crate) query: usize,
    pub(crate) body: usize,
    pub(crate) patience: Duration,
    pub(crate) requests: usize,
    pub(crate) streams: usize,
    pub(crate) connections: usize,
    pub(crate) idle: Duration,
    pub(crate) life: Duration,
    pub(crate) interval: Duration,
    pub(crate) hottest: usize,
    pub(crate) shown: usize,
}

/// The shortest time between two events.
const SHORTEST: Duration = Duration::from_millis(50);

impl Default for Limits {
    fn default() -> Self {
        Self {
            query: 48 << 10,
            body: 64 << 10,
            patience: Duration::from_secs(5),
            requests: 64,
            streams: 16,
            connections: 256,
            idle: Duration::from_secs(60),
            life: Duration::from_secs(600),
            interval: Duration::from_secs(1),
            hottest: 10,
            shown: 256,
        }
    }
}

impl Limits {
    /// Bytes of a query, escapes included. Without it, 48 KiB; more is answered with 414. Servers have bounds of
    /// their own.
    pub fn query(mut self, bytes: usize) -> Self {
        self.query = bytes;
        self
    }

    /// Bytes of a body. Without it, 64 KiB; more is answered with 413.
    pub fn body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// How long a body may take to come, and a client to take an event. Without it, 5 s; a body that takes longer is
    /// answered with 408, and a stream of which no client takes the events ends.
    pub fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Requests that are answered at the same time, streams apart. Without it, 64; more are answered with 503.
    pub fn requests(mut self, number: usize) -> Self {
        self.requests = number;
        self
    }

    /// Streams of events at the same time. Without it, 16; more are answered with 503.
    pub fn streams(mut self, number: usize) -> Self {
        self.streams = number;
        self
    }

    /// Connections at the same time, of a listener that `Service::bound` has made. Without it, 256; zero is taken for
    /// one. Each stream takes one.
    pub fn connections(mut self, number: usize) -> Self {
        self.connections = number;
        self
    }

    /// How long nothing may come or go on such a connection before it is ended. Without it, a minute. Longer than the
    /// interval of events, or streams end.
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// How long a stream lives, whether its client takes the events or not. Without it, ten minutes; then it ends,
    /// and the page opens another one. So a client that is not there any more holds its place no longer than that.
    pub fn stream_life(mut self, time: Duration) -> Self {
        self.life = time;
        self
    }

    /// The time between two events. Without it, one second; less than 50 ms is taken for that. All streams
    /// share what was gathered for one.
    pub fn interval(mut self, time: Duration) -> Self {
        self.interval = time.max(SHORTEST);
        self
    }

    /// How many of the hottest keys are shown. Without it, 10; with 0 none are looked for, as that is a walk over
    /// the cache: at most one in five seconds, and in a twentieth of the time.
    pub fn hottest(mut self, keys: usize) -> Self {
        self.hottest = keys;
        self
    }

    /// Characters of a key that are shown among the hottest ones. Without it, 256.
    pub fn shown(mut self, characters: usize) -> Self {
        self.shown = characters;
        self
    }
}
