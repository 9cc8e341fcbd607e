//! A flight: one load of one key, with a leader and those who wait for it.
//!
//! | phase | what may happen |
//! |---|---|
//! | flying | others join, leave, and have the leader relieved if it stalls; somebody begins to land; the leader fails, or dies |
//! | landing | others join and leave; the one that lands ends it, or dies |
//! | over | nothing; those who had joined read the outcome |
//!
//! A waiter is in one place: in the queue; in the leader's seat, from when it is promoted until it
//! comes; or among those that are told, from when the flight is over until it reads the outcome.
//!
//! A leader that dies promotes the next waiter, and so does whoever finds the leader stalled. If its loader
//! runs, it is *relieved*: nobody stops it, and if its value is the first that arrives it lands. If it
//! is a waiter that was promoted and has not come, it goes back into the queue; from then on, until one
//! comes, any waiter that asks leads, and each time the limit is over twice as many of them are woken. So one
//! that comes leads soon, however many do not. If there is nobody to promote, and nobody lands, the
//! flight is over without an outcome.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use super::leader::{Leader, Limits};
use super::queue::{Queue, Waiter};
use super::rest::{Failure, Memory, Rest};
use super::run::{Led, Run};
use crate::engine::LoadStatus;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Relaxed, lock, quietly, seeded, wake_quietly};

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

/// What runs a leader or a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Thread,
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
    Task,
    /// Nothing yet: a job that waits for an executor. Whoever comes takes over at once.
    Job,
}

/// What a landing brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landing {
    Value,
    /// From the leader only: others may be successful yet.
    Error,
}

/// One load.
#[derive(Debug)]
pub(super) struct Flight<V> {
    limits: Limits,
    /// From when on a reader of the old value looks whether the flight is over, or has to be taken over.
    look_at: Relaxed<AtomicU64>,
    /// What is left of it once it has failed; and of the load that failed before, until then.
    pub(super) rest: OnceLock<Arc<Rest>>,
    pub(super) heritage: OnceLock<Arc<Memory>>,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    /// There is none when the flight is over, and when the leader has given up while another one lands.
    leader: Option<Leader>,
    next: Seat,
    queue: Queue,
    phase: Phase<V>,
    /// How often a leader was relieved.
    relieved: u32,
    /// How many in a row were promoted and have not come.
    missed: u32,
    /// Whether `watch` looks after it.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
    watched: bool,
    /// Those that have joined, and have not been told, have not come as leaders, and have not left.
    #[cfg(test)]
    seated: std::collections::BTreeSet<Seat>,
}

#[derive(Debug)]
enum Phase<V> {
    Flying,
    /// The one in this seat lands.
    Landing(Seat),
    Over {
        outcome: Option<Arc<Outcome<V>>>,
        /// Waiters that have not read the outcome. The last one takes it: it may be large.
        unread: usize,
    },
}

/// Whether waiters need an outcome that was not given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The flight is over.
    Over,
    /// Somebody waits for an outcome: call again with one.
    Wanted,
    /// The caller does not land.
    Relieved,
}

impl<V> Flight<V> {
    /// The seat of whoever boarded.
    pub(super) const FIRST: Seat = 0;

