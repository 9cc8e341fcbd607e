//! One thread's part in the rounds of the hands.

use super::eviction::MIN_FREQUENCY_LEAD;
use super::hand::ScanRange;
use super::probation_fifo::LocalBatch;
use super::worth::Worth;
use crate::slot_meta::Region;
use crate::sync::{AtomicU64, Relaxed};

/// What a thread keeps for itself, so that an eviction changes no word that others change, too: its
/// stretches of the two hands' rounds, what it saw there, and the misses that it has not reported yet.
/// Words of one writer; a thread that ends leaves them to the next one that takes its seat.
#[derive(Debug, Default)]
pub(crate) struct EvictionCursor {
    pub(super) probation: ScanRange,
    pub(super) protected: ScanRange,
    pub(super) local_batch: LocalBatch,
    pub(super) incumbent: Incumbent,
    unreported: Relaxed<AtomicU64>,
    turns: Relaxed<AtomicU64>,
    /// Entries that this thread brought on probation, less those that it took from there, wrapping.
    on_probation: Relaxed<AtomicU64>,
}

/// Batches of arrivals that are taken for one turn of probation's hand.
pub(super) const BATCHES_PER_TURN: u64 = 8;

impl EvictionCursor {
    /// Whether probation's hand goes on before the next arrivals are looked at.
    #[inline]
    pub(super) fn is_turn_of_hand(&self) -> bool {
        let turns = self.turns.get() + 1;
        self.turns.set(turns % BATCHES_PER_TURN);
        turns == BATCHES_PER_TURN
    }

    #[inline]
    pub(super) fn range(&self, region: Region) -> &ScanRange {
        match region {
            Region::Probation => &self.probation,
            Region::Protected => &self.protected,
        }
    }

    /// What is known of the hash of the entry that the next eviction looks at first.
    #[inline]
    pub(crate) fn candidate(&self) -> Option<u64> {
        self.probation.hash()
    }

    /// A place or a hash in the bucket of the entry that comes after it.
    #[inline]
    pub(crate) fn candidate_after(&self) -> Option<u64> {
        self.probation.bucket_after()
    }

    /// The same for the protected part.
    #[inline]
    pub(crate) fn incumbent_after(&self) -> Option<u64> {
        self.protected.bucket_after()
    }

    /// Counts a miss, and reports when there are `report_interval` of them.
    #[inline]
    pub(super) fn miss(&self, misses: &Relaxed<AtomicU64>, report_interval: u64) {
        let unreported = self.unreported.get() + 1;
        if unreported < report_interval {
            self.unreported.set(unreported);
            return;
        }
        self.unreported.set(0);
        misses.add(unreported);
    }

    /// Counts entries that came on probation, or less, wrapping.
    #[inline]
    pub(super) fn add_on_probation(&self, by: u64) {
        self.on_probation.set(self.on_probation.get().wrapping_add(by));
    }

    /// What this thread adds to the entries on probation, wrapping.
    pub(crate) fn on_probation(&self) -> u64 {
        self.on_probation.get()
    }

    /// Misses that only this thread knows of.
    #[inline]
    pub(super) fn unreported(&self) -> u64 {
        self.unreported.get()
    }
}

/// Candidates that are compared with what was seen of the entry at the protected hand, until the thread
/// looks at it again.
const MAX_COMPARISONS: u64 = 4;

/// What a thread saw of the entry at the protected hand when it looked last.
#[derive(Debug, Default)]
pub(crate) struct Incumbent {
    /// Zero if it was read, one if it was not, and two more than how often it had been heard of if it stayed.
    seen: Relaxed<AtomicU64>,
    comparisons_left: Relaxed<AtomicU64>,
    /// Where entries differ in worth: the last one that was worth more than a candidate.
    frequency: Relaxed<AtomicU64>,
    cost: Relaxed<AtomicU64>,
    weight: Relaxed<AtomicU64>,
}

impl Incumbent {
    /// It was worth more than a candidate.
    #[inline]
    pub(super) fn set_worth(&self, worth: Worth) {
        self.frequency.set(worth.frequency);
        self.cost.set(worth.cost);
        self.weight.set(worth.weight);
        self.comparisons_left.set(MAX_COMPARISONS);
    }

    /// What the last one was worth that was worth more than a candidate.
    #[inline]
    pub(super) fn worth(&self) -> Worth {
        Worth { frequency: self.frequency.get(), cost: self.cost.get(), weight: self.weight.get() }
    }

    /// Whether it was worth more than this candidate, too, as few before it were compared with it. Saves a look at
    /// another entry.
    #[inline]
    pub(super) fn is_worth_more(&self, candidate: Worth) -> bool {
        let comparisons_left = self.comparisons_left.get();
        if comparisons_left == 0 {
            return false;
        }
        let is_more = self.worth().exceeds(candidate, 1);
        self.comparisons_left.set(if is_more { comparisons_left - 1 } else { 0 });
        is_more
    }

    /// The hand came to an entry that was not read, or found all read.
    #[inline]
    pub(super) fn observe(&self, unread: bool) {
        self.seen.set(u64::from(unread));
    }

    /// It won over a candidate, being known so well.
    #[inline]
    pub(super) fn won(&self, frequency: u64) {
        self.seen.set(2 + frequency);
        self.comparisons_left.set(MAX_COMPARISONS);
    }

    #[inline]
    pub(super) fn is_unread(&self) -> bool {
        self.seen.get() > 0
    }

    /// Whether it would stay beside this candidate, too: nobody was heard of less often than a moment
    /// ago. Saves a look at the entry.
    #[inline]
    pub(super) fn is_better(&self, candidate: u64) -> bool {
        let (seen, comparisons_left) = (self.seen.get(), self.comparisons_left.get());
        if seen < 2 || comparisons_left == 0 {
            return false;
        }
        self.comparisons_left.set(comparisons_left - 1);
        (candidate..candidate + MIN_FREQUENCY_LEAD).contains(&(seen - 2))
    }
}
