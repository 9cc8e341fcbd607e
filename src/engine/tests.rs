//! What the engine makes of states that a test from outside does not come to.

use std::time::{Duration, Instant};

use crate::engine::{Engine, PutPath};
use crate::policy::History;
use crate::random_state::RandomState;
use crate::table::MAX_LOAD_FACTOR;
use crate::{Cache, Clock, Expiry, ManualClock};

type Tested = Engine<u64, u64, RandomState>;

/// As long as the value says, in seconds.
struct ByValue;

impl Expiry<u64, u64> for ByValue {
    fn expire_after_create(&self, _: &u64, value: &u64, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(*value))
    }
}

/// A full cache of a thousand, in a table of 256 buckets.
fn full() -> (Cache<u64, u64>, ManualClock) {
    let (clock, reservation) = Clock::manual();
    let builder = Cache::builder().capacity(1_000).expected_entries(1_000);
    let cache = builder.expiry(ByValue).clock(clock).build().expect("sound");
    (0..1_000).for_each(|key| cache.insert(key, 1_000));
    (cache, reservation)
}

/// A thread begins to double the table, freezes the buckets of these keys, and falls asleep.
fn fall_asleep(engine: &Tested, keys: impl IntoIterator<Item = u64>) {
    let pin = engine.pin();
    let hashes = keys.into_iter().map(|key| engine.hash(&key));
    let extension = |old: &History, buckets| old.resized(buckets * MAX_LOAD_FACTOR);
    engine.table.view(pin.guard_ref()).fall_asleep(extension, hashes, false);
}

/// Keys that are not there, and whose buckets come last: no other thread migrates these soon.
fn others(engine: &Tested) -> impl Iterator<Item = u64> {
    (5_000..).filter(|key| engine.hash(key) >> 62 == 3)
}

#[test]
fn what_was_heard_of_a_key_stays_with_it_when_its_value_is_replaced() {
    let (cache, _) = full();
    let engine = cache.engine();
    let recent_uses = |key: u64| {
        let pin = engine.pin();
        let occupied = engine.table.view(pin.guard_ref()).find(engine.hash(&key), |&k| k == key);
        occupied.expect("it is there").entry().recent_uses()
    };
    assert!((0..1_000).all(|key| recent_uses(key) > 0), "each was heard of when it came in");
    let pin = engine.pin();
    let occupied = engine.table.view(pin.guard_ref()).find(engine.hash(&7), |&k| k == 7);
    occupied.expect("it is there").entry().set_recent_uses(0x5b);
    drop(pin);
    cache.insert(7, 2_000);
    assert_eq!((cache.get(&7), recent_uses(7)), (Some(2_000), 0x5b));
    engine.validate();
}

#[test]
fn an_expired_entry_in_a_bucket_that_somebody_has_frozen_keeps_nobody_from_coming_in() {
    let (cache, reservation) = full();
    let engine = cache.engine();
    let dead = others(engine).next().expect("one of four");
    cache.insert(dead, 1);
    reservation.advance(Duration::from_secs(1));
    fall_asleep(engine, [dead]);
    for key in 2_000..2_020 {
        assert!(cache.try_insert(key, 1_000).is_ok(), "{key} is refused");
    }
    assert_eq!(cache.stats().expirations, 1);
    cache.maintain(10_000);
    engine.validate();
}

#[test]
fn a_victim_is_found_though_all_are_in_a_bucket_that_somebody_has_frozen() {
    let builder = Cache::builder().capacity(4).expected_entries(64).weigher(|_: &u64, _: &u64| 1);
    let cache = builder.build().expect("sound");
    let engine = cache.engine();
    // In the last of sixteen buckets, and in the first.
    let of = |bucket| (0..).filter(move |key: &u64| engine.hash(key) >> 60 == bucket);
    of(15).take(4).for_each(|key| cache.insert(key, 0));
    fall_asleep(engine, of(15).take(1));
    let new = of(0).next().expect("one of sixteen");
    assert!(cache.try_insert(new, 0).is_ok(), "nobody had to go");
    assert_eq!(cache.stats().evictions, 1);
    cache.maintain(10_000);
    engine.validate();
}

/// A write that begins while another one starves stands back once, and then goes on.
#[test]
fn a_write_stands_back_once_for_each_that_starves() {
    let cache: Cache<u64, u64> = Cache::new(10);
    let engine = cache.engine();
    let yielded_to = || engine.pin().local().yielded_to.get();
    cache.insert(0, 0);
    assert_eq!(yielded_to(), 0, "nobody starves");
    for nth in 1..=3 {
        let starved = engine.starvation.enter();
        assert!(engine.starvation.any());
        let pin = engine.pin();
        cache.insert(1, 1);
        assert_eq!(yielded_to(), nth - 1, "it is in its own way");
        drop(pin);
        for _ in 0..3 {
            cache.insert(1, 1);
            assert_eq!(yielded_to(), nth);
        }
        drop(starved);
        assert!(!engine.starvation.any());
    }
    let (first, second) = (engine.starvation.enter(), engine.starvation.enter());
    drop(first);
    assert!(engine.starvation.any());
    drop(second);
    assert!(!engine.starvation.any());
}

