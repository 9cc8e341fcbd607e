//! One thread's credit.
//!
//! ```text
//!   63       62                               0
//!   +--------+--------------------------------+
//!   | LISTED | credit                         |
//!   +--------+--------------------------------+
//! ```
//!
//! | state | meaning |
//! |---|---|
//! | zero | holds nothing and is not in the ledger's count of listed stripes |
//! | LISTED, any credit | counted; may hold credit |
//!
//! | change | by |
//! |---|---|
//! | set LISTED | the owner, after it has added one to the count |
//! | more credit, while LISTED | the owner |
//! | less credit | the owner or a sweep |
//! | to zero | a sweep that leaves nothing behind, which then takes one off the count |

use crate::sync::{AtomicU64, Ordering, seeded};

const LISTED: u64 = 1 << 63;
const CREDIT: u64 = LISTED - 1;
const _: () = assert!(LISTED | CREDIT == u64::MAX && LISTED & CREDIT == 0);

/// One thread's credit with one ledger.
///
/// It lies in the thread's seat in the cache, not in thread-local storage, so the credit of a thread
/// that ended is not lost. It is not padded: the seat is, and a thread's stripes of several ledgers
/// may share its line. Two threads that share a stripe are slower, not wrong.
#[derive(Debug)]
pub(crate) struct Stripe(AtomicU64);

impl Default for Stripe {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

/// What became of an attempt to put units on a stripe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    Kept,
    /// The stripe would hold more than it may.
    Full,
    /// Not in the count.
    Unlisted,
}

/// What a sweep got from a stripe.
#[derive(Debug)]
pub(super) struct Haul {
    pub(super) units: u64,
    /// The stripe is not listed any more: the sweep takes it off the count.
    pub(super) unlisted: bool,
}

impl Stripe {
    /// A stripe without credit.
    #[inline]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The credit now, for observers and as a hint.
    #[inline]
    pub(super) fn credit(&self) -> u64 {
        // ORDERING L-h: Acquire: an observer's later loads are no older than this one; pairs with
        // the exchange in `swap`.
        self.0.load(Ordering::Acquire) & CREDIT
    }

    /// Whether a sweep can pass by.
    #[inline]
    pub(super) fn is_blank(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint; whoever wants units and misses those that are being put
        // here now could have come a moment earlier.
        self.0.load(Ordering::Relaxed) == 0
    }

    /// The owner takes up to `wanted`. The stripe stays listed.
    #[inline]
    pub(super) fn take_up_to(&self, wanted: u64) -> u64 {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let part = (word & CREDIT).min(wanted);
            if part == 0 {
                return 0;
            }
            match self.swap(word, word - part) {
                Ok(()) => return part,
                Err(seen) => word = seen,
            }
        }
    }

    /// Another thread takes up to `wanted`.
    ///
    /// It changes the word even if there is nothing to take: a resize relies on having met the owner
    /// here.
    pub(super) fn steal(&self, wanted: u64) -> Haul {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let units = (word & CREDIT).min(wanted);
            let rest = word - units;
            let next = if rest & CREDIT == 0 { 0 } else { rest };
            if seeded("ledger-steal-by-store") {
                self.0.store(next, Ordering::Release);
                return Haul { units, unlisted: word & !next & LISTED != 0 };
            }
            match self.swap(word, next) {
                Ok(()) => return Haul { units, unlisted: word & !next & LISTED != 0 },
                Err(seen) => word = seen,
            }
        }
    }

    /// The owner puts `units` here, if that leaves no more than `most`.
    pub(super) fn put(&self, units: u64, most: u64) -> Put {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & LISTED == 0 {
                return Put::Unlisted;
            }
            if (word & CREDIT).saturating_add(units) > most.min(CREDIT) {
                return Put::Full;
            }
            match self.swap(word, word + units) {
                Ok(()) => return Put::Kept,
                Err(seen) => word = seen,
            }
        }
    }

    /// Marks the stripe as counted; false if it was already.
    #[inline]
    pub(super) fn list(&self) -> bool {
        // ORDERING L-d: AcqRel: the count was raised before, which whoever unlists must see; pairs
        // with the exchange in `swap`.
        self.0.fetch_or(LISTED, Ordering::AcqRel) & LISTED == 0
    }

    #[inline]
    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        // ORDERING L-c: AcqRel on success. Release: hands over what made the units (see
        // `Pool::put`), and a shrink's target to an owner that puts units here later. Acquire: the
        // counterpart of both, and of `list`. Outcomes: the owner and a sweep meet on this word,
        // and the second of them sees what the first has left. Relaxed on failure: the value is
        // only tried again.
        let exchange =
            if seeded("ledger-stripe-relaxed") { Ordering::Relaxed } else { Ordering::AcqRel };
        self.0.compare_exchange(from, to, exchange, Ordering::Relaxed).map(drop)
    }
}
