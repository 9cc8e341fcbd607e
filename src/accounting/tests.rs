//! The ledger in one thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::ledger::Striping;
use super::{Ledger, Stripe};

/// Stripes may hold a quarter each, as long as the pool has more than a quarter.
pub(super) const GENEROUS: Striping =
    Striping { stripes: 2, max_credit_shift: 2, min_pool_shift: 2 };

fn generous(capacity: u64) -> (Ledger, [Stripe; 3]) {
    (Ledger::striped(capacity, GENEROUS), [Stripe::new(), Stripe::new(), Stripe::new()])
}

/// Takes `charge` from the stripe and the pool as the engine does, or nothing.
pub(super) fn take(ledger: &Ledger, own: &Stripe, charge: u64) -> bool {
    let mut reservation = ledger.reserve_up_to(own, 0);
    let found = reservation.gather(charge, [] as [&Stripe; 0]);
    if found {
        reservation.commit(charge);
    }
    found
}

#[test]
fn takes_all_or_nothing() {
    let (ledger, [own, ..]) = generous(10);
    assert!(take(&ledger, &own, 10));
    assert!(!take(&ledger, &own, 1));
    assert!(take(&ledger, &own, 0));
    assert_eq!(ledger.charged([&own]), 10);
    ledger.give(&own, 10);
    assert_eq!(ledger.free([&own]), 10);
    assert!(!take(&ledger, &own, 11));
    assert_eq!(ledger.take_up_to(&own, 11), 10);
}

#[test]
fn credit_and_pool_add_up() {
    let (ledger, [own, ..]) = generous(16);
    assert!(take(&ledger, &own, 4));
    ledger.give(&own, 4);
    assert_eq!((own.credit(), ledger.pooled()), (4, 12));
    assert!(!take(&ledger, &own, 17));
    assert_eq!(ledger.free([&own]), 16);
    assert!(take(&ledger, &own, 16));
    assert_eq!(ledger.charged([&own]), 16);
}

#[test]
fn a_stripe_keeps_its_share_and_spills_the_rest() {
    let (ledger, [own, ..]) = generous(16);
    assert!(take(&ledger, &own, 7));
    for _ in 0..7 {
        ledger.give(&own, 1);
    }
    assert_eq!((own.credit(), ledger.pooled()), (4, 12));
}

#[test]
fn nothing_stays_on_stripes_near_the_limit() {
    let (ledger, [own, ..]) = generous(16);
    assert!(take(&ledger, &own, 14));
    ledger.give(&own, 2);
    assert_eq!((own.credit(), ledger.pooled(), ledger.registered()), (0, 4, 0));
}

#[test]
fn few_stripes_hold_credit_at_a_time() {
    let (ledger, stripes) = generous(16);
    assert!(take(&ledger, &stripes[0], 3));
    stripes.iter().for_each(|own| ledger.give(own, 1));
    assert_eq!(stripes.each_ref().map(Stripe::credit), [1, 1, 0]);
    assert_eq!(ledger.registered(), 2);
    assert_eq!(ledger.steal(&stripes, 9), 2);
    assert_eq!(ledger.registered(), 0);
}

#[test]
fn a_sweep_takes_no_more_than_it_wants() {
    let (ledger, stripes) = generous(16);
    assert!(take(&ledger, &stripes[0], 6));
    ledger.give(&stripes[0], 3);
    ledger.give(&stripes[1], 3);
    assert_eq!(ledger.steal(&stripes, 4), 4);
    assert_eq!((stripes[0].credit(), stripes[1].credit(), ledger.registered()), (0, 2, 1));
    assert_eq!(ledger.steal(&stripes, 4), 2);
    assert_eq!(ledger.steal(&stripes, 4), 0);
    assert_eq!(ledger.registered(), 0);
}

#[test]
fn the_default_strands_less_than_half_a_percent() {
    let capacity = 1 << 30;
    let ledger = Ledger::new(capacity);
    let stripes: Vec<Stripe> = (0..1000).map(|_| Stripe::new()).collect();
    assert!(take(&ledger, &stripes[0], capacity / 2));
    for i in 0..capacity as usize >> 11 {
        ledger.give(&stripes[i % 1000], 1 << 10);
    }
    let credit = capacity - ledger.pooled();
    assert!(credit > 0 && credit <= capacity / 200, "{credit} of {capacity}");
    assert_eq!(ledger.free(&stripes), capacity);
    let near = ledger.reserve_up_to(&stripes[0], capacity);
    assert!(near.held >= capacity - capacity / 200);
}

