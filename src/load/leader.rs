//! Who leads a flight, and whether it makes progress.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::flight::{Kind, Seat};
use super::queue::Waiter;
use super::run::Run;
use crate::load_policy::LoadPolicy;
use crate::time::nanos;

/// Each leader that was relieved doubles the limits of the next one, so many times.
const DOUBLINGS: u32 = 4;

/// How long a leader may make no progress, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Since it was woken, or promoted.
    pub(super) woken: u64,
    /// Since it began to renew a value.
    pub(super) renewal: u64,
}

impl Limits {
    pub(super) fn of(policy: LoadPolicy) -> Self {
        Self { woken: nanos(policy.woken_limit), renewal: nanos(policy.renewal_limit) }
    }

    /// How often to look whether one of them is exceeded.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "nobody watches"))]
    pub(super) fn period(self) -> Duration {
        let half = Duration::from_nanos(self.woken.min(self.renewal) / 2);
        half.clamp(Duration::from_millis(1), Duration::from_millis(250))
    }
}

/// Whoever has the leader's seat.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) seat: Seat,
    kind: Kind,
    /// Whether it renews a value that is there, as far as it is known.
    renews: bool,
    /// When it was promoted or has begun.
    since: u64,
    /// The waiter, from when it is promoted until it comes.
    pub(super) absent: Option<Waiter>,
    /// Its run, once it has begun.
    run: Option<Arc<Run>>,
}

impl Leader {
    /// The one that boards.
    pub(super) fn boarding(seat: Seat, kind: Kind, renews: bool, now: u64) -> Self {
        let renews = renews || kind == Kind::Job;
        Self { seat, kind, renews, since: now, absent: None, run: None }
    }

    /// A waiter that is promoted. It does not know yet.
    pub(super) fn promoted((seat, waiter): (Seat, Waiter), now: u64) -> Self {
        let mut leader = Self::boarding(seat, waiter.kind, false, now);
        leader.absent = Some(waiter);
        leader
    }

    /// It comes. Its old waker is for the caller to drop.
    pub(super) fn come(&mut self, now: u64) -> Option<Waker> {
        self.since = now;
        self.absent.take().and_then(|waiter| waiter.waker)
    }

    /// Its loader begins to run.
    pub(super) fn begin(&mut self, kind: Kind, run: Arc<Run>, now: u64) {
        (self.kind, self.run, self.since) = (kind, Some(run), now);
    }

    /// Its loader will run later.
    pub(super) fn put_off(&mut self) -> Option<Arc<Run>> {
        self.kind = Kind::Job;
        self.run.take()
    }

    pub(super) fn run(&self) -> Option<&Arc<Run>> {
        self.run.as_ref()
    }

    /// Whether somebody else should lead, after so many were relieved.
    pub(super) fn is_stalled(&self, now: u64, limits: Limits, relieved: u32) -> bool {
        let times = 1_u64 << relieved.min(DOUBLINGS);
        let limit = |limit: u64| limit.saturating_mul(times);
        let lasts = now.saturating_sub(self.since);
        if self.absent.is_some() {
            return lasts > limits.woken;
        }
        let overdue =
            || self.run.as_ref().is_some_and(|run| run.is_overdue(now, limit(limits.woken)));
        self.kind == Kind::Job
            || self.renews && lasts > limit(limits.renewal)
            || self.kind == Kind::Task && overdue()
    }
}
