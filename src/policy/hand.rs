//! A hand: a position that goes round the table, range by range.

use super::entries::{Entries, ScanPosition};
use super::tuning::{CHECKPOINTS, MAX_AHEAD, MAX_RANGES, PARTS_PER_RANGE};
use crate::narrow::in_memory;
use crate::slot_meta::{Region, ScanStep, SlotMeta, Stage};
use crate::sync::{AtomicU64, AtomicUsize, CachePadded, Relaxed, seeded};

/// Hands out the table to evictors, one range after the other, and notes when it passed the checkpoints: that tells
/// how long ago the hand was last where it is now, without a word in each entry.
#[derive(Debug)]
pub(super) struct Hand {
    at: CachePadded<Relaxed<AtomicU64>>,
    /// When the hand last passed each checkpoint.
    passed: [Relaxed<AtomicU64>; CHECKPOINTS],
}

/// What a thread has taken of a hand's round, or of the FIFO: where the next entries are, and the
/// part of the range that it has not scanned yet. Used by its thread alone, so a step costs no locked
/// instruction. Entries there wait while the thread does something else; the hand passes again.
#[derive(Debug, Default)]
pub(super) struct ScanRange {
    at: Relaxed<AtomicU64>,
    remaining: Relaxed<AtomicU64>,
    ahead: [Relaxed<AtomicU64>; MAX_AHEAD],
    /// Zero if the thread has positions ahead, or else what is known of the hashes that it has.
    mask: Relaxed<AtomicU64>,
    next: Relaxed<AtomicUsize>,
    end: Relaxed<AtomicUsize>,
}

#[inline]
fn checkpoint(position: u64) -> usize {
    in_memory(position >> (u64::BITS - CHECKPOINTS.trailing_zeros()))
}

/// What a snapshot has of a hand.
#[cfg(feature = "persist")]
#[derive(Debug, Clone)]
pub(crate) struct SavedHand {
    pub(crate) at: u64,
    /// How long ago it passed each checkpoint, in misses.
    pub(crate) ages: Vec<u64>,
}

impl Hand {
    pub(super) fn new() -> Self {
        Self {
            at: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            passed: std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)),
        }
    }

    /// The thread's current entry of the region, in its range or in those after it. `None` if there is none within a
    /// bounded part of the round.
    #[inline]
    pub(super) fn current<E: Entries>(
        &self,
        entries: &E,
        region: Region,
        range: &ScanRange,
        now: u64,
    ) -> Option<E::Slot> {
        if let Some(slot) = range.current(entries, region) {
            return Some(slot);
        }
        self.find_next(entries, region, range, now)
    }

    /// Scans `positions` positions of the thread's range.
    pub(super) fn scan_part<E: Entries>(
        &self,
        entries: &E,
        region: Region,
        range: &ScanRange,
        now: u64,
        positions: u64,
    ) {
        let length = entries.range_length();
        if range.remaining.get() == 0 {
            range.at.set(self.claim(length, now).0);
            range.remaining.set(length);
        }
        range.scan(entries, region, range.remaining.get().min(positions));
    }

    /// Scans what is left of the thread's range, and the next ones, part by part, until an entry is
    /// found.
    #[inline(never)]
    pub(super) fn find_next<E: Entries>(
        &self,
        entries: &E,
        region: Region,
        range: &ScanRange,
        now: u64,
    ) -> Option<E::Slot> {
        let length = entries.range_length();
        // The rest of a range, and at most once round.
        let ranges = MAX_RANGES.min(2 << length.leading_zeros()) + 1;
        let positions = (length / PARTS_PER_RANGE).max(1);
        for _ in 0..ranges * PARTS_PER_RANGE {
            self.scan_part(entries, region, range, now, positions);
            let slot = range.current(entries, region);
            if slot.is_some() {
                return slot;
            }
        }
        None
    }

    /// The beginning of the next range of this length, which belongs to the caller.
    #[inline]
    pub(super) fn claim(&self, length: u64, now: u64) -> ScanPosition {
        let from = if seeded("policy-hand-unclaimed") {
            let from = self.at.get();
            self.at.set(from.wrapping_add(length));
            from
        } else {
            self.at.add(length)
        };
        // A longer range than the last one, as the table has shrunk, begins where one of its length does.
        let from = from & !(length - 1);
        let (mut nth, end) = (checkpoint(from), checkpoint(from.wrapping_add(length)));
        while nth != end {
            nth = (nth + 1) % CHECKPOINTS;
            self.passed[nth].set(now);
        }
        ScanPosition(from)
    }

    /// Where it is, and how long ago it passed each checkpoint.
    #[cfg(feature = "persist")]
    pub(super) fn saved(&self, now: u64) -> SavedHand {
        let ages = self.passed.iter().map(|passed| now.saturating_sub(passed.get()));
        SavedHand { at: self.at.get(), ages: ages.collect() }
    }

    /// Goes on from there.
    #[cfg(feature = "persist")]
    pub(super) fn restore(&self, saved: &SavedHand, now: u64) {
        self.at.set(saved.at);
        for (passed, age) in self.passed.iter().zip(&saved.ages) {
            passed.set(now.saturating_sub(*age));
        }
    }

    /// How far it is from the hand to the bucket of a hash, as a part of 2^64.
    #[inline]
    pub(super) fn distance_to(&self, hash: u64) -> u64 {
        hash.wrapping_sub(self.at.get())
    }

    /// How long a round takes: the time since the hand last passed the checkpoint that it will pass
    /// next.
    #[inline]
    pub(super) fn age(&self, now: u64) -> u64 {
        let next = (checkpoint(self.at.get()) + 1) % CHECKPOINTS;
        now.saturating_sub(self.passed[next].get())
    }
}

