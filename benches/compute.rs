//! What does an atomic change of one key cost? Each answer that `compute` takes, beside the same
//! done by a read and an insert, which is not atomic.

use std::hint::black_box;

use clockhand::{Cache, Compute};
use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

fn computes(c: &mut Criterion) {
    let cache = Cache::new(2 * ENTRIES);
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    let mut key = 0;
    let mut stride = move || {
        key = (key + 7_919) % ENTRIES;
        black_box(key)
    };
    let mut group = c.benchmark_group("compute");
    group.bench_function("keep", |b| b.iter(|| cache.compute(stride(), |_| Compute::Keep)));
    group.bench_function("put", |b| {
        b.iter(|| cache.compute(stride(), |n| Compute::Put(n.map_or(0, |n| n + 1))));
    });
    group.bench_function("get and insert", |b| {
        b.iter(|| {
            let key = stride();
            cache.insert(key, cache.get(&key).map_or(0, |n| n + 1));
        });
    });
    group.bench_function("remove and put", |b| {
        b.iter(|| {
            let key = stride();
            cache.compute(key, |_| Compute::Remove);
            cache.compute(key, |_| Compute::Put(key))
        });
    });
    group.finish();
}

criterion_group!(benches, computes);
criterion_main!(benches);
