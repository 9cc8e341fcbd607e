//! Threads that look quotes up all the time.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::pace::Pace;
use super::world::World;

/// Look-ups for each message of the feed.
const PER_MESSAGE: f64 = 2.0;

/// What the readers have met.
#[derive(Debug, Default)]
pub(super) struct ReadCounts {
    pub(super) lookups: AtomicU64,
    pub(super) hits: AtomicU64,
    /// Quotes of another series than the one that was asked for, or older than one seen before.
    pub(super) wrong: AtomicU64,
}

impl ReadCounts {
    pub(super) fn lookups(&self) -> u64 {
        self.lookups.load(Ordering::Relaxed)
    }
}

/// Looks quotes up until the service is over.
pub(super) fn read(world: &World, id: usize) {
    let each = PER_MESSAGE * world.plan.rate as f64 / world.plan.threads as f64;
    let (mut pace, mut reader) = (Pace::new(each), world.quotes.reader());
    let mut random = SmallRng::seed_from_u64(world.plan.seed.wrapping_add(1000 + id as u64));
    // Of a few series this thread remembers the newest offset that it has seen.
    let mut seen = vec![-1_i64; 256];
    while world.is_running() {
        let lookups = pace.next(1.0);
        let (mut hits, mut wrong) = (0, 0);
        for _ in 0..lookups {
            let series = world.market.any(&mut random);
            if let Some(quote) = reader.get(&series) {
                hits += 1;
                let newest = seen.get_mut(series.number() as usize);
                let went_back = newest.is_some_and(|newest| {
                    let old = *newest;
                    *newest = old.max(quote.offset);
                    quote.offset < old
                });
                wrong += u64::from(quote.series != series || went_back);
            }
        }
        // Who sleeps holds nothing back.
        reader.park();
        world.read.lookups.fetch_add(lookups, Ordering::Relaxed);
        world.read.hits.fetch_add(hits, Ordering::Relaxed);
        world.read.wrong.fetch_add(wrong, Ordering::Relaxed);
    }
}
