//! The ledger under the model checker: every interleaving, and every value that a load may return.
//! Which seed makes which of them fail is in `docs/memory-ordering.md`.

use loom::thread;

use super::ledger::Striping;
use super::{Credit, Ledger, Stripe};
use loom::sync::Arc;

use crate::sync::{AtomicU64, Ordering, publish_and_fence};

/// Stripes may hold half the limit each, as long as the pool is not empty.
const TINY: Striping = Striping { stripes: 2, max_credit_shift: 1, min_pool_shift: 6 };

struct Arena {
    ledger: Ledger,
    stripes: [Stripe; 2],
    /// Never more than what is linked: raised after a take, lowered before a give.
    linked: AtomicU64,
}

impl Arena {
    fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self {
            ledger: Ledger::striped(capacity, TINY),
            stripes: [Stripe::new(), Stripe::new()],
            linked: AtomicU64::new(0),
        })
    }

    /// Takes and links as the engine does; returns what is linked then, or nothing if the ledger
    /// refused.
    fn link(&self, own: usize, charge: u64) -> Option<u64> {
        let mut reservation = self.ledger.reserve_up_to(&self.stripes[own], 0);
        if !reservation.gather(charge, &self.stripes) {
            return None;
        }
        let linked = self.linked.fetch_add(charge, Ordering::AcqRel) + charge;
        reservation.split(charge).expect("that much was gathered").commit(charge);
        Some(linked)
    }

    fn unlink(&self, own: usize, charge: u64) {
        self.linked.fetch_sub(charge, Ordering::AcqRel);
        self.ledger.give(&self.stripes[own], charge);
    }

    fn resize(&self, capacity: u64) {
        self.ledger.set_capacity(capacity, &self.stripes);
    }

    /// L1, L3 and L4, which must hold when all threads have ended.
    fn settle_up(&self) {
        self.ledger.audit(&self.stripes, self.linked.load(Ordering::Acquire));
    }
}

/// How many times a thread may be interrupted where it could go on: the models with long operations
/// are searched up to a bound, the others completely.
#[derive(Clone, Copy)]
enum Switches {
    Any,
    UpTo(usize),
}

/// Runs `first` and `second` concurrently, and what is common to all models at the end.
///
/// Loom remembers only the last access to a word when it looks for orders to try, and can miss one.
/// What it misses depends on which thread goes first, so each model runs both ways round.
fn race(
    switches: Switches,
    set_up: impl Fn() -> Arc<Arena> + Copy + Send + Sync + 'static,
    first: impl Fn(&Arena) + Copy + Send + Sync + 'static,
    second: impl Fn(&Arena) + Copy + Send + Sync + 'static,
    after: impl Fn(&Arena) + Copy + Send + Sync + 'static,
) {
    let mut model = loom::model::Builder::new();
    if let Switches::UpTo(bound) = switches {
        model.preemption_bound = Some(bound);
    }
    model.check(move || duel(&set_up(), first, second, after));
    model.check(move || duel(&set_up(), second, first, after));
}

fn duel(
    arena: &Arc<Arena>,
    here: impl Fn(&Arena),
    there: impl Fn(&Arena) + Send + 'static,
    after: impl Fn(&Arena),
) {
    let beside = {
        let arena = Arc::clone(arena);
        thread::spawn(move || there(&arena))
    };
    here(arena);
    beside.join().expect("the other thread failed");
    arena.settle_up();
    after(arena);
}

fn nothing_more(_: &Arena) {}

#[test]
fn two_takers_and_one_unit_left() {
    let set_up = || {
        let arena = Arena::new(2);
        assert!(arena.link(0, 1).is_some());
        arena
    };
    let taker = |own| {
        move |arena: &Arena| {
            let linked = arena.link(own, 1);
            assert!(linked.is_none_or(|linked| linked <= 2), "{linked:?} linked, 2 allowed");
        }
    };
    race(Switches::Any, set_up, taker(0), taker(1), |arena| {
        assert_eq!(arena.linked.load(Ordering::Acquire), 2, "both were refused");
    });
}

