//! A flight: one load of one key, with a leader and those who wait for it.
//!
//! | state | what may happen |
//! |---|---|
//! | flying | others join, leave, and have the leader relieved if it stalls; the leader begins to land, fails, or dies |
//! | landing | others join and leave; the leader ends it, or dies |
//! | over | nothing; those who had joined read the outcome |
//!
//! A leader that dies promotes the waiter that came first, and so does a waiter that finds the leader
//! stalled. If there is none to promote, the flight is over without an outcome.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use super::rest::{Failure, Memory, Rest};
use crate::engine::Hold;
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, seeded, wake_all};

/// A place in a flight. Seats are numbered in the order in which they are taken; the first one is
/// that of whoever boarded.
pub(super) type Seat = u64;

/// What became of a load, for those that had joined.
#[derive(Debug)]
pub(super) enum Outcome<V> {
    /// The value.
    Value(V),
    /// Why there is none.
    Failed(Failure),
}

/// What a waiter learns.
#[derive(Debug)]
pub(super) enum News<V> {
    /// Nothing yet.
    Wait,
    /// It is the leader now.
    Promoted,
    /// The flight is over. Said once to each waiter.
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

/// Each leader that was relieved doubles the time of the next one, so many times.
const DOUBLINGS: u32 = 4;

/// One load.
#[derive(Debug)]
pub(super) struct Flight<V> {
    /// The thread that leads, or that polls or lands for a task; zero if there is none. Changed under
    /// the lock; read by `cycle` without it.
    thread: Relaxed<AtomicU64>,
    /// From when on a reader of the old value looks whether the flight is over, or nobody flies it.
    look_at: Relaxed<AtomicU64>,
    /// What is left of it once it has failed; and of the load that failed before, until then.
    pub(super) rest: OnceLock<Arc<Rest>>,
    pub(super) heritage: OnceLock<Arc<Memory>>,
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
    /// How often a leader was relieved.
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
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
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
    /// It is being polled at this moment.
    polling: bool,
}

#[derive(Debug)]
enum Phase<V> {
    Flying,
    Landing,
    Over {
        outcome: Option<Arc<Outcome<V>>>,
        /// Waiters that have not read the outcome. The last one takes it: it may be large.
        unread: usize,
        failed: Option<u64>,
    },
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

    /// A flight that its maker leads: the thread of this number, if it is one.
    pub(super) fn new(kind: Kind, thread: u64, now: u64) -> Self {
        Self {
            thread: Relaxed::<AtomicU64>::new(if kind == Kind::Thread { thread } else { 0 }),
            look_at: Relaxed::<AtomicU64>::new(u64::MAX),
            rest: OnceLock::new(),
            heritage: OnceLock::new(),
            state: Mutex::new(State {
                leader: Self::FIRST,
                next: Self::FIRST + 1,
                queue: VecDeque::new(),
                phase: Phase::Flying,
                pulse: Pulse::of(kind, now, None),
                relieved: 0,
                watched: false,
            }),
        }
    }

    /// The thread that leads, polls or lands; zero if none does.
    pub(super) fn thread(&self) -> u64 {
        self.thread.get()
    }

    /// Sets the moment from which on readers of the old value look at the flight again.
    pub(super) fn look_again(&self, at: u64) {
        self.look_at.set(at);
    }

