//! Figures.

use std::fmt;

use super::levels::Levels;

/// What a [`Reason`](super::Reason) is about. The names are stable: reports and alerts may rely on
/// them.
///
/// Ratios are between 0 and 1, times in seconds. Figures of which only the upper end is bad are out
/// of bounds *above* their threshold, the hit rate *below* it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Figure {
    /// `hit_rate`: hits as a part of the reads of the window. Judged once the cache is warm
    /// ([`Thresholds::warm_up`](super::Thresholds::warm_up)) and there were
    /// [enough reads](super::Thresholds::min_reads). Below 0.85 a warning, below 0.70 degraded.
    HitRate,
    /// `memory`: entries and garbage as a part of capacity and retired capacity together. A full
    /// cache is well, and takes all its capacity, which is up to eight ninths of both with the
    /// default retired capacity, and all of it with none. So a threshold is a part of the room that
    /// a full cache leaves: with a capacity of 80 and a retired capacity of 20, the warning at 0.8
    /// comes above 0.8 + 0.8 x 0.2 = 0.96. Warning at 0.8, critical at 0.9.
    Memory,
    /// `process_memory`: what the process takes of the limit that was given
    /// ([`Thresholds::memory_limit`](super::Thresholds::memory_limit)); not judged without one.
    /// Warning above 0.8, critical above 0.9.
    ProcessMemory,
    /// `garbage`: the charge of removed entries that are not freed yet, as a part of the retired
    /// capacity; of the capacity, where there is no retired capacity. More than 1 if the capacity
    /// bears some of it. Warning above 0.5.
    Garbage,
    /// `hold_up`: for how many seconds a thread has kept garbage from being freed, by a guard or by
    /// a reader that is not parked, since a writer or maintenance first found that. Warning above
    /// 1.
    HoldUp,
    /// `refusals`: entries that were refused in the window. Warning above 0.
    Refusals,
    /// `evictions`: evictions a minute, over the window. Warning above 100, which is high for a
    /// cache that is to hold everything that is asked for, and low for one that is deliberately
    /// smaller.
    Evictions,
    /// `load_errors`: loads that failed as a part of those that ended in the window, if there were
    /// [enough](super::Thresholds::min_events). Warning above 0.01, degraded above 0.1.
    LoadErrors,
    /// `load_age`: for how many seconds the oldest load has been running. Warning above 30.
    LoadAge,
    /// `renewal_failures`: renewals that failed in the window. Warning above 0.
    RenewalFailures,
    /// `read_time`: seconds that a look-up took in the window, on average; as the two that follow,
    /// told with the feature `histograms` where that is switched on, if
    /// [enough](super::Thresholds::min_events) were timed. Warning above 0.2.
    ReadTime,
    /// `read_p95`: the 95th percentile of the time of look-ups, in seconds. Warning above 0.05.
    ReadP95,
    /// `read_p99`: the 99th percentile. Critical above 0.1.
    ReadP99,
    /// `cleanup_time`: seconds that a call of `maintain` or a cleanup took in the window, on
    /// average. Warning above 0.1.
    CleanupTime,
    /// `duplicates_processed`: completions that were too late or fenced, as a part of the
    /// completions of the window, if there were [enough](super::Thresholds::min_events): the
    /// message was processed, and is processed again by another holder. Critical above 0.001.
    DuplicatesProcessed,
    /// `forgotten_early`: ids that were forgotten in the window before they expired, to make room.
    /// Critical above 0.
    ForgottenEarly,
    /// `unfolded`: offsets that were folded as absent and delivered nevertheless, in the window: a
    /// commit may have passed them, and then a crash would have lost them. Critical above 0.
    Unfolded,
    /// `leaked`: claims that were forgotten in the window, as their lease had run out and they were
    /// not taken over. Warning above 0.
    Leaked,
    /// `leases_expired`: claims that were taken over in the window, as their lease had run out.
    /// Warning above 0.
    LeasesExpired,
    /// `abandoned`: claims that were given back, as a part of the claims that ended in the window,
    /// if there were [enough](super::Thresholds::min_events). Warning above 0.01.
    Abandoned,
    /// `snapshot_failures`: snapshots that could not be written since the last one that was.
    /// Warning above 0.
    SnapshotFailures,
    /// `pending_age`: for how many seconds the oldest offset has been pending, of all partitions.
    /// Warning above 300.
    PendingAge,
    /// `lag`: offsets between the one to commit and the last one that is known, of the partition
    /// that is furthest behind. Warning above 100,000.
    Lag,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Ratio,
    Seconds,
    PerMinute,
    Count,
}

