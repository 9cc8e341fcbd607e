//! The page, with something to see on it: a cache that is read and written all the time, a
//! deduplicator, and a tracker of offsets.
//!
//! `cargo run --release -p clockhand-http --example page -- [ADDRESS]`

use std::env;
use std::error::Error;
use std::thread;
use std::time::Duration;

use clockhand::Cache;
use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand_http::{Keys, Service};
use tokio::net::TcpListener;

/// More symbols than there is room for.
const SYMBOLS: u64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_string());
    let prices: Cache<String, f64> = Cache::builder()
        .capacity(10_000)
        .time_to_live(Duration::from_secs(30))
        .name("prices")
        .build()?;
    let seen: Deduplicator<u64> = Deduplicator::builder().build()?;
    let feed = OffsetTracker::builder().build()?;
    let builder = Service::builder().cache(&prices, Keys::text());
    let service = builder.deduplicator("orders", &seen).tracker("feed", &feed).build()?;

    thread::spawn(move || work(&prices, &seen, &feed));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        println!("http://{}/cache", listener.local_addr()?);
        axum::serve(service.bound(listener), service.router()).await.map_err(Into::into)
    })
}

/// Looks prices up, and puts in what is missing: the lower its number, the more often a symbol is asked for.
fn work(prices: &Cache<String, f64>, seen: &Deduplicator<u64>, feed: &OffsetTracker) {
    let mut random = 1_u64;
    for turn in 0_i32.. {
        for _ in 0..200 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let part = (random >> 11) as f64 / (1_u64 << 53) as f64;
            let symbol = format!("SYM{:05}", (part.powi(3) * SYMBOLS as f64) as u64);
            prices.get_or_load(symbol, |_| part);
            seen.mark_processed(random % 50_000);
        }
        let partition = turn % 4;
        let offset = i64::from(turn / 4);
        feed.polled("ticks", partition, [offset]);
        // The last partition is slower than the others.
        if partition < 3 || offset % 2 == 0 {
            feed.mark_processed("ticks", partition, offset);
        }
        thread::sleep(Duration::from_millis(2));
    }
}