    /// A flight that its maker leads.
    pub(super) fn new(kind: Kind, renews: bool, limits: Limits, now: u64) -> Self {
        Self {
            limits,
            look_at: Relaxed::<AtomicU64>::new(u64::MAX),
            rest: OnceLock::new(),
            heritage: OnceLock::new(),
            state: Mutex::new(State {
                leader: Some(Leader::boarding(Self::FIRST, kind, renews, now)),
                next: Self::FIRST + 1,
                queue: Queue::default(),
                phase: Phase::Flying,
                relieved: 0,
                missed: 0,
                watched: false,
                #[cfg(test)]
                seated: std::collections::BTreeSet::new(),
            }),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
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

    fn state(&self) -> MutexGuard<'_, State<V>> {
        lock(&self.state)
    }

    /// Takes a seat, unless the flight is over.
    pub(super) fn join(&self, kind: Kind, waker: Waker) -> Option<Seat> {
        let mut state = self.state();
        if matches!(state.phase, Phase::Over { .. }) {
            return None;
        }
        let seat = state.next;
        state.next += 1;
        state.queue.put(seat, Waiter { waker: Some(waker), kind });
        #[cfg(test)]
        state.seated.insert(seat);
        Some(seat)
    }

    /// What there is to know for the holder of a seat; `waker` is told when that changes. A leader that
    /// stalls is relieved, whoever asks; in the place of one that does not come the one who asks leads.
    pub(super) fn poll(&self, seat: Seat, waker: &Waker, now: u64) -> News<V> {
        // Made before, and the old one dropped after the lock: both may run user code (L5).
        let mut waker = Some(waker.clone());
        let mut state = self.state();
        if let Some(outcome) = state.read_outcome(seat) {
            drop(state);
            return News::Over(outcome);
        }
        let leads = state.is_led_from(seat) || state.step_in(seat, now, self.limits);
        let promoted = if leads { None } else { state.relieve(now, self.limits) };
        if let Some(leader) = state.leader.as_mut().filter(|leader| leader.seat == seat) {
            let old = leader.come(now);
            state.missed = 0;
            #[cfg(test)]
            state.seated.remove(&seat);
            drop(state);
            drop((old, promoted));
            return News::Promoted;
        }
        if let Some(own) = state.queue.get(seat)
            && !(seeded("flight-first-waker") && own.waker.is_some())
        {
            std::mem::swap(&mut own.waker, &mut waker);
        }
        drop(state);
        wake_quietly(promoted);
        News::Wait
    }

    /// Gives a waiter's seat up. If it was promoted meanwhile, the next one is.
    ///
    /// True if nobody is left: the caller takes the token out of the table.
    pub(super) fn leave(&self, seat: Seat, now: u64) -> bool {
        let mut state = self.state();
        if let Some(outcome) = state.read_outcome(seat) {
            drop(state);
            drop(outcome);
            return false;
        }
        #[cfg(test)]
        state.seated.remove(&seat);
        if state.is_led_from(seat) && !seeded("flight-promotion-lost") {
            return Self::give_up(state, seat, now);
        }
        let left = state.queue.remove(seat);
        drop(state);
        quietly(|| drop(left));
        false
    }

    /// The leader, or one that was relieved, dies: the next waiter is promoted, unless somebody else leads
    /// or lands.
    ///
    /// True if nobody waits: the flight is over, and the caller takes the token out of the table.
    pub(super) fn abandon(&self, seat: Seat, now: u64) -> bool {
        Self::give_up(self.state(), seat, now)
    }

    fn give_up(mut state: MutexGuard<'_, State<V>>, seat: Seat, now: u64) -> bool {
        match state.phase {
            Phase::Over { .. } => return false,
            Phase::Landing(lands) if lands == seat => state.phase = Phase::Flying,
            Phase::Flying | Phase::Landing(_) => {}
        }
        let gone = state.leader.take_if(|leader| leader.seat == seat);
        let is_led = state.leader.is_some() || matches!(state.phase, Phase::Landing(_));
        let promoted = if is_led { None } else { state.promote(now) };
        let over = !is_led && state.leader.is_none();
        if over {
            state.phase = Phase::Over { outcome: None, unread: 0 };
        }
        drop(state);
        if !seeded("flight-promote-asleep") {
            wake_quietly(promoted);
        }
        // What it holds may be the user's, and may panic: whoever is to come has been woken.
        quietly(|| drop(gone));
        over
    }

    /// The loader of a leader begins to run; false if it was relieved before.
    pub(super) fn begin(&self, seat: Seat, kind: Kind, run: &Arc<Run>, now: u64) -> bool {
        let mut state = self.state();
        let leader = state.leader.as_mut().filter(|leader| leader.seat == seat);
        leader.map(|leader| leader.begin(kind, Arc::clone(run), now)).is_some()
    }

    /// The loader of a leader will run later, after others: who waits, or comes before it begins, takes over.
    pub(super) fn put_off(&self, seat: Seat, now: u64) {
        let mut state = self.state();
        let leader = state.leader.as_mut().filter(|leader| leader.seat == seat);
        let run = leader.and_then(Leader::put_off);
        let promoted = state.relieve(now, self.limits);
        drop(state);
        wake_quietly(promoted);
        drop(run);
    }

    /// One whose loader has run is about to land; false if another one has come before it.
    pub(super) fn begin_landing(&self, seat: Seat, landing: Landing) -> bool {
        let mut state = self.state();
        let may = landing == Landing::Value || state.is_led_from(seat);
        let lands = may && matches!(state.phase, Phase::Flying);
        if lands && !seeded("flight-landing-unmarked") {
            state.phase = Phase::Landing(seat);
        }
        lands
    }

    /// The one that lands ends the flight; everybody who waits is told.
    pub(super) fn end(&self, seat: Seat, outcome: &Option<Arc<Outcome<V>>>) -> End {
        let mut state = self.state();
        let lands = matches!(state.phase, Phase::Landing(lands) if lands == seat)
            || seeded("flight-landing-unmarked") && matches!(state.phase, Phase::Flying);
        if !lands {
            return End::Relieved;
        }
        let absent = state.leader.as_ref().is_some_and(|leader| leader.absent.is_some());
        let unread = state.queue.len() + usize::from(absent);
        if outcome.is_none() && unread != 0 {
            return End::Wanted;
        }
        let outcome = outcome.clone().filter(|_| unread != 0);
        state.phase = Phase::Over { outcome, unread };
        let queue = std::mem::take(&mut state.queue);
        let leader = state.leader.take();
        drop(state);
        let told = if seeded("flight-tell-first-only") { 1 } else { queue.len() };
        wake_quietly(queue.into_wakers().take(told));
        // One that was promoted has been woken, and is told when it comes. What it holds may be the user's, and
        // may panic: all others have been woken.
        quietly(|| drop(leader));
        End::Over
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().phase, Phase::Over { .. })
    }
}

