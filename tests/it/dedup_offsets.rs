//! Offsets: each is granted once, what is contiguous is one number, what does not exist is folded, and the memory
//! goes with the gaps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::support::{self, Random, size, together};
use clockhand::dedup::{Claim, OffsetTicket, OffsetTracker, Outcome, Waited};
use clockhand::{Clock, ManualClock};

const SECOND: Duration = Duration::from_secs(1);

fn tracker() -> OffsetTracker {
    OffsetTracker::builder().build().expect("the defaults agree")
}

/// With a hand on its clock, and a lease of 10 s.
fn timed() -> (OffsetTracker, ManualClock) {
    let (clock, manual) = Clock::manual();
    (OffsetTracker::builder().clock(clock).lease(10 * SECOND).build().expect("they agree"), manual)
}

fn ticket(tracker: &OffsetTracker, offset: i64) -> OffsetTicket {
    tracker.claim("t", 0, offset).ticket().expect("the offset is open")
}

/// Tickets nobody comes back for. A ticket keeps its tracker: they stay where a checker of leaks sees them.
static LEAKED: Mutex<Vec<OffsetTicket>> = Mutex::new(Vec::new());

fn leak(ticket: OffsetTicket) {
    LEAKED.lock().expect("nobody panics with it").push(ticket);
}

fn done(tracker: &OffsetTracker, offsets: impl IntoIterator<Item = i64>) {
    offsets.into_iter().for_each(|o| assert!(tracker.mark_processed("t", 0, o), "{o} is new"));
}

fn pending(tracker: &OffsetTracker) -> Vec<i64> {
    tracker.pending("t", 0).into_iter().map(|pending| pending.offset).collect()
}

#[test]
fn the_watermark_follows_what_is_contiguous() {
    let tracker = tracker();
    tracker.assign("t", 0, 0);
    let held = ticket(&tracker, 0);
    done(&tracker, 1..5000);
    assert_eq!((tracker.committable("t", 0), tracker.metrics().size), (Some(0), 4999));
    assert!(held.complete());
    assert_eq!((tracker.committable("t", 0), tracker.metrics().size), (Some(5000), 0));
    assert_eq!(tracker.gap_bytes(), 0);
    assert!(tracker.claim("t", 0, 17).is_done() && tracker.claim("t", 0, 5000).is_new());
    assert_eq!(tracker.committables(), [("t".to_string(), 0, 5000)]);
}

#[test]
fn partitions_are_apart() {
    let tracker = tracker();
    let partition = tracker.partition("t", 1);
    assert!(partition.mark_processed(0));
    for (topic, number) in [("t", 0), ("t", 2), ("s", 1), ("t", -1), ("", 1), ("t1", 1)] {
        assert!(!tracker.is_processed(topic, number, 0));
        assert_eq!(tracker.committable(topic, number), None);
        let ticket = tracker.claim(topic, number, 0).ticket().expect("it is open");
        assert_eq!((ticket.topic(), ticket.partition(), ticket.offset()), (topic, number, 0));
    }
    assert!(tracker.is_processed("t", 1, 0));
    assert_eq!((partition.committable(), tracker.committables().len()), (Some(1), 7));
}

#[test]
fn nothing_is_committable_before_something_is_known() {
    let tracker = tracker();
    assert_eq!((tracker.committable("t", 0), tracker.oldest_pending("t", 0)), (None, None));
    assert!(!tracker.is_processed("t", 0, 0) && tracker.revoke("t", 0).is_none());
    assert!(tracker.committables().is_empty() && tracker.pending("t", 0).is_empty());
    let other = self::tracker();
    drop(ticket(&other, 100));
    assert_eq!(other.committable("t", 0), Some(100), "not below the first that was claimed");
    let polled = self::tracker();
    polled.polled("t", 0, [100, 103]);
    assert_eq!(polled.committable("t", 0), Some(100));
    polled.polled("t", 1, []);
    assert_eq!(polled.committable("t", 1), None, "an empty poll says nothing");
    let assigned = self::tracker();
    assigned.assign("t", 0, 100);
    assert_eq!(assigned.committable("t", 0), Some(100));
    assert!(assigned.claim("t", 0, 99).is_done(), "below the start all is done");
    assigned.assign("t", 0, -1001);
    assert_eq!(assigned.committable("t", 0), None, "nothing was committed there");
}

#[test]
fn markers_between_polled_records_do_not_hold_the_watermark() {
    let (tracker, _hand) = timed();
    tracker.assign("t", 0, 0);
    let exists = |offset: &i64| offset % 10 != 9;
    let all: Vec<i64> = (0..10_000).filter(exists).collect();
    for poll in all.chunks(77) {
        tracker.polled("t", 0, poll.iter().copied());
        // Workers take them in any order.
        poll.iter().rev().for_each(|&offset| done(&tracker, [offset]));
    }
    assert_eq!(tracker.committable("t", 0), Some(9999));
    assert_eq!(tracker.oldest_pending("t", 0), None);
    // Once more, as after a rebalance: all are done.
    tracker.polled("t", 0, all.iter().copied());
    assert!(all.iter().all(|&offset| tracker.claim("t", 0, offset).is_done()));
    assert_eq!((tracker.metrics().unfolded, tracker.metrics().duplicates), (0, 9000));
}