    /// Whether it is that late; a single load.
    pub(super) fn is_worth_a_look(&self, now: impl FnOnce() -> u64) -> bool {
        let at = self.look_at.get();
        at != u64::MAX && at <= now()
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

    /// What there is to know for the holder of a seat; `waker` is told when that changes. A leader that
    /// stalls is relieved, whoever asks.
    pub(super) fn poll(&self, seat: Seat, waker: &Waker, now: u64, patience: Patience) -> News<V> {
        // Made before, and the old one dropped after the lock: both may run user code (L5).
        let mut waker = waker.clone();
        let mut state = lock(&self.state);
        if let Some(outcome) = state.read_outcome() {
            drop(state);
            return News::Over(outcome);
        }
        if state.leader == seat {
            return News::Promoted;
        }
        let promoted = self.relieve(&mut state, now, patience);
        let mine = state.leader == seat;
        if let Some(own) = state.queue.iter_mut().find(|other| other.seat == seat)
            && !seeded("flight-first-waker")
        {
            std::mem::swap(&mut own.waker, &mut waker);
        }
        drop(state);
        if mine {
            return News::Promoted;
        }
        wake(promoted);
        News::Wait
    }

    /// Gives a waiter's seat up. If it was promoted meanwhile, the next one is.
    ///
    /// True if nobody is left: the caller takes the ticket out of the table.
    pub(super) fn leave(&self, seat: Seat, now: u64) -> bool {
        let mut state = lock(&self.state);
        if let Some(outcome) = state.read_outcome() {
            drop(state);
            drop(outcome);
            return false;
        }
        if state.leader == seat && !seeded("flight-promotion-lost") {
            drop(state);
            return self.abandon(seat, now, false);
        }
        let place = state.queue.iter().position(|other| other.seat == seat);
        let left = place.and_then(|place| state.queue.remove(place));
        drop(state);
        drop(left);
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
        self.thread.set(0);
        let promoted = state.promote(now);
        let over = promoted.is_none();
        if over {
            let failed = failed.then_some(now);
            state.phase = Phase::Over { outcome: None, unread: 0, failed };
        }
        drop(state);
        if !seeded("flight-promote-asleep") {
            wake(promoted);
        }
        over
    }

    /// Promotes the first waiter over the head of the leader, if that stalls.
    fn relieve(&self, state: &mut State<V>, now: u64, patience: Patience) -> Option<Waker> {
        if !state.is_stalled(now, patience) {
            return None;
        }
        let promoted = state.promote(now)?;
        state.relieved += 1;
        self.thread.set(0);
        Some(promoted)
    }

    /// The leader is about to land, on this thread; false if it was relieved.
    pub(super) fn begin_landing(&self, seat: Seat, thread: u64) -> bool {
        let mut state = lock(&self.state);
        let leads = state.leader == seat && matches!(state.phase, Phase::Flying);
        if leads {
            self.thread.set(thread);
            if !seeded("flight-landing-unmarked") {
                state.phase = Phase::Landing;
            }
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
        let queue = std::mem::take(&mut state.queue);
        let (unread, outcome) = (queue.len(), outcome.clone().filter(|_| !queue.is_empty()));
        state.phase = Phase::Over { outcome, unread, failed };
        self.thread.set(0);
        drop(state);
        let told = if seeded("flight-tell-first-only") { 1 } else { queue.len() };
        wake(queue.into_iter().take(told).map(|waiter| waiter.waker));
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
        let leads = state.leader == seat && matches!(state.phase, Phase::Flying);
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
    /// This thread begins to poll the leader, a task; false if it was relieved before.
    pub(super) fn begin_poll(&self, seat: Seat, thread: u64, now: u64) -> bool {
        let mut state = lock(&self.state);
        let leads = state.leader == seat && matches!(state.phase, Phase::Flying);
        if leads {
            let pulse = Pulse { polled: now, woken: None, queued: false, polling: true };
            state.pulse = Some(pulse);
            self.thread.set(thread);
        }
        leads
    }

    /// The poll is over.
    pub(super) fn end_poll(&self, seat: Seat, now: u64) {
        let mut state = lock(&self.state);
        if let State { leader, pulse: Some(pulse), .. } = &mut *state
            && *leader == seat
        {
            (pulse.polled, pulse.polling) = (now, false);
            self.thread.set(0);
        }
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

    /// Has the first waiter take over if the leader stalls. False if the flight is over.
    pub(super) fn nudge(&self, now: u64, patience: Patience) -> bool {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Over { .. }) {
            return false;
        }
        let promoted = self.relieve(&mut state, now, patience);
        drop(state);
        wake(promoted);
        true
    }
}

impl<V: Send + Sync + 'static> Hold for Flight<V> {
    fn holds(&self) -> bool {
        self.rest.get().is_none_or(|rest| rest.is_kept())
    }
}

impl<V> State<V> {
    /// The outcome for one waiter, if the flight is over.
    fn read_outcome(&mut self) -> Option<Option<Arc<Outcome<V>>>> {
        let Phase::Over { outcome, unread, .. } = &mut self.phase else { return None };
        *unread = unread.saturating_sub(1);
        Some(if *unread == 0 { outcome.take() } else { outcome.clone() })
    }

    /// Makes the first waiter the leader.
    fn promote(&mut self, now: u64) -> Option<Waker> {
        let first = self.queue.pop_front()?;
        self.leader = first.seat;
        self.pulse = Pulse::of(first.kind, now, Some(now));
        Some(first.waker)
    }

    fn is_stalled(&self, now: u64, patience: Patience) -> bool {
        let Some(pulse) = self.pulse.filter(|_| matches!(self.phase, Phase::Flying)) else {
            return false;
        };
        let times = 1_u64 << self.relieved.min(DOUBLINGS);
        let over = |since: u64, limit: u64| now.saturating_sub(since) > limit.saturating_mul(times);
        pulse.queued
            || !pulse.polling
                && (over(pulse.polled, patience.silent)
                    || pulse.woken.is_some_and(|woken| over(woken, patience.woken)))
    }
}

impl Pulse {
    fn of(kind: Kind, polled: u64, woken: Option<u64>) -> Option<Self> {
        let pulse = Self { polled, woken, queued: kind == Kind::Job, polling: false };
        (kind != Kind::Thread).then_some(pulse)
    }
}

/// Wakes them all, and only then passes on the first panic.
fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wake_all(wakers).unwrap_or_else(|panic| resume_unwind(panic));
}
