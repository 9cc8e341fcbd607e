//! What does protection cost a reader? Pinning and renewing of this crate's epochs and of
//! `crossbeam-epoch`, alone and while another thread retires.
//!
//! Before the times, it counts what a thread does that only pins: with `crossbeam-epoch`, every
//! 128th pin runs what other threads have deferred. `docs/adr/0001-own-epochs.md` rests on this.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clockhand::Cache;
use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_epoch::{Collector, Owned};

/// Pins that are looked at in the count.
const PINS: u64 = 1_000_000;

thread_local! {
    /// Allocations and deallocations of this thread.
    static HEAP: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, which counts for each thread.
struct Counting;

// SAFETY: all is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = HEAP.try_with(|heap| heap.set((heap.get().0 + 1, heap.get().1)));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = HEAP.try_with(|heap| heap.set((heap.get().0, heap.get().1 + 1)));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Runs `pin` on this thread as often as asked, and `retire` on another until that is done. Returns
/// what this thread allocated and freed.
fn count(retire: impl Fn() + Send, mut pin: impl FnMut()) -> (u64, u64) {
    let (start, stop) = (Barrier::new(2), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            while !stop.load(Ordering::Relaxed) {
                retire();
            }
        });
        pin();
        start.wait();
        let before = HEAP.get();
        (0..PINS).for_each(|_| pin());
        let after = HEAP.get();
        stop.store(true, Ordering::Relaxed);
        (after.0 - before.0, after.1 - before.1)
    })
}

/// Prints what a thread that only pins allocates and frees, while another one retires.
fn readers_heap(_: &mut Criterion) {
    let collector = Collector::new();
    let (reader, other) = (collector.register(), collector.clone());
    let theirs = count(
        || {
            let handle = other.register();
            for _ in 0..1_000 {
                let guard = handle.pin();
                let item = Owned::new(1_u64).into_shared(&guard);
                // SAFETY: nobody else has seen the item.
                unsafe { guard.defer_destroy(item) };
            }
        },
        || drop(black_box(reader.pin())),
    );
    let cache = Cache::new(1_000);
    let key = Cell::new(0_u64);
    let writer = cache.clone();
    let ours = count(
        move || {
            key.set(key.get() + 1);
            writer.insert(key.get(), 0_u64);
        },
        || drop(black_box(cache.pin())),
    );
    for (name, (allocated, freed)) in [("crossbeam-epoch", theirs), ("clockhand", ours)] {
        println!(
            "{name}: a thread that pins {PINS} times beside one that retires allocates \
             {allocated} times and frees {freed} times"
        );
    }
}

fn pins(c: &mut Criterion) {
    let cache = Cache::<u64, u64>::new(100);
    cache.insert(1, 1);
    let handle = Collector::new().register();
    let mut group = c.benchmark_group("pin");
    group.bench_function("clockhand, pin and unpin", |b| b.iter(|| drop(black_box(cache.pin()))));
    group.bench_function("crossbeam-epoch, pin and unpin", |b| {
        b.iter(|| drop(black_box(handle.pin())));
    });
    group.bench_function("crossbeam-epoch, pin and unpin, default collector", |b| {
        b.iter(|| drop(black_box(crossbeam_epoch::pin())));
    });
    let mut reader = cache.reader();
    let pinned = cache.pin();
    group.bench_function("clockhand, read of one key under a guard", |b| {
        b.iter(|| pinned.peek(black_box(&1)).copied());
    });
    drop(pinned);
    group.bench_function("clockhand, the same with a renewal", |b| {
        b.iter(|| reader.peek(black_box(&1)).copied());
    });
    reader.park();
    let mut guard = handle.pin();
    group.bench_function("crossbeam-epoch, renewal", |b| b.iter(|| black_box(&mut guard).repin()));
    group.finish();
}

criterion_group!(benches, readers_heap, pins);
criterion_main!(benches);
