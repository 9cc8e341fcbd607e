//! Those who wait for a claim to end.
//!
//! Nobody comes here unless somebody waits: a waiter enters itself, and then sets JOINED in the id's
//! word, or the like in an offset's claim. Whoever ends the claim sees that bit, and wakes. If the claim
//! ended before the bit could be set, the waiter sees it and does not wait.
//!
//! A lease that runs out is ended by nobody. A thread that waits looks at the lease by itself, every now and
//! then; for tasks a thread of the waiters does, which is started when the first task waits and ends when
//! nobody has waited for a while.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard, Patrol, lock, unique, wake_quietly};
use crate::time::{Clock, Deadline, Moment};

/// Waiters of different ids seldom meet.
const SHARDS: usize = 16;
/// How often leases are looked at: the clock need not be the system's.
pub(super) const NAP: Duration = Duration::from_millis(10);
/// Rounds without a waiter after which the thread ends.
const IDLE_ROUNDS: u32 = 100;

#[derive(Debug)]
struct Waiter {
    key: u64,
    number: u64,
    /// The end of the lease when it was looked at.
    until: Deadline,
    waker: Waker,
}

/// The thread that looks at leases.
#[derive(Debug, Default)]
struct Watch {
    runs: bool,
    thread: Option<Patrol>,
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

    /// Enters a waiter, which is to call [`leave`](Self::leave) in any case.
    pub(super) fn enter(&self, key: u64, until: Deadline, waker: &Waker) -> u64 {
        let (number, waker) = (unique(), waker.clone());
        self.shard(key).push(Waiter { key, number, until, waker });
        number
    }

    /// Takes a waiter out, if it is still there.
    pub(super) fn leave(&self, key: u64, number: u64) {
        let mut shard = self.shard(key);
        let at = shard.iter().position(|waiter| waiter.number == number);
        let gone = at.map(|at| shard.swap_remove(at));
        // The waker's destructor is user code.
        drop(shard);
        drop(gone);
    }

    /// Wakes those who wait for what has this key.
    pub(super) fn wake(&self, key: u64) {
        let woken = self.shard(key).extract_if(.., |waiter| waiter.key == key).collect();
        wake_each(woken);
    }

    /// Wakes everybody, to look again.
    pub(super) fn wake_all(&self) {
        for shard in &self.shards {
            let woken = std::mem::take(&mut *lock(shard));
            wake_each(woken);
        }
    }

    /// Wakes those whose lease ran out.
    fn wake_due(&self, now: Moment) {
        for shard in &self.shards {
            let woken = lock(shard).extract_if(.., |w| w.until.is_passed(now)).collect();
            wake_each(woken);
        }
    }

    /// Has a thread look at the leases for which somebody waits. If none can be started, the next cleanup
    /// does.
    #[cfg(feature = "async")]
    pub(super) fn watch(self: &Arc<Self>) {
        let mut watch = lock(&self.watch);
        if watch.runs {
            return;
        }
        let (waiters, mut idle) = (Arc::downgrade(self), 0);
        let round = move || waiters.upgrade()?.round(&mut idle);
        let thread = Patrol::start("clockhand-wait", NAP, round).ok();
        watch.runs = thread.is_some();
        let ended = std::mem::replace(&mut watch.thread, thread);
        drop(watch);
        drop(ended);
    }

    /// A round of that thread; nothing if it was the last.
    #[cfg(feature = "async")]
    fn round(&self, idle: &mut u32) -> Option<Duration> {
        self.wake_due(self.clock.now());
        // Under the lock: who enters after this look finds that no thread runs.
        let mut watch = lock(&self.watch);
        let waits = self.shards.iter().any(|shard| !lock(shard).is_empty());
        *idle = if waits { 0 } else { *idle + 1 };
        watch.runs = *idle < IDLE_ROUNDS;
        watch.runs.then_some(NAP)
    }
}

/// Wakes them, with no lock held. A waker that panics is no concern of whoever ended the claim.
fn wake_each(woken: Vec<Waiter>) {
    wake_quietly(woken.into_iter().map(|waiter| waiter.waker));
}
