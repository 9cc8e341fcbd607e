//! Joining a claim that is in progress.

use std::hash::Hash;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::store::{Known, Store};
use crate::sync::Sleep;

/// How long a thread sleeps before it looks at the lease again: the clock need not be the system's.
const NAP: Duration = Duration::from_millis(10);

/// What waiting for an id came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "it says whether the id is done"]
#[non_exhaustive]
pub enum Waited {
    /// The id is done.
    Done,
    /// Nobody processes the id: it was given back, its lease ran out, or nobody has claimed it. A claim
    /// would be granted.
    Open,
    /// It is still in progress.
    TimedOut,
}

impl Waited {
    /// Whether the id is done.
    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// A place among the waiters; left when this is dropped.
struct Entered<'s, Id: Hash + Eq + Clone + Send + Sync + 'static> {
    store: &'s Store<Id>,
    hash: u64,
    number: u64,
}

impl<'s, Id: Hash + Eq + Clone + Send + Sync + 'static> Entered<'s, Id> {
    fn new(store: &'s Store<Id>, hash: u64, waker: &Waker) -> Self {
        Self { store, hash, number: store.waiters.enter(hash, waker) }
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Drop for Entered<'_, Id> {
    fn drop(&mut self) {
        self.store.waiters.leave(self.hash, self.number);
    }
}

/// Waits on this thread.
///
/// Ends: each round looks at the word, and the time limit is checked in each.
pub(super) fn wait<Id>(store: &Store<Id>, id: &Id, timeout: Duration) -> Waited
where
    Id: Hash + Eq + Clone + Send + Sync + 'static,
{
    let hash = store.hash(id);
    let begin = Instant::now();
    let mut sleep = None;
    loop {
        match store.known(hash, id) {
            Known::Done => return Waited::Done,
            Known::Open => return Waited::Open,
            Known::InProgress => {}
        }
        let Some(left) = timeout.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
            return Waited::TimedOut;
        };
        let sleep = sleep.get_or_insert_with(Sleep::new);
        let entered = Entered::new(store, hash, &sleep.waker());
        if store.join(hash, id) {
            sleep.rest(left.min(NAP));
        }
        drop(entered);
    }
}

/// Waits in a task. Made by [`Deduplicator::wait_done_async`](super::Deduplicator::wait_done_async).
#[cfg(feature = "async")]
#[must_use = "a future does nothing until it is polled"]
pub struct WaitDone<'d, Id: Hash + Eq + Clone + Send + Sync + 'static> {
    store: &'d Store<Id>,
    id: &'d Id,
    hash: u64,
    entered: Option<Entered<'d, Id>>,
}

#[cfg(feature = "async")]
impl<'d, Id: Hash + Eq + Clone + Send + Sync + 'static> WaitDone<'d, Id> {
    pub(super) fn new(store: &'d Store<Id>, id: &'d Id) -> Self {
        Self { store, id, hash: store.hash(id), entered: None }
    }
}

#[cfg(feature = "async")]
impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Future for WaitDone<'_, Id> {
    type Output = Waited;

    /// Ends: each round but the last saw that the claim had ended after it was looked at.
    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Waited> {
        use std::task::Poll;
        loop {
            self.entered = None;
            match self.store.known(self.hash, self.id) {
                Known::Done => return Poll::Ready(Waited::Done),
                Known::Open => return Poll::Ready(Waited::Open),
                Known::InProgress => {}
            }
            // Entered first: whoever ends the claim after `join` finds this waiter.
            self.entered = Some(Entered::new(self.store, self.hash, context.waker()));
            if self.store.join(self.hash, self.id) {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(feature = "async")]
impl<Id: Hash + Eq + Clone + Send + Sync + 'static> std::fmt::Debug for WaitDone<'_, Id> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitDone").field("waits", &self.entered.is_some()).finish_non_exhaustive()
    }
}
