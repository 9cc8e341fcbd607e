use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::coarse_time::CoarseTime;
use super::ticks::{ClockSample, LONG, PERIOD, Ticks, in_nanos};
use super::{Clock, Deadline, ManualClock, Moment};
use crate::sync::counter;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_lifetime_of_zero_is_over_at_once_and_the_longest_never_is() {
    for now in [Moment::ORIGIN, Moment::at(5), Moment::at(u64::MAX)] {
        assert!(now.after(Duration::ZERO).is_passed(now));
        assert_eq!(now.after(Duration::MAX), Deadline::NEVER);
        assert!(!Deadline::NEVER.is_passed(now));
        assert_eq!(Deadline::NEVER.remaining(now), None);
    }
}

#[test]
fn a_deadline_is_passed_from_its_moment_on() {
    let deadline = Moment::at(10).after(Duration::from_nanos(5));
    assert!(!deadline.is_passed(Moment::at(14)));
    assert!(deadline.is_passed(Moment::at(15)));
    assert_eq!(deadline.remaining(Moment::at(12)), Some(Duration::from_nanos(3)));
    assert_eq!(deadline.remaining(Moment::at(16)), Some(Duration::ZERO));
    assert!(deadline < Deadline::NEVER);
}

#[test]
fn the_last_moments_do_not_wrap() {
    let last = Moment::at(u64::MAX);
    assert_eq!(last.after(SECOND), Deadline::NEVER);
    assert_eq!(Moment::ORIGIN.since(last), Duration::ZERO);
    assert!(!Deadline::NEVER.is_passed(last));
    assert!(Moment::ORIGIN.after(Duration::from_nanos((1 << 63) - 2)).is_passed(last));
}

#[test]
fn words_keep_what_they_were_made_of() {
    let moment = Moment::at(77);
    assert_eq!(Moment::from_word(moment.to_word()), moment);
    for deadline in [moment.after(SECOND), Deadline::NEVER] {
        assert_eq!(Deadline::from_word(deadline.to_word()), deadline);
    }
}

#[test]
fn a_manual_clock_moves_when_told() {
    let (clock, manual) = Clock::manual();
    let other = manual.clone();
    let begin = clock.now();
    manual.advance(SECOND);
    other.advance(2 * SECOND);
    manual.advance(Duration::ZERO);
    assert_eq!(clock.now().since(begin), 3 * SECOND);
    assert_eq!(clock.clone().now(), clock.now());
    assert_eq!(manual.elapsed(), 3 * SECOND);
    drop((manual, other));
    assert_eq!(clock.now().since(begin), 3 * SECOND);
}

#[test]
fn a_manual_clock_stops_at_the_end() {
    let (clock, manual) = Clock::manual();
    let late = clock.now().after(Duration::from_secs(250 * 365 * 24 * 3600));
    for _ in 0..3 {
        manual.advance(Duration::MAX);
    }
    assert_eq!(clock.now(), Moment::at(u64::MAX));
    assert!(late.is_passed(clock.now()));
    assert!(!Deadline::NEVER.is_passed(clock.now()));
    let instant = clock.to_instant(clock.now());
    assert!(instant > Instant::now());
}

#[test]
fn steps_of_several_threads_add_up() {
    let (clock, manual) = Clock::manual();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| manual.advance(Duration::from_nanos(3))));
        }
    });
    assert_eq!(clock.now(), Moment::at(12_000));
}

#[test]
fn instants_are_origin_and_offset() {
    let (clock, manual) = Clock::manual();
    let begin = clock.to_instant(clock.now());
    manual.advance(SECOND);
    assert_eq!(clock.to_instant(clock.now()) - begin, SECOND);
}

#[test]
fn a_precise_clock_follows_the_system() {
    let clock = Clock::precise();
    let (first, begin) = (clock.now(), Instant::now());
    let mut last = first;
    loop {
        // Looked at before the clock: what comes in between makes the clock later.
        let elapsed = begin.elapsed();
        let now = clock.now();
        assert!(now >= last);
        last = now;
        if elapsed >= Duration::from_millis(2) {
            break;
        }
    }
    assert!(last.since(first) >= Duration::from_millis(1));
}

/// A coarse time whose counter counts once a nanosecond, from a thousand on, and which is updated only by the
/// test.
fn coarse_time(resolution: Duration) -> CoarseTime {
    CoarseTime::from(resolution, Instant::now(), Some(1000))
}

const MILLI: u64 = 1_000_000;

#[test]
fn a_time_is_given_until_it_is_as_old_as_the_resolution() {
    let time = coarse_time(Duration::from_millis(1));
    assert_eq!(time.fresh(1000), None, "nobody has asked the system's clock yet");
    assert_eq!(time.set(1000 + 5 * MILLI, 5 * MILLI), Moment::at(5 * MILLI));
    for counter in [5 * MILLI, 5 * MILLI + 1, 6 * MILLI - 1] {
        assert_eq!(time.fresh(1000 + counter), Some(Moment::at(5 * MILLI)));
    }
    // The time is not updated for long: no reader takes it for the present one.
    for counter in [6 * MILLI, 7 * MILLI, 1 << 40, u64::MAX - 1000] {
        assert_eq!(time.fresh(1000 + counter), None);
    }
}

