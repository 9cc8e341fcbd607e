use std::time::Duration;

use super::agenda::Agenda;
use super::breaker::{Breaker, BreakerState};
use super::budget::{Budget, TokenBucket};
use super::calendar::{Calendar, DayProfile};
use super::candidate::{Candidate, CandidateQueue, Model};
use super::features::CLASSES;
use super::gate::{Gates, ModelState};
use super::history::History;
use super::inputs::INPUTS;
use super::keys::{KeyTable, Known};
use super::regression::Regression;
use super::trust::{Cell, Likelihoods, Trust};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn taken(bucket: &mut TokenBucket) -> usize {
    std::iter::from_fn(|| bucket.take().then_some(())).count()
}

#[test]
fn a_bucket_gives_what_has_come_and_keeps_that_of_a_second() {
    let mut bucket = TokenBucket::new(Budget::per_second(10.0), SECOND, 0);
    assert_eq!(taken(&mut bucket), 0, "it begins empty");
    bucket.refill(SECOND + SECOND / 2, 0);
    assert_eq!(taken(&mut bucket), 5);
    bucket.refill(1_000 * SECOND, 0);
    assert_eq!(taken(&mut bucket), 10);
    // A clock that goes back, and one that stops at its end.
    bucket.refill(SECOND, 0);
    bucket.refill(Duration::MAX, 0);
    bucket.refill(Duration::MAX, 0);
    assert_eq!(taken(&mut bucket), 10);
    let mut rare = TokenBucket::new(Budget::per_second(0.01), Duration::ZERO, 0);
    rare.refill(99 * SECOND, 0);
    assert_eq!(taken(&mut rare), 0);
    rare.refill(1_000 * SECOND, 0);
    assert_eq!(taken(&mut rare), 1, "one at least is kept");
}

#[test]
fn a_share_of_demand_is_that_of_demand_loads() {
    let mut bucket = TokenBucket::new(Budget::share(0.25), Duration::ZERO, 100);
    bucket.refill(DAY, 100);
    assert_eq!(taken(&mut bucket), 0, "time brings nothing");
    bucket.refill(DAY, 110);
    assert_eq!(taken(&mut bucket), 2);
    bucket.refill(DAY, 112);
    assert_eq!(taken(&mut bucket), 1, "what was left of the ten counts");
    bucket.refill(DAY, 1_000_000);
    assert_eq!(taken(&mut bucket), 25);
}

#[test]
fn a_breaker_opens_tries_one_and_closes() {
    let mut breaker = Breaker::default();
    for _ in 0..4 {
        breaker.end(Some(false), SECOND);
    }
    breaker.end(None, SECOND);
    assert_eq!(breaker.state(SECOND), BreakerState::Closed);
    breaker.end(Some(false), SECOND);
    assert_eq!((breaker.state(SECOND), breaker.allowance(SECOND)), (BreakerState::Open, 0));
    assert_eq!(breaker.allowance(2 * SECOND), 1, "half open");
    breaker.begin(2 * SECOND);
    assert_eq!(breaker.allowance(2 * SECOND), 0, "while one tries");
    breaker.end(Some(false), 2 * SECOND);
    assert_eq!(breaker.state(3 * SECOND), BreakerState::Open, "twice as long");
    assert_eq!(breaker.state(4 * SECOND), BreakerState::HalfOpen);
    breaker.end(Some(true), 4 * SECOND);
    assert_eq!(
        (breaker.state(4 * SECOND), breaker.allowance(SECOND)),
        (BreakerState::Closed, usize::MAX)
    );
    // What others' loads do counts as well.
    breaker.look(10, 3, 5 * SECOND);
    assert_eq!(breaker.state(5 * SECOND), BreakerState::Closed);
    breaker.look(20, 11, 5 * SECOND);
    assert_eq!(breaker.state(5 * SECOND), BreakerState::Open);
}

#[test]
fn gates_stop_a_class_or_all_and_try_again() {
    let mut gates = Gates::new(0.5);
    assert_eq!(gates.state(SECOND), ModelState::Learning);
    (0..16).for_each(|_| gates.learn_wanted(0, true));
    assert_eq!(gates.state(SECOND), ModelState::Active);
    for _ in 0..80 {
        gates.learn(0, true, SECOND);
        gates.learn(1, false, SECOND);
        gates.learn(2, true, SECOND);
    }
    assert!(gates.admit(0, SECOND) && !gates.admit(1, SECOND) && gates.admit(2, SECOND));
    assert_eq!(gates.stopped_classes(SECOND), 1);
    let later = 62 * SECOND;
    let tried = (0..64).filter(|_| gates.admit(1, later)).count();
    assert_eq!(tried, 8, "a trickle");
    (0..400).for_each(|_| gates.learn(0, false, later));
    assert_eq!(gates.state(later), ModelState::Stopped);
    assert!((0..64).all(|_| !gates.admit(2, later)), "all classes with it");
    let much_later = later + 61 * SECOND;
    assert_eq!(gates.state(much_later), ModelState::Trying);
    assert!((0..8).any(|_| gates.admit(2, much_later)));
    for _ in 0..16 {
        gates.learn_wanted(2, true);
        gates.learn(2, true, much_later);
    }
    assert_eq!(gates.state(much_later), ModelState::Active);
}

