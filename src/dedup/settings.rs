//! How a deduplicator and a tracker are configured.

use std::env::{self, VarError};
use std::fmt;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::deduplicator::Deduplicator;
use super::error::SettingsError;
use super::ident::SnapshotId;
use super::keeper;
use super::ring;
use super::saves::Plan;
use super::snapshot;
use super::store::{Rules, Store};
use crate::settings::Maintenance;
use crate::time::Clock;

const CAPACITY: u64 = 50_000;
const TTL: Duration = Duration::from_secs(300);
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
/// The lease where none is chosen, unless the time to live is shorter.
const LEASE: Duration = Duration::from_secs(60);
/// The resolution of the clock where none was chosen.
const TICK: Duration = Duration::from_millis(1);

const CAPACITY_VARIABLE: &str = "MAX_TRACKED_OFFSETS";
const TTL_VARIABLE: &str = "OFFSET_CACHE_TTL_SECONDS";
const INTERVAL_VARIABLE: &str = "OFFSET_CLEANUP_INTERVAL";
const ENABLED_VARIABLE: &str = "OFFSET_TRACKING_ENABLED";

/// A setting, and what its user calls it.
#[derive(Debug, Clone, Copy)]
struct Named<T> {
    value: T,
    setting: &'static str,
}

impl<T> Named<T> {
    fn new(setting: &'static str, value: T) -> Self {
        Self { value, setting }
    }
}

impl Named<Duration> {
    fn not_zero(self) -> Result<Duration, SettingsError> {
        let Self { value, setting } = self;
        if value.is_zero() { Err(SettingsError::Zero { setting }) } else { Ok(value) }
    }
}

/// The clock, if it can keep these times.
fn clock_for(clock: Option<Clock>, times: &[Named<Duration>]) -> Result<Clock, SettingsError> {
    let shortest = times.iter().min_by_key(|time| time.value);
    let clock = clock.unwrap_or_else(|| {
        // A clock that nobody chose is as fine as the times ask for.
        shortest
            .filter(|time| time.value < TICK)
            .map_or_else(|| Clock::coarse(TICK), |_| Clock::precise())
    });
    if let (Some(resolution), Some(&Named { value: time, setting })) =
        (clock.resolution(), shortest)
        && (resolution.is_zero() || time < resolution)
    {
        return Err(SettingsError::ClockTooCoarse { setting, time, resolution });
    }
    Ok(clock)
}

/// The lease and the clock of a tracker.
pub(super) fn lease_and_clock(
    lease: Option<Duration>,
    clock: Option<Clock>,
) -> Result<(Duration, Clock), SettingsError> {
    let lease = Named::new("lease", lease.unwrap_or(LEASE));
    lease.not_zero()?;
    Ok((lease.value, clock_for(clock, &[lease])?))
}

/// Configures a [`Deduplicator`]. Made by [`Deduplicator::builder`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::dedup::Deduplicator;
///
/// let seen = Deduplicator::<String>::builder()
///     .capacity(1_000_000)
///     .ttl(Duration::from_secs(600))
///     .lease(Duration::from_secs(30))
///     .build()?;
/// assert!(!seen.is_processed(&"order-1".to_string()));
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
#[must_use = "a builder does nothing until build() is called"]
pub struct DeduplicatorBuilder<Id> {
    capacity: Named<u64>,
    ttl: Named<Duration>,
    cleanup_interval: Named<Duration>,
    lease: Option<Duration>,
    enabled: bool,
    maintenance: Maintenance,
    clock: Option<Clock>,
    snapshots: Option<(Plan, Writer<Id>)>,
}

/// Writes a snapshot of ids that can be written.
type Writer<Id> = fn(&Store<Id>) -> Vec<u8>;

impl<Id> DeduplicatorBuilder<Id> {
    pub(super) fn new() -> Self {
        Self {
            capacity: Named::new("capacity", CAPACITY),
            ttl: Named::new("ttl", TTL),
            cleanup_interval: Named::new("cleanup_interval", CLEANUP_INTERVAL),
            lease: None,
            enabled: true,
            maintenance: Maintenance::Inline,
            clock: None,
            snapshots: None,
        }
    }

