//! Joining a claim that is in progress.

#[cfg(feature = "async")]
use std::borrow::Borrow;
#[cfg(feature = "async")]
use std::hash::Hash;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::waiters::{NAP, Waiters};
use crate::sync::Sleep;
use crate::time::Deadline;

/// What waiting for an id or an offset came to.
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

/// What is known of an id or an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Done,
    /// Claimed, and its lease runs until then.
    InProgress(Deadline),
    /// A claim would be granted.
    Open,
}

/// What may be waited for.
pub(super) trait Awaited {
    fn known(&self) -> Known;
    /// By which whoever ends the claim finds those who wait for it.
    fn key(&self) -> u64;
    fn waiters(&self) -> &Arc<Waiters>;
    /// Has whoever ends the claim wake those who wait. False if it has ended.
    fn join(&self) -> bool;
}

/// A place among the waiters; left when this is dropped.
struct Entered {
    waiters: Arc<Waiters>,
    key: u64,
    number: u64,
}

impl Entered {
    fn new(awaited: &impl Awaited, until: Deadline, waker: &Waker) -> Self {
        let (waiters, key) = (Arc::clone(awaited.waiters()), awaited.key());
        let number = waiters.enter(key, until, waker);
        Self { waiters, key, number }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.waiters.leave(self.key, self.number);
    }
}

/// Waits on this thread.
///
/// Ends: each round looks at the claim, and the time limit is checked in each.
pub(super) fn wait(awaited: &impl Awaited, timeout: Duration) -> Waited {
    let begin = Instant::now();
    let mut sleep = None;
    loop {
        let until = match awaited.known() {
            Known::Done => return Waited::Done,
            Known::Open => return Waited::Open,
            Known::InProgress(until) => until,
        };
        let Some(left) = timeout.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
            return Waited::TimedOut;
        };
        let sleep = sleep.get_or_insert_with(Sleep::new);
        let entered = Entered::new(awaited, until, &sleep.waker());
        if awaited.join() {
            sleep.rest(left.min(NAP));
        }
        drop(entered);
    }
}

/// Waits in a task.
#[cfg(feature = "async")]
pub(super) struct Waiting<A> {
    awaited: A,
    place: Option<Entered>,
}

#[cfg(feature = "async")]
impl<A: Awaited> Waiting<A> {
    pub(super) fn new(awaited: A) -> Self {
        Self { awaited, place: None }
    }

    /// Ends: each round but the last saw that the claim had ended after it was looked at.
    fn poll(&mut self, context: &std::task::Context<'_>) -> std::task::Poll<Waited> {
        use std::task::Poll;
        let awaited = &self.awaited;
        loop {
            self.place = None;
            let until = match awaited.known() {
                Known::Done => return Poll::Ready(Waited::Done),
                Known::Open => return Poll::Ready(Waited::Open),
                Known::InProgress(until) => until,
            };
            // Entered first: whoever ends the claim after `join` finds this waiter.
            self.place = Some(Entered::new(awaited, until, context.waker()));
            if awaited.join() {
                awaited.waiters().watch();
                return Poll::Pending;
            }
        }
    }
}

/// Waits for an id in a task. Made by [`Deduplicator::wait_done_async`](super::Deduplicator::wait_done_async).
#[cfg(feature = "async")]
#[must_use = "a future does nothing until it is polled"]
pub struct WaitDone<'d, Id, Q: ?Sized = Id>(pub(super) Waiting<super::store::AwaitedId<'d, Id, Q>>);

#[cfg(feature = "async")]
impl<Id, Q> Future for WaitDone<'_, Id, Q>
where
    Id: Hash + Eq + Clone + Borrow<Q> + Send + Sync + 'static,
    Q: Hash + Eq + ?Sized,
{
    type Output = Waited;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Waited> {
        self.0.poll(context)
    }
}

#[cfg(feature = "async")]
impl<Id, Q: ?Sized> std::fmt::Debug for WaitDone<'_, Id, Q> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WaitDone").field("waits", &self.0.place.is_some()).finish_non_exhaustive()
    }
}

/// Waits for an offset in a task. Made by [`OffsetTracker::wait_done_async`](super::OffsetTracker::wait_done_async).
#[cfg(feature = "async")]
#[must_use = "a future does nothing until it is polled"]
pub struct WaitOffset(pub(super) Option<Waiting<super::lane::AwaitedOffset>>);

#[cfg(feature = "async")]
impl Future for WaitOffset {
    type Output = Waited;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Waited> {
        let open = std::task::Poll::Ready(Waited::Open);
        self.0.as_mut().map_or(open, |waiting| waiting.poll(context))
    }
}

#[cfg(feature = "async")]
impl std::fmt::Debug for WaitOffset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waits = self.0.as_ref().is_some_and(|waiting| waiting.place.is_some());
        f.debug_struct("WaitOffset").field("waits", &waits).finish_non_exhaustive()
    }
}
