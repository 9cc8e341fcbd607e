//! Models of `crossbeam-epoch` itself, for comparison with our own epochs
//! (`docs/adr/0001-own-epochs.md`). Run with `--cfg clockhand_loom --cfg crossbeam_loom`.
//!
//! A reader follows a pointer. A writer cuts it, retires what it led to, and collects as hard as it
//! can. A guard that was pinned keeps what it reads. A guard that was renewed by `repin` does not:
//! the renewal has no fence and loads the epoch relaxed, so the pointer that is loaded next may be
//! older than the epoch that is shown, by more than the two epochs after which garbage is freed.
//! The memory model allows that. Machines that keep loads in order do not show it.
//!
//! The reader's guard exists before the race begins: what a first pin does would only make the model
//! larger.

use std::sync::{Arc as Plain, Mutex, MutexGuard, PoisonError};

use crossbeam_epoch::{Atomic, Collector, Guard, LocalHandle, Shared};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::sync::{Ordering, seeded};

/// One pin in this number collects.
const PINS_PER_COLLECTION: usize = 128;

/// A handle and its guard, on their way to the thread that will use them.
struct Moved(LocalHandle, Guard);

// SAFETY: from here on, only the thread that it is moved to uses it.
unsafe impl Send for Moved {}

/// A read and a free that are not ordered collide in the cell.
#[derive(Clone)]
struct Probe(Arc<UnsafeCell<bool>>);

// SAFETY: the cell is what the model checks: a read and a write at the same time are reported.
unsafe impl Send for Probe {}

impl Probe {
    fn read(&self) {
        // SAFETY: checked by the model.
        self.0.with(|freed| assert!(!unsafe { *freed }, "read after it was freed"));
    }

    fn free(&self) {
        // SAFETY: checked by the model.
        self.0.with_mut(|freed| unsafe { *freed = true });
    }
}

/// Cuts the pointer, retires what it led to, and frees that as soon as the epochs allow.
fn cut(link: &Atomic<u64>, probe: &Probe, handle: &LocalHandle) {
    let mut guard = handle.pin();
    // ORDERING: AcqRel: as a writer that follows the rules of the collector does.
    let old = link.swap(Shared::null(), Ordering::AcqRel, &guard);
    let probe = probe.clone();
    let free = move || {
        probe.free();
        // SAFETY: cut by one thread, which hands it over to one deferred call.
        drop(unsafe { old.into_owned() });
    };
    // SAFETY: what it owns may be freed on any thread, and outlives the guard.
    unsafe { guard.defer_unchecked(free) };
    for _ in 0..2 {
        guard.flush();
        guard.repin();
    }
}

/// A writer concurrent with a reader that does `read` with a guard that was pinned before the race.
fn race(read: fn(&LocalHandle, Guard, &Atomic<u64>, &Probe)) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let collector = Collector::new();
        let (reader, writer) = (collector.register(), collector.register());
        // The first pin of a handle collects.
        drop((reader.pin(), writer.pin()));
        let (link, probe) = (Arc::new(Atomic::new(1)), Probe(Arc::new(UnsafeCell::new(false))));
        let guard = reader.pin();
        let beside = {
            let (moved, link, probe) = (Moved(reader, guard), Arc::clone(&link), probe.clone());
            thread::spawn(move || {
                let moved = moved;
                let Moved(handle, guard) = moved;
                read(&handle, guard, &link, &probe);
            })
        };
        cut(&link, &probe, &writer);
        beside.join().unwrap();
    });
}

/// Follows the pointer, if it is not cut.
fn look(guard: &Guard, link: &Atomic<u64>, probe: &Probe) {
    // ORDERING: Acquire: as a reader that follows the rules of the collector does.
    if !link.load(Ordering::Acquire, guard).is_null() {
        probe.read();
    }
}

#[test]
fn a_pinned_reader_keeps_what_it_reads() {
    race(|_, guard, link, probe| {
        // ORDERING: Acquire: as in `look`.
        let there = !link.load(Ordering::Acquire, &guard).is_null();
        if seeded("reference-reads-unpinned") {
            drop(guard);
            return if there {
                probe.read()
            };
        }
        if there {
            probe.read();
        }
        drop(guard);
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_renewed_reader_does_not() {
    race(|handle, mut guard, link, probe| {
        if seeded("reference-pins-anew") {
            drop(guard);
            guard = handle.pin();
        } else {
            guard.repin();
        }
        look(&guard, link, probe);
    });
}

/// What a writer has deferred runs on a thread that does nothing but pin, at its 129th pin: the
/// first one collects and moves the epoch once, and the next collection finds the bag ripe.
#[test]
fn a_reader_runs_what_a_writer_deferred() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.max_branches = 10_000;
    model.check(|| {
        let collector = Collector::new();
        let ran_on = Plain::new(Mutex::new(None));
        let (note, theirs) = (Plain::clone(&ran_on), collector.clone());
        let writer = thread::spawn(move || {
            let handle = theirs.register();
            let guard = handle.pin();
            guard.defer(move || *lock(&note) = Some(thread::current().id()));
            guard.flush();
        });
        writer.join().unwrap();
        assert_eq!(*lock(&ran_on), None, "it waits in the queue");
        let reader = thread::spawn(move || {
            let handle = collector.register();
            let short = usize::from(seeded("reference-pins-less"));
            (0..=PINS_PER_COLLECTION - short).for_each(|_| drop(handle.pin()));
            // Before the handle goes, which pins once more.
            assert_eq!(*lock(&ran_on), Some(thread::current().id()), "the reader runs it");
        });
        reader.join().unwrap();
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
