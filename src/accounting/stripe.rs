//! One thread's credit.
//!
//! ```text
//!   63           62                           0          63 62                    0
//!   +------------+----------------------------+          +--+---------------------+
//!   | REGISTERED | lent, modulo 2^63          |          |  | spent, modulo 2^63  |
//!   +------------+----------------------------+          +--+---------------------+
//! ```
//!
//! The credit is what was lent minus what was spent.
//!
//! | state | meaning |
//! |---|---|
//! | not REGISTERED | holds no credit and is not in the ledger's count of registered stripes |
//! | REGISTERED, any credit | counted; may hold credit |
//!
//! | change | by |
//! |---|---|
//! | set REGISTERED | the owner, after it has added one to the count |
//! | lend more, while REGISTERED | the owner |
//! | lend less | the owner or a thief |
//! | lend less, and not REGISTERED | a thief that leaves nothing behind, which then takes one off the count; not if the owner spends without an exchange, as what was taken may have to be given back |
//! | spend more | the owner, without an exchange |
//!
//! # Spending without an exchange
//!
//! Taking credit is an exchange, as other threads may steal it. The owner can do without one while
//! it is *fenced*, that is, while other threads see that it is in an operation since before a full
//! fence, as the pin of a thread is seen. Then it may spend once, and no more than its *allowance*,
//! which was set before the fence. Code of the user's may begin other operations within that one, which
//! set the allowance for themselves: then the one around them may not spend any more.
//!
//! A thief takes units first, then fences, and then checks whether the owner is in an operation. If
//! not, the owner's next operation sees what was taken. If it is, the owner may not have seen that,
//! so the thief leaves it its allowance, or gives that back. So a thread that is stopped in an
//! operation keeps no more than one of its operations has lately needed, and a thread that is in none keeps nothing.

use crate::sync::{AtomicU64, Ordering, Relaxed, fence, relaxed_if_seeded, seeded};

const REGISTERED: u64 = 1 << 63;
const LENT: u64 = REGISTERED - 1;
/// Limit on the credit of a stripe. A larger difference means that more was spent than was lent.
const MAX_CREDIT: u64 = LENT / 2;
const _: () = assert!(REGISTERED | LENT == u64::MAX && REGISTERED & LENT == 0);

/// The credit that is left, given the word and what was spent. Zero while a thief has taken too
/// much.
#[inline]
fn left(word: u64, spent: u64) -> u64 {
    let left = word.wrapping_sub(spent) & LENT;
    if left > MAX_CREDIT { 0 } else { left }
}

/// The word with `units` lent less, or more.
#[inline]
fn less(word: u64, units: u64) -> u64 {
    word & REGISTERED | word.wrapping_sub(units) & LENT
}

#[inline]
fn more(word: u64, units: u64) -> u64 {
    word & REGISTERED | word.wrapping_add(units) & LENT
}

/// One thread's credit with one ledger.
///
/// It is stored in the thread's participant, not in thread-local storage, so the credit of a
/// thread that ended is not lost. It is not padded: the participant is, and a thread's stripes of several
/// ledgers may share its cache line. Two threads that share a stripe are slower, but still correct.
#[derive(Debug)]
pub(crate) struct Stripe {
    word: AtomicU64,
    spent: AtomicU64,
    allowance: AtomicU64,
    /// What the owner may still spend in its present operation. It is never more than the allowance has been since the
    /// fence.
    spendable: Relaxed<AtomicU64>,
}

/// A stripe as other threads see it.
pub(crate) trait Credit<'s> {
    fn stripe(&self) -> &'s Stripe;

    /// Whether the owner may be spending now. `None` if it never does without an exchange.
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

/// The result of putting units on a stripe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PutOutcome {
    Kept,
    /// The stripe would hold more than it may.
    Full,
    /// The stripe is not in the count.
    Unregistered,
}

/// What was stolen from a stripe.
#[derive(Debug)]
pub(super) struct Stolen {
    pub(super) units: u64,
    /// Whether the stripe is not registered any more: the thief takes it off the count.
    pub(super) unregistered: bool,
}

