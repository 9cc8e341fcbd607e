//! What does it cost to process a message once? A claim of a new id with its completion, while the oldest
//! id is forgotten for it; a duplicate; a claim given back; the same for offsets.

use std::hint::black_box;

use clockhand::dedup::{Deduplicator, OffsetTracker};
use criterion::{Criterion, criterion_group, criterion_main};

const IDS: u64 = 50_000;

fn full() -> Deduplicator<u64> {
    let seen = Deduplicator::builder().capacity(IDS).build().expect("the settings agree");
    (0..IDS).for_each(|id| assert!(seen.mark_processed(id)));
    seen
}

fn ids(c: &mut Criterion) {
    let seen = full();
    let mut group = c.benchmark_group("dedup");
    let mut duplicate = 0;
    group.bench_function("claim a duplicate", |b| {
        b.iter(|| {
            duplicate = (duplicate + 7_919) % IDS;
            seen.claim(black_box(duplicate)).is_done()
        });
    });
    let mut new = IDS;
    group.bench_function("claim new and complete", |b| {
        b.iter(|| {
            new += 1;
            seen.claim(black_box(new)).ticket().map(|ticket| ticket.complete())
        });
    });
    group.bench_function("claim new and give back", |b| {
        b.iter(|| {
            new += 1;
            seen.claim(black_box(new)).is_new()
        });
    });
    group.bench_function("mark processed", |b| {
        b.iter(|| {
            new += 1;
            seen.mark_processed(black_box(new))
        });
    });
    group.finish();
}

fn offsets(c: &mut Criterion) {
    let tracker = OffsetTracker::builder().build().expect("the defaults agree");
    let mut group = c.benchmark_group("offsets");
    let mut new = 0;
    group.bench_function("claim new and complete", |b| {
        b.iter(|| {
            new += 1;
            tracker.mark_processed("orders", 3, black_box(new - 1))
        });
    });
    let partition = tracker.partition("payments", 3);
    let mut new = 0;
    group.bench_function("the same by partition", |b| {
        b.iter(|| {
            new += 1;
            partition.mark_processed(black_box(new - 1))
        });
    });
    group.bench_function("claim a duplicate", |b| {
        b.iter(|| partition.claim(black_box(0)).is_done());
    });
    // Every tenth offset is a marker.
    let mut next = 0;
    group.bench_function("poll, claim and complete nine with a marker", |b| {
        b.iter(|| {
            let records = next..next + 9;
            next += 10;
            tracker.polled("markers", 3, records.clone());
            records
                .filter(|&offset| tracker.mark_processed("markers", 3, black_box(offset)))
                .count()
        });
    });
    group.finish();
}

criterion_group!(benches, ids, offsets);
criterion_main!(benches);