    /// How many processed ids are remembered. Without it, 50,000.
    ///
    /// When one more is completed, the oldest is forgotten. If its time was not over,
    /// [`Metrics::forgotten_early`](super::Metrics::forgotten_early) counts it. Ids in progress come on
    /// top and are never forgotten.
    pub fn capacity(mut self, ids: u64) -> Self {
        self.capacity = Named::new("capacity", ids);
        self
    }

    /// How long a processed id is remembered. Without it, 300 seconds. What is too long for the clock,
    /// like [`Duration::MAX`], is for ever.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Named::new("ttl", ttl);
        self
    }

    /// How often expired ids are looked for apart from what each completion does. Without it, 60
    /// seconds.
    pub fn cleanup_interval(mut self, interval: Duration) -> Self {
        self.cleanup_interval = Named::new("cleanup_interval", interval);
        self
    }

    /// How long a claim may run before another caller may take it over. Without it, 60 seconds, or the
    /// time to live if that is shorter.
    ///
    /// Choose it longer than processing ever takes: a message whose lease runs out is processed by two.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Whether ids are tracked at all. If not, every claim is new and nothing is remembered;
    /// [`Metrics::untracked`](super::Metrics::untracked) counts them.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Who runs the periodic cleanup. Without it, [`Maintenance::Inline`]: a completion in passing, a
    /// bounded part. With [`Maintenance::Thread`] a thread named `clockhand-dedup` does all of it. With
    /// [`Maintenance::Manual`] nobody does but [`Deduplicator::cleanup`].
    ///
    /// Whatever is chosen, an expired id is new at once, and each completion forgets what has to make
    /// room for it, and up to two expired ids.
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// The clock of times to live and leases. Without it, a coarse one that ticks every millisecond, or
    /// a precise one where a time is shorter than that.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Takes settings from environment variables; what is not set stays as it is.
    ///
    /// | variable | setting | value |
    /// |---|---|---|
    /// | `MAX_TRACKED_OFFSETS` | [`capacity`](Self::capacity) | a whole number |
    /// | `OFFSET_CACHE_TTL_SECONDS` | [`ttl`](Self::ttl) | whole seconds |
    /// | `OFFSET_CLEANUP_INTERVAL` | [`cleanup_interval`](Self::cleanup_interval) | whole seconds |
    /// | `OFFSET_TRACKING_ENABLED` | [`enabled`](Self::enabled) | `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off` |
    ///
    /// # Errors
    ///
    /// [`Unparsable`](SettingsError::Unparsable), which names the variable. What the values contradict is
    /// found by [`build`](Self::build), which names the variable, too.
    pub fn from_env(self) -> Result<Self, SettingsError> {
        self.from_variables(|name| match env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
        })
    }

    /// The same from variables that are looked up by `value_of`, for tests and for settings that come
    /// from elsewhere.
    ///
    /// # Errors
    ///
    /// As [`from_env`](Self::from_env).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::Deduplicator;
    ///
    /// let ttl = |name: &str| (name == "OFFSET_CACHE_TTL_SECONDS").then(|| "5 minutes".to_string());
    /// let error = Deduplicator::<u64>::builder().from_variables(ttl).unwrap_err();
    /// assert!(error.to_string().starts_with("OFFSET_CACHE_TTL_SECONDS is \"5 minutes\""));
    /// ```
    pub fn from_variables(
        mut self,
        value_of: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        const NUMBER: &str = "a whole number above zero";
        const SECONDS: &str = "a whole number of seconds above zero";
        let number = |setting, expected| match value_of(setting) {
            None => Ok(None),
            Some(value) => match value.trim().parse() {
                Ok(number) => Ok(Some(Named::new(setting, number))),
                Err(_) => Err(SettingsError::Unparsable { setting, value, expected }),
            },
        };
        let seconds = |setting| {
            let named = number(setting, SECONDS)?;
            Ok(named.map(|Named { value, .. }| Named::new(setting, Duration::from_secs(value))))
        };
        self.capacity = number(CAPACITY_VARIABLE, NUMBER)?.unwrap_or(self.capacity);
        self.ttl = seconds(TTL_VARIABLE)?.unwrap_or(self.ttl);
        self.cleanup_interval = seconds(INTERVAL_VARIABLE)?.unwrap_or(self.cleanup_interval);
        if let Some(value) = value_of(ENABLED_VARIABLE) {
            self.enabled = truth(&value).ok_or(SettingsError::Unparsable {
                setting: ENABLED_VARIABLE,
                value,
                expected: "true or false",
            })?;
        }
        Ok(self)
    }

    fn rules(&self) -> Result<Rules, SettingsError> {
        let (capacity, ttl) = (self.capacity, self.ttl);
        if capacity.value == 0 {
            return Err(SettingsError::Zero { setting: capacity.setting });
        }
        if capacity.value > ring::MOST {
            let Named { value: capacity, setting } = capacity;
            return Err(SettingsError::CapacityTooLarge { setting, capacity, limit: ring::MOST });
        }
        let cleanup_interval = self.cleanup_interval.not_zero()?;
        ttl.not_zero()?;
        let lease = Named::new("lease", self.lease.unwrap_or_else(|| LEASE.min(ttl.value)));
        lease.not_zero()?;
        if ttl.value < lease.value {
            let Named { value, setting } = ttl;
            return Err(SettingsError::TtlBelowLease { setting, ttl: value, lease: lease.value });
        }
        let clock = clock_for(self.clock.clone(), &[ttl, lease, self.cleanup_interval])?;
        Ok(Rules {
            capacity: capacity.value,
            ttl: ttl.value,
            lease: lease.value,
            cleanup_interval,
            enabled: self.enabled,
            inline: self.maintenance == Maintenance::Inline,
            clock,
        })
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> DeduplicatorBuilder<Id> {
    /// Builds the deduplicator.
    ///
    /// # Errors
    ///
    /// If a setting is zero, if settings contradict each other, or if a thread that they ask for
    /// cannot be started. The message names the setting, or the environment variable that it came from.
    pub fn build(self) -> Result<Deduplicator<Id>, SettingsError> {
        if let Some((plan, _)) = &self.snapshots {
            plan.check()?;
        }
        let store = Arc::new(Store::new(self.rules()?));
        let mut keepers = Vec::new();
        if self.maintenance == Maintenance::Thread {
            let interval = store.rules.cleanup_interval;
            let clean = |store: &Store<Id>| {
                store.clean();
            };
            keepers.push(keeper::start("clockhand-dedup", interval, &store, clean));
        }
        if let Some((Plan { interval, path }, writer)) = self.snapshots {
            let save = move |store: &Store<Id>| {
                store.saves.keep(&store.tally, &path, || writer(store));
            };
            keepers.push(keeper::start("clockhand-save", interval, &store, save));
        }
        let keepers: Result<_, _> = keepers.into_iter().collect();
        Ok(Deduplicator::assemble(store, keepers.map_err(SettingsError::Thread)?))
    }
}

/// Surviving a restart.
impl<Id> DeduplicatorBuilder<Id>
where
    Id: SnapshotId + Hash + Eq + Clone + Send + Sync + 'static,
{
    /// Writes a snapshot to this file every so often, as [`Deduplicator::snapshot_to`] does. Without it, none is
    /// written but by calls.
    ///
    /// A thread named `clockhand-save` does it, and ends with the deduplicator; the last snapshot is up to an interval
    /// old then, so call [`snapshot_to`](Deduplicator::snapshot_to) at the end of an orderly run. If a snapshot cannot
    /// be written, the file stays as it was, [`health`](Deduplicator::health) says so, and
    /// [`last_snapshot_error`](Deduplicator::last_snapshot_error) says why.
    pub fn snapshot_every(mut self, interval: Duration, path: impl Into<PathBuf>) -> Self {
        let plan = Plan { interval, path: path.into() };
        self.snapshots = Some((plan, |store| snapshot::of_ids(store)));
        self
    }
}

impl Plan {
    /// Whether the plan can be kept.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        Named::new("the interval of snapshot_every", self.interval).not_zero().map(drop)
    }
}

fn truth(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

impl<Id> fmt::Debug for DeduplicatorBuilder<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeduplicatorBuilder")
            .field("capacity", &self.capacity.value)
            .field("ttl", &self.ttl.value)
            .field("cleanup_interval", &self.cleanup_interval.value)
            .field("lease", &self.lease)
            .field("enabled", &self.enabled)
            .field("maintenance", &self.maintenance)
            .field("clock", &self.clock)
            .field("snapshots", &self.snapshots.as_ref().map(|(plan, _)| plan))
            .finish_non_exhaustive()
    }
}