#[test]
fn a_shrink_is_paid_from_what_is_free_and_then_by_what_comes_back() {
    let (ledger, stripes) = generous(16);
    assert!(take(&ledger, &stripes[0], 10));
    ledger.give(&stripes[0], 2);
    assert_eq!((stripes[0].credit(), ledger.pooled()), (2, 6));
    ledger.set_capacity(3, &stripes);
    assert_eq!((ledger.limit(), ledger.capacity(), ledger.debt()), (8, 3, 5));
    assert_eq!((ledger.free(&stripes), ledger.charged(&stripes)), (0, 8));
    ledger.give(&stripes[0], 4);
    assert_eq!((ledger.limit(), ledger.debt(), ledger.free(&stripes)), (4, 1, 0));
    ledger.give(&stripes[0], 4);
    assert_eq!((ledger.limit(), ledger.debt(), ledger.free(&stripes)), (3, 0, 3));
}

#[test]
fn growth_cancels_debt_first() {
    let (ledger, stripes) = generous(16);
    assert!(take(&ledger, &stripes[0], 16));
    ledger.set_capacity(4, &stripes);
    assert_eq!((ledger.limit(), ledger.debt()), (16, 12));
    ledger.set_capacity(10, &stripes);
    assert_eq!((ledger.limit(), ledger.debt(), ledger.free(&stripes)), (16, 6, 0));
    ledger.set_capacity(20, &stripes);
    assert_eq!((ledger.limit(), ledger.debt(), ledger.free(&stripes)), (20, 0, 4));
}

#[test]
fn the_ends_of_the_range_work() {
    let (ledger, stripes) = generous(u64::MAX);
    let own = &stripes[0];
    assert!(take(&ledger, own, u64::MAX - 3));
    assert!(!take(&ledger, own, 4));
    ledger.set_capacity(0, &stripes);
    assert_eq!((ledger.limit(), ledger.free(&stripes)), (u64::MAX - 3, 0));
    ledger.set_capacity(u64::MAX, &stripes);
    assert_eq!((ledger.limit(), ledger.free(&stripes)), (u64::MAX, 3));
    ledger.give(own, u64::MAX - 3);
    assert_eq!(ledger.free(&stripes), u64::MAX);
    ledger.set_capacity(0, &stripes);
    assert_eq!((ledger.limit(), ledger.free(&stripes)), (0, 0));
    assert!(take(&ledger, own, 0) && !take(&ledger, own, 1));
    ledger.set_capacity(u64::MAX, &stripes);
    assert!(take(&ledger, own, u64::MAX));
    assert_eq!(ledger.charged(&stripes), u64::MAX);
    let nothing = Ledger::new(0);
    assert!(!take(&nothing, own, 1));
    assert_eq!((nothing.limit(), nothing.charged(&stripes)), (0, 0));
}

#[test]
fn an_evictor_adds_victims_to_its_reservation_and_returns_the_surplus() {
    let (ledger, stripes) = generous(16);
    let own = &stripes[0];
    assert!(take(&ledger, own, 14));
    assert!(!take(&ledger, own, 5));
    let mut reservation = ledger.reserve_up_to(own, 5);
    assert_eq!((reservation.held, ledger.free(&stripes)), (2, 0));
    assert!(!reservation.gather(5, &stripes));
    reservation.add(7);
    assert!(reservation.gather(5, &stripes));
    assert_eq!((reservation.held, ledger.free(&stripes)), (9, 0));
    reservation.commit(5);
    assert_eq!((ledger.free(&stripes), ledger.charged(&stripes)), (4, 12));
}

#[test]
fn gather_looks_everywhere() {
    let (ledger, stripes) = generous(16);
    let own = &stripes[0];
    assert!(take(&ledger, own, 6));
    ledger.give(own, 2);
    ledger.give(&stripes[1], 3);
    let mut reservation = ledger.reserve_up_to(own, 0);
    assert!(!reservation.gather(16, &stripes));
    assert_eq!((reservation.held, ledger.registered()), (15, 0));
    let part = reservation.split(10).expect("15 are held");
    assert!(reservation.split(6).is_none());
    assert_eq!((reservation.held, part.held), (5, 10));
    drop(part);
    assert_eq!(ledger.free(&stripes), 10);
}

#[test]
fn a_panic_gives_the_charge_back() {
    let (ledger, stripes) = generous(16);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _hand = ledger.reserve_up_to(&stripes[0], 9);
        panic!("user code");
    }));
    assert!(outcome.is_err());
    assert_eq!(ledger.free(&stripes), 16);
}

#[test]
#[should_panic(expected = "committed more than was reserved")]
fn a_commit_beyond_the_reservation_is_refused() {
    let (ledger, [own, ..]) = generous(16);
    ledger.reserve_up_to(&own, 2).commit(3);
}

#[test]
#[should_panic(expected = "L1: conservation")]
fn the_audit_sees_a_unit_that_is_lost() {
    let (ledger, stripes) = generous(16);
    std::mem::forget(ledger.reserve_up_to(&stripes[0], 1));
    ledger.audit(&stripes, 0);
}
