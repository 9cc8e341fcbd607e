//! A flight: one load of one key, with a leader and those who wait for it.
//!
//! | state | what may happen |
//! |---|---|
//! | flying | others join, leave, and take over from a leader that stalls; the leader begins to land, fails, or dies |
//! | landing | others join and leave; the leader ends it, or dies |
//! | over | nothing; those who had joined read the outcome |
//!
//! A leader that dies promotes the waiter that came first. If there is none, the flight is over
//! without an outcome.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use crate::sync::{AtomicU64, Mutex, Relaxed, lock, seeded};

/// A place in a flight. Seats are numbered in the order in which they are taken; the first one is
/// that of whoever boarded.
pub(super) type Seat = u64;

/// What became of a load, for those that had joined.
#[derive(Debug)]
pub(super) enum Outcome<V> {
    /// The value.
    Value(V),
    /// The error, and an older value that may stand in for the one that was wanted.
    Failed(Arc<dyn Any + Send + Sync>, Option<V>),
}

/// What a waiter learns.
#[derive(Debug)]
pub(super) enum News<V> {
    /// Nothing yet.
    Wait,
    /// It is the leader now.
    Promoted,
    /// The flight is over.
    Over(Option<Arc<Outcome<V>>>),
}

/// How long a leader that is a task may give no sign of life, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Since it was polled last.
    pub(super) silent: u64,
    /// Since it should have been polled.
    pub(super) woken: u64,
}

/// One load.
#[derive(Debug)]
pub(super) struct Flight<V> {
    /// The thread that leads; zero if a task does. For `cycle`.
    pub(super) thread: Relaxed<AtomicU64>,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    leader: Seat,
    next: Seat,
    queue: VecDeque<Waiter>,
    phase: Phase<V>,
    /// Signs of life of a leader that is a task; a thread gives none and needs none.
    pulse: Option<Pulse>,
    /// How often a leader was relieved: the next one gets twice the time.
    relieved: u32,
    /// Whether `watch` looks after it.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
    watched: bool,
}

#[derive(Debug)]
struct Waiter {
    seat: Seat,
    waker: Waker,
    kind: Kind,
}

/// What runs a leader or a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Thread,
    Task,
    /// Nothing yet: a job that waits for an executor. Whoever comes takes over at once.
    Job,
}

#[derive(Debug, Clone, Copy)]
struct Pulse {
    polled: u64,
    woken: Option<u64>,
    /// It has not begun.
    queued: bool,
}

#[derive(Debug)]
enum Phase<V> {
    Flying,
    Landing,
    Over { outcome: Option<Arc<Outcome<V>>>, failed: Option<u64> },
}

/// Whether waiters need an outcome that was not given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The flight is over.
    Over,
    /// Somebody waits for an outcome: call again with one.
    Wanted,
    /// The caller is not the leader.
    Relieved,
}

impl<V> Flight<V> {
    /// The seat of whoever boarded.
    pub(super) const FIRST: Seat = 0;

    /// A flight that its maker leads.
    pub(super) fn new(kind: Kind, now: u64) -> Self {
        Self {
            thread: Relaxed::<AtomicU64>::new(0),
            state: Mutex::new(State {
                leader: Self::FIRST,
                next: Self::FIRST + 1,
                queue: VecDeque::new(),
                phase: Phase::Flying,
                pulse: match kind {
                    Kind::Thread => None,
                    Kind::Task => Some(Pulse { polled: now, woken: None, queued: false }),
                    Kind::Job => Some(Pulse { polled: now, woken: None, queued: true }),
                },
                relieved: 0,
                watched: false,
            }),
        }
    }

