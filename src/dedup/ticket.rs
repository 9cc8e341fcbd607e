//! What a claim gives.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::store::{Grip, Share};

/// The answer to a claim: whether the caller is to process the id.
///
/// `T` is the ticket: [`Ticket`] for ids, [`OffsetTicket`](super::OffsetTicket) for offsets.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives the claim back"]
#[non_exhaustive]
pub enum Claim<T> {
    /// The id is new, or was given back, or its lease ran out: process it, and complete the ticket.
    /// Exactly one caller gets this.
    New(T),
    /// Another caller is processing it.
    InProgress,
    /// It was processed.
    Done,
}

impl<T> Claim<T> {
    /// The ticket, if the claim was granted.
    pub fn ticket(self) -> Option<T> {
        match self {
            Self::New(ticket) => Some(ticket),
            Self::InProgress | Self::Done => None,
        }
    }

    /// Whether the claim was granted.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    /// Whether another caller is processing the id.
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::InProgress)
    }

    /// Whether the id was processed.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

/// What came of [`Deduplicator::process`](super::Deduplicator::process).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "it says whether the message was processed"]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// It was processed just now, with this result.
    Processed(T),
    /// It was processed just now, but the lease had run out and another caller had it, or the ticket was fenced:
    /// it may be processed twice. Of an id, [`Metrics::late`](super::Metrics::late) counts it.
    Late(T),
    /// Processing failed. The claim was given back: a redelivery is processed.
    Failed(E),
    /// It had been processed before.
    Duplicate,
    /// Another caller is processing it.
    InProgress,
}

impl<T, E> Outcome<T, E> {
    /// What processing returned, if it took place and succeeded.
    pub fn processed(self) -> Option<T> {
        match self {
            Self::Processed(result) | Self::Late(result) => Some(result),
            Self::Failed(_) | Self::Duplicate | Self::InProgress => None,
        }
    }

    /// Whether it had been processed before. Then it may be acknowledged; while another caller is processing it, it
    /// may not, as that one may fail.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::Duplicate)
    }
}

/// The right to process an id, and the duty to say how it ended.
///
/// Dropping it, after an error, in a panic or with a cancelled task, gives the claim back: the next
/// caller gets a ticket of its own. It may be sent to other threads, and keeps the deduplicator's
/// memory alive. A ticket that is forgotten ([`std::mem::forget`]) holds its id until the lease runs
/// out.
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
    store: Arc<Share<Id>>,
    grip: Option<Grip<Id>>,
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Ticket<Id> {
    pub(super) fn new(store: Arc<Share<Id>>, grip: Grip<Id>) -> Self {
        Self { store, grip: Some(grip) }
    }

    /// The id.
    ///
    /// # Panics
    ///
    /// Never: only a ticket that was used up has none.
    pub fn id(&self) -> &Id {
        &self.grip.as_ref().expect("a ticket that was not used up has its grip").id
    }

    /// Remembers the id as processed, for the time to live.
    ///
    /// False if it came too late: the lease had run out and another caller has claimed the id since, or a cleanup
    /// has forgotten the claim. Then nothing changes, and [`Metrics::late`](super::Metrics::late) counts it.
    ///
    /// # Progress
    ///
    /// Lock-free. Forgets the oldest id if there is no room, and up to two that have expired; takes a
    /// lock only to wake callers that wait for this id, and, in a cleanup in passing, any that wait.
    /// The first one to use a part of the order's memory allocates it; another one that comes at the
    /// same instant may wait for a pointer to be stored.
    pub fn complete(mut self) -> bool {
        let completed = self.grip.as_ref().is_some_and(|grip| self.store.complete(grip));
        // Not earlier: a panic on the way gives the claim back.
        self.grip = None;
        completed
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Ticket<Id> {
    /// Lets the lease run out so long after now, if that is later than it would: for work that takes longer, and for
    /// the visibility timeouts of queues. False if it came too late, as [`complete`](Self::complete) has it.
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
    /// let (clock, hand) = Clock::manual();
    /// let seen = Deduplicator::builder().clock(clock).lease(Duration::from_secs(30)).build()?;
    /// let mut ticket = seen.claim(1).ticket().expect("it is new");
    /// hand.advance(Duration::from_secs(20));
    /// assert!(ticket.extend(Duration::from_secs(30)));
    /// hand.advance(Duration::from_secs(20));
    /// assert!(seen.claim(1).is_in_progress());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn extend(&mut self, lease: Duration) -> bool {
        self.grip.as_mut().is_some_and(|grip| self.store.extend(grip, lease))
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Drop for Ticket<Id> {
    fn drop(&mut self) {
        if let Some(grip) = self.grip.take() {
            self.store.abandon_in_drop(&grip);
        }
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + fmt::Debug + 'static> fmt::Debug for Ticket<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", self.id()).finish_non_exhaustive()
    }
}
