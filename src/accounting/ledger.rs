//! Where units are taken from, and where they go.

use super::bound::Bound;
use super::peak::{Look, Peak};
use super::pool::Pool;
use super::reservation::Reservation;
use super::stripe::{Credit, Put, Stripe};
use crate::sync::{AtomicU64, CachePadded, Ordering, seeded};

/// The capacity of one cache (or of its retired capacity), conserved.
///
/// All methods may be called by any thread at any time, and none waits for another thread. Charges
/// that are given back must have been taken before; nothing else is asked of the caller.
#[derive(Debug)]
pub(crate) struct Ledger {
    pool: Pool,
    /// Read by every operation, written by resizes and when stripes are listed.
    terms: CachePadded<Terms>,
    peak: CachePadded<Peak>,
}

#[derive(Debug)]
struct Terms {
    bound: Bound,
    /// How many stripes may hold credit (L4).
    listed: AtomicU64,
    striping: Striping,
}

/// How much credit may lie on stripes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Striping {
    /// How many stripes may be listed at a time; other threads use the pool.
    pub(super) stripes: u64,
    /// A stripe holds at most `limit >> share_shift`.
    pub(super) share_shift: u32,
    /// Credit is left on stripes only while the pool holds more than `limit >> plenty_shift`.
    pub(super) plenty_shift: u32,
}

impl Striping {
    /// All stripes together hold at most one part in two to the power of `part_shift`. Near the limit
    /// nothing goes to stripes, so a full cache has no credit to sweep.
    fn of_this_machine(part_shift: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(8, std::num::NonZero::get);
        let stripes = (2 * cores).next_power_of_two().clamp(8, 256) as u64;
        Self { stripes, share_shift: part_shift + stripes.trailing_zeros(), plenty_shift: 4 }
    }
}

impl Ledger {
    /// A ledger over `capacity` units, all of them free: for units that are to be used to the last, so
    /// 99.8 % of them are in plain sight.
    pub(crate) fn new(capacity: u64) -> Self {
        Self::striped(capacity, Striping::of_this_machine(9))
    }

    /// The same for units that come and go all the time and are seldom used up: an eighth of them may
    /// lie on stripes, so that a thread takes again what it has given.
    pub(crate) fn of_passage(capacity: u64) -> Self {
        Self::striped(capacity, Striping::of_this_machine(3))
    }

    pub(super) fn striped(capacity: u64, striping: Striping) -> Self {
        let bound = Bound::new(capacity);
        let terms = CachePadded::new(Terms { bound, listed: AtomicU64::new(0), striping });
        Self { pool: Pool::new(capacity), terms, peak: CachePadded::default() }
    }

    /// Takes what the stripe and the pool have, up to `charge`.
    #[inline]
    pub(crate) fn take_up_to(&self, own: &Stripe, charge: u64) -> u64 {
        let part = own.take_up_to(charge);
        if part == charge { part } else { part + self.pool.take_up_to(charge - part) }
    }

