//! Waiting for a claim that is in progress.

#[cfg(feature = "async")]
use std::borrow::Borrow;
#[cfg(feature = "async")]
use std::hash::Hash;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::waiters::{LEASE_CHECK_INTERVAL, Waiters};
use crate::sync::Sleep;
use crate::time::Deadline;

/// The result of waiting for an id or an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "it says whether the id is done"]
#[non_exhaustive]
pub enum Waited {
    /// The id is done.
    Done,
    /// No caller is processing the id: it was given back, its lease ran out, or it was not claimed.
    /// A claim would be granted.
    Open,
    /// It is still in progress.
    TimedOut,
}

impl Waited {
    /// Whether the id is done.
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
    /// assert!(seen.wait_done(&7, std::time::Duration::ZERO).is_done());
    /// # Ok::<_, clockhand::dedup::SettingsError>(())
    /// ```
    pub fn is_done(self) -> bool {
        self == Self::Done
    }
}

/// The status of an id or an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Done,
    /// Claimed, with a lease until this deadline.
    InProgress(Deadline),
    /// A claim would be granted.
    Open,
}

/// An id or an offset that a caller waits for.
pub(super) trait WaitTarget {
    fn status(&self) -> Status;
    /// The key by which the end of the claim finds its waiters.
    fn key(&self) -> u64;
    fn waiters(&self) -> &Arc<Waiters>;
    /// Has the end of the claim wake its waiters. Returns false if the claim has ended.
    fn join(&self) -> bool;
}

/// A registration among the waiters, removed when this is dropped.
struct Registration {
    waiters: Arc<Waiters>,
    key: u64,
    number: u64,
}

impl Registration {
    fn new(target: &impl WaitTarget, until: Deadline, waker: &Waker) -> Self {
        let (waiters, key) = (Arc::clone(target.waiters()), target.key());
        let number = waiters.enter(key, until, waker);
        Self { waiters, key, number }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.waiters.leave(self.key, self.number);
    }
}

/// Waits on this thread.
///
/// Ends: each round reads the status, and checks the time limit.
pub(super) fn wait(target: &impl WaitTarget, timeout: Duration) -> Waited {
    let begin = Instant::now();
    let mut sleep = None;
    loop {
        let until = match target.status() {
            Status::Done => return Waited::Done,
            Status::Open => return Waited::Open,
            Status::InProgress(until) => until,
        };
        let Some(left) = timeout.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else {
            return Waited::TimedOut;
        };
        let sleep = sleep.get_or_insert_with(Sleep::new);
        // Registered before `join`: the thread that ends the claim afterwards finds this waiter. If
        // the claim has ended before, `join` fails and the status is read again.
        let registration = Registration::new(target, until, &sleep.waker());
        if target.join() {
            sleep.rest(left.min(LEASE_CHECK_INTERVAL));
        }
        drop(registration);
    }
}

/// Waits in a task.
#[cfg(feature = "async")]
pub(super) struct TaskWait<A> {
    target: A,
    registration: Option<Registration>,
}

#[cfg(feature = "async")]
impl<A: WaitTarget> TaskWait<A> {
    pub(super) fn new(target: A) -> Self {
        Self { target, registration: None }
    }

    /// Ends: in each round except the last, the claim has ended after its status was read.
    fn poll(&mut self, context: &std::task::Context<'_>) -> std::task::Poll<Waited> {
        use std::task::Poll;
        let target = &self.target;
        loop {
            self.registration = None;
            let until = match target.status() {
                Status::Done => return Poll::Ready(Waited::Done),
                Status::Open => return Poll::Ready(Waited::Open),
                Status::InProgress(until) => until,
            };
            // Registered before `join`, as in `wait`.
            self.registration = Some(Registration::new(target, until, context.waker()));
            if target.join() {
                target.waiters().watch();
                return Poll::Pending;
            }
        }
    }
}

/// Waits for an id in a task. Made by
/// [`Deduplicator::wait_done_async`](super::Deduplicator::wait_done_async).
#[cfg(feature = "async")]
#[must_use = "a future does nothing until it is polled"]
pub struct WaitDone<'d, Id, Q: ?Sized = Id>(pub(super) TaskWait<super::store::IdTarget<'d, Id, Q>>);

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
        f.debug_struct("WaitDone")
            .field("waits", &self.0.registration.is_some())
            .finish_non_exhaustive()
    }
}

/// Waits for an offset in a task. Made by
/// [`OffsetTracker::wait_done_async`](super::OffsetTracker::wait_done_async).
#[cfg(feature = "async")]
#[must_use = "a future does nothing until it is polled"]
pub struct WaitOffset(pub(super) Option<TaskWait<super::tracked_partition::OffsetTarget>>);

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
        let waits = self.0.as_ref().is_some_and(|waiting| waiting.registration.is_some());
        f.debug_struct("WaitOffset").field("waits", &waits).finish_non_exhaustive()
    }
}
