//! Models of neutralizing those who sleep while they are pinned. Run with `--cfg clockhand_loom`.
//!
//! A slot has the number of a record, as a slot of the table has. A reader reads the slot, looks, and follows the number; a
//! writer puts records in and takes them out. `pin_state` says why nothing is freed under the reader.

use std::sync::Arc;
use std::sync::atomic as ghost;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::{
    Domain, GRACE, GuardRef, Lent, Outcome, OwnedGuard, Reads, Reclaim, Retired, Validate,
};
use crate::sync::{Ordering, explore, seeded};

const NONE: usize = 0;
const RECORDS: usize = 4;

/// What a reader that is pinned reads under.
type Here<'g> = GuardRef<'g, Item, (), Reads>;

/// What a slot leads to.
struct Record {
    freed: UnsafeCell<bool>,
    /// Written before the record is published.
    birth: ghost::AtomicU32,
    frees: ghost::AtomicUsize,
}

struct World {
    domain: Arc<Domain<Item, ()>>,
    slots: [AtomicUsize; 2],
    records: Arc<Vec<Record>>,
}

/// A record that was taken out of its slot. It is freed when this is dropped.
struct Item {
    records: Arc<Vec<Record>>,
    number: usize,
}

// SAFETY: the cells are what the models check: a read and a write at the same time are reported.
unsafe impl Sync for Record {}
// SAFETY: as above.
unsafe impl Send for Record {}

impl Reclaim for Item {
    fn birth(&self) -> u32 {
        self.records[self.number].birth.load(ghost::Ordering::Relaxed)
    }

    fn address(&self) -> usize {
        self.number
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        let record = &self.records[self.number];
        // SAFETY: checked by the model.
        record.freed.with_mut(|freed| {
            // SAFETY: checked by the model.
            assert!(!unsafe { freed.replace(true) }, "freed twice");
        });
        record.frees.fetch_add(1, ghost::Ordering::Relaxed);
    }
}

impl World {
    /// The records 1 and 2 are as old as the domain; the slots have `first`.
    fn new(first: [usize; 2]) -> Arc<Self> {
        let record = || Record {
            freed: UnsafeCell::new(false),
            birth: ghost::AtomicU32::new(1),
            frees: ghost::AtomicUsize::new(0),
        };
        let records = (0..RECORDS).map(|_| record()).collect();
        let slots = first.map(AtomicUsize::new);
        Arc::new(Self { domain: Arc::new(Domain::new()), slots, records: Arc::new(records) })
    }

    fn touch(&self, number: usize) {
        if number != NONE {
            // SAFETY: checked by the model.
            self.records[number].freed.with(|freed| assert!(!unsafe { *freed }, "freed"));
        }
    }

    fn frees(&self, number: usize) -> usize {
        self.records[number].frees.load(ghost::Ordering::Relaxed)
    }

    /// Reads a slot, looks, and follows what is there.
    fn read<'g>(
        &self,
        slot: usize,
        validator: <Reads as super::Mode>::Validate<'g>,
    ) -> Outcome<'g, usize, Reads> {
        if seeded("reclaim-validated-early") {
            validator.validate(NONE)?;
            let number = self.slots[slot].load(Ordering::Acquire);
            self.touch(number);
            return Ok(number);
        }
        let number = validator.validate(self.slots[slot].load(Ordering::Acquire))?.get();
        self.touch(number);
        Ok(number)
    }

    /// Follows a slot, a second time if the holder was neutralized, and then for certain.
    fn search(&self, slot: usize, guard_ref: Here<'_>) -> usize {
        guard_ref.run(|validator| self.read(slot, validator))
    }

    /// Follows a slot, or gives up if the holder was neutralized.
    fn try_search(&self, slot: usize, guard_ref: Here<'_>) -> Option<usize> {
        guard_ref.attempt(|validator| self.read(slot, validator))
    }

    /// Has a reader lend what a slot leads to, and no more; its thread looks for room then, and narrows the reader.
    fn lend_alone(&self, slot: usize, reader: &mut OwnedGuard<Item, ()>) -> usize {
        let mut lent = NONE;
        reader.lend_one(self, |world, guard_ref| {
            lent = world.search(slot, guard_ref);
            // SAFETY: the item of this number is retired when the record is taken out of its slot.
            (lent != NONE).then(|| unsafe { Lent::new(&world.records[lent], lent) })
        });
        reader.narrow();
        lent
    }

    fn bear(&self, number: usize) {
        self.records[number].birth.store(self.domain.birth(), ghost::Ordering::Relaxed);
    }

    /// Puts a record into a slot; what was there.
    fn swap(&self, slot: usize, number: usize) -> usize {
        let late = seeded("reclaim-born-late");
        if number != NONE && !late {
            self.bear(number);
        }
        let old = self.slots[slot].swap(number, Ordering::AcqRel);
        if number != NONE && late {
            self.bear(number);
        }
        old
    }

    /// Puts a record into a slot, and retires what was there. The model has no use for the writer's pin.
    fn put(&self, slot: usize, number: usize) {
        let number = self.swap(slot, number);
        if number != NONE {
            let item = Item { records: Arc::clone(&self.records), number };
            // SAFETY: taken out of reach by this thread.
            self.domain.retire_unpinned(unsafe { Retired::new(item) });
        }
    }

    /// Puts a record in, takes it out, and frees what may be freed.
    fn churn(&self, number: usize) {
        self.put(0, number);
        self.put(0, NONE);
        self.collect();
    }

    /// Moves the epoch as far as what was retired now has to wait, and frees.
    fn collect(&self) {
        (0..GRACE).for_each(|_| _ = self.domain.advance());
        self.domain.collect_ripe();
    }

    fn neutralize(&self) {
        self.domain.neutralize_all();
    }

    /// The same by the collections of writes that want room: who is in the way is neutralized.
    fn collect_impatiently(&self) {
        (0..=GRACE).for_each(|_| {
            self.domain.collect((usize::MAX, |_| true), |item, _| drop(item));
        });
    }

    /// No thread is pinned any more: nothing is kept.
    fn end(&self) {
        (0..=GRACE).for_each(|_| self.collect());
        assert_eq!(self.domain.backlog(), 0, "kept for nobody");
    }
}

