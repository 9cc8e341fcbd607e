//! The second tier: a Redis or Valkey server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::breaker::BreakerState;
use crate::error::{TierBuildError, TierError};
use crate::gate::Gate;
use crate::link::Link;
use crate::servers::Kind;
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
    /// All that a hit looks at.
    pub(crate) gate: Arc<Gate>,
    pub(crate) link: Arc<Link>,
    _life: Arc<Life>,
}

/// Dropped with the last handle: the thread ends.
struct Life {
    _stop: oneshot::Sender<()>,
}

impl RedisTier {
    /// Configures a tier. The URL is `redis://[user:password@]host[:port][/database]`, or `unix:///path`. `rediss://`, for TLS,
    /// needs feature `tls`.
    pub fn builder(url: impl Into<String>) -> RedisTierBuilder {
        RedisTierBuilder::new(Kind::Server, vec![url.into()], None)
    }

    /// Configures a tier in a cluster, of which these are the URLs of some nodes.
    ///
    /// All keys of a prefix are in one slot, so a tier is on one node at a time: that which has the slot. It is asked for
    /// whenever a connection is set up; when the slot moves, the connection is set up anew. Several tiers with prefixes of
    /// their own are on different nodes.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use clockhand_redis::RedisTier;
    ///
    /// let tier = RedisTier::cluster(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"])
    ///     .key_prefix("prices")
    ///     .build()?;
    /// # Ok::<_, clockhand_redis::TierBuildError>(())
    /// ```
    pub fn cluster<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> RedisTierBuilder {
        RedisTierBuilder::new(Kind::Cluster, urls.into_iter().map(Into::into).collect(), None)
    }

    /// Configures a tier on the main server of a service, which these sentinels know. In the URL of the service, its name
    /// stands where that of the host does: user, password, database and TLS are those of the servers.
    ///
    /// The sentinels are asked whenever a connection is set up, and at each check of it
    /// ([`watch`](RedisTierBuilder::watch)). A main server that was replaced is left; what it had is not valid any more.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use clockhand_redis::RedisTier;
    ///
    /// let sentinels = ["redis://10.0.0.1:26379", "redis://10.0.0.2:26379", "redis://10.0.0.3:26379"];
    /// let tier = RedisTier::sentinel(sentinels, "redis://prices-cache/0").build()?;
    /// # Ok::<_, clockhand_redis::TierBuildError>(())
    /// ```
    pub fn sentinel<U: Into<String>>(
        sentinels: impl IntoIterator<Item = U>,
        service: impl Into<String>,
    ) -> RedisTierBuilder {
        let urls = sentinels.into_iter().map(Into::into).collect();
        RedisTierBuilder::new(Kind::Sentinel, urls, Some(service.into()))
    }

    pub(crate) fn start(settings: Settings) -> Result<Self, TierBuildError> {
        let (stop, stopped) = oneshot::channel();
        let link = worker::start(settings, stopped)?;
        Ok(Self { gate: Arc::clone(&link.gate), link, _life: Arc::new(Life { _stop: stop }) })
    }

    /// Waits until every invalidation that the server had sent before this call was acted upon.
    ///
    /// After that this instance returns no value that is older than a write which had returned on another instance before
    /// the call. It takes one round trip. Where a caller waits for an answer that has to reflect what was done elsewhere,
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
