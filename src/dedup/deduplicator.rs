//! The deduplicator's public interface.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::error::{SettingsError, SnapshotError};
use super::id_source::{BorrowedId, OwnedId};
use super::ident::SnapshotId;
use super::metrics::Metrics;
use super::process::process;
use super::saves;
use super::settings::DeduplicatorBuilder;
use super::snapshot;
use super::store::{ClaimHandle, IdTarget, Store, StoreHandle};
use super::tally::Event;
use super::ticket::{Claim, Outcome, Ticket};
use super::wait::{Status, Waited, wait};
use crate::health::{DedupState, Health, Thresholds};
use crate::narrow::in_memory;
use crate::sync::PeriodicThread;

/// Remembers which ids were processed, so that each is processed once.
///
/// A `Deduplicator` is a handle: clones share what is remembered. All methods take `&self` and may
/// be called by any number of threads and tasks. Give each thread a clone of its own: tickets
/// change the reference count of their handle.
///
/// # Consistency
///
/// For each id, calls are linearizable. Exactly one of all callers gets [`Claim::New`] while the id
/// is in progress or remembered. After a claim was given back, or its lease ran out, exactly one
/// later caller gets [`Claim::New`], and a ticket whose claim was taken over cannot complete it.
///
/// A lease is a promise about time that the deduplicator cannot enforce: a holder that goes on
/// after its lease has run out processes the id concurrently with its successor.
///
/// # Memory
///
/// At most `capacity` processed ids are remembered, plus those whose completion is under way, and
/// those in progress. Each takes its own size, its heap memory, and about 90 bytes. In addition,
/// there are 16 bytes for each id of the capacity, allocated as they are first used, and the table.
/// An id is cloned once for its ticket: use `Arc<str>` for text if that matters. Forgotten ids are
/// freed a little later, when no thread that was stopped in the middle of an operation can read
/// them.
///
/// # Examples
///
/// ```
/// use clockhand::dedup::{Deduplicator, Outcome};
///
/// let seen = Deduplicator::builder().build()?;
/// let work = || Ok::<_, std::io::Error>("stored");
/// assert!(matches!(seen.process(("orders", 3, 17_u64), work), Outcome::Processed("stored")));
/// assert!(matches!(seen.process(("orders", 3, 17_u64), work), Outcome::Duplicate));
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
#[doc(alias = "idempotency")]
#[doc(alias = "exactly once")]
pub struct Deduplicator<Id> {
    store: Arc<StoreHandle<Id>>,
    /// Dropped after the store's handle: the last handle waits for the threads, which may hold the
    /// last reference to the store.
    threads: Arc<[Arc<PeriodicThread>]>,
}

impl<Id> Clone for Deduplicator<Id> {
    fn clone(&self) -> Self {
        let store = Arc::new(StoreHandle(Arc::clone(&self.store.0)));
        Self { store, threads: Arc::clone(&self.threads) }
    }
}

impl<Id> Deduplicator<Id> {
    pub(super) fn assemble(store: Arc<Store<Id>>, threads: Arc<[Arc<PeriodicThread>]>) -> Self {
        Self { store: Arc::new(StoreHandle(store)), threads }
    }

    /// Configures a deduplicator.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn builder() -> DeduplicatorBuilder<Id> {
        DeduplicatorBuilder::new()
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Deduplicator<Id> {
    /// Builds a deduplicator with settings from environment variables; see
    /// [`DeduplicatorBuilder::from_env`] for the variables.
    ///
    /// # Progress
    ///
    /// **Blocking**: reads the environment, and allocates.
    ///
    /// # Errors
    ///
    /// If a variable cannot be parsed, is zero although it must not be, or contradicts the other
    /// settings; the message names it.
    ///
    /// # Examples
    ///
    /// See [`from_variables`](crate::dedup::DeduplicatorBuilder::from_variables).
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::builder().from_env()?.build()
    }

