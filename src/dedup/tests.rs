use std::ops::Range;
use std::time::Duration;

use proptest::prelude::*;

use super::claim_word::{ClaimCell, ClaimDeadline, ClaimEnd, ClaimState};
use super::id_source::OwnedId;
use super::ident::SnapshotId;
use super::ring::{PutOutcome, Ring, RingEntry};
use super::set::{END, OffsetSet};
use super::store::{DedupSettings, Store};
use super::*;
use crate::health::{Status, Thresholds};
use crate::time::{Clock, Deadline, Moment};

fn until(nanos: u64) -> ClaimDeadline {
    ClaimDeadline::new(Deadline::from_word(nanos))
}

#[test]
fn a_deadline_in_the_word_is_never_earlier_and_at_most_eight_nanoseconds_later() {
    for nanos in [0, 1, 7, 8, 9, 1000, 1 << 62, (1 << 63) - 16] {
        let kept = until(nanos).deadline().to_word();
        assert!((nanos..nanos + 8).contains(&kept), "{nanos} became {kept}");
    }
    let never = ClaimDeadline::new(Deadline::NEVER);
    assert_eq!(never.deadline(), Deadline::NEVER);
    assert!(!never.is_passed(Moment::from_word(u64::MAX)));
    assert!(until(8).is_passed(Moment::from_word(8)) && !until(9).is_passed(Moment::from_word(9)));
}

#[test]
fn a_word_goes_from_claimed_to_done_to_tombstone() {
    let cell = ClaimCell::claimed(until(8));
    let own = cell.claim_id(until(8));
    assert_eq!(cell.read().state(), ClaimState::Claimed(until(8)));
    assert_eq!(cell.complete(cell.claim_id(until(16)), until(80)), None, "another's claim");
    let other = ClaimCell::claimed(until(8));
    assert_eq!(other.complete(own, until(80)), None, "another's record");
    assert!(cell.join(cell.read()) && cell.join(cell.read()));
    assert_eq!(cell.complete(own, until(80)), Some(ClaimEnd { has_waiters: true }));
    assert_eq!(cell.read().state(), ClaimState::Done(until(80)));
    assert_eq!(cell.abandon(own), None);
    let seen = cell.read();
    assert!(cell.forget(seen) && !cell.forget(seen) && cell.is_tombstone());
}

#[test]
fn a_claim_that_was_taken_over_keeps_its_waiters() {
    let cell = ClaimCell::claimed(until(8));
    let (seen, old) = (cell.read(), cell.claim_id(until(8)));
    assert!(cell.join(seen) && cell.take_over(seen, until(16)).is_none());
    let new = cell.take_over(cell.read(), until(16)).expect("nobody else is here");
    assert_eq!(cell.complete(old, until(80)), None, "the old ticket");
    assert_eq!(cell.abandon(new), Some(ClaimEnd { has_waiters: true }));
    assert!(cell.is_tombstone());
}

#[test]
fn a_ring_gives_back_what_was_put_in_a_round_earlier() {
    for cells in [1, 2, 5, 4096, 5000] {
        let ring = Ring::new(cells);
        for hash in 1..3 * cells {
            let position = ring.take_position();
            let cell = position % cells;
            let lap = ring.lap(position).wrapping_sub(1);
            let wanted = (hash > cells).then(|| RingEntry { hash: hash - cells, cell, lap });
            assert_eq!(ring.put(position, hash, until(hash)), PutOutcome::Stored(wanted));
        }
        let hashes = ring.positions().map(|position| ring.look(position).expect("there").hash);
        assert!(hashes.eq(2 * cells..3 * cells), "in the order of completion");
    }
}

#[test]
fn a_completion_that_comes_a_round_late_gives_way() {
    let ring = Ring::new(3);
    let late = ring.take_position();
    for hash in 11..=13 {
        ring.put(ring.take_position(), hash, until(80));
    }
    assert_eq!(ring.put(late, 10, until(80)), PutOutcome::Late, "13 was completed after it");
    assert_eq!(ring.look(late).map(|oldest| oldest.hash), Some(13));
}

#[test]
fn a_ring_tells_once_what_is_due() {
    let ring = Ring::new(10);
    for hash in 1..=10 {
        ring.put(ring.take_position(), hash, until(8 * hash));
    }
    let now = Moment::from_word(40);
    let due: Vec<u64> = std::iter::from_fn(|| ring.next_due(now)).collect();
    assert_eq!(due, [0, 1, 2, 3, 4]);
    let hashes: Vec<u64> =
        due.iter().filter_map(|&position| Some(ring.take_due(position, now)?.hash)).collect();
    assert_eq!(hashes, [1, 2, 3, 4, 5]);
    assert!(due.iter().all(|&position| ring.take_due(position, now).is_none()));
}

/// Offsets that meet often, at both ends and in the middle.
fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..40_u64,
        3 => (1..40_u64).prop_map(|back| END - back),
        3 => (0..3000_u64).prop_map(|on| (1 << 40) + on),
        1 => 0..END,
    ]
}

