//! The names and signatures of de-duplication.

use std::error::Error;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clockhand::dedup::{
    Claim, DeduplicatorBuilder, Metrics, OffsetTicket, OffsetTrackerBuilder, Outcome, Partition,
    PartitionStatus, PendingOffset, SettingsError, SnapshotError, SnapshotId, Ticket, Waited,
};
use clockhand::{Clock, Deduplicator, Health, Maintenance, OffsetTracker, Thresholds};

fn seen() -> Deduplicator<u64> {
    let builder: DeduplicatorBuilder<u64> = Deduplicator::builder();
    let built: Result<Deduplicator<u64>, SettingsError> = builder
        .capacity(100_u64)
        .ttl(Duration::from_secs(60))
        .cleanup_interval(Duration::from_secs(1))
        .lease(Duration::from_secs(10))
        .enabled(true)
        .maintenance(Maintenance::Inline)
        .clock(Clock::manual().0)
        .build();
    built.expect("the settings agree")
}

#[test]
fn ids_are_claimed_once() {
    let seen = seen();
    let claim: Claim<Ticket<u64>> = seen.claim(1);
    assert!(claim.is_new() && !claim.is_done() && !claim.is_in_progress());
    let ticket: Ticket<u64> = claim.ticket().expect("it is new");
    let _: &u64 = ticket.id();
    assert!(matches!(seen.claim(1), Claim::InProgress));
    let in_time: bool = ticket.complete();
    assert!(in_time && matches!(seen.claim(1), Claim::Done));
    let _: (bool, bool) = (seen.is_processed(&1), seen.mark_processed(2));
    let outcome: Outcome<u8, String> = seen.process(3, || Ok(1));
    assert!(!outcome.is_duplicate());
    assert_eq!(outcome.processed(), Some(1));
    let waited: Waited = seen.wait_done(&3, Duration::from_secs(1));
    assert!(waited.is_done());
}

#[test]
fn what_is_remembered_can_be_seen_and_kept() {
    let seen = seen();
    let _: (usize, bool, u64, usize) =
        (seen.len(), seen.is_empty(), seen.capacity(), seen.overhead());
    let _: u64 = seen.cleanup();
    let metrics: Metrics = seen.metrics();
    let health: Health = seen.health(&Thresholds::default());
    assert!(health.is_healthy(), "{metrics:?}");
    let bytes: Vec<u8> = seen.snapshot();
    let restored: Result<usize, SnapshotError> = seen.restore(&bytes);
    assert_eq!(restored, Ok(0));
    let from_env: Result<Deduplicator<u64>, SettingsError> = Deduplicator::from_env();
    assert!(from_env.is_ok());
    let variables = |name: &str| (name == "MAX_TRACKED_OFFSETS").then(|| "many".into());
    assert!(Deduplicator::<u64>::builder().from_variables(variables).is_err());
}

#[test]
fn offsets_are_tracked() {
    let builder: OffsetTrackerBuilder = OffsetTracker::builder();
    let built: Result<OffsetTracker, SettingsError> =
        builder.lease(Duration::from_secs(10)).clock(Clock::manual().0).enabled(true).build();
    let tracker = built.expect("the settings agree");
    tracker.assign("orders", 0_i32, 5_i64);
    tracker.polled("orders", 0, [5_i64, 6, 8]);
    tracker.skip_to("orders", 0, 5);
    tracker.seek("orders", 0, 5);
    let claim: Claim<OffsetTicket> = tracker.claim("orders", 0, 5);
    let mut ticket: OffsetTicket = claim.ticket().expect("it is new");
    let _: (&str, i32, i64) = (ticket.topic(), ticket.partition(), ticket.offset());
    let _: bool = ticket.extend(Duration::from_secs(1));
    let oldest: Option<PendingOffset> = tracker.oldest_pending("orders", 0);
    let pending: Vec<PendingOffset> = tracker.pending("orders", 0);
    assert_eq!(oldest, pending.first().copied());
    let _: Option<(i64, Duration, bool)> = oldest.map(|it| (it.offset, it.age, it.claimed));
    let waited: Waited = tracker.wait_done("orders", 0, 5, Duration::from_millis(1));
    assert_eq!(waited, Waited::TimedOut);
    let _: bool = ticket.complete();
    let outcome: Outcome<u8, String> = tracker.process("orders", 0, 9, || Ok(1));
    assert_eq!(outcome, Outcome::Processed(1));
    let _: (bool, bool) =
        (tracker.is_processed("orders", 0, 5), tracker.mark_processed("orders", 0, 6));
    let _: Option<i64> = tracker.committable("orders", 0);
    let _: Vec<(String, i32, i64)> = tracker.committables();
    tracker.for_each_committable(|_: &str, _: i32, _: i64| {});
    let _: (usize, Metrics) = (tracker.gap_bytes(), tracker.metrics());
    let _: Health = tracker.health(&Thresholds::default());
    let status: PartitionStatus = tracker.partitions().remove(0);
    let _: (&str, i32, i64, i64) =
        (&status.topic, status.partition, status.committable, status.end);
    let _: (u64, u64, Option<PendingOffset>) =
        (status.lag, status.in_progress, status.oldest_pending);
    let restored: Result<usize, SnapshotError> = tracker.restore(&tracker.snapshot());
    assert!(restored.is_ok());
    let orders: Partition = tracker.partition("orders", 0);
    orders.polled([7_i64]);
    let _: Claim<OffsetTicket> = orders.claim(7);
    let _: (bool, bool) = (orders.is_processed(7), orders.mark_processed(8));
    let _: Option<i64> = orders.committable();
    let last: Option<i64> = tracker.revoke("orders", 0);
    let known: bool = tracker.forget("orders", 0);
    assert!(last.is_some() && known);
    assert!(OffsetTracker::builder().in_order(true).build().is_ok());
}

