//! A hundred callers before a slow store, with expiry and renewal ahead of it: the store sees one load
//! per key and period, and once the cache is warm nobody waits.
//!
//! Time is the test's own. It moves on when every caller has asked for something, and the store takes a
//! second and a half of it.
//!
//! Alone in its file: its hundred threads leave no other test much of a processor.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clockhand::{Cache, Clock, LoadSource};

const CALLERS: usize = 100;
const KEYS: u64 = 20;
const TICK: Duration = Duration::from_millis(100);
/// In ticks.
const STORE: u64 = 15;
const LIFE: u64 = 100;
const REFRESH: u64 = 50;
const WARM: u64 = 30;
/// A minute.
const END: u64 = 600;

#[test]
fn a_minute_of_requests() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(1_000).clock(clock).time_to_live(TICK * LIFE as u32);
    let cache = cache.build().expect("sound");
    let (ticks, loads) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (time, store) = (Arc::clone(&ticks), Arc::clone(&loads));
    let loading = cache
        .loading(move |key: &u64| {
            let began = time.load(Ordering::SeqCst);
            store.lock().expect("nobody panics here").push((*key, began));
            while time.load(Ordering::SeqCst) < began + STORE {
                thread::yield_now();
            }
            Ok::<_, String>(*key)
        })
        .refresh_after(TICK * REFRESH as u32)
        // One thread for each reload: the store serves all of them at once.
        .executor(|job| drop(thread::spawn(job)));
    let (waited, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let asked: Vec<AtomicU64> = (0..CALLERS).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for (nth, asked) in asked.iter().enumerate() {
            let (loading, ticks, waited, done) = (&loading, &ticks, &waited, &done);
            scope.spawn(move || {
                let mut random = support::Random::new(nth as u64);
                while !done.load(Ordering::Relaxed) {
                    let began = ticks.load(Ordering::SeqCst);
                    for key in 0..KEYS {
                        let key = (key + random.below(KEYS)) % KEYS;
                        let loaded = loading.get_with_source(&key).expect("the store is up");
                        if began >= WARM && loaded.source != LoadSource::Hit {
                            waited.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    (0..KEYS).for_each(|key| drop(loading.get(&key)));
                    asked.fetch_add(1, Ordering::SeqCst);
                    thread::yield_now();
                }
            });
        }
        for tick in 1..=END {
            let before: Vec<u64> = asked.iter().map(|asked| asked.load(Ordering::SeqCst)).collect();
            let patience = Duration::from_millis(if tick <= WARM { 20 } else { 60_000 });
            let began = Instant::now();
            let is_behind =
                |(asked, before): (&AtomicU64, &u64)| asked.load(Ordering::SeqCst) == *before;
            while asked.iter().zip(&before).any(is_behind) && began.elapsed() < patience {
                thread::sleep(Duration::from_micros(200));
            }
            manual.advance(TICK);
            ticks.store(tick, Ordering::SeqCst);
        }
        // Lets whatever waits for the store come to its end.
        done.store(true, Ordering::Relaxed);
        ticks.store(2 * END, Ordering::SeqCst);
    });
    assert_eq!(waited.load(Ordering::Relaxed), 0, "somebody has waited in the warm cache");
    let mut loads = loads.lock().expect("nobody panicked").clone();
    loads.sort_unstable();
    for pair in loads.windows(2) {
        let ((key, before), (next, after)) = (pair[0], pair[1]);
        assert!(
            key != next || after >= before + REFRESH,
            "two loads of {key} in one period, at {before} and at {after}"
        );
    }
    let periods = END / REFRESH;
    assert!(loads.len() as u64 <= KEYS * (periods + 1), "{} loads", loads.len());
    let requests: u64 = asked.iter().map(|asked| asked.load(Ordering::Relaxed)).sum();
    println!("{requests} rounds of requests for {KEYS} keys, {} loads in a minute", loads.len());
}