/// Runs that are short, or many chunks long.
fn run() -> impl Strategy<Value = Range<u64>> {
    let length = prop_oneof![3 => Just(1_u64), 3 => 1..40_u64, 2 => 400..2200_u64, 1 => 0..END];
    (offset(), length).prop_map(|(from, length)| from..from.saturating_add(length).min(END))
}

/// What a set of offsets must be: the ends of runs, sorted, none empty, and none touching.
#[derive(Debug, Clone, Default, PartialEq)]
struct Runs(Vec<Range<u64>>);

impl Runs {
    fn contains(&self, offset: u64) -> bool {
        self.0.iter().any(|run| run.contains(&offset))
    }

    fn remove(&mut self, gone: &Range<u64>) {
        let cut = |run: &Range<u64>| {
            [run.start..run.end.min(gone.start), run.start.max(gone.end)..run.end]
        };
        self.0 = self.0.iter().flat_map(cut).filter(|run| !run.is_empty()).collect();
    }

    fn insert(&mut self, new: &Range<u64>) {
        let touches = |run: &Range<u64>| run.start <= new.end && new.start <= run.end;
        let (touching, mut apart): (Vec<_>, Vec<_>) = self.0.drain(..).partition(touches);
        let start = touching.iter().map(|run| run.start).min().unwrap_or(END).min(new.start);
        let end = touching.iter().map(|run| run.end).max().unwrap_or(0).max(new.end);
        apart.push(start..end);
        apart.sort_by_key(|run| run.start);
        self.0 = apart;
    }
}

proptest! {
    #[test]
    fn a_set_of_offsets_is_its_runs(
        steps in prop::collection::vec((prop::bool::weighted(0.6), run()), 0..40),
        source in prop::collection::vec(offset(), 0..40),
        part in run(),
    ) {
        let (mut set, mut plain) = (OffsetSet::default(), Runs::default());
        for (insert, run) in steps {
            if insert {
                set.insert_run(run.clone());
                if !run.is_empty() {
                    plain.insert(&run);
                }
            } else {
                set.remove_run(run.clone());
                plain.remove(&run);
            }
            prop_assert!(set.runs(0..END).eq(plain.0.iter().cloned()), "{:?} {:?}", set, plain);
        }
        prop_assert_eq!(set.is_empty(), plain.0.is_empty());
        prop_assert_eq!(set.end(), plain.0.last().map_or(0, |run| run.end));
        let near = plain.0.iter().flat_map(|run| [run.start, run.end.min(END - 1)]);
        for offset in source.into_iter().chain(near).flat_map(|o| [o, o.saturating_sub(1)]) {
            prop_assert_eq!(set.contains(offset), plain.contains(offset), "{}", offset);
        }
        // Gaps are what runs are not.
        let mut rest = Runs(vec![part.clone()]);
        plain.0.iter().for_each(|run| rest.remove(run));
        rest.0.retain(|run| !run.is_empty());
        prop_assert!(set.gaps(part.clone()).eq(rest.0.iter().cloned()));
        let mut bytes = Vec::new();
        set.encode(&mut bytes);
        prop_assert_eq!(OffsetSet::decode(&mut &bytes[..]), Some(set.clone()), "read back");
        // Blurred, it has all that it had, and is unchanged from the offset on.
        let before = set.clone();
        set.blur(2, part.start);
        prop_assert!(before.runs(0..END).all(|run| set.gaps(run).next().is_none()));
        prop_assert!(set.runs(part.start..END).eq(before.runs(part.start..END)));
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
    let health = seen.health(&Thresholds::default());
    assert_eq!((health.status, health.reasons[0].value), (Status::Critical, 40.0));
}

#[test]
fn one_id_in_one_cell_again_and_again() {
    let (clock, manual) = Clock::manual();
    let second = Duration::from_secs(1);
    let seen = Deduplicator::builder().capacity(1).ttl(second).clock(clock).build().unwrap();
    for _ in 0..10 {
        assert!(seen.mark_processed(1) && !seen.mark_processed(1));
        assert_eq!(seen.len(), 1);
        manual.advance(second);
    }
    assert!(seen.mark_processed(1) && seen.mark_processed(2));
    assert_eq!((seen.len(), seen.metrics().forgotten_early), (1, 1));
}

/// Or every completion would make the oldest a guest from then on.
#[test]
fn a_due_entry_that_is_forgotten_leaves_nothing_behind() {
    let second = Duration::from_secs(1);
    let settings = DedupSettings {
        capacity: 4,
        ttl: 100 * second,
        lease: second,
        cleanup_interval: second,
        enabled: true,
        inline: true,
        clock: Clock::manual().0,
    };
    let store = Store::<u64>::new(settings);
    let complete = |id| {
        let Claim::New(handle) = store.claim(OwnedId(id)) else { panic!("{id} is new") };
        assert!(store.complete(&handle));
    };
    store.remember(1, None);
    assert!(store.forget_id(&1) && store.due_set.is_empty());
    (2..6).for_each(complete);
    assert!(store.due_set.is_empty(), "the ring is not round");
    (6..8).for_each(complete);
    assert!(store.due_set.is_empty(), "there is no room");
    assert!(store.forget_id(&5));
    (8..20).for_each(complete);
    assert!(store.due_set.is_empty(), "they have made room");
    assert_eq!(store.size(), 4);
}
