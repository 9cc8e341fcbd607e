//! Time that passes between two processes.

use std::time::Duration;

use super::{frame, wall_time};
use crate::time::nanos;
use crate::{Cache, Clock};

const SECOND: Duration = Duration::from_secs(1);

fn timed() -> Cache<u32, u32> {
    let (clock, _) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).time_to_live(SECOND * 100);
    builder.build().expect("the settings agree")
}

#[test]
fn the_time_between_saving_and_loading_counts() {
    let old = timed();
    old.insert(1, 1);
    old.insert_with_ttl(2, 2, SECOND * 10);
    old.insert_with_ttl(3, 3, Duration::MAX);
    let mut snapshot = Vec::new();
    assert_eq!(old.save_to(&mut snapshot).expect("written"), 3);
    let later = |seconds| wall_time() + nanos(SECOND * seconds);
    for (passed, entries) in [(0, 3), (5, 3), (11, 2), (99, 2), (101, 1), (1_000_000, 1)] {
        let new = timed();
        assert_eq!(new.load_at(&*snapshot, || later(passed)).expect("whole"), entries);
        let info = |key| new.entry_info(&key);
        if let Some(info) = info(1) {
            let left = info.expires_in.expect("it expires");
            let expected = SECOND * 100 - SECOND * passed;
            assert!(left <= expected && left + SECOND > expected, "{left:?} after {passed}");
        }
        assert_eq!(info(3).map(|info| info.expires_in), Some(None));
        assert_eq!(new.len() as u64, entries);
    }
    // A clock that was set back.
    let new = timed();
    assert_eq!(new.load_at(&*snapshot, || 0).expect("whole"), 3);
    assert_eq!(new.entry_info(&2).and_then(|info| info.expires_in), Some(SECOND * 10));
}

/// Blocks of a snapshot: where each begins.
fn blocks(snapshot: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut at, mut blocks) = (12, Vec::new());
    while at < snapshot.len() {
        let length = u32::from_le_bytes(snapshot[at..at + 4].try_into().expect("four bytes"));
        blocks.push(at..at + 8 + length as usize);
        at += 8 + length as usize;
    }
    blocks
}

#[test]
fn a_block_that_is_missing_twice_or_elsewhere_is_found() {
    let old = Cache::<u32, String>::new(10_000);
    (0..5_000).for_each(|key| old.insert(key, "x".repeat(50)));
    let mut snapshot = Vec::new();
    old.save_to(&mut snapshot).expect("written");
    let parts = blocks(&snapshot);
    assert!(parts.len() > 4, "several blocks of entries");
    let built = |order: &[usize]| {
        let blocks = order.iter().flat_map(|&nth| &snapshot[parts[nth].clone()]);
        snapshot[..12].iter().chain(blocks).copied().collect::<Vec<u8>>()
    };
    let all: Vec<usize> = (0..parts.len()).collect();
    assert_eq!(built(&all), snapshot);
    for nth in 0..parts.len() {
        let (mut without, mut twice, mut swapped) = (all.clone(), all.clone(), all.clone());
        without.remove(nth);
        twice.insert(nth, nth);
        swapped.swap(nth, (nth + 1) % parts.len());
        for order in [without, twice, swapped] {
            let new = Cache::<u32, String>::new(10_000);
            let same = order == all || order == [all.clone(), vec![parts.len() - 1]].concat();
            assert_eq!(new.load_from(&*built(&order)).is_ok(), same, "{order:?}");
            assert_eq!(new.is_empty(), !same);
        }
    }
}

#[test]
fn kinds_of_blocks_are_told_apart() {
    let kinds = [frame::Kind::Header, frame::Kind::Entries, frame::Kind::Ghosts, frame::Kind::End];
    assert_eq!(kinds.map(|kind| kind as u8), [1, 2, 3, 4], "the format is fixed");
}
