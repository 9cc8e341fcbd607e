//! Models of tables that change their size. Run with `--cfg clockhand_loom`.
//!
//! All keys live in the first bucket of the larger generation unless a model says otherwise.

use std::sync::Arc;

use loom::thread;

use super::Table;
use super::array::Array;
use super::bucket::BucketRef;
use super::group::SLOTS_PER_GROUP;
use super::migrate::MigrationUnit;
use super::models::{
    PROTECTED, Toy, YOUNG, commit, entry, get, insert, model, remove, search, toy, with,
};
use crate::entry::{EntryLayout, Slab};
use crate::reclaim::ChargedTo;
use crate::slot_meta::Region;

type Toys = Array<u64, u64, ()>;

/// A bucket and the generation that follows it, with `bits`, without epochs: nothing is freed, so no thread
/// has to be pinned.
fn generations(from: u32, to: u32) -> (BucketRef<'static, u64, u64, ()>, &'static Toys) {
    let slab = Arc::new(Slab::new(EntryLayout::PLAIN));
    let array = |bits| &*Box::leak(Box::new(Array::new(Arc::clone(&slab), u64::MAX, bits, ())));
    (BucketRef::at(array(from), 0), array(to))
}

fn value_in(array: &'static Array<u64, u64, ()>, key: u64) -> Option<u64> {
    let bucket = BucketRef::of(array, key);
    search(bucket, key).map(|occupied| *occupied.entry().value())
}

/// What a change of the size may be: a bucket is divided, or two become one.
const SIZES: [(u32, u32); 2] = [(1, 2), (2, 1)];

fn migrate(bucket: BucketRef<'static, u64, u64, ()>, next: &'static Toys) {
    MigrationUnit::of(bucket, next).migrate();
}

