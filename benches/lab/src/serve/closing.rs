//! The closing report: what was done, and whether a promise was broken.

use std::fmt;
use std::sync::atomic::Ordering;

use clockhand::load::WarmerStatus;
use serde::Serialize;

use super::fault::{Fault, FaultPlan};
use super::feed::TOPIC;
use super::watch::{Shown, Watch};
use super::world::World;
use crate::report::grouped;

/// How late a fault may show, and how long something may be left of it, in seconds.
const SHOWN_WITHIN: f64 = 2.0;
const CLEARED_WITHIN: f64 = 5.0;

/// Memory is flat if its median in the last quarter is that of the second one, but for this part and
/// this many bytes. A shorter run is still filling.
const GROWTH: f64 = 0.05;
const SLACK: f64 = (8 << 20) as f64;
const FLAT_AFTER: f64 = 30.0;

/// What came of a run; the README says what the fields are.
#[derive(Debug, Serialize)]
pub(crate) struct Closing {
    pub seconds: f64,
    /// Each counted once, however often it was delivered.
    pub messages: u64,
    pub messages_per_second: f64,
    pub redelivered: u64,
    /// Messages that were processed more than once, and those that were not, as far as the counts tell.
    pub duplicates: u64,
    pub lost: u64,
    /// Quotes that the cache did not take.
    pub refused: u64,
    pub lookups: u64,
    pub hits: u64,
    /// Quotes and candles of another series, and quotes that were older than one seen before.
    pub wrong: u64,
    pub candles: u64,
    pub candles_at_once: u64,
    pub candles_failed: u64,
    /// Those that failed while the origin was well.
    pub candles_failed_for_nothing: u64,
    pub origin_requests: u64,
    /// What came of the candles that several services share.
    pub shared: Option<String>,
    pub warmed: u64,
    pub http_requests: u64,
    /// Median of the resident bytes in the second quarter, and in the last one.
    pub memory: Option<[u64; 2]>,
    pub peak_retired: u64,
    /// Looks at which a cache had more than it was given.
    pub beyond_bounds: u64,
    pub fault: Option<FaultReport>,
    /// Promises that were broken; none when all is well.
    pub broken: Vec<String>,
}

/// When a fault showed.
#[derive(Debug, Serialize)]
pub(crate) struct FaultReport {
    pub fault: Fault,
    /// Seconds from its beginning until health gave a reason, and the reason.
    pub shown_after: Option<f64>,
    pub reason: Option<String>,
    /// Seconds from its end until none was left.
    pub cleared_after: Option<f64>,
    /// Whether the run was long enough for it to show, and to clear.
    #[serde(skip)]
    due: [bool; 2],
}

impl Closing {
    pub(super) fn of(world: &World, watch: &Watch, warmed: &WarmerStatus) -> Self {
        let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        let (fed, read, asked) = (&world.fed, &world.read, &world.asked);
        let (sent, processed) = (fed.sent.count(), fed.processed.count());
        let seconds = watch.time().as_secs_f64();
        let mut closing = Self {
            seconds,
            messages: sent,
            messages_per_second: sent as f64 / seconds,
            redelivered: of(&fed.redelivered),
            duplicates: processed.saturating_sub(sent),
            lost: sent.saturating_sub(processed),
            refused: of(&fed.refused),
            lookups: of(&read.lookups),
            hits: of(&read.hits),
            wrong: of(&read.wrong) + of(&asked.wrong),
            candles: of(&asked.requests),
            candles_at_once: of(&asked.at_once),
            candles_failed: of(&asked.failed),
            candles_failed_for_nothing: of(&asked.failed_for_nothing),
            origin_requests: world.origin.requests(),
            shared: world.origin.shared().map(|shared| shared.line()),
            warmed: warmed.renewed,
            http_requests: of(&world.http_requests),
            memory: watch.memory.quarters(),
            peak_retired: watch.peak_retired,
            beyond_bounds: watch.beyond_bounds,
            fault: world
                .plan
                .fault_plan()
                .map(|fault_plan| FaultReport::of(fault_plan, &watch.shown, seconds)),
            broken: Vec::new(),
        };
        closing.broken = closing.broken(world);
        closing
    }

