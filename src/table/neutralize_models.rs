//! Models of searches that are neutralized. Run with `--cfg clockhand_loom`.
//!
//! A reader searches; another thread neutralizes it, takes out what it may come to, puts in what is born later, takes that out
//! as well, and frees what may be freed. The reader follows nothing that is freed, and finds what is there throughout.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::bucket::Lookup;
use super::group::SLOTS_PER_GROUP;
use super::models::{YOUNG, model};
use super::view::View;
use super::{Garbage, Table, ThreadState};
use crate::entry::EntryLayout;
use crate::reclaim::{ChargedTo, GRACE, OwnedGuard, Reads};

type Toy = Table<u64, Item, (), ()>;
type Reader<'g> = View<'g, u64, Item, (), (), Reads>;

/// A value that notices when it is read while, or after, it is freed.
struct Item(&'static Freed);

struct Freed(UnsafeCell<bool>);

// SAFETY: the cell is what the models check: a read and a write at the same time are reported.
unsafe impl Sync for Freed {}

impl Item {
    fn new() -> Self {
        Self(Box::leak(Box::new(Freed(UnsafeCell::new(false)))))
    }

    fn check(&self) {
        // SAFETY: checked by the model.
        self.0.0.with(|freed| assert!(!unsafe { *freed }, "freed"));
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        // SAFETY: checked by the model.
        self.0.0.with_mut(|freed| assert!(!unsafe { freed.replace(true) }, "freed twice"));
    }
}

/// A reader on its way to its thread.
struct PinStatus(OwnedGuard<Garbage<u64, Item, ()>, ThreadState<u64, Item, ()>>);

// SAFETY: from here on, only the thread that it is moved to uses it.
unsafe impl Send for PinStatus {}

impl PinStatus {
    /// A reader that is pinned.
    fn pinned(table: &Toy) -> Self {
        let mut owned_guard = OwnedGuard::new(Arc::clone(table.domain()));
        owned_guard.guard_ref();
        Self(owned_guard)
    }
}

fn toy() -> Arc<Toy> {
    Arc::new(Table::new(EntryLayout::PLAIN, u64::MAX, 1, ()))
}

/// Puts a key in with this hash, or another value in the place of the one that it has.
fn put(table: &Toy, hash: u64, key: u64) {
    let guard = table.domain().pin_transient();
    let view = table.view(guard.guard_ref());
    let mut new = Some(view.entry(hash, key, Item::new(), 1));
    while let Some(entry) = new.take() {
        match view.find_for_write(hash, |&k| k == key) {
            Lookup::Vacant(vacant) => new = vacant.commit(entry, YOUNG).err(),
            Lookup::Occupied(occupied) => {
                occupied.entry().value().check();
                match view.replace(occupied, (entry, false)) {
                    Ok(old) => view.retire(old, ChargedTo::Nowhere),
                    Err(entry) => new = Some(entry),
                }
            }
        }
    }
}

fn cut(table: &Toy, hash: u64, key: u64) {
    let guard = table.domain().pin_transient();
    let view = table.view(guard.guard_ref());
    while let Lookup::Occupied(occupied) = view.find_for_write(hash, |&k| k == key) {
        occupied.entry().value().check();
        if let Some((old, _)) = view.unlink(occupied) {
            return view.retire(old, ChargedTo::Nowhere);
        }
    }
}

/// Frees what may be freed.
fn collect(table: &Toy) {
    (0..=GRACE).for_each(|_| {
        _ = table.domain().collect((usize::MAX, |_| false), |garbage, _| drop(garbage))
    });
}

/// Doubles the table, and moves all to its end.
fn double(table: &Toy) {
    let guard = table.domain().pin_transient();
    let view = table.view(guard.guard_ref());
    view.grow(|(), _| ());
    while view.migrate(1) > 0 {}
}

/// Whether a key is there, whose value is.
fn find(view: Reader<'_>, hash: u64, key: u64) -> bool {
    let found = view.find(hash, |&k| k == key);
    found.inspect(|occupied| occupied.entry().value().check()).is_some()
}

/// A model of a reader that is neutralized and then `meanwhile` happens; it has to find a key with the hash zero, unless it
/// has none to find.
fn beside(
    preemptions: usize,
    prepare: fn(&Toy),
    meanwhile: fn(&Toy),
    read: impl Fn(Reader<'_>) + Clone + Send + Sync + 'static,
) {
    model(preemptions, move || {
        let table = toy();
        prepare(&table);
        let mut pin_status = PinStatus::pinned(&table);
        let reader = {
            let (table, read) = (Arc::clone(&table), read.clone());
            thread::spawn(move || {
                let pin_status = &mut pin_status;
                read(table.view(pin_status.0.here()));
                pin_status.0.park();
            })
        };
        table.domain().neutralize_all();
        meanwhile(&table);
        reader.join().unwrap();
        collect(&table);
        assert_eq!(table.domain().backlog(), 0, "kept for nobody");
    });
}

/// The value of a key is replaced by one that is born later, and that is taken out.
#[test]
fn a_search_of_a_bucket_is_neutralized() {
    beside(
        3,
        |table| put(table, 0, 1),
        |table| {
            put(table, 0, 1);
            cut(table, 0, 1);
            collect(table);
        },
        |view| _ = find(view, 0, 1),
    );
}

/// What is there throughout is found, although another key with the same tag comes and goes.
#[test]
fn what_is_there_is_found_by_one_who_is_neutralized() {
    beside(
        3,
        |table| {
            put(table, 0, 1);
            put(table, 0, 2);
        },
        |table| {
            put(table, 0, 1);
            cut(table, 0, 1);
            collect(table);
        },
        |view| assert!(find(view, 0, 2), "it is there all the time"),
    );
}

/// A chain goes with its last key, and another one comes, born later, and goes.
#[test]
fn a_search_of_a_chain_is_neutralized() {
    const CHAINED: u64 = SLOTS_PER_GROUP as u64;
    beside(
        3,
        |table| (0..=CHAINED).for_each(|key| put(table, key << 20, key)),
        |table| {
            cut(table, CHAINED << 20, CHAINED);
            put(table, CHAINED << 20, CHAINED);
            cut(table, CHAINED << 20, CHAINED);
            collect(table);
        },
        |view| _ = find(view, CHAINED << 20, CHAINED),
    );
}

/// A bucket is moved while it is searched; what its frozen words lead to is freed, as it is taken out in the next generation.
#[test]
fn a_search_of_a_bucket_that_is_moved_is_neutralized() {
    beside(
        2,
        |table| put(table, 0, 1),
        |table| {
            put(table, 0, 1);
            double(table);
            cut(table, 0, 1);
            collect(table);
        },
        |view| _ = find(view, 0, 1),
    );
}

/// A search that is nested in another takes another number: what the outer one has read is void all the same.
#[test]
fn a_search_in_a_search_is_neutralized() {
    beside(
        3,
        |table| {
            put(table, 0, 1);
            put(table, 0, 2);
        },
        |table| {
            put(table, 0, 2);
            double(table);
            cut(table, 0, 2);
            collect(table);
        },
        |view| {
            let found = view.find(0, |&key| {
                if key == 1 {
                    assert!(find(view, 0, 1), "it is there all the time");
                }
                key == 2
            });
            found.inspect(|occupied| occupied.entry().value().check());
        },
    );
}

/// A writer is not neutralized, although the last holder of the participant was.
#[test]
fn a_write_beside_one_who_neutralizes() {
    model(2, || {
        let table = toy();
        let guard = table.domain().pin_transient_to_read();
        table.domain().neutralize_all();
        drop(guard);
        put(&table, 0, 1);
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let guard = table.domain().pin_transient();
                let view = table.view(guard.guard_ref());
                if let Lookup::Occupied(occupied) = view.find_for_write(0, |&key| key == 1) {
                    occupied.entry().value().check();
                }
            })
        };
        table.domain().neutralize_all();
        cut(&table, 0, 1);
        collect(&table);
        writer.join().unwrap();
    });
}