fn model(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    explore(preemptions, 100_000, f);
}

fn spawn(world: &Arc<World>, f: impl FnOnce(&World) + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || f(&world))
}

/// A reader on its way to its thread.
struct PinStatus(OwnedGuard<Item, ()>);

// SAFETY: from here on, only the thread that it is moved to uses it.
unsafe impl Send for PinStatus {}

impl PinStatus {
    /// A reader that is pinned.
    fn pinned(world: &World) -> Self {
        let mut owned_guard = OwnedGuard::new(Arc::clone(&world.domain));
        owned_guard.guard_ref();
        Self(owned_guard)
    }

    /// As the reader was pinned.
    fn here(&self) -> Here<'_> {
        self.0.here()
    }
}

/// A reader that sleeps between slot and look, or between look and use, while a writer neutralizes it.
#[test]
fn a_sleeper_keeps_what_it_reads() {
    model(3, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let reader = spawn(&world, move |world| _ = world.search(0, { &pin_status }.here()));
        world.neutralize();
        world.churn(2);
        reader.join().unwrap();
        world.end();
    });
}

/// The same where the reader only pins meanwhile.
#[test]
fn one_that_falls_asleep_keeps_what_it_reads() {
    model(2, || {
        let world = World::new([1, NONE]);
        // So that there is a participant.
        drop(world.domain.pin_transient());
        let reader = spawn(&world, |world| {
            let guard = world.domain.pin_transient_to_read();
            world.search(0, guard.guard_ref());
        });
        world.neutralize();
        world.churn(2);
        reader.join().unwrap();
        world.end();
    });
}

/// A reader that pins while the era moves: what was sealed before the era that it has read is not held for it, and
/// nothing else is freed under it.
#[test]
fn one_that_pins_beside_a_step_of_the_era_keeps_what_it_reads() {
    model(3, || {
        let world = World::new([1, NONE]);
        // So that there is a participant.
        drop(world.domain.pin_transient());
        let reader = spawn(&world, |world| {
            let guard = world.domain.pin_transient_to_read();
            world.search(0, guard.guard_ref());
            // It stays pinned.
            std::mem::forget(guard);
        });
        world.put(0, NONE);
        world.neutralize();
        world.collect();
        reader.join().unwrap();
    });
}

/// The same for one that is renewed after a step of the era, which its thread has taken for others, and is neutralized later:
/// what was sealed before the era that it has read is not held for it.
#[test]
fn one_that_is_renewed_beside_a_step_of_the_era_keeps_what_it_reads() {
    model(3, || {
        let world = World::new([1, NONE]);
        let mut pin_status = PinStatus::pinned(&world);
        let reader = spawn(&world, move |world| {
            let pin_status = { &mut pin_status };
            world.domain.neutralize_none();
            world.search(0, pin_status.0.guard_ref());
        });
        world.put(0, NONE);
        world.neutralize();
        world.collect();
        reader.join().unwrap();
    });
}

