//! How a tier is configured.

use std::fmt;
use std::time::Duration;

use crate::envelope::Compression;
use crate::error::TierBuildError;
use crate::servers::{Kind, Place, Servers};
use crate::tier::RedisTier;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Values outlive their time on the server by this. A read in this time is a miss that does not make the server remove the
/// key, of which it would tell every instance just when another one loads it anew.
const LINGER: Duration = Duration::from_secs(5);
/// The longest lifetime.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) servers: Servers,
    pub(crate) key_prefix: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) operation_timeout: Duration,
    pub(crate) watch_every: Duration,
    pub(crate) watch_patience: Duration,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) time_to_live: Duration,
    /// How long values outlive their time on the server.
    pub(crate) linger: Duration,
    pub(crate) longest_load: Duration,
    pub(crate) max_staleness: Duration,
    pub(crate) max_value_bytes: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) compress: Option<(usize, Compression)>,
    pub(crate) breaker: (u32, Duration),
    pub(crate) repairs: usize,
    pub(crate) lease: Option<Duration>,
}

/// Configures a [`RedisTier`]. Made by [`RedisTier::builder`].
///
/// Its `Debug` form has no address and no password.
#[derive(Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct RedisTierBuilder {
    kind: Kind,
    urls: Vec<String>,
    service: Option<String>,
    credentials: Option<(Option<String>, String)>,
    database: Option<u32>,
    #[cfg(feature = "tls")]
    tls: Tls,
    key_prefix: String,
    connect_timeout: Duration,
    operation_timeout: Duration,
    watch_every: Duration,
    watch_patience: Duration,
    backoff: (Duration, Duration),
    time_to_live: Duration,
    stale_for: Duration,
    longest_load: Duration,
    max_staleness: Duration,
    max_value_bytes: usize,
    max_in_flight: usize,
    compress: Option<(usize, Compression)>,
    breaker: (u32, Duration),
    repairs: usize,
    lease: Option<Duration>,
}

impl RedisTierBuilder {
    pub(crate) fn new(kind: Kind, urls: Vec<String>, service: Option<String>) -> Self {
        Self {
            kind,
            urls,
            service,
            credentials: None,
            database: None,
            #[cfg(feature = "tls")]
            tls: Tls::default(),
            key_prefix: "clockhand".to_string(),
            connect_timeout: Duration::from_secs(1),
            operation_timeout: Duration::from_millis(250),
            watch_every: Duration::from_secs(1),
            watch_patience: Duration::from_secs(1),
            backoff: (Duration::from_millis(50), Duration::from_secs(2)),
            time_to_live: Duration::from_secs(3600),
            stale_for: Duration::ZERO,
            longest_load: Duration::from_secs(30),
            max_staleness: Duration::ZERO,
            max_value_bytes: 16 << 20,
            max_in_flight: 4096,
            compress: None,
            breaker: (5, Duration::from_secs(1)),
            repairs: 10_000,
            lease: None,
        }
    }

