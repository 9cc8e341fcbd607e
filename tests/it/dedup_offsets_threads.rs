//! Consumers, workers and observers beside each other on few partitions: rebalances, seeks, skips, polls, claims,
//! commits and snapshots. Promised is: no commit passes an offset that exists and was not completed since its partition
//! began anew; each offset is granted once at a time; a ticket from before changes nothing.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use crate::support::{self, Random, size, together};
use clockhand::Clock;
use clockhand::dedup::{Claim, OffsetTicket, OffsetTracker};

/// Offsets of a partition; more than are told under one lock.
const END: i64 = 600;
const PARTITIONS: usize = 2;

fn exists(offset: &i64) -> bool {
    offset % 7 != 3
}

/// What the threads know of a partition.
struct Log {
    number: i32,
    /// Changes of whose partition it is, or where it goes on: how many have begun, and how many are over.
    begun: AtomicU64,
    over: AtomicU64,
    /// Below it all is done.
    start: AtomicI64,
    /// By offset: the last change with which it was to be processed again.
    anew: Vec<AtomicU64>,
    /// By offset: during which change the last claim was granted that was then completed.
    done: Vec<AtomicU64>,
    /// By offset: one more than `anew` of the claim that runs, and of the last one that was completed.
    held: Vec<AtomicU64>,
    completed: Vec<AtomicU64>,
    records: Mutex<VecDeque<i64>>,
}

fn zeros() -> Vec<AtomicU64> {
    (0..END).map(|_| AtomicU64::new(0)).collect()
}

impl Log {
    fn new(number: i32) -> Self {
        Self {
            number,
            begun: AtomicU64::new(0),
            over: AtomicU64::new(0),
            start: AtomicI64::new(0),
            anew: zeros(),
            done: zeros(),
            held: zeros(),
            completed: zeros(),
            records: Mutex::default(),
        }
    }

    /// The last change, if none is under way.
    fn settled(&self) -> Option<u64> {
        let over = self.over.load(Ordering::SeqCst);
        (self.begun.load(Ordering::SeqCst) == over).then_some(over)
    }

    fn hand_out(&self, offsets: impl IntoIterator<Item = i64>) {
        self.records.lock().expect("no panic under it").extend(offsets);
    }

    /// Workers have a few records from before when their partition begins anew.
    fn clear(&self) {
        self.records.lock().expect("no panic under it").truncate(100);
    }

    fn take(&self) -> Option<i64> {
        self.records.lock().expect("no panic under it").pop_front()
    }
}

/// The consumer of a partition.
struct Consumer<'t> {
    tracker: &'t OffsetTracker,
    log: &'t Log,
    random: Random,
    position: i64,
    /// By offset: it was skipped, so a commit may pass it.
    skipped: Vec<bool>,
}

impl Consumer<'_> {
    /// Makes a change, with which these offsets are to be processed again.
    fn change(&mut self, offsets: Range<i64>, start: i64, change: impl FnOnce(&OffsetTracker)) {
        let number = self.log.begun.fetch_add(1, Ordering::SeqCst) + 1;
        change(self.tracker);
        for offset in offsets {
            self.log.anew[offset as usize].store(number, Ordering::SeqCst);
            self.skipped[offset as usize] = false;
        }
        self.log.start.store(start, Ordering::SeqCst);
        self.log.over.store(number, Ordering::SeqCst);
        self.log.clear();
    }

    fn assign(&mut self, start: i64) {
        let number = self.log.number;
        self.change(0..END, start, |tracker| tracker.assign("t", number, start));
        self.position = start;
    }

    /// Somewhere, and nobody says where: with the next poll.
    fn assign_anywhere(&mut self, start: i64) {
        let number = self.log.number;
        self.change(0..END, start, |tracker| tracker.assign("t", number, -1001));
        assert_eq!(self.tracker.committable("t", number), None, "not where a late worker claims");
        self.position = start;
        while self.tracker.committable("t", number).is_none() {
            self.poll();
        }
    }

    fn revoke(&mut self) {
        let number = self.log.number;
        let mut last = None;
        self.change(0..END, END, |tracker| last = tracker.revoke("t", number));
        assert!(last.is_some(), "it was assigned");
        for _ in 0..self.random.below(20) {
            std::thread::yield_now();
            assert_eq!(self.tracker.committable("t", number), None, "it is another's");
        }
    }

    fn seek(&mut self, to: i64) {
        self.skipped[..to as usize].fill(true);
        let (number, start) = (self.log.number, self.log.start.load(Ordering::SeqCst).min(to));
        self.change(to..END, start, |tracker| tracker.seek("t", number, to));
        self.position = to;
    }

    fn skip(&mut self) {
        let to = self.position;
        self.skipped[..to as usize].fill(true);
        self.tracker.skip_to("t", self.log.number, to);
    }

    fn poll(&mut self) {
        let end = (self.position + 1 + self.random.below(300) as i64).min(END);
        let polled = (self.position..end).filter(exists);
        let early = self.random.one_in(4);
        if early {
            self.log.hand_out(polled.clone());
        }
        self.tracker.polled("t", self.log.number, polled.clone());
        if !early {
            self.log.hand_out(polled);
        }
        self.position = end;
    }

    /// What a commit may pass.
    fn check(&self, committable: i64) {
        let start = self.log.start.load(Ordering::SeqCst);
        for offset in (start..committable).filter(exists) {
            let at = offset as usize;
            let [done, anew] =
                [&self.log.done, &self.log.anew].map(|of| of[at].load(Ordering::SeqCst));
            assert!(done >= anew || self.skipped[at], "{committable} passes {offset}");
        }
    }

    fn step(&mut self) {
        let number = self.log.number;
        let committable = self.tracker.committable("t", number).expect("it is assigned");
        self.check(committable);
        let anywhere = self.random.below(END as u64) as i64;
        match self.random.below(24) {
            0 => self.assign(committable),
            1 => self.assign(anywhere),
            2 => self.assign_anywhere(anywhere.min(END - 7)),
            3 => {
                self.revoke();
                self.assign(committable);
            }
            4 => {
                let forget = |tracker: &OffsetTracker| assert!(tracker.forget("t", number));
                self.change(0..END, 0, forget);
                self.assign(anywhere);
            }
            5 | 6 => self.seek(anywhere),
            7 => self.skip(),
            8 | 9 => {
                let other = OffsetTracker::builder().build().expect("the defaults agree");
                assert!(other.restore(&self.tracker.snapshot()).is_ok());
                self.check(other.committable("t", number).expect("it is in the snapshot"));
            }
            _ => self.poll(),
        }
    }
}

