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
use super::periodic;
use super::ring;
use super::saves::Plan;
use super::snapshot;
use super::store::{DedupSettings, Store};
use crate::settings::Maintenance;
use crate::time::Clock;

const DEFAULT_CAPACITY: u64 = 50_000;
const DEFAULT_TTL: Duration = Duration::from_secs(300);
const DEFAULT_CLEANUP_INTERVAL: Duration = Duration::from_secs(60);
/// The default lease, unless the time to live is shorter.
const DEFAULT_LEASE: Duration = Duration::from_secs(60);

const CAPACITY_VARIABLE: &str = "MAX_TRACKED_OFFSETS";
const TTL_VARIABLE: &str = "OFFSET_CACHE_TTL_SECONDS";
const INTERVAL_VARIABLE: &str = "OFFSET_CLEANUP_INTERVAL";
const ENABLED_VARIABLE: &str = "OFFSET_TRACKING_ENABLED";

/// A setting, and the name by which the user knows it.
#[derive(Debug, Clone, Copy)]
struct NamedSetting<T> {
    value: T,
    setting: &'static str,
}

impl<T> NamedSetting<T> {
    fn new(setting: &'static str, value: T) -> Self {
        Self { value, setting }
    }
}

impl NamedSetting<Duration> {
    fn not_zero(self) -> Result<Duration, SettingsError> {
        let Self { value, setting } = self;
        if value.is_zero() { Err(SettingsError::Zero { setting }) } else { Ok(value) }
    }
}

/// Returns the clock, if its resolution is fine enough for these times.
fn clock_for(
    clock: Option<Clock>,
    times: &[NamedSetting<Duration>],
) -> Result<Clock, SettingsError> {
    let shortest = times.iter().min_by_key(|time| time.value);
    let clock = clock.unwrap_or_else(|| Clock::fine_enough_for(shortest.map(|time| time.value)));
    if let (Some(resolution), Some(&NamedSetting { value: time, setting })) =
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
    let lease = NamedSetting::new("lease", lease.unwrap_or(DEFAULT_LEASE));
    lease.not_zero()?;
    Ok((lease.value, clock_for(clock, &[lease])?))
}

/// Configures a [`Deduplicator`]. Made by [`Deduplicator::builder`].
///
/// # Progress
///
/// All methods are wait-free, but for those that say otherwise: they set a field.
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
    capacity: NamedSetting<u64>,
    ttl: NamedSetting<Duration>,
    cleanup_interval: NamedSetting<Duration>,
    lease: Option<Duration>,
    enabled: bool,
    maintenance: Maintenance,
    clock: Option<Clock>,
    snapshots: Option<(Plan, Writer<Id>)>,
}

/// Takes a snapshot of ids that can be written to one.
type Writer<Id> = fn(&Store<Id>) -> Vec<u8>;

impl<Id> DeduplicatorBuilder<Id> {
    pub(super) fn new() -> Self {
        Self {
            capacity: NamedSetting::new("capacity", DEFAULT_CAPACITY),
            ttl: NamedSetting::new("ttl", DEFAULT_TTL),
            cleanup_interval: NamedSetting::new("cleanup_interval", DEFAULT_CLEANUP_INTERVAL),
            lease: None,
            enabled: true,
            maintenance: Maintenance::Inline,
            clock: None,
            snapshots: None,
        }
    }