/// What a miss of the key costs, by the word in front of its entry.
fn cost_of(cache: &Cache<u64, u64>, key: u64) -> u64 {
    let engine = cache.engine();
    let pin = engine.pin();
    let occupied = engine.table.view(pin.guard_ref()).find(engine.hash(&key), |&k| k == key);
    occupied.expect("it is there").entry().cost()
}

/// Takes as long as the key says, in nanoseconds, and then says how often it was called for that.
struct Slow(ManualClock, std::sync::atomic::AtomicU64);

impl crate::Loader<u64, u64> for Slow {
    type Error = String;

    fn load(&self, key: &u64) -> Result<u64, String> {
        self.0.advance(Duration::from_nanos(*key));
        Ok(self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
    }
}

const MILLI: u64 = 1_000_000;

fn timed(
    costs: impl FnOnce(crate::Builder<u64, u64>) -> crate::Builder<u64, u64>,
) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = costs(Cache::builder().capacity(1_000).time_to_live(Duration::from_secs(60)));
    (builder.clock(clock).build().expect("sound"), manual)
}

#[test]
fn a_load_costs_what_it_took_in_microseconds() {
    let (cache, manual) = timed(|builder| builder.cost_of_load_time(true));
    for (took, cost) in [(0, 1), (999, 1), (1_999, 1), (2_000, 2), (7 * MILLI, 7_000)] {
        let load = |_: &u64| {
            manual.advance(Duration::from_nanos(took));
            1
        };
        cache.get_or_load(took, load);
        assert_eq!(cost_of(&cache, took), cost, "{took} nanoseconds");
    }
    // Without a load, and over a value that was loaded.
    cache.insert(7 * MILLI, 2);
    cache.compute(1, |_| crate::Compute::Put(3));
    assert_eq!((cost_of(&cache, 7 * MILLI), cost_of(&cache, 1)), (1, 1));
    assert!(cache.policy().cost_of_load_time && !cache.policy().has_cost);

    let (cache, manual) = timed(|builder| builder.cost(|_, value| *value));
    cache.get_or_load(1, |_| {
        manual.advance(Duration::from_secs(1));
        7
    });
    assert_eq!(cost_of(&cache, 1), 7, "time is not asked for");
}

#[test]
fn a_cost_is_for_what_was_not_loaded() {
    let (cache, manual) = timed(|builder| builder.cost(|_, _| 50).cost_of_load_time(true));
    let loading = cache.loading(Slow(manual, 0.into()));
    assert_eq!(loading.get(&MILLI), Ok(0));
    cache.insert(5, 5);
    assert_eq!((cost_of(&cache, MILLI), cost_of(&cache, 5)), (1_000, 50));
    // It is measured anew with each renewal, and for each key of many that are loaded one after another.
    cache.insert(2 * MILLI, 5);
    assert_eq!(loading.refresh(&(2 * MILLI)), Ok(1));
    assert_eq!(cost_of(&cache, 2 * MILLI), 2_000);
    let keys = [3 * MILLI, 4 * MILLI, 5 * MILLI];
    assert_eq!(loading.get_many(&keys).expect("they load").len(), 3);
    assert_eq!(keys.map(|key| cost_of(&cache, key)), [3_000, 4_000, 5_000]);
    cache.engine().validate();
}

#[test]
fn the_time_of_a_load_is_cut_off_and_never_zero() {
    let rules = |costs_load_time| {
        let (cache, _) = timed(|builder| builder.cost(|_, _| 0).cost_of_load_time(costs_load_time));
        move |took: Option<Duration>| cache.engine().rules.weigh_loaded(&1, &1, took).cost
    };
    let measured = rules(true);
    assert_eq!(measured(Some(Duration::MAX)), u64::MAX);
    assert_eq!((measured(Some(Duration::ZERO)), measured(None)), (1, 0));
    assert_eq!(rules(false)(Some(Duration::MAX)), 0);
}

/// Hashes the same in each cache; to so many hashes, if that is not zero.
#[derive(Clone, Copy)]
struct Same(u64);

struct SameHasher(std::hash::DefaultHasher, u64);

impl std::hash::BuildHasher for Same {
    type Hasher = SameHasher;

    fn build_hasher(&self) -> SameHasher {
        SameHasher(std::hash::DefaultHasher::new(), self.0)
    }
}

impl std::hash::Hasher for SameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finish();
        if self.1 == 0 { hash } else { (hash % self.1).wrapping_mul(0x9e37_79b9_7f4a_7c15) }
    }
}

