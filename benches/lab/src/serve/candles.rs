//! Who asks for candles, through the cache that loads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clockhand::{Cache, LoadSource, LoadingCache};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::origin::{Candles, Origin};
use super::pace::Pace;
use super::series::Series;
use super::world::World;
use crate::failure::Failure;
use crate::words::unusable;

/// Threads that ask.
pub(super) const ASKERS: usize = 4;

/// Requests of each per second.
const REQUESTS: f64 = 100.0;

/// How long candles are good, from when on they are renewed, and how long they stand in.
const LIFE: Duration = Duration::from_secs(10);
pub(super) const RENEWED: Duration = Duration::from_secs(3);
const STAND_IN: Duration = Duration::from_secs(300);

/// One read of this many is timed, for the page.
pub(super) const SAMPLED: u32 = 64;

pub(super) type Charts = LoadingCache<Series, Arc<Candles>, Origin>;

/// A cache of `bytes` bytes before the origin.
pub(super) fn before(origin: &Origin, bytes: u64) -> Result<Charts, Failure> {
    let cache = Cache::builder()
        .name("candles")
        .capacity(bytes)
        // Candles are large, and many are renewed at once.
        .retired_capacity(bytes / 2)
        .weigher(|_: &Series, candles: &Arc<Candles>| candles.bytes())
        .time_to_live(LIFE)
        .sample_every(SAMPLED)
        .build()
        .map_err(unusable)?;
    cache
        .loading(origin.clone())
        .refresh_after(RENEWED)
        .stale_while_revalidate(LIFE)
        .stale_if_error(STAND_IN)
        .jitter(0.1)
        .build()
        .map_err(unusable)
}

/// What those who ask have met.
#[derive(Debug, Default)]
pub(super) struct RequestCounts {
    pub(super) requests: AtomicU64,
    pub(super) at_once: AtomicU64,
    pub(super) failed: AtomicU64,
    /// Those that failed while the origin was well.
    pub(super) failed_for_nothing: AtomicU64,
    pub(super) wrong: AtomicU64,
}

/// Asks for candles until the service is over.
pub(super) fn ask(world: &World, id: usize) {
    let mut random = SmallRng::seed_from_u64(world.plan.seed.wrapping_add(2000 + id as u64));
    let mut pace = Pace::new(REQUESTS);
    while world.is_running() {
        for _ in 0..pace.next(1.0) {
            if !world.is_running() {
                return;
            }
            request(world, world.market.any(&mut random));
        }
    }
}

fn request(world: &World, series: Series) {
    let (asked, was_well) = (&world.asked, world.origin_is_well());
    asked.requests.fetch_add(1, Ordering::Relaxed);
    match world.charts.get_with_source(&series) {
        Ok(loaded) => {
            let at_once = matches!(loaded.source, LoadSource::Hit | LoadSource::Stale);
            asked.at_once.fetch_add(u64::from(at_once), Ordering::Relaxed);
            let wrong = loaded.value.series != series;
            asked.wrong.fetch_add(u64::from(wrong), Ordering::Relaxed);
        }
        Err(_) => {
            asked.failed.fetch_add(1, Ordering::Relaxed);
            let for_nothing = was_well && world.origin_is_well();
            asked.failed_for_nothing.fetch_add(u64::from(for_nothing), Ordering::Relaxed);
        }
    }
}