#[test]
fn a_stamp_that_lies_ahead_is_not_young() {
    let time = coarse_time(Duration::from_millis(1));
    time.set(1000 + 5 * MILLI, 5 * MILLI);
    // The counter of another processor, or of another machine to which this one was moved.
    assert_eq!(time.fresh(999 + 5 * MILLI), None);
    assert_eq!(time.fresh(0), None);
    // It goes on from there.
    assert_eq!(time.set(2 * MILLI, 5 * MILLI + 7), Moment::at(5 * MILLI + 7));
    assert_eq!(time.fresh(2 * MILLI), Some(Moment::at(5 * MILLI + 7)));
}

/// A counter that is set back, as after the machine was suspended, seems to have counted nothing rather than very
/// much.
#[test]
fn a_counter_that_is_set_back_makes_no_time_seem_younger() {
    for counter in [0, 7, 999, 1000, 1001, 2 * MILLI] {
        let time = coarse_time(Duration::from_millis(1));
        time.set(1000 + 5 * MILLI, 5 * MILLI);
        time.set(counter, 60 * MILLI);
        assert_eq!(time.fresh(counter + MILLI), None, "set back to {counter}");
    }
}

/// One that is set forward is found out at the second turn.
#[test]
fn a_counter_that_is_set_forward_makes_no_time_seem_younger_for_long() {
    for forward in [10 * MILLI, 1 << 40, 1 << 62] {
        let time = coarse_time(Duration::from_millis(1));
        (5..50).for_each(|milli| _ = time.set(1000 + milli * MILLI, milli * MILLI));
        time.set(forward + 50 * MILLI, 50 * MILLI);
        assert_eq!(time.fresh(forward + 52 * MILLI), None, "older than twice the resolution");
        for milli in [52, 53, 60, 100, 101, 102] {
            time.set(forward + milli * MILLI, milli * MILLI);
            assert_eq!(time.fresh(forward + (milli + 1) * MILLI), None, "{milli}, {forward}");
            assert!(
                time.fresh(forward + milli * MILLI + MILLI / 2).is_some(),
                "{milli}, {forward}"
            );
        }
    }
}

#[test]
fn a_coarse_time_never_goes_back() {
    let time = coarse_time(Duration::from_millis(1));
    time.set(1000 + 5 * MILLI, 5 * MILLI);
    // A thread that asked the system's clock and then slept.
    assert_eq!(time.set(1000 + 4 * MILLI, 4 * MILLI), Moment::at(5 * MILLI));
    assert_eq!(time.fresh(1000 + 4 * MILLI), Some(Moment::at(5 * MILLI)));
    assert_eq!(time.fresh(1000 + 5 * MILLI), None, "its stamp is as old as its reading");
}

#[test]
fn a_reader_always_asks_until_the_counters_rate_is_known() {
    let time = coarse_time(Duration::from_millis(1));
    time.set(1000 + 99_999, 99_999);
    assert_eq!(time.fresh(1000 + 99_999), None);
    time.set(1000 + 100_000, 100_000);
    assert_eq!(time.fresh(1000 + 100_000), Some(Moment::at(100_000)));
}

#[test]
fn a_thread_that_sleeps_between_its_readings_makes_no_time_seem_younger() {
    // The counter at the origin was read late, or the system's clock was.
    for (counter, elapsed) in [(1000 + 3 * MILLI, 5 * MILLI), (1000 + 5 * MILLI, 50 * MILLI)] {
        let time = coarse_time(Duration::from_millis(1));
        time.set(counter, elapsed);
        assert_eq!(time.fresh(counter + MILLI), None);
    }
}

#[test]
fn counters_of_all_rates_are_understood() {
    for rate in [1_u64, 3, 1000] {
        let time = coarse_time(Duration::from_millis(1));
        time.set(1000 + 2 * MILLI * rate, 2 * MILLI);
        assert!(time.fresh(1000 + (3 * MILLI - 1) * rate).is_some());
        assert!(time.fresh(1000 + 3 * MILLI * rate).is_none());
    }
    // Once in ten nanoseconds, and after a hundred years.
    let time = coarse_time(Duration::from_millis(1));
    let century = 100 * 365 * 24 * 3600 * 1000 * MILLI;
    time.set(1000 + century / 10, century);
    assert!(time.fresh(1000 + century / 10 + MILLI / 10 - 1).is_some());
    assert!(time.fresh(1000 + century / 10 + MILLI / 10).is_none());
}

#[test]
fn a_machine_without_a_counter_asks_at_every_reading() {
    let time = CoarseTime::from(SECOND, Instant::now(), None);
    assert_eq!(time.set(5, 5 * MILLI), Moment::at(5 * MILLI));
    for counter in [0, 5, 6, u64::MAX] {
        assert_eq!(time.fresh(counter), None);
    }
}

