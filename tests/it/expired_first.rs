//! What has expired makes room before what lives, whatever the table's size; what is dead at birth displaces nobody;
//! and what is a use keeps an entry from idling and from being evicted. All with the manual clock.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{self, Constant, assert_balanced, ignore, size, together};
use clockhand::{
    BuildError, Cache, Clock, Compute, Computed, Expiry, InsertErrorKind, Inserted, Maintenance,
    ManualClock, RemovalCause,
};

const SECOND: Duration = Duration::from_secs(1);

/// Lives as long as its value says, in seconds.
struct ByValue;

impl Expiry<u64, u64> for ByValue {
    fn expire_after_create(&self, _: &u64, value: &u64, _: Instant) -> Option<Duration> {
        Some(Duration::from_secs(*value))
    }
    fn expire_after_update(
        &self,
        _: &u64,
        value: &u64,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(Duration::from_secs(*value))
    }
}

fn by_value(capacity: u64, expected: usize) -> (Cache<u64, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100 * capacity).weigher(|_, _| 100);
    let cache = builder.expected_entries(expected).expiry(ByValue).clock(clock).build();
    (cache.expect("sound"), manual)
}

#[test]
fn expired_entries_make_room_before_live_ones() {
    // From a table that has to double to one that is a hundred times too large; from one dead entry to nearly all.
    for expected in [1, 250, 1_000, 4_000, 100_000] {
        for dead in [1, 10, 500, 990] {
            let (cache, manual) = by_value(1_000, expected);
            for key in 0..1_000 {
                cache.insert(
                    key,
                    if key % (1_000 / dead) == 0 && key / (1_000 / dead) < dead {
                        1
                    } else {
                        1_000
                    },
                );
            }
            assert_eq!(cache.len(), 1_000);
            manual.advance(2 * SECOND);
            let live = cache.snapshot().len() as u64;
            assert_eq!(live, 1_000 - dead);
            for key in 1_000..1_000 + dead {
                cache.insert(key, 1_000);
            }
            let (now, stats) = (cache.snapshot().len(), cache.stats());
            assert_eq!(now, 1_000, "{dead} of a thousand, for {expected}: {stats:?}");
            assert_eq!((stats.evictions, stats.expirations), (0, dead));
            support::validate(&cache);
        }
    }
}

/// What sweeps have removed is not looked for by writes that need room: there may be more buckets of that kind than a write
/// looks at.
#[test]
fn the_last_expired_entry_makes_room_after_many_were_swept() {
    let (cache, manual) = by_value(5_000, 100_000);
    (0..5_000).for_each(|key| cache.insert(key, 1));
    manual.advance(2 * SECOND);
    cache.maintain(1_000_000);
    assert_eq!(cache.len(), 0);
    cache.insert(u64::MAX, 1);
    (10_000..14_999).for_each(|key| cache.insert(key, 1_000));
    manual.advance(2 * SECOND);
    cache.insert(20_000, 1_000);
    assert_eq!((cache.stats().evictions, cache.stats().expirations), (0, 5_001));
    support::validate(&cache);
}

/// In a table that is a hundred times too large, so that a sweep of one bucket after the other finds next to nothing.
#[test]
fn writes_remove_what_has_expired_wherever_it_is() {
    let (cache, manual) = by_value(5_000, 500_000);
    (0..1_000).for_each(|key| cache.insert(key, 1));
    cache.insert(u64::MAX, 1_000);
    manual.advance(2 * SECOND);
    while cache.stats().expirations < 1_000 {
        let before = cache.stats().expirations;
        // One of two: some writes search the next bucket instead.
        (0..2).for_each(|value| cache.insert(u64::MAX, 1_000 + value));
        assert!(cache.stats().expirations > before, "{before} are gone");
    }
    assert_eq!(cache.len(), 1);
    support::validate(&cache);
}

/// Lives for as long as nobody reads it.
struct UntilRead;

impl Expiry<u64, u64> for UntilRead {
    fn expire_after_read(
        &self,
        _: &u64,
        _: &u64,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Some(Duration::ZERO)
    }
}

