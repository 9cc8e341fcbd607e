//! A child that `fork` made goes on with the caches of its parent: after `reset_after_fork`, nobody stands in
//! its way who is not there.
//!
//! Alone in its file, as a child has what all threads of the process had.

#![cfg(unix)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use clockhand::health::Figure;
use clockhand::{Cache, Clock, Maintenance, ManualClock, Thresholds};

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
    fn alarm(seconds: u32) -> u32;
}

/// Runs `work` in a child and waits for it; whether it went through without a panic.
fn in_a_child(work: impl FnOnce()) -> bool {
    // SAFETY: what the child does until it ends is in `work`, and uses nothing that another thread may have locked
    // but the allocator, which the C library sees to.
    let process = unsafe { fork() };
    assert!(process >= 0, "no child");
    if process == 0 {
        // SAFETY: ends a child in which threads wait for one that has failed.
        unsafe { alarm(120) };
        let code = i32::from(catch_unwind(AssertUnwindSafe(work)).is_err());
        // SAFETY: ends the child where it is.
        unsafe { _exit(code) };
    }
    let mut status = 0;
    // SAFETY: the status is ours.
    assert_eq!(unsafe { waitpid(process, &raw mut status, 0) }, process);
    status == 0
}

/// A panic that prints nothing: the lock of the output may be held by a thread that is not here.
fn claim(holds: bool) {
    if !holds {
        resume_unwind(Box::new("a claim does not hold"));
    }
}

type Tested = Cache<u64, u64>;

/// Runs `body` while one thread holds a guard of the cache, one a reader, and one has only read.
fn beside_others(cache: &Tested, body: impl FnOnce()) {
    let (ready, over) = (&Barrier::new(4), &Barrier::new(4));
    let stay = |_: Option<u64>| {
        ready.wait();
        over.wait();
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            let guard = cache.pin();
            stay(guard.get(&1).copied());
        });
        scope.spawn(move || {
            let mut reader = cache.reader();
            stay(reader.get(&1).copied());
        });
        scope.spawn(move || stay(cache.get(&1)));
        ready.wait();
        let done = catch_unwind(AssertUnwindSafe(body));
        over.wait();
        done.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

fn built(maintenance: Maintenance) -> Tested {
    let builder = Cache::builder().capacity(100).retired_capacity(50).maintenance(maintenance);
    let cache = builder.build().expect("sound");
    (0..100).for_each(|key| cache.insert(key, key));
    cache
}

/// Replaces more than the retired capacity holds; how many were refused.
fn refused(cache: &Tested) -> u64 {
    let before = cache.stats().refusals;
    // All that was there leaves.
    (0..1_000).for_each(|key| cache.insert(key % 100, key));
    cache.stats().refusals - before
}

#[test]
fn a_child_inherits_nobody() {
    for maintenance in [Maintenance::Inline, Maintenance::Manual] {
        let cache = built(maintenance);
        beside_others(&cache, || {
            assert!(in_a_child(|| claim(refused(&cache) > 0)), "the test shows nothing");
            assert!(in_a_child(|| {
                claim(cache.reset_after_fork() == 3);
                claim(refused(&cache) == 0);
                claim(cache.reclamation_lag() <= 1);
                // Once is enough, and a child's child inherits nobody either.
                claim(cache.reset_after_fork() == 0);
                claim(in_a_child(|| {
                    claim(cache.reset_after_fork() == 0);
                    claim(refused(&cache) == 0);
                }));
                support::validate(&cache);
            }));
            // The parent is not touched.
            assert_eq!(cache.reset_after_fork(), 0);
            assert!(refused(&cache) > 0, "the others are still there");
        });
        assert_eq!(refused(&cache), 0);
        support::validate(&cache);
    }
}

/// Guards and readers of the thread that called `fork` stay, and those of threads that the child starts.
#[test]
fn a_child_keeps_its_own() {
    let cache = built(Maintenance::Inline);
    beside_others(&cache, || {
        let mut reader = cache.reader();
        let (guard, _) = (cache.pin(), reader.get(&2).copied());
        assert!(in_a_child(|| {
            let ready = Barrier::new(2);
            let over = Barrier::new(2);
            thread::scope(|scope| {
                scope.spawn(|| {
                    // Not the thread that forked: it has nobody to take for gone.
                    claim(cache.reset_after_fork() == 0);
                    let _guard = cache.pin();
                    ready.wait();
                    over.wait();
                });
                ready.wait();
                claim(cache.reset_after_fork() == 3);
                let lent = guard.get(&1);
                claim(refused(&cache) > 0);
                claim(lent == Some(&1) && reader.get(&2).is_none_or(|value| value % 100 == 2));
                drop(guard);
                reader.park();
                claim(refused(&cache) > 0);
                over.wait();
            });
            claim(refused(&cache) == 0);
        }));
        reader.park();
    });
}

