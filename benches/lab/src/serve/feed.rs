//! The feed: messages of several partitions, some of them delivered again, and each processed once.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clockhand::InsertErrorKind;
use clockhand::dedup::{Claim, Partition};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::pace::Pace;
use super::series::Series;
use super::world::World;

pub(super) const TOPIC: &str = "market";

/// Messages of one batch, at most.
const BATCH: u64 = 256;

/// One batch in this many is delivered again: to the same thread, or to the next one at the same time.
const REDELIVERED: u64 = 20;

/// Of the messages, one in this many fails the first time, and is delivered again.
const FAILING: u64 = 1000;

/// One portion in this many is a burst of four times the size.
const BURSTS: u64 = 10;
const BURST: f64 = 4.0;
/// What is left for the others.
const CALM: f64 = (BURSTS as f64 - BURST) / (BURSTS as f64 - 1.0);

/// What a series costs at the moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub(super) series: Series,
    /// The offset of the message that said so: a later one is newer.
    pub(super) offset: i64,
    pub(super) price: u32,
}

/// Messages that are different ones, as far as a count and a sum can tell: two sets with the same are
/// the same set, unless a sum of 64 bits agrees by chance.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) count: AtomicU64,
    sum: AtomicU64,
}

impl Ledger {
    fn add(&self, partition: i32, offset: i64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(scatter(((partition as u64) << 48) ^ offset as u64), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn agrees(&self, other: &Self) -> bool {
        let sum = |ledger: &Self| ledger.sum.load(Ordering::Relaxed);
        self.count() == other.count() && sum(self) == sum(other)
    }
}

/// What the feed has done.
#[derive(Debug, Default)]
pub(super) struct FeedCounts {
    /// Each message, when it is sent first.
    pub(super) sent: Ledger,
    /// Each message, whenever it is processed.
    pub(super) processed: Ledger,
    pub(super) redelivered: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Batches for another thread to take in as well.
    again: Mutex<VecDeque<(i32, Range<i64>)>>,
}

impl FeedCounts {
    fn again(&self) -> MutexGuard<'_, VecDeque<(i32, Range<i64>)>> {
        self.again.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread of one partition.
pub(super) struct Feeder<'a> {
    world: &'a World,
    number: i32,
    partition: Partition,
    next: i64,
    /// Messages that have failed.
    failed: Vec<i64>,
    random: SmallRng,
}

impl<'a> Feeder<'a> {
    pub(super) fn new(world: &'a World, number: i32) -> Self {
        let partition = world.tracker.partition(TOPIC, number);
        let random = SmallRng::seed_from_u64(world.plan.seed ^ scatter(number as u64 + 1));
        Self { world, number, partition, next: 0, failed: Vec::new(), random }
    }

    /// Feeds until the service is over; then everything that was sent is processed.
    pub(super) fn feed(mut self) {
        let each = self.world.plan.rate as f64 / self.world.plan.threads as f64;
        let mut pace = Pace::new(each);
        while self.world.is_running() {
            let burst = self.random.random_range(0..BURSTS) == 0;
            let mut left = pace.next(if burst { BURST } else { CALM });
            while left > 0 {
                let batch = left.min(BATCH);
                left -= batch;
                self.send(batch as i64);
            }
            self.take_again();
        }
        self.take_again();
    }

    fn send(&mut self, messages: i64) {
        let batch = self.next..self.next + messages;
        self.next = batch.end;
        self.partition.polled(batch.clone());
        let again = self.random.random_range(0..2 * REDELIVERED);
        if again == 0 {
            self.world.fed.again().push_back((self.number, batch.clone()));
        }
        for offset in batch.clone() {
            self.world.fed.sent.add(self.number, offset);
            self.take(offset, scatter(offset as u64).is_multiple_of(FAILING));
        }
        for offset in std::mem::take(&mut self.failed) {
            self.take(offset, false);
        }
        if again == 1 {
            self.redeliver(self.number, batch);
        }
    }

    /// Takes in what is delivered to another thread, too.
    fn take_again(&mut self) {
        // Taken out first, so that the lock is not held meanwhile.
        while let Some((number, batch)) = { self.world.fed.again().pop_front() } {
            self.redeliver(number, batch);
        }
    }

    fn redeliver(&mut self, number: i32, batch: Range<i64>) {
        let partition = match number == self.number {
            true => self.partition.clone(),
            false => self.world.tracker.partition(TOPIC, number),
        };
        self.world.fed.redelivered.fetch_add((batch.end - batch.start) as u64, Ordering::Relaxed);
        for offset in batch {
            self.process(&partition, number, offset, false);
        }
    }

    fn take(&mut self, offset: i64, fails: bool) {
        let partition = self.partition.clone();
        if !self.process(&partition, self.number, offset, fails) {
            self.failed.push(offset);
        }
    }

    /// Processes a message that no other thread has; false if that failed.
    fn process(&self, partition: &Partition, number: i32, offset: i64, fails: bool) -> bool {
        let Claim::New(ticket) = partition.claim(offset) else { return true };
        if fails {
            return false;
        }
        let quote = self.world.message(number, offset);
        let newer = self.world.quotes.insert_if_newer(quote.series, quote, |quote| quote.offset);
        if newer.is_err_and(|error| error.kind != InsertErrorKind::Occupied) {
            self.world.fed.refused.fetch_add(1, Ordering::Relaxed);
        }
        self.world.fed.processed.add(number, offset);
        ticket.complete();
        true
    }
}

/// Far from that of its neighbours.
pub(super) fn scatter(number: u64) -> u64 {
    let mixed = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}
