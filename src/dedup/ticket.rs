//! The result of a claim, and its ticket.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::store::{ClaimHandle, StoreHandle};

/// The result of a claim: whether the caller is to process the id.
///
/// `T` is the type of the ticket: [`Ticket`] for ids, [`OffsetTicket`](super::OffsetTicket) for
/// offsets.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives the claim back"]
#[non_exhaustive]
pub enum Claim<T> {
    /// The id is new, or was given back, or its lease ran out: process it, and then complete the
    /// ticket. Exactly one caller gets this.
    New(T),
    /// Another caller is processing it.
    InProgress,
    /// It was processed.
    Done,
}

impl<T> Claim<T> {
    /// Returns the ticket, if the claim was granted.
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
    /// assert!(seen.claim(7).ticket().is_some_and(|ticket| ticket.complete()));
    /// assert!(seen.claim(7).ticket().is_none());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn ticket(self) -> Option<T> {
        match self {
            Self::New(ticket) => Some(ticket),
            Self::InProgress | Self::Done => None,
        }
    }

    /// Whether the claim was granted.
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
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    /// Whether another caller is processing the id.
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
    /// let first = seen.claim(7);
    /// assert!(first.is_new() && seen.claim(7).is_in_progress());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::InProgress)
    }

    /// Whether the id was processed.
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
    /// seen.mark_processed(7);
    /// assert!(seen.claim(7).is_done());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// The result of [`Deduplicator::process`](super::Deduplicator::process).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "it says whether the message was processed"]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// This call has processed it, with this result.
    Processed(T),
    /// This call has processed it, but the lease ran out and another caller has claimed it, or the
    /// ticket was fenced: it may be processed twice. For ids,
    /// [`Metrics::late`](super::Metrics::late) counts it.
    Late(T),
    /// Processing failed. The claim was given back: a redelivery is processed.
    Failed(E),
    /// It was processed before.
    Duplicate,
    /// Another caller is processing it.
    InProgress,
}

impl<T, E> Outcome<T, E> {
    /// Returns the result of the work, if it was done and succeeded.
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
    /// let outcome = seen.process(7, || Ok::<_, String>("done"));
    /// assert_eq!(outcome.processed(), Some("done"));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn processed(self) -> Option<T> {
        match self {
            Self::Processed(result) | Self::Late(result) => Some(result),
            Self::Failed(_) | Self::Duplicate | Self::InProgress => None,
        }
    }

    /// Whether it was processed before. Then it may be acknowledged. While another caller is
    /// processing it, it must not be, as that caller may fail.
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
    /// seen.mark_processed(7);
    /// assert!(seen.process(7, || Ok::<_, String>(())).is_duplicate());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate)
    }
}

/// The right to process an id. Complete it when the id is processed.
///
/// Dropping it, after an error, in a panic or with a cancelled task, gives the claim back: the next
/// caller gets a ticket of its own. A ticket may be sent to other threads, and keeps the
/// deduplicator's memory alive. A ticket that is leaked ([`std::mem::forget`]) keeps its id in
/// progress until the lease runs out.
///
/// # Examples
///
/// ```
/// use clockhand::dedup::{Claim, Deduplicator};
///
/// let seen = Deduplicator::builder().build()?;
/// drop(seen.claim(1)); // given back
/// let Claim::New(ticket) = seen.claim(1) else { panic!("it was given back") };
/// assert!(seen.claim(1).is_in_progress());
/// assert!(ticket.complete());
/// assert!(seen.claim(1).is_done());
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
#[must_use = "a ticket that is dropped gives the claim back"]
pub struct Ticket<Id>
where
    Id: Hash + Eq + Clone + Send + Sync + 'static,
{
    store: Arc<StoreHandle<Id>>,
    handle: Option<ClaimHandle<Id>>,
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Ticket<Id> {
    pub(super) fn new(store: Arc<StoreHandle<Id>>, handle: ClaimHandle<Id>) -> Self {
        Self { store, handle: Some(handle) }
    }

    /// The id.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Panics
    ///
    /// Never: only a ticket that was completed has none.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// let ticket = seen.claim(7).ticket().expect("it is new");
    /// assert_eq!(*ticket.id(), 7);
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn id(&self) -> &Id {
        &self.handle.as_ref().expect("a ticket that was not used up has its handle").id
    }

    /// Remembers the id as processed, for the time to live.
    ///
    /// Returns false if it is too late: the lease ran out and another caller has claimed the id
    /// since, or a cleanup has forgotten the claim. Then nothing changes, and
    /// [`Metrics::late`](super::Metrics::late) counts it.
    ///
    /// # Progress
    ///
    /// Lock-free. Forgets the oldest id if there is no room, and up to two expired ones. Takes a
    /// lock only to wake callers that wait for this id and, in an inline cleanup, all callers that
    /// wait. The memory for the order of completion is allocated in parts, when each is first used;
    /// a concurrent completion may then wait until a pointer is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Deduplicator;
    ///
    /// let seen = Deduplicator::<u64>::builder().capacity(1_000).build()?;
    /// let ticket = seen.claim(7).ticket().expect("it is new");
    /// assert!(ticket.complete() && seen.is_processed(&7));
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn complete(mut self) -> bool {
        let completed = self.handle.as_ref().is_some_and(|handle| self.store.complete(handle));
        // Not earlier: if completing it panics, dropping the ticket gives the claim back.
        self.handle = None;
        completed
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Ticket<Id> {
    /// Makes the lease end `lease` from now, if that is later than it would end: for work that
    /// takes longer, and for the visibility timeouts of queues. Returns false if it is too late, as
    /// [`complete`](Self::complete) does.
    ///
    /// # Progress
    ///
    /// Lock-free: one exchange of the id's word.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Clock;
    /// use clockhand::dedup::Deduplicator;
    ///
    /// let (clock, manual) = Clock::manual();
    /// let seen = Deduplicator::builder().clock(clock).lease(Duration::from_secs(30)).build()?;
    /// let mut ticket = seen.claim(1).ticket().expect("it is new");
    /// manual.advance(Duration::from_secs(20));
    /// assert!(ticket.extend(Duration::from_secs(30)));
    /// manual.advance(Duration::from_secs(20));
    /// assert!(seen.claim(1).is_in_progress());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn extend(&mut self, lease: Duration) -> bool {
        self.handle.as_mut().is_some_and(|handle| self.store.extend(handle, lease))
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Drop for Ticket<Id> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.store.abandon_in_drop(&handle);
        }
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + fmt::Debug + 'static> fmt::Debug for Ticket<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", self.id()).finish_non_exhaustive()
    }
}
