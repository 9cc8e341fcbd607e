//! Gates by themselves: when they stop, and when they let loads through again.

use std::time::Duration;

use super::gate::{Gates, ModelState};

const START: Duration = Duration::ZERO;

/// Gates of a model that was right for long.
fn trusted() -> Gates {
    let mut gates = Gates::new(0.5);
    for _ in 0..600 {
        outcome(&mut gates, true);
    }
    assert_eq!(gates.state(START), ModelState::Active);
    gates
}

fn outcome(gates: &mut Gates, right: bool) {
    gates.learn_wanted(0, right);
    gates.learn(0, right, START);
}

/// Wrong loads until it is stopped; how many.
fn stop(gates: &mut Gates) -> u32 {
    let mut wrong = 0;
    while gates.state(START) != ModelState::Stopped {
        outcome(gates, false);
        wrong += 1;
        assert!(wrong < 10_000, "it does not stop");
    }
    wrong
}

/// Outcomes of wanted loads, all right, until it is stopped no more; how many.
fn recover(gates: &mut Gates) -> u32 {
    let mut wanted = 0;
    while gates.state(START) == ModelState::Stopped {
        gates.learn_wanted(0, true);
        wanted += 1;
        assert!(wanted < 10_000, "it does not recover");
    }
    wanted
}

/// A trial in which all loads are right, or wrong.
fn try_again(gates: &mut Gates, right: bool) {
    assert_eq!(gates.state(START), ModelState::Trying);
    let loads = (0..128).filter(|_| gates.admit(0, START)).count();
    assert_eq!(loads, 16, "one in eight");
    (0..loads).for_each(|_| outcome(gates, right));
}

#[test]
fn a_burst_of_wrong_loads_does_not_stop_a_model_that_was_right() {
    assert!((100..400).contains(&stop(&mut trusted())));
}

#[test]
fn a_model_is_tried_again_when_what_it_wants_is_right_whatever_the_time() {
    let mut gates = trusted();
    stop(&mut gates);
    assert!(!gates.admit(0, START));
    assert_eq!(recover(&mut gates), 64);
    try_again(&mut gates, true);
    assert_eq!(gates.state(START), ModelState::Active);
}

#[test]
fn each_trial_that_fails_makes_the_next_stop_longer() {
    let mut gates = trusted();
    stop(&mut gates);
    for wanted in [64, 128, 256] {
        assert_eq!(recover(&mut gates), wanted);
        try_again(&mut gates, false);
        assert_eq!(gates.state(START), ModelState::Stopped);
    }
    // By time, too.
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    assert_eq!(gates.state(minutes(7)), ModelState::Stopped);
    assert_eq!(gates.state(minutes(8)), ModelState::Trying);
}
