//! Where entries differ in weight, or a miss in cost, those stay that save most for the room that they take.

use std::collections::HashMap;

use crate::support::Random;
use clockhand::{Cache, Clock, Inserted, RemovalCause};

type Weighed = Cache<u64, u64, ahash::RandomState>;

fn hasher() -> ahash::RandomState {
    ahash::RandomState::with_seeds(1, 2, 3, 4)
}

/// A cache whose values are their weights.
fn sized(capacity: u64) -> Weighed {
    let builder = Cache::builder().capacity(capacity).weigher(|_, &weight| weight);
    builder.hasher(hasher()).build().unwrap()
}

/// The same, where a miss costs what `cost` says of key and weight.
fn priced(capacity: u64, cost: impl Fn(u64, u64) -> u64 + Send + Sync + 'static) -> Weighed {
    let builder = Cache::builder().capacity(capacity).weigher(|_, &weight| weight);
    builder.cost(move |&key, &weight| cost(key, weight)).hasher(hasher()).build().unwrap()
}

/// Asks for a key, and brings it in if it is not there; whether it was.
fn ask(cache: &Weighed, key: u64, weight: u64) -> bool {
    let hit = cache.get(&key).is_some();
    if !hit {
        cache.insert(key, weight);
    }
    hit
}

/// Two thirds of the keys weigh one and the others a hundred, and all are asked for alike. Six times the capacity.
fn weight_of(key: u64) -> u64 {
    if key.is_multiple_of(3) { 100 } else { 1 }
}

const KEYS: u64 = 3_000;
const CAPACITY: u64 = 17_000;

/// The parts of the accesses and of the weight that hit.
fn hits(cache: &Weighed) -> (f64, f64) {
    let mut random = Random::new(1);
    let (mut hits, mut weight, mut all) = (0, 0, 0);
    let asked = 100_000;
    for _ in 0..asked {
        let key = random.below(KEYS);
        all += weight_of(key);
        if ask(cache, key, weight_of(key)) {
            hits += 1;
            weight += weight_of(key);
        }
    }
    (f64::from(hits) / f64::from(asked), weight as f64 / all as f64)
}

#[test]
fn small_entries_stay_before_large_ones_that_are_asked_for_as_often() {
    let (by_count, _) = hits(&sized(CAPACITY));
    assert!(by_count > 0.55, "most small ones, which are two of three: {by_count}");
    let (_, by_weight) = hits(&priced(CAPACITY, |_, weight| weight));
    assert!(by_weight > 0.14, "what fits, whoever it is: {by_weight}");
}

#[test]
fn what_costs_more_to_miss_stays() {
    // One of ten is a hundred times as dear, and together they take half of the capacity.
    let dear = |key: u64| key.is_multiple_of(10);
    let cache = priced(200, move |key, _| if dear(key) { 100 } else { 1 });
    let (mut random, mut hits, mut asked) = (Random::new(2), 0, 0);
    for nth in 0..40_000 {
        let key = random.below(1_000);
        let hit = ask(&cache, key, 1);
        if nth >= 20_000 && dear(key) {
            asked += 1;
            hits += u64::from(hit);
        }
    }
    assert!(hits * 4 > asked * 3, "{hits} of {asked}");
}

#[test]
fn a_cost_without_a_weigher_leaves_every_entry_the_weight_of_one() {
    let cache = Cache::builder().capacity(100).cost(|&key: &u64, _: &u64| key).build().unwrap();
    for key in 0..1_000 {
        cache.insert(key, key);
    }
    let usage = cache.usage();
    assert_eq!((usage.entries, usage.charged, usage.capacity), (100, 100, 100));
}

/// A full cache of small entries that were asked for.
fn filled(cache: Weighed) -> Weighed {
    for _ in 0..3 {
        (0..1_000).for_each(|key| {
            ask(&cache, key, 1);
        });
    }
    assert_eq!(cache.usage().charged, 1_000);
    cache
}

fn small_ones(cache: &Weighed) -> usize {
    (0..1_000).filter(|key| cache.contains_key(key)).count()
}

