//! Offsets: each is granted once, what is contiguous is one number, and the memory goes with the gaps.

#![cfg(feature = "dedup")]

mod support;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use clockhand::Clock;
use clockhand::dedup::{Claim, OffsetTicket, OffsetTracker};
use proptest::prelude::*;
use std::collections::BTreeSet;
use support::{Random, size, together};

fn tracker() -> OffsetTracker {
    OffsetTracker::builder().build().expect("the defaults agree")
}

fn ticket(tracker: &OffsetTracker, offset: u64) -> OffsetTicket {
    tracker.claim("t", 0, offset).ticket().expect("the offset is open")
}

#[test]
fn the_watermark_follows_what_is_contiguous() {
    let tracker = tracker();
    let held = ticket(&tracker, 0);
    for offset in 1..5000 {
        assert!(tracker.mark_processed("t", 0, offset));
    }
    assert_eq!((tracker.committable("t", 0), tracker.metrics().size), (0, 4999));
    assert!(held.complete());
    assert_eq!((tracker.committable("t", 0), tracker.metrics().size), (5000, 0));
    assert_eq!(tracker.gap_bytes(), 0);
    assert!(tracker.claim("t", 0, 17).is_done() && tracker.claim("t", 0, 5000).is_new());
    assert_eq!(tracker.committables(), [("t".to_string(), 0, 5000)]);
}

#[test]
fn partitions_are_apart() {
    let tracker = tracker();
    let partition = tracker.partition("t", 1);
    assert!(partition.mark_processed(0));
    for (topic, number) in [("t", 0), ("t", 2), ("s", 1), ("t", -1)] {
        assert!(!tracker.is_processed(topic, number, 0));
        assert_eq!(tracker.committable(topic, number), 0);
        assert!(tracker.claim(topic, number, 0).is_new());
    }
    assert!(tracker.is_processed("t", 1, 0) && partition.committable() == 1);
    tracker.start_at("t", 1, 100);
    assert!(partition.is_processed(99) && !partition.is_processed(100));
    tracker.start_at("t", 1, 50);
    assert_eq!(partition.committable(), 100, "it does not go back");
}

#[test]
fn the_ends_of_the_offsets() {
    let tracker = tracker();
    tracker.start_at("t", 0, u64::MAX - 2);
    let last = ticket(&tracker, u64::MAX);
    assert!(tracker.mark_processed("t", 0, u64::MAX - 1));
    assert!(tracker.mark_processed("t", 0, u64::MAX - 2));
    assert_eq!(tracker.committable("t", 0), u64::MAX);
    assert!(!tracker.partition("t", 0).is_complete() && !tracker.is_processed("t", 0, u64::MAX));
    assert!(last.complete() && tracker.partition("t", 0).is_complete());
    assert!(tracker.claim("t", 0, u64::MAX).is_done() && tracker.claim("t", 0, 0).is_done());
    let other = self::tracker();
    assert_eq!(other.restore(&tracker.snapshot()), Ok(1));
    assert!(other.partition("t", 0).is_complete());
}

#[test]
fn offsets_far_apart_cost_little() {
    let tracker = tracker();
    for shift in 0..64 {
        assert!(tracker.mark_processed("t", 0, 1 << shift));
    }
    assert!(tracker.mark_processed("t", 0, u64::MAX));
    assert!(tracker.gap_bytes() < 60 * 200, "{} bytes", tracker.gap_bytes());
}

#[test]
fn leases_and_tickets() {
    let (clock, hand) = Clock::manual();
    let builder = OffsetTracker::builder().clock(clock).lease(Duration::from_secs(10));
    let tracker = builder.build().expect("they agree");
    drop(ticket(&tracker, 0));
    let old = ticket(&tracker, 0);
    assert!(tracker.claim("t", 0, 0).is_in_progress());
    hand.advance(Duration::from_secs(10));
    let new = ticket(&tracker, 0);
    assert!(!old.complete() && tracker.claim("t", 0, 0).is_in_progress());
    assert!(new.complete() && tracker.claim("t", 0, 0).is_done());
    let metrics = tracker.metrics();
    assert_eq!((metrics.abandoned, metrics.lease_expired, metrics.late), (1, 1, 1));
    assert_eq!((metrics.adds, metrics.duplicates, metrics.in_progress_hits), (1, 1, 2));
    assert!(OffsetTracker::builder().lease(Duration::ZERO).build().is_err());
    let off = OffsetTracker::builder().enabled(false).build().expect("they agree");
    assert!(off.mark_processed("t", 0, 1) && off.mark_processed("t", 0, 1));
    assert_eq!(off.metrics().untracked, 2);
}