/// The table does not know when entries expire that make no room, from when on that is ever known.
#[test]
fn writes_remove_what_has_expired_and_weighs_nothing() {
    for ends in ["when inserted", "later", "when read"] {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(1_000).weigher(|_: &u64, _: &u64| 0).clock(clock);
        let cache = match ends {
            "when inserted" => builder.time_to_live(SECOND).build(),
            "later" => builder.per_entry_ttl().build(),
            _ => builder.expiry(UntilRead).build(),
        };
        let (cache, mut most) = (cache.expect("sound"), 0);
        for key in 0..50_000 {
            cache.insert(key, 0);
            match ends {
                "when inserted" => {}
                "later" => assert!(cache.set_ttl(&key, SECOND)),
                _ => assert!(cache.get(&key).is_some()),
            }
            // A hundred live at most.
            manual.advance(SECOND / 100);
            most = most.max(cache.len());
        }
        assert!(most < 800, "{most} at a time that end {ends}");
        support::validate(&cache);
    }
}

#[test]
fn expired_entries_make_room_though_they_were_read_and_lived_longer_than_they_were_to() {
    let (clock, manual) = Clock::manual();
    // A write looks at 128 of the buckets, all of which seem due. With one hasher in eighty, none of the ten is in them.
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let builder = Cache::builder().capacity(1_000).time_to_idle(10 * SECOND).clock(clock);
    let cache = builder.hasher(hasher).build().expect("sound");
    (0..1_000).for_each(|key| cache.insert(key, key));
    // All but ten are read again and again.
    for _ in 0..5 {
        manual.advance(4 * SECOND);
        (10..1_000).for_each(|key| assert!(cache.get(&key).is_some()));
    }
    (1_000..1_010).for_each(|key| cache.insert(key, key));
    assert_eq!((cache.stats().evictions, cache.stats().expirations), (0, 10));
    assert!((10..1_010).all(|key| cache.contains_key(&key)));
    support::validate(&cache);
}

#[test]
fn expired_entries_make_room_for_what_is_replaced_and_what_is_loaded() {
    let (cache, manual) = by_value(100, 100);
    for round in 0..20_u64 {
        (0..50).for_each(|key| cache.insert(key, 1_000));
        (0..50).for_each(|key| cache.insert(1_000 + 100 * round + key, 1));
        manual.advance(2 * SECOND);
        for key in 0..50 {
            match key % 3 {
                0 => ignore(cache.get_or_load(2_000_000 + key, |_| 1)),
                1 => ignore(cache.compute(2_000_000 + key, |_| Compute::Put(1))),
                _ => cache.insert(2_000_000 + key, 1),
            }
        }
        manual.advance(2 * SECOND);
    }
    assert_eq!(cache.stats().evictions, 0);
    support::validate(&cache);
}

#[test]
fn expired_entries_make_room_beside_writers_in_a_table_that_doubles() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(20_000).expected_entries(1).expiry(ByValue);
    let cache = builder.clock(clock).build().expect("sound");
    for round in 0..size(3, 20) as u64 {
        together(4, |nth| {
            for key in 0..2_500 {
                cache.insert(nth as u64 * 2_500 + key, 1_000_000);
                cache.insert(100_000 + round * 10_000 + nth as u64 * 2_500 + key, 1);
            }
        });
        manual.advance(2 * SECOND);
    }
    // A round before the one that has just ended is dead when it begins.
    assert_eq!(cache.stats().evictions, 0, "{:?}", cache.stats());
    support::validate(&cache);
}

/// Has no deadlines of its own.
struct Silent;
impl Expiry<u64, u64> for Silent {}

#[test]
fn a_time_to_live_beside_an_expiry_is_remembered_by_a_table_that_grows_or_shrinks() {
    for shrinks in [false, true] {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(1_000).expected_entries(1).clock(clock);
        let cache = builder.expiry(Silent).time_to_live(10 * SECOND).build().expect("sound");
        (0..10).for_each(|key| cache.insert(key, 0));
        manual.advance(5 * SECOND);
        (10..1_000).for_each(|key| cache.insert(key, 0));
        if shrinks {
            cache.retain(|&key, _| key < 20);
            cache.set_capacity(20);
        }
        manual.advance(5 * SECOND);
        (1_000..1_010).for_each(|key| cache.insert(key, 0));
        assert_eq!((cache.stats().evictions, cache.stats().expirations), (0, 10), "{shrinks}");
        support::validate(&cache);
    }
}

