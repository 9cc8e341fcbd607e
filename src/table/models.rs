//! Models of the bucket. Run with `--cfg clockhand_loom`.
//!
//! A table of two buckets; all keys live in the first one unless a model says otherwise. The models of
//! tables that change their size are in `migration_models`.

use std::sync::Arc;

use loom::thread;

use super::Table;
use super::array::Array;
use super::bucket::Lookup;
use super::bucket::{BucketRef, Occupied, Vacant};
use super::group::{Query, SLOTS_PER_GROUP};
use super::view::View;
use crate::entry::{Entry, EntryLayout, Include, LoadStatus, LoadToken, Slab};
use crate::reclaim::{ChargedTo, Unchecked};
use crate::slot_meta::{SlotMeta, Stage};
use crate::sync::explore;

pub(super) type Toy = Table<u64, u64, (), ()>;
pub(super) type ToyView<'g> = View<'g, u64, u64, (), ()>;

pub(super) const YOUNG: SlotMeta = SlotMeta::NEW;
pub(super) const PROTECTED: SlotMeta = SlotMeta::new(Stage::Protected, 0);

pub(super) fn toy() -> Arc<Toy> {
    Arc::new(Table::new(EntryLayout::PLAIN, u64::MAX, 1, ()))
}

/// Runs `f` on a pinned view.
pub(super) fn with<R>(table: &Toy, f: impl FnOnce(ToyView<'_>) -> R) -> R {
    let guard = table.domain().pin_transient();
    f(table.view(guard.guard_ref()))
}

pub(super) fn entry(slab: &Slab<u64, u64>, key: u64, value: u64) -> Entry<u64, u64> {
    Entry::new(slab, key, key, value, 1)
}

/// Inserts or replaces; the value that was there.
pub(super) fn insert(table: &Toy, key: u64, value: u64) -> Option<u64> {
    with(table, |view| {
        let mut new = view.entry(key, key, value, 1);
        loop {
            new = match view.find_for_write(key, |&k| k == key) {
                Lookup::Vacant(vacant) => match vacant.commit(new, YOUNG) {
                    Ok(()) => return None,
                    Err(new) => new,
                },
                Lookup::Occupied(occupied) => match view.replace(occupied, (new, false)) {
                    Ok(old) => {
                        let value = *old.as_ref().value();
                        view.retire(old, ChargedTo::Nowhere);
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
        let mut new = view.entry(key, key, value, 1);
        loop {
            let Lookup::Vacant(vacant) = view.find_for_write(key, |&k| k == key) else {
                return false;
            };
            match vacant.commit(new, YOUNG) {
                Ok(()) => return true,
                Err(back) => new = back,
            }
        }
    })
}

pub(super) fn remove(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| {
        loop {
            let Lookup::Occupied(occupied) = view.find_for_write(key, |&k| k == key) else {
                return None;
            };
            if let Some((old, meta)) = view.unlink(occupied) {
                assert_eq!(meta.bits() & SlotMeta::STAGE_MASK, YOUNG.bits(), "of another entry");
                let value = *old.as_ref().value();
                view.retire(old, ChargedTo::Nowhere);
                return Some(value);
            }
        }
    })
}

pub(super) fn get(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| view.find(key, |&k| k == key).map(|occupied| *occupied.entry().value()))
}

pub(super) fn audit(table: &Toy) -> usize {
    with(table, |view| view.audit(|a, b| a == b).entries)
}

pub(super) fn model(bound: usize, f: impl Fn() + Send + Sync + 'static) {
    explore(bound, 100_000, f);
}

/// Runs two operations at once on a table that `prepare` made.
pub(super) fn race<A: 'static, B: 'static>(
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
        // it is decided whether it is inserted.
        let (a, b) = race(&table, |t| insert_if_absent(t, 1, 10), |t| insert_if_absent(t, 2, 20));
        assert!(a && b, "two keys, and both are new");
        assert_eq!((get(&table, 1), get(&table, 2)), (Some(10), Some(20)));
        assert_eq!(audit(&table), 2);
    });
}

#[test]
fn a_stale_removal_beside_inserts_of_one_key() {
    model(3, || {
        let table = toy();
        insert(&table, 1, 10);
        // One finds the entry; the other removes it, and claims its slot for the next key. The
        // removal that comes too late must leave that claim's announcement alone.
        let step = |value| {
            move |t: &Toy| {
                remove(t, 1);
                insert_if_absent(t, 2, value)
            }
        };
        let (a, b) = race(&table, step(20), step(30));
        assert!(a ^ b, "a key that is new comes in once");
        assert_eq!(get(&table, 2), Some(if a { 20 } else { 30 }));
        assert_eq!(audit(&table), 1);
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
                    let occupied = view.find(1, |&k| k == 1)?;
                    occupied.touch();
                    let occupied = view.find(1, |&k| k == 1)?;
                    Some(occupied.mark(occupied.meta(), PROTECTED))
                })
            },
        );
        // The thread that unlinked has seen the promotion if and only if it took place.
        assert_eq!(removed & 0b11 == 3, marked == Some(true));
        assert_eq!(audit(&table), 0);
    });
}