/// A thread that was not known in the parent cannot be told from one that the child started.
#[test]
fn a_thread_that_is_not_known_resets_nothing() {
    let cache =
        thread::scope(|scope| scope.spawn(|| built(Maintenance::Inline)).join().expect("ok"));
    beside_others(&cache, || {
        thread::scope(|scope| {
            let stranger = scope.spawn(|| in_a_child(|| claim(cache.reset_after_fork() == 0)));
            assert!(stranger.join().expect("no panic"));
        });
    });
}

const MINUTE: Duration = Duration::from_secs(60);

fn timed() -> (Tested, ManualClock) {
    let (clock, manual) = Clock::manual();
    (Cache::builder().capacity(100).clock(clock).build().expect("sound"), manual)
}

/// Runs `body` while a load of another thread is under way.
fn beside_a_load(cache: &Tested, body: impl FnOnce()) {
    let (ready, over) = (&Barrier::new(2), &Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(move || {
            cache.get_or_load(1, |_| {
                ready.wait();
                over.wait();
                1
            })
        });
        ready.wait();
        let done = catch_unwind(AssertUnwindSafe(body));
        over.wait();
        done.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// For how many seconds the oldest load has been running, if that is too long.
fn load_age(cache: &Tested) -> Option<f64> {
    cache.health(&Thresholds::default()).reason(Figure::LoadAge).map(|reason| reason.value)
}

fn under_way(cache: &Tested) -> u64 {
    let stats = cache.stats();
    stats.loads_started - stats.loads_succeeded - stats.loads_failed
}

/// A load of a thread that is not there does not end, and is no reason to worry.
#[test]
fn a_child_inherits_no_loads() {
    let (cache, manual) = timed();
    beside_a_load(&cache, || {
        manual.advance(MINUTE);
        assert_eq!((load_age(&cache), under_way(&cache)), (Some(60.0), 1));
        assert!(in_a_child(|| {
            claim(load_age(&cache) == Some(60.0) && under_way(&cache) == 1);
            claim(cache.reset_after_fork() == 1);
            claim(load_age(&cache).is_none() && under_way(&cache) == 0);
            claim(cache.stats().loads_failed == 1);
            // Its own are judged as ever, whichever place they get.
            let loaded = cache.get_or_load(2, |_| {
                manual.advance(MINUTE / 2 + MINUTE / 60);
                claim(load_age(&cache) == Some(31.0) && under_way(&cache) == 1);
                claim(cache.reset_after_fork() == 0);
                claim(load_age(&cache) == Some(31.0) && under_way(&cache) == 1);
                2
            });
            claim(loaded == 2 && load_age(&cache).is_none() && under_way(&cache) == 0);
        }));
        // The parent is not touched.
        cache.reset_after_fork();
        assert_eq!((load_age(&cache), under_way(&cache)), (Some(60.0), 1));
    });
    assert_eq!((load_age(&cache), under_way(&cache)), (None, 0));
}

/// The thread that called `fork` goes on with its loads.
#[test]
fn a_child_keeps_its_own_loads() {
    let (cache, manual) = timed();
    beside_a_load(&cache, || {
        manual.advance(MINUTE);
        let loaded = cache.get_or_load(2, |_| {
            let in_child = in_a_child(|| {
                manual.advance(MINUTE);
                claim(cache.reset_after_fork() == 1);
                claim(load_age(&cache) == Some(60.0) && under_way(&cache) == 1);
            });
            assert!(in_child);
            2
        });
        assert_eq!(loaded, 2);
    });
}

/// A task that another thread began may be carried on in the child: it was given up, and is counted once.
#[cfg(feature = "async")]
#[test]
fn a_task_that_goes_on_in_a_child_is_counted_once() {
    use std::future::{Future, pending, poll_fn};
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Waker};

    let (cache, manual) = timed();
    let arrived = AtomicBool::new(false);
    let value =
        poll_fn(|_| if arrived.load(Ordering::Relaxed) { Poll::Ready(1) } else { Poll::Pending });
    let mut task = pin!(cache.get_or_load_async(1, |_| value));
    let mut poll = || task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    thread::scope(|scope| scope.spawn(|| assert!(poll().is_pending())).join().expect("ok"));
    manual.advance(MINUTE);
    assert!(in_a_child(|| {
        claim(load_age(&cache) == Some(60.0));
        cache.reset_after_fork();
        claim(load_age(&cache).is_none() && under_way(&cache) == 0);
        let mut other = pin!(cache.get_or_load_async(2, |_| pending::<u64>()));
        claim(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        claim(under_way(&cache) == 1);
        arrived.store(true, Ordering::Relaxed);
        claim(poll() == Poll::Ready(1));
        claim(under_way(&cache) == 1 && cache.stats().loads_failed == 1);
        manual.advance(MINUTE);
        claim(load_age(&cache) == Some(60.0));
    }));
}
