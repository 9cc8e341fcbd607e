//! The deduplicator, as its users see it.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::asked::{Given, Lent};
use super::error::{SettingsError, SnapshotError};
use super::ident::SnapshotId;
use super::metrics::Metrics;
use super::process::process;
use super::saves;
use super::settings::DeduplicatorBuilder;
use super::snapshot;
use super::store::AwaitedId;
use super::store::{Answer, Share, Store};
use super::tally::Event;
use super::ticket::{Claim, Outcome, Ticket};
use super::wait::{Known, Waited, wait};
use crate::health::{DedupState, Health, Thresholds};
use crate::sync::Patrol;

/// Remembers which ids were processed, so that each is processed once.
///
/// A `Deduplicator` is a handle: clones share what is remembered. All methods take `&self` and may be
/// called by any number of threads and tasks. Give each thread a clone: tickets count on their handle.
///
/// # Consistency
///
/// For each id, calls are linearizable. Among all callers exactly one gets [`Claim::New`] as long as the
/// id is in progress or remembered. A claim that was given back, or whose lease ran out, is new for
/// exactly one later caller, and a ticket whose lease ran out does not complete over its successor.
///
/// A lease is a promise about time that the deduplicator cannot enforce: a holder that goes on after
/// its lease has run out processes the id beside its successor.
///
/// # Memory
///
/// At most `capacity` processed ids are remembered, beside those whose completion is under way, and
/// those in progress. Each takes its own size, its heap memory, and about 90 bytes; 16 bytes for each
/// id of the capacity come on top, as they are first used, and the table. An id is cloned once for its
/// ticket: give text as `Arc<str>` where that matters. What was forgotten is freed a little later, once
/// no thread that was stopped in the middle of an operation can look at it.
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
pub struct Deduplicator<Id> {
    store: Arc<Share<Id>>,
    /// Dropped after the store's handle: the last one waits for the threads, which may be the last to
    /// let go of the store.
    keepers: Arc<[Arc<Patrol>]>,
}

impl<Id> Clone for Deduplicator<Id> {
    fn clone(&self) -> Self {
        let store = Arc::new(Share(Arc::clone(&self.store.0)));
        Self { store, keepers: Arc::clone(&self.keepers) }
    }
}

impl<Id> Deduplicator<Id> {
    pub(super) fn assemble(store: Arc<Store<Id>>, keepers: Arc<[Arc<Patrol>]>) -> Self {
        Self { store: Arc::new(Share(store)), keepers }
    }

    /// Configures a deduplicator.
    pub fn builder() -> DeduplicatorBuilder<Id> {
        DeduplicatorBuilder::new()
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Deduplicator<Id> {
    /// A deduplicator with the settings of the environment; see
    /// [`DeduplicatorBuilder::from_env`] for the variables.
    ///
    /// # Errors
    ///
    /// If a variable cannot be parsed, is zero where it may not be, or contradicts the other settings;
    /// the message names it.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::builder().from_env()?.build()
    }

    /// Asks whether to process an id, and takes it in the same step.
    ///
    /// # Progress
    ///
    /// Wait-free for an id that was processed or is in progress: a read of the cache. Lock-free for a
    /// new one: one insert.
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
    ///     _ => unreachable!("nobody else is here"),
    /// }
    /// assert!(seen.is_processed(&"message-1"));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    #[inline]
    pub fn claim(&self, id: Id) -> Claim<Ticket<Id>> {
        self.told(self.store.claim(Given(id)))
    }

    /// The same with an id that is lent, or with what can be borrowed of it: `&str` for a `String`. It is made owned
    /// for a claim that is granted, and only then.
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
        self.told(self.store.claim(Lent(id)))
    }

    fn told(&self, answer: Answer<Id>) -> Claim<Ticket<Id>> {
        match answer {
            Answer::New(grip) => Claim::New(Ticket::new(Arc::clone(&self.store), grip)),
            Answer::InProgress => Claim::InProgress,
            Answer::Done => Claim::Done,
        }
    }

    /// Whether an id was processed, and is remembered.
    ///
    /// To decide by this whether to process it is the mistake that [`claim`](Self::claim) is there to
    /// avoid: the answer may be out of date when it arrives.
    ///
    /// # Progress
    ///
    /// Wait-free.
    #[inline]
    pub fn is_processed<Q>(&self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let store = &self.store;
        let done = store.known(store.hash(id), id) == Known::Done;
        store.tally.count(if done { Event::Duplicate } else { Event::Unknown });
        done
    }

    /// Remembers an id as processed. True for exactly one caller; false if it was processed, or is in
    /// progress.
    ///
    /// # Progress
    ///
    /// As [`claim`](Self::claim), and [`Ticket::complete`].
    #[inline]
    pub fn mark_processed(&self, id: Id) -> bool {
        match self.store.claim(Given(id)) {
            Answer::New(grip) => self.store.complete(&grip),
            Answer::InProgress | Answer::Done => false,
        }
    }