/// For `watch`.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl<V> Flight<V> {
    /// Whether nobody looks after it yet; from now on the caller does.
    pub(super) fn begin_watch(&self) -> bool {
        !std::mem::replace(&mut self.state().watched, true)
    }

    /// Wakes one that waits: its time is over.
    pub(super) fn rouse(&self, seat: Seat) {
        let waker = self.state().queue.get(seat).and_then(|waiter| waiter.waker.take());
        wake_quietly(waker);
    }

    /// Promotes the next waiter if the leader stalls. False if the flight is over.
    pub(super) fn nudge(&self, now: u64) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Over { .. }) {
            return false;
        }
        let mut woken = state.pass_by(now, self.limits);
        woken.extend(state.relieve(now, self.limits));
        drop(state);
        wake_quietly(woken);
        true
    }
}

impl<V: Send + Sync + 'static> LoadStatus for Flight<V> {
    fn keeps_entry(&self) -> bool {
        self.rest.get().is_none_or(|rest| rest.is_kept())
    }

    fn has_failed(&self) -> bool {
        self.rest.get().is_some_and(|rest| rest.is_kept())
    }
}

impl<V: Send + Sync> Led for Flight<V> {
    fn run(&self) -> Option<Arc<Run>> {
        self.state().leader.as_ref().and_then(Leader::run).cloned()
    }
}