    fn broken(&self, world: &World) -> Vec<String> {
        let mut broken = Vec::new();
        let mut count = |count: u64, what: &str| {
            if count > 0 {
                broken.push(format!("{} {what}", grouped(count)));
            }
        };
        count(self.duplicates, "messages were processed twice");
        count(self.lost, "messages were lost");
        count(self.wrong, "answers were wrong");
        count(self.beyond_bounds, "times a cache had more than it was given");
        count(
            self.candles_failed_for_nothing,
            "candles were not there although the origin was well",
        );
        if !world.fed.sent.agrees(&world.fed.processed) {
            broken.push("what was processed is not what was sent".into());
        }
        let done = (0..world.plan.threads)
            .filter_map(|number| world.tracker.committable(TOPIC, number as i32))
            .sum::<i64>();
        if done as u64 != self.messages {
            broken.push(format!("{} messages may be committed", grouped(done as u64)));
        }
        if let Some([early, late]) = self.memory.filter(|_| self.seconds >= FLAT_AFTER)
            && late as f64 > early as f64 * (1.0 + GROWTH) + SLACK
        {
            broken.push(format!("memory grew from {early} to {late} bytes"));
        }
        broken.extend(self.fault.iter().flat_map(FaultReport::broken));
        broken
    }
}

impl FaultReport {
    fn of(fault_plan: FaultPlan, shown: &Shown, seconds: f64) -> Self {
        let [begins, ends] = [fault_plan.begins, fault_plan.ends].map(|time| time.as_secs_f64());
        Self {
            fault: fault_plan.fault,
            due: [seconds >= begins + SHOWN_WITHIN, seconds >= ends + CLEARED_WITHIN],
            shown_after: shown.after.map(|time| time.as_secs_f64()),
            reason: shown.reason.clone(),
            cleared_after: shown.cleared.map(|time| time.as_secs_f64()),
        }
    }

    fn broken(&self) -> Vec<String> {
        let late = |seconds: Option<f64>, most: f64| seconds.is_none_or(|seconds| seconds > most);
        let (mut broken, [shown, cleared]) = (Vec::new(), self.due);
        if shown && late(self.shown_after, SHOWN_WITHIN) {
            broken.push(format!("{} did not show within {SHOWN_WITHIN} s", self.fault.name()));
        }
        if cleared && late(self.cleared_after, CLEARED_WITHIN) {
            broken.push(format!("{} did not clear within {CLEARED_WITHIN} s", self.fault.name()));
        }
        broken
    }
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: u64, all: u64| 100.0 * part as f64 / all.max(1) as f64;
        writeln!(f, "served for {:.1} s", self.seconds)?;
        self.shared.iter().try_for_each(|line| writeln!(f, "  shared    {line}"))?;
        writeln!(
            f,
            "  feed      {:>14} messages, {}/s, and {} delivered again; {} twice, {} lost",
            grouped(self.messages),
            grouped(self.messages_per_second as u64),
            grouped(self.redelivered),
            grouped(self.duplicates),
            grouped(self.lost)
        )?;
        writeln!(
            f,
            "  quotes    {:>14} look-ups, {:.2} % hits, {} wrong; {} not taken",
            grouped(self.lookups),
            share(self.hits, self.lookups),
            grouped(self.wrong),
            grouped(self.refused)
        )?;
        writeln!(
            f,
            "  candles   {:>14} requests, {:.2} % at once, {} failed; {} requests of the origin, {} kept fresh",
            grouped(self.candles),
            share(self.candles_at_once, self.candles),
            grouped(self.candles_failed),
            grouped(self.origin_requests),
            grouped(self.warmed)
        )?;
        writeln!(
            f,
            "  HTTP      {:>14} requests of quotes and candles",
            grouped(self.http_requests)
        )?;
        if let Some([early, late]) = self.memory {
            let [early, late] = [early, late].map(|bytes| bytes as f64 / 1e6);
            writeln!(
                f,
                "  memory    {early:>14.1} MB in the second quarter, {late:.1} MB in the last"
            )?;
        }
        if let Some(told) = &self.fault {
            let seconds = |time: Option<f64>| {
                time.map_or("never".into(), |time| format!("after {time:.1} s"))
            };
            writeln!(
                f,
                "  fault     {:>14} shown {}, cleared {}{}",
                told.fault.name(),
                seconds(told.shown_after),
                seconds(told.cleared_after),
                told.reason
                    .as_ref()
                    .map_or(String::new(), |reason| format!("\n            {reason}"))
            )?;
        }
        Ok(())
    }
}
