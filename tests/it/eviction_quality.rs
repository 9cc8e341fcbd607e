//! Entries are judged alike however they come in: by an insert or by a load, with weights or without.

use crate::support::Random;
use clockhand::{Cache, Inserted};

const ENTRIES: u64 = 1_000;
const WEIGHT: u64 = 1_000;

/// A working set that dies, and then keys that are asked for once or a few times within a third of
/// the cache's entries.
fn accesses() -> Vec<u64> {
    let mut random = Random::new(7);
    let dead = (0..50_000).map(|_| random.below(ENTRIES * 9 / 10)).collect::<Vec<_>>();
    let mut newest = 1_u64 << 32;
    let renewed = (0..150_000).map(|_| {
        if random.below(3) == 0 {
            newest += 1;
            return newest;
        }
        newest.saturating_sub(random.below(ENTRIES / 3)).max(1 << 32)
    });
    dead.into_iter().chain(renewed.collect::<Vec<_>>()).collect()
}

/// The part of the last half of the accesses that hit.
fn hits(weighted: bool, loading: bool) -> f64 {
    let builder = Cache::<u64, u64>::builder().expected_entries(ENTRIES as usize);
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let cache = if weighted {
        let builder = builder.capacity(ENTRIES * WEIGHT).weigher(|_, _| WEIGHT);
        builder.hasher(hasher).build().unwrap()
    } else {
        builder.capacity(ENTRIES).hasher(hasher).build().unwrap()
    };
    let accesses = accesses();
    let (mut hits, half) = (0, accesses.len() / 2);
    for (nth, &key) in accesses.iter().enumerate() {
        let mut missed = false;
        if loading {
            cache.get_or_load(key, |_| {
                missed = true;
                key
            });
        } else if cache.get(&key).is_none() {
            missed = true;
            cache.insert(key, key);
        }
        hits += usize::from(!missed && nth >= half);
    }
    hits as f64 / half as f64
}

#[test]
fn loads_and_weights_are_judged_like_inserts() {
    let inserted = hits(false, false);
    assert!(inserted > 0.6, "two of three accesses can hit: {inserted}");
    for (weighted, loading) in [(false, true), (true, false), (true, true)] {
        let other = hits(weighted, loading);
        let way = if loading { "loaded" } else { "inserted" };
        assert!((other - inserted).abs() < 0.02, "{way}, weighted {weighted}: {other}, {inserted}");
    }
}

#[test]
fn to_be_loaded_is_not_to_be_read() {
    let cache = Cache::<u64, u64>::new(1_000);
    // So few that none is promoted.
    (0..8).for_each(|key| _ = cache.get_or_load(key, |_| key));
    cache.insert(1_000, 0);
    assert!(cache.get(&1_000).is_some());
    assert_eq!(cache.hottest(1), [1_000], "it alone was read");
}

#[test]
fn a_value_that_is_replaced_was_used() {
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let cache = Cache::<u64, u64>::builder().capacity(ENTRIES).hasher(hasher).build().unwrap();
    (0..ENTRIES).for_each(|key| cache.insert(key, 0));
    // Of the keys that come next, every other one is written once more, and none is read.
    let new = ENTRIES..ENTRIES + ENTRIES / 5;
    for key in new.clone() {
        cache.insert(key, 0);
        if key % 2 == 0 {
            assert_eq!(cache.try_insert(key, 1).unwrap(), Inserted::Replaced);
        }
    }
    (2 * ENTRIES..3 * ENTRIES).for_each(|key| cache.insert(key, 0));
    let left = |odd| new.clone().filter(|key| key % 2 == odd && cache.contains_key(key)).count();
    let (replaced, others) = (left(0), left(1));
    assert!(replaced > 90, "{replaced} of 100 are left that were replaced");
    assert!(others < 10, "{others} of 100 are left of the others");
}
