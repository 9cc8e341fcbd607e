//! What all threads of the service share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use clockhand::Cache;
use clockhand::dedup::OffsetTracker;
use clockhand::health::{Health, Thresholds};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::candles::{self, Charts, RequestCounts};
use super::feed::{FeedCounts, Quote, scatter};
use super::options::Options;
use super::origin::{Origin, Store};
use super::readers::ReadCounts;
use super::series::{Market, SYMBOLS, Series};
use super::watch::{self, Watch};
use crate::failure::Failure;
use crate::machine::resident_bytes;
use crate::report::grouped;
use crate::words::unusable;

/// The places of the parts in [`World::health`].
pub(super) const QUOTES: usize = 0;
pub(super) const CANDLES: usize = 1;

/// Bytes of candles for each quote.
const BYTES: u64 = 64;

/// What the process may take, beside twice of what the caches are to hold.
const REST: u64 = 128 << 20;

/// Bytes that a quote takes, all in all.
const QUOTE: u64 = 160;

pub(super) struct World {
    pub(super) plan: Options,
    pub(super) market: Market,
    pub(super) quotes: Cache<Series, Quote>,
    pub(super) charts: Charts,
    pub(super) origin: Origin,
    pub(super) tracker: OffsetTracker,
    pub(super) memory_limit: u64,
    pub(super) thresholds: Thresholds,
    pub(super) fed: FeedCounts,
    pub(super) read: ReadCounts,
    pub(super) asked: RequestCounts,
    pub(super) http_requests: AtomicU64,
    began: Instant,
    over: AtomicBool,
}

/// What several services share, if the user wants it.
#[cfg(feature = "tier")]
fn shared(plan: &Options) -> Result<Option<Box<dyn Store>>, Failure> {
    let shared = plan.redis.as_deref().map(super::shared::Shared::connect).transpose()?;
    Ok(shared.map(|shared| Box::new(shared) as Box<dyn Store>))
}

#[cfg(not(feature = "tier"))]
fn shared(plan: &Options) -> Result<Option<Box<dyn Store>>, Failure> {
    match plan.redis {
        Some(_) => Err(Failure::Input(
            "this build is without Redis; build it with `--features serve,tier` for --redis".into(),
        )),
        None => Ok(None),
    }
}

impl World {
    /// Quotes of everything, as of before the first message; no candles yet.
    pub(super) fn new(plan: Options) -> Result<Self, Failure> {
        let quotes = Cache::builder()
            .name("quotes")
            .capacity(plan.capacity)
            // What writers replace in half a second: readers are within it unless one stands still.
            .retired_capacity((plan.rate / 2).max(1000))
            .sample_every(candles::SAMPLED)
            .build()
            .map_err(unusable)?;
        let origin = Origin::behind(shared(&plan)?);
        let charts = candles::before(&origin, plan.capacity * BYTES)?;
        let tracker = OffsetTracker::builder().build();
        let tracker = tracker.map_err(|error| Failure::Input(error.to_string()))?;
        let memory_limit = REST + 2 * plan.capacity * (BYTES + QUOTE);
        for series in Series::popular(SYMBOLS) {
            quotes.insert(series, Quote { series, offset: -1, price: 1 });
        }
        Ok(Self {
            plan,
            market: Market::new(),
            quotes,
            charts,
            origin,
            tracker,
            memory_limit,
            thresholds: watch::thresholds(memory_limit),
            fed: FeedCounts::default(),
            read: ReadCounts::default(),
            asked: RequestCounts::default(),
            http_requests: AtomicU64::new(0),
            began: Instant::now(),
            over: AtomicBool::new(false),
        })
    }

    pub(super) fn is_running(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether nothing that goes wrong on purpose can be the reason of a failure.
    pub(super) fn origin_is_well(&self) -> bool {
        let reaches = |fault_plan: super::fault::FaultPlan| {
            fault_plan.fault.is_of_origin() && fault_plan.reaches(self.began.elapsed())
        };
        !self.plan.fault_plan().is_some_and(reaches)
    }

    /// Of quotes, candles and feed.
    pub(super) fn health(&self) -> [Health; 3] {
        let thresholds = &self.thresholds;
        [
            self.quotes.health(thresholds),
            self.charts.cache().health(thresholds),
            self.tracker.health(thresholds),
        ]
    }

    /// What a message says; each time the same.
    pub(super) fn message(&self, partition: i32, offset: i64) -> Quote {
        let seed = self.plan.seed ^ scatter(partition as u64 + 1) ^ scatter(offset as u64);
        let mut random = SmallRng::seed_from_u64(seed);
        let partitions = self.plan.threads as u32;
        let series = self.market.of_partition(&mut random, partition as u32, partitions);
        Quote { series, offset, price: random.random_range(1..1_000_000) }
    }

    /// How it goes, in one line.
    pub(super) fn line(&self, watch: &Watch, messages: u64, lookups: u64) -> String {
        let share = |part: &AtomicU64, all: u64| {
            100.0 * part.load(Ordering::Relaxed) as f64 / all.max(1) as f64
        };
        let requests = self.asked.requests.load(Ordering::Relaxed);
        format!(
            "{} messages/s, {} look-ups/s ({:.1} % hits), candles {:.1} % at once, {} MB, {}",
            grouped(messages),
            grouped(lookups),
            share(&self.read.hits, self.read.lookups()),
            share(&self.asked.at_once, requests),
            resident_bytes().unwrap_or(0) / 1_000_000,
            watch.status
        )
    }
}
