//! What `Cache::explain` says of a key, after known sequences of operations.

use std::time::Duration;

use clockhand::{Absence, Cache, Clock, Explanation, Region};

const SECOND: Duration = Duration::from_secs(1);

fn why(cache: &Cache<u64, u64>, key: u64) -> (Absence, bool) {
    match cache.explain(&key) {
        Explanation::Missing { why, being_loaded, .. } => (why, being_loaded),
        other => panic!("{key} is there: {other:?}"),
    }
}

#[test]
fn a_resident_key_is_shown_as_it_is() {
    let (clock, manual) = Clock::manual();
    let cache: Cache<u64, u64> = Cache::builder()
        .capacity(100_000)
        .weigher(|_, &weight| weight)
        .clock(clock)
        .time_to_live(60 * SECOND)
        .time_to_idle(10 * SECOND)
        .build()
        .unwrap();
    cache.insert(1, 120);
    manual.advance(4 * SECOND);
    let explanation = cache.explain(&1);
    let Explanation::Resident {
        region,
        reads,
        age,
        time_left,
        idle_time_left,
        charge,
        being_loaded,
        ..
    } = explanation
    else {
        panic!("{explanation:?}")
    };
    assert_eq!((region, reads, charge, being_loaded), (Region::Probation, 0, 120, false));
    assert_eq!((age, time_left), (Some(4 * SECOND), Some(56 * SECOND)));
    assert_eq!(idle_time_left, Some(6 * SECOND));
    assert_eq!(
        explanation.to_string(),
        "in the cache, on probation, weighs 120, not read lately, written 4s ago, expires in 56s, \
         or in 6s if nobody reads it"
    );
    for reads in ["once", "twice", "three times or more", "three times or more"] {
        cache.get(&1);
        let said = cache.explain(&1).to_string();
        assert!(said.contains(&format!("read {reads} lately")), "{said}");
        assert!(said.contains("or in 10s if nobody reads it"), "{said}");
    }
}

#[test]
fn each_deadline_is_told_whether_or_not_there_is_another() {
    let said = |life: Option<Duration>, idle: Option<Duration>| {
        let mut builder = Cache::<u64, u64>::builder().capacity(10).clock(Clock::manual().0);
        if let Some(life) = life {
            builder = builder.time_to_live(life);
        }
        if let Some(idle) = idle {
            builder = builder.time_to_idle(idle);
        }
        let cache = builder.build().unwrap();
        cache.insert(1, 1);
        let said = cache.explain(&1).to_string();
        said.strip_prefix("in the cache, on probation, weighs 1, not read lately, ").unwrap().into()
    };
    let said: [String; 4] = [
        said(None, None),
        said(Some(60 * SECOND), None),
        said(None, Some(6 * SECOND)),
        said(Some(60 * SECOND), Some(6 * SECOND)),
    ];
    assert_eq!(
        said,
        [
            "written 0ns ago",
            "written 0ns ago, expires in 60s",
            "written 0ns ago, expires in 6s if nobody reads it",
            "written 0ns ago, expires in 60s, or in 6s if nobody reads it",
        ]
    );
}

#[test]
fn to_explain_is_not_to_use() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).clock(clock).time_to_idle(10 * SECOND);
    let cache: Cache<u64, u64> = builder.build().unwrap();
    cache.insert(1, 1);
    manual.advance(9 * SECOND);
    assert!(cache.explain(&1).is_resident());
    assert!(!cache.explain(&2).is_resident());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (0, 0));
    manual.advance(SECOND);
    assert_eq!(why(&cache, 1), (Absence::Expired, false), "nobody has read it");
    assert_eq!(cache.get(&1), None);
}

#[test]
fn a_cache_without_time_tells_none() {
    let cache: Cache<u64, u64> = Cache::new(10);
    cache.insert(1, 1);
    let explanation = cache.explain(&1);
    let Explanation::Resident { age, time_left, idle_time_left, .. } = explanation else {
        panic!("{explanation:?}")
    };
    assert_eq!((age, time_left, idle_time_left), (None, None, None));
    assert_eq!(explanation.to_string(), "in the cache, on probation, weighs 1, not read lately");
}

#[test]
fn a_key_that_is_not_there_has_a_reason() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(10 * SECOND);
    let cache: Cache<u64, u64> = builder.build().unwrap();
    assert_eq!(why(&cache, 1), (Absence::NeverSeen, false));
    cache.insert(1, 1);
    cache.invalidate(&1);
    assert_eq!(why(&cache, 1), (Absence::Invalidated, false));
    assert_eq!(cache.explain(&1).to_string(), "not in the cache: it was removed by a call");
    cache.insert(1, 1);
    manual.advance(10 * SECOND);
    assert_eq!(why(&cache, 1), (Absence::Expired, false), "it is still there");
    cache.remove_expired();
    assert_eq!(why(&cache, 1), (Absence::Expired, false), "it is gone");
    cache.set_capacity(0);
    cache.insert(1, 1);
    assert_eq!(why(&cache, 1), (Absence::Refused, false));
}

