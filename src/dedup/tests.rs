use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::ident::SnapshotId;
use super::ring::{Oldest, Put, Ring};
use super::window::Window;
use super::word::{Ended, Slot, State, Until};
use super::*;
use crate::time::{Clock, Deadline, Moment};

fn until(nanos: u64) -> Until {
    Until::new(Deadline::from_word(nanos))
}

#[test]
fn a_deadline_in_the_word_is_never_earlier_and_at_most_eight_nanoseconds_later() {
    for nanos in [0, 1, 7, 8, 9, 1000, 1 << 62, (1 << 63) - 16] {
        let kept = until(nanos).deadline().to_word();
        assert!((nanos..nanos + 8).contains(&kept), "{nanos} became {kept}");
    }
    let never = Until::new(Deadline::NEVER);
    assert_eq!(never.deadline(), Deadline::NEVER);
    assert!(!never.is_passed(Moment::from_word(u64::MAX)));
    assert!(until(8).is_passed(Moment::from_word(8)) && !until(9).is_passed(Moment::from_word(9)));
}

#[test]
fn a_word_goes_from_claimed_to_done_to_gone() {
    let slot = Slot::claimed(until(8));
    let own = slot.hold(until(8));
    assert_eq!(slot.read().state(), State::Claimed(until(8)));
    assert_eq!(slot.complete(slot.hold(until(16)), until(80)), None, "another's claim");
    let other = Slot::claimed(until(8));
    assert_eq!(other.complete(own, until(80)), None, "another's record");
    assert!(slot.join(slot.read()) && slot.join(slot.read()));
    assert_eq!(slot.complete(own, until(80)), Some(Ended { joined: true }));
    assert_eq!(slot.read().state(), State::Done(until(80)));
    assert_eq!(slot.abandon(own), None);
    let seen = slot.read();
    assert!(slot.forget(seen) && !slot.forget(seen) && slot.is_gone());
}

#[test]
fn a_claim_that_was_taken_over_keeps_those_who_wait() {
    let slot = Slot::claimed(until(8));
    let (seen, old) = (slot.read(), slot.hold(until(8)));
    assert!(slot.join(seen) && slot.take_over(seen, until(16)).is_none());
    let new = slot.take_over(slot.read(), until(16)).expect("nobody else is here");
    assert_eq!(slot.complete(old, until(80)), None, "the old ticket");
    assert_eq!(slot.abandon(new), Some(Ended { joined: true }));
    assert!(slot.is_gone());
}

#[test]
fn a_ring_gives_back_what_was_put_in_a_round_earlier() {
    for cells in [1, 2, 5, 4096, 5000] {
        let ring = Ring::new(cells);
        for hash in 1..3 * cells {
            let place = ring.take_place();
            let cell = place % cells;
            let lap = ring.lap(place).wrapping_sub(1);
            let wanted = (hash > cells).then(|| Oldest { hash: hash - cells, cell, lap });
            assert_eq!(ring.put(place, hash, until(hash), false), Put::Placed(wanted));
        }
        let hashes = ring.places().map(|place| ring.look(place).expect("there").hash);
        assert!(hashes.eq(2 * cells..3 * cells), "in the order of completion");
    }
}

#[test]
fn a_completion_that_comes_a_round_late_gives_way() {
    let ring = Ring::new(3);
    let late = ring.take_place();
    for hash in 11..=13 {
        ring.put(ring.take_place(), hash, until(80), false);
    }
    assert_eq!(ring.put(late, 10, until(80), false), Put::Late, "13 was completed after it");
    assert_eq!(ring.look(late).map(|oldest| oldest.hash), Some(13));
    // A guest gives way to what is due later, in whatever order they came.
    assert_eq!(ring.put(ring.take_place(), 14, until(40), true), Put::Late);
    let put = ring.put(ring.take_place(), 15, until(88), true);
    assert!(matches!(put, Put::Placed(Some(Oldest { hash: 12, .. }))), "{put:?}");
}

#[test]
fn a_ring_tells_once_what_is_due() {
    let ring = Ring::new(10);
    for hash in 1..=10 {
        ring.put(ring.take_place(), hash, until(8 * hash), false);
    }
    let now = Moment::from_word(40);
    let due: Vec<u64> = std::iter::from_fn(|| ring.next_due(now)).collect();
    assert_eq!(due, [0, 1, 2, 3, 4]);
    let hashes: Vec<u64> =
        due.iter().filter_map(|&place| Some(ring.take_due(place, now)?.hash)).collect();
    assert_eq!(hashes, [1, 2, 3, 4, 5]);
    assert!(due.iter().all(|&place| ring.take_due(place, now).is_none()));
}

/// Offsets that meet often, at both ends of `u64` and in the middle.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40_u64,
        3 => (0..40_u64).prop_map(|back| u64::MAX - back),
        2 => (0..1200_u64).prop_map(|on| (1 << 40) + on),
        1 => any::<u64>(),
    ]
}

#[derive(Debug, Clone)]
enum Step {
    Mark(u64),
    /// Marks so many from an offset on.
    Run(u64, u64),
    Raise(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => offset().prop_map(Step::Mark),
        2 => (offset(), 1..1100_u64).prop_map(|(from, length)| Step::Run(from, length)),
        1 => offset().prop_map(Step::Raise),
    ]
}

/// What a window must be: everything below `low`, and a set.
#[derive(Default)]
struct Plain {
    low: u128,
    done: BTreeSet<u64>,
}