#[test]
fn what_deduplication_gives_can_be_shared_and_shown() {
    fn handle<T: Clone + Send + Sync + Debug + 'static>() {}
    fn sent<T: Send + Sync + Debug + 'static>() {}
    fn plain<T: Copy + PartialEq + Debug + Send + Sync>() {}
    fn error<T: Error + Send + Sync + 'static>() {}
    handle::<Deduplicator<String>>();
    handle::<OffsetTracker>();
    handle::<Partition>();
    handle::<OffsetTrackerBuilder>();
    sent::<DeduplicatorBuilder<String>>();
    sent::<Ticket<String>>();
    sent::<OffsetTicket>();
    sent::<Claim<Ticket<String>>>();
    plain::<Outcome<u8, u8>>();
    plain::<Waited>();
    plain::<Metrics>();
    error::<SettingsError>();
    error::<SnapshotError>();
    fn kept<T: SnapshotId>() {}
    kept::<u64>();
    kept::<String>();
    kept::<Vec<u8>>();
    kept::<[u8; 16]>();
    kept::<(String, i32, u64)>();
}

#[test]
fn a_claim_may_lend_its_id() {
    let seen = Deduplicator::<String>::builder().build().expect("the defaults agree");
    let claim: Claim<Ticket<String>> = seen.claim_ref("a");
    assert!(claim.is_new());
}

#[test]
fn snapshots_are_kept_in_files() {
    let nowhere = Path::new("/nowhere/at/all");
    let plan: (Duration, PathBuf) = (Duration::from_secs(3600), nowhere.into());
    let (seen, tracker) = (seen(), OffsetTracker::builder().build().expect("the defaults agree"));
    let written: [Result<(), SnapshotError>; 2] =
        [seen.snapshot_to(nowhere), tracker.snapshot_to(nowhere)];
    assert!(written.iter().all(Result::is_err));
    let read: [Result<usize, SnapshotError>; 2] =
        [seen.restore_from(nowhere), tracker.restore_from(nowhere)];
    assert!(read.into_iter().all(|read| read.is_err_and(|error| error.is_not_found())));
    let last: [Option<SnapshotError>; 2] =
        [seen.last_snapshot_error(), tracker.last_snapshot_error()];
    assert_eq!(last, [None, None], "no thread writes them");
    let _: DeduplicatorBuilder<u64> =
        Deduplicator::builder().snapshot_every(plan.0, plan.1.clone());
    let _: OffsetTrackerBuilder = OffsetTracker::builder().snapshot_every(plan.0, plan.1);
}

#[test]
fn every_metric_has_its_name() {
    let metrics = seen().metrics();
    let counts: [u64; 22] = [
        metrics.checks,
        metrics.claims,
        metrics.adds,
        metrics.duplicates,
        metrics.in_progress_hits,
        metrics.abandoned,
        metrics.lease_expired,
        metrics.late,
        metrics.overtaken,
        metrics.forgotten_early,
        metrics.expired,
        metrics.leaked,
        metrics.restored,
        metrics.untracked,
        metrics.invalid,
        metrics.unfolded,
        metrics.fenced,
        metrics.cleanups,
        metrics.size,
        metrics.in_progress,
        metrics.snapshots,
        metrics.snapshot_failures,
    ];
    assert_eq!((counts, metrics.cleanup_time), ([0; 22], Duration::ZERO));
}

#[cfg(feature = "async")]
#[test]
fn tasks_wait_and_process() {
    use clockhand::dedup::{WaitDone, WaitOffset};
    use std::future::Future;

    fn sent<T>(future: impl Future<Output = T> + Send) -> T {
        futures_executor::block_on(future)
    }
    let seen = seen();
    let _: Outcome<u8, String> = sent(seen.process_async(1, || async { Ok(1) }));
    let waiting: WaitDone<'_, u64> = seen.wait_done_async(&1);
    let _: Waited = sent(waiting);
    let tracker = OffsetTracker::builder().build().expect("the defaults agree");
    let _: Outcome<u8, String> = sent(tracker.process_async("t", 0, 1, || async { Ok(1) }));
    let waiting: WaitOffset = tracker.wait_done_async("t", 0, 1);
    let _: Waited = sent(waiting);
}