#[test]
fn what_stands_in_for_others_for_a_while_makes_room_after_that() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(1_000).expected_entries(100).clock(clock);
    let builder = builder.expiry(ByValue).maintenance(Maintenance::Manual);
    let cache = builder.build().expect("sound");
    let _loading = cache.loading(|_: &u64| 0_u64).stale_if_error(10 * SECOND);
    (0..200).for_each(|key| cache.insert(key, 1));
    (200..400).for_each(|key| cache.insert(key, 5));
    (400..1_000).for_each(|key| cache.insert(key, 10_000));
    manual.advance(12 * SECOND);
    // The last of these come in vain to where the others have left, beside what has expired for less than the grace.
    (1_000..1_205).for_each(|key| cache.insert(key, 10_000));
    let evictions = cache.stats().evictions;
    assert_eq!((evictions <= 5, cache.stats().expirations >= 200), (true, true));
    manual.advance(12 * SECOND);
    let expired = cache.len() - cache.snapshot().len();
    (2_000..2_000 + expired as u64).for_each(|key| cache.insert(key, 10_000));
    assert_eq!(cache.stats().evictions, evictions, "{expired} had expired");
}

/// Entries live for long until they are read, and then for a second.
struct Once;
impl Expiry<u64, u64> for Once {
    fn expire_after_create(&self, _: &u64, _: &u64, _: Instant) -> Option<Duration> {
        Some(1_000 * SECOND)
    }
    fn expire_after_read(
        &self,
        _: &u64,
        _: &u64,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Some(SECOND)
    }
}

type Look = fn(&Cache<u64, u64>, u64);

#[test]
fn what_expires_earlier_as_it_was_read_makes_room() {
    let looks: [Look; 4] = [
        |cache, key| assert!(cache.get(&key).is_some()),
        |cache, key| assert!(cache.reader().get(&key).is_some()),
        |cache, key| assert!(cache.insert_if_absent(key, 7).is_err()),
        |cache, key| assert_eq!(cache.compute(key, |_| Compute::Keep), Computed::Kept),
    ];
    for look in looks {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(1_000).expiry(Once).clock(clock);
        let cache = builder.maintenance(Maintenance::Manual).build().expect("sound");
        (0..1_000).for_each(|key| cache.insert(key, 1));
        (0..10).for_each(|key| look(&cache, 100 * key));
        manual.advance(SECOND);
        (1_000..1_010).for_each(|key| cache.insert(key, 1));
        assert_eq!((cache.stats().evictions, cache.stats().expirations), (0, 10));
        support::validate(&cache);
    }
}

/// A search for room on behalf of a replacement passes by the entry that is to be replaced, and does not forget it.
#[test]
fn what_was_spared_while_it_lived_makes_room_when_it_has_expired() {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(10).retired_capacity(1).hasher(Constant).clock(clock);
    let builder = builder.weigher(|_: &u64, value: &u64| 1 + value % 2).expiry(ByValue);
    let cache = builder.maintenance(Maintenance::Manual).build().expect("sound");
    cache.insert(1, 10);
    cache.insert(2, 2);
    (3..10).for_each(|key| cache.insert(key, 1_000));
    // What is removed fills the retired capacity, so what is heavier finds no room.
    let guard = cache.pin();
    cache.invalidate(&2);
    (10..12).for_each(|key| cache.insert(key, 1_000));
    manual.advance(3 * SECOND);
    let refused = cache.try_insert(1, 11).expect_err("there is no room");
    assert_eq!(refused.kind, InsertErrorKind::NoRoom);
    drop(guard);
    manual.advance(10 * SECOND);
    while cache.maintain(100).backlog > 0 {}
    let before = cache.stats();
    cache.insert(20, 1_000);
    let after = cache.stats();
    assert_eq!(after.evictions, before.evictions);
    support::validate(&cache);
}

// ---------------------------------------------------------------------------------------------
// Dead at birth
// ---------------------------------------------------------------------------------------------

type Told = Arc<Mutex<Vec<(u64, u64, RemovalCause)>>>;

fn listening(capacity: u64) -> (Cache<u64, u64>, Told) {
    let (clock, told) = (Clock::manual().0, Told::default());
    let log = Arc::clone(&told);
    let builder = Cache::builder().capacity(capacity).expiry(ByValue).clock(clock);
    let builder = builder.removal_listener(move |&key: &u64, &value, cause| {
        log.lock().expect("no panic").push((key, value, cause));
    });
    (builder.build().expect("sound"), told)
}