    /// Takes a seat, unless the flight is over.
    pub(super) fn join(&self, kind: Kind, waker: Waker) -> Option<Seat> {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Over { .. }) {
            return None;
        }
        let seat = state.next;
        state.next += 1;
        state.queue.push_back(Waiter { seat, waker, kind });
        Some(seat)
    }

    /// What there is to know for the holder of a seat; `waker` is told when that changes.
    pub(super) fn poll(&self, seat: Seat, waker: &Waker, now: u64, patience: Patience) -> News<V> {
        // Made before, and the old one dropped after the lock: both may run user code (L5).
        let mut waker = waker.clone();
        let mut state = lock(&self.state);
        if let Phase::Over { outcome, .. } = &state.phase {
            return News::Over(outcome.clone());
        }
        if state.leader == seat {
            return News::Promoted;
        }
        if state.queue.front().is_some_and(|first| first.seat == seat)
            && state.is_stalled(now, patience)
        {
            state.relieved += 1;
            let _own = state.promote(now);
            drop(state);
            return News::Promoted;
        }
        if let Some(own) = state.queue.iter_mut().find(|other| other.seat == seat)
            && !seeded("flight-first-waker")
        {
            std::mem::swap(&mut own.waker, &mut waker);
        }
        drop(state);
        News::Wait
    }

    /// Gives a waiter's seat up. If it was promoted meanwhile, the next one is.
    ///
    /// True if nobody is left: the caller takes the ticket out of the table.
    pub(super) fn leave(&self, seat: Seat, now: u64) -> bool {
        let mut state = lock(&self.state);
        if state.leader == seat && !seeded("flight-promotion-lost") {
            drop(state);
            return self.abandon(seat, now, false);
        }
        let place = state.queue.iter().position(|other| other.seat == seat);
        let _left = place.and_then(|place| state.queue.remove(place));
        drop(state);
        false
    }

    /// The leader dies, or has failed where nobody wants to know why: the first waiter is promoted.
    ///
    /// True if nobody waits: the flight is over, and the caller takes the ticket out of the table.
    pub(super) fn abandon(&self, seat: Seat, now: u64, failed: bool) -> bool {
        let mut state = lock(&self.state);
        if state.leader != seat || matches!(state.phase, Phase::Over { .. }) {
            return false;
        }
        state.phase = Phase::Flying;
        let promoted = state.promote(now);
        let over = promoted.is_none();
        if over {
            state.phase = Phase::Over { outcome: None, failed: failed.then_some(now) };
        }
        drop(state);
        self.thread.set(0);
        if let Some(waker) = promoted
            && !seeded("flight-promote-asleep")
        {
            waker.wake();
        }
        over
    }

    /// The leader is about to land; false if it was relieved.
    pub(super) fn begin_landing(&self, seat: Seat) -> bool {
        let mut state = lock(&self.state);
        let leads = state.leader == seat && matches!(state.phase, Phase::Flying);
        if leads && !seeded("flight-landing-unmarked") {
            state.phase = Phase::Landing;
        }
        leads
    }

    /// The leader ends the flight; everybody who waits is told.
    pub(super) fn end(
        &self,
        seat: Seat,
        outcome: &Option<Arc<Outcome<V>>>,
        failed: Option<u64>,
    ) -> End {
        let mut state = lock(&self.state);
        if state.leader != seat || matches!(state.phase, Phase::Over { .. }) {
            return End::Relieved;
        }
        if outcome.is_none() && !state.queue.is_empty() {
            return End::Wanted;
        }
        state.phase = Phase::Over { outcome: outcome.clone(), failed };
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        if seeded("flight-tell-first-only") {
            queue.into_iter().take(1).for_each(|waiter| waiter.waker.wake());
        } else {
            queue.into_iter().for_each(|waiter| waiter.waker.wake());
        }
        End::Over
    }

    /// Whether the flight is over, and if it failed, before that moment.
    pub(super) fn is_over(&self, failed_before: u64) -> bool {
        match lock(&self.state).phase {
            Phase::Over { failed, .. } => failed.is_none_or(|failed| failed <= failed_before),
            Phase::Flying | Phase::Landing => false,
        }
    }

    /// The leader, a thread, begins to work; false if it was relieved before.
    pub(super) fn led_by_thread(&self, seat: Seat, thread: u64) -> bool {
        let mut state = lock(&self.state);
        let leads = state.leader == seat;
        if leads {
            state.pulse = None;
            self.thread.set(thread);
        }
        leads
    }
}

/// Leaders that are tasks.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl<V> Flight<V> {
    /// The leader, a task, is polled; false if it was relieved before.
    pub(super) fn polled(&self, seat: Seat, now: u64) -> bool {
        let mut state = lock(&self.state);
        let leads = state.leader == seat;
        if leads {
            state.pulse = Some(Pulse { polled: now, woken: None, queued: false });
        }
        leads
    }

    /// The leader, a task, should be polled soon.
    pub(super) fn woken(&self, seat: Seat, now: u64) {
        let mut state = lock(&self.state);
        if let State { leader, pulse: Some(pulse), .. } = &mut *state
            && *leader == seat
        {
            pulse.woken.get_or_insert(now);
        }
    }

    /// Whether nobody looks after it yet; from now on the caller does.
    pub(super) fn begin_watch(&self) -> bool {
        !std::mem::replace(&mut lock(&self.state).watched, true)
    }

    /// Wakes the first waiter if the leader stalls. False if the flight is over.
    pub(super) fn nudge(&self, now: u64, patience: Patience) -> bool {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Over { .. }) {
            return false;
        }
        let stalled = state.is_stalled(now, patience);
        // Taken, as cloning it may run user code (L5): who is woken brings it again.
        let asleep = || Waker::noop().clone();
        let first = state.queue.front_mut().filter(|_| stalled);
        let waker = first.map(|first| std::mem::replace(&mut first.waker, asleep()));
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<V> State<V> {
    /// Makes the first waiter the leader.
    fn promote(&mut self, now: u64) -> Option<Waker> {
        let first = self.queue.pop_front()?;
        self.leader = first.seat;
        let pulse = Pulse { polled: now, woken: Some(now), queued: false };
        self.pulse = (first.kind == Kind::Task).then_some(pulse);
        Some(first.waker)
    }

    fn is_stalled(&self, now: u64, patience: Patience) -> bool {
        let Some(pulse) = self.pulse.filter(|_| matches!(self.phase, Phase::Flying)) else {
            return false;
        };
        let times = 1_u64 << self.relieved.min(16);
        let over = |since: u64, limit: u64| now.saturating_sub(since) > limit.saturating_mul(times);
        pulse.queued
            || over(pulse.polled, patience.silent)
            || pulse.woken.is_some_and(|woken| over(woken, patience.woken))
    }
}