#[test]
fn an_evicted_key_is_told_how_long_it_is_away() {
    let cache: Cache<u64, u64> = Cache::new(100);
    (0..101).for_each(|key| cache.insert(key, key));
    let victim = (0..101).find(|key| !cache.contains_key(key)).unwrap();
    for more in 0..10 {
        let (absence, _) = why(&cache, victim);
        let Absence::Evicted { misses_ago, .. } = absence else { panic!("{absence:?}") };
        assert_eq!(misses_ago, 1 + more);
        let said = cache.explain(&victim).to_string();
        assert_eq!(said.contains("evicted 1 miss ago, "), more == 0, "{said}");
        cache.insert(1_000 + more, 0);
    }
    let said = cache.explain(&victim).to_string();
    assert!(said.starts_with("not in the cache: it was evicted 11 misses ago"), "{said}");
}

/// Whatever came before it, and however little passed between: heavy entries, and a capacity that is lowered, evict at
/// once.
#[test]
fn the_last_of_several_reasons_is_told() {
    for capacity in [10, 1_000, 100_000] {
        let builder = || Cache::builder().capacity(capacity).weigher(|_, &weight| weight);
        let refuse = |cache: &Cache<u64, u64>| assert!(cache.try_insert(1, capacity + 1).is_err());
        let invalidate = |cache: &Cache<u64, u64>| {
            cache.insert(1, 1);
            assert!(cache.invalidate(&1));
        };
        let push_out = |cache: &Cache<u64, u64>| {
            cache.insert(1, 1);
            cache.insert(2, capacity);
            assert!(!cache.contains_key(&1) && cache.invalidate(&2));
        };
        let shrink = |cache: &Cache<u64, u64>| {
            cache.insert(1, 1);
            cache.set_capacity(0);
            cache.set_capacity(capacity);
        };
        type IsTold = fn(Absence) -> bool;
        type Step<'s> = (&'s dyn Fn(&Cache<u64, u64>), IsTold);
        let is_evicted: IsTold = |why| matches!(why, Absence::Evicted { .. });
        let steps: [Step<'_>; 4] = [
            (&refuse, |why| why == Absence::Refused),
            (&invalidate, |why| why == Absence::Invalidated),
            (&push_out, is_evicted),
            (&shrink, is_evicted),
        ];
        // Each after each. In a cache of their own: in one where light keys have come back often, a giant leaves at once.
        for first in 0..4 {
            for second in 0..4 {
                let cache: Cache<u64, u64> = builder().build().unwrap();
                for nth in [first, second] {
                    let (step, is_told) = steps[nth];
                    step(&cache);
                    let (why, being_loaded) = why(&cache, 1);
                    assert!(is_told(why) && !being_loaded, "{capacity}: {why:?} after {nth}");
                }
            }
        }
    }
}

#[test]
fn numbers_are_grouped() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10_000_000).weigher(|_, &weight| weight).build().unwrap();
    for (weight, said) in [(7, "7"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        cache.insert(1, weight);
        assert!(cache.explain(&1).to_string().contains(&format!("weighs {said}, ")));
    }
}

#[test]
fn loads_that_are_under_way_or_have_failed_are_seen() {
    let (clock, manual) = Clock::manual();
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).clock(clock).time_to_live(60 * SECOND).build().unwrap();
    let looking = cache.clone();
    let loading = cache
        .loading(move |key: &u64| {
            assert_eq!(*key == 3, looking.explain(key).is_resident(), "3 is renewed");
            let said = looking.explain(key).to_string();
            assert!(said.ends_with("; a load of it is under way"), "{said}");
            if *key == 2 { Err("no".to_string()) } else { Ok(10) }
        })
        .negative_ttl(5 * SECOND)
        .build()
        .unwrap();
    loading.get(&1).unwrap();
    assert!(loading.explain(&1).is_resident());
    loading.get(&2).unwrap_err();
    assert_eq!(why(&cache, 2), (Absence::Absent, false));
    assert_eq!(loading.explain(&2), cache.explain(&2));
    manual.advance(5 * SECOND);
    assert_eq!(why(&cache, 2), (Absence::NeverSeen, false), "that is over");
    cache.insert(3, 3);
    loading.refresh(&3).unwrap();
    assert_eq!(cache.get(&3), Some(10));
    assert!(!cache.explain(&3).to_string().contains("under way"));
}

/// More removals and evictions than are remembered: nearly all that is said is right, or that nothing is
/// remembered.
#[test]
fn what_is_forgotten_is_not_made_up() {
    let cache: Cache<u64, u64> = Cache::new(10_000);
    (0..40_000).for_each(|key| cache.insert(key, key));
    let mut removed = Vec::new();
    for key in 0..40_000 {
        if key % 2 == 0 && cache.invalidate(&key) {
            removed.push(key);
        }
    }
    let (mut known, mut wrong) = (0, 0);
    for &key in &removed {
        match why(&cache, key).0 {
            Absence::Invalidated => known += 1,
            Absence::NeverSeen => {}
            _ => wrong += 1,
        }
    }
    assert!(known > removed.len() / 3, "{known} of {}", removed.len());
    assert!(wrong < 10, "{wrong} of {}: one in four thousand may look like another", removed.len());
    let strangers = (100_000..110_000).filter(|&key| why(&cache, key).0 != Absence::NeverSeen);
    assert!(strangers.count() < 20);
}
