//! What does a read cost? Hit and miss, through each handle, beside flurry's map.

use std::hint::black_box;

use clockhand::Cache;
use criterion::{Criterion, criterion_group, criterion_main};

const KEYS: u64 = 10_000;

/// Keys in an order that no prefetcher knows.
fn scattered() -> impl Iterator<Item = u64> {
    (0..KEYS).cycle().map(|n| n.wrapping_mul(7_919) % KEYS)
}

fn get(c: &mut Criterion) {
    let cache = Cache::new(KEYS);
    let map = flurry::HashMap::with_capacity(KEYS as usize);
    for key in 0..KEYS {
        cache.insert(key, key);
        map.pin().insert(key, key);
    }
    let mut group = c.benchmark_group("get");
    let mut keys = scattered();
    let mut key = move || keys.next().expect("a cycle has no end");
    group.bench_function("hit", |b| b.iter(|| cache.get(black_box(&key()))));
    group.bench_function("miss", |b| b.iter(|| cache.get(black_box(&(key() + KEYS)))));
    let mut reader = cache.reader();
    group.bench_function("reader hit", |b| b.iter(|| reader.get(black_box(&key())).copied()));
    reader.park();
    group.bench_function("pinned hit", |b| {
        let pinned = cache.pin();
        b.iter(|| pinned.get(black_box(&key())).copied());
    });
    group.bench_function("flurry hit", |b| {
        let pinned = map.pin();
        b.iter(|| pinned.get(black_box(&key())).copied());
    });
    group.finish();
}

criterion_group!(benches, get);
criterion_main!(benches);
