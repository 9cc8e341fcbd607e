//! What does an insert cost? A new key, a key that is there, and one that has to evict.

use clockhand::Cache;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const CAPACITY: u64 = 10_000;

fn insert(c: &mut Criterion) {
    let mut group = c.benchmark_group("insert");
    group.bench_function("1,000 new", |b| {
        b.iter_batched(
            || Cache::new(CAPACITY),
            |cache| {
                (0..1_000_u64).for_each(|key| cache.insert(key, key));
                cache
            },
            BatchSize::LargeInput,
        );
    });
    let cache = Cache::new(CAPACITY);
    (0..CAPACITY).for_each(|key| cache.insert(key, key));
    let mut key = 0;
    group.bench_function("replace", |b| {
        b.iter(|| {
            key = (key + 7_919) % CAPACITY;
            cache.insert(key, key);
        });
    });
    let mut fresh = CAPACITY;
    group.bench_function("evict", |b| {
        b.iter(|| {
            fresh += 1;
            cache.insert(fresh, fresh);
        });
    });
    group.finish();
}

criterion_group!(benches, insert);
criterion_main!(benches);
