use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Dense, belady, gdsf, lru};

fn random_trace(seed: u64, accesses: usize, keys: u32) -> Dense {
    let mut random = SmallRng::seed_from_u64(seed);
    // Two draws: low keys are likelier, so that there is something to keep.
    let mut key = || {
        let most = random.random_range(0..keys);
        u64::from(random.random_range(0..=most))
    };
    Dense::of(&(0..accesses).map(|_| key()).collect::<Vec<_>>())
}

/// The most hits that any way to evict has, by trying all of them.
fn optimum(trace: &Dense, entries: usize) -> u64 {
    let mut best = BTreeMap::from([(Vec::<u32>::new(), 0)]);
    for &key in &trace.accesses {
        let mut after = BTreeMap::new();
        let mut reach = |held: Vec<u32>, hits: u64| {
            let most: &mut u64 = after.entry(held).or_default();
            *most = hits.max(*most);
        };
        for (held, hits) in best {
            if held.contains(&key) {
                reach(held, hits + 1);
                continue;
            }
            let with_key = |mut kept: Vec<u32>| {
                kept.push(key);
                kept.sort_unstable();
                kept
            };
            if held.len() < entries {
                reach(with_key(held), hits);
                continue;
            }
            for out in 0..held.len() {
                let mut kept = held.clone();
                kept.remove(out);
                reach(with_key(kept), hits);
            }
        }
        best = after;
    }
    best.into_values().max().unwrap_or_default()
}

#[test]
fn belady_is_the_best_of_all_ways() {
    for seed in 0..40 {
        let trace = random_trace(seed, 40, 8);
        for entries in 1..5 {
            assert_eq!(belady(&trace, entries), optimum(&trace, entries), "{trace:?} {entries}");
        }
    }
}

#[test]
fn lru_is_a_list_in_the_order_of_the_last_access() {
    for seed in 0..40 {
        let trace = random_trace(seed, 300, 20);
        for entries in 1..20 {
            let (mut list, mut hits) = (Vec::new(), 0);
            for key in &trace.accesses {
                match list.iter().position(|held| held == key) {
                    Some(at) => {
                        list.remove(at);
                        hits += 1;
                    }
                    None if list.len() == entries => drop(list.remove(0)),
                    None => {}
                }
                list.push(*key);
            }
            assert_eq!(lru(&trace, entries), hits, "{trace:?} {entries}");
        }
    }
}

#[test]
fn nothing_is_evicted_where_all_fits() {
    let trace = random_trace(1, 500, 30);
    let hits = (trace.accesses.len() - trace.unique) as u64;
    for simulate in [belady, lru] {
        assert_eq!(simulate(&trace, trace.unique), hits);
        assert!(simulate(&trace, trace.unique - 1) <= hits);
    }
}

/// Of the entries, which are few, each time the one of the least priority.
fn slow_gdsf(trace: &Dense, sizes: &[u32], capacity: u64, by_bytes: bool) -> (u64, u64) {
    let (mut held, mut inflation) = (Vec::<(u32, f64, f64, usize, u32)>::new(), 0.0);
    let (mut hits, mut bytes) = (0, 0);
    for (at, (&key, &size)) in trace.accesses.iter().zip(sizes).enumerate() {
        let value = |uses: f64, size: u32| if by_bytes { uses } else { uses / f64::from(size) };
        if let Some(own) = held.iter_mut().find(|own| own.0 == key) {
            (hits, bytes) = (hits + 1, bytes + u64::from(size));
            own.1 += 1.0;
            (own.2, own.3) = (inflation + value(own.1, own.4), at);
            continue;
        }
        if u64::from(size) > capacity {
            continue;
        }
        while held.iter().map(|own| u64::from(own.4)).sum::<u64>() + u64::from(size) > capacity {
            let order = |own: &(u32, f64, f64, usize, u32)| (own.2.to_bits(), own.3);
            let least = (0..held.len()).min_by_key(|&nth| order(&held[nth])).expect("some");
            inflation = held.swap_remove(least).2;
        }
        held.push((key, 1.0, inflation + value(1.0, size), at, size));
    }
    (hits, bytes)
}

#[test]
fn gdsf_evicts_the_least_priority() {
    for seed in 0..40 {
        let trace = random_trace(seed, 400, 30);
        let sizes = trace.accesses.iter().map(|key| 1 + key * 7 % 13).collect::<Vec<_>>();
        for capacity in [5, 20, 60] {
            for by_bytes in [false, true] {
                let slow = slow_gdsf(&trace, &sizes, capacity, by_bytes);
                assert_eq!(gdsf(&trace, &sizes, capacity, by_bytes), slow, "{seed} {capacity}");
            }
        }
    }
}