impl Stripe {
    /// A stripe without credit.
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            allowance: AtomicU64::new(0),
            spendable: Relaxed::<AtomicU64>::new(0),
        }
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

    /// What the owner may spend without an exchange in its next operation. Called by the owner.
    #[inline]
    pub(super) fn allowance(&self) -> u64 {
        // ORDERING S-o: Relaxed: only the owner writes it.
        self.allowance.load(Ordering::Relaxed)
    }

    /// Sets what the owner may spend from its next operation on. Called by the owner.
    #[inline]
    pub(crate) fn set_allowance(&self, units: u64) {
        if self.allowance() != units {
            self.forbid_spending();
            // ORDERING L-j: Release: what was spent before; pairs with the load in `steal`.
            self.allowance.store(units, Ordering::Release);
        }
    }

    /// The owner could not spend `units`: from its next operation on it may spend as many, if it has as many. If not, no more
    /// than that is kept for it. Called by the owner.
    #[inline]
    pub(crate) fn adapt_allowance(&self, units: u64) {
        let (allowance, has_them) = (self.allowance(), self.credit() >= units);
        if (units > allowance) == has_them {
            self.set_allowance(units);
        }
    }

    /// The owner begins an operation. It may spend in it if no other one of its own is under way: then it is fenced
    /// by this one, and its allowance has not changed since.
    #[inline]
    pub(crate) fn begin(&self, fenced_alone: bool) {
        if fenced_alone {
            self.spendable.set(self.allowance());
        } else {
            self.forbid_spending();
        }
    }

    /// Neither the operation nor one around it spends from now on: a thief may leave less than they relied on.
    #[inline]
    fn forbid_spending(&self) {
        if !seeded("ledger-spend-after-nested") {
            self.spendable.set(0);
        }
    }

    /// The owner spends `units`, if it has them. It does so only once in an operation, which is fenced and has
    /// [begun](Self::begin), and no more than its allowance was before that.
    #[inline(always)]
    pub(super) fn spend(&self, units: u64) -> bool {
        let most = self.spendable.get();
        self.spendable.set(0);
        if units > most {
            return false;
        }
        // ORDERING S-o: Relaxed: only the owner writes it.
        let spent = self.spent.load(Ordering::Relaxed);
        // ORDERING L-k: Acquire: what made the units; after the owner's fence, so a thief that has not
        // seen the owner is seen here; pairs with the fence in `steal`.
        if left(self.word.load(Ordering::Acquire), spent) < units {
            return false;
        }
        // ORDERING L-j: Release: before the owner leaves, and before it changes its allowance; pairs with `spent`.
        self.spent.store(spent.wrapping_add(units) & LENT, Ordering::Release);
        if units <= most / 2 {
            self.lower_allowance(most, units);
        }
        true
    }

    /// It has spent much less than it might have: what it needed once shall not be kept for it from then on.
    #[inline(never)]
    fn lower_allowance(&self, most: u64, units: u64) {
        self.set_allowance(most - (most - units).div_ceil(32));
    }

    /// Whether there is nothing to steal.
    #[inline]
    pub(super) fn is_unregistered(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint; a thread that misses units that are being put here now could
        // have looked a moment earlier.
        self.word.load(Ordering::Relaxed) & REGISTERED == 0
    }

    /// Whether there is nothing for the owner to take.
    #[inline]
    pub(super) fn has_none(&self) -> bool {
        // ORDERING S-h: Relaxed: as `take_up_to` looks at it first.
        let word = self.word.load(Ordering::Relaxed);
        word.wrapping_sub(self.spent()) & LENT == 0
    }

    /// The owner takes up to `wanted`. The stripe stays registered.
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
    /// It exchanges the word even if there is nothing to take: a resize relies on that to be
    /// ordered with the owner.
    pub(super) fn steal(&self, wanted: u64, is_fenced: impl Fn() -> Option<bool>) -> Stolen {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let fenced = is_fenced();
            let (kept, spent) = (self.reserved_for_owner(fenced), self.spent());
            let free = left(word, spent);
            let units = free.saturating_sub(kept).min(wanted);
            // While the owner may spend, what was taken may have to be given back: so the stripe
            // stays registered.
            let ends = units == free && fenced.is_none();
            let next = if ends { less(word, units) & LENT } else { less(word, units) };
            if seeded("ledger-steal-by-store") {
                self.word.store(next, Ordering::Release);
                return Stolen { units, unregistered: word & !next & REGISTERED != 0 };
            }
            match self.swap(word, next) {
                Ok(()) if fenced.is_none() => {
                    return Stolen { units, unregistered: word & !next & REGISTERED != 0 };
                }
                Ok(()) if units == 0 => return Stolen { units, unregistered: false },
                Ok(()) => return self.return_overdrawn(units, is_fenced),
                Err(seen) => word = seen,
            }
        }
    }

    /// What a thief leaves to the owner.
    fn reserved_for_owner(&self, fenced: Option<bool>) -> u64 {
        if fenced != Some(true) || seeded("ledger-steal-all") {
            return 0;
        }
        // ORDERING L-j: Acquire: if it has changed, the owner has spent already; pairs with
        // `set_allowance`.
        self.allowance.load(Ordering::Acquire)
    }

    /// Gives back what the owner may have spent concurrently.
    fn return_overdrawn(&self, units: u64, is_fenced: impl Fn() -> Option<bool>) -> Stolen {
        // ORDERING L-k: SeqCst fence: either the owner's fence is before, and it is seen to be in an
        // operation or to have spent; or it is after, and the owner sees what was taken; pairs with
        // the owner's, as that of a pin.
        fence(Ordering::SeqCst);
        if seeded("ledger-steal-once") {
            return Stolen { units, unregistered: false };
        }
        let fenced = is_fenced();
        // In this order: if the allowance is a new one, the owner has spent before it was set.
        let (kept, spent) = (self.reserved_for_owner(fenced), self.spent());
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let lacking = spent.wrapping_add(kept).wrapping_sub(word) & LENT;
            let back = if lacking > MAX_CREDIT { 0 } else { lacking.min(units) };
            if back == 0 {
                return Stolen { units, unregistered: false };
            }
            match self.swap(word, more(word, back)) {
                Ok(()) => return Stolen { units: units - back, unregistered: false },
                Err(seen) => word = seen,
            }
        }
    }

    /// The owner puts `units` here, if that leaves no more than `most`.
    pub(super) fn put(&self, units: u64, most: u64) -> PutOutcome {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word & REGISTERED == 0 {
                return PutOutcome::Unregistered;
            }
            if left(word, self.spent()).saturating_add(units) > most.min(MAX_CREDIT) {
                return PutOutcome::Full;
            }
            match self.swap(word, more(word, units)) {
                Ok(()) => return PutOutcome::Kept,
                Err(seen) => word = seen,
            }
        }
    }

    /// Marks the stripe as registered. Returns false if it was already.
    #[inline]
    pub(super) fn register(&self) -> bool {
        // ORDERING L-d: AcqRel: the count was raised before, which a thread that unregisters it must
        // see; pairs with the exchange in `swap`.
        self.word.fetch_or(REGISTERED, Ordering::AcqRel) & REGISTERED == 0
    }

    #[inline]
    fn swap(&self, from: u64, to: u64) -> Result<(), u64> {
        // ORDERING L-c: AcqRel on success. Release: hands over what made the units (see
        // `Pool::put`), and a shrink's target to an owner that puts units here later. Acquire: the
        // counterpart of both, and of `register`. Outcomes: of the owner and a thief, the second
        // one sees what the first has left. Relaxed on failure: the value is only tried again.
        let exchange = relaxed_if_seeded("ledger-stripe-relaxed", Ordering::AcqRel);
        self.word.compare_exchange(from, to, exchange, Ordering::Relaxed).map(drop)
    }
}
