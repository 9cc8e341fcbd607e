//! A child that `fork` made goes on with the caches of its parent: after `reset_after_fork`, nobody stands in
//! its way who is not there.

#![cfg(unix)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::thread;

use clockhand::{Cache, Maintenance};

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

/// Inserts more than the retired capacity holds; how many were refused.
fn refused(cache: &Tested) -> u64 {
    let before = cache.stats().refusals;
    (1_000..2_000).for_each(|key| cache.insert(key, key));
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
        let (guard, read) = (cache.pin(), reader.get(&2).copied());
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
                claim(lent == Some(&1) && reader.get(&2).copied() == read);
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