/// Which side is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadSide {
    Above,
    Below,
}

/// What there is to know of a figure.
#[derive(Debug, Clone, Copy)]
pub(super) struct FigureInfo {
    pub(super) name: &'static str,
    /// The same in words.
    pub(super) words: &'static str,
    pub(super) unit: Unit,
    pub(super) bad: BadSide,
    /// The default.
    pub(super) levels: Levels,
    /// What to do.
    pub(super) advice: &'static str,
}

const ABOVE_ZERO: Levels = Levels::new().warning(0.0);
const SLOW: &str = "look for more runnable threads than processors, for memory that is swapped out, \
                    and for `Hash`, `Eq` or an `Expiry` that takes long";

impl Figure {
    /// Every figure, in the order in which reasons of one status are given.
    pub const ALL: &[Self] = &[
        Self::HitRate,
        Self::Memory,
        Self::ProcessMemory,
        Self::Garbage,
        Self::HoldUp,
        Self::Refusals,
        Self::Evictions,
        Self::LoadErrors,
        Self::LoadAge,
        Self::RenewalFailures,
        Self::ReadTime,
        Self::ReadP95,
        Self::ReadP99,
        Self::CleanupTime,
        Self::DuplicatesProcessed,
        Self::ForgottenEarly,
        Self::Unfolded,
        Self::Leaked,
        Self::LeasesExpired,
        Self::Abandoned,
        Self::SnapshotFailures,
        Self::PendingAge,
        Self::Lag,
    ];