#[test]
fn the_beginning_of_a_poll_folds_what_lies_behind_the_last() {
    let tracker = tracker();
    tracker.assign("t", 0, 100);
    tracker.polled("t", 0, [105, 106]);
    assert_eq!(tracker.committable("t", 0), Some(105), "100 to 104 do not exist");
    done(&tracker, [105, 106]);
    tracker.polled("t", 0, [120]);
    assert_eq!(tracker.committable("t", 0), Some(120));
    assert_eq!(pending(&tracker), [120]);
}

#[test]
fn what_was_folded_and_comes_after_all_is_new_and_holds_the_watermark() {
    let tracker = tracker();
    tracker.assign("t", 0, 0);
    tracker.polled("t", 0, [0, 10]);
    done(&tracker, [0, 10]);
    assert_eq!(tracker.committable("t", 0), Some(11));
    let late = ticket(&tracker, 5);
    assert_eq!((tracker.committable("t", 0), tracker.metrics().unfolded), (Some(5), 1));
    drop(late);
    assert_eq!(tracker.committable("t", 0), Some(5), "it failed, and exists");
    done(&tracker, [5]);
    assert_eq!(tracker.committable("t", 0), Some(11));
    assert!(tracker.claim("t", 0, 5).is_done() && tracker.claim("t", 0, 0).is_done());
    // The same of one that is polled: nobody has claimed it yet.
    tracker.polled("t", 0, [7]);
    assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(7), vec![7]));
    done(&tracker, [7]);
    assert_eq!((tracker.committable("t", 0), tracker.metrics().unfolded), (Some(11), 2));
}

#[test]
fn polls_in_the_wrong_order_lose_nothing() {
    let tracker = tracker();
    tracker.polled("t", 0, 0..10);
    tracker.polled("t", 0, 20..30);
    tracker.polled("t", 0, [15, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    tracker.polled("t", 0, [30, 35]);
    assert_eq!(pending(&tracker), (0..31).chain([35]).collect::<Vec<_>>());
    done(&tracker, (0..31).rev());
    assert_eq!(tracker.committable("t", 0), Some(35));
    // A poll from before what was thought to be the start.
    let other = self::tracker();
    other.polled("t", 0, 20..30);
    done(&other, 20..30);
    other.polled("t", 0, [10, 11, 13]);
    assert_eq!(other.committable("t", 0), Some(10));
    done(&other, [10, 11, 13]);
    assert_eq!(other.committable("t", 0), Some(14), "whether 14 exists is not known yet");
    other.polled("t", 0, [19, 20]);
    assert!(other.claim("t", 0, 20).is_done());
    done(&other, [19]);
    assert_eq!(other.committable("t", 0), Some(30));
}

/// What was given before is known: it would be folded by the next poll otherwise, and passed by a commit.
#[test]
fn an_iterator_that_panics_has_said_what_it_gave() {
    for given in [0, 1, 50, 127, 128, 129, 300] {
        let tracker = tracker();
        tracker.assign("t", 0, 0);
        let offsets = (0..).inspect(|&offset| assert!(offset < given, "no more"));
        assert!(support::oblivious(|| tracker.polled("t", 0, offsets)));
        tracker.polled("t", 0, [400]);
        assert_eq!(pending(&tracker), (0..given).chain([400]).collect::<Vec<_>>());
    }
}

/// The rest was polled by who had the partition before: told to who has it now, it would fold what was never polled.
#[test]
fn a_poll_ends_where_its_partition_begins_anew() {
    type Change = fn(&OffsetTracker);
    let changes: [(Change, Option<i64>); 6] = [
        (|tracker| tracker.assign("t", 0, 0), Some(0)),
        (|tracker| tracker.assign("t", 0, -1), None),
        (|tracker| assert_eq!(tracker.revoke("t", 0), Some(0)), None),
        (|tracker| tracker.seek("t", 0, 0), Some(0)),
        (|tracker| tracker.seek("t", 0, -1), None),
        (|tracker| assert!(tracker.forget("t", 0)), None),
    ];
    for (nth, (change, committable)) in changes.into_iter().enumerate() {
        for handle in [false, true] {
            let tracker = tracker();
            tracker.assign("t", 0, 0);
            let offsets = (0..1000).inspect(|&offset| {
                if offset == 500 {
                    change(&tracker);
                }
            });
            if handle {
                tracker.partition("t", 0).polled(offsets);
            } else {
                tracker.polled("t", 0, offsets);
            }
            assert_eq!(tracker.committable("t", 0), committable, "{nth}");
            assert!(pending(&tracker).is_empty(), "{nth}");
            // The next one is told as ever.
            tracker.polled("t", 0, [0, 1]);
            assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(0), vec![0, 1]));
        }
    }
    // What leaves no trace does not say where a poll begins.
    let tracker = tracker();
    tracker.assign("t", 0, 0);
    tracker.revoke("t", 0);
    tracker.polled("t", 0, (-200..3).filter(|&offset| offset != 1));
    assert_eq!((pending(&tracker), tracker.metrics().invalid), (vec![0, 2], 200));
}

