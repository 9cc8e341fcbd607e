//! What does a walk over all entries cost?

use clockhand::Cache;
use criterion::{Criterion, criterion_group, criterion_main};

fn scan(c: &mut Criterion) {
    let cache = Cache::new(10_000);
    (0..10_000_u64).for_each(|key| cache.insert(key, key));
    c.bench_function("scan/for_each 10,000", |b| {
        b.iter(|| {
            let mut sum = 0;
            cache.for_each(|_, value| sum += value);
            sum
        });
    });
    c.bench_function("scan/snapshot 10,000", |b| b.iter(|| cache.snapshot().len()));
    c.bench_function("scan/retain all of 10,000", |b| b.iter(|| cache.retain(|_, _| true)));
}

criterion_group!(benches, scan);
criterion_main!(benches);