#[test]
fn an_entry_of_nearly_the_capacity_displaces_nobody_who_is_worth_more() {
    let cache = filled(sized(1_000));
    for nth in 0..100 {
        // Others are asked for in between, or nothing else would be worth anything in the end.
        (0..1_000).for_each(|key| {
            ask(&cache, key, 1);
        });
        assert!(!ask(&cache, 5_000 + nth % 5, 900), "it was turned away, and is not there");
    }
    assert!(small_ones(&cache) > 950, "{} are left", small_ones(&cache));
    let stats = cache.stats();
    assert_eq!(stats.refusals, 0, "that is no refusal: {stats:?}");
}

#[test]
fn a_heavy_entry_that_is_turned_away_leaves_as_if_it_had_made_room() {
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell = heard.clone();
    let cache = Cache::builder()
        .capacity(1_000)
        .weigher(|_, &weight: &u64| weight)
        .removal_listener(move |&key: &u64, &value, cause| {
            tell.lock().unwrap().push((key, value, cause));
        })
        .hasher(hasher())
        .build()
        .unwrap();
    (0..1_000).for_each(|key| cache.insert(key, 1));
    (0..1_000).for_each(|key| assert_eq!(cache.get(&key), Some(1)));
    heard.lock().unwrap().clear();
    let evictions = cache.stats().evictions;
    assert_eq!(cache.try_insert(7_000, 800).unwrap(), Inserted::New);
    assert_eq!(*heard.lock().unwrap(), [(7_000, 800, RemovalCause::Evicted)]);
    assert_eq!(cache.stats().evictions, evictions + 1);
    assert_eq!(cache.usage().charged, 1_000);
    // Over an older value of its key: that goes, and no reader finds it again.
    assert_eq!(cache.try_insert(500, 800).unwrap(), Inserted::Replaced);
    assert_eq!(cache.get(&500), None);
    assert_eq!(
        heard.lock().unwrap()[1..],
        [(500, 1, RemovalCause::Replaced), (500, 800, RemovalCause::Evicted)]
    );
    assert_eq!(cache.usage().charged, 999);
}

#[test]
fn a_heavy_entry_is_inserted_where_it_fits_or_is_worth_it() {
    let cache = sized(1_000);
    (0..50).for_each(|key| cache.insert(key, 1));
    cache.insert(7_000, 900);
    assert!(cache.contains_key(&7_000), "there is room for it");

    let cache = filled(priced(1_000, |_, weight| weight * weight));
    cache.insert(7_000, 900);
    assert!(cache.contains_key(&7_000), "a miss of it costs as much as all others together");
    assert!(cache.usage().charged <= 1_000);

    let cache = sized(10);
    (0..10).for_each(|key| cache.insert(key, 1));
    cache.insert(7_000, 9);
    assert!(cache.contains_key(&7_000), "where there are few, each needs much of the capacity");
}

#[test]
fn a_heavy_entry_displaces_those_that_nobody_asked_for_again() {
    let cache = sized(1_000);
    (0..1_000).for_each(|key| cache.insert(key, 1));
    cache.insert(7_000, 800);
    assert!(cache.contains_key(&7_000));
    assert_eq!(cache.usage().entries, 201);
}

#[test]
fn a_heavy_entry_is_inserted_that_is_asked_for_more_than_what_it_displaces() {
    let cache = filled(priced(1_000, |_, weight| weight));
    let came_in = (0..20).any(|_| ask(&cache, 7_000, 300));
    assert!(came_in, "with a cost that is the weight it is worth as much as others");
}

#[test]
fn values_that_grow_and_shrink_at_each_replacement_keep_to_the_bound() {
    let cache = sized(10_000);
    let mut random = Random::new(3);
    for nth in 0..50_000 {
        let key = random.below(500);
        let weight = match random.below(20) {
            0 => 9_000,
            1 => 0,
            2..6 => 400,
            _ => 1 + random.below(30),
        };
        cache.insert(key, weight);
        let usage = cache.usage();
        assert!(usage.charged <= 10_000, "{nth}: {usage:?}");
        if let Some(found) = cache.get(&key) {
            assert_eq!(found, weight, "never an older value");
        }
    }
    let sum = cache.iter().map(|(_, weight)| weight).sum::<u64>();
    assert_eq!(sum, cache.usage().charged);
}

