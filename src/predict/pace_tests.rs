use std::time::Duration;

use super::pace::StepCounts;

const MICROSECOND: Duration = Duration::from_micros(1);

fn work(steps: u64, took: Duration) -> StepCounts {
    StepCounts { reads: steps, steps, took }
}

#[test]
fn a_round_is_followed_by_its_share_of_rest() {
    assert_eq!(work(10_000, 2_000 * MICROSECOND).rest(0.02), 98_000 * MICROSECOND);
    assert_eq!(work(10_000, 2_000 * MICROSECOND).rest(0.5), 5_000 * MICROSECOND);
    assert_eq!(work(10_000, 2_000 * MICROSECOND).rest(1.0), 5_000 * MICROSECOND);
    assert_eq!(work(0, Duration::ZERO).rest(1.0), 20_000 * MICROSECOND, "nothing was read");
}

#[test]
fn steps_are_bounded_whatever_the_clock_says() {
    // The share of ten million steps in a second.
    for (steps, share) in [(10_000, 0.02), (40_000, 0.02), (1_000_000, 0.1)] {
        let rest = work(steps, Duration::ZERO).rest(share);
        let a_second = steps as f64 / rest.as_secs_f64();
        assert!(a_second <= share * 1e7 / (1.0 - share) * 1.001, "{a_second} of {share}");
    }
}

#[test]
fn a_round_that_lost_the_processor_is_not_made_up_for() {
    let second = 1_000_000 * MICROSECOND;
    assert!(work(10, second).rest(0.02) < second / 10);
    assert!(work(u64::MAX, Duration::MAX).rest(f64::MIN_POSITIVE) == Duration::MAX);
}
