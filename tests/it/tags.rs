//! Tags: what they invalidate, when that is in force, and what becomes of the entries.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use clockhand::{
    Absence, Builder, Cache, Clock, Compute, Computed, Explanation, InsertErrorKind, Inserted,
    RemovalCause,
};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const NONE: [&str; 0] = [];

fn tagged<V: Send + Sync + 'static>() -> Cache<u32, V> {
    built(|builder| builder)
}

fn built<V: Send + Sync + 'static>(
    with: impl FnOnce(Builder<u32, V>) -> Builder<u32, V>,
) -> Cache<u32, V> {
    with(Cache::builder().capacity(1000).tags()).build().expect("the settings agree")
}

fn tags_of(cache: &Cache<u32, u32>, key: u32) -> Vec<String> {
    let tags = cache.tags_of(&key).expect("it is there");
    assert_eq!(cache.entry_info(&key).map(|info| info.tags), Some(tags.len()));
    tags
}

#[test]
fn an_invalidation_is_in_force_for_every_way_to_read() {
    let cache = tagged();
    cache.insert_tagged(1, 10, ["a"]);
    cache.insert_tagged(2, 20, ["b"]);
    cache.insert(3, 30);
    cache.invalidate_tag("a");
    let mut reader = cache.reader();
    assert_eq!((cache.get(&1), cache.peek(&1), reader.get(&1)), (None, None, None));
    assert!(!cache.contains_key(&1) && !reader.contains_key(&1));
    assert_eq!((cache.read(&1, |v| *v), cache.pin().get(&1)), (None, None));
    assert_eq!(cache.get_many(&[1, 2]), [None, Some(20)]);
    assert!(cache.entry_info(&1).is_none());
    let why = |explanation| match explanation {
        Explanation::Missing { why, .. } => Some(why),
        _ => None,
    };
    assert_eq!(why(cache.explain(&1)), Some(Absence::Invalidated));
    let left = BTreeSet::from([(2, 20), (3, 30)]);
    assert_eq!(cache.iter().collect::<BTreeSet<_>>(), left);
    assert_eq!(cache.snapshot().into_iter().collect::<BTreeSet<_>>(), left);
    assert_eq!(cache.keys().collect::<BTreeSet<_>>(), BTreeSet::from([2, 3]));
    assert_eq!(cache.values().collect::<BTreeSet<_>>(), BTreeSet::from([20, 30]));
    let mut seen = BTreeSet::new();
    cache.for_each(|key, value| assert!(seen.insert((*key, *value))));
    assert_eq!(seen, left);
    assert_eq!(cache.hottest(9).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([2, 3]));
    assert!(!cache.set_ttl(&1, Duration::MAX) && !cache.invalidate(&1));
    assert_eq!(cache.stats().misses_by.invalidated, cache.stats().misses);
}

#[test]
fn what_is_inserted_after_it_is_not_concerned() {
    let cache = tagged();
    for round in 0..10 {
        cache.invalidate_tag("a");
        cache.insert_tagged(1, round, ["a"]);
        assert_eq!(cache.get(&1), Some(round));
        cache.invalidate_tag("a");
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.try_insert_tagged(1, round, ["a"]).unwrap(), Inserted::New);
        assert_eq!(cache.try_insert_tagged(1, round, ["a"]).unwrap(), Inserted::Replaced);
    }
}

#[test]
fn any_of_several_tags_invalidates_and_others_do_not() {
    let cache = tagged();
    let many: Vec<String> = (0..200).map(|n| format!("tag {n}")).collect();
    for tag in ["tag 0", "tag 77", "tag 199"] {
        cache.insert_tagged(1, 1, &many);
        cache.insert_tagged(2, 2, ["tag 7", "", "tag 7", ""]);
        cache.invalidate_tag("tag");
        cache.invalidate_tag("tag 200");
        assert_eq!((cache.get(&1), cache.get(&2)), (Some(1), Some(2)));
        cache.invalidate_tag(tag);
        assert_eq!((cache.get(&1), cache.get(&2)), (None, Some(2)));
    }
    assert_eq!(tags_of(&cache, 2), ["", "tag 7"], "each once, in their order");
    cache.invalidate_tag("");
    assert_eq!(cache.get(&2), None);
    cache.insert_tagged(3, 3, NONE);
    cache.insert_tagged(4, 4, Vec::<String>::new());
    assert!(tags_of(&cache, 3).is_empty() && cache.get(&4) == Some(4));
    let long = "x".repeat(1 << 20);
    cache.insert_tagged(5, 5, [&long]);
    cache.invalidate_tag(&long[1..]);
    assert_eq!(cache.get(&5), Some(5));
    cache.invalidate_tag(&long);
    assert_eq!(cache.get(&5), None);
}

