//! The load tests of de-duplication, each with its figures: `cargo test --release --test dedup_load --
//! --nocapture`. Small by default, at full size with `CLOCKHAND_STRESS=full`.

#![cfg(feature = "dedup")]

mod support;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clockhand::dedup::{Claim, Deduplicator};
use support::{Random, heap, is_full, size, together};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// The tests measure; one at a time.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

fn deduplicator(capacity: usize) -> Deduplicator<u64> {
    Deduplicator::builder().capacity(capacity as u64).build().expect("the settings agree")
}

fn per_second(number: usize, time: Duration) -> f64 {
    number as f64 / time.as_secs_f64()
}

/// Messages over all cores, a tenth of them delivered twice: none is lost, none is processed twice.
#[test]
fn high_throughput() {
    let _alone = alone();
    let (messages, threads) = (size(200_000, 10_000_000), cores());
    let seen = deduplicator(messages);
    let processed: Vec<AtomicU64> = (0..messages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
    let twice = AtomicUsize::new(0);
    let begin = Instant::now();
    let counts = together(threads, |thread| {
        let (seen, mut random) = (seen.clone(), Random::new(thread as u64));
        let (mut deliveries, mut duplicates) = (0, 0);
        let mut deliver = |message: usize| {
            deliveries += 1;
            match seen.claim(message as u64) {
                Claim::New(ticket) => {
                    let bit = 1 << (message % 64);
                    let before = processed[message / 64].fetch_or(bit, Ordering::Relaxed);
                    twice.fetch_add(usize::from(before & bit != 0), Ordering::Relaxed);
                    ticket.complete();
                }
                _ => duplicates += 1,
            }
        };
        // Neighbours go to different threads, as from partitions; what is delivered again goes to any.
        for message in (thread..messages).step_by(threads) {
            deliver(message);
            if random.one_in(10) {
                deliver(message.saturating_sub(random.below(1000) as usize));
            }
        }
        (deliveries, duplicates)
    });
    let time = begin.elapsed();
    let deliveries: usize = counts.iter().map(|count| count.0).sum();
    let duplicates: usize = counts.iter().map(|count| count.1).sum();
    println!(
        "high_throughput: {deliveries} deliveries of {messages} messages on {threads} threads: \
         {:.0} a second, {duplicates} duplicates",
        per_second(deliveries, time)
    );
    let done: usize =
        processed.iter().map(|w| w.load(Ordering::Relaxed).count_ones() as usize).sum();
    assert_eq!((done, twice.into_inner()), (messages, 0), "every message, and none twice");
    assert_eq!(deliveries - duplicates, messages);
    let metrics = seen.metrics();
    assert_eq!((metrics.adds, metrics.size), (messages as u64, messages as u64));
    assert_eq!(metrics.duplicates + metrics.in_progress_hits, duplicates as u64);
    assert_eq!(seen.metrics().forgotten_early, 0);
    if is_full() {
        assert!(per_second(deliveries, time) > 1000.0, "the floor that the old system missed");
    }
    rates(threads);
}

/// New ids and duplicates each by themselves, on one thread and on all cores.
fn rates(most: usize) {
    let each = size(50_000, 2_000_000);
    for threads in [1, most] {
        for (name, capacity) in [("remembered", threads * each), ("in turn", 50_000)] {
            let seen = deduplicator(capacity);
            let run = |what: &str, expected: Option<bool>| {
                let begin = Instant::now();
                together(threads, |thread| {
                    let seen = seen.clone();
                    for nth in 0..each {
                        let new = seen.mark_processed((thread * each + nth) as u64);
                        assert!(expected.is_none_or(|expected| new == expected));
                    }
                });
                let rate = per_second(each, begin.elapsed());
                println!(
                    "high_throughput: {what}, {name}, {threads} threads: {rate:.0} a second and thread"
                );
            };
            run("new", Some(true));
            if capacity >= threads * each {
                run("duplicates", Some(false));
            }
        }
        let seen = deduplicator(50_000);
        (0..10_000).for_each(|id| assert!(seen.mark_processed(id)));
        let begin = Instant::now();
        together(threads, |thread| {
            let seen = seen.clone();
            for nth in 0..each {
                assert!(seen.claim(((nth + thread * 64) % 10_000) as u64).is_done());
            }
        });
        let rate = per_second(each, begin.elapsed());
        println!(
            "high_throughput: duplicates of 10000 ids, {threads} threads: {rate:.0} a second and thread"
        );
    }
}

/// Writers of messages of their own beside readers of all.
#[test]
fn concurrent_readers_writers() {
    let _alone = alone();
    let (writers, readers) = (20, 10);
    let (messages, reads) = (size(500, 500_000), size(1000, 1_000_000));
    let seen = deduplicator(writers * messages);
    let begin = Instant::now();
    let hits = together(writers + readers, |thread| {
        let seen = seen.clone();
        if thread < writers {
            for nth in 0..messages {
                assert!(seen.mark_processed((thread * messages + nth) as u64));
            }
            return 0;
        }
        let mut random = Random::new(thread as u64);
        let any = (writers * messages) as u64;
        (0..reads).filter(|_| seen.is_processed(&random.below(any))).count()
    });
    let (time, total) = (begin.elapsed(), writers * messages + readers * reads);
    println!(
        "concurrent_readers_writers: {total} operations: {:.0} a second, {} reads hit",
        per_second(total, time),
        hits.iter().sum::<usize>()
    );
    assert!((0..writers * messages).all(|id| seen.is_processed(&(id as u64))), "nothing was lost");
    assert_eq!(seen.len(), writers * messages);
    assert_eq!(seen.metrics().forgotten_early, 0);
}

/// Unique messages five times each, shuffled: exactly four fifths are detected.
#[test]
fn duplicate_detection() {
    let _alone = alone();
    let mut sizes = vec![1000];
    if is_full() {
        sizes.push(1_000_000);
    }
    for unique in sizes {
        let mut messages: Vec<u64> =
            (0..5 * unique as u64).map(|nth| nth % unique as u64).collect();
        let mut random = Random::new(unique as u64);
        for at in (1..messages.len()).rev() {
            messages.swap(at, random.below(at as u64 + 1) as usize);
        }
        let begin = Instant::now();
        let detected = by_threads(&messages, unique);
        println!(
            "duplicate_detection: {unique} x 5 by threads: {detected} in {:?}",
            begin.elapsed()
        );
        assert_eq!(detected, 4 * unique);
        #[cfg(feature = "async")]
        {
            let begin = Instant::now();
            let detected = by_tasks(messages, unique);
            println!(
                "duplicate_detection: {unique} x 5 by tasks: {detected} in {:?}",
                begin.elapsed()
            );
            assert_eq!(detected, 4 * unique);
        }
    }
}

fn by_threads(messages: &[u64], unique: usize) -> usize {
    let (seen, threads) = (deduplicator(unique), 8);
    let detected = together(threads, |thread| {
        let mine = messages.iter().skip(thread).step_by(threads);
        mine.filter(|&&message| seen.process(message, || Ok::<_, ()>(())).processed().is_none())
            .count()
    });
    detected.into_iter().sum()
}

#[cfg(feature = "async")]
fn by_tasks(messages: Vec<u64>, unique: usize) -> usize {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().build().expect("threads can be started");
    let seen = deduplicator(unique);
    let tasks = 8;
    let messages = std::sync::Arc::new(messages);
    runtime.block_on(async move {
        let run = |task| {
            let (seen, messages) = (seen.clone(), std::sync::Arc::clone(&messages));
            tokio::spawn(async move {
                let mut detected = 0;
                for &message in messages.iter().skip(task).step_by(tasks) {
                    let work = || async {
                        tokio::task::yield_now().await;
                        Ok::<_, ()>(())
                    };
                    let outcome = seen.process_async(message, work).await;
                    detected += usize::from(outcome.processed().is_none());
                }
                detected
            })
        };
        let running: Vec<_> = (0..tasks).map(run).collect();
        let mut detected = 0;
        for task in running {
            detected += task.await.expect("no task panics");
        }
        detected
    })
}

/// Many threads at the same few ids: how long an operation takes.
#[test]
fn contention() {
    let _alone = alone();
    for threads in [cores(), 50] {
        let operations = size(200, if threads == 50 { 20_000 } else { 1_000_000 });
        let seen = deduplicator(50_000);
        let times = together(threads, |_| {
            let seen = seen.clone();
            let mut times = Vec::with_capacity(operations);
            for nth in 0..operations {
                let begin = Instant::now();
                if let Claim::New(ticket) = seen.claim(nth as u64) {
                    ticket.complete();
                }
                times.push(begin.elapsed());
            }
            times
        });
        let mut times: Vec<Duration> = times.concat();
        times.sort_unstable();
        let (number, total) = (times.len(), times.iter().sum::<Duration>());
        let at = |part: usize| times[(number - 1) * part / 1000];
        println!(
            "contention: {threads} threads x {operations}: average {:?}, p99 {:?}, p99.9 {:?}, longest {:?}",
            total / number as u32,
            at(990),
            at(999),
            at(1000)
        );
        assert_eq!(seen.metrics().adds, operations as u64);
        if is_full() {
            assert!(at(990) < Duration::from_millis(50), "p99 is {:?}", at(990));
        }
    }
}

/// Rounds of new messages: the memory is that of the capacity, and stays so.
#[test]
fn memory() {
    /// What an id of eight bytes takes at most, with its part of table and ring.
    const EACH: usize = 176;
    /// Structures that do not depend on the number of ids: lines for threads, garbage in the bags.
    const FIXED: usize = 1 << 20;
    let _alone = alone();
    let (rounds, messages) = (5, size(2000, 200_000));
    let capacity = 2 * messages;
    let before = heap::live();
    let seen = deduplicator(capacity);
    let mut sizes = Vec::new();
    for round in 0..rounds {
        together(cores(), |thread| {
            for nth in (thread..messages).step_by(cores()) {
                assert!(seen.mark_processed((round * messages + nth) as u64));
            }
        });
        sizes.push(heap::live() - before);
    }
    let bound = capacity * EACH + FIXED;
    println!(
        "memory: {rounds} x {messages} messages, capacity {capacity}: {sizes:?} bytes, bound {bound}"
    );
    println!("memory: {:.1} bytes for each id", sizes[rounds - 1] as f64 / capacity as f64);
    assert!(sizes.iter().all(|&bytes| bytes < bound as i64), "{sizes:?} above {bound}");
    let (early, late) = (sizes[2], sizes[rounds - 1]);
    assert!(late - early < (capacity * 16 + FIXED) as i64, "it grows: {sizes:?}");
    assert_eq!(seen.len(), capacity);
    assert_eq!(seen.metrics().forgotten_early, (rounds * messages - capacity) as u64);
    drop(seen);
    println!("memory: {} bytes are left behind", heap::live() - before);
}