impl ScanRange {
    /// The thread's current entry, if it has one ahead.
    #[inline(always)]
    pub(super) fn current<E: Entries>(&self, entries: &E, region: Region) -> Option<E::Slot> {
        let mask = self.mask.get();
        while self.next.get() < self.end.get() {
            let ahead = self.ahead[self.next.get()].get();
            let slot = match mask {
                0 => entries.get_at(region, ScanPosition(ahead)),
                mask => entries.find_by_fingerprint(region, ahead, mask),
            };
            if slot.is_some() {
                return slot;
            }
            self.step();
        }
        None
    }

    /// Has the entries with these hashes ahead, of which some bits are known.
    pub(super) fn set_ahead(&self, mask: u64, hashes: impl Iterator<Item = u64>) {
        let mut end = 0;
        for (hash, ahead) in hashes.zip(&self.ahead) {
            ahead.set(hash);
            end += 1;
        }
        self.mask.set(mask);
        self.next.set(0);
        self.end.set(end);
    }

    /// Whether nothing was put ahead.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.end.get() == 0
    }

    /// The position or the hash after `after` others.
    #[inline]
    fn ahead(&self, after: usize) -> Option<u64> {
        let nth = self.next.get() + after;
        (nth < self.end.get()).then(|| self.ahead[nth % MAX_AHEAD].get())
    }

    /// The hash of the thread's current entry, as far as it is known.
    #[inline]
    pub(super) fn hash(&self) -> Option<u64> {
        self.ahead(0).filter(|_| self.mask.get() != 0)
    }

    /// The position or the hash of the entry after that, either of which says where its bucket is.
    #[inline]
    pub(super) fn bucket_after(&self) -> Option<u64> {
        self.ahead(1)
    }

    /// Goes on to the next entry.
    #[inline]
    pub(super) fn step(&self) {
        self.next.set(self.next.get() + 1);
    }

    /// Goes back to the entry before, if that is known: it is not where what is ahead was found after it.
    #[cold]
    pub(super) fn step_back(&self) -> bool {
        let next = self.next.get();
        let knows = next > 0 && !seeded("policy-victim-passed-by");
        self.next.set(next - usize::from(knows));
        knows
    }

    /// Looks at the next `length` positions of the range, as far as it can keep what is there. Young entries that
    /// were not read become old and are skipped: the hand returns to them in the next round.
    fn scan<E: Entries>(&self, entries: &E, region: Region, length: u64) {
        let (at, remaining) = (self.at.get(), self.remaining.get());
        let mut end = 0;
        let behind = entries.scan(region, ScanPosition(at), length, |position, meta| {
            if meta == SlotMeta::NEW {
                return ScanStep::Mark(SlotMeta::new(Stage::Old, 0));
            }
            if end == MAX_AHEAD {
                return ScanStep::Stop;
            }
            self.ahead[end].set(position.0);
            end += 1;
            ScanStep::Keep
        });
        self.mask.set(0);
        self.next.set(0);
        self.end.set(end);
        self.at.set(at.wrapping_add(behind));
        self.remaining.set(remaining - behind);
    }
}