#[test]
fn workers_that_claim_before_the_poll_is_told() {
    let tracker = tracker();
    let held = ticket(&tracker, 7);
    tracker.polled("t", 0, [5, 6, 7, 9]);
    assert_eq!(pending(&tracker), [5, 6, 7, 9]);
    done(&tracker, [5, 6, 9]);
    assert_eq!(tracker.committable("t", 0), Some(7));
    assert!(held.complete() && tracker.committable("t", 0) == Some(10));
    // Claims say nothing of what is between them and the first poll.
    let other = self::tracker();
    done(&other, [5]);
    other.polled("t", 0, [10]);
    assert_eq!(pending(&other), [6, 10]);
}

#[test]
fn claims_in_any_order_without_a_poll() {
    let tracker = tracker();
    let five = ticket(&tracker, 5);
    let three = ticket(&tracker, 3);
    assert!(five.complete());
    assert_eq!(tracker.committable("t", 0), Some(3), "it is in progress");
    assert!(three.complete());
    assert_eq!(tracker.committable("t", 0), Some(4), "4 may exist");
    done(&tracker, [4]);
    assert_eq!(tracker.committable("t", 0), Some(6));
    let status = &tracker.partitions()[0];
    assert_eq!((status.committable, status.end, status.lag), (6, 6, 0));
}

#[test]
fn claims_in_order_fold_what_lies_between() {
    let tracker = OffsetTracker::builder().in_order(true).build().expect("they agree");
    for offset in [0, 1, 2, 3, 5, 6, 7, 9] {
        assert!(tracker.mark_processed("t", 0, offset));
    }
    assert_eq!(tracker.committable("t", 0), Some(10));
    let failed = tracker.claim("t", 0, 12).ticket().expect("it is new");
    assert!(tracker.mark_processed("t", 0, 20));
    drop(failed);
    assert_eq!(tracker.committable("t", 0), Some(12));
    assert!(tracker.mark_processed("t", 0, 12) && tracker.mark_processed("t", 0, 21));
    assert_eq!(tracker.committable("t", 0), Some(22));
    assert!(tracker.claim("t", 0, 4).is_new() && tracker.metrics().unfolded == 1);
    tracker.assign("t", 1, 100);
    assert!(tracker.mark_processed("t", 1, 103) && tracker.committable("t", 1) == Some(104));
}

#[test]
fn a_skip_leaves_what_was_claimed() {
    let tracker = tracker();
    tracker.assign("t", 0, 0);
    let held = ticket(&tracker, 5);
    drop(ticket(&tracker, 7));
    tracker.polled("t", 0, [0]);
    tracker.skip_to("t", 0, 20);
    assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(5), vec![5, 7]));
    drop(held);
    assert_eq!(tracker.committable("t", 0), Some(5), "it failed");
    done(&tracker, [5, 7]);
    assert_eq!(tracker.committable("t", 0), Some(20));
    tracker.skip_to("t", 0, 10);
    tracker.skip_to("t", 0, -1);
    assert_eq!(tracker.committable("t", 0), Some(20), "it does not go back");
    assert!(tracker.claim("t", 0, 0).is_new(), "it was polled, and skipped; and comes after all");
}

#[test]
fn an_assignment_begins_anew_and_fences_older_tickets() {
    let tracker = tracker();
    tracker.polled("t", 0, 0..9000);
    done(&tracker, 0..9000);
    let old = ticket(&tracker, 9000);
    tracker.assign("t", 0, 0);
    assert_eq!(tracker.committable("t", 0), Some(0));
    let new = ticket(&tracker, 9000);
    assert!(!old.complete() && tracker.claim("t", 0, 9000).is_in_progress());
    assert_eq!((tracker.metrics().fenced, tracker.metrics().late), (1, 0));
    drop(new);
    done(&tracker, 0..9001);
    let mut fenced = ticket(&tracker, 9001);
    tracker.assign("t", 0, 9001);
    assert!(!fenced.extend(SECOND));
    drop(fenced);
    assert_eq!((tracker.metrics().fenced, tracker.committable("t", 0)), (2, Some(9001)));
}

#[test]
fn a_revoked_partition_is_reported_no_longer() {
    let tracker = tracker();
    tracker.assign("t", 0, 10);
    done(&tracker, 10..20);
    let held = ticket(&tracker, 20);
    assert_eq!((tracker.revoke("t", 0), tracker.revoke("t", 0)), (Some(20), None));
    assert!(!held.complete() && tracker.metrics().fenced == 1);
    // A worker that is late: the offset is granted once, and nothing of it is reported.
    let late = ticket(&tracker, 21);
    assert!(tracker.claim("t", 0, 21).is_in_progress());
    assert!(late.complete() && tracker.claim("t", 0, 21).is_done());
    assert!(tracker.committable("t", 0).is_none() && tracker.committables().is_empty());
    assert!(tracker.pending("t", 0).is_empty() && tracker.oldest_pending("t", 0).is_none());
    let snapshot = tracker.snapshot();
    assert_eq!(self::tracker().restore(&snapshot), Ok(0));
    tracker.assign("t", 0, 15);
    done(&tracker, 15..22);
    assert_eq!(tracker.committable("t", 0), Some(22));
    // Assigned again, and nobody knows where it begins: not where a worker claims that is late.
    tracker.assign("t", 0, -1);
    let late = ticket(&tracker, 24);
    assert!(tracker.committable("t", 0).is_none() && tracker.committables().is_empty());
    tracker.polled("t", 0, [0, 1]);
    assert_eq!(tracker.committable("t", 0), Some(0));
    assert!(late.complete() && tracker.claim("t", 0, 24).is_done());
    tracker.revoke("t", 0);
    tracker.assign("t", 0, -1);
    let late = ticket(&tracker, 24);
    tracker.polled("t", 0, [100, 101]);
    assert_eq!(pending(&tracker), [24, 100, 101], "nothing is left in between");
    assert!(late.complete() && tracker.committable("t", 0) == Some(100));
    tracker.revoke("t", 0);
    tracker.polled("t", 0, [30, 31]);
    assert_eq!(tracker.committable("t", 0), Some(30), "it was polled again");
}

