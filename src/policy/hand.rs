//! A hand: a position that walks round the table, stretch by stretch.

use super::arrivals::BATCH;
use super::face::{Face, Noted, Place};
use super::marks::{Marks, Region, Stage};
use super::rounds::Rounds;
use crate::sync::{AtomicU64, AtomicUsize, CachePadded, Relaxed, seeded};

/// Points on the face at which a hand notes the time.
const CHECKPOINTS: usize = 64;
/// Entries of which a thread knows where they are: a batch of arrivals at most.
const AHEAD: usize = BATCH;
/// Parts of a stretch that are surveyed one after the other.
const PARTS: u64 = 8;
/// Stretches that are taken for one entry.
const STRETCHES: u64 = 16;

/// Hands out the face to evictors, one stretch after the other, and notes when it passed the
/// checkpoints: so one knows how long ago the hand was last where it is now, without a word in each
/// entry.
#[derive(Debug)]
pub(super) struct Hand {
    at: CachePadded<Relaxed<AtomicU64>>,
    /// When the hand last came past each checkpoint.
    passed: [Relaxed<AtomicU64>; CHECKPOINTS],
}

/// What a thread has taken of a hand's round, or of the arrivals: where the next entries are, and the
/// part of the stretch that it has not surveyed yet. Used by its thread alone, so a step costs no locked
/// instruction. What lies there waits while the thread does something else; the hand comes by again.
#[derive(Debug, Default)]
pub(super) struct Stretch {
    at: Relaxed<AtomicU64>,
    left: Relaxed<AtomicU64>,
    ahead: [Relaxed<AtomicU64>; AHEAD],
    /// Zero if the thread has places ahead, or else what is known of the hashes that it has.
    known: Relaxed<AtomicU64>,
    next: Relaxed<AtomicUsize>,
    end: Relaxed<AtomicUsize>,
}

#[inline]
fn checkpoint(place: u64) -> usize {
    (place >> (u64::BITS - CHECKPOINTS.trailing_zeros())) as usize
}

impl Hand {
    pub(super) fn new() -> Self {
        Self {
            at: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            passed: std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)),
        }
    }

    /// The entry of the hand's region that the thread stands before, on its stretch or on those after
    /// it. `None` if there is none within a bounded part of the round.
    #[inline]
    pub(super) fn meet<F: Face>(
        &self,
        face: &F,
        region: Region,
        rounds: &Rounds,
        now: u64,
    ) -> Option<F::Slot> {
        let stretch = rounds.stretch(region);
        if let Some(slot) = stretch.meet(face, region) {
            return Some(slot);
        }
        self.go_on(face, region, rounds, now)
    }

    /// Surveys so many places of the thread's stretch.
    pub(super) fn survey_part<F: Face>(
        &self,
        face: &F,
        region: Region,
        rounds: &Rounds,
        now: u64,
        places: u64,
    ) {
        let (length, stretch) = (face.stretch(), rounds.stretch(region));
        if stretch.left.get() == 0 {
            stretch.at.set(self.claim(length, now).0);
            stretch.left.set(length);
        }
        stretch.survey(face, region, stretch.left.get().min(places));
    }

    /// Surveys what is left of the thread's stretch, and the next ones, part by part, until an entry is
    /// found.
    #[inline(never)]
    pub(super) fn go_on<F: Face>(
        &self,
        face: &F,
        region: Region,
        rounds: &Rounds,
        now: u64,
    ) -> Option<F::Slot> {
        let length = face.stretch();
        // The rest of a stretch, and at most once round.
        let stretches = STRETCHES.min(2 << length.leading_zeros()) + 1;
        let places = (length / PARTS).max(1);
        for _ in 0..stretches * PARTS {
            self.survey_part(face, region, rounds, now, places);
            let slot = rounds.stretch(region).meet(face, region);
            if slot.is_some() {
                return slot;
            }
        }
        None
    }

    /// The beginning of the next stretch of this length, which belongs to the caller.
    #[inline]
    pub(super) fn claim(&self, length: u64, now: u64) -> Place {
        let from = if seeded("policy-hand-unclaimed") {
            let from = self.at.get();
            self.at.set(from.wrapping_add(length));
            from
        } else {
            self.at.add(length)
        };
        // A longer stretch than the last one, as the table has shrunk, begins where one of its length does.
        let from = from & !(length - 1);
        let (mut nth, end) = (checkpoint(from), checkpoint(from.wrapping_add(length)));
        while nth != end {
            nth = (nth + 1) % CHECKPOINTS;
            self.passed[nth].set(now);
        }
        Place(from)
    }

    /// How long a round takes: the time since the hand last came past the checkpoint that it comes
    /// to next.
    #[inline]
    pub(super) fn age(&self, now: u64) -> u64 {
        let next = (checkpoint(self.at.get()) + 1) % CHECKPOINTS;
        now.saturating_sub(self.passed[next].get())
    }
}

impl Stretch {
    /// The entry that the thread stands before, if it has one ahead.
    #[inline]
    pub(super) fn meet<F: Face>(&self, face: &F, region: Region) -> Option<F::Slot> {
        let known = self.known.get();
        while self.next.get() < self.end.get() {
            let ahead = self.ahead[self.next.get()].get();
            let slot = match known {
                0 => face.look(region, Place(ahead)),
                known => face.recall(region, ahead, known),
            };
            if slot.is_some() {
                return slot;
            }
            self.step();
        }
        None
    }

    /// Has the entries with these hashes ahead, of which some bits are known.
    pub(super) fn see(&self, known: u64, hashes: impl Iterator<Item = u64>) {
        let mut end = 0;
        for (hash, ahead) in hashes.zip(&self.ahead) {
            ahead.set(hash);
            end += 1;
        }
        self.known.set(known);
        self.next.set(0);
        self.end.set(end);
    }

    /// The place or the hash after so many others.
    #[inline]
    fn ahead(&self, after: usize) -> Option<u64> {
        let nth = self.next.get() + after;
        (nth < self.end.get()).then(|| self.ahead[nth % AHEAD].get())
    }

    /// The hash of the entry that the thread stands before, as far as it is known.
    #[inline]
    pub(super) fn hash(&self) -> Option<u64> {
        self.ahead(0).filter(|_| self.known.get() != 0)
    }

    /// The place or the hash of the entry after that, either of which says where its bucket is.
    #[inline]
    pub(super) fn bucket_after(&self) -> Option<u64> {
        self.ahead(1)
    }

    /// Leaves the entry behind that the thread stands before.
    #[inline]
    pub(super) fn step(&self) {
        self.next.set(self.next.get() + 1);
    }

    /// Looks at the next `length` places of the stretch, as far as it can keep what is there. Young entries that
    /// were not read become old and are passed by: the hand comes to them in the next round.
    fn survey<F: Face>(&self, face: &F, region: Region, length: u64) {
        let (at, left) = (self.at.get(), self.left.get());
        let mut end = 0;
        let behind = face.survey(region, Place(at), length, |place, marks| {
            if marks == Marks::NEW {
                return Noted::Marked(Marks::new(Stage::Old, 0));
            }
            if end == AHEAD {
                return Noted::Enough;
            }
            self.ahead[end].set(place.0);
            end += 1;
            Noted::Seen
        });
        self.known.set(0);
        self.next.set(0);
        self.end.set(end);
        self.at.set(at.wrapping_add(behind));
        self.left.set(left - behind);
    }
}