/// A write in a guard that was neutralized is not neutralized either, and what the guard has lent stays valid.
#[test]
fn a_write_in_a_guard_that_is_neutralized() {
    model(2, || {
        let table = toy();
        put(&table, 0, 1);
        drop(table.domain().pin_transient());
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let guard = table.domain().pin_transient_to_read();
                let lent = table.view(guard.guard_ref()).find(0, |&key| key == 1);
                guard.write(|writing| {
                    let view = table.view(writing.guard_ref());
                    if let Lookup::Occupied(occupied) = view.find_for_write(0, |&key| key == 1) {
                        occupied.entry().value().check();
                    }
                });
                lent.inspect(|occupied| occupied.entry().value().check());
            })
        };
        table.domain().neutralize_all();
        put(&table, 0, 1);
        cut(&table, 0, 1);
        collect(&table);
        writer.join().unwrap();
    });
}

/// What a write has found before it stops for the user's code is what it changes after that, or it changes nothing.
#[test]
fn a_write_that_stops_is_neutralized() {
    model(2, || {
        let table = toy();
        let guard = table.domain().pin_transient_to_read();
        table.domain().neutralize_all();
        drop(guard);
        put(&table, 0, 1);
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let guard = table.domain().pin_transient();
                let view = table.view(guard.guard_ref());
                let Lookup::Occupied(occupied) = view.find_for_write(0, |&key| key == 1) else {
                    return;
                };
                guard.while_suspended(|| occupied.entry().value().check());
                if let Some((old, _)) = view.unlink(occupied) {
                    occupied.entry().value().check();
                    view.retire(old, ChargedTo::Nowhere);
                }
            })
        };
        table.domain().neutralize_all();
        cut(&table, 0, 1);
        collect(&table);
        put(&table, 0, 1);
        writer.join().unwrap();
        collect(&table);
        assert_eq!(table.domain().backlog(), 0, "kept for nobody");
    });
}

