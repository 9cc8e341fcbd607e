//! The epochs of `crossbeam-epoch` under the model checker, for comparison with our own
//! (`docs/adr/0001-own-epochs.md`).
//!
//! A reader follows a pointer. A writer cuts it, retires what it led to, and collects as hard as it
//! can. A guard that was pinned, or unpinned and pinned anew, keeps what it reads. A guard that was
//! renewed by `repin` does not: the renewal has no fence and loads the epoch relaxed, so the pointer
//! that is loaded next may be older than the epoch that is shown, by more than the two epochs after
//! which garbage is freed. The memory model allows that. Machines that keep loads in order do not
//! show it.
//!
//! ```sh
//! RUSTFLAGS="--cfg clockhand_loom --cfg crossbeam_loom --cfg crossbeam_sanitize" \
//!     cargo test --release --test crossbeam
//! ```
//!
//! The reader is the thread that is spawned, and the writer runs first: the checker looks only at
//! the last access to a word, and a thread that loads a word before it stores to it hides the loads
//! that others did before.

#![cfg(all(clockhand_loom, crossbeam_loom))]

use crossbeam_epoch::{Atomic, Collector, Guard, LocalHandle, Shared};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

/// A handle and its guard, on their way to the thread that will use them.
struct Moved(LocalHandle, Guard);

// SAFETY: from here on, only the thread that it is moved to uses it.
unsafe impl Send for Moved {}

/// A read and a free that are not ordered collide in the cell.
#[derive(Clone)]
struct Probe(Arc<UnsafeCell<bool>>);

// SAFETY: the cell is what the model checks.
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

/// A guard that becomes another one before the pointer is followed.
type Renewal = fn(&LocalHandle, Guard) -> Guard;

/// Follows the pointer, if it is not cut.
fn look(link: &Atomic<u64>, probe: &Probe, guard: &Guard) {
    if !link.load(Ordering::Acquire, guard).is_null() {
        probe.read();
    }
}

/// Cuts the pointer, retires what it led to, and frees that as soon as the epochs allow.
fn cut(link: &Atomic<u64>, probe: &Probe, handle: &LocalHandle) {
    let mut guard = handle.pin();
    let old = link.swap(Shared::null(), Ordering::AcqRel, &guard);
    let probe = probe.clone();
    let free = move || {
        probe.free();
        // SAFETY: cut by this thread alone.
        drop(unsafe { old.into_owned() });
    };
    // SAFETY: what it owns may be freed on any thread.
    unsafe { guard.defer_unchecked(free) };
    for _ in 0..2 {
        guard.flush();
        guard.repin();
    }
}

fn race(renew: Renewal) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let collector = Collector::new();
        let (reader, writer) = (collector.register(), collector.register());
        // The first pin of a handle collects, which would only make the model larger.
        drop(reader.pin());
        drop(writer.pin());
        let link = Arc::new(Atomic::new(1_u64));
        let probe = Probe(Arc::new(UnsafeCell::new(false)));
        let guard = reader.pin();
        let (moved, their_link, their_probe) =
            (Moved(reader, guard), Arc::clone(&link), probe.clone());
        let beside = thread::spawn(move || {
            let moved = moved;
            let Moved(handle, guard) = moved;
            let guard = renew(&handle, guard);
            look(&their_link, &their_probe, &guard);
        });
        cut(&link, &probe, &writer);
        drop(writer);
        beside.join().expect("the reader failed");
    });
}

#[test]
fn a_pinned_reader_keeps_what_it_reads() {
    race(|_, guard| guard);
}

#[test]
fn a_reader_that_pins_anew_keeps_what_it_reads() {
    race(|handle, guard| {
        drop(guard);
        handle.pin()
    });
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_renewed_reader_does_not() {
    race(|_, mut guard| {
        guard.repin();
        guard
    });
}
