//! One thread's part in the rounds of the hands.

use super::fingerprint;
use super::hand::ScanRange;
use super::incumbent::Incumbent;
use super::light_returns::LightReturns;
use super::probation_fifo::LocalBatch;
use super::tuning::BATCHES_PER_TURN;
use crate::slot_meta::SlotMeta;
use crate::sync::{AtomicU64, Relaxed};

/// What a thread keeps for itself, so that an eviction changes no word that others change, too: its
/// ranges of the two hands' rounds, what it saw there, and the misses that it has not reported yet.
/// Words of one writer; a thread that ends leaves them to the next one that takes its participant.
#[derive(Debug, Default)]
pub(crate) struct EvictionCursor {
    pub(super) probation: ScanRange,
    pub(super) protected: ScanRange,
    pub(super) local_batch: LocalBatch,
    pub(super) incumbent: Incumbent,
    pub(super) light_returns: LightReturns,
    unreported: Relaxed<AtomicU64>,
    turns: Relaxed<AtomicU64>,
    /// Entries that this thread put on probation, less those that it took from there, wrapping.
    on_probation: Relaxed<AtomicU64>,
}

impl EvictionCursor {
    /// Whether probation's hand goes on before the next batch of the FIFO is taken.
    #[inline]
    pub(super) fn is_turn_of_hand(&self) -> bool {
        let turns = self.turns.get() + 1;
        self.turns.set(turns % BATCHES_PER_TURN);
        turns == BATCHES_PER_TURN
    }

    /// The entry that was to go, and had this metadata, stays: it is looked at once more. Whether the hand went back.
    pub(crate) fn step_back(&self, meta: SlotMeta) -> bool {
        self.range_of(meta).step_back()
    }

    /// It is passed by.
    pub(crate) fn step(&self, meta: SlotMeta) {
        self.range_of(meta).step();
    }

    fn range_of(&self, meta: SlotMeta) -> &ScanRange {
        if meta.is_protected() { &self.protected } else { &self.probation }
    }

    /// Whether the thread has not evicted yet, nor promoted: nothing is known of what it looks at next.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.probation.is_empty() && self.protected.is_empty()
    }

    /// What is known of the hash of the entry that the next eviction looks at first.
    #[inline(always)]
    pub(crate) fn candidate(&self) -> Option<u64> {
        self.probation.hash()
    }

    /// Whether this may be the hash of it.
    #[inline(always)]
    pub(crate) fn is_candidate(&self, hash: u64) -> bool {
        self.candidate().is_some_and(|known| (known ^ hash) & fingerprint::MASK == 0)
    }

    /// A position or a hash in the bucket of the entry that comes after it.
    #[inline]
    pub(crate) fn candidate_after(&self) -> Option<u64> {
        self.probation.bucket_after()
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

    /// Counts entries that were put on probation, less those that left, wrapping.
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
