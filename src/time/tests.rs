use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Clock, Deadline, ManualClock, Moment};

const SECOND: Duration = Duration::from_secs(1);

/// Waits for what another thread is about to do, without a length of time that must be right.
fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < 60 * SECOND {
        if holds() {
            return true;
        }
        thread::yield_now();
    }
    false
}

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
    assert!(Moment::ORIGIN.after(Duration::from_nanos(u64::MAX - 1)).is_passed(last));
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
    let (clock, hand) = Clock::manual();
    let other = hand.clone();
    let begin = clock.now();
    hand.advance(SECOND);
    other.advance(2 * SECOND);
    hand.advance(Duration::ZERO);
    assert_eq!(clock.now().since(begin), 3 * SECOND);
    assert_eq!(clock.clone().now(), clock.now());
    assert_eq!(hand.elapsed(), 3 * SECOND);
    drop((hand, other));
    assert_eq!(clock.now().since(begin), 3 * SECOND);
}

#[test]
fn a_manual_clock_stops_at_the_end() {
    let (clock, hand) = Clock::manual();
    let late = clock.now().after(Duration::from_secs(500 * 365 * 24 * 3600));
    for _ in 0..3 {
        hand.advance(Duration::MAX);
    }
    assert_eq!(clock.now(), Moment::at(u64::MAX));
    assert!(late.is_passed(clock.now()));
    assert!(!Deadline::NEVER.is_passed(clock.now()));
    let instant = clock.to_instant(clock.now());
    assert!(instant > Instant::now());
}

#[test]
fn steps_of_several_threads_add_up() {
    let (clock, hand) = Clock::manual();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| hand.advance(Duration::from_nanos(3))));
        }
    });
    assert_eq!(clock.now(), Moment::at(12_000));
}

#[test]
fn instants_are_origin_and_offset() {
    let (clock, hand) = Clock::manual();
    let begin = clock.to_instant(clock.now());
    hand.advance(SECOND);
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
    assert!(clock.start().is_ok());
}

#[test]
fn a_coarse_clock_stands_still_until_it_is_started() {
    let clock = Clock::coarse(Duration::from_micros(100));
    assert_eq!(clock.now(), Moment::ORIGIN);
    clock.start().expect("a thread can be started");
    let started = clock.now();
    assert!(started > Moment::ORIGIN);
    assert!(eventually(|| clock.now() > started));
    assert!(clock.to_instant(clock.now()) <= Instant::now());
}

#[test]
fn a_coarse_clock_never_goes_back_nor_ahead() {
    let clock = Clock::coarse(Duration::from_micros(50));
    clock.start().expect("a thread can be started");
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
fn the_thread_is_started_once_and_ends_with_the_last_clone() {
    // A tick would never come, so only the end of the clock can wake the thread.
    let clock = Clock::coarse(Duration::MAX);
    let dial = Arc::downgrade(clock.dial().expect("a coarse clock has one"));
    let clones = [clock.clone(), clock.clone()];
    assert_eq!(dial.strong_count(), 3);
    clones.iter().for_each(|clone| clone.start().expect("a thread can be started"));
    assert_eq!(dial.strong_count(), 4, "one thread for all clones");
    drop(clock);
    drop(clones);
    assert!(eventually(|| dial.strong_count() == 0), "the thread is still there");
}

#[test]
#[cfg(target_os = "linux")]
fn the_thread_has_a_name() {
    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").expect("there are tasks");
        let names = tasks.filter_map(|task| std::fs::read(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name == b"clockhand-clock\n").count()
    }
    let clock = Clock::coarse(Duration::from_millis(1));
    clock.start().expect("a thread can be started");
    assert!(eventually(|| threads() > 0));
}

#[test]
fn a_resolution_of_zero_is_told_and_not_started() {
    let clock = Clock::coarse(Duration::ZERO);
    assert_eq!(clock.resolution(), Some(Duration::ZERO));
    assert!(clock.start().is_err());
    assert_eq!(Clock::coarse(SECOND).resolution(), Some(SECOND));
    assert_eq!(Clock::precise().resolution(), None);
    assert_eq!(Clock::manual().0.resolution(), None);
}

#[test]
fn clocks_can_be_shared() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
    shared::<Clock>();
    shared::<ManualClock>();
}