#[test]
fn a_seek_processes_again_what_is_at_or_after_it() {
    let tracker = tracker();
    tracker.polled("t", 0, 0..100);
    done(&tracker, (0..50).chain(60..100));
    let (below, at) = (ticket(&tracker, 50), ticket(&tracker, 55));
    tracker.seek("t", 0, 55);
    assert!(!at.complete() && tracker.metrics().fenced == 1);
    assert_eq!(tracker.committable("t", 0), Some(50));
    assert!(below.complete(), "it was not sought over");
    assert_eq!(tracker.committable("t", 0), Some(55), "51 to 54 were skipped");
    assert!((55..100).all(|offset| tracker.claim("t", 0, offset).is_new()));
    tracker.seek("t", 0, 10);
    assert_eq!(tracker.committable("t", 0), Some(10));
    assert!(tracker.is_processed("t", 0, 9) && !tracker.is_processed("t", 0, 10));
    tracker.polled("t", 0, [10, 12]);
    done(&tracker, [10, 12]);
    assert_eq!(tracker.committable("t", 0), Some(13));
    // Below the start of an assignment, too.
    tracker.assign("t", 0, 1000);
    tracker.seek("t", 0, 500);
    assert!(tracker.committable("t", 0) == Some(500) && tracker.claim("t", 0, 500).is_new());
    // Forwards, over a claim in progress.
    let held = ticket(&tracker, 501);
    tracker.seek("t", 0, 2000);
    assert_eq!(tracker.committable("t", 0), Some(500), "500 was given back, 501 is in progress");
    done(&tracker, [500, 2000]);
    assert!(held.complete() && tracker.committable("t", 0) == Some(2001));
    tracker.seek("t", 0, -2);
    assert_eq!(tracker.committable("t", 0), None, "wherever that is");
    // Not where a worker claims that is late, with a record from before.
    done(&tracker, [2500]);
    assert_eq!(tracker.committable("t", 0), None, "what was sought for is not done");
    tracker.polled("t", 0, [3, 4]);
    assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(3), vec![3, 4, 5]));
    tracker.seek("t", 0, -1);
    tracker.seek("t", 0, 30);
    assert_eq!(tracker.committable("t", 0), Some(30), "that is known now");
    assert!(tracker.forget("t", 0));
    // Sought before anything is known: what workers have from before holds the watermark, and nothing else does.
    tracker.seek("t", 0, 100);
    let late = ticket(&tracker, 7);
    assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(7), vec![7]));
    assert!(late.complete() && tracker.committable("t", 0) == Some(100));
}

#[test]
fn what_is_forgotten_is_gone_for_all_handles() {
    let tracker = tracker();
    let partition = tracker.partition("t", 0);
    assert!(!tracker.forget("t", 0), "nothing was known");
    let partition_after = tracker.partition("t", 0);
    assert!(partition.mark_processed(0) && partition_after.claim(0).is_done());
    let held = ticket(&tracker, 1);
    assert!(tracker.forget("t", 0) && !tracker.forget("t", 0));
    assert!(tracker.committables().is_empty() && tracker.committable("t", 0).is_none());
    assert!(!held.complete() && tracker.metrics().fenced == 1);
    assert!(partition.mark_processed(7));
    assert!(tracker.is_processed("t", 0, 7) && tracker.committable("t", 0) == Some(8));
}