/// Names are compared, and not their hashes.
#[test]
fn one_tag_of_a_thousand_invalidates_its_own_entry_alone() {
    let cache = tagged();
    (0..1000).for_each(|key| cache.insert_tagged(key, key, [key.to_string()]));
    for key in (0..1000).step_by(7) {
        cache.invalidate_tag(&key.to_string());
    }
    let live: Vec<u32> = (0..1000).filter(|key| cache.contains_key(key)).collect();
    let expected: Vec<u32> = (0..1000).filter(|key| key % 7 != 0).collect();
    assert_eq!(live, expected);
}

/// The weigher is called while an entry is on its way.
#[test]
fn an_entry_that_was_begun_before_it_does_not_survive() {
    let this: Arc<OnceLock<Cache<u32, &'static str>>> = Arc::default();
    let (weighed, told) = (Arc::clone(&this), Arc::new(Mutex::new(Vec::new())));
    let tell = Arc::clone(&told);
    let cache = built(|builder: Builder<u32, &'static str>| {
        let weigher = move |_: &u32, tag: &&'static str| {
            weighed.get().into_iter().for_each(|cache| cache.invalidate_tag(tag));
            1
        };
        builder.weigher(weigher).removal_listener(move |key, tag, cause| {
            tell.lock().unwrap().push((*key, *tag, cause));
        })
    });
    assert!(this.set(cache.clone()).is_ok());
    cache.insert_tagged(1, "of others", ["a", "b"]);
    assert_eq!(cache.get(&1), Some("of others"));
    for tags in [&["a"][..], &["b", "a", "c"]] {
        cache.insert_tagged(1, "a", tags);
        assert_eq!(cache.get(&1), None);
        assert_eq!(cache.try_insert_tagged(2, "a", tags).unwrap(), Inserted::New);
        assert!(!cache.contains_key(&2));
    }
    let first = told.lock().unwrap()[..2].to_vec();
    let replaced = (1, "of others", RemovalCause::Invalidated);
    assert_eq!(first, [replaced, (1, "a", RemovalCause::Invalidated)]);
    // It holds itself.
    cache.clear();
    drop(cache);
}

#[test]
fn writes_keep_or_drop_tags_as_told() {
    let cache = tagged();
    let fresh = || cache.insert_tagged(1, 1, ["a"]);
    fresh();
    cache.insert(1, 2);
    assert!(tags_of(&cache, 1).is_empty());
    fresh();
    assert_eq!(cache.replace(1, 2), Some(1));
    assert!(tags_of(&cache, 1).is_empty());
    fresh();
    cache.insert_tagged(1, 2, ["b"]);
    assert_eq!(tags_of(&cache, 1), ["b"]);
    fresh();
    cache.insert_if_newer(1, 9, |v| *v).unwrap();
    assert!(tags_of(&cache, 1).is_empty());
    fresh();
    assert!(cache.insert_if_absent(1, 3).is_err());
    assert_eq!(tags_of(&cache, 1), ["a"]);
    assert!(cache.set_ttl(&1, SECOND * 9));
    assert_eq!(cache.compute(1, |v| Compute::Put(v.unwrap() + 1)), Computed::Replaced);
    assert_eq!(
        cache.compute(1, |v| Compute::PutWithTtl(v.unwrap() + 1, SECOND)),
        Computed::Replaced
    );
    assert_eq!(cache.compute_and_get(1, |_| Compute::Keep), Some(3));
    assert_eq!(tags_of(&cache, 1), ["a"]);
    cache.invalidate_tag("a");
    assert_eq!(cache.compute(1, |v| Compute::Put(v.map_or(7, |_| 8))), Computed::Inserted);
    assert_eq!((cache.get(&1), tags_of(&cache, 1)), (Some(7), Vec::new()));
}

