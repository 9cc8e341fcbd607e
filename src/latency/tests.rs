use std::time::Duration;

use super::sampling::{Sampling, Timings};
use super::{Latency, Operation};

fn recorded(nanos: impl IntoIterator<Item = u64>) -> Latency {
    let timings = Timings::default();
    let record = |nanos| timings.record(Operation::Get, Duration::from_nanos(nanos));
    nanos.into_iter().for_each(record);
    Latency::of(Operation::Get, [&timings].into_iter())
}

/// Whether a time is told to within a thirty-second part, and not too short.
fn is_told(told: Duration, nanos: u64) -> bool {
    let nanos = Duration::from_nanos(nanos);
    told >= nanos && told <= nanos + nanos / 32
}

#[test]
fn quantiles_are_those_of_what_was_recorded() {
    let latency = recorded((1..=10_000).map(|n| 100 * n));
    assert_eq!(latency.count(), 10_000);
    let quantiles = [
        (latency.p50(), 500_000),
        (latency.p95(), 950_000),
        (latency.p99(), 990_000),
        (latency.p999(), 999_000),
        (latency.max(), 1_000_000),
        (latency.quantile(0.0), 100),
        (latency.quantile(7.0), 1_000_000),
        (latency.quantile(f64::NAN), 100),
    ];
    for (told, nanos) in quantiles {
        assert!(is_told(told, nanos), "{told:?} for {nanos}");
    }
    let mean = latency.mean().as_secs_f64() / 500_050e-9;
    assert!((mean - 1.0).abs() < 0.01, "{mean}");
    assert_eq!(latency.buckets().map(|(_, count)| count).sum::<u64>(), 10_000);
    assert!(latency.buckets().is_sorted_by(|a, b| a.0 < b.0));
}

#[test]
fn nothing_and_too_much() {
    let nothing = recorded([]);
    assert_eq!((nothing.count(), nothing.max(), nothing.p99()), Default::default());
    assert_eq!((nothing.mean(), nothing.sum()), Default::default());
    let hour = recorded([3_600_000_000_000]);
    assert_eq!(hour.max(), Duration::from_nanos((1 << 40) - 1));
    let longest = recorded([u64::MAX, 0]);
    assert_eq!((longest.count(), longest.quantile(0.5)), (2, Duration::ZERO));
}

#[test]
fn looks_are_subtracted_and_participants_are_added() {
    let (one, other) = (Timings::default(), Timings::default());
    let look = || Latency::of(Operation::Load, [&one, &other].into_iter());
    one.record(Operation::Load, Duration::from_millis(1));
    other.record(Operation::Load, Duration::from_millis(1));
    other.record(Operation::Insert, Duration::from_millis(1));
    let before = look();
    assert_eq!(before.count(), 2);
    other.record(Operation::Load, Duration::from_millis(9));
    let latency = look().since(&before);
    assert_eq!(latency.count(), 1);
    assert!(is_told(latency.p50(), 9_000_000));
    assert_eq!(before.since(&look()).count(), 0);
}

#[test]
fn one_of_so_many_is_timed_whatever_the_rhythm() {
    let timings = Timings::default();
    let sampling = Sampling::one_of(64);
    let due: Vec<bool> = (0..640_000).map(|_| sampling.is_due(&timings, Operation::Get)).collect();
    let all = due.iter().filter(|&&due| due).count();
    assert!((9_800..10_200).contains(&all), "{all} of 640,000");
    for phase in 0..64 {
        let own = due.iter().skip(phase).step_by(64).filter(|&&due| due).count();
        assert!((80..250).contains(&own), "{own} of 10,000 in phase {phase}");
    }
    // Inserts have a countdown of their own.
    let insert = Timings::default();
    assert!(
        sampling.is_due(&insert, Operation::Get) && sampling.is_due(&insert, Operation::Insert)
    );
}

#[test]
fn every_one_is_timed_or_none() {
    let timings = Timings::default();
    for sampling in [Sampling::one_of(1), Sampling::one_of(0)] {
        assert!((0..100).all(|_| sampling.is_due(&timings, Operation::Get)));
    }
    assert!(!Sampling::OFF.is_on() && !Sampling::OFF.is_due(&timings, Operation::Get));
}