fn remove_any_bits(table: &Toy, key: u64) -> u8 {
    with(table, |view| {
        let Lookup::Occupied(occupied) = view.find_for_write(key, |&k| k == key) else {
            panic!("it is there")
        };
        let (old, meta) = view.unlink(occupied).expect("nobody else removes");
        view.retire(old, ChargedTo::Nowhere);
        meta.bits()
    })
}

#[test]
fn overflow_two_inserts_of_one_key() {
    model(2, || {
        let table = toy();
        for key in 0..SLOTS_PER_GROUP as u64 {
            insert(&table, key, key);
        }
        let (a, b) = race(&table, |t| insert_if_absent(t, 9, 10), |t| insert_if_absent(t, 9, 20));
        assert!(a ^ b, "exactly one of them");
        assert_eq!(get(&table, 9), Some(if a { 10 } else { 20 }));
        assert_eq!(audit(&table), SLOTS_PER_GROUP + 1);
    });
}

#[test]
fn overflow_two_inserts_of_one_key_beside_the_end_of_the_chain() {
    // One comes into the bucket's own slots; the other follows the end of the chain, which clears the
    // announcement of the first.
    model(2, || {
        let table = toy();
        for key in 0..=SLOTS_PER_GROUP as u64 {
            insert(&table, key, key);
        }
        remove(&table, 0);
        let (a, b) = race(
            &table,
            |t| insert_if_absent(t, 9, 10),
            |t| {
                assert!(remove(t, SLOTS_PER_GROUP as u64).is_some());
                insert_if_absent(t, 9, 20)
            },
        );
        assert!(a ^ b, "exactly one of them");
        assert_eq!(audit(&table), SLOTS_PER_GROUP);
    });
}

#[test]
fn overflow_insert_against_the_end_of_the_chain() {
    model(2, || {
        let table = toy();
        for key in 0..=SLOTS_PER_GROUP as u64 {
            insert(&table, key, key);
        }
        let last = SLOTS_PER_GROUP as u64;
        let (removed, inserted) =
            race(&table, move |t| remove(t, last), |t| insert_if_absent(t, 9, 90));
        assert_eq!(removed, Some(last));
        assert!(inserted);
        assert_eq!(get(&table, 9), Some(90), "a chain that nobody looks at");
        assert_eq!(audit(&table), SLOTS_PER_GROUP + 1);
    });
}

type ToyBucket = BucketRef<'static, u64, u64, ()>;

/// A bucket without epochs: nothing is freed, so no thread has to be pinned.
fn bucket() -> ToyBucket {
    let slab = Arc::new(Slab::new(EntryLayout::PLAIN));
    BucketRef::at(Box::leak(Box::new(Array::new(slab, u64::MAX, 1, ()))), 0)
}

/// The position of a key that is not there.
fn vacant(bucket: ToyBucket) -> Vacant<'static, u64, u64, ()> {
    // No hash is that one: nothing is found.
    match bucket.find_for_write(
        bucket.help_announced(),
        Query { hash: u64::MAX, include: Include::All },
        &mut |_| false,
    ) {
        Lookup::Vacant(vacant) => vacant,
        Lookup::Occupied(_) => unreachable!("nobody is equal"),
    }
}

pub(super) fn commit(bucket: ToyBucket, key: u64, value: u64) -> bool {
    vacant(bucket).commit(entry(bucket.array.slab(), key, value), YOUNG).is_ok()
}

