//! The order in which entries were put on probation.
//!
//! ```text
//!   taken                             put
//!     v                                v
//!     | batch | batch | batch | batch |          a ring; every batch has the time when it was put
//!       fingerprint fingerprint fingerprint ..
//! ```
//!
//! A *fingerprint* is 32 bits of the entry's hash: the leading ones, which say where its bucket is, and six
//! of its tag there. A thread collects the fingerprints of the entries that it inserts, and puts them into the ring
//! when it has a batch; evictors take the oldest batch. That is one exchange for a batch at each end.
//!
//! Fingerprints are hints. The entry may have been removed or promoted, so the thread that takes a fingerprint looks
//! up what is there. An entry may have none: the ring was full of later ones, or its fingerprint was taken and it
//! stayed. The hand finds such an entry; it goes round all the while, but slowly.

use super::fingerprint;
use super::tuning::{
    ARRIVALS_PER_ROUND, BATCHES_PER_TURN, ENTRIES_PER_FINGERPRINT, MAX_BATCH, MAX_TAKE_ATTEMPTS,
    UNCOUNTED_BATCHES,
};
use crate::narrow::in_memory;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, CachePadded, Relaxed, seeded};

#[derive(Debug)]
pub(super) struct ProbationFifo {
    /// As many batches as `times`, which are a power of two.
    fingerprints: Box<[Relaxed<AtomicU32>]>,
    /// When each batch was put, and one more; zero while it is written, and once it was taken.
    times: Box<[Relaxed<AtomicU64>]>,
    batch: usize,
    positions_per_turn: u64,
    put: CachePadded<Relaxed<AtomicU64>>,
    taken: CachePadded<FifoHead>,
}

#[derive(Debug, Default)]
struct FifoHead {
    batches: Relaxed<AtomicU64>,
    /// How long the batch that was taken last had been in the ring.
    batch_age: Relaxed<AtomicU64>,
}

/// The fingerprints that a thread has collected. Words of one writer.
#[derive(Debug, Default)]
pub(super) struct LocalBatch {
    fingerprints: [Relaxed<AtomicU32>; MAX_BATCH],
    len: Relaxed<AtomicUsize>,
}

impl ProbationFifo {
    /// With room for `entries` fingerprints; none where fingerprints are too short to tell the buckets apart.
    pub(super) fn new(entries: usize) -> Self {
        let batch = (entries / ENTRIES_PER_FINGERPRINT).clamp(1, MAX_BATCH);
        let batches = (entries / batch).max(1).next_power_of_two();
        let batches = if entries as u64 > fingerprint::MAX_ENTRIES { 0 } else { batches };
        Self {
            fingerprints: (0..batches * batch).map(|_| Relaxed::<AtomicU32>::new(0)).collect(),
            times: (0..batches).map(|_| Relaxed::<AtomicU64>::new(0)).collect(),
            batch,
            positions_per_turn: (u64::MAX / ARRIVALS_PER_ROUND / entries.max(1) as u64)
                .saturating_mul(batch as u64 * BATCHES_PER_TURN),
            put: CachePadded::default(),
            taken: CachePadded::default(),
        }
    }

    /// One of another size, with the fingerprints that are here, or as many of the latest as it has room for.
    pub(super) fn resized(&self, entries: usize) -> Self {
        let (resized, local_batch) = (Self::new(entries), LocalBatch::default());
        let (put, mut time) = (self.put.get(), 0);
        let room = resized.fingerprints.len().div_ceil(self.batch) as u64;
        for nth in put - self.batches().min(room).min(put)..put {
            let nth = self.nth(nth);
            time = self.times[nth].get().saturating_sub(1);
            for fingerprint in self.fingerprints(nth) {
                resized.add(&local_batch, fingerprint::hash(fingerprint.get()), time);
            }
        }
        if local_batch.len.get() > 0 {
            resized.put(&local_batch, time);
        }
        resized
    }

    /// Whether they are clearly fewer than the entries that are on probation.
    #[inline]
    pub(super) fn are_fewer_than(&self, entries: u64) -> bool {
        entries - entries / 8 > (self.batches() + UNCOUNTED_BATCHES) * self.batch as u64
    }

    /// How many there are. None, where the load of what was put is older than that of what was taken.
    #[inline]
    fn batches(&self) -> u64 {
        let taken = self.taken.batches.get();
        self.put.get().saturating_sub(taken)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.fingerprints) + size_of_val(&*self.times)
    }

    /// How far the hand goes for [`BATCHES_PER_TURN`] batches: round once while twice as many entries are
    /// inserted as the cache has.
    #[inline]
    pub(super) fn positions_per_turn(&self) -> u64 {
        self.positions_per_turn
    }

    /// How long the batches that are taken now were in the ring.
    #[inline]
    pub(super) fn batch_age(&self) -> u64 {
        self.taken.batch_age.get()
    }

    /// Adds a new entry; whether that made a batch full.
    #[inline(always)]
    pub(super) fn add(&self, local_batch: &LocalBatch, hash: u64, now: u64) -> bool {
        let len = local_batch.len.get();
        local_batch.fingerprints[len % MAX_BATCH].set(fingerprint::of(hash));
        local_batch.len.set(len + 1);
        let full = len + 1 >= self.batch;
        if full {
            self.put(local_batch, now);
        }
        full
    }

    /// Puts what a thread has collected into the ring, replacing the oldest if the ring is full.
    fn put(&self, local_batch: &LocalBatch, now: u64) {
        let len = local_batch.len.get().min(self.batch);
        local_batch.len.set(0);
        if self.times.is_empty() {
            return;
        }
        if self.batches() >= self.times.len() as u64 {
            self.take_oldest();
        }
        let nth = self.nth(self.put.add(1));
        for (to, from) in self.fingerprints(nth).iter().zip(&local_batch.fingerprints[..len]) {
            to.set(from.get());
        }
        self.times[nth].set(now + 1);
    }

    /// Takes the oldest batch, or else what the thread itself has collected: the hashes of those that
    /// came first, as far as they are known.
    pub(super) fn take<'a>(
        &'a self,
        local_batch: &'a LocalBatch,
        now: u64,
    ) -> impl Iterator<Item = u64> + 'a {
        let fingerprints = if let Some(nth) = self.take_oldest() {
            let time = self.times[nth].get();
            if time > 0 {
                self.times[nth].set(0);
                self.taken.batch_age.set((now + 1).saturating_sub(time));
            }
            self.fingerprints(nth)
        } else {
            let len = local_batch.len.get().min(MAX_BATCH);
            local_batch.len.set(0);
            &local_batch.fingerprints[..len]
        };
        fingerprints.iter().map(|fingerprint| fingerprint::hash(fingerprint.get()))
    }

    fn take_oldest(&self) -> Option<usize> {
        for _ in 0..MAX_TAKE_ATTEMPTS {
            let oldest = self.taken.batches.get();
            if oldest >= self.put.get() {
                break;
            }
            let taken = if seeded("policy-batch-by-store") {
                self.taken.batches.set(oldest + 1);
                true
            } else {
                self.taken.batches.try_set(oldest, oldest + 1)
            };
            if taken {
                return Some(self.nth(oldest));
            }
        }
        None
    }

    #[inline]
    fn fingerprints(&self, nth: usize) -> &[Relaxed<AtomicU32>] {
        &self.fingerprints[nth * self.batch..][..self.batch]
    }

    #[inline]
    fn nth(&self, batch: u64) -> usize {
        in_memory(batch) & (self.times.len() - 1)
    }
}
