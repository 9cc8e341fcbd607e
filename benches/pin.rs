//! What does protection cost a reader? Pinning and renewing, of this crate's epochs and of
//! `crossbeam-epoch`, alone and beside a second thread that does the same.
//!
//! A [`Reader`](clockhand::Reader) cannot be renewed without a read, so its line contains the search
//! for the one key that is there; the line of a read under a guard tells how much that is.
//! `docs/adr/0001-own-epochs.md` rests on this.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clockhand::Cache;
use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, criterion_group, criterion_main};
use crossbeam_epoch::Collector;

type Group<'c> = BenchmarkGroup<'c, WallTime>;

/// Runs what `work` makes on this thread, to be measured, and on another one as long as asked.
fn bench<W: FnMut()>(group: &mut Group<'_>, name: &str, work: impl Fn() -> W + Sync) {
    group.bench_function(BenchmarkId::new(name, "1 thread"), |b| b.iter(work()));
    group.bench_function(BenchmarkId::new(name, "2 threads"), |b| beside(b, &work));
}

fn beside<W: FnMut()>(b: &mut Bencher<'_>, work: impl Fn() -> W + Sync) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut work = work();
            while !stop.load(Ordering::Relaxed) {
                (0..1_000).for_each(|_| work());
            }
        });
        b.iter(work());
        stop.store(true, Ordering::Relaxed);
    });
}

fn pins(c: &mut Criterion) {
    let cache = Cache::<u64, u64>::new(100);
    cache.insert(1, 1);
    let collector = Collector::new();
    let mut group = c.benchmark_group("pin");
    bench(&mut group, "clockhand, pin and unpin", || || drop(black_box(cache.pin())));
    bench(&mut group, "crossbeam-epoch, pin and unpin", || {
        let handle = collector.register();
        move || drop(black_box(handle.pin()))
    });
    bench(&mut group, "clockhand, read under a guard", || {
        let pinned = cache.pin();
        move || {
            black_box(pinned.get(black_box(&1)).copied());
        }
    });
    bench(&mut group, "clockhand, renewal and read", || {
        let mut reader = cache.reader();
        move || {
            black_box(reader.get(black_box(&1)).copied());
        }
    });
    bench(&mut group, "crossbeam-epoch, renewal", || {
        // The guard keeps what its handle stands for.
        let mut guard = collector.register().pin();
        move || black_box(&mut guard).repin()
    });
    group.finish();
}

criterion_group!(benches, pins);
criterion_main!(benches);
