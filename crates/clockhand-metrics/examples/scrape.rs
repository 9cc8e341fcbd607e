//! What a scrape loop costs readers: they read as fast as they can, and in every second stretch of
//! time the metrics are scraped all the while.
//!
//! `cargo run --release -p clockhand-metrics --example scrape -- [READERS] [PAIRS] [SCRAPES_PER_SECOND]`
//!
//! Prints the reads of each pair of stretches, and the median of what scraping took of them. With no
//! scrapes the second of a pair is like the first, so that is what the machine adds by itself. On Linux it
//! also prints the processor time of a scrape, which other work on the machine does not change much.

use std::env;
use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clockhand::Cache;
use clockhand_metrics::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

const KEYS: u64 = 100_000;
const STRETCH: Duration = Duration::from_millis(500);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1).map(|text| text.parse::<u64>());
    let mut next = |otherwise| arguments.next().unwrap_or(Ok(otherwise));
    let (readers, pairs, rate) = (next(2)?, next(40)?, next(10)?);

    let cache: Cache<u64, u64> = Cache::builder().capacity(KEYS).name("numbers").build()?;
    (0..KEYS).for_each(|key| cache.insert(key, key));
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Collector::new().cache(&cache)));

    let reads: Arc<Vec<AtomicU64>> = Arc::new((0..readers).map(|_| AtomicU64::new(0)).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..readers as usize)
        .map(|nth| {
            let (cache, reads, stop) = (cache.clone(), Arc::clone(&reads), Arc::clone(&stop));
            thread::spawn(move || read(&cache, &reads[nth], &stop))
        })
        .collect();
    let sum = || reads.iter().map(|reads| reads.load(Ordering::Relaxed)).sum::<u64>();

    let (before, mut lost) = (processor_time(), Vec::new());
    for _ in 0..pairs {
        let without = stretch(sum, None);
        let with = stretch(sum, (rate > 0).then_some((&registry, rate)));
        lost.push(1.0 - with / without);
        println!("{without:.0} reads/s without, {with:.0} with");
    }
    let spent = processor_time().zip(before).map(|(after, before)| after.saturating_sub(before));
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().try_for_each(thread::JoinHandle::join).map_err(|_| "a reader panicked")?;
    lost.sort_by(f64::total_cmp);
    let at = |part: f64| 100.0 * lost[((lost.len() - 1) as f64 * part) as usize];
    println!("{readers} readers, {rate} scrapes a second");
    let scrapes = SCRAPES.load(Ordering::Relaxed);
    if let Some(spent) = spent.filter(|_| scrapes > 0) {
        println!("processor time of a scrape: {:?}", spent / scrapes as u32);
    }
    println!(
        "lost by scraping: median {:.2} %, half of the pairs {:.2} to {:.2} %",
        at(0.5),
        at(0.25),
        at(0.75)
    );
    Ok(())
}

/// Reads keys in a scattered order until it is told to stop.
fn read(cache: &Cache<u64, u64>, reads: &AtomicU64, stop: &AtomicBool) {
    let mut reader = cache.reader();
    let (mut key, mut done) = (1_u64, 0);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..256 {
            key =
                key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::hint::black_box(reader.get(&((key >> 33) % KEYS)));
        }
        done += 256;
        reads.store(done, Ordering::Relaxed);
    }
}

/// The scrapes so far.
static SCRAPES: AtomicU64 = AtomicU64::new(0);

/// What this thread has had of processors so far; Linux tells.
fn processor_time() -> Option<Duration> {
    let told = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The reads of a second, over a stretch in which there may be scrapes.
fn stretch(sum: impl Fn() -> u64, scrapes: Option<(&Registry, u64)>) -> f64 {
    let (began, before) = (Instant::now(), sum());
    let rest = scrapes.map_or(STRETCH, |(_, rate)| Duration::from_secs(1) / rate as u32);
    while began.elapsed() < STRETCH {
        thread::sleep(rest.min(STRETCH.saturating_sub(began.elapsed())));
        if let Some((registry, _)) = scrapes {
            let mut text = String::new();
            prometheus_text::encode(&mut text, registry).expect("a text");
            std::hint::black_box(text);
            SCRAPES.fetch_add(1, Ordering::Relaxed);
        }
    }
    (sum() - before) as f64 / began.elapsed().as_secs_f64()
}