#[test]
fn takers_and_a_giver_conserve() {
    loom::model(|| {
        let arena = Arena::new(3);
        assert!(arena.link(0, 2).is_some());
        let takers: Vec<_> = (0..2)
            .map(|own| {
                let arena = Arc::clone(&arena);
                thread::spawn(move || {
                    if let Some(linked) = arena.link(own, 1) {
                        assert!(linked <= 3, "{linked} linked, 3 allowed");
                    }
                })
            })
            .collect();
        arena.unlink(0, 2);
        takers.into_iter().for_each(|taker| taker.join().expect("a taker failed"));
        arena.settle_up();
        assert!(arena.linked.load(Ordering::Acquire) >= 1, "a unit was free all the time");
    });
}

/// The owner keeps and spends credit while another thread steals it.
#[test]
fn a_sweep_and_the_owner_share_nothing() {
    let set_up = || {
        let arena = Arena::new(4);
        assert!(arena.link(0, 1).is_some());
        arena.unlink(0, 1);
        assert_eq!(arena.stripes[0].credit(), 1);
        arena
    };
    let owner = |arena: &Arena| {
        assert!(arena.link(0, 1).is_some());
        arena.unlink(0, 1);
        assert!(arena.link(0, 2).is_some_and(|linked| linked <= 4));
    };
    let thief = |arena: &Arena| {
        let got = arena.ledger.steal(&arena.stripes, 1);
        assert!(arena.linked.fetch_add(got, Ordering::AcqRel) + got <= 4);
    };
    race(Switches::Any, set_up, owner, thief, nothing_more);
}

/// A participant: its owner spends without an exchange while it is pinned, once.
struct Spender {
    ledger: Ledger,
    stripes: [Stripe; 2],
    pinned: [AtomicU64; 2],
    /// What was taken without an exchange or with one.
    taken: AtomicU64,
}

struct PinnedStripe<'s>(&'s Stripe, &'s AtomicU64);

impl<'s> Credit<'s> for PinnedStripe<'s> {
    fn stripe(&self) -> &'s Stripe {
        self.0
    }

    fn is_fenced(&self) -> Option<bool> {
        Some(self.1.load(Ordering::Acquire) == 1)
    }
}

impl Spender {
    /// Three units, of which the first stripe has two that the owner may spend one by one.
    fn new() -> Arc<Self> {
        let this = Self {
            ledger: Ledger::striped(4, TINY),
            stripes: [Stripe::new(), Stripe::new()],
            pinned: [AtomicU64::new(0), AtomicU64::new(0)],
            taken: AtomicU64::new(0),
        };
        this.stripes[0].set_allowance(1);
        this.ledger.reserve_up_to(&this.stripes[0], 3).commit(3);
        this.ledger.give(&this.stripes[0], 2);
        assert_eq!((this.stripes[0].credit(), this.ledger.pooled()), (2, 1));
        this.take(1, 1);
        Arc::new(this)
    }

    fn credits(&self) -> [PinnedStripe<'_>; 2] {
        [0, 1].map(|nth| PinnedStripe(&self.stripes[nth], &self.pinned[nth]))
    }

    fn pin(&self, nth: usize) {
        publish_and_fence(&self.pinned[nth], 1);
    }

    fn unpin(&self, nth: usize) {
        self.pinned[nth].store(0, Ordering::Release);
    }

    /// One operation of the owner; whether it spent.
    fn spend(&self) -> bool {
        self.stripes[0].begin(true);
        self.spend_begun(1)
    }

    /// The rest of one that has begun.
    fn spend_begun(&self, units: u64) -> bool {
        let reservation = self.ledger.reserve_up_to(&self.stripes[0], 0);
        let spent = reservation.spend(units).inspect(|_| self.took(units));
        spent.map(|spent| spent.commit(units)).is_some()
    }

    fn took(&self, units: u64) {
        let taken = self.taken.fetch_add(units, Ordering::AcqRel) + units;
        assert!(taken <= 3, "{taken} of 3");
    }

    /// Takes `wanted` units, wherever they are; returns how many it got.
    fn take(&self, nth: usize, wanted: u64) -> u64 {
        let mut reservation = self.ledger.reserve_up_to(&self.stripes[nth], 0);
        reservation.gather(wanted, self.credits());
        let held = reservation.held();
        self.took(held);
        reservation.commit(held);
        held
    }

