//! What does a walk over all entries cost, for each entry?

use std::hint::black_box;

use clockhand::Cache;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ENTRIES: u64 = 100_000;

fn scans(c: &mut Criterion) {
    let cache = Cache::new(ENTRIES);
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    let mut group = c.benchmark_group("scan");
    group.throughput(Throughput::Elements(ENTRIES)).sample_size(20);
    group.bench_function("for_each", |b| {
        b.iter(|| {
            let mut sum = 0_u64;
            cache.for_each(|key, value| sum = sum.wrapping_add(key ^ value));
            black_box(sum)
        });
    });
    group.bench_function("iter", |b| b.iter(|| black_box(cache.iter().count())));
    group.bench_function("snapshot", |b| b.iter(|| black_box(cache.snapshot().len())));
    group.bench_function("retain all", |b| b.iter(|| cache.retain(|_, _| true)));
    group.finish();
}

criterion_group!(benches, scans);
criterion_main!(benches);
