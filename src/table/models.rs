//! Models of the bucket. Run with `--cfg clockhand_loom`.
//!
//! A table of two buckets; all keys live in the first one unless a model says otherwise.

use std::sync::Arc;

use loom::thread;

use super::view::{Spotted, View};
use super::{Table, shadow};
use crate::entry::{Entry, Shape};
use crate::reclaim::Ledgered;

type Toy = Table<u64, u64, (), ()>;
type ToyView<'g> = View<'g, u64, u64, (), ()>;

const YOUNG: u8 = 1;

fn toy() -> Arc<Toy> {
    Arc::new(Table::new(Shape::PLAIN, 1, ()))
}

/// Runs `f` on a pinned view.
fn with<R>(table: &Toy, f: impl FnOnce(ToyView<'_>) -> R) -> R {
    let guard = table.domain().visit();
    f(table.view(guard.pass()))
}

fn entry(key: u64, value: u64) -> Entry<u64, u64> {
    Entry::new(Shape::PLAIN, key, key, value, 1)
}

/// Inserts or replaces; the value that was there.
fn insert(table: &Toy, key: u64, value: u64) -> Option<u64> {
    with(table, |view| {
        let mut new = entry(key, value);
        loop {
            new = match view.locate(key, |&k| k == key) {
                Spotted::Open(open) => match open.commit(new, YOUNG) {
                    Ok(()) => return None,
                    Err(new) => new,
                },
                Spotted::Held(held) => match view.replace(held, new) {
                    Ok(old) => {
                        let value = *old.as_ref().value();
                        view.retire(old, Ledgered::Nowhere);
                        return Some(value);
                    }
                    Err(new) => new,
                },
            };
        }
    })
}

/// Inserts unless the key is there; whether it did.
fn insert_if_absent(table: &Toy, key: u64, value: u64) -> bool {
    with(table, |view| {
        let mut new = entry(key, value);
        loop {
            let Spotted::Open(open) = view.locate(key, |&k| k == key) else { return false };
            match open.commit(new, YOUNG) {
                Ok(()) => return true,
                Err(back) => new = back,
            }
        }
    })
}

fn remove(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| {
        loop {
            let Spotted::Held(held) = view.locate(key, |&k| k == key) else { return None };
            if let Some((old, bits)) = view.unlink(held) {
                assert_eq!(bits & 0b11, YOUNG, "the bits of another entry");
                let value = *old.as_ref().value();
                view.retire(old, Ledgered::Nowhere);
                return Some(value);
            }
        }
    })
}

fn get(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| view.find(key, |&k| k == key).map(|held| *held.entry().value()))
}

fn audit(table: &Toy) -> usize {
    with(table, |view| view.audit(|a, b| a == b).entries)
}

fn model(bound: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(bound);
    builder.max_branches = 20_000;
    builder.check(f);
}

/// Runs two operations at once on a table that `prepare` made.
fn race<A: 'static, B: 'static>(
    table: &Arc<Toy>,
    other: impl FnOnce(&Toy) -> A + 'static,
    own: impl FnOnce(&Toy) -> B,
) -> (A, B) {
    let theirs = Arc::clone(table);
    let other = thread::spawn(move || other(&theirs));
    let own = own(table);
    (other.join().unwrap(), own)
}

#[test]
fn two_inserts_of_one_key() {
    model(3, || {
        let table = toy();
        let (a, b) = race(&table, |t| insert_if_absent(t, 1, 10), |t| insert_if_absent(t, 1, 20));
        assert!(a ^ b, "exactly one of them");
        assert_eq!(get(&table, 1), Some(if a { 10 } else { 20 }));
        assert_eq!(audit(&table), 1);
    });
}

#[test]
fn two_inserts_of_two_keys() {
    model(3, || {
        let table = toy();
        let (a, b) = race(&table, |t| insert(t, 1, 10), |t| insert(t, 2, 20));
        assert_eq!((a, b), (None, None));
        assert_eq!((get(&table, 1), get(&table, 2)), (Some(10), Some(20)));
        assert_eq!(audit(&table), 2);
    });
}

#[test]
fn insert_against_remove() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        let (removed, replaced) = race(&table, |t| remove(t, 1), |t| insert(t, 1, 20));
        match removed {
            Some(10) => assert_eq!((replaced, get(&table, 1)), (None, Some(20))),
            Some(20) => assert_eq!((replaced, get(&table, 1)), (Some(10), None)),
            other => panic!("removed {other:?}"),
        }
        audit(&table);
    });
}

#[test]
fn two_inserts_into_a_slot_that_was_used() {
    model(3, || {
        let table = toy();
        insert(&table, 9, 90);
        remove(&table, 9);
        // If the slot were still announced, the claim of one would be revealed by the other, before
        // it is decided whether it comes in.
        let (a, b) = race(&table, |t| insert_if_absent(t, 1, 10), |t| insert_if_absent(t, 2, 20));
        assert!(a && b, "two keys, and both are new");
        assert_eq!((get(&table, 1), get(&table, 2)), (Some(10), Some(20)));
        assert_eq!(audit(&table), 2);
    });
}

