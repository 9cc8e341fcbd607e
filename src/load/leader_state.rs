//! The leader of a flight, and whether it makes progress.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::flight::{CallerId, Runner};
use super::queue::Waiter;
use super::run::Run;
use crate::load_policy::LoadPolicy;
use crate::time::nanos;

/// How often the limits are doubled: each leader that is relieved doubles those of the next one.
const MAX_DOUBLINGS: u32 = 4;

/// How long a leader may make no progress, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct StallLimits {
    /// Since it was woken, or promoted.
    pub(super) woken: u64,
    /// Since it began to renew a value.
    pub(super) renewal: u64,
}

impl StallLimits {
    pub(super) fn of(policy: LoadPolicy) -> Self {
        Self { woken: nanos(policy.woken_limit), renewal: nanos(policy.renewal_limit) }
    }

    /// How often to check whether one of them is exceeded.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "nothing is watched"))]
    pub(super) fn period(self) -> Duration {
        let half = Duration::from_nanos(self.woken.min(self.renewal) / 2);
        half.clamp(Duration::from_millis(1), Duration::from_millis(250))
    }
}

/// The caller that leads.
#[derive(Debug)]
pub(super) struct LeaderState {
    pub(super) id: CallerId,
    runner: Runner,
    /// Whether it renews a value that is there, as far as is known.
    is_renewal: bool,
    /// When it was promoted or has begun.
    since: u64,
    /// The waiter, from when it is promoted until it arrives.
    pub(super) absent: Option<Waiter>,
    /// Its run, once that has begun.
    run: Option<Arc<Run>>,
}

impl LeaderState {
    /// The caller that begins the load.
    pub(super) fn first(id: CallerId, runner: Runner, is_renewal: bool, now: u64) -> Self {
        let is_renewal = is_renewal || runner == Runner::Job;
        Self { id, runner, is_renewal, since: now, absent: None, run: None }
    }

    /// A waiter that is promoted, and learns so when it polls.
    pub(super) fn promoted((id, waiter): (CallerId, Waiter), now: u64) -> Self {
        let mut leader = Self::first(id, waiter.runner, false, now);
        leader.absent = Some(waiter);
        leader
    }

    /// Notes that it polls. Returns its old waker, for the caller to drop without a lock.
    pub(super) fn arrive(&mut self, now: u64) -> Option<Waker> {
        self.since = now;
        self.absent.take().and_then(|waiter| waiter.waker)
    }

    /// Notes that its loader begins to run.
    pub(super) fn start_run(&mut self, runner: Runner, run: Arc<Run>, now: u64) {
        (self.runner, self.run, self.since) = (runner, Some(run), now);
    }

    /// Notes that its loader will run later.
    pub(super) fn postpone(&mut self) -> Option<Arc<Run>> {
        self.runner = Runner::Job;
        self.run.take()
    }

    pub(super) fn run(&self) -> Option<&Arc<Run>> {
        self.run.as_ref()
    }

    /// Whether another caller should lead, after `relieved` leaders were relieved.
    pub(super) fn is_stalled(&self, now: u64, limits: StallLimits, relieved: u32) -> bool {
        let times = 1_u64 << relieved.min(MAX_DOUBLINGS);
        let limit = |limit: u64| limit.saturating_mul(times);
        let lasts = now.saturating_sub(self.since);
        if self.absent.is_some() {
            return lasts > limits.woken;
        }
        let overdue =
            || self.run.as_ref().is_some_and(|run| run.is_overdue(now, limit(limits.woken)));
        self.runner == Runner::Job
            || self.is_renewal && lasts > limit(limits.renewal)
            || self.runner == Runner::Task && overdue()
    }
}