    /// The first thread gives a unit back.
    fn give_back(&self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
        self.ledger.give(&self.stripes[0], 1);
    }

    /// Nothing is lost: what was not taken is to be had, now that no thread is here.
    fn settle_up(&self) {
        let taken = self.taken.load(Ordering::Acquire);
        assert_eq!(taken + self.take(1, 9), 3, "a unit was lost");
        self.ledger.audit(&self.stripes, 4);
    }
}

fn spending(preemptions: usize, f: impl Fn(&Arc<Spender>) + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let spender = Spender::new();
        f(&spender);
        spender.settle_up();
    });
}

fn beside<R: 'static>(
    spender: &Arc<Spender>,
    f: impl FnOnce(&Spender) -> R + 'static,
) -> thread::JoinHandle<R> {
    let spender = Arc::clone(spender);
    thread::spawn(move || f(&spender))
}

/// The owner spends without an exchange in two operations, while another thread takes what it can.
#[test]
fn who_spends_beside_a_sweep_spends_what_is_there() {
    spending(3, |spender| {
        let taker = beside(spender, |spender| spender.take(1, 2));
        for _ in 0..2 {
            spender.pin(0);
            spender.spend();
            spender.unpin(0);
        }
        taker.join().unwrap();
    });
}

/// Two sweeps at the same time each give back what they may have taken too much.
#[test]
fn who_spends_beside_two_sweeps_spends_what_is_there() {
    spending(2, |spender| {
        let takers = [1, 2].map(|wanted| beside(spender, move |spender| spender.take(1, wanted)));
        spender.pin(0);
        spender.spend();
        spender.unpin(0);
        takers.into_iter().for_each(|taker| _ = taker.join().unwrap());
    });
}

/// Code of the user's that runs in an operation begins another one, which needs less and leaves less to be kept by a
/// sweep: the operation around it spends nothing then.
#[test]
fn who_runs_another_operation_within_one_does_not_spend_after_it() {
    for within in [false, true] {
        spending(3, move |spender| {
            spender.stripes[0].set_allowance(2);
            let taker = beside(spender, |spender| spender.take(1, 2));
            spender.pin(0);
            spender.stripes[0].begin(true);
            if within {
                spender.stripes[0].begin(false);
                spender.stripes[0].set_allowance(1);
            }
            assert!(!spender.spend_begun(2) || !within, "it relied on what was left before");
            spender.unpin(0);
            taker.join().unwrap();
        });
    }
}

/// The capacity changes while the owner is in an operation: nothing is lost, and debt that was left to the owner, which
/// might have spent, is paid when it gives something back.
#[test]
fn who_spends_beside_a_resize_pays_what_was_left_to_it() {
    for capacity in [1, 2, 6] {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let spender = Spender::new();
            let resizer = beside(&spender, move |spender| {
                spender.ledger.set_capacity(capacity, spender.credits());
            });
            spender.pin(0);
            let spent = spender.spend();
            if capacity == 1 && !spent {
                // The resize ends before it has left.
                resizer.join().unwrap();
                spender.unpin(0);
            } else {
                spender.unpin(0);
                resizer.join().unwrap();
            }
            let linked = || 1 + spender.taken.load(Ordering::Acquire);
            spender.ledger.audit(&spender.stripes, linked());
            spender.give_back();
            spender.ledger.audit(&spender.stripes, linked());
            let credit = spender.stripes[0].credit();
            assert!(spender.ledger.debt() == 0 || credit == 0, "the owner keeps {credit}");
            assert!(spender.ledger.limit() >= capacity.min(linked()));
        });
    }
}

/// A thread that sleeps in an operation keeps its allowance, one that sleeps elsewhere and one that has
/// ended keep nothing: a third one gets the rest.
#[test]
fn who_sleeps_keeps_what_one_operation_needs() {
    spending(2, |spender| {
        spender.pin(0);
        let third = beside(spender, |spender| spender.take(1, 2));
        assert_eq!(third.join().unwrap(), 1, "all but what the sleeper may spend");
        assert!(spender.spend(), "it was left");
        spender.unpin(0);
    });
    spending(2, |spender| {
        let ended = beside(spender, |spender| {
            spender.pin(0);
            let spent = spender.spend();
            spender.unpin(0);
            u64::from(spent)
        });
        let got = spender.take(1, 2);
        let spent = ended.join().unwrap();
        assert_eq!(spender.take(1, 2), 2 - got - spent, "what it had is to be had");
    });
}

