//! What a replay found: the JSON object, and the text for people.

use std::fmt;

use indicatif::{HumanCount, HumanFloatCount};
use serde::Serialize;

use crate::latency::Quantiles;
use crate::replay::ReadPath;

/// The report of one replay. The field names are stable: programs read them from `--json`, and the README says what they
/// are.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Replay {
    pub trace: String,
    pub accesses: u64,
    pub unique_keys: u64,
    /// Whether sizes are the entries' weights; else every entry weighs 1.
    pub weighted: bool,
    /// The charge that would hold the whole trace.
    pub footprint: u64,
    pub capacity: u64,
    pub threads: usize,
    pub read: ReadPath,
    /// Of the one pass from an empty cache; `cold` again.
    pub hits: u64,
    pub misses: u64,
    pub hit_ratio: f64,
    pub cold: Pass,
    /// The repeated passes.
    pub warm: Pass,
    /// Accesses per second over the rounds of the warm passes.
    pub throughput: Spread,
    /// In the warm passes.
    pub latency: Latency,
    /// The most that was sampled of the charge, and of what was unlinked and not freed.
    pub peak_charge: u64,
    pub peak_retired: u64,
    pub retired_capacity: u64,
    pub usage_samples: u64,
    /// At the end.
    pub resident_entries: u64,
    pub resident_charge: u64,
    /// Over all passes.
    pub evictions: u64,
    pub refusals: u64,
    /// Promises of the cache that this replay saw broken; empty when all is well.
    pub broken: Vec<String>,
}

/// Some passes over a trace.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Pass {
    pub passes: u64,
    pub hits: u64,
    pub misses: u64,
    pub hit_ratio: f64,
    pub seconds: f64,
    pub accesses_per_second: f64,
}

impl Pass {
    /// Counts, with what follows from them.
    pub(crate) fn of(passes: u64, hits: u64, misses: u64, seconds: f64) -> Self {
        let accesses = (hits + misses) as f64;
        let (hit_ratio, rate) = (hits as f64 / accesses, accesses / seconds.max(1e-9));
        Self { passes, hits, misses, hit_ratio, seconds, accesses_per_second: rate }
    }
}

/// The middle and the ends of what several rounds measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: usize,
}

impl Spread {
    /// The spread of some rounds; all zero when there are none.
    pub(crate) fn of(rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let last = sorted.len().saturating_sub(1);
        let median = f64::midpoint(at(last / 2), at(last.div_ceil(2)));
        Self { median, min: at(0), max: at(last), rounds: sorted.len() }
    }

    /// The ends, as a cell of a table.
    #[cfg(feature = "peers")]
    pub(crate) fn ends(&self) -> String {
        format!("{} to {}", short(self.min), short(self.max))
    }
}

/// Sampled latencies.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Latency {
    /// What two readings of the clock cost, in nanoseconds; it is part of every sample.
    pub clock_ns: u64,
    /// One operation in this many was timed.
    pub sampled_one_in: u32,
    pub get_ns: Quantiles,
    pub insert_ns: Quantiles,
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_header(f)?;
        self.fmt_passes(f)?;
        self.fmt_latency(f)?;
        self.fmt_bounds(f)
    }
}

impl Replay {
    fn fmt_header(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accesses, keys) = (HumanCount(self.accesses), HumanCount(self.unique_keys));
        let weights = if self.weighted { "weights from sizes" } else { "every entry weighs 1" };
        let share = 100.0 * self.capacity as f64 / self.footprint.max(1) as f64;
        let read = match self.read {
            ReadPath::Get => "get",
            ReadPath::Reader => "Reader",
        };
        writeln!(f, "{}: {accesses} accesses, {keys} unique keys, {weights}", self.trace)?;
        writeln!(
            f,
            "capacity {} ({share:.1} % of what the trace holds), threads {}, reads through {read}",
            HumanCount(self.capacity),
            self.threads
        )
    }

    fn fmt_passes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cold, warm, rate) = (&self.cold, &self.warm, &self.throughput);
        writeln!(f, "\none pass from an empty cache")?;
        line(f, "hits", &grouped(cold.hits), "")?;
        line(f, "misses", &grouped(cold.misses), "")?;
        line(f, "hit ratio", &format!("{:.4}", cold.hit_ratio), "")?;
        line(f, "throughput", &per_second(cold.accesses_per_second), " accesses/s")?;
        writeln!(
            f,
            "\nthen {} passes over the warm cache, in {} rounds of {:.2} s together",
            grouped(warm.passes),
            rate.rounds,
            warm.seconds
        )?;
        line(f, "hit ratio", &format!("{:.4}", warm.hit_ratio), "")?;
        let [median, min, max] = [rate.median, rate.min, rate.max].map(per_second);
        line(f, "throughput", &median, &format!(" accesses/s   (median; {min} to {max})"))
    }

    fn fmt_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { clock_ns, sampled_one_in, get_ns, insert_ns } = &self.latency;
        writeln!(
            f,
            "\nlatency in the warm passes, ns (1 of {sampled_one_in} operations timed; includes the clock's {clock_ns} ns)"
        )?;
        let columns = ["p50", "p99", "p99.9", "max", "samples"];
        let [p50, p99, p999, max, samples] = columns;
        writeln!(f, "  {:<8}{p50:>9}{p99:>11}{p999:>11}{max:>14}{samples:>13}", "")?;
        for (name, ns) in [("get", get_ns), ("insert", insert_ns)] {
            let [p50, p99, p999, max, samples] =
                [ns.p50, ns.p99, ns.p999, ns.max, ns.samples].map(grouped);
            writeln!(f, "  {name:<8}{p50:>9}{p99:>11}{p999:>11}{max:>14}{samples:>13}")?;
        }
        Ok(())
    }

    fn fmt_bounds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = grouped(self.usage_samples);
        writeln!(f, "\nbounds, over all passes ({samples} samples of the usage)")?;
        let full = 100.0 * self.peak_charge as f64 / self.capacity.max(1) as f64;
        let inserts = self.cold.misses + self.warm.misses;
        let refused = 100.0 * self.refusals as f64 / inserts.max(1) as f64;
        let [capacity, retired, charge, inserts] =
            [self.capacity, self.retired_capacity, self.resident_charge, inserts].map(grouped);
        for (name, figure, rest) in [
            ("peak charge", self.peak_charge, format!(" of capacity {capacity} ({full:.1} %)")),
            ("peak retired", self.peak_retired, format!(" of retired capacity {retired}")),
            ("resident", self.resident_entries, format!(" entries, charge {charge}")),
            ("evictions", self.evictions, String::new()),
            ("refusals", self.refusals, format!(" of {inserts} insertions ({refused:.1} %)")),
        ] {
            line(f, name, &grouped(figure), &rest)?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, figure: &str, rest: &str) -> fmt::Result {
    writeln!(f, "  {name:<14}{figure:>14}{rest}")
}

pub(crate) fn grouped(count: u64) -> String {
    HumanCount(count).to_string()
}

fn per_second(rate: f64) -> String {
    HumanFloatCount(rate.round()).to_string()
}

/// Three digits or so, whatever the size.
pub(crate) fn short(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 0.1 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// The median of a ratio; nothing where there was nothing to divide by.
#[cfg(feature = "peers")]
pub(crate) fn median(ratio: Option<Spread>) -> String {
    ratio.map_or(String::new(), |ratio| short(ratio.median))
}