/// What was retired before a reader pinned is freed while it is pinned, although a writer that sleeps held the epoch.
#[test]
fn a_reader_that_pins_beside_a_writer_that_sleeps_holds_nothing_older() {
    model(2, || {
        let world = World::new([1, NONE]);
        let writer = world.domain.pin_transient();
        world.domain.advance();
        world.put(0, 2);
        world.collect_impatiently();
        let pin_status = PinStatus::pinned(&world);
        let lent = world.search(0, pin_status.here());
        assert_eq!(lent, 2);
        let other = spawn(&world, |world| {
            let guard = world.domain.pin_transient_to_read();
            world.search(0, guard.guard_ref());
        });
        world.collect_impatiently();
        world.put(0, 3);
        drop(writer);
        world.put(0, NONE);
        world.collect_impatiently();
        other.join().unwrap();
        world.collect_impatiently();
        assert_eq!((world.frees(1), world.frees(2), world.frees(3)), (1, 0, 1));
        world.touch(lent);
        drop(pin_status);
        world.end();
    });
}

/// Who neutralizes is not who writes and frees.
#[test]
fn a_sleeper_beside_one_who_neutralizes_and_one_who_frees() {
    model(2, || {
        let world = World::new([NONE, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let reader = spawn(&world, move |world| _ = world.search(0, { &pin_status }.here()));
        let passer = spawn(&world, World::neutralize);
        let writer = spawn(&world, |world| world.churn(2));
        [reader, passer, writer].map(|thread| thread.join().unwrap());
    });
}

/// A record that was born later comes to the reader through another slot and another thread.
#[test]
fn what_is_moved_to_a_sleeper_is_as_young_as_it_was() {
    model(2, || {
        let world = World::new([NONE, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let reader = spawn(&world, move |world| _ = world.search(1, { &pin_status }.here()));
        let helper = spawn(&world, |world| {
            let number = world.slots[0].load(Ordering::Acquire);
            let (put, not) = (Ordering::AcqRel, Ordering::Relaxed);
            let _ = world.slots[1].compare_exchange(NONE, number, put, not);
        });
        world.neutralize();
        world.swap(0, 2);
        helper.join().unwrap();
        world.slots[1].store(NONE, Ordering::Release);
        world.put(0, NONE);
        world.collect();
        reader.join().unwrap();
    });
}

/// One has put a number down as neutralized long ago, and only now notes the bound; another neutralizes the next one.
#[test]
fn a_late_note_does_not_lower_the_bound() {
    model(2, || {
        let world = World::new([NONE, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let (number, bound) = world.domain.request_first();
        pin_status.here().go_on();
        let reader = spawn(&world, move |world| _ = world.search(0, { &pin_status }.here()));
        let late = spawn(&world, move |world| world.domain.complete_first(number, bound));
        let writer = spawn(&world, |world| {
            world.swap(0, 2);
            world.neutralize();
            world.put(0, NONE);
            world.collect();
        });
        [reader, late, writer].map(|thread| thread.join().unwrap());
    });
}

/// A participant changes hands while it is neutralized.
#[test]
fn the_next_holder_of_a_neutralized_participant_keeps_what_it_reads() {
    model(2, || {
        let world = World::new([NONE, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let reader = spawn(&world, move |world| {
            let mut pin_status = pin_status;
            world.try_search(0, pin_status.here());
            pin_status.0.park();
            pin_status.0.guard_ref();
            world.search(0, pin_status.here());
        });
        world.neutralize();
        world.churn(2);
        reader.join().unwrap();
        world.end();
    });
}

/// A reader that was neutralized renews without a fence.
#[test]
fn a_sleeper_that_renews_keeps_what_it_reads() {
    model(3, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        world.domain.advance();
        let reader = spawn(&world, move |world| {
            let mut pin_status = pin_status;
            pin_status.0.guard_ref();
            world.search(0, pin_status.here());
            pin_status.0.park();
        });
        world.neutralize();
        world.churn(2);
        reader.join().unwrap();
        world.end();
    });
}

/// The same, and the advance that it follows knows nothing of the unlink.
#[test]
fn a_sleeper_that_renews_beside_an_unlink_keeps_what_it_reads() {
    model(2, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let advancer = spawn(&world, |world| _ = world.domain.advance());
        let writer = spawn(&world, |world| {
            world.put(0, NONE);
            world.neutralize();
            world.collect();
        });
        let reader = spawn(&world, move |world| {
            let mut pin_status = pin_status;
            pin_status.0.guard_ref();
            world.try_search(0, pin_status.here());
            pin_status.0.park();
        });
        [advancer, writer, reader].map(|thread| thread.join().unwrap());
    });
}

/// A guard lends, is neutralized, goes on and lends again; it is neutralized twice.
#[test]
fn a_guard_that_goes_on_keeps_what_it_has_lent() {
    model(3, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let lent = world.search(0, pin_status.here());
        let reader = spawn(&world, move |world| {
            let pin_status = pin_status;
            world.search(1, pin_status.here());
            world.touch(lent);
        });
        world.neutralize();
        world.put(0, NONE);
        world.swap(1, 2);
        world.collect();
        world.neutralize();
        world.put(1, NONE);
        world.collect();
        reader.join().unwrap();
        world.end();
    });
}

/// A writer is not neutralized, and follows what it reads.
#[test]
fn a_writer_keeps_what_it_reads() {
    model(3, || {
        let world = World::new([NONE, NONE]);
        // So that there is a participant.
        drop(world.domain.pin_transient());
        let writer = spawn(&world, |world| {
            let guard = world.domain.pin_transient();
            world.touch(world.slots[0].load(Ordering::Acquire));
            drop(guard);
        });
        world.neutralize();
        world.churn(2);
        writer.join().unwrap();
    });
}

/// The same where the thread was neutralized, as it holds a guard, and the write is nested in that.
#[test]
fn a_writer_that_was_neutralized_before_keeps_what_it_reads() {
    model(3, || {
        let world = World::new([1, NONE]);
        // So that there is a participant.
        drop(world.domain.pin_transient());
        let writer = spawn(&world, |world| {
            let guard = world.domain.pin_transient_to_read();
            let lent = world.search(0, guard.guard_ref());
            guard.write(|_| {
                world.touch(world.slots[0].load(Ordering::Acquire));
                world.touch(lent);
            });
            world.touch(lent);
        });
        world.neutralize();
        world.churn(2);
        writer.join().unwrap();
        world.end();
    });
}

/// What a write expects is no other record of the same number.
#[test]
fn what_a_writer_expects_does_not_come_back() {
    model(3, || {
        let world = World::new([NONE, NONE]);
        // So that there is a participant.
        drop(world.domain.pin_transient());
        let writer = spawn(&world, |world| {
            let guard = world.domain.pin_transient();
            let number = world.slots[0].load(Ordering::Acquire);
            let frees = world.frees(number);
            let (put, not) = (Ordering::AcqRel, Ordering::Relaxed);
            if number != NONE && world.slots[0].compare_exchange(number, NONE, put, not).is_ok() {
                assert_eq!(world.frees(number), frees, "another record of the same number");
            }
            drop(guard);
        });
        world.neutralize();
        world.churn(2);
        if world.frees(2) == 1 {
            // SAFETY: checked by the model.
            world.records[2].freed.with_mut(|freed| unsafe { *freed = false });
            world.swap(0, 2);
        }
        writer.join().unwrap();
    });
}

/// A write that stops for code of the user's is neutralized there, and keeps what it has found; what it finds afterwards as
/// well. Its participant was neutralized before, so a bound is noted that is older than what it finds.
#[test]
fn a_write_that_stops_keeps_what_it_has_found() {
    model(2, || {
        let world = World::new([1, NONE]);
        let reader = world.domain.pin_transient_to_read();
        world.neutralize();
        drop(reader);
        world.put(0, 2);
        let writer = spawn(&world, |world| {
            let guard = world.domain.pin_transient();
            let found = world.slots[0].load(Ordering::Acquire);
            guard.while_suspended(|| world.touch(found));
            world.touch(world.slots[0].load(Ordering::Acquire));
            world.touch(found);
        });
        world.neutralize();
        world.put(0, NONE);
        world.collect();
        writer.join().unwrap();
        world.end();
    });
}

/// What one sleeper has kept is not free when it goes on, as another holds it, too.
#[test]
fn what_two_sleepers_hold_is_freed_when_both_have_gone_on() {
    model(2, || {
        let world = World::new([1, NONE]);
        let readers = [(); 2].map(|()| {
            let pin_status = PinStatus::pinned(&world);
            spawn(&world, move |world| {
                let mut pin_status = pin_status;
                world.try_search(0, pin_status.here());
                pin_status.0.park();
            })
        });
        world.neutralize();
        world.put(0, NONE);
        world.collect();
        world.domain.collect_ripe();
        readers.map(|reader| reader.join().unwrap());
        world.end();
    });
}

/// What was born after the bound is freed while the sleeper sleeps, and the rest when it has gone on.
#[test]
fn a_sleeper_holds_what_is_no_younger_than_its_bound() {
    model(2, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        assert_eq!(world.search(0, pin_status.here()), 1);
        world.collect();
        assert_eq!(world.domain.epoch(), 1, "not neutralized: it holds the epoch");
        world.neutralize();
        let other = spawn(&world, |world| {
            let guard = world.domain.pin_transient_to_read();
            world.search(0, guard.guard_ref());
        });
        [2, 3, NONE].map(|number| world.put(0, number));
        world.collect();
        other.join().unwrap();
        (0..=GRACE).for_each(|_| world.collect());
        assert_eq!((world.frees(1), world.frees(2), world.frees(3)), (0, 1, 1));
        world.touch(1);
        drop(pin_status);
        world.end();
        assert_eq!(world.frees(1), 1);
    });
}

/// What is kept for a sleeper is found by the next collection when it goes on, while another one still keeps more.
#[test]
fn what_was_kept_is_freed_once_when_the_sleeper_goes_on() {
    model(3, || {
        let world = World::new([1, 2]);
        let pin_status = PinStatus::pinned(&world);
        world.domain.advance();
        world.neutralize();
        world.put(0, NONE);
        world.put(1, NONE);
        let other = spawn(&world, |world| world.collect());
        let reader = spawn(&world, move |_| { pin_status }.0.park());
        world.collect();
        [other, reader].map(|thread| thread.join().unwrap());
        world.end();
        assert_eq!((world.frees(1), world.frees(2)), (1, 1));
    });
}

/// The whole way of a collection: it finds the epoch blocked, neutralizes those in the way, moves the epoch, keeps what they
/// hold and frees what came later.
#[test]
fn a_collection_neutralizes_who_is_in_its_way() {
    model(2, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        let lent = world.search(0, pin_status.here());
        world.domain.advance();
        let other = spawn(&world, |world| {
            let guard = world.domain.pin_transient_to_read();
            world.search(0, guard.guard_ref());
        });
        world.put(0, 2);
        world.collect_impatiently();
        // Born after the sleeper was neutralized.
        world.put(0, 3);
        world.put(0, NONE);
        world.collect_impatiently();
        other.join().unwrap();
        world.collect_impatiently();
        assert_eq!((world.frees(1), world.frees(3)), (0, 1));
        world.touch(lent);
        drop(pin_status);
        world.end();
        assert_eq!((world.frees(1), world.frees(2)), (1, 1));
    });
}

/// Two collections find the same reader in the way while it searches.
#[test]
fn two_collections_neutralize_one_reader() {
    model(2, || {
        let world = World::new([1, NONE]);
        let pin_status = PinStatus::pinned(&world);
        world.domain.advance();
        let reader = spawn(&world, move |world| {
            let pin_status = pin_status;
            let lent = world.search(0, pin_status.here());
            world.search(0, pin_status.here());
            world.touch(lent);
        });
        let other = spawn(&world, World::collect_impatiently);
        world.put(0, 2);
        world.put(0, NONE);
        world.collect_impatiently();
        [reader, other].map(|thread| thread.join().unwrap());
        world.end();
        assert_eq!((world.frees(1), world.frees(2)), (1, 1));
    });
}

/// A reader that is narrowed beside collections, which neutralize the threads in their way, keeps what it has lent.
#[test]
fn a_reader_that_is_narrowed_keeps_what_it_has_lent() {
    model(3, || {
        let world = World::new([1, NONE]);
        let mut pin_status = PinStatus::pinned(&world);
        let reader = spawn(&world, move |world| {
            let reader = { &mut pin_status };
            let lent = world.lend_alone(0, &mut reader.0);
            world.touch(lent);
        });
        world.put(0, 2);
        world.collect_impatiently();
        reader.join().unwrap();
        world.end();
    });
}

/// It goes on to lend a second item, and is narrowed again: what a collection has seen of the first may go with the hazard
/// pointer of the second.
#[test]
fn a_reader_that_is_narrowed_twice_keeps_what_it_has_lent() {
    model(3, || {
        let world = World::new([1, 2]);
        let mut pin_status = PinStatus::pinned(&world);
        let lent = world.lend_alone(0, &mut pin_status.0);
        world.put(0, NONE);
        (0..GRACE).for_each(|_| assert!(world.domain.advance(), "it is in no way"));
        let reader = spawn(&world, move |world| {
            let reader = { &mut pin_status };
            world.touch(lent);
            let lent = world.lend_alone(1, &mut reader.0);
            world.touch(lent);
        });
        world.domain.collect_ripe();
        world.put(1, NONE);
        world.collect();
        reader.join().unwrap();
        world.end();
        assert_eq!((world.frees(1), world.frees(2)), (1, 1));
    });
}
