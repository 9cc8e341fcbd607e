//! P5: each key is linearizable. Threads log what they did and what they saw; a checker looks for
//! an answer that no order of the events explains.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support;
use crate::support::history::Action::{Put, PutIfAbsent, Read, Swap, Take};
use crate::support::history::{Action, Event, Misses, Stamps, explain, linearizable};
use crate::support::{Constant, Random, size, together};
use clockhand::{Cache, Compute, Computed};

/// What one thread did, to which key.
type Log = Vec<(u64, Event)>;

fn by_key(logs: impl IntoIterator<Item = Log>) -> HashMap<u64, Vec<Event>> {
    let mut histories: HashMap<u64, Vec<Event>> = HashMap::new();
    for (key, event) in logs.into_iter().flatten() {
        histories.entry(key).or_default().push(event);
    }
    histories
}

fn swap<S>(cache: &Cache<u64, u64, S>, key: u64, value: u64) -> Action
where
    S: BuildHasher,
{
    let mut seen = None;
    let computed = cache.compute(key, |old| {
        seen = old.copied();
        Compute::Put(value)
    });
    match computed {
        // Where there was no room, what was there was only looked at.
        Computed::Refused { .. } => Read(seen),
        _ => Swap { seen, value },
    }
}

fn take_if_there<S: BuildHasher>(cache: &Cache<u64, u64, S>, key: u64) -> Action {
    let mut seen = None;
    let removed = cache.remove_if(&key, |value| {
        seen = Some(*value);
        true
    });
    // What was asked about last may have been removed by somebody else.
    assert!(!removed || seen.is_some(), "removed without asking");
    Take(seen.filter(|_| removed))
}

/// One random operation with a value that nobody else writes.
fn act<S: BuildHasher>(
    cache: &Cache<u64, u64, S>,
    random: &mut Random,
    key: u64,
    value: u64,
) -> Action {
    match random.below(12) {
        0 | 1 => {
            cache.insert(key, value);
            Put(value)
        }
        2 => PutIfAbsent { value, done: cache.insert_if_absent(key, value).is_ok() },
        3 | 4 => swap(cache, key, value),
        5 => Take(cache.remove(&key)),
        6 => take_if_there(cache, key),
        7 => Read(cache.peek(&key)),
        8 => Read(cache.pin().get(&key).copied()),
        9 => Read(cache.read(&key, |value| *value)),
        _ => Read(cache.get(&key)),
    }
}

/// A race that is run over and over, each time on fresh keys.
struct Race {
    threads: usize,
    /// Keys of one round, and what each thread does in it.
    keys: u64,
    steps: usize,
    rounds: usize,
}

impl Race {
    /// The histories of all keys.
    fn run<S>(&self, cache: &Cache<u64, u64, S>) -> HashMap<u64, Vec<Event>>
    where
        S: BuildHasher + Send + Sync,
    {
        let (stamps, arrived) = (Stamps::default(), AtomicUsize::new(0));
        by_key(together(self.threads, |nth| {
            let mut random = Random::new(nth as u64);
            let mut log = Vec::new();
            for round in 0..self.rounds {
                self.meet(&arrived, round);
                for step in 0..self.steps {
                    let key = round as u64 * self.keys + random.below(self.keys);
                    let value = (nth as u64) << 56 | (round * self.steps + step) as u64;
                    let event = stamps.record(|| act(cache, &mut random, key, value));
                    log.push((key, event));
                }
            }
            log
        }))
    }

    /// Waits until all threads have come to this round, so that they race.
    fn meet(&self, arrived: &AtomicUsize, round: usize) {
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < (round + 1) * self.threads {
            std::thread::yield_now();
        }
    }

    fn assert_linearizable<S>(&self, cache: &Cache<u64, u64, S>, misses: Misses)
    where
        S: BuildHasher + Send + Sync + 'static,
    {
        for (key, events) in self.run(cache) {
            assert!(linearizable(&events, misses), "key {key}: {events:#?}");
        }
        support::validate(cache);
    }
}

#[test]
fn short_histories_are_linearizable() {
    let race = Race { threads: 3, keys: 2, steps: 8, rounds: size(1_500, 200_000) };
    let cache = Cache::builder().capacity(1 << 40).expected_entries(1 << 12).build();
    race.assert_linearizable(&cache.expect("sound"), Misses::Count);
}

#[test]
fn short_histories_are_linearizable_while_the_table_grows() {
    let race = Race { threads: 4, keys: 6, steps: 12, rounds: size(1_000, 100_000) };
    let cache = Cache::builder().capacity(1 << 40).expected_entries(1).build();
    race.assert_linearizable(&cache.expect("sound"), Misses::Count);
}

#[test]
fn short_histories_are_linearizable_in_one_bucket() {
    let race = Race { threads: 3, keys: 12, steps: 40, rounds: size(40, 400) };
    for _ in 0..size(4, 100) {
        let cache = Cache::builder().capacity(1 << 40).hasher(Constant).build().expect("sound");
        race.assert_linearizable(&cache, Misses::Count);
    }
}

#[test]
fn short_histories_are_linearizable_while_entries_are_evicted() {
    let race = Race { threads: 4, keys: 4, steps: 10, rounds: size(1_000, 100_000) };
    let cache = Cache::builder().capacity(6).retired_capacity(100).build().expect("sound");
    // A refused insert removes what was there, and so does the eviction that the checker allows.
    for (key, events) in race.run(&cache) {
        let events: Vec<_> = events.into_iter().filter(is_certain).collect();
        assert!(linearizable(&events, Misses::Free), "key {key}: {events:#?}");
    }
    support::validate(&cache);
}

