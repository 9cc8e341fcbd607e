use std::time::{Duration, Instant};

use super::{Breaker, BreakerState};

const SECOND: Duration = Duration::from_secs(1);

fn fail(breaker: &Breaker, now: Instant) -> bool {
    breaker.permit(now).expect("a permit").failed(now)
}

#[test]
fn it_opens_after_failures_in_a_row_and_lets_one_through_after_a_while() {
    let (breaker, now) = (Breaker::new(3, SECOND), Instant::now());
    assert!(!fail(&breaker, now) && !fail(&breaker, now));
    breaker.permit(now).expect("a permit").succeeded();
    assert!(!fail(&breaker, now) && !fail(&breaker, now), "they were not in a row");
    assert!(fail(&breaker, now));
    assert_eq!(breaker.state(), BreakerState::Open);
    assert!(breaker.permit(now + SECOND / 2).is_none());

    let probe = breaker.permit(now + SECOND).expect("one is let through");
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.permit(now + SECOND).is_none(), "one, and no more");
    assert!(probe.failed(now + SECOND));
    assert!(breaker.permit(now + SECOND * 3 / 2).is_none(), "open for as long again");

    breaker.permit(now + SECOND * 2).expect("one more").succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_is_dropped_leaves_its_turn_to_the_next() {
    let (breaker, now) = (Breaker::new(1, Duration::ZERO), Instant::now());
    assert!(fail(&breaker, now));
    drop(breaker.permit(now).expect("a probe"));
    assert!(breaker.permit(Instant::now()).is_some());
}

#[test]
fn what_was_sent_before_it_opened_does_not_close_it() {
    let (breaker, now) = (Breaker::new(1, SECOND), Instant::now());
    let slow = breaker.permit(now).expect("a permit");
    assert!(fail(&breaker, now));
    slow.succeeded();
    assert_eq!(breaker.state(), BreakerState::Open);
}