    /// Takes the credit of `stripes` until it has `wanted`, and no more. One load if no stripe holds
    /// any.
    #[inline]
    pub(crate) fn sweep<'s>(
        &self,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
        wanted: u64,
    ) -> u64 {
        if wanted == 0 || self.listed() == 0 {
            return 0;
        }
        self.steal_each(stripes.into_iter().filter(|each| !each.stripe().is_blank()), wanted)
    }

    /// Puts `charge` back: it pays debt first, then goes to the stripe if there is plenty, or to the
    /// pool.
    #[inline]
    pub(crate) fn give(&self, own: &Stripe, charge: u64) {
        let bound = &self.terms.bound;
        let moving = (!bound.is_settled()).then(|| self.peak.moving());
        let rest = if moving.is_none() { charge } else { bound.balance(charge) };
        if rest == 0 {
            return;
        }
        let kept = self.keep(own, rest).then_some(own);
        if kept.is_none() {
            self.put(rest);
        }
        if !bound.is_settled() && !seeded("ledger-no-recheck") {
            let _moving = self.peak.moving();
            self.settle(self.steal_each(kept, self.debt()));
        }
    }

    /// Puts units into the pool, and takes down how much was out of it before.
    #[inline]
    fn put(&self, units: u64) {
        let look = self.look();
        let before = self.pool.put(units);
        if let Some((look, limit)) = look {
            self.peak.note(look, limit.saturating_sub(before));
        }
    }

    /// The limit, if nobody moves it.
    #[inline]
    fn look(&self) -> Option<(Look, u64)> {
        let look = self.peak.look()?;
        let limit = self.limit();
        (limit == self.capacity()).then_some((look, limit))
    }

    /// The most that was out of the pool at one time: charged, in the hands of operations, or credit. Exact
    /// but for what happened while the limit was moved, which may be missed.
    pub(crate) fn peak(&self) -> u64 {
        if let Some((look, limit)) = self.look() {
            self.peak.note(look, limit.saturating_sub(self.pooled()));
        }
        self.peak.most()
    }

    /// What is free in the pool alone.
    #[inline]
    pub(crate) fn free_at_hand(&self) -> u64 {
        self.pooled().min(self.limit())
    }

    /// A hand with nothing in it.
    #[inline]
    pub(crate) fn hand<'a>(&'a self, own: &'a Stripe) -> Reservation<'a> {
        Reservation::of(self, own, 0)
    }

    /// Takes in hand what the stripe and the pool have, up to `charge`; maybe nothing.
    #[inline]
    pub(crate) fn reserve_up_to<'a>(&'a self, own: &'a Stripe, charge: u64) -> Reservation<'a> {
        Reservation::of(self, own, self.take_up_to(own, charge))
    }

    /// What nobody uses: the pool and the credit of `stripes`. Never above the limit; exact when
    /// nothing moves.
    #[inline]
    pub(crate) fn free<'s>(&self, stripes: impl IntoIterator<Item = impl Credit<'s>>) -> u64 {
        let pool = self.pooled();
        let free = stripes.into_iter().fold(pool, |sum, s| sum.saturating_add(s.stripe().credit()));
        free.min(self.limit())
    }

    /// What lies in the pool.
    #[inline]
    pub(super) fn pooled(&self) -> u64 {
        self.pool.units()
    }

    /// What is linked or in the hand of a running operation. Never above the limit; exact when
    /// nothing moves.
    pub(crate) fn charged<'s>(&self, stripes: impl IntoIterator<Item = impl Credit<'s>>) -> u64 {
        // The limit is read on both sides of the sum and the lower one counts, so that a resize in
        // between is not taken for usage.
        let before = self.limit();
        let free = self.free(stripes);
        before.min(self.limit()).saturating_sub(free)
    }

    /// The bound in force: the capacity, and what a shrink could not collect yet.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.terms.bound.limit()
    }

    /// The capacity that was asked for last.
    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.terms.bound.target()
    }

    /// How much must still be given back until the limit is down at the capacity.
    pub(crate) fn debt(&self) -> u64 {
        self.terms.bound.debt()
    }

    /// Asks for a new capacity. Growth is there on return. A shrink takes what is free, on `stripes`
    /// (all of the ledger's) and in the pool; the rest is [`debt`](Self::debt), which everything
    /// that is given back pays first.
    ///
    /// Of several calls at the same time, one has the last word.
    pub(crate) fn set_capacity<'s>(
        &self,
        capacity: u64,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
    ) {
        // What it is at this moment is not missed.
        self.peak();
        let _moving = self.peak.moving();
        if seeded("ledger-resize-publishes-first") && capacity > self.limit() {
            self.pool.put(capacity - self.limit());
            self.terms.bound.aim(capacity);
            self.terms.bound.balance(0);
            return;
        }
        self.terms.bound.aim(capacity);
        // ORDERING L-e: AcqRel: a stripe that is listed later belongs to a thread that acquires the
        // target; of a stripe listed before, the seat is visible to the iteration that follows.
        self.terms.listed.fetch_add(0, Ordering::AcqRel);
        let hand = if seeded("ledger-shrink-skips-blank") {
            self.sweep(stripes, self.debt())
        } else {
            self.steal_each(stripes, self.debt())
        };
        if !seeded("ledger-shrink-passes-pool") {
            self.pool.meet();
        }
        self.settle(hand);
    }

    /// Leaves `units` on the stripe, if there is plenty and it may hold them.
    fn keep(&self, own: &Stripe, units: u64) -> bool {
        let Striping { stripes, share_shift, plenty_shift } = self.terms.striping;
        let limit = self.limit();
        let share = limit >> share_shift;
        if units > share || self.pool.units() <= limit >> plenty_shift {
            return false;
        }
        match own.put(units, share) {
            Put::Kept => true,
            Put::Full => false,
            Put::Unlisted => self.list(own, stripes) && own.put(units, share) == Put::Kept,
        }
    }

    /// Counts the stripe, if there is room for one more, and then lets it hold credit.
    fn list(&self, own: &Stripe, most: u64) -> bool {
        // ORDERING L-e: AcqRel. Acquire: if a resize was here before, its target is visible to the
        // caller. Release: pairs with it in the other direction.
        if seeded("ledger-lists-late") {
            if !own.list() || self.terms.listed.fetch_add(1, Ordering::AcqRel) < most {
                return true;
            }
            own.steal(0, || None);
        } else if self.terms.listed.fetch_add(1, Ordering::AcqRel) < most && own.list() {
            return true;
        }
        self.unlist();
        false
    }

    /// How many stripes may hold credit.
    #[inline]
    pub(super) fn listed(&self) -> u64 {
        // ORDERING S-h: Relaxed: a hint, like `Stripe::is_blank`.
        self.terms.listed.load(Ordering::Relaxed)
    }

    fn unlist(&self) {
        // ORDERING L-e: AcqRel: keeps the count's exchanges one chain of releases, see `list`.
        let before = self.terms.listed.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before != 0, "a stripe was unlisted that was not counted");
    }

    fn steal_each<'s>(
        &self,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
        wanted: u64,
    ) -> u64 {
        let mut hand = 0;
        for each in stripes {
            if hand == wanted {
                break;
            }
            let haul = each.stripe().steal(wanted - hand, || each.is_fenced());
            hand += haul.units;
            if haul.unlisted {
                self.unlist();
            }
        }
        hand
    }

    /// Brings the limit to the target as far as `hand` and the pool reach, and puts the rest down.
    ///
    /// Lock-free: another round is needed only if somebody else moved units, the limit or the target.
    fn settle(&self, mut hand: u64) {
        let bound = &self.terms.bound;
        loop {
            let missing = bound.debt().saturating_sub(hand);
            let rest = if seeded("ledger-gives-first") {
                let part = self.pool.units().min(missing);
                let rest = bound.balance(hand + part);
                self.pool.take_up_to(part);
                rest
            } else {
                bound.balance(hand + self.pool.take_up_to(missing))
            };
            if rest != 0 {
                self.pool.put(rest);
            }
            if bound.debt() == 0 || self.pool.units() == 0 {
                return;
            }
            hand = 0;
        }
    }
}