#[test]
fn the_longest_resolution_does_not_overflow() {
    let time = coarse_time(Duration::MAX);
    time.set(u64::MAX, 1 << 62);
    assert!(time.fresh(u64::MAX).is_some());
}

#[test]
fn a_coarse_clock_is_never_older_than_its_resolution() {
    let resolution = Duration::from_millis(5);
    let clock = Clock::coarse(resolution);
    let begin = Instant::now();
    while begin.elapsed() < 10 * resolution {
        // Looked at before the clock: what comes in between makes the clock later.
        let asked = Instant::now();
        let now = clock.to_instant(clock.now());
        // A hundredth for the counter's rate, which is measured.
        assert!(now + resolution * 101 / 100 >= asked, "{:?} old", asked - now);
    }
}

#[test]
fn a_coarse_clock_never_goes_back_nor_ahead() {
    let clock = Clock::coarse(Duration::from_micros(50));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = clock.now();
                for _ in 0..20_000 {
                    let now = clock.now();
                    assert!(now >= last && clock.to_instant(now) <= Instant::now());
                    last = now;
                }
            });
        }
    });
}

#[test]
fn coarse_clocks_of_one_resolution_are_one_and_go_with_the_last() {
    let resolution = Duration::from_micros(777);
    let own = |clock: &Clock| Arc::downgrade(clock.coarse_time().expect("a coarse clock has one"));
    let (one, other) = (Clock::coarse(resolution), Clock::coarse(resolution));
    let time = own(&one);
    assert!(time.ptr_eq(&own(&other)) && time.ptr_eq(&own(&one.clone())));
    assert!(!time.ptr_eq(&own(&Clock::coarse(resolution * 2))), "two resolutions at once");
    drop(one);
    assert_eq!(time.strong_count(), 1);
    drop(other);
    assert_eq!(time.strong_count(), 0);
    for _ in 0..1000 {
        let again = Clock::coarse(resolution);
        assert!(!time.ptr_eq(&own(&again)));
        again.now();
    }
}

#[test]
fn clocks_are_made_and_dropped_by_many_threads() {
    thread::scope(|scope| {
        for nth in 0..4 {
            scope.spawn(move || {
                for round in 0..500 {
                    let clock = Clock::coarse(Duration::from_micros(900 + (nth + round) % 3));
                    let first = clock.now();
                    assert!(clock.now() >= first);
                }
            });
        }
    });
}

#[test]
fn resolutions_are_told() {
    for resolution in [Duration::ZERO, SECOND, Duration::MAX] {
        assert_eq!(Clock::coarse(resolution).resolution(), Some(resolution));
    }
    assert_eq!(Clock::precise().resolution(), None);
    assert_eq!(Clock::manual().0.resolution(), None);
}

#[test]
fn clocks_can_be_shared() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    shared::<Clock>();
    shared::<ManualClock>();
}

// Ticks.

/// Three counts for a nanosecond, and then four.
fn at(nanos: u64, rate: u64) -> ClockSample {
    ClockSample { counted: nanos * rate, nanos }
}

#[test]
fn the_rate_is_that_of_the_last_two_periods() {
    let ticks = Ticks::starting(0);
    assert_eq!(in_nanos(3_000, ticks.measured_at(at(1_000, 3), 3_000)), 999);
    assert_eq!(ticks.rate.get(), 0, "too short to rely on");
    ticks.measured_at(at(LONG, 3), 10);
    assert_eq!(in_nanos(3_000_000, ticks.rate.get()), 999_999);
    // It counts faster from now on: after two periods nothing is left of what was before.
    let mut now = at(LONG, 3);
    for _ in 0..3 {
        now = ClockSample { counted: now.counted + 4 * PERIOD, nanos: now.nanos + PERIOD };
        ticks.measured_at(now, 10);
    }
    assert_eq!(in_nanos(4_000_000, ticks.rate.get()), 1_000_000);
}

#[test]
fn what_takes_longer_than_that_is_measured_over_all_of_it() {
    let ticks = Ticks::starting(0);
    for period in 1..=4 {
        ticks.measured_at(at(PERIOD * period, 3), 10);
    }
    let now = ClockSample { counted: PERIOD * 20, nanos: PERIOD * 10 };
    let all = in_nanos(PERIOD * 19, ticks.measured_at(now, PERIOD * 19));
    assert_eq!(all, PERIOD / 2 * 19, "as long as the system's clock says");
}

#[test]
fn a_wait_is_as_long_as_it_takes() {
    let Some(ticks) = Ticks::of_process() else { return };
    for millis in [1, 20, 1] {
        let (wait, clock, begun) = (Duration::from_millis(millis), Instant::now(), counter());
        std::thread::sleep(wait);
        let took = Duration::from_nanos(ticks.since(begun));
        let most = clock.elapsed() + Duration::from_micros(100);
        assert!((wait..=most).contains(&took), "{took:?} of {most:?}");
    }
}
