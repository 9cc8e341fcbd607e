//! One thread's part in the rounds of the hands.

use super::arrivals::Collected;
use super::hand::Stretch;
use super::marks::Region;
use super::verdict::KNOWN_BETTER;
use super::worth::Worth;
use crate::sync::{AtomicU64, Relaxed};

/// What a thread keeps for itself, so that an eviction changes no word that others change, too: its
/// stretches of the two hands' rounds, what it saw there, and the misses that it has not reported yet.
/// Words of one writer; a thread that ends leaves them to the next one that takes its seat.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(super) probation: Stretch,
    pub(super) protected: Stretch,
    pub(super) collected: Collected,
    pub(super) sitter: Sitter,
    unreported: Relaxed<AtomicU64>,
    turns: Relaxed<AtomicU64>,
    /// Entries that this thread brought on probation, less those that it took from there, wrapping.
    on_probation: Relaxed<AtomicU64>,
}

/// Batches of arrivals that are taken for one turn of probation's hand.
pub(super) const TURNS: u64 = 8;

impl Rounds {
    /// Whether probation's hand goes on before the next arrivals are looked at.
    #[inline]
    pub(super) fn is_turn_of_hand(&self) -> bool {
        let turns = self.turns.get() + 1;
        self.turns.set(turns % TURNS);
        turns == TURNS
    }

    #[inline]
    pub(super) fn stretch(&self, region: Region) -> &Stretch {
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
    pub(crate) fn sitter_after(&self) -> Option<u64> {
        self.protected.bucket_after()
    }

    /// Counts a miss, and reports when there are `pace` of them.
    #[inline]
    pub(super) fn miss(&self, misses: &Relaxed<AtomicU64>, pace: u64) {
        let unreported = self.unreported.get() + 1;
        if unreported < pace {
            self.unreported.set(unreported);
            return;
        }
        self.unreported.set(0);
        misses.add(unreported);
    }

    /// Counts entries that came on probation, or less, wrapping.
    #[inline]
    pub(super) fn shift(&self, by: u64) {
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
const TRUSTED: u64 = 4;

/// What a thread saw of the entry at the protected hand when it looked last.
#[derive(Debug, Default)]
pub(crate) struct Sitter {
    /// Zero if it was read, one if it was not, and two more than how often it had been heard of if it stayed.
    seen: Relaxed<AtomicU64>,
    trusted: Relaxed<AtomicU64>,
    /// Where entries differ in worth: the last one that was worth more than a candidate.
    frequency: Relaxed<AtomicU64>,
    cost: Relaxed<AtomicU64>,
    weight: Relaxed<AtomicU64>,
}

impl Sitter {
    /// It was worth more than a candidate.
    #[inline]
    pub(super) fn was_worth(&self, worth: Worth) {
        self.frequency.set(worth.frequency);
        self.cost.set(worth.cost);
        self.weight.set(worth.weight);
        self.trusted.set(TRUSTED);
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
        let trusted = self.trusted.get();
        if trusted == 0 {
            return false;
        }
        let is_more = self.worth().exceeds(candidate, 1);
        self.trusted.set(if is_more { trusted - 1 } else { 0 });
        is_more
    }

    /// The hand came to an entry that was not read, or found all read.
    #[inline]
    pub(super) fn found(&self, unread: bool) {
        self.seen.set(u64::from(unread));
    }

    /// It won over a candidate, being known so well.
    #[inline]
    pub(super) fn stays(&self, known: u64) {
        self.seen.set(2 + known);
        self.trusted.set(TRUSTED);
    }

    #[inline]
    pub(super) fn is_unread(&self) -> bool {
        self.seen.get() > 0
    }

    /// Whether it would stay beside this candidate, too: nobody was heard of less often than a moment
    /// ago. Saves a look at the entry.
    #[inline]
    pub(super) fn is_better(&self, candidate: u64) -> bool {
        let (seen, trusted) = (self.seen.get(), self.trusted.get());
        if seen < 2 || trusted == 0 {
            return false;
        }
        self.trusted.set(trusted - 1);
        (candidate..candidate + KNOWN_BETTER).contains(&(seen - 2))
    }
}
