//! What does loading cost beyond the work itself? A hit and a miss through `get_or_load`, beside the
//! same done by a read and an insert, which loads a key as often as it is asked for meanwhile.

use std::hint::black_box;

use clockhand::Cache;
use criterion::{Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 10_000;

fn hits(c: &mut Criterion) {
    let cache = Cache::new(2 * ENTRIES);
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    let mut key = 0;
    let mut stride = move || {
        key = (key + 7_919) % ENTRIES;
        black_box(key)
    };
    let mut group = c.benchmark_group("load");
    group.bench_function("hit, get_or_load", |b| {
        b.iter(|| cache.get_or_load(stride(), |key| *key));
    });
    group.bench_function("hit, get", |b| b.iter(|| cache.get(&stride())));
    group.finish();
}

/// Every key is new, and the cache is full.
fn misses(c: &mut Criterion) {
    let cache = Cache::new(ENTRIES);
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    let mut key = ENTRIES;
    let mut next = move || {
        key += 1;
        black_box(key)
    };
    let mut group = c.benchmark_group("load");
    group.bench_function("miss, get_or_load", |b| {
        b.iter(|| cache.get_or_load(next(), |key| *key));
    });
    group.bench_function("miss, get then insert", |b| {
        b.iter(|| {
            let key = next();
            cache.get(&key).unwrap_or_else(|| {
                cache.insert(key, key);
                key
            })
        });
    });
    group.finish();
}

criterion_group!(benches, hits, misses);
criterion_main!(benches);
