//! The ledger: where units are taken from, and where they are given back.

use super::bound::Bound;
use super::peak::{Peak, PeakSample};
use super::pool::Pool;
use super::reservation::Reservation;
use super::stripe::{Credit, PutOutcome, Stripe};
use crate::sync::{AtomicU64, CachePadded, Ordering, seeded};

/// The capacity of one cache (or of its retired capacity), conserved.
///
/// All methods may be called by any thread at any time, and none waits for another thread. The
/// caller must give back only charges that it has taken before.
#[derive(Debug)]
pub(crate) struct Ledger {
    pool: Pool,
    /// Read by every operation, written by resizes and when stripes are registered.
    shared: CachePadded<LedgerShared>,
    peak: CachePadded<Peak>,
}

#[derive(Debug)]
struct LedgerShared {
    bound: Bound,
    /// How many stripes may hold credit (L4).
    registered: AtomicU64,
    striping: Striping,
}

/// How much credit stripes may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Striping {
    /// How many stripes may be registered at a time; other threads use the pool.
    pub(super) stripes: u64,
    /// A stripe holds at most `limit >> max_credit_shift`.
    pub(super) max_credit_shift: u32,
    /// Units are kept on stripes only while the pool holds more than `limit >> min_pool_shift`.
    pub(super) min_pool_shift: u32,
}

impl Striping {
    /// All stripes together hold at most `limit >> credit_shift`. Near the limit nothing is kept on
    /// stripes, so a full cache has no credit to steal.
    fn for_this_machine(credit_shift: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(8, std::num::NonZero::get);
        let stripes = (2 * cores).next_power_of_two().clamp(8, 256) as u64;
        Self {
            stripes,
            max_credit_shift: credit_shift + stripes.trailing_zeros(),
            min_pool_shift: 4,
        }
    }
}

impl Ledger {
    /// A ledger over `capacity` units, all of them free: for units that are to be used completely.
    /// Stripes hold at most 0.2 % of them.
    pub(crate) fn new(capacity: u64) -> Self {
        Self::striped(capacity, Striping::for_this_machine(9))
    }

    /// As [`new`](Self::new), for units that are taken and given back all the time and are seldom
    /// used up: stripes hold up to an eighth of them, so that a thread takes again what it has
    /// given back.
    pub(crate) fn for_transient_units(capacity: u64) -> Self {
        Self::striped(capacity, Striping::for_this_machine(3))
    }

    pub(super) fn striped(capacity: u64, striping: Striping) -> Self {
        let bound = Bound::new(capacity);
        let shared =
            CachePadded::new(LedgerShared { bound, registered: AtomicU64::new(0), striping });
        Self { pool: Pool::new(capacity), shared, peak: CachePadded::default() }
    }

    /// Takes what the stripe and the pool have, up to `charge`.
    #[inline]
    pub(crate) fn take_up_to(&self, own: &Stripe, charge: u64) -> u64 {
        let part = own.take_up_to(charge);
        if part == charge { part } else { part + self.pool.take_up_to(charge - part) }
    }

    /// Whether neither the stripe nor the pool has a unit, and no stripe holds any: as in a cache that is full, where each
    /// insert looks first. Four loads, of the words and in the order in which `take_up_to` and `steal` look at them.
    #[inline]
    pub(super) fn is_used_up(&self, own: &Stripe) -> bool {
        own.has_none() && self.pool.units() == 0 && self.registered() == 0
    }

