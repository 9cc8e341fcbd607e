//! Models of the coarse clock. Run with `--cfg clockhand_loom`. The counter counts once in a nanosecond.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Moment;
use super::coarse_time::CoarseTime;

const SETTLED: u64 = 1_000_000;

/// A coarse time of `SETTLED`, with a resolution of ten nanoseconds.
fn coarse_time() -> Arc<CoarseTime> {
    let time = CoarseTime::from(Duration::from_nanos(10), Instant::now(), Some(0));
    time.set(SETTLED, SETTLED);
    Arc::new(time)
}

/// What a reader gets that asks at `now`.
fn read(time: &CoarseTime, now: u64) -> Moment {
    time.fresh(now).unwrap_or_else(|| time.set(now, now))
}

/// C2: a thread that finds the stamp of an update finds its time as well.
#[test]
fn a_time_is_as_fresh_as_its_stamp() {
    loom::model(|| {
        let time = coarse_time();
        let other = Arc::clone(&time);
        let turner = loom::thread::spawn(move || other.set(SETTLED + 15, SETTLED + 15));
        let now = read(&time, SETTLED + 20);
        assert!(now >= Moment::at(SETTLED + 10), "older than the resolution");
        turner.join().unwrap();
    });
}

/// C1, C3: two threads update the time, the later one first perhaps; what one of them was given is not
/// younger than what is read after it.
#[test]
fn no_time_is_taken_back() {
    loom::model(|| {
        let time = coarse_time();
        let other = Arc::clone(&time);
        let other = loom::thread::spawn(move || read(&other, SETTLED + 15));
        let first = read(&time, SETTLED + 20);
        let second = read(&time, SETTLED + 20);
        assert!(first <= second && first >= Moment::at(SETTLED + 10));
        let seen = other.join().unwrap();
        assert!(seen >= Moment::at(SETTLED + 5) && seen <= read(&time, SETTLED + 20));
    });
}