impl<V> State<V> {
    fn is_led_from(&self, seat: Seat) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.seat == seat)
    }

    /// The outcome for one waiter, if the flight is over.
    fn read_outcome(&mut self, seat: Seat) -> Option<Option<Arc<Outcome<V>>>> {
        let Phase::Over { outcome, unread, .. } = &mut self.phase else { return None };
        *unread = unread.saturating_sub(1);
        #[cfg(test)]
        assert!(self.seated.remove(&seat), "seat {seat} is told twice");
        let _ = seat;
        Some(if *unread == 0 { outcome.take() } else { outcome.clone() })
    }

    /// Makes the next waiter the leader.
    fn promote(&mut self, now: u64) -> Option<Waker> {
        let (seat, mut waiter) = self.queue.next()?;
        let waker = waiter.waker.take();
        self.leader = Some(Leader::promoted((seat, waiter), now));
        waker
    }

    /// The leader, if somebody could lead in its place.
    fn replaceable(&self) -> Option<&Leader> {
        let leader = self.leader.as_ref().filter(|_| matches!(self.phase, Phase::Flying));
        leader.filter(|_| !self.queue.is_empty())
    }

    /// Promotes the next waiter in the place of a leader that was there and stalls.
    fn relieve(&mut self, now: u64, limits: Limits) -> Option<Waker> {
        let leader = self.replaceable().filter(|leader| leader.absent.is_none())?;
        if !leader.is_stalled(now, limits, self.relieved) {
            return None;
        }
        self.relieved += 1;
        self.promote(now)
    }

    /// Promotes the next waiter in the place of one that was promoted and has not come, and rouses some
    /// more, any of which may lead.
    fn pass_by(&mut self, now: u64, limits: Limits) -> Vec<Waker> {
        let absent = self.replaceable().filter(|leader| leader.absent.is_some());
        if !absent.is_some_and(|leader| leader.is_stalled(now, limits, 0)) {
            return Vec::new();
        }
        let absent = self.leader.take();
        let next = self.promote(now);
        self.put_back(absent);
        self.missed = self.missed.saturating_add(1);
        let more = 1_usize.checked_shl(self.missed).map_or(usize::MAX, |twice| twice - 1);
        next.into_iter().chain(self.queue.rouse(more)).collect()
    }

    /// A waiter that is here leads in the place of one that was promoted and has not come, if that is
    /// late or others before it have not come either; whether it does.
    fn step_in(&mut self, seat: Seat, now: u64, limits: Limits) -> bool {
        let absent = self.replaceable().filter(|leader| leader.absent.is_some());
        if !absent.is_some_and(|leader| self.missed > 0 || leader.is_stalled(now, limits, 0)) {
            return false;
        }
        let Some(waiter) = self.queue.remove(seat) else { return false };
        let absent = self.leader.replace(Leader::promoted((seat, waiter), now));
        self.put_back(absent);
        true
    }

    /// One that was promoted waits again. It does not know: when it comes, it finds itself waiting.
    fn put_back(&mut self, leader: Option<Leader>) {
        if let Some((seat, waiter)) = leader.and_then(|leader| Some((leader.seat, leader.absent?)))
            && !seeded("flight-passed-by")
        {
            self.queue.put(seat, waiter);
        }
    }
}

#[cfg(test)]
impl<V> Flight<V> {
    /// Each waiter is in exactly one place (L4).
    pub(super) fn check(&self) {
        let state = self.state();
        let mut places: Vec<Seat> = state.queue.seats().collect();
        let absent = state.leader.as_ref().filter(|leader| leader.absent.is_some());
        places.extend(absent.map(|leader| leader.seat));
        places.sort_unstable();
        match &state.phase {
            Phase::Over { unread, outcome, .. } => {
                assert!(places.is_empty(), "{places:?} wait for a flight that is over");
                assert_eq!(state.seated.len(), *unread, "those that are told");
                assert!(outcome.is_none() || *unread != 0, "an outcome that nobody reads is kept");
            }
            Phase::Flying | Phase::Landing(_) => {
                let seated: Vec<Seat> = state.seated.iter().copied().collect();
                assert_eq!(seated, places, "those that have joined, and those that have a place");
                let leads = state.leader.is_some() || matches!(state.phase, Phase::Landing(_));
                assert!(leads, "nobody leads");
            }
        }
    }
}
