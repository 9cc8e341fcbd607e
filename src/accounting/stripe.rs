//! One thread's credit.
//!
//! ```text
//!   63       62                               0          63 62                    0
//!   +--------+--------------------------------+          +--+---------------------+
//!   | LISTED | lent, modulo 2^63              |          |  | spent, modulo 2^63  |
//!   +--------+--------------------------------+          +--+---------------------+
//! ```
//!
//! The credit is what was lent less what was spent.
//!
//! | state | meaning |
//! |---|---|
//! | not LISTED | holds nothing and is not in the ledger's count of listed stripes |
//! | LISTED, any credit | counted; may hold credit |
//!
//! | change | by |
//! |---|---|
//! | set LISTED | the owner, after it has added one to the count |
//! | lend more, while LISTED | the owner |
//! | lend less | the owner or a sweep |
//! | lend less, and not LISTED | a sweep that leaves nothing behind, which then takes one off the count; not where the owner spends without an exchange, as what was taken may have to be given back |
//! | spend more | the owner, with no exchange |
//!
//! # Spending without an exchange
//!
//! Taking credit is an exchange, as others may take it, too. The owner can do without one where it is *fenced*, that is,
//! where others see that it is here since before a full fence: as the pin of a thread is seen. Then it may spend once, and
//! no more than its *allowance*, a number that stands since before the fence.
//!
//! A sweep takes first, then fences, and then looks whether the owner is here. If it is not, it will see what was taken
//! when it comes. If it is, it may not have seen that: so the sweep leaves it its allowance, or gives that back. So
//! one who sleeps keeps no more than one operation needs, and one who is not here keeps nothing.

use crate::sync::{AtomicU64, Ordering, fence, seeded};

const LISTED: u64 = 1 << 63;
const LENT: u64 = LISTED - 1;
/// The most that a stripe may hold. More looks as if more had been spent than was lent.
const MOST: u64 = LENT / 2;
const _: () = assert!(LISTED | LENT == u64::MAX && LISTED & LENT == 0);

/// What is left of what a word says was lent. Nothing while a sweep has taken too much.
#[inline]
fn left(word: u64, spent: u64) -> u64 {
    let left = word.wrapping_sub(spent) & LENT;
    if left > MOST { 0 } else { left }
}

/// A word that lends so much less, or more.
#[inline]
fn less(word: u64, units: u64) -> u64 {
    word & LISTED | word.wrapping_sub(units) & LENT
}

#[inline]
fn more(word: u64, units: u64) -> u64 {
    word & LISTED | word.wrapping_add(units) & LENT
}

/// One thread's credit with one ledger.
///
/// It lies in the thread's seat in the cache, not in thread-local storage, so the credit of a thread
/// that ended is not lost. It is not padded: the seat is, and a thread's stripes of several ledgers
/// may share its line. Two threads that share a stripe are slower, not wrong.
#[derive(Debug)]
pub(crate) struct Stripe {
    word: AtomicU64,
    spent: AtomicU64,
    allowance: AtomicU64,
}

/// A stripe as others see it.
pub(crate) trait Credit<'s> {
    fn stripe(&self) -> &'s Stripe;

    /// Whether the owner may be spending now. None if it never does without an exchange.
    fn is_fenced(&self) -> Option<bool>;
}

