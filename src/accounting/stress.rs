//! Many threads on one ledger; longer with `CLOCKHAND_STRESS=full`.

use std::sync::Barrier;
use std::thread;

use super::tests::GENEROUS;
use super::{Ledger, Stripe};
use crate::sync::{AtomicBool, AtomicU64, Ordering};

const THREADS: usize = 4;

fn rounds() -> u64 {
    let full = std::env::var("CLOCKHAND_STRESS").is_ok_and(|stress| stress == "full");
    if cfg!(miri) {
        50
    } else if full {
        2_000_000
    } else {
        200_000
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

struct Arena {
    ledger: Ledger,
    stripes: Vec<Stripe>,
    /// Never more than what is linked: raised after a take, lowered before a give.
    linked: AtomicU64,
    done: AtomicBool,
}

impl Arena {
    fn new(capacity: u64) -> Self {
        Self {
            ledger: Ledger::striped(capacity, GENEROUS),
            stripes: (0..THREADS).map(|_| Stripe::new()).collect(),
            linked: AtomicU64::new(0),
            done: AtomicBool::new(false),
        }
    }

    fn link(&self, charge: u64, most: u64) {
        let linked = self.linked.fetch_add(charge, Ordering::SeqCst) + charge;
        assert!(linked <= most, "{linked} linked, {most} allowed");
    }

    fn unlink(&self, charge: u64) -> u64 {
        self.linked.fetch_sub(charge, Ordering::SeqCst);
        charge
    }

    /// Inserts, removals and evictions of random charges; returns what stays linked.
    fn churn(&self, id: usize, most: u64) -> Vec<u64> {
        let (own, mut dice) = (&self.stripes[id], Dice(0x9e37_79b9 + id as u64));
        let mut entries = Vec::new();
        for _ in 0..rounds() {
            let charge = dice.below(12);
            if dice.below(3) == 0 && !entries.is_empty() {
                let victim = entries.swap_remove(dice.below(entries.len() as u64) as usize);
                self.ledger.give(own, self.unlink(victim));
                continue;
            }
            let mut reservation = self.ledger.reserve_up_to(own, charge);
            while !reservation.gather(charge, &self.stripes) {
                let Some(victim) = entries.pop() else { break };
                reservation.add(self.unlink(victim));
            }
            if reservation.held >= charge {
                self.link(charge, most);
                entries.push(charge);
                reservation.commit(charge);
            }
        }
        entries
    }

    fn watch(&self, most: u64) {
        while !self.done.load(Ordering::Acquire) {
            assert!(self.linked.load(Ordering::SeqCst) <= most);
            assert!(self.ledger.charged(&self.stripes) <= most);
            assert!(self.ledger.free(&self.stripes) <= most);
            thread::yield_now();
        }
    }

    fn run(&self, most: u64, beside: impl Fn() + Sync) -> Vec<u64> {
        let start = &Barrier::new(THREADS);
        thread::scope(|scope| {
            scope.spawn(|| self.watch(most));
            let resizer = scope.spawn(&beside);
            let workers: Vec<_> = (0..THREADS)
                .map(|id| {
                    scope.spawn(move || {
                        start.wait();
                        self.churn(id, most)
                    })
                })
                .collect();
            let outcomes: Vec<_> =
                workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            let resized = resizer.join();
            self.done.store(true, Ordering::Release);
            resized.expect("the resizer failed");
            outcomes.into_iter().flat_map(|outcome| outcome.expect("a worker failed")).collect()
        })
    }

    fn settle_up(&self, entries: Vec<u64>) {
        let linked: u64 = entries.iter().sum();
        self.ledger.audit(&self.stripes, linked);
        entries.into_iter().for_each(|charge| self.ledger.give(&self.stripes[0], charge));
        self.ledger.audit(&self.stripes, 0);
        assert_eq!(self.ledger.limit(), self.ledger.capacity());
    }
}

#[test]
fn the_bound_holds_in_every_instant() {
    let arena = Arena::new(100);
    let entries = arena.run(100, || ());
    arena.settle_up(entries);
}

#[test]
fn the_bound_holds_while_it_moves() {
    let arena = Arena::new(100);
    let entries = arena.run(400, || {
        let mut dice = Dice(7);
        for _ in 0..rounds() / 4 {
            arena.ledger.set_capacity(dice.below(401), &arena.stripes);
        }
    });
    arena.settle_up(entries);
}

#[test]
fn the_whole_range_can_be_resized_at_any_time() {
    let arena = Arena::new(u64::MAX);
    let entries = arena.run(u64::MAX, || {
        let resize = |capacity| arena.ledger.set_capacity(capacity, &arena.stripes);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    (0..rounds()).for_each(|i| resize([u64::MAX, 0, 50][i as usize % 3]))
                });
            }
        });
    });
    arena.settle_up(entries);
}

#[test]
fn a_cache_can_be_filled_to_the_last_unit() {
    let capacity = rounds();
    let ledger = Ledger::striped(capacity, GENEROUS);
    let stripes: Vec<Stripe> = (0..THREADS).map(|_| Stripe::new()).collect();
    let start = &Barrier::new(THREADS);
    thread::scope(|scope| {
        for id in 0..THREADS as u64 {
            let (own, ledger, stripes) = (&stripes[id as usize], &ledger, &stripes);
            scope.spawn(move || {
                start.wait();
                for i in 0..capacity / THREADS as u64 {
                    let mut reservation = ledger.reserve_up_to(own, 1);
                    assert!(reservation.gather(1, stripes), "refused although everybody has room");
                    if i % 3 == 0 {
                        // Given back and taken anew: credit lies on stripes when the end is near.
                        drop(reservation);
                        reservation = ledger.reserve_up_to(own, 1);
                        assert!(
                            reservation.gather(1, stripes),
                            "refused although everybody has room"
                        );
                    }
                    reservation.commit(1);
                }
            });
        }
    });
    assert_eq!(ledger.charged(&stripes), capacity / THREADS as u64 * THREADS as u64);
}