pub(super) fn search(bucket: ToyBucket, key: u64) -> Option<Occupied<'static, u64, u64, ()>> {
    let Ok(found) = bucket.search(
        Unchecked::new(),
        bucket.header(),
        Query { hash: key, include: Include::All },
        &mut |&k| k == key,
    );
    found
}

#[test]
fn a_commit_that_fails_beside_a_late_promotion_and_a_removal() {
    // Three parties on one slot: an entry is removed that a hand has met, the next one comes into its slot and has
    // lost already, and the hand promotes what it has met. Each counts by the bits that the slot had.
    let on_probation = |meta: SlotMeta| i64::from(meta.is_on_probation());
    model(4, move || {
        let bucket = bucket();
        let stale = vacant(bucket);
        commit(bucket, 1, 10);
        let promoter = thread::spawn(move || {
            let met = search(bucket, 1).filter(|occupied| occupied.meta() == YOUNG);
            i64::from(met.is_some_and(|occupied| occupied.mark(YOUNG, PROTECTED)))
        });
        let comer = thread::spawn(move || {
            // The same tag and the same bits.
            let twin = Entry::new(bucket.array.slab(), 1, 2, 20, 1);
            stale.commit(twin, YOUNG).expect_err("it has lost already");
            0
        });
        let removed =
            search(bucket, 1).expect("it is there").unlink().expect("nobody else removes");
        let share = 1 - on_probation(removed) - promoter.join().unwrap() + comer.join().unwrap();
        assert_eq!(share, 0, "the share of an empty bucket");
    });
}

#[test]
fn a_helper_fills_only_what_is_announced() {
    // The helper reads an announcement, and sleeps, here or before its last step; meanwhile what was announced is
    // gone, and another entry has come into its slot and is gone, too.
    model(5, || {
        let bucket = bucket();
        let helper = thread::spawn(move || _ = bucket.help_announced());
        for key in [1, 2] {
            commit(bucket, key, 10);
            search(bucket, key).expect("it is there").unlink().expect("nobody else removes");
        }
        helper.join().unwrap();
        assert!([1, 2].iter().all(|&key| search(bucket, key).is_none()), "what left is back");
        assert!(commit(bucket, 3, 30));
        assert_eq!(bucket.group().words().filter(|(_, word)| word.is_occupied()).count(), 1);
    });
}

#[test]
fn an_insert_that_sleeps_before_its_last_step_is_done_by_others() {
    // Both settle what the first has announced; one of them takes it out again.
    model(3, || {
        let bucket = bucket();
        let sleeper = thread::spawn(move || commit(bucket, 1, 10));
        let remover = thread::spawn(move || {
            bucket.help_announced();
            search(bucket, 1).is_some_and(|occupied| occupied.unlink().is_some())
        });
        let second = commit(bucket, 2, 20);
        let (first, removed) = (sleeper.join().unwrap(), remover.join().unwrap());
        bucket.help_announced();
        assert_eq!(search(bucket, 1).is_some(), first && !removed);
        assert_eq!(search(bucket, 2).is_some(), second);
        assert!(first || second, "one of two comes in");
    });
}

#[test]
fn what_left_a_bucket_that_is_frozen_does_not_come_back() {
    // The freezing is a version of its own; a thread that settles the bucket then meets the slot, which was vacated at another.
    model(4, || {
        let bucket = bucket();
        commit(bucket, 1, 10);
        search(bucket, 1).expect("it is there").unlink().expect("nobody else removes");
        let header = bucket.help_announced();
        let other = thread::spawn(move || _ = bucket.help_announced());
        assert!(bucket.try_header(header, header.freezing()));
        bucket.help_announced();
        other.join().unwrap();
        assert!(search(bucket, 1).is_none(), "what left is back");
    });
}

#[test]
fn three_inserts_of_one_key() {
    model(2, || {
        let table = toy();
        let theirs = [Arc::clone(&table), Arc::clone(&table)];
        let others = theirs.map(|t| thread::spawn(move || insert_if_absent(&t, 1, 10)));
        let own = insert_if_absent(&table, 1, 20);
        let won = others.map(|other| other.join().unwrap());
        assert_eq!([own, won[0], won[1]].iter().filter(|&&won| won).count(), 1);
        assert_eq!(get(&table, 1), Some(if own { 20 } else { 10 }));
        assert_eq!(audit(&table), 1);
    });
}

