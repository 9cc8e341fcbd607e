//! What those hold who were neutralized, step by step on one thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{ChargedTo, Domain, GRACE, GuardRef, Lent, Reads, Reclaim, Retired, Validate};

/// What is born when it is told.
struct Aged(u32, Arc<AtomicUsize>);

impl Reclaim for Aged {
    fn birth(&self) -> u32 {
        self.0
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.1).addr()
    }
}

impl Drop for Aged {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

type Age = Arc<Domain<Aged, ()>>;

fn free_ripe(domain: &Age) {
    (0..=2 * GRACE).for_each(|_| _ = domain.collect((usize::MAX, |_| false), |item, _| drop(item)));
}

fn retire_aged(domain: &Age, birth: u32) -> Arc<AtomicUsize> {
    let drops = Arc::new(AtomicUsize::new(0));
    // SAFETY: the item was never linked.
    let item = unsafe { Retired::new(Aged(birth, Arc::clone(&drops))) };
    domain.pin().guard_ref().retire(item, ChargedTo::Nowhere);
    drops
}

/// Reads a word, as one that may be neutralized.
fn read(guard: GuardRef<'_, Aged, (), Reads>) {
    guard.run(|validator| validator.validate(()).map(|_| ()));
}

#[test]
fn what_a_sleeper_goes_on_with_is_not_freed_as_another_has_gone() {
    for swapped in [false, true] {
        let domain: Age = Arc::new(Domain::new());
        let mut guards = [domain.owned_guard(), domain.owned_guard()];
        if swapped {
            guards.reverse();
        }
        let [goes_on, leaves] = &mut guards;
        goes_on.guard_ref();
        leaves.guard_ref();
        // Or no thread would be in the way yet.
        domain.advance();
        domain.neutralize_all();
        let drops = retire_aged(&domain, domain.birth() - 2);
        free_ripe(&domain);
        assert_eq!(drops.load(Ordering::SeqCst), 0, "both hold it");
        // Still under its old epoch, as what it was lent stays valid.
        read(goes_on.here());
        leaves.park();
        free_ripe(&domain);
        assert_eq!(drops.load(Ordering::SeqCst), 0, "one still holds it");
        goes_on.park();
        free_ripe(&domain);
        assert_eq!(drops.load(Ordering::SeqCst), 1, "nobody holds it");
    }
}

#[test]
fn what_any_of_the_sleepers_holds_is_kept() {
    for swapped in [false, true] {
        let domain: Age = Arc::new(Domain::new());
        let mut guards = [domain.owned_guard(), domain.owned_guard()];
        if swapped {
            guards.reverse();
        }
        let [early, late] = &mut guards;
        early.guard_ref();
        domain.neutralize_all();
        let birth = domain.birth();
        late.guard_ref();
        domain.neutralize_all();
        let (old, young) = (retire_aged(&domain, birth - 1), retire_aged(&domain, domain.birth()));
        let between = retire_aged(&domain, birth);
        free_ripe(&domain);
        let freed = || [&old, &between, &young].map(|drops| drops.load(Ordering::SeqCst));
        assert_eq!(freed(), [0, 0, 1]);
        late.park();
        free_ripe(&domain);
        assert_eq!(freed(), [0, 1, 1]);
        early.park();
        free_ripe(&domain);
        assert_eq!(freed(), [1, 1, 1]);
    }
}

/// Beside a write that sleeps the epoch stands: an owned guard that is renewed all the time still does not hold what was
/// retired before.
#[test]
fn an_owned_guard_that_is_renewed_beside_a_sleeping_write_holds_nothing_of_an_older_era() {
    let domain: Age = Arc::new(Domain::new());
    let mut renewed = domain.owned_guard();
    let writer = domain.pin();
    assert!(domain.advance());
    renewed.guard_ref();
    assert!(!domain.advance(), "the write is in the way");
    let old = retire_aged(&domain, domain.birth());
    domain.neutralize_all();
    read(renewed.guard_ref());
    let young = retire_aged(&domain, domain.birth());
    domain.neutralize_all();
    drop(writer);
    free_ripe(&domain);
    let freed = [&old, &young].map(|drops| drops.load(Ordering::SeqCst));
    assert_eq!(freed, [1, 0], "what was retired since its last renewal is held");
    renewed.guard_ref();
    free_ripe(&domain);
    assert_eq!(young.load(Ordering::SeqCst), 1);
}

/// What is charged anew is kept as before, and freed once.
#[test]
fn what_is_kept_is_charged_anew() {
    let domain: Age = Arc::new(Domain::new());
    let mut sleeper = domain.owned_guard();
    sleeper.guard_ref();
    domain.neutralize_all();
    let kept = retire_aged(&domain, domain.birth() - 1);
    free_ripe(&domain);
    assert!(domain.keeps());
    let mut seen = Vec::new();
    domain.recharge_kept(|_, charged_to| {
        seen.push(charged_to);
        ChargedTo::Retired
    });
    domain.recharge_kept(|_, charged_to| {
        seen.push(charged_to);
        charged_to
    });
    free_ripe(&domain);
    assert_eq!(seen, [ChargedTo::Nowhere, ChargedTo::Retired]);
    assert_eq!((kept.load(Ordering::SeqCst), domain.backlog()), (0, 1));
    sleeper.park();
    let mut freed = Vec::new();
    let mut free = |item: Aged, charged_to| freed.push((item.0, charged_to));
    (0..=GRACE).for_each(|_| _ = domain.collect((usize::MAX, |_| false), &mut free));
    assert_eq!(freed, [(domain.birth() - 1, ChargedTo::Retired)]);
    assert_eq!((kept.load(Ordering::SeqCst), domain.backlog()), (1, 0));
}

/// Lends the item that counts its end there, and nothing else; or nothing at all.
fn lend_alone(guard: &mut super::OwnedGuard<Aged, ()>, item: Option<&Arc<AtomicUsize>>) {
    guard.lend_one(&item, |item, guard_ref| {
        read(guard_ref);
        // SAFETY: the count outlives the test.
        item.as_ref().map(|drops| unsafe { Lent::new(*drops, Arc::as_ptr(drops).addr()) })
    });
}

#[test]
fn a_guard_that_is_narrowed_holds_the_item_that_it_has_lent_and_no_other() {
    let domain: Age = Arc::new(Domain::new());
    let mut guard = domain.owned_guard();
    let mut before = None;
    for _ in 0..20 {
        guard.guard_ref();
        let [lent, other] = [retire_aged(&domain, 0), retire_aged(&domain, 0)];
        lend_alone(&mut guard, Some(&lent));
        free_ripe(&domain);
        assert_eq!(other.load(Ordering::SeqCst), 0, "all that it could have reached is held");
        domain.narrow_own_guards();
        free_ripe(&domain);
        assert_eq!((lent.load(Ordering::SeqCst), other.load(Ordering::SeqCst)), (0, 1));
        let before = before.replace(lent);
        assert!(before.is_none_or(|before| before.load(Ordering::SeqCst) == 1), "lent no more");
    }
    lend_alone(&mut guard, None);
    domain.narrow_own_guards();
    free_ripe(&domain);
    assert_eq!((domain.backlog(), domain.reclamation_lag()), (0, 0));
    drop(guard);
}

#[test]
fn what_was_kept_for_a_guard_that_was_neutralized_is_freed_when_it_is_narrowed() {
    let domain: Age = Arc::new(Domain::new());
    let mut guard = domain.owned_guard();
    guard.guard_ref();
    domain.advance();
    domain.neutralize_all();
    let [lent, other] = [retire_aged(&domain, 0), retire_aged(&domain, 0)];
    free_ripe(&domain);
    assert!(domain.keeps_for_pins() && domain.backlog() == 2);
    lend_alone(&mut guard, Some(&lent));
    domain.narrow_own_guards();
    free_ripe(&domain);
    assert_eq!((lent.load(Ordering::SeqCst), other.load(Ordering::SeqCst)), (0, 1));
    assert!(domain.keeps() && !domain.keeps_for_pins());
    guard.park();
    free_ripe(&domain);
    assert!(!domain.keeps() && domain.backlog() == 0);
}

/// As where `Eq` of the user's writes.
#[test]
fn a_guard_that_is_in_use_is_not_narrowed() {
    let domain: Age = Arc::new(Domain::new());
    let mut guard = domain.owned_guard();
    lend_alone(&mut guard, None);
    guard.lend_one(&domain, |domain, guard_ref| {
        let drops = retire_aged(domain, 0);
        domain.narrow_own_guards();
        free_ripe(domain);
        assert_eq!(drops.load(Ordering::SeqCst), 0, "it could have reached it");
        read(guard_ref);
        None::<Lent<'_, ()>>
    });
}

#[test]
fn one_that_has_lent_more_than_one_item_is_not_narrowed_and_the_next_on_its_participant_neither() {
    let domain: Age = Arc::new(Domain::new());
    let mut guard = domain.owned_guard();
    lend_alone(&mut guard, None);
    guard.guard_ref();
    for _ in 0..2 {
        let drops = retire_aged(&domain, 0);
        domain.narrow_own_guards();
        free_ripe(&domain);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        lend_alone(&mut guard, None);
        drop(guard);
        free_ripe(&domain);
        guard = domain.owned_guard();
        guard.guard_ref();
    }
}