/// Claims what was handed out, and completes it or gives it back.
fn work(tracker: &OffsetTracker, log: &Log, random: &mut Random) {
    let Some(offset) = log.take() else { return std::thread::yield_now() };
    let at = offset as usize;
    let before = log.settled();
    let claim = tracker.claim("t", log.number, offset);
    let anew = log.anew[at].load(Ordering::SeqCst);
    let after = log.begun.load(Ordering::SeqCst);
    // Nothing was changed in between.
    let settled = before == Some(after);
    match claim {
        Claim::New(ticket) if settled => {
            let held = log.held[at].swap(anew + 1, Ordering::SeqCst);
            assert!(held != anew + 1, "{offset} is granted to two at once");
            finish(ticket, log, random, after, Some(anew));
        }
        Claim::New(ticket) => finish(ticket, log, random, after, None),
        Claim::Done if settled => {
            let start = log.start.load(Ordering::SeqCst);
            let done = log.done[at].load(Ordering::SeqCst);
            let again = log.settled() == before;
            assert!(!again || offset < start || done >= anew, "{offset} was not completed");
        }
        _ => {}
    }
}

/// Ends a claim that was granted during this change, or earlier; `anew` is known if it was during this one.
fn finish(ticket: OffsetTicket, log: &Log, random: &mut Random, during: u64, anew: Option<u64>) {
    let offset = ticket.offset();
    let at = offset as usize;
    if random.one_in(3) {
        std::thread::yield_now();
    }
    let fenced = log.anew[at].load(Ordering::SeqCst) > during;
    if let Some(anew) = anew {
        let _ = log.held[at].compare_exchange(anew + 1, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
    if random.one_in(5) {
        drop(ticket);
        return log.hand_out([offset]);
    }
    log.done[at].fetch_max(during, Ordering::SeqCst);
    let completed = ticket.complete();
    assert!(!(fenced && completed), "{offset} is of an older generation");
    if let (true, Some(anew)) = (completed, anew) {
        let last = log.completed[at].swap(anew + 1, Ordering::SeqCst);
        assert!(last != anew + 1, "{offset} is completed twice");
    }
}

/// Looks at everything from outside.
fn observe(tracker: &OffsetTracker) {
    let (metrics, partitions) = (tracker.metrics(), tracker.partitions());
    assert!(metrics.checks >= metrics.claims && partitions.len() <= PARTITIONS);
    for status in partitions {
        assert!((0..=END).contains(&status.committable) && status.end >= status.committable);
        let pending = tracker.pending("t", status.partition);
        assert!(pending.is_sorted_by_key(|pending| pending.offset));
    }
    let other = OffsetTracker::builder().build().expect("the defaults agree");
    assert!(other.restore(&tracker.snapshot()).is_ok_and(|number| number <= PARTITIONS));
}

#[test]
fn everything_beside_everything() {
    let steps = size(300, 20_000);
    // No lease runs out, however long a thread is not scheduled.
    let tracker = OffsetTracker::builder().clock(Clock::manual().0).build();
    let tracker = tracker.expect("the settings agree");
    let logs: Vec<Log> = (0..PARTITIONS).map(|number| Log::new(number as i32)).collect();
    let consuming = AtomicUsize::new(PARTITIONS);
    together(PARTITIONS + 4, |thread| {
        let mut random = Random::new(thread as u64);
        let consumes = || consuming.load(Ordering::SeqCst) > 0;
        match thread.checked_sub(PARTITIONS) {
            None => {
                let (log, skipped) = (&logs[thread], vec![false; END as usize]);
                let mut consumer =
                    Consumer { tracker: &tracker, log, random, position: 0, skipped };
                consumer.assign(0);
                (0..steps).for_each(|_| consumer.step());
                consumer.assign(0);
                while consumer.position < END {
                    consumer.poll();
                }
                let all_done = || tracker.committable("t", log.number) == Some(END);
                assert!(support::eventually(all_done), "{:?}", tracker.pending("t", log.number));
                consumer.check(END);
                consuming.fetch_sub(1, Ordering::SeqCst);
            }
            Some(0) => {
                while consumes() {
                    observe(&tracker);
                }
            }
            Some(_) => {
                while consumes() {
                    let log = &logs[random.below(PARTITIONS as u64) as usize];
                    work(&tracker, log, &mut random);
                }
            }
        }
    });
    assert_eq!(tracker.metrics().in_progress, 0);
}
