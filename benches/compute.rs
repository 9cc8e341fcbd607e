//! What does a read-modify-write cost?

use clockhand::{Cache, Compute};
use criterion::{Criterion, criterion_group, criterion_main};

fn compute(c: &mut Criterion) {
    let cache = Cache::new(1_000);
    (0..1_000_u64).for_each(|key| cache.insert(key, 0_u64));
    let mut key = 0;
    let mut next = move || {
        key = (key + 619) % 1_000;
        key
    };
    c.bench_function("compute/count", |b| {
        b.iter(|| cache.compute(next(), |n| Compute::Put(n.copied().unwrap_or(0) + 1)));
    });
    c.bench_function("compute/keep", |b| b.iter(|| cache.compute(next(), |_| Compute::Keep)));
}

criterion_group!(benches, compute);
criterion_main!(benches);