/// A write that has found no key stops for the user's code, and puts the key in after that if nothing has changed: where another
/// thread has put it in, or the table has moved on, it notices.
fn a_vacant_place_is_carried_over_a_stop(meanwhile: fn(&Toy)) {
    model(2, move || {
        let table = toy();
        // So that there is a participant, with a number that was neutralized.
        let guard = table.domain().pin_transient_to_read();
        table.domain().neutralize_all();
        drop(guard);
        let writer = {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                let guard = table.domain().pin_transient();
                let view = table.view(guard.guard_ref());
                let mut new = Some(view.entry(0, 1, Item::new(), 1));
                while let Some(entry) = new.take() {
                    match view.find_for_write(0, |&key| key == 1) {
                        Lookup::Vacant(vacant) => {
                            guard.while_suspended(|| ());
                            new = vacant.commit(entry, YOUNG).err();
                        }
                        Lookup::Occupied(occupied) => {
                            guard.while_suspended(|| occupied.entry().value().check());
                            occupied.entry().value().check();
                        }
                    }
                }
            })
        };
        table.domain().neutralize_all();
        meanwhile(&table);
        collect(&table);
        writer.join().unwrap();
        cut(&table, 0, 1);
        let guard = table.domain().pin_transient_to_read();
        assert!(!find(table.view(guard.guard_ref()), 0, 1), "the key was there twice");
        drop(guard);
        collect(&table);
        assert_eq!(table.domain().backlog(), 0, "kept for nobody");
    });
}

#[test]
fn a_vacant_place_that_is_filled_during_a_stop() {
    a_vacant_place_is_carried_over_a_stop(|table| put(table, 0, 1));
}

#[test]
fn a_vacant_place_that_is_filled_and_left_during_a_stop() {
    a_vacant_place_is_carried_over_a_stop(|table| {
        put(table, 0, 1);
        cut(table, 0, 1);
        put(table, 0, 1);
    });
}

#[test]
fn a_vacant_place_that_is_moved_during_a_stop() {
    a_vacant_place_is_carried_over_a_stop(|table| {
        put(table, 0, 1);
        double(table);
    });
}
