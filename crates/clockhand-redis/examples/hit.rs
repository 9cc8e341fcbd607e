//! A million hits, of the cache alone or of one with a tier behind it, to count their instructions:
//!
//! ```text
//! cargo build --release -p clockhand-redis --example hit
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/hit cache
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/hit tiered
//! ```
//!
//! The difference of the two totals, divided by a million, is what the tier adds to a hit. No server is needed.

use std::hint::black_box;

use clockhand::Cache;
use clockhand_redis::{RedisTier, Tiered};

const HITS: u64 = 1_000_000;

fn main() {
    let tier = RedisTier::builder("redis://127.0.0.1:1")
        .backoff(std::time::Duration::from_secs(3600), std::time::Duration::from_secs(3600))
        .build()
        .expect("valid settings");
    let cache = Cache::builder().capacity(1_000).per_entry_ttl().build().expect("a cache");
    let tiered: Tiered<u64, u64> = Tiered::new(cache.clone(), &tier).expect("a cache");
    // What is written to the cache directly is served as long as the tier's gate is open.
    (0..64).for_each(|key| cache.insert(key, key));
    let sum = match std::env::args().nth(1).as_deref() {
        Some("cache") => by_cache(&cache),
        Some("tiered") => by_tiered(&tiered),
        _ => 0,
    };
    println!("{sum}");
}

#[inline(never)]
fn by_cache(cache: &Cache<u64, u64>) -> u64 {
    (0..HITS).filter_map(|nth| cache.get(&black_box(nth % 64))).sum()
}

#[inline(never)]
fn by_tiered(tiered: &Tiered<u64, u64>) -> u64 {
    (0..HITS).filter_map(|nth| tiered.get_cached(&black_box(nth % 64))).sum()
}
