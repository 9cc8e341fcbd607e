//! Consume a partitioned log with redelivery, on several threads, each message exactly once; and go on
//! after a restart.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use clockhand::Thresholds;
use clockhand::dedup::{Claim, Deduplicator, OffsetTracker, Outcome};

const PARTITIONS: usize = 4;
const MESSAGES: u64 = 500;

/// A log that delivers at least once: every fifth message twice, and again what nobody acknowledged.
struct Log {
    deliveries: Mutex<VecDeque<(usize, u64)>>,
}

impl Log {
    fn new() -> Self {
        let mut deliveries = VecDeque::new();
        for offset in 0..MESSAGES {
            for partition in 0..PARTITIONS {
                let times = if offset % 5 == 0 { 2 } else { 1 };
                deliveries.extend(std::iter::repeat_n((partition, offset), times));
            }
        }
        Self { deliveries: Mutex::new(deliveries) }
    }

    fn next(&self) -> Option<(usize, u64)> {
        self.deliveries.lock().expect("no panic under it").pop_front()
    }

    fn redeliver(&self, message: (usize, u64)) {
        self.deliveries.lock().expect("no panic under it").push_back(message);
    }
}

/// How often each message was processed. Every hundredth fails the first time.
struct Work {
    attempts: Vec<Vec<AtomicU32>>,
    processed: Vec<Vec<AtomicU32>>,
}

impl Work {
    fn new() -> Self {
        let counts = || {
            let partition = || (0..MESSAGES).map(|_| AtomicU32::new(0)).collect();
            (0..PARTITIONS).map(|_| partition()).collect()
        };
        Self { attempts: counts(), processed: counts() }
    }

    fn process(&self, (partition, offset): (usize, u64)) -> Result<(), &'static str> {
        let attempt = self.attempts[partition][offset as usize].fetch_add(1, Ordering::Relaxed);
        if offset % 100 == 7 && attempt == 0 {
            return Err("the database is away");
        }
        self.processed[partition][offset as usize].fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn assert_once(&self) {
        let counts = self.processed.iter().flatten();
        assert!(counts.map(|count| count.load(Ordering::Relaxed)).all(|count| count == 1));
    }
}

pub(crate) fn main() {
    by_ids();
    by_offsets();
    after_a_restart();
}

/// Ids of any kind, remembered for a time.
fn by_ids() {
    let (log, work) = (Log::new(), Work::new());
    let seen = Deduplicator::builder().capacity(10_000).build().expect("the settings agree");
    thread::scope(|scope| {
        for _ in 0..4 {
            let seen = seen.clone();
            let (log, work) = (&log, &work);
            scope.spawn(move || {
                while let Some(message) = log.next() {
                    match seen.process(message, || work.process(message)) {
                        // Acknowledge it.
                        Outcome::Processed(()) | Outcome::Duplicate => {}
                        // Do not: the claim was given back, or another thread may fail yet.
                        _ => log.redeliver(message),
                    }
                }
            });
        }
    });
    work.assert_once();
    assert!(
        seen.health(&Thresholds::default()).is_healthy(),
        "nothing was forgotten before its time"
    );
}

/// Offsets of partitions: a watermark and the gaps above it.
fn by_offsets() {
    let (log, work) = (Log::new(), Work::new());
    let tracker = OffsetTracker::builder().build().expect("the defaults agree");
    // What the broker says when the partitions are assigned: where the consumer begins.
    (0..PARTITIONS).for_each(|partition| tracker.assign("orders", partition as i32, 0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(message @ (partition, offset)) = log.next() {
                    match tracker.claim("orders", partition as i32, offset as i64) {
                        Claim::New(ticket) if work.process(message).is_ok() => {
                            ticket.complete();
                        }
                        Claim::Done => {}
                        // The ticket was dropped, or another thread has it: the log tries again.
                        _ => log.redeliver(message),
                    }
                }
            });
        }
    });
    work.assert_once();
    for (topic, _partition, offset) in tracker.committables() {
        assert_eq!((topic.as_str(), offset), ("orders", MESSAGES as i64), "commit this");
    }
    assert_eq!(tracker.gap_bytes(), 0, "no gap is left");
}

/// A snapshot lets a new process know what the old one has done.
fn after_a_restart() {
    let before = OffsetTracker::builder().build().expect("the defaults agree");
    before.mark_processed("orders", 0, 0);
    before.mark_processed("orders", 0, 2);
    let bytes = before.snapshot();
    drop(before);

    let after = OffsetTracker::builder().build().expect("the defaults agree");
    after.restore(&bytes).expect("it is whole");
    assert_eq!(after.committable("orders", 0), Some(1));
    assert!(after.claim("orders", 0, 1).is_new() && after.claim("orders", 0, 2).is_done());

    let mut damaged = bytes;
    damaged[20] ^= 1;
    let error = after.restore(&damaged).expect_err("it is not");
    assert_eq!(error.to_string(), "the snapshot is damaged: its checksum does not agree");
}