#[test]
fn a_day_is_like_the_last_one_on_which_there_was_demand() {
    // A Friday at midnight.
    let calendar = Calendar::new(Duration::from_secs(1_750_377_600), Duration::ZERO);
    let mut profile = DayProfile::default();
    let open = 9 * HOUR + HOUR / 2;
    assert_eq!(profile.expects(&calendar, DAY + open), 0.0, "nothing is known");
    profile.note(&calendar, open);
    profile.note(&calendar, open + HOUR);
    assert_eq!(profile.expects(&calendar, open), 0.0, "of no earlier day");
    for weekend in 1..=3 {
        let day = weekend * DAY;
        assert_eq!(profile.expects(&calendar, day + open), 1.0);
        assert_eq!(profile.expects(&calendar, day + 3 * HOUR), -1.0);
    }
    profile.note(&calendar, 3 * DAY + 12 * HOUR);
    assert_eq!(profile.expects(&calendar, 3 * DAY + open), 1.0, "today is not over");
    assert_eq!(profile.expects(&calendar, 4 * DAY + open), -1.0, "the day before was another");
    let [day, week] = [DAY, 7 * DAY].map(|period| {
        let (one, other) = (calendar.harmonics(open), calendar.harmonics(open + period));
        one.iter().zip(other).filter(|(one, other)| (**one - other).abs() < 1e-3).count()
    });
    assert!((4..8).contains(&day) && week == 8, "{day} and {week}");
}

#[test]
fn a_regression_learns_what_decides_and_follows_when_that_changes() {
    let mut regression = Regression::new();
    let mut random = 1_u32;
    let mut inputs = || {
        let mut inputs = [0.0; INPUTS];
        inputs[0] = 1.0;
        for input in &mut inputs[1..] {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *input = (random >> 8) as f32 / (1 << 23) as f32 - 1.0;
        }
        inputs
    };
    let right = |regression: &Regression, inputs: &[f32; INPUTS], yes: bool| {
        (regression.probability(3, inputs) > 0.5) == yes
    };
    for sign in [1.0, -1.0] {
        for _ in 0..600 {
            let inputs = inputs();
            regression.learn(3, &inputs, sign * inputs[5] > 0.0);
        }
        let good = (0..200).filter(|_| {
            let inputs = inputs();
            right(&regression, &inputs, sign * inputs[5] > 0.0)
        });
        let good = good.count();
        assert!(good > 170, "{good} of 200 with sign {sign}");
    }
    let extreme = [f32::MAX; INPUTS];
    let probability = regression.probability(CLASSES - 1, &extreme);
    assert!((0.0..=1.0).contains(&probability) || probability.is_nan());
}

#[test]
fn keys_that_come_once_do_not_displace_those_that_come_back() {
    let mut keys = KeyTable::<u64>::new(16 << 10);
    let known = |hash, uses| {
        let mut known = Known::new(hash, hash, 0, 0, Duration::from_secs(hash >> 48));
        known.learned.uses = uses;
        known
    };
    assert!(keys.insert(known(5 << 40, 9.0)).is_some());
    for nth in 0..10_000_u64 {
        keys.insert(known(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1.0));
        assert!(keys.bytes() <= 16 << 10 && keys.len() <= keys.places());
    }
    assert!(keys.get(5 << 40).is_some());
    // One that is longer than all that there is for what keys have on the heap.
    let mut keys = KeyTable::<String>::new(16 << 10);
    assert!(keys.insert(Known::new(7 << 40, "7".into(), 0, 1 << 20, SECOND)).is_none());
    assert!(keys.insert(Known::new(7 << 40, "7".into(), 0, 1, SECOND)).is_some());
}

#[test]
fn an_agenda_has_room_for_twice_as_many_as_there_are_keys() {
    let mut agenda = Agenda::for_keys(4);
    for nth in 0..1_000_u64 {
        if agenda.is_full() {
            agenda.retain(|_, hash| hash >= nth - 3);
        }
        assert!(!agenda.is_full());
        agenda.enter(Duration::from_secs(nth % 7), nth);
    }
    assert_eq!(agenda.next(Duration::ZERO), None, "none of the last is due");
    let order: Vec<Duration> =
        std::iter::from_fn(|| agenda.next(10 * SECOND)).map(|(at, _)| at).collect();
    assert!(order.len() >= 3 && order.is_sorted(), "{order:?}");
}