    /// The name for reports, such as `hit_rate`.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn name(self) -> &'static str {
        self.card().name
    }

    #[allow(clippy::too_many_lines, reason = "a table with a row for each figure")]
    pub(super) const fn card(self) -> FigureInfo {
        match self {
            Self::HitRate => FigureInfo {
                bad: BadSide::Below,
                levels: Levels::new().warning(0.85).degraded(0.70),
                ..ratio(
                    "hit_rate",
                    "hit rate",
                    "raise the capacity or the time to live; `explain` says why a key is missed",
                )
            },
            Self::Memory => FigureInfo {
                levels: Levels::new().warning(0.8).critical(0.9),
                ..ratio(
                    "memory",
                    "entries and garbage of capacity and retired capacity",
                    "look for a guard that is held or a reader that is not parked, or raise \
                     `retired_capacity`",
                )
            },
            Self::ProcessMemory => FigureInfo {
                levels: Levels::new().warning(0.8).critical(0.9),
                ..ratio(
                    "process_memory",
                    "memory of the process of its limit",
                    "lower the capacity, or raise the limit",
                )
            },
            Self::Garbage => FigureInfo {
                levels: Levels::new().warning(0.5),
                ..ratio(
                    "garbage",
                    "garbage of the retired capacity",
                    "look for a guard that is held or a reader that is not parked; call `maintain` \
                     if nobody writes; raise `retired_capacity` if writers retire that much",
                )
            },
            Self::HoldUp => FigureInfo {
                levels: Levels::new().warning(1.0),
                ..seconds(
                    "hold_up",
                    "time for which garbage has been held up",
                    "drop guards soon, and park readers before their threads wait",
                )
            },
            Self::Refusals => count(
                "refusals",
                "refused entries",
                "give large entries room by a higher capacity; if there was no room at the \
                 moment, look for a guard that is held, or raise `retired_capacity`",
            ),
            Self::Evictions => FigureInfo {
                unit: Unit::PerMinute,
                levels: Levels::new().warning(100.0),
                ..count(
                    "evictions",
                    "evictions",
                    "raise the capacity if the hit rate suffers; else raise this threshold",
                )
            },
            Self::LoadErrors => FigureInfo {
                levels: Levels::new().warning(0.01).degraded(0.1),
                ..ratio(
                    "load_errors",
                    "loads that failed",
                    "look at the source that is loaded from; `stale_if_error` and `negative_ttl` \
                     spare it",
                )
            },
            Self::LoadAge => FigureInfo {
                levels: Levels::new().warning(30.0),
                ..seconds(
                    "load_age",
                    "age of the oldest load",
                    "look for a loader that hangs: give its source a time limit; \
                     `load_timeout` bounds how long others wait for it",
                )
            },
            Self::RenewalFailures => count(
                "renewal_failures",
                "renewals that failed",
                "look at the source that is loaded from: old values are served until they expire",
            ),
            Self::ReadTime => FigureInfo {
                levels: Levels::new().warning(0.2),
                ..seconds("read_time", "time of a read", SLOW)
            },
            Self::ReadP95 => FigureInfo {
                levels: Levels::new().warning(0.05),
                ..seconds("read_p95", "time of 95 % of the reads", SLOW)
            },
            Self::ReadP99 => FigureInfo {
                levels: Levels::new().critical(0.1),
                ..seconds("read_p99", "time of 99 % of the reads", SLOW)
            },
            Self::CleanupTime => FigureInfo {
                levels: Levels::new().warning(0.1),
                ..seconds(
                    "cleanup_time",
                    "time of a cleanup",
                    "clean up more often, with a smaller budget, or make destructors quicker",
                )
            },
            Self::DuplicatesProcessed => FigureInfo {
                levels: Levels::new().critical(0.001),
                ..ratio(
                    "duplicates_processed",
                    "work that was done twice",
                    "lengthen the lease, or extend it while work goes on; finish or drop what \
                     workers have before a partition is revoked",
                )
            },
            Self::ForgottenEarly => FigureInfo {
                levels: Levels::new().critical(0.0),
                ..count(
                    "forgotten_early",
                    "ids forgotten before their time",
                    "raise the capacity, or shorten the time to live: redelivered, these are \
                     processed again",
                )
            },
            Self::Unfolded => FigureInfo {
                levels: Levels::new().critical(0.0),
                ..count(
                    "unfolded",
                    "offsets that came after they were taken for absent",
                    "tell `polled` every batch, in order, before workers get it; `in_order` is \
                     for one thread for each partition",
                )
            },
            Self::Leaked => count(
                "leaked",
                "claims whose holders never came back",
                "look for tickets that are kept or leaked, and for tasks that hang",
            ),
            Self::LeasesExpired => count(
                "leases_expired",
                "claims taken over",
                "lengthen the lease, or extend it while work goes on",
            ),
            Self::Abandoned => FigureInfo {
                levels: Levels::new().warning(0.01),
                ..ratio("abandoned", "claims given back", "look why the work fails")
            },
            Self::SnapshotFailures => count(
                "snapshot_failures",
                "snapshots that failed in a row",
                "`last_snapshot_error` says why: after a restart, more is processed again than \
                 need be",
            ),
            Self::PendingAge => FigureInfo {
                levels: Levels::new().warning(300.0),
                ..seconds(
                    "pending_age",
                    "age of the oldest pending offset",
                    "look for a record whose work fails or hangs; `skip_to` passes what is not \
                     wanted",
                )
            },
            Self::Lag => FigureInfo {
                levels: Levels::new().warning(100_000.0),
                ..count(
                    "lag",
                    "offsets behind what was polled",
                    "add workers, or poll less at a time",
                )
            },
        }
    }
}

const fn ratio(name: &'static str, words: &'static str, advice: &'static str) -> FigureInfo {
    FigureInfo { unit: Unit::Ratio, ..count(name, words, advice) }
}

const fn seconds(name: &'static str, words: &'static str, advice: &'static str) -> FigureInfo {
    FigureInfo { unit: Unit::Seconds, ..count(name, words, advice) }
}

const fn count(name: &'static str, words: &'static str, advice: &'static str) -> FigureInfo {
    FigureInfo { name, words, unit: Unit::Count, bad: BadSide::Above, levels: ABOVE_ZERO, advice }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