/// What a value is computed from has the tags: an invalidation beside it concerns the new value, too.
#[test]
fn an_invalidation_inside_of_compute_concerns_what_it_returns() {
    let cache = tagged();
    cache.insert_tagged(1, 1, ["a"]);
    let mut calls = 0;
    let computed = cache.compute(1, |old| {
        calls += 1;
        cache.invalidate_tag("a");
        Compute::Put(old.copied().unwrap_or(0) + 1)
    });
    assert_eq!((computed, calls), (Computed::Replaced, 1));
    assert_eq!(cache.get(&1), None);
}

#[test]
fn the_listener_is_told_the_cause_when_they_are_removed() {
    let causes: Arc<Mutex<HashMap<u32, RemovalCause>>> = Arc::default();
    let tell = Arc::clone(&causes);
    let (clock, manual) = Clock::manual();
    let cache = built(|builder| {
        builder
            .clock(clock)
            .time_to_live(SECOND)
            .maintenance(clockhand::Maintenance::Manual)
            .removal_listener(move |key, _: &u32, cause| {
                let mut told = tell.lock().unwrap();
                // The first one of each key.
                told.entry(*key).or_insert(cause);
            })
    });
    (0..4).for_each(|key| cache.insert_tagged(key, key, ["a"]));
    cache.insert_tagged(4, 4, ["b"]);
    cache.invalidate_tag("a");
    assert_eq!((causes.lock().unwrap().len(), cache.len()), (0, 5), "they are there still");
    cache.insert(0, 0);
    assert_eq!(cache.compute(1, |_| Compute::Remove), Computed::Absent);
    assert!(!cache.invalidate(&2));
    assert_eq!(cache.remove_expired(), 1);
    manual.advance(SECOND);
    assert_eq!(cache.remove_expired(), 2);
    let told = |key| causes.lock().unwrap()[&key];
    assert!((0..4).all(|key| key == 0 || told(key) == RemovalCause::Invalidated));
    assert_eq!((told(4), cache.len()), (RemovalCause::Expired, 0));
    let stats = cache.stats();
    assert_eq!((stats.invalidations, stats.expirations, stats.evictions), (4, 2, 0));
    assert_eq!(stats.removed_charge.invalidated, 4);
}

#[test]
fn they_are_collected_by_writes_and_sweeps_and_their_tags_are_forgotten() {
    let cache = tagged();
    let mut most = 0;
    for key in 0..50_000_u32 {
        let tags = [format!("own {key}"), format!("group {}", key / 100)];
        cache.insert_tagged(key, key, &tags);
        if key % 100 == 99 {
            cache.invalidate_tag(&tags[1]);
            most = most.max(cache.tag_count());
        }
    }
    let stats = cache.stats();
    assert_eq!(stats.evictions, 0, "what is invalidated makes room before anything live does");
    assert!(most < 6000, "{most} tags are known, of entries and of garbage");
    cache.invalidate_tag("group 499");
    while cache.maintain(10_000).expired > 0 {}
    while cache.maintain(10_000).backlog > 0 {}
    assert_eq!((cache.len(), cache.tag_count()), (0, 0));
    let before = cache.overhead();
    cache.insert_tagged(1, 1, ["a"]);
    assert_eq!((cache.tag_count(), cache.overhead()), (1, before));
}

#[test]
fn a_cache_without_tags_says_so_and_loses_nothing() {
    let cache = Cache::new(10);
    cache.insert(1, 1);
    let error = cache.try_insert_tagged(1, 2, ["a"]).expect_err("no tag can be kept");
    assert_eq!((error.kind, error.key, error.value), (InsertErrorKind::Untagged, 1, 2));
    assert!(error.to_string().contains("tags()"), "{error}");
    for _ in 0..2 {
        let caught = std::panic::catch_unwind(|| cache.insert_tagged(1, 3, ["a"]));
        let message = *caught.expect_err("it panics").downcast::<String>().expect("a message");
        assert!(message.contains("tags()"), "{message}");
    }
    cache.insert_tagged(2, 2, NONE);
    cache.invalidate_tag("a");
    assert_eq!((cache.get(&1), cache.get(&2), cache.tag_count()), (Some(1), Some(2), 0));
    assert!(!cache.policy().has_tags && tagged::<u32>().policy().has_tags);
}