#[test]
fn an_insert_a_removal_and_another_insert() {
    // The removal unlinks what the first has announced, perhaps before that is revealed; the second claims
    // the slot meanwhile.
    model(2, || {
        let table = toy();
        let theirs = [Arc::clone(&table), Arc::clone(&table)];
        let [a, b] = theirs;
        let first = thread::spawn(move || insert_if_absent(&a, 1, 10));
        let second = thread::spawn(move || insert_if_absent(&b, 2, 20));
        let removed = remove(&table, 1);
        assert!(first.join().unwrap() && second.join().unwrap(), "two keys, and both are new");
        assert_eq!(get(&table, 1), if removed.is_some() { None } else { Some(10) });
        assert_eq!(get(&table, 2), Some(20));
        assert_eq!(audit(&table), 2 - usize::from(removed.is_some()));
    });
}

/// Replaces the entry of a key by a value if it carries this token; whether it did.
fn complete_load(table: &Toy, key: u64, token: &LoadToken, value: u64) -> bool {
    with(table, |view| {
        let mut new = view.entry(key, key, value, 1);
        loop {
            let Lookup::Occupied(occupied) = view.find_for_write(key, |&k| k == key) else {
                return false;
            };
            if !occupied.entry().load_token().is_some_and(|own| own.is(token)) {
                return false;
            }
            match view.replace(occupied, (new, false)) {
                Ok(old) => {
                    view.retire(old, ChargedTo::Nowhere);
                    return true;
                }
                Err(back) => new = back,
            }
        }
    })
}

impl LoadStatus for () {
    fn keeps_entry(&self) -> bool {
        true
    }

    fn has_failed(&self) -> bool {
        false
    }
}

/// Puts a token in where there is nothing.
fn begin_load(table: &Toy, key: u64) -> Option<LoadToken> {
    let token = LoadToken::Flight(Arc::new(()));
    with(table, |view| {
        loop {
            let Lookup::Vacant(vacant) = view.find_for_write(key, |&k| k == key) else {
                return None;
            };
            if vacant.commit(view.placeholder(key, key, token.clone()), YOUNG).is_ok() {
                return Some(token.clone());
            }
        }
    })
}

/// Unlinks whatever the key has.
fn clear(table: &Toy, key: u64) {
    with(table, |view| {
        while let Lookup::Occupied(occupied) = view.find_for_write(key, |&k| k == key) {
            if let Some((old, _)) = view.unlink(occupied) {
                return view.retire(old, ChargedTo::Nowhere);
            }
        }
    });
}

#[test]
fn a_completion_concurrent_with_a_removal_leaves_nothing() {
    model(3, || {
        let table = toy();
        let token = begin_load(&table, 1).expect("nothing is there");
        assert_eq!(get(&table, 1), None, "a placeholder is read");
        race(&table, move |t| complete_load(t, 1, &token, 10), |t| clear(t, 1));
        assert_eq!(get(&table, 1), None, "what was loaded before the removal is there after it");
    });
}

#[test]
fn a_completion_concurrent_with_an_insert_is_the_older_one() {
    model(3, || {
        let table = toy();
        let token = begin_load(&table, 1).expect("nothing is there");
        race(&table, move |t| complete_load(t, 1, &token, 10), |t| insert_over(t, 1, 20));
        assert_eq!(get(&table, 1), Some(20), "what was loaded before is there");
        assert_eq!(audit(&table), 1);
    });
}

#[test]
fn two_loads_that_begin_at_once() {
    model(3, || {
        let table = toy();
        let (a, b) = race(&table, |t| begin_load(t, 1), |t| begin_load(t, 1));
        assert!(a.is_some() ^ b.is_some(), "exactly one of them leads");
    });
}

/// Inserts over anything, a token included.
fn insert_over(table: &Toy, key: u64, value: u64) {
    with(table, |view| {
        let mut new = view.entry(key, key, value, 1);
        loop {
            new = match view.find_for_write(key, |&k| k == key) {
                Lookup::Vacant(vacant) => match vacant.commit(new, YOUNG) {
                    Ok(()) => return,
                    Err(new) => new,
                },
                Lookup::Occupied(occupied) => match view.replace(occupied, (new, false)) {
                    Ok(old) => return view.retire(old, ChargedTo::Nowhere),
                    Err(new) => new,
                },
            };
        }
    });
}