    /// Forgets an id that was processed, so that it is new; whether it was remembered. A claim in progress is left to
    /// its ticket.
    ///
    /// # Progress
    ///
    /// Lock-free.
    pub fn forget<Q>(&self, id: &Q) -> bool
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.store.forget_id(id)
    }

    /// Processes an id unless that was done, or is being done.
    ///
    /// If `work` fails or panics, the claim is given back. If it takes longer than the lease and another
    /// caller has claimed the id, its result is returned as [`Late`](Outcome::Late).
    ///
    /// # Progress
    ///
    /// As [`claim`](Self::claim) and [`Ticket::complete`]; nothing is held while `work` runs but the
    /// claim.
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

    /// The same for a future. Needs feature `async`, and no particular runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the claim back.
    #[cfg(feature = "async")]
    pub async fn process_async<T, E, F>(&self, id: Id, work: impl FnOnce() -> F) -> Outcome<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        super::process::process_async(self.claim(id), work).await
    }

    /// Waits until an id that is in progress is done or given back, or for so long.
    ///
    /// Returns at once if nobody processes the id.
    ///
    /// # Progress
    ///
    /// Blocking: it waits for the holder of the claim, at most until its lease runs out or `timeout` is
    /// over. With a manual clock it looks at the lease every few milliseconds.
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
        wait(&AwaitedId::new(&self.store, id), timeout)
    }

    /// The same for a task, which is woken when the lease runs out, too. Needs feature `async`, and no
    /// particular runtime.
    ///
    /// While tasks wait, a thread named `clockhand-wait` looks at their leases every ten milliseconds. If it cannot
    /// be started, a task whose holder never comes back looks again at the next cleanup.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    #[cfg(feature = "async")]
    pub fn wait_done_async<'d, Q>(&'d self, id: &'d Q) -> super::wait::WaitDone<'d, Id, Q>
    where
        Id: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        super::wait::WaitDone(super::wait::Waiting::new(AwaitedId::new(&self.store, id)))
    }

    /// Forgets what has expired, and claims whose lease has run out; how many ids.
    ///
    /// Needed for memory only, and not for that as a rule: an expired id is new at once, and completions
    /// forget in passing. A holder whose claim was forgotten is late: its ticket says `false`.
    ///
    /// # Progress
    ///
    /// Lock-free, but for the lock of what was restored, if there is such; looks at a word for each id of the
    /// capacity and, if there are claims in progress, walks over the table, and is in nobody's way. Wakes those who
    /// wait, to look again, for which it takes a lock.
    pub fn cleanup(&self) -> u64 {
        self.store.clean()
    }

    /// The number of ids that are remembered or in progress, expired ones that were not removed yet
    /// included.
    pub fn len(&self) -> usize {
        self.store.size() as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of processed ids that may be remembered.
    pub fn capacity(&self) -> u64 {
        self.store.rules.capacity
    }

    /// The bytes of the structures beside the ids' own records.
    pub fn overhead(&self) -> usize {
        self.store.overhead()
    }

    /// What has happened so far.
    ///
    /// # Progress
    ///
    /// Wait-free; reads some counters for each core and thread.
    pub fn metrics(&self) -> Metrics {
        Metrics { size: self.store.size(), ..self.store.tally.metrics() }
    }

    /// Whether all is well, and if not, what is out of bounds and what to do: whether ids are remembered for their
    /// whole time, work is done once and succeeds, leases are long enough, holders come back, and snapshots are
    /// written.
    ///
    /// Rates are those of a window that ends now, by the system's clock or a manual one (see [`health`](crate::health)). May be
    /// called at any frequency and by any number of callers.
    ///
    /// # Progress
    ///
    /// Blocking among its callers, who take a lock for the time that [`metrics`](Self::metrics) takes. Nobody else
    /// does.
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

    /// Why the last snapshot of [`snapshot_every`](DeduplicatorBuilder::snapshot_every) could not be written, if it
    /// could not.
    pub fn last_snapshot_error(&self) -> Option<SnapshotError> {
        self.store.saves.last_error()
    }
}

/// Surviving a restart.
impl<Id> Deduplicator<Id>
where
    Id: SnapshotId + Hash + Eq + Clone + Send + Sync + 'static,
{
    /// The remembered ids as bytes, with the time that each has left.
    ///
    /// May be taken while everything goes on. It has every id that was completed before the call began
    /// and is remembered until it ends. Ids in progress are not in it: after a restart they are new.
    ///
    /// # Progress
    ///
    /// Lock-free; in proportion to the capacity that was used.
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

    /// Writes a snapshot to a file: whole, or not at all.
    ///
    /// The bytes go into a file beside it, are flushed to the disk, and take the place of the old file in one step;
    /// then the folder is flushed. A crash leaves the old snapshot or the new one, and perhaps a file whose name ends
    /// in `.tmp`. Of calls beside one another, and of [`snapshot_every`](DeduplicatorBuilder::snapshot_every), the one
    /// that began last stays, whichever ends first.
    ///
    /// # Errors
    ///
    /// [`Io`](SnapshotError::Io) if the file or its folder cannot be written; it names the path.
    pub fn snapshot_to(&self, path: &Path) -> Result<(), SnapshotError> {
        self.store.saves.write(path, || self.snapshot())
    }

    /// Remembers what is in a snapshot, beside what is remembered; how many ids the snapshot has.
    ///
    /// The time between snapshot and restore does not count; no id is remembered longer than the time to
    /// live from now. Ids that are known already stay as they are, and one that is claimed at the moment is left to
    /// its ticket.
    ///
    /// May be called beside work: what was completed here is not forgotten for it. If there are more ids than the
    /// capacity, those that were restored make room, the one first that has the least time left, and are counted as
    /// [forgotten early](super::Metrics::forgotten_early).
    ///
    /// # Errors
    ///
    /// If the bytes are not a whole, undamaged snapshot of ids of this type. Nothing is changed then.
    pub fn restore(&self, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let ids = snapshot::ids::<Id>(bytes)?;
        let number = ids.len();
        ids.into_iter().for_each(|(id, left)| self.store.remember(id, left));
        Ok(number)
    }

    /// The same from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read ([`is_not_found`](SnapshotError::is_not_found) says whether there is none), or what
    /// is in it is not a whole, undamaged snapshot of ids of this type in the present format; the error names the
    /// file. Nothing is changed then.
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
