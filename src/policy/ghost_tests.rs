//! What is remembered of keys that were evicted.

use super::ghosts::{EvictedFrom, Ghosts};
use super::recent_uses::Periods;
use crate::slot_meta::Region;

fn mix(key: u64) -> u64 {
    let mixed = (key ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[test]
fn ghosts_remember_the_latest_and_how_long_ago() {
    let (ghosts, periods) = (Ghosts::new(6_000), Periods::new(6_000));
    let uses = |key: u64| key as u8 & 0xf;
    for key in 0..40_000 {
        ghosts.put(Region::Probation, mix(key), uses(key), key);
    }
    let remembered = |key: u64| ghosts.time(mix(key)).is_some();
    // A few have the tag of another one in their set.
    let count = (0..40_000).filter(|&key| remembered(key)).count();
    assert!((15_900..=16_100).contains(&count), "{count} ghosts in a thousand sets of sixteen");
    assert!((0..12_000).filter(|&key| remembered(key)).count() < 100, "old ones are still there");
    let (mut near, mut others, mut twice) = (0, 0, 0);
    for key in (30_000..40_000).filter(|&key| remembered(key)) {
        let ghost = ghosts.take(mix(key), 40_000, &periods).expect("it is remembered");
        twice += usize::from(ghosts.take(mix(key), 40_000, &periods).is_some());
        let is_its_own = ghost.absent.abs_diff(40_000 - key) < 94
            && ghost.recent_uses == periods.of_count(uses(key), key);
        others += usize::from(!is_its_own);
        near += usize::from(ghost.evicted_from == EvictedFrom::Near);
    }
    assert!(others < 10, "{others} were taken for others");
    assert!(twice < 10, "{twice} were still there after they were taken");
    assert!((1_240..=1_400).contains(&near), "{near}: 0.22 of the capacity is near");
}

#[test]
fn a_ghost_halves_its_count_with_the_time() {
    let (ghosts, periods) = (Ghosts::new(1_000), Periods::new(1_000));
    let after = |misses: u64| {
        ghosts.put(Region::Probation, mix(1), 12, 5_000);
        let ghost = ghosts.take(mix(1), 5_000 + misses, &periods).expect("it was put");
        periods.count(ghost.recent_uses, 5_000 + misses)
    };
    assert_eq!([0, 6_000, 8_000, 18_000, 20_000].map(after), [12, 12, 6, 6, 3]);
}

#[test]
fn a_ghost_that_another_thread_has_just_put_left_just_now() {
    let (ghosts, periods) = (Ghosts::new(1_000), Periods::new(1_000));
    ghosts.put(Region::Probation, mix(1), 1, 5_100);
    assert_eq!(ghosts.take(mix(1), 5_000, &periods).expect("it was put").absent, 0);
}

#[test]
fn a_ghost_that_was_taken_makes_room_first() {
    let (ghosts, periods) = (Ghosts::new(1), Periods::new(1));
    for at in [0, 3_000, 4_096, 9_000] {
        for key in 0..200_000 {
            ghosts.put(Region::Probation, mix(key), 1, at);
        }
        let last = mix(199_999);
        assert!(ghosts.take(last, at, &periods).is_some(), "the last one is there");
        let count = || (0..200_000).filter(|&key| ghosts.time(mix(key)).is_some()).count();
        let before = count();
        ghosts.put(Region::Probation, last, 1, at);
        assert!(count() > before, "no other one went, at {at}");
    }
}

#[test]
fn the_region_that_a_ghost_left_counts_for_a_while() {
    let (ghosts, periods) = (Ghosts::new(1_000), Periods::new(1_000));
    let left = |region, after: u64| {
        ghosts.put(region, mix(1), 0, 5_000);
        ghosts.take(mix(1), 5_000 + after, &periods).expect("it was put").evicted_from
    };
    let probation = [100, 300, 3_900, 4_100].map(|after| left(Region::Probation, after));
    assert_eq!(
        probation,
        [EvictedFrom::Near, EvictedFrom::Far, EvictedFrom::Far, EvictedFrom::TooLongAgo]
    );
    let protected = [100, 600, 800].map(|after| left(Region::Protected, after));
    assert_eq!(
        protected,
        [EvictedFrom::Protected, EvictedFrom::Protected, EvictedFrom::TooLongAgo]
    );
}

#[test]
fn a_key_that_comes_and_goes_has_one_ghost() {
    let (ghosts, periods) = (Ghosts::new(100), Periods::new(100));
    for (now, region) in [(10, Region::Probation), (20, Region::Protected)] {
        ghosts.put(region, mix(1), 0, now);
        assert_eq!(ghosts.take(mix(1), now + 6, &periods).map(|ghost| ghost.absent), Some(6));
        assert!(ghosts.take(mix(1), now + 6, &periods).is_none());
    }
}
