//! Callers that wait for a claim to end.
//!
//! A waiter registers here, and then sets HAS_WAITERS in the id's word, or the same in an offset's
//! claim. The thread that ends the claim reads that bit, and comes here only if it is set. If the
//! claim ended before the bit could be set, the waiter notices that and does not wait.
//!
//! No thread acts when a lease runs out. A thread that waits checks the lease itself from time to
//! time. For tasks a thread of this module does, which is started when the first task waits, and
//! ends when no task has waited for a while.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard, PeriodicThread, lock, unique, wake_quietly};
use crate::time::{Clock, Deadline, Moment};

/// The number of locks among which waiters are spread.
const SHARDS: usize = 16;
/// How often leases are checked. They are polled because the clock need not be the system's.
pub(super) const LEASE_CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// Rounds without a waiter after which the thread ends.
const MAX_IDLE_ROUNDS: u32 = 100;

#[derive(Debug)]
struct Waiter {
    key: u64,
    number: u64,
    /// The end of the lease when the waiter registered.
    until: Deadline,
    waker: Waker,
}

/// The thread that checks leases.
#[derive(Debug, Default)]
struct Watch {
    runs: bool,
    thread: Option<PeriodicThread>,
}

/// The waiters, by a hash of what they wait for.
#[derive(Debug)]
pub(super) struct Waiters {
    clock: Clock,
    shards: [Mutex<Vec<Waiter>>; SHARDS],
    watch: Mutex<Watch>,
}

impl Waiters {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { clock, shards: Default::default(), watch: Mutex::default() })
    }

    fn shard(&self, key: u64) -> MutexGuard<'_, Vec<Waiter>> {
        lock(&self.shards[(key >> 32) as usize % SHARDS])
    }

    /// Registers a waiter, which has to call [`leave`](Self::leave) in any case.
    pub(super) fn enter(&self, key: u64, until: Deadline, waker: &Waker) -> u64 {
        let (number, waker) = (unique(), waker.clone());
        self.shard(key).push(Waiter { key, number, until, waker });
        number
    }

    /// Removes a waiter, if it is still there.
    pub(super) fn leave(&self, key: u64, number: u64) {
        let mut shard = self.shard(key);
        let at = shard.iter().position(|waiter| waiter.number == number);
        let gone = at.map(|at| shard.swap_remove(at));
        // After the lock is released, as the waker's destructor is user code.
        drop(shard);
        drop(gone);
    }

    /// Wakes the waiters of `key`.
    pub(super) fn wake(&self, key: u64) {
        let woken = self.shard(key).extract_if(.., |waiter| waiter.key == key).collect();
        wake_each(woken);
    }

    /// Wakes all waiters, which then read the status again.
    pub(super) fn wake_all(&self) {
        for shard in &self.shards {
            let woken = std::mem::take(&mut *lock(shard));
            wake_each(woken);
        }
    }

    /// Wakes waiters of claims whose lease ran out.
    fn wake_due(&self, now: Moment) {
        for shard in &self.shards {
            let woken = lock(shard).extract_if(.., |w| w.until.is_passed(now)).collect();
            wake_each(woken);
        }
    }

    /// Starts the thread that checks leases, if it does not run. If it cannot be started, the next
    /// cleanup wakes the waiters.
    #[cfg(feature = "async")]
    pub(super) fn watch(self: &Arc<Self>) {
        let mut watch = lock(&self.watch);
        if watch.runs {
            return;
        }
        let (waiters, mut idle) = (Arc::downgrade(self), 0);
        let round = move || waiters.upgrade()?.round(&mut idle);
        let thread = PeriodicThread::start("clockhand-wait", LEASE_CHECK_INTERVAL, round).ok();
        watch.runs = thread.is_some();
        let ended = std::mem::replace(&mut watch.thread, thread);
        drop(watch);
        drop(ended);
    }

    /// A round of that thread. Returns `None` if it was the last.
    #[cfg(feature = "async")]
    fn round(&self, idle: &mut u32) -> Option<Duration> {
        self.wake_due(self.clock.now());
        // Under the lock: a task that registers after this check finds that no thread runs.
        let mut watch = lock(&self.watch);
        let waits = self.shards.iter().any(|shard| !lock(shard).is_empty());
        *idle = if waits { 0 } else { *idle + 1 };
        watch.runs = *idle < MAX_IDLE_ROUNDS;
        watch.runs.then_some(LEASE_CHECK_INTERVAL)
    }
}

/// Wakes them, with no lock held. A waker that panics does not affect the thread that ended the
/// claim.
fn wake_each(woken: Vec<Waiter>) {
    wake_quietly(woken.into_iter().map(|waiter| waiter.waker));
}