    /// Takes credit of `stripes`, up to `wanted` units. One load if no stripe holds any.
    #[inline]
    pub(crate) fn steal<'s>(
        &self,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
        wanted: u64,
    ) -> u64 {
        if wanted == 0 || self.registered() == 0 {
            return 0;
        }
        self.steal_from_each(
            stripes.into_iter().filter(|each| !each.stripe().is_unregistered()),
            wanted,
        )
    }

    /// Gives `charge` back: it pays debt first, then goes to the stripe if the pool holds enough,
    /// and to the pool otherwise.
    ///
    /// The debt is checked again after the units are put down: a shrink that set its target in
    /// between has either collected them, or its target is seen by this second check (L3).
    #[inline]
    pub(crate) fn give(&self, own: &Stripe, charge: u64) {
        let bound = &self.shared.bound;
        let moving = (!bound.is_at_target()).then(|| self.peak.limit_move());
        let rest = if moving.is_none() { charge } else { bound.balance(charge) };
        if rest > 0 && !self.keep_on_stripe(own, rest) {
            self.put(rest);
        }
        if !bound.is_at_target() && !seeded("ledger-no-recheck") {
            self.pay_debt(own, None::<&Stripe>);
        }
    }

    /// Pays debt with the caller's own credit, that of `stripes`, and what is in the pool. It takes its own as its owner: a
    /// shrink has left there what it might be spending.
    #[cold]
    pub(crate) fn pay_debt<'s>(
        &self,
        own: &Stripe,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
    ) {
        let debt = self.debt();
        let _moving = self.peak.limit_move();
        let held = if seeded("ledger-owner-keeps") { 0 } else { own.take_up_to(debt) };
        self.rebalance(held + self.steal_from_each(stripes, debt - held));
    }

    /// Puts units into the pool, and records how many were out of it before.
    #[inline]
    fn put(&self, units: u64) {
        let sample = self.sample();
        let before = self.pool.put(units);
        if let Some((sample, limit)) = sample {
            self.peak.record(sample, limit.saturating_sub(before));
        }
    }

    /// Returns the limit, if no thread is moving it.
    #[inline]
    fn sample(&self) -> Option<(PeakSample, u64)> {
        let sample = self.peak.sample()?;
        let limit = self.limit();
        (limit == self.capacity()).then_some((sample, limit))
    }

    /// The largest number of units that were out of the pool at one time: charged, reserved, or
    /// credit. Exact, except that a peak while the limit was moved may be missed.
    pub(crate) fn peak(&self) -> u64 {
        if let Some((sample, limit)) = self.sample() {
            self.peak.record(sample, limit.saturating_sub(self.pooled()));
        }
        self.peak.highest()
    }

    /// The units in the pool.
    #[inline]
    pub(crate) fn free_in_pool(&self) -> u64 {
        self.pooled().min(self.limit())
    }

    /// A reservation of no units.
    #[inline]
    pub(crate) fn empty_reservation<'a>(&'a self, own: &'a Stripe) -> Reservation<'a> {
        Reservation::of(self, own, 0)
    }

    /// Reserves what the stripe and the pool have, up to `charge`.
    #[inline]
    pub(crate) fn reserve_up_to<'a>(&'a self, own: &'a Stripe, charge: u64) -> Reservation<'a> {
        Reservation::of(self, own, self.take_up_to(own, charge))
    }

    /// The free units: the pool and the credit of `stripes`. Never above the limit; exact while no
    /// operation runs.
    #[inline]
    pub(crate) fn free<'s>(&self, stripes: impl IntoIterator<Item = impl Credit<'s>>) -> u64 {
        let pool = self.pooled();
        let free = stripes.into_iter().fold(pool, |sum, s| sum.saturating_add(s.stripe().credit()));
        free.min(self.limit())
    }

    /// The units in the pool.
    #[inline]
    pub(super) fn pooled(&self) -> u64 {
        self.pool.units()
    }

    /// The units that are linked or reserved. Never above the limit; exact while no operation runs.
    pub(crate) fn charged<'s>(&self, stripes: impl IntoIterator<Item = impl Credit<'s>>) -> u64 {
        // The limit is read on both sides of the sum and the lower one counts, so that a resize in
        // between is not taken for usage.
        let before = self.limit();
        let free = self.free(stripes);
        before.min(self.limit()).saturating_sub(free)
    }

    /// The limit in force: the capacity, plus what a shrink could not collect yet.
    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.shared.bound.limit()
    }

    /// The capacity that was set last.
    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        self.shared.bound.target()
    }

    /// How many units must still be given back until the limit is down to the capacity.
    pub(crate) fn debt(&self) -> u64 {
        self.shared.bound.debt()
    }

    /// Sets a new capacity. Growth is available on return. A shrink takes what is free, on
    /// `stripes` (which are all of the ledger's) and in the pool; the rest is [`debt`](Self::debt),
    /// which units that are given back pay first.
    ///
    /// Of concurrent calls, the last one to set the target decides.
    pub(crate) fn set_capacity<'s>(
        &self,
        capacity: u64,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
    ) {
        // The present value is recorded before the limit is moved.
        self.peak();
        let _moving = self.peak.limit_move();
        if seeded("ledger-resize-publishes-first") && capacity > self.limit() {
            self.pool.put(capacity - self.limit());
            self.shared.bound.set_target(capacity);
            self.shared.bound.balance(0);
            return;
        }
        self.shared.bound.set_target(capacity);
        // ORDERING L-e: AcqRel: a stripe that is registered later belongs to a thread that acquires the
        // target; of a stripe registered before, the participant is visible to the iteration that follows.
        self.shared.registered.fetch_add(0, Ordering::AcqRel);
        let held = if seeded("ledger-shrink-skips-blank") {
            self.steal(stripes, self.debt())
        } else {
            self.steal_from_each(stripes, self.debt())
        };
        if !seeded("ledger-shrink-passes-pool") {
            self.pool.order_with_puts();
        }
        self.rebalance(held);
    }

    /// Keeps `units` on the stripe, if the pool holds enough and the stripe may hold them.
    fn keep_on_stripe(&self, own: &Stripe, units: u64) -> bool {
        let Striping { stripes, max_credit_shift, min_pool_shift } = self.shared.striping;
        let limit = self.limit();
        let max_credit = limit >> max_credit_shift;
        if units > max_credit || self.pool.units() <= limit >> min_pool_shift {
            return false;
        }
        match own.put(units, max_credit) {
            PutOutcome::Kept => true,
            PutOutcome::Full => false,
            PutOutcome::Unregistered => {
                self.register(own, stripes) && own.put(units, max_credit) == PutOutcome::Kept
            }
        }
    }

    /// Counts the stripe, if there is room for one more, and then marks it as registered. The count
    /// is raised first, so that it is never too low (L4).
    fn register(&self, own: &Stripe, most: u64) -> bool {
        // ORDERING L-e: AcqRel. Acquire: if a resize was here before, its target is visible to the
        // caller. Release: pairs with it in the other direction.
        if seeded("ledger-lists-late") {
            if !own.register() || self.shared.registered.fetch_add(1, Ordering::AcqRel) < most {
                return true;
            }
            own.steal(0, || None);
        } else if self.shared.registered.fetch_add(1, Ordering::AcqRel) < most && own.register() {
            return true;
        }
        self.unregister();
        false
    }

    /// How many stripes may hold credit.
    #[inline]
    pub(super) fn registered(&self) -> u64 {
        // ORDERING S-h: Relaxed: a hint, like `Stripe::is_unregistered`.
        self.shared.registered.load(Ordering::Relaxed)
    }

    fn unregister(&self) {
        // ORDERING L-e: AcqRel: keeps the count's exchanges one chain of releases, see `register`.
        let before = self.shared.registered.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before != 0, "a stripe was unregistered that was not counted");
    }

    fn steal_from_each<'s>(
        &self,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
        wanted: u64,
    ) -> u64 {
        let mut held = 0;
        for each in stripes {
            if held == wanted {
                break;
            }
            let stolen = each.stripe().steal(wanted - held, || each.is_fenced());
            held += stolen.units;
            if stolen.unregistered {
                self.unregister();
            }
        }
        held
    }

    /// Brings the limit to the target as far as `held` and the pool suffice, and puts the rest into
    /// the pool.
    ///
    /// Lock-free: another round is needed only if another thread moved units, the limit or the
    /// target.
    fn rebalance(&self, mut held: u64) {
        let bound = &self.shared.bound;
        loop {
            let missing = bound.debt().saturating_sub(held);
            let rest = if seeded("ledger-gives-first") {
                let part = self.pool.units().min(missing);
                let rest = bound.balance(held + part);
                self.pool.take_up_to(part);
                rest
            } else {
                bound.balance(held + self.pool.take_up_to(missing))
            };
            if rest != 0 {
                self.pool.put(rest);
            }
            if bound.debt() == 0 || self.pool.units() == 0 {
                return;
            }
            held = 0;
        }
    }
}