    /// How many processed ids are remembered. 50,000 by default.
    ///
    /// When one more is completed, the oldest is forgotten. If it has not expired,
    /// [`Metrics::forgotten_early`](super::Metrics::forgotten_early) counts it. Ids in progress do
    /// not count towards the capacity, and are never forgotten for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn capacity(mut self, ids: u64) -> Self {
        self.capacity = NamedSetting::new("capacity", ids);
        self
    }

    /// How long a processed id is remembered. 300 seconds by default. With a duration that is too
    /// long for the clock, such as [`Duration::MAX`], ids do not expire.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().ttl(std::time::Duration::from_secs(600)).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = NamedSetting::new("ttl", ttl);
        self
    }

    /// How often expired ids are looked for, in addition to what each completion does. 60 seconds
    /// by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().cleanup_interval(std::time::Duration::from_secs(10)).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn cleanup_interval(mut self, interval: Duration) -> Self {
        self.cleanup_interval = NamedSetting::new("cleanup_interval", interval);
        self
    }

    /// How long a claim may last before another caller may take it over. 60 seconds by default, or
    /// the time to live if that is shorter.
    ///
    /// Choose it longer than processing ever takes: a message whose lease runs out may be processed
    /// twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().lease(std::time::Duration::from_secs(30)).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Whether ids are tracked at all. If not, every claim is new and nothing is remembered;
    /// [`Metrics::untracked`](super::Metrics::untracked) counts them.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().enabled(true).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// What runs the periodic cleanup. [`Maintenance::Inline`] by default: claims and completions
    /// do bounded parts of it. With [`Maintenance::Thread`], a thread named `clockhand-dedup` does
    /// all of it. With [`Maintenance::Manual`], only [`Deduplicator::cleanup`] does.
    ///
    /// In any case, an expired id is new at once, and each completion forgets the id that has to
    /// make room for its own, and up to two expired ids.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().maintenance(clockhand::Maintenance::Manual).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// The clock of times to live and leases. By default, a coarse one with a resolution of a
    /// millisecond, or a precise one if one of these times is shorter than that.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().clock(clockhand::Clock::precise()).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Takes settings from environment variables. Settings whose variable is not set stay as they
    /// are.
    ///
    /// | variable | setting | value |
    /// |---|---|---|
    /// | `MAX_TRACKED_OFFSETS` | [`capacity`](Self::capacity) | a whole number |
    /// | `OFFSET_CACHE_TTL_SECONDS` | [`ttl`](Self::ttl) | whole seconds |
    /// | `OFFSET_CLEANUP_INTERVAL` | [`cleanup_interval`](Self::cleanup_interval) | whole seconds |
    /// | `OFFSET_TRACKING_ENABLED` | [`enabled`](Self::enabled) | `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off` |
    ///
    /// # Progress
    ///
    /// **Blocking**: reads the environment, and allocates.
    ///
    /// # Errors
    ///
    /// [`Unparsable`](SettingsError::Unparsable), which names the variable. Values that contradict
    /// other settings are found by [`build`](Self::build), whose error names the variable as well.
    ///
    /// # Examples
    ///
    /// See [`from_variables`](Self::from_variables).
    pub fn from_env(self) -> Result<Self, SettingsError> {
        self.from_variables(|name| match env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
        })
    }

    /// As [`from_env`](Self::from_env), with variables that are looked up by `value_of`: for tests,
    /// and for settings from other sources.
    ///
    /// # Progress
    ///
    /// **Blocking**: reads the variables of the process, which the standard library locks.
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
                Ok(number) => Ok(Some(NamedSetting::new(setting, number))),
                Err(_) => Err(SettingsError::Unparsable { setting, value, expected }),
            },
        };
        let seconds = |setting| {
            let named = number(setting, SECONDS)?;
            Ok(named.map(|NamedSetting { value, .. }| {
                NamedSetting::new(setting, Duration::from_secs(value))
            }))
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

    fn settings(&self) -> Result<DedupSettings, SettingsError> {
        let (capacity, ttl) = (self.capacity, self.ttl);
        if capacity.value == 0 {
            return Err(SettingsError::Zero { setting: capacity.setting });
        }
        if capacity.value > ring::MAX_CELLS {
            let NamedSetting { value: capacity, setting } = capacity;
            return Err(SettingsError::CapacityTooLarge {
                setting,
                capacity,
                limit: ring::MAX_CELLS,
            });
        }
        let cleanup_interval = self.cleanup_interval.not_zero()?;
        ttl.not_zero()?;
        let lease =
            NamedSetting::new("lease", self.lease.unwrap_or_else(|| DEFAULT_LEASE.min(ttl.value)));
        lease.not_zero()?;
        if ttl.value < lease.value {
            let NamedSetting { value, setting } = ttl;
            return Err(SettingsError::TtlBelowLease { setting, ttl: value, lease: lease.value });
        }
        let clock = clock_for(self.clock.clone(), &[ttl, lease, self.cleanup_interval])?;
        Ok(DedupSettings {
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
    /// # Progress
    ///
    /// **Blocking**: allocates, and starts the threads that the settings ask for.
    ///
    /// # Errors
    ///
    /// If a setting is zero, if settings contradict each other, or if a thread that they require
    /// cannot be started. The message names the setting, or the environment variable from which it
    /// was taken.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn build(self) -> Result<Deduplicator<Id>, SettingsError> {
        if let Some((plan, _)) = &self.snapshots {
            plan.check()?;
        }
        let store = Arc::new(Store::new(self.settings()?));
        let mut threads = Vec::new();
        if self.maintenance == Maintenance::Thread {
            let interval = store.settings.cleanup_interval;
            let clean = |store: &Store<Id>| {
                store.clean();
            };
            threads.push(periodic::start("clockhand-dedup", interval, &store, clean));
        }
        if let Some((Plan { interval, path }, writer)) = self.snapshots {
            let save = move |store: &Store<Id>| {
                store.saves.keep(&store.tally, &path, || writer(store));
            };
            threads.push(periodic::start("clockhand-save", interval, &store, save));
        }
        let threads: Result<_, _> = threads.into_iter().collect();
        Ok(Deduplicator::assemble(store, threads.map_err(SettingsError::Thread)?))
    }
}

/// Surviving a restart.
impl<Id> DeduplicatorBuilder<Id>
where
    Id: SnapshotId + Hash + Eq + Clone + Send + Sync + 'static,
{
    /// Writes a snapshot to `path` every `interval`, as [`Deduplicator::snapshot_to`] does. By
    /// default, none is written except by calls.
    ///
    /// A thread named `clockhand-save` does this, and ends with the deduplicator; the last snapshot
    /// is up to `interval` old then, so call [`snapshot_to`](Deduplicator::snapshot_to) before an
    /// orderly exit. If a snapshot cannot be written, the file stays as it was,
    /// [`health`](Deduplicator::health) reports it, and
    /// [`last_snapshot_error`](Deduplicator::last_snapshot_error) returns why.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use clockhand::Deduplicator;
    ///
    /// let minute = Duration::from_secs(60);
    /// let builder = Deduplicator::<u64>::builder().snapshot_every(minute, "seen.snapshot");
    /// let seen = builder.build()?;
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn snapshot_every(mut self, interval: Duration, path: impl Into<PathBuf>) -> Self {
        let plan = Plan { interval, path: path.into() };
        self.snapshots = Some((plan, |store| snapshot::of_ids(store)));
        self
    }
}

impl Plan {
    /// Checks the interval.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        NamedSetting::new("the interval of snapshot_every", self.interval).not_zero().map(drop)
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
