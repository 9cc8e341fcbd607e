//! Removals that a thread or a task is told of.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use clockhand::{Builder, Cache, Removal, RemovalCause, Removals, removal_queue};

fn told(bound: usize, capacity: u64) -> (Cache<u64, u64>, Removals<u64, u64>) {
    let (listener, removals) = removal_queue(bound);
    let builder = Cache::builder().capacity(capacity).removal_listener(listener);
    (builder.build().expect("sound"), removals)
}

fn parts(removal: Removal<u64, u64>) -> (u64, u64, RemovalCause) {
    (removal.key, removal.value, removal.cause)
}

#[test]
fn removals_come_in_their_order_and_with_their_cause() {
    let (cache, mut removals) = told(10, 2);
    assert_eq!((removals.try_recv(), removals.len()), (None, 0));
    cache.insert(1, 10);
    cache.insert(1, 11);
    cache.invalidate(&1);
    cache.insert(2, 20);
    cache.insert(3, 30);
    cache.insert(4, 40);
    let got: Vec<_> = std::iter::from_fn(|| removals.try_recv()).map(parts).collect();
    assert_eq!(got[..2], [(1, 10, RemovalCause::Replaced), (1, 11, RemovalCause::Invalidated)]);
    assert_eq!((got.len(), got[2].2), (3, RemovalCause::Evicted));
    drop(cache);
    assert!(removals.is_closed());
    assert_eq!(removals.recv(), None);
    assert_eq!(removals.recv(), None, "again");
}

#[test]
fn what_a_full_queue_cannot_take_is_counted() {
    for bound in [0, 1, 3] {
        let (cache, mut removals) = told(bound, 100);
        (0..10).for_each(|key| cache.insert(key, key));
        cache.clear();
        assert_eq!((removals.len(), removals.lost()), (bound, 10 - bound as u64));
        let mut left = bound;
        while removals.try_recv().is_some() {
            left -= 1;
        }
        assert_eq!(left, 0);
        cache.insert(1, 1);
        cache.clear();
        assert_eq!(removals.len(), bound.min(1), "there is room again");
    }
}

#[test]
fn whoever_waits_is_woken() {
    let (cache, mut removals) = told(10, 100);
    let (both, waits) = (Arc::new(Barrier::new(2)), AtomicU64::new(0));
    let there = Arc::clone(&both);
    let receiver = thread::spawn(move || {
        there.wait();
        let first = removals.recv().map(parts);
        there.wait();
        (first, removals.by_ref().count())
    });
    both.wait();
    waits.fetch_add(1, Ordering::SeqCst);
    cache.insert(1, 1);
    cache.clear();
    both.wait();
    (2..5).for_each(|key| cache.insert(key, key));
    cache.clear();
    drop(cache);
    let (first, rest) = receiver.join().expect("it ends with the cache");
    assert_eq!((first, rest), (Some((1, 1, RemovalCause::Invalidated)), 3));
}

#[test]
fn a_wait_has_a_limit() {
    let (cache, mut removals) = told(10, 100);
    for timeout in [Duration::ZERO, Duration::from_millis(2)] {
        assert_eq!(removals.recv_timeout(timeout), None);
        assert!(!removals.is_closed());
    }
    cache.insert(1, 1);
    cache.clear();
    assert!(removals.recv_timeout(Duration::ZERO).is_some());
    cache.insert(1, 1);
    cache.clear();
    assert!(removals.recv_timeout(Duration::MAX).is_some());
    drop(cache);
    assert_eq!(removals.recv_timeout(Duration::MAX), None);
}

#[test]
fn without_a_receiver_nothing_is_kept() {
    let (listener, removals) = removal_queue::<u64, Arc<()>>(10);
    let cache = Cache::builder().capacity(10).removal_listener(listener).build().expect("sound");
    let value = Arc::new(());
    cache.insert(1, Arc::clone(&value));
    cache.invalidate(&1);
    cache.insert(1, Arc::clone(&value));
    drop(removals);
    cache.invalidate(&1);
    drop(cache);
    assert_eq!(Arc::strong_count(&value), 1);
}

/// A value whose clone panics, or whose destructor does, does so for the caller, and the queue goes on.
#[test]
fn a_value_that_panics_breaks_no_queue() {
    #[derive(Debug)]
    struct Fragile(u64);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert!(self.0 != 13, "as wanted");
            Self(self.0)
        }
    }
    let (listener, mut removals) = removal_queue(10);
    let cache = Cache::builder().capacity(10).removal_listener(listener).build().expect("sound");
    for _ in 0..2 {
        cache.insert(1, Fragile(13));
        assert!(catch_unwind(AssertUnwindSafe(|| cache.invalidate(&1))).is_err());
        assert!(!cache.contains_key(&1));
        cache.insert(2, Fragile(2));
        cache.invalidate(&2);
        assert_eq!(removals.try_recv().map(|removal| removal.value.0), Some(2));
    }
    assert_eq!((removals.len(), removals.lost()), (0, 0));
}

#[test]
fn removals_of_several_threads_and_caches_all_arrive() {
    let (listener, removals) = removal_queue(1 << 20);
    let common: Builder<u64, u64> = Cache::builder().capacity(50).removal_listener(listener);
    let caches = [common.clone().build().expect("sound"), common.build().expect("sound")];
    let receiver = thread::spawn(move || removals.count());
    let writers = caches.map(|cache| {
        thread::spawn(move || {
            (0..1_000).for_each(|key| cache.insert(key, key));
            cache.clear();
        })
    });
    writers.into_iter().for_each(|writer| writer.join().expect("it writes"));
    assert_eq!(receiver.join().expect("it ends with both caches"), 2_000);
}

#[cfg(feature = "async")]
#[test]
fn a_task_receives() {
    let (cache, mut removals) = told(10, 100);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let task = runtime.spawn(async move {
        let mut sum = 0;
        while let Some(removal) = removals.recv_async().await {
            sum += removal.value;
        }
        sum
    });
    for value in 1..=4 {
        cache.insert(1, value);
    }
    cache.clear();
    drop(cache);
    assert_eq!(runtime.block_on(task).expect("it ends with the cache"), 10);
}