impl Plain {
    fn mark(&mut self, offset: u64) -> bool {
        let new = u128::from(offset) >= self.low && self.done.insert(offset);
        self.settle();
        new
    }

    fn settle(&mut self) {
        while self.low <= u128::from(u64::MAX) && self.done.contains(&(self.low as u64)) {
            self.low += 1;
        }
        self.done = match u64::try_from(self.low) {
            Ok(low) => self.done.split_off(&low),
            Err(_) => BTreeSet::new(),
        };
    }

    fn is_done(&self, offset: u64) -> bool {
        u128::from(offset) < self.low || self.done.contains(&offset)
    }
}

fn run_steps(steps: &[Step]) -> (Window, Plain) {
    let (mut window, mut plain) = (Window::default(), Plain::default());
    for step in steps {
        match *step {
            Step::Mark(offset) => assert_eq!(window.mark(offset), plain.mark(offset)),
            Step::Run(from, length) => {
                for offset in from..=from.saturating_add(length) {
                    assert_eq!(window.mark(offset), plain.mark(offset), "{offset}");
                }
            }
            Step::Raise(low) => {
                window.raise(low);
                plain.low = plain.low.max(u128::from(low));
                plain.settle();
            }
        }
        assert_eq!(window.is_full(), plain.low == 1 << 64);
        assert_eq!(u128::from(window.low()) + u128::from(window.is_full()), plain.low);
        assert_eq!(window.above(), plain.done.len() as u64);
    }
    (window, plain)
}

proptest! {
    #[test]
    fn a_window_is_a_watermark_and_a_set(
        steps in prop::collection::vec(step(), 0..40),
        asked in prop::collection::vec(offset(), 0..40),
    ) {
        let (window, plain) = run_steps(&steps);
        let near = plain.done.iter().flat_map(|&o| [o, o.wrapping_sub(1), o.wrapping_add(1)]);
        for offset in asked.into_iter().chain(near) {
            prop_assert_eq!(window.is_done(offset), plain.is_done(offset), "{}", offset);
        }
        // A chunk is there only where something is done above the watermark.
        let chunks: BTreeSet<u64> = plain.done.iter().map(|offset| offset / 512).collect();
        prop_assert!(window.chunks().map(|(number, _)| number).eq(chunks));
    }

    #[test]
    fn merged_windows_are_united_sets(
        ours in prop::collection::vec(step(), 0..12),
        theirs in prop::collection::vec(step(), 0..12),
        asked in prop::collection::vec(offset(), 0..40),
    ) {
        let (mut window, one) = run_steps(&ours);
        let (merged, other) = run_steps(&theirs);
        window.merge(&merged);
        for offset in asked.into_iter().chain(one.done.clone()).chain(other.done.clone()) {
            let done = one.is_done(offset) || other.is_done(offset);
            prop_assert_eq!(window.is_done(offset), done, "{}", offset);
        }
    }

    #[test]
    fn ids_are_read_back_as_they_were_written(id: (String, i32, u64), bytes: Vec<u8>) {
        let mut out = Vec::new();
        id.encode(&mut out);
        bytes.encode(&mut out);
        let mut rest = &out[..];
        prop_assert_eq!(<(String, i32, u64)>::decode(&mut rest), Some(id));
        prop_assert_eq!(Vec::<u8>::decode(&mut rest), Some(bytes));
        prop_assert!(rest.is_empty());
        for end in 0..out.len() {
            let mut cut = &out[..end];
            let whole = <(String, i32, u64)>::decode(&mut cut).is_some();
            prop_assert!(!(whole && Vec::<u8>::decode(&mut cut).is_some()));
        }
    }
}

#[test]
fn every_offset_there_is_makes_a_window_full() {
    let mut window = Window::new(u64::MAX - 600);
    (u64::MAX - 599..=u64::MAX).for_each(|offset| assert!(window.mark(offset)));
    assert!(!window.is_full() && window.mark(u64::MAX - 600));
    assert!(window.is_full() && window.low() == u64::MAX && window.chunks().count() == 0);
    assert!(window.is_done(u64::MAX) && !window.mark(u64::MAX));
}

#[test]
fn equal_hashes_are_forgotten_all_the_same() {
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Same(u64);
    impl std::hash::Hash for Same {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }
    let seen = Deduplicator::builder().capacity(10).clock(Clock::manual().0).build().unwrap();
    for n in 0..50 {
        assert!(seen.mark_processed(Same(n)));
        assert!(!seen.mark_processed(Same(n)));
    }
    assert_eq!(seen.len(), 10);
    assert!((0..50).all(|n| seen.is_processed(&Same(n)) == (n >= 40)), "the oldest went first");
    assert_eq!(seen.health(), Health::Critical { forgotten_early: 40 });
}

#[test]
fn one_id_in_one_cell_again_and_again() {
    let (clock, hand) = Clock::manual();
    let second = Duration::from_secs(1);
    let seen = Deduplicator::builder().capacity(1).ttl(second).clock(clock).build().unwrap();
    for _ in 0..10 {
        assert!(seen.mark_processed(1) && !seen.mark_processed(1));
        assert_eq!(seen.len(), 1);
        hand.advance(second);
    }
    assert!(seen.mark_processed(1) && seen.mark_processed(2));
    assert_eq!((seen.len(), seen.metrics().forgotten_early), (1, 1));
}