#[test]
fn every_offset_is_granted_once_among_threads() {
    let (offsets, partitions) = (size(3000, 300_000) as u64, 3);
    let tracker = tracker();
    let processed: Vec<AtomicU8> = (0..offsets * partitions).map(|_| AtomicU8::new(0)).collect();
    together(6, |thread| {
        let mut random = Random::new(thread as u64);
        for nth in 0..offsets {
            for partition in 0..partitions {
                let offset = nth.saturating_sub(random.below(20));
                if let Claim::New(ticket) = tracker.claim("t", partition as i32, offset) {
                    if random.one_in(10) {
                        continue;
                    }
                    let at = (partition * offsets + offset) as usize;
                    processed[at].fetch_add(1, Ordering::Relaxed);
                    assert!(ticket.complete());
                }
            }
        }
    });
    for partition in 0..partitions {
        let once = |offset: u64| {
            let count = processed[(partition * offsets + offset) as usize].load(Ordering::Relaxed);
            let done = tracker.is_processed("t", partition as i32, offset);
            assert_eq!(u8::from(done), count, "{offset}");
            done
        };
        let low = tracker.committable("t", partition as i32);
        assert!((0..low).all(once) && (low == offsets || !once(low)));
    }
}

#[test]
fn a_restart_in_the_middle_processes_nothing_twice_but_what_was_in_flight() {
    let first = tracker();
    for offset in (0..1000).filter(|offset| offset % 7 != 3) {
        assert!(first.mark_processed("t", 0, offset));
    }
    let in_flight = first.claim("t", 0, 3);
    let second = tracker();
    assert!(second.mark_processed("t", 0, 3));
    assert_eq!(second.restore(&first.snapshot()), Ok(1));
    drop(in_flight);
    assert_eq!(second.committable("t", 0), 10);
    assert!(
        (0..1000)
            .all(|offset| second.is_processed("t", 0, offset) == (offset % 7 != 3 || offset == 3))
    );
    let bytes = first.snapshot();
    for end in 0..bytes.len() {
        assert!(second.restore(&bytes[..end]).is_err());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Claim(u64),
    Complete(usize),
    Abandon(usize),
    Restart,
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        5 => 0..30_u64,
        3 => (0..30_u64).prop_map(|back| u64::MAX - back),
        1 => (0..2000_u64).prop_map(|on| (1 << 50) + on),
    ]
}

proptest! {
    /// The tracker against a set of done offsets and one of claimed ones.
    #[test]
    fn a_tracker_is_two_plain_sets(
        steps in prop::collection::vec(prop_oneof![
            6 => offset().prop_map(Step::Claim),
            4 => (0..8_usize).prop_map(Step::Complete),
            1 => (0..8_usize).prop_map(Step::Abandon),
            1 => Just(Step::Restart),
        ], 0..200),
    ) {
        let mut tracker = tracker();
        let (mut done, mut held) = (BTreeSet::new(), Vec::<OffsetTicket>::new());
        for step in steps {
            match step {
                Step::Claim(offset) => match tracker.claim("t", 0, offset) {
                    Claim::New(ticket) => {
                        prop_assert!(!done.contains(&offset));
                        prop_assert!(held.iter().all(|other| other.offset() != offset));
                        held.push(ticket);
                    }
                    Claim::InProgress => {
                        prop_assert!(held.iter().any(|other| other.offset() == offset));
                    }
                    Claim::Done => prop_assert!(done.contains(&offset)),
                    other => panic!("{other:?}"),
                },
                Step::Complete(nth) if nth < held.len() => {
                    let ticket = held.swap_remove(nth);
                    done.insert(ticket.offset());
                    prop_assert!(ticket.complete());
                }
                Step::Abandon(nth) if nth < held.len() => drop(held.swap_remove(nth)),
                Step::Restart => {
                    let bytes = tracker.snapshot();
                    tracker = self::tracker();
                    prop_assert!(tracker.restore(&bytes).is_ok());
                    held.clear();
                }
                Step::Complete(_) | Step::Abandon(_) => {}
            }
            let low = (0..).find(|offset| !done.contains(offset)).unwrap_or(u64::MAX);
            prop_assert_eq!(tracker.committable("t", 0), low);
        }
    }
}