/// What a cache has, and what it has counted.
fn seen(cache: &Cache<u64, u64, Same>) -> (Vec<(u64, u64)>, String) {
    let mut entries: Vec<_> = cache.iter().collect();
    entries.sort_unstable();
    // All but the times.
    let (at, load_time) = (Duration::ZERO, Duration::ZERO);
    let stats = crate::Stats { at, load_time, ..cache.stats() };
    (entries, format!("{stats:?}"))
}

/// How the two caches of a comparison are built.
#[derive(Clone, Copy, Debug)]
enum Lives {
    Forever,
    /// As many steps.
    For(u64),
    /// As many since an entry was read or written.
    Idle(u64),
    /// As many, and expired entries may stand in for others as long again.
    Kept(u64),
}

/// Does the same to a cache of usual puts and to one that goes the general way.
fn put_both_ways((hashes, capacity): (u64, u64), resizes: bool, lives: Lives, weighs: bool) {
    let (clock, time) = Clock::manual();
    let builder = || {
        let builder = Cache::builder().capacity(capacity).hasher(Same(hashes));
        // Some weigh nothing, and some would take the whole cache.
        let heavy = move |key: &u64, value: &u64| match (key + value) % 100 {
            0 => 0,
            1 => capacity / 2,
            2..20 => 1 + capacity / 100,
            few => 1 + few % 4,
        };
        let builder = if weighs { builder.weigher(heavy) } else { builder };
        match lives {
            Lives::Forever => builder,
            Lives::For(steps) | Lives::Kept(steps) => {
                builder.time_to_live(Duration::from_millis(steps)).clock(clock.clone())
            }
            Lives::Idle(steps) => {
                builder.time_to_idle(Duration::from_millis(steps)).clock(clock.clone())
            }
        }
    };
    let usual = builder().build().expect("sound");
    let general = builder().removal_listener(|_: &u64, _: &u64, _| ()).build().expect("sound");
    assert!(usual.engine().put_path != PutPath::General);
    assert!(general.engine().put_path == PutPath::General);
    let both = [&usual, &general];
    if let Lives::Kept(steps) = lives {
        both.iter().for_each(|it| it.engine().keep_expired(Duration::from_millis(steps)));
    }
    let mut state = capacity + 17 * hashes;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for step in 0..40 * capacity.max(50) {
        // A few keys are asked for often, and others come once.
        let span = 1 + random(2 * capacity);
        let key = if random(3) == 0 { 10_000 + step } else { random(span) };
        let place = format!(
            "{key} at {step}, {hashes} hashes, a capacity of {capacity}, {lives:?}, weights: {weighs}"
        );
        time.advance(Duration::from_millis(random(3)));
        let same = |[a, b]: [Option<u64>; 2]| assert_eq!(a, b, "{place}");
        match random(24) {
            0 => same(both.map(|cache| cache.remove(&key))),
            1..4 => both.iter().for_each(|cache| cache.insert(key, step)),
            4 => same(both.map(|cache| cache.insert_if_absent(key, step).is_ok().then_some(1))),
            5 => same(both.map(|cache| Some(cache.get_or_load(key, |_| step)))),
            6 => same(both.map(|cache| cache.replace(key, step))),
            8 if !matches!(lives, Lives::Forever) => {
                let ttl = Duration::from_millis(random(9));
                both.iter().for_each(|cache| cache.insert_with_ttl(key, step, ttl));
            }
            7 if resizes && random(8) == 0 => {
                let capacity = 1 + random(2 * capacity);
                both.iter().for_each(|cache| cache.set_capacity(capacity));
            }
            _ => {
                let found = both.map(|cache| cache.get(&key));
                same(found);
                if found[0].is_none() {
                    both.iter().for_each(|cache| cache.insert(key, step));
                }
            }
        }
        if step % capacity.max(50) == 0 {
            assert_eq!(seen(&usual), seen(&general), "{place}");
        }
    }
    assert_eq!(seen(&usual), seen(&general), "{hashes} hashes, a capacity of {capacity}");
    both.iter().for_each(|cache| cache.engine().validate());
}

#[test]
fn usual_puts_decide_as_the_general_way_does() {
    for capacity in [1, 2, 7, 100, 2_000] {
        for lives in [
            Lives::Forever,
            Lives::For(capacity),
            Lives::For(10 * capacity),
            Lives::Idle(5),
            Lives::Kept(capacity),
            Lives::Idle(3 * capacity),
        ] {
            put_both_ways((0, capacity), false, lives, false);
            put_both_ways((0, capacity), false, lives, true);
        }
    }
}

/// A table that grows and shrinks is migrated by each search of a write, so one more would be seen in what is evicted.
#[test]
fn so_they_do_while_the_table_changes_and_where_hashes_collide() {
    for (hashes, capacity) in [(0, 3), (0, 400), (1, 12), (3, 12), (11, 30), (40, 60)] {
        for lives in [Lives::Forever, Lives::For(2 * capacity), Lives::Idle(capacity)] {
            put_both_ways((hashes, capacity), true, lives, false);
            put_both_ways((hashes, capacity), true, lives, true);
        }
    }
}
