//! Samples the cache's usage beside a replay, and moves the progress bar.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::course::Course;
use crate::words::Words;

/// How often the usage is sampled: often enough to see bursts, too seldom to get in the way.
const PERIOD: Duration = Duration::from_millis(1);

/// How often the bar moves.
const BAR_PERIOD: Duration = Duration::from_millis(100);

/// The most that was seen.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Peaks {
    pub(super) charge: u64,
    pub(super) retired: u64,
    pub(super) samples: u64,
}

/// Does the work while a thread of its own watches the cache.
pub(super) fn watched<T>(
    cache: &Words,
    course: &Course,
    bar: &ProgressBar,
    work: impl FnOnce() -> T,
) -> io::Result<(T, Peaks)> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher =
            thread::Builder::new().spawn_scoped(scope, || watch(cache, course, bar, &over))?;
        let ending = End { over: &over, watcher: watcher.thread().clone() };
        let outcome = work();
        drop(ending);
        Ok((outcome, watcher.join().unwrap_or_default()))
    })
}

fn watch(cache: &Words, course: &Course, bar: &ProgressBar, over: &AtomicBool) -> Peaks {
    let mut peaks = Peaks::default();
    let mut bar_moved = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let usage = cache.usage();
        peaks.charge = peaks.charge.max(usage.charged);
        peaks.retired = peaks.retired.max(usage.retired);
        peaks.samples += 1;
        if bar_moved.elapsed() >= BAR_PERIOD {
            bar.set_position(course.dealt());
            bar_moved = Instant::now();
        }
        thread::park_timeout(PERIOD);
    }
    peaks
}

/// Ends the watch when it is dropped: after the work, also when the work panics.
struct End<'a> {
    over: &'a AtomicBool,
    watcher: Thread,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.watcher.unpark();
    }
}
