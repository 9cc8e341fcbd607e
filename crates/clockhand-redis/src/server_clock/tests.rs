use std::time::{Duration, Instant};

use super::ServerClock;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_bound_is_never_above_the_servers_time() {
    let (clock, start) = (ServerClock::default(), Instant::now());
    assert_eq!(clock.least(start), None);
    // The server's time is that of this machine and a million: replies take 0 to 40 ms.
    let server = |at: Duration| 1_000_000 + at.as_micros() as u64;
    for (sent, told, arrived) in [(0, 10, 40), (50, 55, 56), (60, 70, 100), (100, 139, 140)] {
        let (sent, told, arrived) = (sent * MS, told * MS, arrived * MS);
        clock.note(server(told), start + sent, start + arrived);
        let least = clock.least(start + arrived).expect("a bound");
        assert!(least <= server(arrived), "{least}");
    }
    // The best of them is kept: 1 ms late.
    assert_eq!(clock.least(start + 140 * MS), Some(server(139 * MS)));
}

#[test]
fn a_clock_that_was_set_back_is_followed() {
    let (clock, start) = (ServerClock::default(), Instant::now());
    clock.note(5_000_000, start, start);
    // A slow answer says less than the bound at its arrival, and is no step back.
    clock.note(5_001_000, start, start + 20 * MS);
    assert_eq!(clock.least(start + 20 * MS), Some(5_020_000));
    clock.note(4_000_000, start + 30 * MS, start + 31 * MS);
    assert_eq!(clock.least(start + 31 * MS), Some(4_000_000));
}

#[test]
fn a_deadline_is_before_the_caller_is_told() {
    let (clock, start) = (ServerClock::default(), Instant::now());
    assert_eq!(clock.deadline(start, start + 100 * MS), None);
    clock.note(1_000_000, start, start);
    let deadline = clock.deadline(start, start + 100 * MS).expect("a bound");
    assert!(deadline < 1_100_000 && deadline > 1_090_000, "{deadline}");
    assert_eq!(clock.deadline(start + 10 * MS, start), Some(1_010_000));
    clock.forget();
    assert_eq!(clock.least(start), None);
}