#[test]
fn what_is_dead_at_birth_displaces_nobody() {
    let (cache, told) = listening(10);
    (0..10).for_each(|key| cache.insert(key, 100));
    for key in 10..20 {
        assert_eq!(cache.try_insert(key, 0).expect("it has come and gone"), Inserted::New);
        assert!(cache.insert_if_absent(key, 0).is_ok());
        assert_eq!(cache.compute(key, |_| Compute::Put(0)), Computed::Inserted);
        assert_eq!(cache.get_or_load(key, |_| 0), 0);
        cache.insert(key, 0);
    }
    assert_eq!(cache.stats().evictions, 0);
    assert!((0..10).all(|key| cache.contains_key(&key)));
    assert_eq!((cache.stats().insertions, cache.stats().expirations), (60, 50));
    let told = told.lock().expect("no panic");
    assert_eq!(told.len(), 50);
    assert!(
        told.iter()
            .all(|&(key, value, cause)| key >= 10 && value == 0 && cause == RemovalCause::Expired)
    );
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn what_is_dead_at_birth_takes_the_place_of_its_key() {
    let (cache, told) = listening(10);
    cache.insert(1, 100);
    assert_eq!(cache.try_insert(1, 0).expect("it has come and gone"), Inserted::Replaced);
    assert!(cache.is_empty());
    cache.insert(1, 100);
    assert_eq!(cache.compute(1, |_| Compute::Put(0)), Computed::Replaced);
    assert!(cache.is_empty());
    use RemovalCause::{Expired, Replaced};
    let told = told.lock().expect("no panic");
    assert_eq!(*told, [(1, 100, Replaced), (1, 0, Expired), (1, 100, Replaced), (1, 0, Expired)]);
    assert_eq!((cache.stats().replacements, cache.stats().expirations), (2, 2));
    assert_balanced(&cache);
    support::validate(&cache);
}

#[test]
fn a_time_to_live_of_zero_keeps_nothing_and_refuses_nothing() {
    for idle in [false, true] {
        let builder = Cache::builder().capacity(10).clock(Clock::manual().0);
        let builder = if idle {
            builder.time_to_idle(Duration::ZERO)
        } else {
            builder.time_to_live(Duration::ZERO)
        };
        let cache = builder.build().expect("sound");
        (0..100).for_each(|key| cache.insert(key, key));
        assert!(cache.is_empty());
        assert_eq!((cache.stats().refusals, cache.stats().evictions), (0, 0));
        support::validate(&cache);
    }
}

// ---------------------------------------------------------------------------------------------
// Uses
// ---------------------------------------------------------------------------------------------

/// Writes that find a live value and leave it.
fn look(cache: &Cache<u64, u64>, key: u64, way: u64) {
    match way {
        0 => assert_eq!(cache.compute(key, |_| Compute::Keep), Computed::Kept),
        1 => {
            let occupied = cache.insert_if_absent(key, 7).expect_err("it is there");
            assert_eq!(occupied.kind, InsertErrorKind::Occupied);
        }
        _ => {
            let older = cache.insert_if_newer(key, 0, |&version| version).expect_err("it is older");
            assert_eq!(older.kind, InsertErrorKind::Occupied);
        }
    }
}

#[test]
fn writes_that_find_a_value_keep_it_from_idling() {
    for way in 0..3 {
        let (clock, manual) = Clock::manual();
        let cache = Cache::builder().capacity(100).time_to_idle(60 * SECOND).clock(clock).build();
        let cache = cache.expect("sound");
        cache.insert(1, 1);
        for _ in 0..10 {
            manual.advance(20 * SECOND);
            look(&cache, 1, way);
        }
        manual.advance(60 * SECOND);
        assert!(!cache.contains_key(&1));
    }
}

#[test]
fn writes_that_find_a_value_keep_it_from_being_evicted() {
    for way in 0..3 {
        let cache = Cache::new(100);
        (0..100).for_each(|key| cache.insert(key, 1));
        for key in 1_000..3_000 {
            (0..10).for_each(|used| look(&cache, used, way));
            cache.insert(key, 1);
        }
        assert!((0..10).all(|key| cache.contains_key(&key)), "way {way}");
    }
}

// ---------------------------------------------------------------------------------------------
// Sizes
// ---------------------------------------------------------------------------------------------

#[test]
fn a_table_beyond_memory_is_told_and_not_tried() {
    let expected = 1_usize << 34;
    for timed in [false, true] {
        let builder = Cache::<u64, u64>::builder().capacity(u64::MAX).expected_entries(expected);
        let builder = if timed { builder.time_to_live(SECOND) } else { builder };
        // A machine that has so much may build it.
        if let Err(error) = builder.build() {
            assert!(
                matches!(error, BuildError::OutOfMemory { entries, .. } if entries == expected)
            );
            assert!(error.to_string().contains("expected_entries"), "{error}");
        }
    }
    let unasked = Cache::<u64, u64>::builder().capacity(u64::MAX).build();
    assert!(unasked.is_ok(), "a large capacity alone asks for nothing");
}