    /// Claims an id, if it is new: tells whether to process it, and keeps other callers from doing
    /// so, in one step.
    ///
    /// # Progress
    ///
    /// Wait-free for an id that was processed or is in progress: a read of the cache. Lock-free for
    /// a new one: one insert.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::{Claim, Deduplicator};
    ///
    /// let seen = Deduplicator::builder().build()?;
    /// match seen.claim("message-1") {
    ///     Claim::New(ticket) => {
    ///         // Process the message, and then:
    ///         ticket.complete();
    ///     }
    ///     _ => unreachable!("no other caller has claimed it"),
    /// }
    /// assert!(seen.is_processed(&"message-1"));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn claim(&self, id: Id) -> Claim<Ticket<Id>> {
        self.granted(self.store.claim(OwnedId(id)))
    }

    /// As [`claim`](Self::claim), with a borrowed id, or a borrowed form of it: `&str` for a
    /// `String`. It is cloned only if the claim is granted.
    ///
    /// # Progress
    ///
    /// As [`claim`](Self::claim).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::Deduplicator;
    ///
    /// let seen = Deduplicator::<String>::builder().build()?;
    /// let ticket = seen.claim_ref("message-1").ticket().expect("it is new");
    /// assert!(ticket.complete());
    /// assert!(seen.claim_ref("message-1").is_done() && seen.is_processed("message-1"));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn claim_ref<Q>(&self, id: &Q) -> Claim<Ticket<Id>>
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = Id> + ?Sized,
    {
        self.granted(self.store.claim(BorrowedId(id)))
    }

    fn granted(&self, claim: Claim<ClaimHandle<Id>>) -> Claim<Ticket<Id>> {
        match claim {
            Claim::New(handle) => Claim::New(Ticket::new(Arc::clone(&self.store), handle)),
            Claim::InProgress => Claim::InProgress,
            Claim::Done => Claim::Done,
        }
    }

    /// Whether an id was processed, and is remembered.
    ///
    /// Do not decide by this whether to process it, which is what [`claim`](Self::claim) is for:
    /// the answer may be out of date when it is returned.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(!seen.is_processed(&7));
    /// seen.mark_processed(7);
    /// assert!(seen.is_processed(&7));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn is_processed<Q>(&self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let store = &self.store;
        let done = store.status(store.hash(id), id) == Status::Done;
        store.tally.count(if done { Event::Duplicate } else { Event::Unknown });
        done
    }

    /// Remembers an id as processed. Returns true for exactly one caller, and false if the id was
    /// processed before or is in progress.
    ///
    /// # Progress
    ///
    /// As [`claim`](Self::claim), and [`Ticket::complete`].
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.mark_processed(7));
    /// assert!(!seen.mark_processed(7), "it was already");
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn mark_processed(&self, id: Id) -> bool {
        match self.store.claim(OwnedId(id)) {
            Claim::New(handle) => self.store.complete(&handle),
            Claim::InProgress | Claim::Done => false,
        }
    }

    /// Forgets an id that was processed, so that it is new. Returns whether it was remembered. A
    /// claim in progress is not affected.
    ///
    /// # Progress
    ///
    /// Lock-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// seen.mark_processed(7);
    /// assert!(seen.forget(&7));
    /// assert!(seen.claim(7).is_new());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn forget<Q>(&self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.store.forget_id(id)
    }

    /// Calls `work` for an id, unless the id was processed or is in progress.
    ///
    /// If `work` fails or panics, the claim is given back. If it takes longer than the lease and
    /// another caller has claimed the id, its result is returned as [`Late`](Outcome::Late).
    ///
    /// # Progress
    ///
    /// As [`claim`](Self::claim) and [`Ticket::complete`]; no lock is held while `work` runs.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::{Deduplicator, Outcome};
    ///
    /// let seen = Deduplicator::builder().build()?;
    /// assert_eq!(seen.process(9, || Err::<(), _>("the database is away")), Outcome::Failed("the database is away"));
    /// assert_eq!(seen.process(9, || Ok::<_, &str>(42)), Outcome::Processed(42));
    /// assert_eq!(seen.process(9, || Ok::<_, &str>(43)), Outcome::Duplicate);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn process<T, E>(&self, id: Id, work: impl FnOnce() -> Result<T, E>) -> Outcome<T, E> {
        process(self.claim(id), work)
    }

    /// As [`process`](Self::process), for a future. Needs feature `async`, and no particular
    /// runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the claim back.
    ///
    /// # Progress
    ///
    /// As [`process`](Self::process).
    ///
    /// # Examples
    ///
    /// See [`process`](Self::process).
    #[cfg(feature = "async")]
    pub async fn process_async<T, E, F>(&self, id: Id, work: impl FnOnce() -> F) -> Outcome<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        super::process::process_async(self.claim(id), work).await
    }

    /// Waits until an id that is in progress is done or given back, for at most `timeout`.
    ///
    /// Returns at once if the id is not in progress.
    ///
    /// # Progress
    ///
    /// Blocking: waits for the holder of the claim, at most until its lease runs out or `timeout`
    /// is over. It checks the lease every ten milliseconds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::dedup::{Deduplicator, Waited};
    ///
    /// let seen = Deduplicator::builder().build()?;
    /// let ticket = seen.claim(5).ticket().expect("it is new");
    /// assert_eq!(seen.wait_done(&5, Duration::from_millis(1)), Waited::TimedOut);
    /// ticket.complete();
    /// assert_eq!(seen.wait_done(&5, Duration::from_secs(1)), Waited::Done);
    /// assert_eq!(seen.wait_done(&6, Duration::from_secs(1)), Waited::Open);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn wait_done<Q>(&self, id: &Q, timeout: Duration) -> Waited
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        wait(&IdTarget::new(&self.store, id), timeout)
    }

    /// As [`wait_done`](Self::wait_done), for a task, without a time limit; the task is also woken
    /// when the lease runs out. Needs feature `async`, and no particular runtime.
    ///
    /// While tasks wait, a thread named `clockhand-wait` checks their leases every ten
    /// milliseconds. If it cannot be started, a task whose holder never comes back is woken at the
    /// next cleanup.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Progress
    ///
    /// A poll is wait-free if the id is not in progress; otherwise it takes a lock of the waiters.
    ///
    /// # Examples
    ///
    /// See [`wait_done`](Self::wait_done).
    #[cfg(feature = "async")]
    pub fn wait_done_async<'d, Q>(&'d self, id: &'d Q) -> super::wait::WaitDone<'d, Id, Q>
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        super::wait::WaitDone(super::wait::TaskWait::new(IdTarget::new(&self.store, id)))
    }

    /// Forgets expired ids, and claims whose lease has run out. Returns how many.
    ///
    /// This affects memory only, and is rarely needed: an expired id is new at once, and each
    /// completion forgets a few. A holder whose claim was forgotten is late: its ticket's
    /// `complete` returns false.
    ///
    /// # Progress
    ///
    /// Lock-free, except for the lock of the restored ids, if there are any. Reads a word for each
    /// id of the capacity and, if there are claims in progress, walks over the table, without
    /// delaying other callers. Takes a lock to wake the callers that wait, which check their ids
    /// again.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// seen.mark_processed(7);
    /// assert_eq!(seen.cleanup(), 0, "nothing has expired");
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn cleanup(&self) -> u64 {
        self.store.clean()
    }

    /// The number of ids that are remembered or in progress, including expired ids that are not
    /// removed yet.
    ///
    /// # Progress
    ///
    /// Wait-free; reads some counters for each thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// seen.mark_processed(7);
    /// assert_eq!(seen.len(), 1);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn len(&self) -> usize {
        in_memory(self.store.size())
    }

    /// Whether [`len`](Self::len) is zero.
    ///
    /// # Progress
    ///
    /// As [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.is_empty());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of processed ids that may be remembered.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert_eq!(seen.capacity(), 1_000);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn capacity(&self) -> u64 {
        self.store.settings.capacity
    }

    /// The bytes of all structures except the records of the ids.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.overhead() > 0);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn overhead(&self) -> usize {
        self.store.overhead()
    }

    /// What has happened so far.
    ///
    /// # Progress
    ///
    /// Wait-free; reads some counters for each core and thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.claim(7).is_new());
    /// assert_eq!(seen.metrics().claims, 1);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        Metrics { size: self.store.size(), ..self.store.tally.metrics() }
    }

    /// Whether the deduplicator is healthy, and if not, which figure is out of bounds and what to
    /// do: whether ids are remembered for their whole time to live, work is done once and succeeds,
    /// leases are long enough, claims end, and snapshots are written.
    ///
    /// Rates are those of a window that ends now, by the system's clock or a manual one (see
    /// [`health`](crate::health)). May be called at any frequency and by any number of callers.
    ///
    /// # Progress
    ///
    /// Blocking among its callers, which take a lock for the time that [`metrics`](Self::metrics)
    /// takes. No other method takes that lock.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Thresholds;
    /// use clockhand::dedup::Deduplicator;
    /// use clockhand::health::{Figure, Status};
    ///
    /// let seen = Deduplicator::builder().capacity(2).build()?;
    /// (0..3).for_each(|id| assert!(seen.mark_processed(id)));
    /// let health = seen.health(&Thresholds::default());
    /// assert_eq!(health.status, Status::Critical);
    /// assert_eq!(health.reasons[0].figure, Figure::ForgottenEarly);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn health(&self, thresholds: &Thresholds) -> Health {
        let snapshot_failures = self.store.saves.failures();
        let state = DedupState { snapshot_failures, ..DedupState::default() };
        let look = || (self.store.tally.health_counts(), state);
        self.store.monitor.judge(thresholds, look, DedupState::measure)
    }

    /// Returns why the last snapshot of [`snapshot_every`](DeduplicatorBuilder::snapshot_every)
    /// could not be written, and `None` if it was written.
    ///
    /// # Progress
    ///
    /// Blocking: takes a lock for a few instructions.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// assert!(seen.last_snapshot_error().is_none());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn last_snapshot_error(&self) -> Option<SnapshotError> {
        self.store.saves.last_error()
    }
}

