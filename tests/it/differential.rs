//! Against an independent concurrent map: with eviction off, a cache answers as `flurry` does.

use std::hash::BuildHasher;

use crate::support::{self, Constant, Identity, Random, size, together};
use clockhand::{Cache, Compute, Inserted};

type Map = flurry::HashMap<u64, u64>;

/// What `compute` makes of an even or an odd value, and of none.
fn computed(key: u64, old: Option<u64>, fresh: u64) -> Option<u64> {
    match old {
        Some(old) if old.is_multiple_of(3) => None,
        Some(old) => Some(old.wrapping_add(1)),
        None => (!key.is_multiple_of(2)).then_some(fresh),
    }
}

/// One random step that both take; their answers must agree.
fn step<S: BuildHasher>(cache: &Cache<u64, u64, S>, map: &Map, random: &mut Random, key: u64) {
    let (map, value) = (map.pin(), random.next());
    match random.below(10) {
        0 => {
            cache.insert(key, value);
            map.insert(key, value);
        }
        1 => {
            let inserted = cache.try_insert(key, value).expect("there is room");
            assert_eq!(inserted == Inserted::Replaced, map.insert(key, value).is_some());
        }
        2 => {
            let inserted = cache.insert_if_absent(key, value).is_ok();
            assert_eq!(inserted, map.try_insert(key, value).is_ok());
        }
        3 => assert_eq!(cache.remove(&key), map.remove(&key).copied()),
        4 => assert_eq!(cache.invalidate(&key), map.remove(&key).is_some()),
        5 => {
            let there = map.get(&key).is_some_and(|value| value % 2 == 0);
            assert_eq!(cache.remove_if(&key, |value| value % 2 == 0), there);
            if there {
                map.remove(&key);
            }
        }
        6 | 7 => {
            cache.compute(key, |old| {
                computed(key, old.copied(), value).map_or(Compute::Remove, Compute::Put)
            });
            match computed(key, map.get(&key).copied(), value) {
                Some(new) => drop(map.insert(key, new)),
                None => drop(map.remove(&key)),
            }
        }
        8 => assert_eq!(cache.contains_key(&key), map.contains_key(&key)),
        _ => assert_eq!(cache.get(&key), map.get(&key).copied()),
    }
}

fn assert_same<S: BuildHasher + Send + Sync + 'static>(cache: &Cache<u64, u64, S>, map: &Map) {
    let mut ours = cache.snapshot();
    let pinned = map.pin();
    let mut theirs: Vec<_> = pinned.iter().map(|(&key, &value)| (key, value)).collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    assert_eq!(cache.len(), theirs.len());
    assert_eq!((cache.stats().evictions, cache.stats().refusals), (0, 0));
    support::validate(cache);
}

fn alone<S>(cache: &Cache<u64, u64, S>, keys: u64, steps: usize)
where
    S: BuildHasher + Send + Sync + 'static,
{
    let (map, mut random) = (Map::new(), Random::new(keys));
    for nth in 0..steps {
        step(cache, &map, &mut random, nth as u64 * 7 % keys);
        if nth % (steps / 4) == 0 {
            cache.retain(|key, _| key % 3 != 0);
            map.pin().retain(|key, _| key % 3 != 0);
            assert_same(cache, &map);
        }
    }
    assert_same(cache, &map);
    cache.invalidate_all();
    map.pin().clear();
    assert_same(cache, &map);
}

fn side_by_side<S>(cache: &Cache<u64, u64, S>, keys: u64, steps: usize)
where
    S: BuildHasher + Send + Sync + 'static,
{
    let map = Map::new();
    together(4, |nth| {
        let mut random = Random::new(nth as u64);
        for _ in 0..steps {
            // Each thread has keys of its own, in the same buckets as the others'.
            let key = random.below(keys) * 4 + nth as u64;
            step(cache, &map, &mut random, key);
        }
    });
    assert_same(cache, &map);
}

fn roomy<S: BuildHasher + Send + Sync + 'static>(expected: usize, hasher: S) -> Cache<u64, u64, S> {
    let builder = Cache::builder().capacity(1 << 40).retired_capacity(1 << 40);
    builder.expected_entries(expected).hasher(hasher).build().expect("sound")
}

#[test]
fn one_thread_gets_the_same_answers() {
    let steps = size(20_000, 5_000_000);
    for keys in [1, 5, 100, 5_000] {
        alone(&roomy(1, Identity::default()), keys, steps);
        alone(&roomy(5_000, std::hash::RandomState::new()), keys, steps);
    }
    alone(&roomy(1, Constant), 50, steps / 4);
}

#[test]
fn threads_with_keys_of_their_own_get_the_same_answers() {
    let steps = size(10_000, 2_000_000);
    for keys in [1, 20, 2_000] {
        side_by_side(&roomy(1, Identity::default()), keys, steps);
        side_by_side(&roomy(1, std::hash::RandomState::new()), keys, steps);
    }
    side_by_side(&roomy(1, Constant), 10, steps / 10);
}