#[test]
fn a_history_tells_where_a_key_was_and_forgets_the_oldest() {
    let mut history = History::<u64>::new(16 << 10);
    assert!(history.bytes() <= 16 << 10);
    let mut note = |key: u64| history.note((key << 20, key), 0).at;
    assert_eq!(note(1), [0; 3]);
    note(2);
    assert_eq!(note(1), [1, 0, 0]);
    assert_eq!(note(1), [3, 1, 0]);
    assert_eq!(note(1), [4, 3, 1]);
    assert_eq!(note(1), [5, 4, 3], "the last three");
    assert_eq!(note(2), [2, 0, 0]);
    assert_eq!(history.event(2), Some(&2));
    for nth in 10..10_000_u64 {
        history.note((nth << 20, nth), 0);
    }
    assert!((700..900).contains(&history.len()), "twenty bytes each: {}", history.len());
    assert_eq!(history.event(2), None);
    assert_eq!(history.event(history.last() + 1), None);
    assert_eq!(history.event(history.last()), Some(&9_999));
    assert!(history.note((2 << 20, 2), 0).at.iter().all(|at| history.event(*at).is_none()));
}

#[test]
fn a_history_of_keys_whose_destructor_panics_still_knows_where_they_were() {
    struct Armed<'a>(&'a std::cell::Cell<bool>);
    impl Drop for Armed<'_> {
        fn drop(&mut self) {
            assert!(!self.0.get() || std::thread::panicking(), "a destructor");
        }
    }
    let armed = std::cell::Cell::new(false);
    let mut history = History::<Armed<'_>>::new(4 << 10);
    let mut note = |key: u64, panics: bool| {
        armed.set(panics);
        let note = || history.note((key << 20, Armed(&armed)), 0).at;
        let noted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(note));
        armed.set(false);
        noted.ok()
    };
    // More than there is room for.
    assert!((0..1_000).all(|key| note(key, false).is_some()));
    for _ in 0..2 {
        assert!(note(0, true).is_none(), "the oldest key makes room");
        assert!(note(0, false).is_some(), "it has made room");
    }
    let before = [2_000, 2_001, 2_000, 2_002, 2_000].map(|key| note(key, false));
    assert_eq!(before[0], Some([0; 3]));
    assert_eq!(before[2], Some([1_003, 0, 0]));
    assert_eq!(before[4], Some([1_005, 1_003, 0]));
}

#[test]
fn a_history_of_long_keys_is_shorter() {
    let mut history = History::<String>::new(16 << 10);
    let mut note = |key: u64, len: usize| {
        history.note((key << 20, "k".repeat(len)), len);
        history.len()
    };
    let of_short = (0..1_000).map(|key| note(key, 1)).last();
    let of_long = (1_000..2_000).map(|key| note(key, 100)).last();
    assert!(
        of_short > Some(250) && (Some(30)..=Some(40)).contains(&of_long),
        "{of_short:?}, {of_long:?}"
    );
    assert_eq!(Some(note(3_000, 1_000)), of_long, "too long a key is passed over");
}

#[test]
fn a_round_wants_those_that_gain_most() {
    let mut wanted = CandidateQueue::new(3, 10);
    let mut push = |hash, gain, heap| {
        let candidate = Candidate { model: Model::Reuse, hash, key: (), heap, gain, renews: true };
        wanted.push(candidate).map(|candidate| candidate.hash)
    };
    assert_eq!(push(1, 0.5, 1), None);
    assert_eq!(push(2, 0.9, 1), None);
    assert_eq!(push(3, 0.5, 1), None);
    assert_eq!(push(4, 0.7, 1), Some(3), "the last of those that gain least");
    assert_eq!(push(5, 0.1, 1), Some(5));
    assert_eq!(push(6, 0.95, 8), Some(6), "a key for which there is no memory");
    assert_eq!(wanted.held_back, 3);
    for _ in 0..2 {
        let taken: Vec<u64> = wanted.take().into_iter().map(|candidate| candidate.hash).collect();
        assert!(taken == [2, 4, 1] || taken.is_empty(), "{taken:?}");
    }
}

#[test]
fn an_agenda_keeps_one_entry_of_a_key_for_a_time() {
    let mut agenda = Agenda::for_keys(2);
    for nth in 0..4 {
        agenda.enter(Duration::from_secs(1 + nth % 2), 7);
    }
    assert!(agenda.is_full());
    agenda.retain(|_, _| true);
    let left = std::iter::from_fn(|| agenda.next(10 * SECOND)).count();
    assert_eq!(left, 2);
}

#[test]
fn likelihoods_begin_in_doubt() {
    let mut likelihoods = Likelihoods::new();
    let (near, far) =
        (Cell::new((2, 2), 1, Trust::default()), Cell::new((1, 3), 9, Trust::default()));
    assert_eq!(likelihoods.of(near), 0.0);
    likelihoods.learn(near, true);
    assert!(likelihoods.of(near) < 0.25, "one is no proof");
    (0..100).for_each(|_| likelihoods.learn(near, true));
    assert!(likelihoods.of(near) > 0.9 && likelihoods.of(far) == 0.0);
    (0..1_000).for_each(|_| likelihoods.learn(near, false));
    assert!(likelihoods.of(near) < 0.1);
}