/// A stripe that spills: it may hold two, the third goes to the pool, while a sweep unlists it.
#[test]
fn a_full_stripe_spills_while_it_is_swept() {
    let set_up = || {
        let arena = Arena::new(5);
        assert!(arena.link(0, 3).is_some());
        arena
    };
    let owner = |arena: &Arena| (0..3).for_each(|_| arena.unlink(0, 1));
    let thief = |arena: &Arena| {
        for wanted in [1, 2] {
            let got = arena.ledger.steal(&arena.stripes, wanted);
            assert!(arena.linked.fetch_add(got, Ordering::AcqRel) + got <= 5);
        }
    };
    race(Switches::UpTo(4), set_up, owner, thief, |arena| {
        let linked = arena.linked.load(Ordering::Acquire);
        let mut reservation = arena.ledger.reserve_up_to(&arena.stripes[1], 0);
        assert!(reservation.gather(5 - linked, &arena.stripes), "a sweep passed by credit");
    });
}

/// Three threads: one lists its stripe, one sweeps, and credit on a third party's stripe must stay
/// in sight all the while.
#[test]
fn credit_in_place_is_never_overlooked() {
    loom::model(|| {
        let arena = Arena::new(4);
        assert!(arena.link(0, 2).is_some());
        arena.unlink(1, 1);
        assert_eq!((arena.stripes[1].credit(), arena.ledger.pooled()), (1, 2));
        let owner = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || arena.unlink(0, 1))
        };
        let thief = {
            let arena = Arc::clone(&arena);
            thread::spawn(move || arena.ledger.steal(&arena.stripes[..1], 1))
        };
        assert_eq!(arena.ledger.steal(&arena.stripes[1..], 1), 1, "credit was overlooked");
        owner.join().expect("the owner failed");
        let got = 1 + thief.join().expect("the thief failed");
        arena.linked.fetch_add(got, Ordering::AcqRel);
        arena.settle_up();
    });
}

#[test]
fn growth_raises_before_it_publishes() {
    let set_up = || {
        let arena = Arena::new(1);
        assert!(arena.link(0, 1).is_some());
        arena
    };
    let taker = |arena: &Arena| {
        if let Some(linked) = arena.link(0, 1) {
            // The limit only rises here, so it is not below what it was when the unit was taken.
            assert!(linked <= arena.ledger.limit(), "{linked} linked");
        }
    };
    race(Switches::Any, set_up, taker, |arena| arena.resize(2), nothing_more);
}

#[test]
fn a_shrink_collects_before_it_lowers() {
    let taker = |arena: &Arena| {
        if let Some(linked) = arena.link(0, 2) {
            // Nothing is unlinked here, so what was linked is still linked when the limit is read.
            assert!(linked <= arena.ledger.limit(), "{linked} linked");
        }
    };
    race(Switches::Any, || Arena::new(2), taker, |arena| arena.resize(1), nothing_more);
}

/// The giver looks for debt, finds none, and puts its units down after the shrink has collected.
#[test]
fn a_give_beside_a_shrink_leaves_no_debt_behind() {
    let set_up = || {
        let arena = Arena::new(2);
        assert!(arena.link(0, 1).is_some());
        arena
    };
    race(
        Switches::UpTo(3),
        set_up,
        |arena| arena.unlink(0, 1),
        |arena| arena.resize(0),
        |arena| {
            assert_eq!(arena.ledger.limit(), 0);
        },
    );
}

/// The same, when the shrink finds an empty pool and takes nothing from it.
#[test]
fn a_give_to_an_empty_pool_beside_a_shrink_leaves_no_debt_behind() {
    let set_up = || {
        let arena = Arena::new(1);
        assert!(arena.link(0, 1).is_some());
        arena
    };
    race(
        Switches::UpTo(4),
        set_up,
        |arena| arena.unlink(0, 1),
        |arena| arena.resize(0),
        |arena| assert_eq!(arena.ledger.limit(), 0),
    );
}