/// Surviving a restart.
impl<Id> Deduplicator<Id>
where
    Id: SnapshotId + Hash + Eq + Clone + Send + Sync + 'static,
{
    /// Returns the remembered ids as bytes, with the time that each has left.
    ///
    /// May be called concurrently with all other methods. The snapshot has every id that was
    /// completed before the call began and is remembered until it ends. Ids in progress are not in
    /// it: after a restart they are new.
    ///
    /// # Progress
    ///
    /// Lock-free, except for the lock of the restored ids, if there are any. Takes time in
    /// proportion to the capacity that was used.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::Deduplicator;
    ///
    /// let before = Deduplicator::builder().build()?;
    /// before.mark_processed(17_u64);
    /// let bytes = before.snapshot();
    ///
    /// let after = Deduplicator::<u64>::builder().build()?;
    /// assert_eq!(after.restore(&bytes)?, 1);
    /// assert!(after.claim(17).is_done());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::of_ids(&self.store)
    }

    /// Writes a snapshot to a file, entirely or not at all.
    ///
    /// The bytes go into a temporary file in the same folder, which is flushed to the disk and then
    /// renamed to `path`; then the folder is flushed. A crash leaves the old snapshot or the new
    /// one, and perhaps a file whose name ends in `.tmp`. If several calls, or
    /// [`snapshot_every`](DeduplicatorBuilder::snapshot_every), write the file concurrently, the
    /// snapshot that was begun last stays, whichever is finished first.
    ///
    /// # Errors
    ///
    /// [`Io`](SnapshotError::Io) if the file or its folder cannot be written; it names the path.
    ///
    /// # Progress
    ///
    /// Blocking: as [`snapshot`](Self::snapshot), and writes a file.
    ///
    /// # Examples
    ///
    /// See [`restore_from`](Self::restore_from).
    pub fn snapshot_to(&self, path: &Path) -> Result<(), SnapshotError> {
        self.store.saves.write(path, || self.snapshot())
    }

    /// Adds the ids of a snapshot to those that are remembered. Returns how many the snapshot has.
    ///
    /// The time between snapshot and restore does not count; no id is remembered longer than the
    /// time to live from now. Ids that are remembered already stay as they are, and ids in progress
    /// are left to their tickets.
    ///
    /// May be called concurrently with all other methods. Ids that were completed here are not
    /// forgotten for restored ones: if there are more ids than the capacity, restored ids are
    /// forgotten, those with the least time left first, and are counted as [forgotten
    /// early](super::Metrics::forgotten_early).
    ///
    /// # Errors
    ///
    /// If the bytes are not a complete, undamaged snapshot of ids of this type. Nothing is changed
    /// then.
    ///
    /// # Progress
    ///
    /// Blocking: takes a lock for each restored id.
    ///
    /// # Examples
    ///
    /// See [`snapshot`](Self::snapshot).
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let ids = snapshot::ids::<Id>(bytes)?;
        let number = ids.len();
        ids.into_iter().for_each(|(id, left)| self.store.remember(id, left));
        Ok(number)
    }

    /// As [`restore`](Self::restore), from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read ([`is_not_found`](SnapshotError::is_not_found) tells whether
    /// there is none), or does not contain a complete, undamaged snapshot of ids of this type in
    /// the present format; the error names the file. Nothing is changed then.
    ///
    /// # Progress
    ///
    /// Blocking: as [`restore`](Self::restore), and reads a file.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::dedup::Deduplicator;
    ///
    /// let path = std::env::temp_dir().join(format!("clockhand-doc-ids-{}", std::process::id()));
    /// let before = Deduplicator::builder().build()?;
    /// before.mark_processed(17_u64);
    /// before.snapshot_to(&path)?;
    ///
    /// let after = Deduplicator::<u64>::builder().build()?;
    /// assert_eq!(after.restore_from(&path)?, 1);
    /// assert!(after.claim(17).is_done());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore_from(&self, path: &Path) -> Result<usize, SnapshotError> {
        saves::read(path, |bytes| self.restore(bytes))
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> fmt::Debug for Deduplicator<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deduplicator")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("forgotten_early", &self.store.tally.forgotten_early())
            .finish_non_exhaustive()
    }
}
