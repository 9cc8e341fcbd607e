//! The second tier: a Redis or Valkey server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::breaker::BreakerState;
use crate::error::{TierBuildError, TierError};
use crate::link::Link;
use crate::settings::{RedisTierBuilder, Settings};
use crate::stats::TierStats;
use crate::worker;

/// A connection to a Redis or Valkey server, and the thread that looks after it. Clones are handles of the same.
///
/// [`Tiered`](crate::Tiered) puts a cache before it. The thread connects, reconnects, hears invalidations, and carries all
/// operations out, so callers need no runtime. It ends when the last handle is dropped; the caches before the tier hold
/// one each.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use clockhand_redis::RedisTier;
///
/// let tier = RedisTier::builder("redis://127.0.0.1:6379")
///     .key_prefix("prices")
///     .time_to_live(Duration::from_secs(600))
///     .build()?;
/// # Ok::<_, clockhand_redis::TierBuildError>(())
/// ```
#[derive(Clone)]
pub struct RedisTier {
    pub(crate) link: Arc<Link>,
    _life: Arc<Life>,
}

/// Dropped with the last handle: the thread ends.
struct Life {
    _stop: oneshot::Sender<()>,
}

impl RedisTier {
    /// Configures a tier. The URL is `redis://[user:password@]host[:port][/database]`, or `unix:///path`. `rediss://` needs a
    /// feature for TLS of the crate `redis`, such as `tokio-rustls-comp`: name that crate and the feature in your own
    /// `Cargo.toml`.
    pub fn builder(url: impl Into<String>) -> RedisTierBuilder {
        RedisTierBuilder::new(url.into())
    }

    pub(crate) fn start(settings: Settings) -> Result<Self, TierBuildError> {
        let (stop, stopped) = oneshot::channel();
        let link = worker::start(settings, stopped)?;
        Ok(Self { link, _life: Arc::new(Life { _stop: stop }) })
    }

    /// Waits until every invalidation that the server had sent before this call was acted upon.
    ///
    /// After that this instance returns no value that is older than a write which had returned on another instance before
    /// the call. It takes one round trip. Where another thread waits for an answer that has to reflect what was done elsewhere,
    /// as a user who was redirected to another instance does, this is what makes sure of it.
    ///
    /// # Errors
    ///
    /// If there is no connection, or it is lost meanwhile: then nothing is known.
    pub async fn sync(&self) -> Result<(), TierError> {
        let link = Arc::clone(&self.link);
        self.link.run(async move { link.sync(link.until()).await }).await?
    }

    /// What it has done since it was built.
    pub fn stats(&self) -> TierStats {
        self.link.counts.read()
    }

    /// How it stands.
    pub fn status(&self) -> TierStatus {
        let standing = self.link.standing();
        TierStatus {
            is_connected: standing.is_up,
            since: standing.since,
            last_error: standing.last_error,
            breaker: self.link.breaker.state(),
            repairs: self.link.repairs.len(),
        }
    }
}

impl fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        f.debug_struct("RedisTier")
            .field("key_prefix", &self.link.settings.key_prefix)
            .field("is_connected", &status.is_connected)
            .field("breaker", &status.breaker)
            .finish_non_exhaustive()
    }
}

/// How a tier stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierStatus {
    /// Whether the connection is up that carries values and invalidations.
    pub is_connected: bool,
    /// For how long.
    pub since: Duration,
    /// Why there is no connection.
    pub last_error: Option<TierError>,
    /// Whether operations are sent.
    pub breaker: BreakerState,
    /// Keys that are to be removed from the server, as writes of them failed; `usize::MAX` if there were too many to know.
    pub repairs: usize,
}