/// A model of a change of the size, concurrently with an operation on a bucket that has keys up to `full`.
fn beside_migration<R: 'static>(
    (from, to): (u32, u32),
    full: u64,
    operation: fn(BucketRef<'static, u64, u64, ()>) -> R,
    check: fn(&'static Toys, R),
) {
    model(2, move || {
        let (bucket, next) = generations(from, to);
        (0..full).for_each(|key| assert!(commit(bucket, key, 10)));
        let other = thread::spawn(move || operation(bucket));
        migrate(bucket, next);
        let done = other.join().unwrap();
        (1..full.max(1) - 1).for_each(|key| assert_eq!(value_in(next, key), Some(10)));
        check(next, done);
    });
}

/// Keys that fill a bucket's own slots, and one more, which lies in the chain.
const CHAINED: u64 = SLOTS_PER_GROUP as u64;

#[test]
fn migrate_against_insert() {
    for sizes in SIZES {
        let insert = |bucket| commit(bucket, 1, 10);
        beside_migration(sizes, 0, insert, |next, inserted| {
            assert_eq!(value_in(next, 1), inserted.then_some(10), "lost, or there all the same");
        });
    }
}

#[test]
fn migrate_against_replace() {
    for sizes in SIZES {
        let replace = |bucket| {
            search(bucket, 0).is_some_and(|occupied| {
                occupied.slot().swap(entry(occupied.bucket.array.slab(), 0, 20).into_raw(), true)
            })
        };
        beside_migration(sizes, 1, replace, |next, replaced| {
            let value = if replaced { 20 } else { 10 };
            assert_eq!(value_in(next, 0), Some(value), "a value came back");
        });
    }
}

#[test]
fn migrate_against_remove() {
    for sizes in SIZES {
        let remove = |bucket| search(bucket, 0).and_then(|occupied| occupied.unlink()).is_some();
        beside_migration(sizes, 1, remove, |next, removed| {
            assert_eq!(value_in(next, 0), (!removed).then_some(10), "a removed key came back");
        });
    }
}

#[test]
fn migrate_against_mark() {
    for sizes in SIZES {
        let mark =
            |bucket| search(bucket, 0).is_some_and(|occupied| occupied.mark(YOUNG, PROTECTED));
        beside_migration(sizes, 1, mark, |next, marked| {
            let meta = search(BucketRef::of(next, 0), 0).expect("it was moved").meta();
            assert_eq!(meta == PROTECTED, marked, "a promotion that was counted is lost");
        });
    }
}

#[test]
fn migrate_chain_against_insert() {
    let insert = |bucket| commit(bucket, CHAINED, 10);
    beside_migration((1, 2), CHAINED, insert, |next, inserted| {
        assert_eq!(value_in(next, CHAINED), inserted.then_some(10), "lost, or there all the same");
    });
}

#[test]
fn migrate_chain_against_replace() {
    let replace = |bucket| {
        search(bucket, CHAINED).is_some_and(|occupied| {
            occupied.slot().swap(entry(occupied.bucket.array.slab(), CHAINED, 20).into_raw(), true)
        })
    };
    beside_migration((1, 2), CHAINED + 1, replace, |next, replaced| {
        let value = if replaced { 20 } else { 10 };
        assert_eq!(value_in(next, CHAINED), Some(value), "a value came back");
    });
}

#[test]
fn migrate_chain_against_remove() {
    let remove = |bucket| search(bucket, CHAINED).and_then(|occupied| occupied.unlink()).is_some();
    beside_migration((1, 2), CHAINED + 1, remove, |next, removed| {
        let value = (!removed).then_some(10);
        assert_eq!(value_in(next, CHAINED), value, "a removed key came back");
    });
}

#[test]
fn migrate_chain_against_mark() {
    let mark =
        |bucket| search(bucket, CHAINED).is_some_and(|occupied| occupied.mark(YOUNG, PROTECTED));
    beside_migration((1, 2), CHAINED + 1, mark, |next, marked| {
        let meta = search(BucketRef::of(next, CHAINED), CHAINED).expect("it was moved").meta();
        assert_eq!(meta == PROTECTED, marked, "a promotion that was counted is lost");
    });
}

#[test]
fn migrate_chain_against_touch() {
    // A read that is counted after the copy would make another helper's image differ.
    for (sizes, key) in [((1, 2), CHAINED), ((2, 1), 0)] {
        model(2, move || {
            let (bucket, next) = generations(sizes.0, sizes.1);
            (0..=key).for_each(|key| assert!(commit(bucket, key, 10)));
            let other = thread::spawn(move || search(bucket, key).expect("it is there").touch());
            migrate(bucket, next);
            other.join().unwrap();
            let meta = |bucket| search(bucket, key).expect("it is there").meta();
            assert_eq!(meta(bucket), meta(BucketRef::of(next, key)), "what is frozen has changed");
        });
    }
}

#[test]
fn migrate_against_the_end_of_a_chain() {
    // The thread that takes the last link off clears the flag that says that there is a chain.
    model(2, || {
        let (bucket, next) = generations(1, 2);
        (0..=CHAINED).for_each(|key| assert!(commit(bucket, key, 10)));
        let other = thread::spawn(move || {
            let gone = search(bucket, CHAINED).is_some_and(|occupied| occupied.unlink().is_some());
            bucket.remove_empty_links(std::mem::forget);
            gone
        });
        migrate(bucket, next);
        let gone = other.join().unwrap();
        (0..CHAINED).for_each(|key| assert_eq!(value_in(next, key), Some(10)));
        assert_eq!(value_in(next, CHAINED), (!gone).then_some(10));
    });
}

#[test]
fn a_late_helper_resurrects_nothing() {
    // Both migrate; one may fall asleep in the middle, while the other completes the bucket and
    // removes the entry from its new place.
    for (from, to) in SIZES {
        model(2, move || {
            let (bucket, next) = generations(from, to);
            commit(bucket, 1, 10);
            let other = thread::spawn(move || migrate(bucket, next));
            migrate(bucket, next);
            let target = BucketRef::at(next, 0);
            search(target, 1).expect("it was moved").unlink().expect("nobody else removes");
            other.join().unwrap();
            assert_eq!(value_in(next, 1), None, "it came back");
        });
    }
}

/// A key of the second of four buckets, which is one of two that become the first of two.
const SECOND: u64 = 1 << 62;

#[test]
fn two_that_become_one_against_insert_and_remove() {
    model(2, || {
        let (bucket, next) = generations(2, 1);
        let second = BucketRef::at(bucket.array, 1);
        assert!(commit(bucket, 1, 10) && commit(second, SECOND, 10));
        let other = thread::spawn(move || {
            let inserted = commit(second, SECOND | 1, 20);
            (inserted, search(bucket, 1).is_some_and(|occupied| occupied.unlink().is_some()))
        });
        migrate(second, next);
        let (inserted, removed) = other.join().unwrap();
        assert_eq!(value_in(next, SECOND), Some(10));
        assert_eq!(value_in(next, SECOND | 1), inserted.then_some(20));
        assert_eq!(value_in(next, 1), (!removed).then_some(10));
    });
}

#[test]
fn what_a_hand_unlinks_while_two_become_one_is_read_no_more() {
    // The hand comes to the target through the first bucket, and finds there what readers look for in the
    // second.
    model(2, || {
        let table = shrinking();
        let theirs = Arc::clone(&table);
        let helper = thread::spawn(move || with(&theirs, |view| _ = view.migrate(1)));
        let gone = with(&table, |view| {
            let seen = (0..SLOTS_PER_GROUP as u64)
                .find_map(|position| view.get_at(Region::Probation, position))?;
            let occupied = view.occupied(seen);
            let Some((old, _)) = view.unlink(occupied) else {
                view.help_migrate(occupied);
                return None;
            };
            view.retire(old, ChargedTo::Nowhere);
            Some(())
        });
        if gone.is_some() {
            assert_eq!(get(&table, SECOND), None, "what has been unlinked is read");
        }
        helper.join().unwrap();
    });
}

/// A table of four buckets, of which two have begun to become one; the second of them has an entry.
fn shrinking() -> Arc<Toy> {
    let mut table = Table::new(EntryLayout::PLAIN, u64::MAX, 2, ());
    table.first_bits = 1;
    insert(&table, SECOND, 10);
    with(&table, |view| view.begin(view.current(), 1, |_, _| ()));
    Arc::new(table)
}

#[test]
fn a_group_is_migrated_whoever_began_with_it() {
    // The other thread may fall asleep at any point, with whatever it has begun.
    model(2, || {
        let table = toy();
        insert(&table, 1, 10);
        with(&table, |view| view.grow(|_, _| ()));
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || with(&theirs, |view| _ = view.migrate(2)));
        (0..2).for_each(|_| with(&table, |view| _ = view.migrate(2)));
        assert_eq!(with(&table, |view| view.buckets()), 4, "it waits for the other one");
        other.join().unwrap();
        assert_eq!(get(&table, 1), Some(10));
    });
}

#[test]
fn a_generation_ends_whoever_saw_it_moved() {
    model(3, || {
        let table = toy();
        with(&table, |view| {
            view.grow(|_, _| ());
            let array = view.current();
            let next = view.next(array).expect("just begun");
            (0..2).for_each(|nth| MigrationUnit::at(array, next, nth).migrate());
        });
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || with(&theirs, |view| _ = view.migrate(1)));
        with(&table, |view| _ = view.migrate(1));
        assert_eq!(with(&table, |view| view.buckets()), 4, "it waits for the other one");
        other.join().unwrap();
    });
}

#[test]
fn two_that_end_a_generation_retire_it_once() {
    model(2, || {
        let table = toy();
        with(&table, |view| view.grow(|_, _| ()));
        let theirs = Arc::clone(&table);
        let other = thread::spawn(move || insert(&theirs, 1, 10));
        remove(&table, 2);
        other.join().unwrap();
        remove(&table, 2);
        assert_eq!(with(&table, |view| view.buckets()), 4);
        assert_eq!(get(&table, 1), Some(10));
    });
}