#[test]
fn huge_weights_and_costs_do_not_overflow() {
    let most = (1_u64 << 63) - 1;
    for cost in [0, 1, most, u64::MAX] {
        let cache = priced(most, move |_, _| cost);
        let mut random = Random::new(4);
        for _ in 0..5_000 {
            let key = random.below(200);
            ask(&cache, key, most / (1 + random.below(100)));
            assert!(cache.usage().charged <= most);
        }
        assert!(cache.usage().entries > 0, "a cost of {cost}");
    }
}

#[test]
fn a_cost_that_lies_costs_hits_and_nothing_else() {
    let costs: [fn(u64, u64) -> u64; 4] = [
        |_, _| 0,
        |_, _| u64::MAX,
        |key, _| key.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        |key, _| {
            if key.is_multiple_of(2) { 0 } else { u64::MAX }
        },
    ];
    for (nth, cost) in costs.into_iter().enumerate() {
        let cache = priced(2_000, cost);
        let (mut random, mut last) = (Random::new(5), HashMap::new());
        for _ in 0..30_000 {
            let (key, weight) = (random.below(1_000), 1 + random.below(50));
            if random.one_in(3) {
                cache.insert(key, weight);
                last.insert(key, weight);
            } else if let Some(found) = cache.get(&key) {
                assert_eq!(last.get(&key), Some(&found), "cost {nth}");
            }
            assert!(cache.usage().charged <= 2_000, "cost {nth}");
        }
        let (usage, stats) = (cache.usage(), cache.stats());
        assert!(usage.charged > 1_800, "cost {nth}: the capacity is used: {usage:?}");
        assert_eq!(stats.refusals, 0, "cost {nth}");
        assert_eq!(cache.iter().map(|(_, weight)| weight).sum::<u64>(), usage.charged);
    }
}

#[test]
fn what_is_slow_to_load_stays() {
    // One of ten takes a hundred times as long, and together they are half of what fits.
    let slow = |key: u64| key.is_multiple_of(10);
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(200).time_to_live(std::time::Duration::MAX);
    let builder = builder.clock(clock).cost_of_load_time(true).hasher(hasher());
    let cache = builder.build().unwrap();
    let (mut random, mut loads, mut asked) = (Random::new(2), 0, 0);
    for nth in 0..40_000 {
        let key = random.below(1_000);
        let counts = nth >= 20_000 && slow(key);
        asked += u64::from(counts);
        cache.get_or_load(key, |_| {
            loads += u64::from(counts);
            let micros = if slow(key) { 50_000 } else { 500 };
            manual.advance(std::time::Duration::from_micros(micros));
            key
        });
    }
    assert!(loads * 4 < asked, "{loads} loads of {asked}");
}

#[test]
fn an_entry_of_nearly_the_capacity_may_be_asked_for_after_each_small_one() {
    let hits_of = |seed| {
        let cache = sized(1_000);
        let (mut random, mut hits) = (Random::new(seed), 0);
        for nth in 0..20_000 {
            let key = random.below(2_000).min(random.below(2_000)).min(random.below(2_000));
            let both = u32::from(ask(&cache, key, 1)) + u32::from(ask(&cache, 7_000, 950));
            hits += if nth < 10_000 { 0 } else { both };
            assert!(cache.usage().charged <= 1_000);
        }
        hits
    };
    // It alone is half of what is asked for, and the small ones without it are nearly as much. One seed is worth 30 hits more
    // or less.
    let hits = (6..16).map(hits_of).sum::<u32>() / 10;
    assert!(hits > 8_450, "{hits} of 20000");
}

