//! One thread's part in the rounds of the hands.

use super::face::Place;
use super::hand::Stretch;
use super::marks::Region;
use crate::sync::{AtomicU64, Relaxed};

/// What a thread keeps for itself, so that an eviction changes no word that others change, too: its
/// stretches of the two hands' rounds, and the misses that it has not reported yet. Words of one
/// writer; a thread that ends leaves them to the next one that takes its seat.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    pub(super) probation: Stretch,
    pub(super) protected: Stretch,
    unreported: Relaxed<AtomicU64>,
}

impl Rounds {
    #[inline]
    pub(super) fn stretch(&self, region: Region) -> &Stretch {
        match region {
            Region::Probation => &self.probation,
            Region::Protected => &self.protected,
        }
    }

    /// Where the next evictions will look.
    #[inline]
    pub(crate) fn ahead(&self) -> impl Iterator<Item = Place> {
        self.probation.ahead().chain(self.protected.ahead())
    }

    /// Counts a miss, and reports when there are `pace` of them; whether it did.
    #[inline]
    pub(super) fn miss(&self, misses: &Relaxed<AtomicU64>, pace: u64) -> bool {
        let unreported = self.unreported.get() + 1;
        if unreported < pace {
            self.unreported.set(unreported);
            return false;
        }
        self.unreported.set(0);
        misses.add(unreported);
        true
    }

    /// Misses that only this thread knows of.
    #[inline]
    pub(super) fn unreported(&self) -> u64 {
        self.unreported.get()
    }
}
