//! Running threads against each other, without sleeping.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Runs `body` on so many threads that start at the same time; their results in order.
pub(crate) fn together<R: Send>(threads: usize, body: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let (barrier, body) = (&Barrier::new(threads), &body);
    thread::scope(|scope| {
        let start = |nth| {
            scope.spawn(move || {
                barrier.wait();
                body(nth)
            })
        };
        let running: Vec<_> = (0..threads).map(start).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread panicked")).collect()
    })
}

/// Runs `body` while another thread calls `check` again and again, and once more afterwards.
pub(crate) fn watched<R>(check: impl Fn() + Send + Sync, body: impl FnOnce() -> R) -> R {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = Stop(&over);
        let watcher = scope.spawn(|| {
            loop {
                let last = over.load(Ordering::Acquire);
                check();
                if last {
                    return;
                }
            }
        });
        let result = body();
        drop(stop);
        watcher.join().expect("the watcher saw something");
        result
    })
}

/// Waits for what another thread is about to do, without a length of time that must be right.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if holds() {
            return true;
        }
        thread::yield_now();
    }
    false
}

/// Runs `body` on a thread of its own and fails if it does not come to an end: for calls that hung
/// once. The thread stays behind then.
pub(crate) fn in_time<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, result) = mpsc::channel();
    let thread = thread::spawn(move || done.send(body()));
    match result.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it does not come to an end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            let panicked = thread.join().expect_err("it sends unless it panics");
            std::panic::resume_unwind(panicked)
        }
    }
}

/// Runs `body`, whose panic is wanted; whether there was one.
pub(crate) fn oblivious(body: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_err()
}