/// The same, when the giver's credit stays on its stripe.
#[test]
fn a_kept_credit_beside_a_shrink_leaves_no_debt_behind() {
    let set_up = || {
        let arena = Arena::new(6);
        assert!(arena.link(0, 4).is_some());
        arena.unlink(0, 1);
        assert_eq!((arena.stripes[0].credit(), arena.ledger.pooled()), (1, 2));
        arena
    };
    race(
        Switches::UpTo(3),
        set_up,
        |arena| arena.unlink(0, 1),
        |arena| arena.resize(1),
        |arena| {
            assert_eq!((arena.ledger.limit(), arena.ledger.debt()), (2, 1));
        },
    );
}

/// The same, on a stripe that is not listed before.
#[test]
fn a_first_credit_beside_a_shrink_leaves_no_debt_behind() {
    let set_up = || {
        let arena = Arena::new(4);
        assert!(arena.link(0, 3).is_some());
        arena
    };
    race(
        Switches::UpTo(3),
        set_up,
        |arena| arena.unlink(0, 1),
        |arena| arena.resize(0),
        |arena| assert_eq!((arena.ledger.limit(), arena.ledger.debt()), (2, 2)),
    );
}

/// A payer that read the old target lowers the limit below the new one. It pays with what it has put down already: before that,
/// it would look again as the limit is not at the target.
#[test]
fn a_payment_beside_growth_loses_nothing() {
    let set_up = || {
        let arena = Arena::new(3);
        assert!(arena.link(0, 3).is_some());
        arena
    };
    race(
        Switches::UpTo(3),
        set_up,
        |arena| arena.unlink(0, 2),
        |arena| {
            arena.resize(0);
            arena.resize(2);
        },
        |arena| {
            assert_eq!(arena.ledger.limit(), 2);
        },
    );
}

#[test]
fn the_whole_range_up_and_down_at_once() {
    let set_up = || {
        let arena = Arena::new(u64::MAX);
        assert!(arena.link(0, 1).is_some());
        arena
    };
    race(
        Switches::UpTo(3),
        set_up,
        |arena| arena.resize(0),
        |arena| arena.resize(u64::MAX),
        |arena| {
            arena.unlink(0, 1);
            assert_eq!(arena.ledger.limit(), arena.ledger.capacity());
            assert_eq!(arena.ledger.free(&arena.stripes), arena.ledger.capacity());
        },
    );
}

/// Down and up again concurrently with an operation that takes and gives.
#[test]
fn a_resize_both_ways_beside_an_operation() {
    let operation = |arena: &Arena| {
        if arena.link(0, 1).is_some() {
            arena.unlink(0, 1);
        }
    };
    let resizer = |arena: &Arena| {
        arena.resize(0);
        arena.resize(u64::MAX);
    };
    race(
        Switches::UpTo(2),
        || Arena::new(2),
        operation,
        resizer,
        |arena| {
            assert_eq!(arena.ledger.free(&arena.stripes), u64::MAX);
        },
    );
}

/// Units that growth has made, and that are on their way to the pool, are in no thread's use.
#[test]
fn a_peak_beside_growth_was_there() {
    let set_up = || {
        let arena = Arena::new(4);
        assert!(arena.link(0, 3).is_some());
        arena
    };
    race(
        Switches::UpTo(3),
        set_up,
        // More than may be kept as credit.
        |arena| arena.unlink(0, 3),
        |arena| arena.resize(5),
        |arena| assert!(arena.ledger.peak() <= 3, "{} in use", arena.ledger.peak()),
    );
}

/// What an observer computes is never above the limit that it can read at that time.
#[test]
fn an_observer_never_reads_beyond_the_limit() {
    let set_up = || {
        let arena = Arena::new(4);
        assert!(arena.link(0, 2).is_some());
        arena
    };
    let observer = |arena: &Arena| {
        let charged = arena.ledger.charged(&arena.stripes);
        assert!(charged <= 4 && charged <= arena.ledger.limit());
        assert!(arena.ledger.free(&arena.stripes) <= 6);
    };
    let operation = |arena: &Arena| {
        arena.unlink(0, 1);
        arena.resize(6);
    };
    race(Switches::Any, set_up, observer, operation, nothing_more);
}