impl<'s> Credit<'s> for &'s Stripe {
    fn stripe(&self) -> &'s Stripe {
        self
    }

    fn is_fenced(&self) -> Option<bool> {
        None
    }
}

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
        Self { word: AtomicU64::new(0), spent: AtomicU64::new(0), allowance: AtomicU64::new(0) }
    }

    /// The credit now, for observers and as a hint.
    #[inline]
    pub(super) fn credit(&self) -> u64 {
        // ORDERING L-h: Acquire: an observer's later loads are no older than this one; pairs with
        // the exchange in `swap`.
        let word = self.word.load(Ordering::Acquire);
        left(word, self.spent())
    }

    #[inline]
    fn spent(&self) -> u64 {
        // ORDERING L-j: Acquire: pairs with `spend`.
        self.spent.load(Ordering::Acquire)
    }

    /// What the owner may spend without an exchange when it is fenced the next time. Called by the owner.
    #[inline]
    pub(crate) fn allowance(&self) -> u64 {
        // ORDERING S-o: Relaxed: only the owner writes it.
        self.allowance.load(Ordering::Relaxed)
    }

    /// Sets what the owner may spend from the next time on. Called by the owner.
    #[inline]
    pub(crate) fn set_allowance(&self, units: u64) {
        if self.allowance() != units {
            // ORDERING L-j: Release: what was spent before; pairs with the load in `steal`.
            self.allowance.store(units, Ordering::Release);
        }
    }

    /// The owner spends, if it has so much. Only where it is fenced, only once there, and no more than its
    /// allowance was before.
    #[inline]
    pub(super) fn spend(&self, units: u64) -> bool {
        // ORDERING S-o: Relaxed: only the owner writes it.
        let spent = self.spent.load(Ordering::Relaxed);
        // ORDERING L-k: Acquire: what made the units; after the owner's fence, so a sweep that has not seen the owner
        // is seen here; pairs with the fence in `steal`.
        if left(self.word.load(Ordering::Acquire), spent) < units {
            return false;
        }
        // ORDERING L-j: Release: before the owner leaves, and before it changes its allowance; pairs with `spent`.
        self.spent.store(spent.wrapping_add(units) & LENT, Ordering::Release);
        true
    }

    /// Whether a sweep can pass by.
    #[inline]
    pub(super) fn is_blank(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint; whoever wants units and misses those that are being put
        // here now could have come a moment earlier.
        self.word.load(Ordering::Relaxed) & LISTED == 0
    }

    /// The owner takes up to `wanted`. The stripe stays listed.
    #[inline]
    pub(super) fn take_up_to(&self, wanted: u64) -> u64 {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let part = left(word, self.spent()).min(wanted);
            if part == 0 {
                return 0;
            }
            match self.swap(word, less(word, part)) {
                Ok(()) => return part,
                Err(seen) => word = seen,
            }
        }
    }

    /// Another thread takes up to `wanted`, and leaves what the owner may be spending.
    ///
    /// It changes the word even if there is nothing to take: a resize relies on having met the owner
    /// here.
    pub(super) fn steal(&self, wanted: u64, is_fenced: impl Fn() -> Option<bool>) -> Haul {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let fenced = is_fenced();
            let (kept, spent) = (self.kept(fenced), self.spent());
            let free = left(word, spent);
            let units = free.saturating_sub(kept).min(wanted);
            // Where the owner may spend, what was taken may have to be given back: it stays listed.
            let ends = units == free && fenced.is_none();
            let next = if ends { less(word, units) & LENT } else { less(word, units) };
            if seeded("ledger-steal-by-store") {
                self.word.store(next, Ordering::Release);
                return Haul { units, unlisted: word & !next & LISTED != 0 };
            }
            match self.swap(word, next) {
                Ok(()) if fenced.is_none() => {
                    return Haul { units, unlisted: word & !next & LISTED != 0 };
                }
                Ok(()) if units == 0 => return Haul { units, unlisted: false },
                Ok(()) => return self.look_again(units, is_fenced),
                Err(seen) => word = seen,
            }
        }
    }

    /// What a sweep leaves to the owner.
    fn kept(&self, fenced: Option<bool>) -> u64 {
        if fenced != Some(true) || seeded("ledger-steal-all") {
            return 0;
        }
        // ORDERING L-j: Acquire: if it is another one than before, the owner has spent already; pairs with `set_allowance`.
        self.allowance.load(Ordering::Acquire)
    }

    /// Gives back what the owner may have spent in the moment when it was taken.
    fn look_again(&self, units: u64, is_fenced: impl Fn() -> Option<bool>) -> Haul {
        // ORDERING L-k: SeqCst fence: the owner's fence is before, and it is seen to be here, or to have spent; or
        // it is after, and the owner sees what was taken; pairs with the owner's, as that of a pin.
        fence(Ordering::SeqCst);
        if seeded("ledger-steal-once") {
            return Haul { units, unlisted: false };
        }
        let fenced = is_fenced();
        // In this order: where the allowance is a new one, the owner has spent before.
        let (kept, spent) = (self.kept(fenced), self.spent());
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let lacking = spent.wrapping_add(kept).wrapping_sub(word) & LENT;
            let back = if lacking > MOST { 0 } else { lacking.min(units) };
            if back == 0 {
                return Haul { units, unlisted: false };
            }
            match self.swap(word, more(word, back)) {
                Ok(()) => return Haul { units: units - back, unlisted: false },
                Err(seen) => word = seen,
            }
        }
    }

    /// The owner puts `units` here, if that leaves no more than `most`.
    pub(super) fn put(&self, units: u64, most: u64) -> Put {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & LISTED == 0 {
                return Put::Unlisted;
            }
            if left(word, self.spent()).saturating_add(units) > most.min(MOST) {
                return Put::Full;
            }
            match self.swap(word, more(word, units)) {
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
        self.word.fetch_or(LISTED, Ordering::AcqRel) & LISTED == 0
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
        self.word.compare_exchange(from, to, exchange, Ordering::Relaxed).map(drop)
    }
}