#[test]
fn tags_beside_deadlines_weights_and_costs() {
    let (clock, manual) = Clock::manual();
    let cache = built(|builder| {
        builder
            .clock(clock)
            .time_to_idle(SECOND * 5)
            .weigher(|_, v: &u32| u64::from(*v))
            .cost(|_, _| 9)
    });
    cache.insert_tagged_with_ttl(1, 10, ["a", "b"], SECOND * 2);
    cache.insert_tagged(2, 20, ["b"]);
    let info = cache.entry_info(&1).unwrap();
    assert_eq!((info.charge, info.expires_in), (10, Some(SECOND * 2)));
    assert_eq!((info.tags, cache.usage().charged), (2, 30));
    manual.advance(SECOND * 2);
    assert_eq!((cache.get(&1), cache.get(&2)), (None, Some(20)));
    manual.advance(SECOND * 4);
    assert_eq!(cache.get(&2), Some(20), "reads move its end");
    cache.invalidate_tag("b");
    assert_eq!(cache.get(&2), None);
    cache.remove_expired();
    assert_eq!(cache.usage().charged, 0);
    let refused = cache.try_insert_tagged(3, 2000, ["c"]).expect_err("too heavy");
    assert!(matches!(refused.kind, InsertErrorKind::TooLarge { .. }));
    assert_eq!(cache.tag_count(), 0, "nothing is left of it");
}

/// A load that renews an entry, and is overtaken by an invalidation.
#[test]
fn a_renewal_keeps_tags_and_is_not_kept_beyond_an_invalidation() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).tags().clock(clock).time_to_live(SECOND * 10);
    let cache: Cache<u32, u64> = builder.build().unwrap();
    let (made, shared) = (Arc::new(AtomicU64::new(100)), cache.clone());
    let (next, invalidates) = (Arc::clone(&made), Arc::new(AtomicBool::new(false)));
    let does = Arc::clone(&invalidates);
    let loader = move |_: &u32| {
        if does.load(Ordering::SeqCst) {
            shared.invalidate_tag("a");
            // Who asks now does not join this load.
            assert_eq!(shared.get(&1), None);
            let other: Result<_, clockhand::LoadError<String>> = std::thread::scope(|scope| {
                let load = || shared.try_get_or_load(1, |_| Ok(7));
                scope.spawn(load).join().unwrap()
            });
            assert_eq!(other.unwrap(), 7);
        }
        Ok::<_, String>(next.fetch_add(1, Ordering::SeqCst))
    };
    let loading = cache.loading(loader).refresh_after(SECOND).executor(|job| job());
    cache.insert_tagged(1, 1, ["a"]);
    manual.advance(SECOND * 2);
    assert_eq!(loading.get(&1).unwrap(), 1, "the old value, while it is renewed");
    assert_eq!(cache.get(&1), Some(100));
    assert_eq!(cache.tags_of(&1).unwrap(), ["a"]);
    invalidates.store(true, Ordering::SeqCst);
    manual.advance(SECOND * 2);
    assert_eq!(loading.get(&1).unwrap(), 100);
    assert_eq!(cache.get(&1), Some(7), "the load that was begun after the invalidation");
    assert!(cache.tags_of(&1).unwrap().is_empty());
}

/// Nothing that is stale stands in for what cannot be loaded, if it was invalidated.
#[test]
fn what_is_invalidated_does_not_stand_in() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).tags().clock(clock).time_to_live(SECOND);
    let cache: Cache<u32, u32> = builder.build().unwrap();
    let loading = cache.loading(|_: &u32| Err::<u32, _>("down")).stale_if_error(SECOND * 100);
    for invalidated in [false, true] {
        cache.insert_tagged(1, 1, ["a"]);
        manual.advance(SECOND * 2);
        if invalidated {
            cache.invalidate_tag("a");
        }
        assert_eq!(loading.get(&1).ok(), (!invalidated).then_some(1));
    }
}