#[test]
fn insert_against_replace() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        let (a, b) = race(&table, |t| insert(t, 1, 20), |t| insert(t, 1, 30));
        let last = get(&table, 1);
        match (a, b) {
            (Some(10), Some(20)) => assert_eq!(last, Some(30)),
            (Some(30), Some(10)) => assert_eq!(last, Some(20)),
            other => panic!("replaced {other:?}"),
        }
    });
}

#[test]
fn two_removals() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        let (a, b) = race(&table, |t| remove(t, 1), |t| remove(t, 1));
        assert!(a.is_some() ^ b.is_some(), "an entry is removed once");
        assert_eq!(audit(&table), 0);
    });
}

#[test]
fn a_read_beside_replace_never_misses() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        let (seen, _) = race(&table, |t| (get(t, 1), get(t, 1)), |t| insert(t, 1, 20));
        assert!(seen.0.is_some() && seen.1.is_some(), "the key was there all the time");
        assert!(seen != (Some(20), Some(10)), "an older value after a newer one");
    });
}

#[test]
fn a_read_sees_no_value_that_was_refused() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        let (seen, inserted) = race(&table, |t| get(t, 1), |t| insert_if_absent(t, 1, 20));
        assert!(!inserted);
        assert_eq!(seen, Some(10));
    });
}

#[test]
fn evict_against_touch_and_mark() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        let (removed, marked) = race(
            &table,
            |t| remove_any_bits(t, 1),
            |t| {
                with(t, |view| {
                    let held = view.find(1, |&k| k == 1)?;
                    held.touch();
                    let held = view.find(1, |&k| k == 1)?;
                    Some(held.mark(held.bits(), 3))
                })
            },
        );
        // Whoever unlinked has seen the promotion if and only if it took place.
        assert_eq!(removed & 0b11 == 3, marked == Some(true));
        assert_eq!(audit(&table), 0);
    });
}

fn remove_any_bits(table: &Toy, key: u64) -> u8 {
    with(table, |view| {
        let Spotted::Held(held) = view.locate(key, |&k| k == key) else { panic!("it is there") };
        let (old, bits) = view.unlink(held).expect("nobody else removes");
        view.retire(old, Ledgered::Nowhere);
        bits
    })
}

#[test]
fn overflow_two_inserts_of_one_key() {
    model(2, || {
        let table = toy();
        for key in 0..shadow::LANES as u64 {
            insert(&table, key, key);
        }
        let (a, b) = race(&table, |t| insert_if_absent(t, 9, 10), |t| insert_if_absent(t, 9, 20));
        assert!(a ^ b, "exactly one of them");
        assert_eq!(get(&table, 9), Some(if a { 10 } else { 20 }));
        assert_eq!(audit(&table), shadow::LANES + 1);
    });
}

#[test]
fn overflow_insert_against_the_end_of_the_chain() {
    model(2, || {
        let table = toy();
        for key in 0..=shadow::LANES as u64 {
            insert(&table, key, key);
        }
        let last = shadow::LANES as u64;
        let (removed, inserted) =
            race(&table, move |t| remove(t, last), |t| insert_if_absent(t, 9, 90));
        assert_eq!(removed, Some(last));
        assert!(inserted);
        assert_eq!(get(&table, 9), Some(90), "a chain that nobody looks at");
        assert_eq!(audit(&table), shadow::LANES + 1);
    });
}

#[test]
fn migrate_against_insert() {
    model(1, || {
        let table = toy();
        insert(&table, 1, 10);
        let (inserted, _) = race(
            &table,
            |t| insert_if_absent(t, 2, 20),
            |t| {
                with(t, |view| view.grow(|_| ()));
                insert(t, u64::MAX, 30)
            },
        );
        assert!(inserted);
        assert_eq!((get(&table, 1), get(&table, 2)), (Some(10), Some(20)));
        assert_eq!(audit(&table), 3);
    });
}

#[test]
fn migrate_against_replace_and_read() {
    model(1, || {
        let table = toy();
        insert(&table, 1, 10);
        let (seen, _) = race(
            &table,
            |t| {
                let old = insert(t, 1, 20);
                (old, get(t, 1))
            },
            |t| {
                with(t, |view| view.grow(|_| ()));
                insert(t, 2, 30)
            },
        );
        assert_eq!(seen, (Some(10), Some(20)), "a replaced value came back");
        assert_eq!(audit(&table), 2);
    });
}

#[test]
fn a_late_helper_resurrects_nothing() {
    model(1, || {
        let table = toy();
        insert(&table, 1, 10);
        with(&table, |view| view.grow(|_| ()));
        // Both help to migrate; one of them may sleep in the middle, while the other goes on,
        // removes the entry from its new place, and puts others there.
        let (removed, _) = race(
            &table,
            |t| remove(t, 1),
            |t| {
                with(t, |view| {
                    view.locate(1, |&k| k == 1);
                });
            },
        );
        assert_eq!(removed, Some(10));
        assert_eq!(get(&table, 1), None, "it came back");
        assert_eq!(audit(&table), 0);
    });
}
