//! The names and signatures of latencies.

use std::fmt::Debug;
use std::time::Duration;

use clockhand::{Cache, Latencies, Latency};

#[test]
fn latencies_are_told() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).sample_every(1_u32).build().expect("sound");
    cache.insert(1, 1);
    let latencies: Option<Latencies> = cache.latencies();
    let latencies = latencies.expect("they are taken");
    let _: [&Latency; 4] =
        [&latencies.get, &latencies.insert, &latencies.load, &latencies.maintain];
    let every: u32 = latencies.sample_every;
    let insert: Latency = latencies.since(&latencies).insert;
    let insert: Latency = insert.since(&insert);
    assert_eq!((every, insert.count()), (1, 0_u64));
    let _: [Duration; 8] = [
        insert.p50(),
        insert.p95(),
        insert.p99(),
        insert.p999(),
        insert.max(),
        insert.mean(),
        insert.sum(),
        insert.quantile(0.9_f64),
    ];
    let _: Vec<(Duration, u64)> = insert.buckets().collect();
    let loading = cache.loading(|key: &u64| Ok::<_, String>(*key));
    let _: Option<Latencies> = loading.latencies();
    fn shown<T: Clone + PartialEq + Debug + Send + Sync + 'static>() {}
    shown::<Latencies>();
    shown::<Latency>();
}