#[test]
fn threads_see_nothing_that_was_invalidated_before() {
    let rounds = crate::support::size(20_000, 1_000_000) as u64;
    let cache: Cache<u32, u64> = tagged();
    let (inserted, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Others hold the tag and let go of it.
        for key in [2, 3] {
            let (cache, over) = (&cache, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    cache.insert_tagged(key, 0, ["a", "b"]);
                    cache.invalidate(&key);
                }
            });
        }
        let (reader, inserted_by, ended) = (&cache, &inserted, &over);
        scope.spawn(move || {
            let mut newest = 0;
            while !ended.load(Ordering::Relaxed) {
                // What was inserted before this is invalidated by it.
                let before = inserted_by.load(Ordering::Acquire);
                reader.invalidate_tag("a");
                let seen = reader.get(&1);
                assert!(seen.is_none_or(|seen| seen > before), "{seen:?}, inserted until {before}");
                newest = newest.max(before);
            }
        });
        for round in 1..=rounds {
            cache.insert_tagged(1, round, ["a"]);
            inserted.store(round, Ordering::Release);
        }
        over.store(true, Ordering::Relaxed);
    });
    cache.clear();
    while cache.maintain(10_000).backlog > 0 {}
    assert_eq!(cache.tag_count(), 0);
}

#[derive(Debug, Clone)]
enum Call {
    Insert(u8, Vec<u8>),
    Plain(u8),
    Invalidate(u8),
    Compute(u8),
    Remove(u8),
    Sweep,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (0..9_u8, proptest::collection::vec(0..5_u8, 0..4)).prop_map(|(k, t)| Call::Insert(k, t)),
        1 => (0..9_u8).prop_map(Call::Plain),
        3 => (0..6_u8).prop_map(Call::Invalidate),
        1 => (0..9_u8).prop_map(Call::Compute),
        1 => (0..9_u8).prop_map(Call::Remove),
        1 => Just(Call::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn they_do_as_a_map_with_sets_of_tags(calls in proptest::collection::vec(call(), 0..120)) {
        let cache = tagged::<u32>();
        let mut model: HashMap<u8, (u32, BTreeSet<u8>)> = HashMap::new();
        for (value, call) in (0..).zip(calls) {
            match call {
                Call::Insert(key, tags) => {
                    cache.insert_tagged(key.into(), value, tags.iter().map(u8::to_string));
                    model.insert(key, (value, tags.into_iter().collect()));
                }
                Call::Plain(key) => {
                    cache.insert(key.into(), value);
                    model.insert(key, (value, BTreeSet::new()));
                }
                Call::Invalidate(tag) => {
                    cache.invalidate_tag(&tag.to_string());
                    model.retain(|_, (_, tags)| !tags.contains(&tag));
                }
                Call::Compute(key) => {
                    cache.compute(key.into(), |_| Compute::Put(value));
                    model.entry(key).or_default().0 = value;
                }
                Call::Remove(key) => {
                    prop_assert_eq!(cache.remove(&u32::from(key)), model.remove(&key).map(|(value, _)| value));
                }
                Call::Sweep => drop(cache.remove_expired()),
            }
            for key in 0..9_u8 {
                prop_assert_eq!(cache.peek(&u32::from(key)), model.get(&key).map(|(value, _)| *value));
                if let Some((_, tags)) = model.get(&key) {
                    let tags: Vec<String> = tags.iter().map(u8::to_string).collect();
                    prop_assert_eq!(tags_of(&cache, key.into()), tags);
                }
            }
        }
        cache.remove_expired();
        prop_assert_eq!(cache.len(), model.len());
        while cache.maintain(1000).backlog > 0 {}
        let known: BTreeSet<u8> = model.values().flat_map(|(_, tags)| tags.clone()).collect();
        prop_assert_eq!(cache.tag_count(), known.len());
    }
}
