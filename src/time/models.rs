//! Models of the coarse clock. Run with `--cfg clockhand_loom`. The counter counts once in a nanosecond.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Moment;
use super::dial::Dial;

const SETTLED: u64 = 1_000_000;

/// A dial that shows `SETTLED`, of a clock that may be ten nanoseconds old.
fn dial() -> Arc<Dial> {
    let dial = Dial::from(Duration::from_nanos(10), Instant::now(), Some(0));
    dial.set(SETTLED, SETTLED);
    Arc::new(dial)
}

/// What a reader gets who asks when so much time has passed.
fn read(dial: &Dial, now: u64) -> Moment {
    dial.young(now).unwrap_or_else(|| dial.set(now, now))
}

/// C2: whoever finds the stamp of a thread that turns the dial finds its time, too.
#[test]
fn a_time_is_as_young_as_its_stamp() {
    loom::model(|| {
        let dial = dial();
        let other = Arc::clone(&dial);
        let turner = loom::thread::spawn(move || other.set(SETTLED + 15, SETTLED + 15));
        let now = read(&dial, SETTLED + 20);
        assert!(now >= Moment::at(SETTLED + 10), "older than the resolution");
        turner.join().unwrap();
    });
}

/// C1, C3: two threads turn the dial, the later one first perhaps; what one of them was given is not
/// younger than what is read after it.
#[test]
fn no_time_is_taken_back() {
    loom::model(|| {
        let dial = dial();
        let other = Arc::clone(&dial);
        let other = loom::thread::spawn(move || read(&other, SETTLED + 15));
        let first = read(&dial, SETTLED + 20);
        let second = read(&dial, SETTLED + 20);
        assert!(first <= second && first >= Moment::at(SETTLED + 10));
        let seen = other.join().unwrap();
        assert!(seen >= Moment::at(SETTLED + 5) && seen <= read(&dial, SETTLED + 20));
    });
}
