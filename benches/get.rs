//! What does a read cost? A hit and a miss through each way to read, beside a map without eviction.
//!
//! One thread; 10,000 keys in an order that no prefetcher guesses.

use std::hint::black_box;

use clockhand::Cache;
use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

/// The next key of a walk that comes to all of them.
fn stride(key: &mut u64) -> u64 {
    *key = (*key + 7_919) % ENTRIES;
    *key
}

fn filled() -> Cache<u64, u64> {
    let cache = Cache::new(2 * ENTRIES);
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    cache
}

fn reads(c: &mut Criterion) {
    let cache = filled();
    let mut group = c.benchmark_group("get");
    let mut key = 0;
    group.bench_function("hit, get", |b| b.iter(|| cache.get(black_box(&stride(&mut key)))));
    group.bench_function("hit, peek", |b| b.iter(|| cache.peek(black_box(&stride(&mut key)))));
    let mut reader = cache.reader();
    group.bench_function("hit, Reader", |b| {
        b.iter(|| reader.get(black_box(&stride(&mut key))).copied());
    });
    reader.park();
    let pinned = cache.pin();
    group.bench_function("hit, Guard", |b| {
        b.iter(|| pinned.get(black_box(&stride(&mut key))).copied());
    });
    drop(pinned);
    group.bench_function("miss, get", |b| {
        b.iter(|| cache.get(black_box(&(ENTRIES + stride(&mut key)))));
    });
    group.finish();
}

/// The map of the Java design, with the same hasher.
fn flurry(c: &mut Criterion) {
    let map =
        flurry::HashMap::with_capacity_and_hasher(2 * ENTRIES as usize, ahash::RandomState::new());
    for key in 0..ENTRIES {
        map.pin().insert(key, key);
    }
    let mut group = c.benchmark_group("get");
    let mut key = 0;
    group.bench_function("hit, flurry", |b| {
        b.iter(|| map.pin().get(black_box(&stride(&mut key))).copied());
    });
    let guard = map.guard();
    group.bench_function("hit, flurry under a guard", |b| {
        b.iter(|| map.get(black_box(&stride(&mut key)), &guard).copied());
    });
    drop(guard);
    group.bench_function("miss, flurry", |b| {
        b.iter(|| map.pin().get(black_box(&(ENTRIES + stride(&mut key)))).copied());
    });
    group.finish();
}

criterion_group!(benches, reads, flurry);
criterion_main!(benches);