#[test]
fn a_cost_that_changes_at_each_call_or_panics_costs_hits_and_nothing_else() {
    let calls = std::sync::atomic::AtomicU64::new(0);
    let cache = priced(2_000, move |key, _| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(call % 5 != 4, "the cost of {key}");
        [0, u64::MAX, 1, call][call as usize % 4]
    });
    let (mut random, mut last, mut panics) = (Random::new(7), HashMap::new(), 0);
    let quiet = std::panic::AssertUnwindSafe(&cache);
    for _ in 0..10_000 {
        let (key, weight) = (random.below(500), 1 + random.below(50));
        match std::panic::catch_unwind(|| quiet.insert(key, weight)) {
            Ok(()) => _ = last.insert(key, weight),
            // Nothing was taken or changed: what was there before is there.
            Err(_) => panics += 1,
        }
        if let Some(found) = cache.get(&key) {
            assert_eq!(last.get(&key), Some(&found));
        }
        assert!(cache.usage().charged <= 2_000);
    }
    assert_eq!(panics, 2_000);
    let usage = cache.usage();
    assert!(usage.charged > 1_800, "the capacity is used: {usage:?}");
    assert_eq!(cache.iter().map(|(_, weight)| weight).sum::<u64>(), usage.charged);
}

#[test]
fn giants_that_follow_one_another_leave_the_small_ones_their_room() {
    // After each small entry a giant, always another one or one of three, or none.
    let hits_beside = |weight: u64, giant: fn(u64) -> Option<u64>| {
        let cache = sized(1_000);
        let (mut random, mut hits) = (Random::new(3), 0);
        for nth in 0..40_000 {
            let key = random.below(2_000).min(random.below(2_000)).min(random.below(2_000));
            let hit = ask(&cache, key, 1);
            hits += u32::from(hit && nth >= 20_000);
            if let Some(giant) = giant(nth) {
                ask(&cache, giant, weight);
            }
            assert!(cache.usage().charged <= 1_000);
        }
        hits
    };
    let alone = hits_beside(1, |_| None);
    for weight in [300, 600, 950, 999] {
        for giant in [|nth| Some(10_000 + nth), |nth| Some(10_000 + nth % 3)] {
            let beside = hits_beside(weight, giant);
            assert!(beside > alone - alone / 50, "{beside} beside such of {weight}, {alone} alone");
        }
    }
}

#[test]
fn a_giant_is_inserted_where_no_light_key_comes_back() {
    // The fourth of four in a cache for three.
    let cache = sized(1_000);
    for round in 0..20 {
        for key in 0..4 {
            ask(&cache, key, 300);
            assert!(cache.contains_key(&key), "{key} in round {round}");
        }
    }
    // A few keys come back, fewer than there is room for in the place of the giant, and all of them are there with it.
    let cache = sized(1_000);
    for nth in 0..1_000 {
        ask(&cache, 7_000, 600);
        ask(&cache, nth % 300, 1);
    }
    assert_eq!((0..300).filter(|key| cache.contains_key(key)).count(), 300);
    assert!(cache.contains_key(&7_000));
}

/// Whom a cache evicts in turn that has this retired capacity, where a miss costs what the entry weighs. Each hundredth key is as heavy as a hundred others.
fn evicted_in_turn(retired_capacity: u64) -> Vec<u64> {
    let evicted = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = std::sync::Arc::clone(&evicted);
    let builder = Cache::builder().capacity(10_000).weigher(|_, &weight: &u64| weight);
    let builder = builder.cost(|_, &weight| weight).hasher(hasher());
    let builder =
        builder.retired_capacity(retired_capacity).removal_listener(move |&key, _, cause| {
            assert!(cause.was_evicted());
            told.lock().unwrap().push(key);
        });
    let cache = builder.build().unwrap();
    let mut random = Random::new(3);
    for _ in 0..100_000 {
        let key = random.below(3_000).min(random.below(3_000));
        ask(&cache, key, if key % 100 == 7 { 1_000 } else { 1 + key % 19 });
    }
    drop(cache);
    let evicted = evicted.lock().unwrap();
    evicted.clone()
}

#[test]
fn a_write_that_waits_for_garbage_evicts_the_same_entries() {
    // One insert of a heavy entry fills the small one with those that it displaces, and has it freed before it goes on.
    let (waits, never_waits) = (evicted_in_turn(1_000), evicted_in_turn(1 << 40));
    let same = waits.iter().zip(&never_waits).take_while(|(a, b)| a == b).count();
    assert!(never_waits.len() > 10_000, "{}", never_waits.len());
    assert_eq!(same, never_waits.len().max(waits.len()), "of {}", never_waits.len());
}
