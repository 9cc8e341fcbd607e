//! Where threads work for a fixed time, so that all are busy from the first to the last moment.

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "peers")]
use std::thread;
#[cfg(feature = "peers")]
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::failure::Failure;
use crate::team::{self, Shift};

/// Operations between two looks at the bell.
#[cfg(feature = "peers")]
pub(crate) const BATCH: usize = 512;

/// Tells the threads to stop.
#[derive(Debug, Default)]
pub(crate) struct Bell(CachePadded<AtomicBool>);

impl Bell {
    #[inline]
    pub(crate) fn rang(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets threads work until the bell rings. Each looks up after a batch, so that none comes away with
/// nothing, however short the time and however busy the machine.
#[cfg(feature = "peers")]
pub(crate) fn work_for<T: Send>(
    time: Duration,
    threads: usize,
    work: impl Fn(usize, &Bell) -> T + Sync,
) -> Result<Vec<Shift<T>>, Failure> {
    work_beside(threads, work, || thread::sleep(time))
}

/// Lets threads work until `conduct`, on this thread, has ended.
pub(crate) fn work_beside<T: Send>(
    threads: usize,
    work: impl Fn(usize, &Bell) -> T + Sync,
    conduct: impl FnOnce(),
) -> Result<Vec<Shift<T>>, Failure> {
    let bell = Bell::default();
    let ring = || {
        conduct();
        bell.0.store(true, Ordering::Relaxed);
    };
    team::run(threads, |id| work(id, &bell), ring)
        .map_err(Failure::machine("cannot start a thread"))
}

/// Does one batch after the other, from the beginning again after the last, until the bell rings. Returns how many
/// items those were.
#[cfg(feature = "peers")]
#[inline]
pub(crate) fn repeat<T>(items: &[T], bell: &Bell, mut work: impl FnMut(&[T])) -> u64 {
    let mut done = 0;
    for batch in items.chunks_exact(BATCH).cycle() {
        work(batch);
        done += BATCH as u64;
        if bell.rang() {
            break;
        }
    }
    done
}

/// Operations per second of all threads together, in millions.
#[cfg(feature = "peers")]
pub(crate) fn rate<T>(shifts: &[Shift<T>], operations: impl Fn(&T) -> u64) -> f64 {
    let each = |shift: &Shift<T>| {
        operations(&shift.result) as f64 / (shift.ended - shift.began).as_secs_f64()
    };
    shifts.iter().map(each).sum::<f64>() / 1e6
}