#[test]
fn a_partition_that_is_forgotten_beside_claims_grants_each_offset_once() {
    let rounds = size(2000, 100_000) as i64;
    let tracker = tracker();
    let granted: Vec<AtomicU8> = (0..rounds).map(|_| AtomicU8::new(0)).collect();
    let partition = tracker.partition("t", 0);
    together(4, |thread| {
        for offset in 0..rounds {
            if thread == 0 {
                tracker.forget("t", 0);
                continue;
            }
            // Held until it is given back: nobody else has it unless it was forgotten in between.
            let claim =
                if thread == 1 { partition.claim(offset) } else { tracker.claim("t", 0, offset) };
            if let Claim::New(ticket) = claim
                && ticket.complete()
            {
                granted[offset as usize].fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let most = granted.iter().map(|count| count.load(Ordering::Relaxed)).max();
    assert!(most <= Some(3), "once for each time that it was not forgotten");
    let known = tracker.metrics();
    assert_eq!(known.claims, known.adds + known.late + known.fenced + known.abandoned);
    assert_eq!(known.in_progress, 0);
}

#[test]
fn negative_offsets_are_processed_and_leave_no_trace() {
    let tracker = tracker();
    for offset in [-1, -1001, i64::MIN] {
        let first = ticket(&tracker, offset);
        let mut second = ticket(&tracker, offset);
        assert!(second.extend(SECOND) && first.complete() && second.complete());
        assert!(!tracker.is_processed("t", 0, offset));
    }
    assert_eq!(tracker.committable("t", 0), None);
    tracker.polled("t", 0, [-1, 5, -7, 6]);
    assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(5), vec![5, 6]));
    let metrics = tracker.metrics();
    assert_eq!((metrics.invalid, metrics.untracked, metrics.adds), (8, 6, 0));
}

#[test]
fn the_ends_of_the_offsets() {
    let tracker = tracker();
    tracker.assign("t", 0, i64::MAX - 2);
    let last = ticket(&tracker, i64::MAX);
    done(&tracker, [i64::MAX - 1, i64::MAX - 2]);
    assert_eq!(tracker.committable("t", 0), Some(i64::MAX));
    assert!(!tracker.is_processed("t", 0, i64::MAX) && last.complete());
    assert_eq!(tracker.committable("t", 0), Some(i64::MAX), "there is no larger one");
    assert!(tracker.claim("t", 0, i64::MAX).is_done() && tracker.claim("t", 0, 0).is_done());
    assert!(tracker.pending("t", 0).is_empty());
    let other = self::tracker();
    assert_eq!(other.restore(&tracker.snapshot()), Ok(1));
    assert!(other.claim("t", 0, i64::MAX).is_done());
    other.skip_to("t", 1, i64::MAX);
    other.polled("t", 1, [0, i64::MAX]);
    assert_eq!(pending_of(&other, 1), [0, i64::MAX]);
    other.seek("t", 1, i64::MAX);
    other.seek("t", 1, 0);
    assert_eq!(other.committable("t", 1), Some(0));
}

fn pending_of(tracker: &OffsetTracker, partition: i32) -> Vec<i64> {
    tracker.pending("t", partition).into_iter().map(|pending| pending.offset).collect()
}

#[test]
fn offsets_far_apart_cost_little() {
    let tracker = tracker();
    for shift in 0..63 {
        done(&tracker, [1 << shift]);
    }
    done(&tracker, [i64::MAX]);
    assert!(tracker.gap_bytes() < 64 * 200, "{} bytes", tracker.gap_bytes());
    assert_eq!(tracker.oldest_pending("t", 0).map(|pending| pending.offset), Some(3));
    // Polled, so that the gaps are folded.
    let other = self::tracker();
    other.polled("t", 0, [0, 1 << 62, 3 << 61]);
    assert_eq!(pending(&other), [0, 1 << 62, 3 << 61]);
    done(&other, [0, 3 << 61]);
    assert!(other.gap_bytes() < 2000, "{} bytes", other.gap_bytes());
    assert_eq!(other.committable("t", 0), Some(1 << 62));
    done(&other, [1 << 62]);
    assert_eq!(other.committable("t", 0), Some((3 << 61) + 1));
    assert!(other.claim("t", 0, 1 << 61).is_new() && other.claim("t", 0, 0).is_done());
}

#[test]
fn millions_that_are_pending_take_bits() {
    let offsets = size(200_000, 5_000_000) as i64;
    let tracker = tracker();
    tracker.polled("t", 0, (0..offsets).map(|nth| nth * 10 / 9));
    assert!(tracker.gap_bytes() as i64 <= offsets, "{} bytes", tracker.gap_bytes());
    assert_eq!(tracker.oldest_pending("t", 0).map(|pending| pending.offset), Some(0));
    let halves = |half: i64| (0..offsets).filter(move |nth| nth % 2 == half);
    done(&tracker, halves(1).map(|nth| nth * 10 / 9));
    assert_eq!(tracker.committable("t", 0), Some(0));
    assert!(tracker.gap_bytes() as i64 <= offsets, "{} bytes", tracker.gap_bytes());
    done(&tracker, halves(0).map(|nth| nth * 10 / 9));
    assert_eq!(tracker.committable("t", 0), Some((offsets - 1) * 10 / 9 + 1));
}

/// One record holds the watermark, and the consumer goes on for a long time: the times of its polls are not history
/// that is kept.
#[test]
fn polls_behind_a_record_that_holds_the_watermark_take_no_memory() {
    let (tracker, manual) = timed();
    tracker.assign("t", 0, 0);
    tracker.polled("t", 0, [0]);
    let polls = size(10_000, 200_000) as i64;
    for offset in 1..polls {
        manual.advance(SECOND);
        tracker.polled("t", 0, [offset]);
        if offset != 77 {
            done(&tracker, [offset]);
        }
    }
    assert!(tracker.gap_bytes() < 5000, "{} bytes", tracker.gap_bytes());
    let ages: Vec<_> = tracker.pending("t", 0).iter().map(|p| (p.offset, p.age)).collect();
    let age = |offset: i64| Duration::from_secs((polls - 1 - offset) as u64);
    assert_eq!(ages, [(0, age(0)), (77, age(77))], "the times of what is pending are kept");
    done(&tracker, [0, 77]);
    assert_eq!((tracker.gap_bytes(), tracker.committable("t", 0)), (0, Some(polls)));
}

/// The memory of what does not exist is bounded; what is older than that is processed again, and not lost.
#[test]
fn what_does_not_exist_is_remembered_within_a_bound() {
    let tracker = tracker();
    let pieces = (1 << 14) + 100;
    tracker.assign("t", 0, 0);
    // A marker in each piece of 512 offsets.
    for piece in 0..pieces {
        let from = piece * 512;
        tracker.skip_to("t", 0, from + 1);
        tracker.polled("t", 0, [from + 1]);
        done(&tracker, [from + 1]);
        tracker.skip_to("t", 0, from + 512);
    }
    let end = pieces * 512;
    assert_eq!(tracker.committable("t", 0), Some(end));
    assert!(tracker.gap_bytes() < 200 * (1 << 14), "{} bytes", tracker.gap_bytes());
    assert!(tracker.claim("t", 0, end - 511).is_done(), "it is remembered");
    assert!(tracker.claim("t", 0, 1).is_new(), "it is processed again, and not lost");
    done(&tracker, [1]);
    assert!(tracker.claim("t", 0, 1).is_done() && tracker.committable("t", 0) == Some(end));
}

/// What is pending exists, even where what does not exist around it has become one piece.
#[test]
fn what_is_pending_among_old_gaps_is_not_taken_for_absent() {
    let (tracker, _hand) = timed();
    tracker.assign("t", 0, 0);
    let gap = |piece: i64| {
        tracker.skip_to("t", 0, piece * 512 + 1);
        tracker.polled("t", 0, [piece * 512 + 1]);
        done(&tracker, [piece * 512 + 1]);
        tracker.skip_to("t", 0, (piece + 1) * 512);
    };
    (0..10).for_each(gap);
    let (given_back, held) = (ticket(&tracker, 7), ticket(&tracker, 8));
    drop(given_back);
    (10..(1 << 14) + 100).for_each(gap);
    assert!(tracker.claim("t", 0, 513).is_new(), "what is old has become one piece");
    done(&tracker, [513]);
    assert_eq!((tracker.committable("t", 0), pending(&tracker)), (Some(7), vec![7, 8]));
    let restored = self::tracker();
    assert_eq!(restored.restore(&tracker.snapshot()), Ok(1));
    assert_eq!(restored.committable("t", 0), Some(7), "it is pending after a restart, too");
    done(&restored, [7, 8]);
    assert_eq!(restored.committable("t", 0), Some(((1 << 14) + 100) * 512));
    // It is delivered again, while it is in progress.
    tracker.polled("t", 0, [7, 8]);
    assert!(tracker.claim("t", 0, 8).is_in_progress());
    assert!(held.complete() && tracker.claim("t", 0, 8).is_done());
    done(&tracker, [7]);
    assert!(tracker.claim("t", 0, 7).is_done());
    assert_eq!(tracker.committable("t", 0), Some(((1 << 14) + 100) * 512));
}

#[test]
fn leases_and_tickets() {
    let (tracker, manual) = timed();
    drop(ticket(&tracker, 0));
    let old = ticket(&tracker, 0);
    assert!(tracker.claim("t", 0, 0).is_in_progress());
    manual.advance(10 * SECOND);
    assert_eq!(tracker.metrics().in_progress, 0, "its lease ran out");
    let mut new = ticket(&tracker, 0);
    assert!(!old.complete() && tracker.claim("t", 0, 0).is_in_progress());
    manual.advance(9 * SECOND);
    assert!(new.extend(10 * SECOND) && new.extend(SECOND), "it is not made shorter");
    manual.advance(9 * SECOND);
    assert!(tracker.claim("t", 0, 0).is_in_progress() && tracker.metrics().in_progress == 1);
    assert!(new.complete() && tracker.claim("t", 0, 0).is_done());
    let metrics = tracker.metrics();
    assert_eq!((metrics.abandoned, metrics.lease_expired, metrics.late), (1, 1, 1));
    assert_eq!((metrics.adds, metrics.duplicates, metrics.in_progress_hits), (1, 1, 3));
    // Nobody took it over: it completes late all the same.
    let late = ticket(&tracker, 1);
    manual.advance(100 * SECOND);
    assert!(late.complete());
    let mut late = ticket(&tracker, 2);
    manual.advance(100 * SECOND);
    assert!(late.extend(SECOND) && tracker.claim("t", 0, 2).is_in_progress());
    assert!(OffsetTracker::builder().lease(Duration::ZERO).build().is_err());
    let off = OffsetTracker::builder().enabled(false).build().expect("they agree");
    off.polled("t", 0, [0, 5]);
    off.assign("t", 0, 7);
    assert!(off.mark_processed("t", 0, 1) && off.mark_processed("t", 0, 1));
    assert_eq!((off.metrics().untracked, off.committable("t", 0)), (2, None));
}

#[test]
fn what_holds_the_watermark_and_for_how_long() {
    let (tracker, manual) = timed();
    let oldest = || {
        let pending = tracker.oldest_pending("t", 0)?;
        Some((pending.offset, pending.age.as_secs(), pending.claimed))
    };
    tracker.polled("t", 0, [0, 1, 5]);
    manual.advance(3 * SECOND);
    tracker.polled("t", 0, [6]);
    assert_eq!(oldest(), Some((0, 3, false)));
    let held = ticket(&tracker, 0);
    manual.advance(SECOND);
    assert_eq!(oldest(), Some((0, 4, true)));
    manual.advance(10 * SECOND);
    assert_eq!(oldest(), Some((0, 14, false)), "its lease ran out");
    assert!(held.complete());
    done(&tracker, [1]);
    assert_eq!(oldest(), Some((5, 14, false)));
    done(&tracker, [5]);
    assert_eq!(oldest(), Some((6, 11, false)));
    done(&tracker, [6]);
    assert_eq!(oldest(), None);
    // Nobody said whether 7 exists.
    manual.advance(100 * SECOND);
    drop(ticket(&tracker, 8));
    manual.advance(2 * SECOND);
    assert_eq!(oldest(), Some((7, 2, false)));
    assert_eq!(pending(&tracker), [7, 8]);
    tracker.skip_to("t", 0, 8);
    manual.advance(2 * SECOND);
    assert_eq!(oldest(), Some((8, 4, false)));
}

#[test]
fn process_says_what_came_of_it() {
    let (tracker, manual) = timed();
    assert_eq!(tracker.process("t", 0, 1, || Err::<(), _>("away")), Outcome::Failed("away"));
    let inner = tracker.process("t", 0, 1, || {
        let other = tracker.process("t", 0, 1, || Ok::<_, ()>(()));
        assert!(other == Outcome::InProgress && !other.is_duplicate());
        Ok::<_, ()>(7)
    });
    assert_eq!(inner, Outcome::Processed(7));
    let again = tracker.process("t", 0, 1, || Ok::<_, ()>(8));
    assert!(again == Outcome::Duplicate && again.is_duplicate());
    let late = tracker.process("t", 0, 2, || {
        manual.advance(10 * SECOND);
        done(&tracker, [2]);
        Ok::<_, ()>(9)
    });
    assert_eq!((late, late.is_duplicate(), late.processed()), (Outcome::Late(9), false, Some(9)));
    let fenced = tracker.process("t", 0, 3, || {
        tracker.revoke("t", 0);
        Ok::<_, ()>(9)
    });
    assert_eq!(fenced, Outcome::Late(9));
    assert!(support::oblivious(|| {
        support::ignore(tracker.process("t", 1, 1, || -> Result<(), ()> { panic!("at work") }));
    }));
    assert!(tracker.claim("t", 1, 1).is_new());
}

#[test]
fn threads_wait_for_an_offset() {
    let (tracker, manual) = timed();
    let soon = Duration::from_millis(1);
    assert_eq!(tracker.wait_done("t", 0, 1, soon), Waited::Open);
    assert_eq!(tracker.wait_done("t", 0, -1, soon), Waited::Open);
    assert!(format!("{tracker:?}").contains("partitions: 0"), "to ask makes none");
    type End = fn(&OffsetTracker, &ManualClock, OffsetTicket);
    let ends: [(End, Waited); 6] = [
        (|_, _, ticket| assert!(ticket.complete()), Waited::Done),
        (|_, _, ticket| drop(ticket), Waited::Open),
        (|tracker, _, _ticket| tracker.assign("t", 0, 0), Waited::Open),
        (|tracker, _, _ticket| tracker.seek("t", 0, 0), Waited::Open),
        (|tracker, _, _ticket| assert!(tracker.forget("t", 0)), Waited::Open),
        (
            |_, manual, ticket| {
                manual.advance(10 * SECOND);
                leak(ticket);
            },
            Waited::Open,
        ),
    ];
    for (nth, (end, wanted)) in ends.into_iter().enumerate() {
        tracker.assign("t", 0, 0);
        let held = ticket(&tracker, 7);
        assert_eq!(tracker.wait_done("t", 0, 7, soon), Waited::TimedOut);
        let waiter = {
            let tracker = tracker.clone();
            std::thread::spawn(move || tracker.wait_done("t", 0, 7, 60 * SECOND))
        };
        end(&tracker, &manual, held);
        assert_eq!(waiter.join().expect("it waits"), wanted, "{nth}");
    }
}

#[test]
fn every_offset_is_granted_once_among_threads() {
    let (offsets, partitions) = (size(3000, 300_000) as i64, 3);
    let tracker = tracker();
    let processed: Vec<AtomicU8> = (0..offsets * partitions).map(|_| AtomicU8::new(0)).collect();
    (0..partitions).for_each(|partition| tracker.assign("t", partition as i32, 0));
    together(6, |thread| {
        let mut random = Random::new(thread as u64);
        for nth in 0..offsets {
            for partition in 0..partitions {
                let offset = (nth - random.below(20) as i64).max(0);
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
        let once = |offset: i64| {
            let count = processed[(partition * offsets + offset) as usize].load(Ordering::Relaxed);
            let done = tracker.is_processed("t", partition as i32, offset);
            assert_eq!(u8::from(done), count, "{offset}");
            done
        };
        let low = tracker.committable("t", partition as i32).expect("it is assigned");
        assert!((0..low).all(once) && (low == offsets || !once(low)));
    }
}

#[test]
fn polls_beside_claims_and_commits() {
    let offsets = size(5000, 200_000) as i64;
    let tracker = tracker();
    tracker.assign("t", 0, 0);
    let exists = |offset: &i64| offset % 7 != 3;
    let done: Vec<AtomicU8> = (0..offsets).map(|_| AtomicU8::new(0)).collect();
    let polled = std::sync::atomic::AtomicI64::new(0);
    together(4, |thread| match thread {
        0 => {
            for from in (0..offsets).step_by(100) {
                tracker.polled("t", 0, (from..from + 100).filter(exists));
                polled.store(from + 100, Ordering::Release);
            }
        }
        1 => {
            // No commit passes an offset that exists and is not done.
            let mut low = 0;
            while low < offsets - 1 {
                let committable = tracker.committable("t", 0).expect("it is assigned");
                assert!(committable >= low, "it goes back from {low} to {committable}");
                for offset in (low..committable).filter(exists) {
                    assert_eq!(done[offset as usize].load(Ordering::Acquire), 1, "{offset}");
                }
                low = committable;
            }
        }
        _ => {
            let mut random = Random::new(thread as u64);
            for offset in (0..offsets).filter(exists) {
                while polled.load(Ordering::Acquire) <= offset {
                    std::thread::yield_now();
                }
                if let Claim::New(ticket) = tracker.claim("t", 0, offset) {
                    if random.one_in(3) {
                        std::thread::yield_now();
                    }
                    done[offset as usize].store(1, Ordering::Release);
                    assert!(ticket.complete());
                }
            }
        }
    });
    assert_eq!(tracker.metrics().unfolded, 0);
}

#[test]
fn a_restart_in_the_middle_processes_nothing_twice_but_what_was_in_flight() {
    let first = tracker();
    done(&first, (0..1000).filter(|offset| offset % 7 != 3));
    let in_flight = first.claim("t", 0, 3);
    let second = tracker();
    done(&second, [3]);
    assert_eq!(second.restore(&first.snapshot()), Ok(1));
    drop(in_flight);
    assert_eq!(second.committable("t", 0), Some(10));
    let is_done = |offset| offset % 7 != 3 || offset == 3;
    assert!((0..1000).all(|offset| second.is_processed("t", 0, offset) == is_done(offset)));
    let bytes = first.snapshot();
    for end in 0..bytes.len() {
        assert!(second.restore(&bytes[..end]).is_err());
    }
    // A partition that is assigned: only what is at or after its start is of use.
    let third = tracker();
    third.assign("t", 0, 500);
    let held = ticket(&third, 700);
    assert_eq!(third.restore(&first.snapshot()), Ok(1));
    assert!(third.claim("t", 0, 500).is_new() && third.claim("t", 0, 501).is_done());
    assert!(third.claim("t", 0, 700).is_in_progress(), "it is left to its ticket");
    drop(held);
    assert!(third.claim("t", 0, 700).is_new());
}

#[test]
fn a_snapshot_keeps_what_is_folded_and_what_failed() {
    let first = tracker();
    first.polled("t", 0, [0, 1, 1 << 40, (1 << 40) + 1]);
    done(&first, [0, 1, 1 << 40, (1 << 40) + 1]);
    drop(ticket(&first, 100));
    let second = tracker();
    assert_eq!(second.restore(&first.snapshot()), Ok(1));
    assert_eq!(second.committable("t", 0), Some(100), "it failed, and comes again");
    done(&second, [100]);
    assert_eq!(second.committable("t", 0), Some((1 << 40) + 2));
    assert!(second.claim("t", 0, 99).is_new() && second.claim("t", 0, 1).is_done());
}

#[cfg(feature = "async")]
#[test]
fn tasks_wait_for_an_offset() {
    let (tracker, manual) = timed();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("threads");
    assert_eq!(runtime.block_on(tracker.wait_done_async("t", 0, 7)), Waited::Open);
    assert!(format!("{tracker:?}").contains("partitions: 0"), "to ask makes none");
    for complete in [true, false] {
        let held = ticket(&tracker, 7);
        let waits: Vec<_> =
            (0..8).map(|_| runtime.spawn(tracker.wait_done_async("t", 0, 7))).collect();
        let wanted = if complete { Waited::Done } else { Waited::Open };
        if complete {
            assert!(held.complete());
        } else {
            // Its holder never comes back.
            leak(held);
            manual.advance(10 * SECOND);
        }
        for wait in waits {
            assert_eq!(runtime.block_on(wait).expect("no task panics"), wanted);
        }
        tracker.seek("t", 0, 7);
    }
    let outcome = runtime.block_on(tracker.process_async("t", 0, 9, || async { Ok::<_, ()>(1) }));
    assert_eq!(outcome, Outcome::Processed(1));
}