/// Whether an event tells what it did even where the cache may refuse.
fn is_certain(event: &Event) -> bool {
    !matches!(event.action, PutIfAbsent { done: false, .. })
}

/// Few keys, many events.
fn long_histories(capacity: u64, misses: Misses) {
    let cache = Cache::builder().capacity(capacity).retired_capacity(1 << 40).expected_entries(1);
    let cache = cache.build().expect("sound");
    let stamps = Stamps::default();
    let logs = together(4, |nth| {
        let mut random = Random::new(nth as u64);
        (0..size(10_000, 1_000_000) as u64)
            .map(|step| {
                let key = random.below(12);
                let value = (nth as u64) << 56 | step;
                (key, stamps.record(|| act(&cache, &mut random, key, value)))
            })
            .collect()
    });
    for (key, events) in by_key(logs) {
        assert_eq!(explain(&events, misses), None, "key {key}");
    }
    support::validate(&cache);
}

#[test]
fn every_read_of_a_long_history_returns_a_possible_value() {
    long_histories(1 << 40, Misses::Count);
}

#[test]
fn every_read_returns_a_possible_value_while_entries_are_evicted() {
    long_histories(5, Misses::Free);
}

// The checkers themselves: what they must let pass, and what they must not.

fn event(start: u64, end: u64, action: Action) -> Event {
    Event { start, end, action }
}

fn assert_right(events: &[Event], misses: Misses) {
    assert!(linearizable(events, misses), "{events:#?}");
    assert_eq!(explain(events, misses), None);
}

fn assert_wrong(events: &[Event], misses: Misses) {
    assert!(!linearizable(events, misses), "{events:#?}");
    assert!(explain(events, misses).is_some(), "{events:#?}");
}

#[test]
fn the_checkers_accept_what_a_register_does() {
    assert_right(&[], Misses::Count);
    assert_right(
        &[
            event(0, 1, Read(None)),
            event(2, 3, Put(1)),
            event(4, 5, Read(Some(1))),
            event(6, 7, Swap { seen: Some(1), value: 2 }),
            event(8, 9, PutIfAbsent { value: 3, done: false }),
            event(10, 11, Take(Some(2))),
            event(12, 13, Take(None)),
            event(14, 15, PutIfAbsent { value: 4, done: true }),
            event(16, 17, Read(Some(4))),
        ],
        Misses::Count,
    );
}

#[test]
fn the_checkers_accept_either_side_of_an_overlap() {
    let write = [event(0, 1, Put(1)), event(2, 9, Put(2))];
    for seen in [1, 2] {
        assert_right(&[write[0], write[1], event(3, 4, Read(Some(seen)))], Misses::Count);
    }
    assert_right(&[write[0], event(2, 9, Take(Some(1))), event(3, 4, Read(None))], Misses::Count);
    assert_right(&[event(0, 9, Put(1)), event(3, 4, Read(None))], Misses::Count);
}

#[test]
fn the_checkers_reject_a_stale_read() {
    for misses in [Misses::Count, Misses::Free] {
        let writes = [event(0, 1, Put(1)), event(2, 3, Put(2))];
        assert_wrong(&[writes[0], writes[1], event(4, 5, Read(Some(1)))], misses);
        let removed = event(2, 3, Take(Some(1)));
        assert_wrong(&[writes[0], removed, event(4, 5, Read(Some(1)))], misses);
    }
}

#[test]
fn the_checkers_reject_a_read_from_the_future_or_from_nowhere() {
    for misses in [Misses::Count, Misses::Free] {
        assert_wrong(&[event(0, 1, Read(Some(1))), event(2, 3, Put(1))], misses);
        assert_wrong(&[event(0, 1, Put(1)), event(2, 3, Read(Some(7)))], misses);
    }
}

#[test]
fn the_checkers_reject_a_miss_without_a_removal() {
    let events = [event(0, 1, Put(1)), event(2, 3, Read(None))];
    assert_wrong(&events, Misses::Count);
    assert_right(&events, Misses::Free);
    let early = [event(0, 1, Put(1)), event(2, 3, Take(Some(1))), event(4, 5, Put(2))];
    assert_wrong(&[early[0], early[1], early[2], event(6, 7, Read(None))], Misses::Count);
}

#[test]
fn the_search_rejects_a_lost_update() {
    let events = [
        event(0, 1, Put(1)),
        event(2, 5, Swap { seen: Some(1), value: 2 }),
        event(3, 4, Swap { seen: Some(1), value: 3 }),
    ];
    assert!(!linearizable(&events, Misses::Count));
    assert!(!linearizable(&events, Misses::Free));
}

#[test]
fn the_search_rejects_two_first_ones_and_two_takers() {
    let both = |action: fn(u64) -> Action| [event(0, 3, action(1)), event(1, 2, action(2))];
    let absent = both(|value| PutIfAbsent { value, done: true });
    assert!(!linearizable(&absent, Misses::Count));
    let taken = both(|_| Take(Some(9)));
    assert!(!linearizable(&[event(0, 0, Put(9)), taken[0], taken[1]], Misses::Free));
}

#[test]
fn the_search_rejects_reads_in_the_wrong_order() {
    let events = [event(0, 9, Put(1)), event(1, 2, Read(Some(1))), event(3, 4, Read(None))];
    assert!(!linearizable(&events, Misses::Count));
    let events = [
        event(0, 1, Put(1)),
        event(2, 9, Put(2)),
        event(3, 4, Read(Some(2))),
        event(5, 6, Read(Some(1))),
    ];
    assert!(!linearizable(&events, Misses::Free));
}