    /// The user, or none for the default one, and the password, for those who do not want them in a URL. They are those of
    /// the servers that have the values, and not of sentinels.
    pub fn credentials(mut self, user: Option<&str>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.map(str::to_string), password.into()));
        self
    }

    /// The number of the database, as in a URL. A cluster has only number zero, which is the default.
    pub fn database(mut self, number: u32) -> Self {
        self.database = Some(number);
        self
    }

    /// The certificates, as PEM, of the authorities by which servers are trusted. Without them, those of the system are.
    /// Needs feature `tls`, and URLs that begin with `rediss`.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots = Some(pem.into());
        self
    }

    /// The certificate by which the servers know this client, and its key, as PEM. Needs feature `tls`, and URLs that begin
    /// with `rediss`.
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.own = Some((certificate.into(), key.into()));
        self
    }

    /// What all keys of the tier begin with, in braces: `{prefix}:d:KEY`. By default `clockhand`.
    ///
    /// Instances that share values have the same prefix; all that shares a prefix has the same types of keys and values.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// How long setting up a connection may take. By default one second.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long one operation may take, from the call to the answer. By default 250 milliseconds. A write that was not
    /// done by then is not done later.
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How often the connection is checked, and how long its answer is waited for. By default one second each. So a
    /// connection that was cut without a word is noticed after two.
    pub fn watch(mut self, every: Duration, patience: Duration) -> Self {
        self.watch_every = every;
        self.watch_patience = patience;
        self
    }

    /// The shortest and the longest time between two attempts to connect; it doubles in between. By default 50
    /// milliseconds and two seconds.
    pub fn backoff(mut self, shortest: Duration, longest: Duration) -> Self {
        self.backoff = (shortest, longest);
        self
    }

    /// How long values live, unless a write says otherwise. By default an hour.
    pub fn time_to_live(mut self, ttl: Duration) -> Self {
        self.time_to_live = ttl;
        self
    }

    /// How long the server keeps values after their end, so that they can stand in: see
    /// [`TieredLoading`](crate::TieredLoading). By default zero. All instances of a prefix should have the same.
    pub fn stale_for(mut self, stale: Duration) -> Self {
        self.stale_for = stale;
        self
    }

    /// How long a load may take for its value to be stored. By default 30 seconds. What takes longer goes to its caller
    /// only.
    pub fn longest_load(mut self, longest: Duration) -> Self {
        self.longest_load = longest;
        self
    }

    /// How long entries of the first tier are served after the connection that carries invalidations is lost, and how long
    /// what is loaded meanwhile is kept. By default zero: neither is.
    pub fn max_staleness(mut self, staleness: Duration) -> Self {
        self.max_staleness = staleness;
        self
    }

    /// The most bytes of a value, encoded, before and after compression. By default 16 MiB. A larger one is not stored in
    /// any tier.
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// The most operations at the same time. By default 4096. More are refused at once.
    pub fn max_in_flight(mut self, operations: usize) -> Self {
        self.max_in_flight = operations;
        self
    }

    /// Compresses values of at least so many bytes with LZ4. Needs feature `lz4`. All instances of a prefix that read
    /// compressed values need it.
    #[cfg(feature = "lz4")]
    pub fn compress_from(mut self, bytes: usize) -> Self {
        self.compress = Some((bytes, Compression::Lz4));
        self
    }

    /// As [`compress_from`](Self::compress_from), with Zstandard, which takes longer and makes values smaller. Levels go from
    /// 1 to 22; 3 is usual. Needs feature `zstd`.
    #[cfg(feature = "zstd")]
    pub fn compress_zstd_from(mut self, bytes: usize, level: i32) -> Self {
        self.compress = Some((bytes, Compression::Zstd(level.clamp(1, 22))));
        self
    }

    /// After how many failures in a row the server is left alone, and for how long. By default 5, and one second.
    pub fn breaker(mut self, failures: u32, open_for: Duration) -> Self {
        self.breaker = (failures, open_for);
        self
    }

    /// How many keys of failed writes are remembered, to remove them from the server later. By default 10,000. Where there
    /// are more, everything on the server is given up instead.
    pub fn repairs(mut self, keys: usize) -> Self {
        self.repairs = keys;
        self
    }

    /// One load of a key at a time over all instances: others wait for its value, for `wait` at most, and load for
    /// themselves then. Without it they do not wait. The lease lasts as long as the load, and for
    /// [`longest_load`](Self::longest_load) at most.
    pub fn lease(mut self, wait: Duration) -> Self {
        self.lease = Some(wait);
        self
    }

    /// Starts the tier's thread, which connects. Does not wait for a connection.
    ///
    /// # Errors
    ///
    /// If the settings are not valid, or the thread cannot be started. An unreachable server is no error.
    pub fn build(self) -> Result<RedisTier, TierBuildError> {
        RedisTier::start(self.settings()?)
    }

    fn servers(&self) -> Result<Servers, TierBuildError> {
        let mut place = Place::parse(&self.urls, self.kind, self.service.as_deref())?;
        place.edit(|info| {
            let mut redis = info.redis_settings().clone();
            if let Some((user, password)) = &self.credentials {
                redis = redis.set_password(password);
                if let Some(user) = user {
                    redis = redis.set_username(user);
                }
            }
            if let Some(number) = self.database {
                redis = redis.set_db(number.into());
            }
            info.set_redis_settings(redis)
        });
        #[cfg(feature = "tls")]
        self.tls.check(&place.infos())?;
        Ok(Servers {
            place,
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        })
    }

    fn settings(self) -> Result<Settings, TierBuildError> {
        let servers = self.servers()?;
        if self.key_prefix.is_empty() || self.key_prefix.contains(['{', '}']) {
            return Err(TierBuildError::KeyPrefix);
        }
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("operation_timeout", self.operation_timeout),
            ("watch", self.watch_every.min(self.watch_patience)),
            ("backoff", self.backoff.0.min(self.backoff.1)),
            ("time_to_live", self.time_to_live),
            ("longest_load", self.longest_load),
        ];
        for (name, duration) in durations {
            // Redis counts in milliseconds.
            if duration < Duration::from_millis(1) {
                return Err(TierBuildError::Zero(name));
            }
            if duration > LONGEST {
                return Err(TierBuildError::TooLong(duration));
            }
        }
        let numbers = [
            ("max_value_bytes", self.max_value_bytes),
            ("max_in_flight", self.max_in_flight),
            ("breaker", self.breaker.0 as usize),
        ];
        if let Some((name, _)) = numbers.into_iter().find(|(_, number)| *number == 0) {
            return Err(TierBuildError::Zero(name));
        }
        Ok(Settings {
            servers,
            key_prefix: self.key_prefix,
            connect_timeout: self.connect_timeout,
            operation_timeout: self.operation_timeout,
            watch_every: self.watch_every,
            watch_patience: self.watch_patience,
            backoff: self.backoff,
            time_to_live: self.time_to_live,
            linger: LINGER + self.stale_for.min(LONGEST),
            longest_load: self.longest_load,
            max_staleness: self.max_staleness.min(LONGEST),
            max_value_bytes: self.max_value_bytes.min(u32::MAX as usize),
            max_in_flight: self.max_in_flight,
            compress: self.compress,
            breaker: self.breaker,
            repairs: self.repairs,
            lease: self.lease,
        })
    }
}

impl fmt::Debug for RedisTierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTierBuilder")
            .field("key_prefix", &self.key_prefix)
            .field("operation_timeout", &self.operation_timeout)
            .field("time_to_live", &self.time_to_live)
            .field("max_staleness", &self.max_staleness)
            .finish_non_exhaustive()
    }
}
