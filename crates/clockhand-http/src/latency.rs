//! How long operations took lately.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clockhand::{Latencies, Latency};
use serde::Serialize;

/// How old the look is at least with which the present one is compared.
const WINDOW: Duration = Duration::from_secs(10);

/// What a cache told before: two looks, of which the older one is up to two windows old.
#[derive(Default)]
pub(crate) struct Earlier(Mutex<[Option<(Instant, Latencies)>; 2]>);

/// Latencies of the last ten to twenty seconds.
#[derive(Debug, Serialize)]
pub(crate) struct LatencyReport {
    /// Of this number of reads and inserts, one was timed.
    sample_every: u32,
    get: Times,
    insert: Times,
    load: Times,
    maintain: Times,
}

/// Quantiles in seconds, and how many were timed; zero if none was.
#[derive(Debug, Serialize)]
struct Times {
    count: u64,
    p50: f64,
    p95: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Earlier {
    /// What was timed since the older look.
    pub(crate) fn report(&self, now: Latencies) -> LatencyReport {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks[1].as_ref().is_none_or(|(at, _)| at.elapsed() >= WINDOW) {
            looks.swap(0, 1);
            looks[1] = Some((Instant::now(), now.clone()));
        }
        let lately = match &looks[0] {
            Some((_, earlier)) => now.since(earlier),
            None => now,
        };
        LatencyReport {
            sample_every: lately.sample_every,
            get: Times::of(&lately.get),
            insert: Times::of(&lately.insert),
            load: Times::of(&lately.load),
            maintain: Times::of(&lately.maintain),
        }
    }
}

impl Times {
    fn of(latency: &Latency) -> Self {
        Self {
            count: latency.count(),
            p50: latency.p50().as_secs_f64(),
            p95: latency.p95().as_secs_f64(),
            p99: latency.p99().as_secs_f64(),
            p999: latency.p999().as_secs_f64(),
            max: latency.max().as_secs_f64(),
        }
    }
}
