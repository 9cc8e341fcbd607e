//! A flight: one load of one key, with a leader and the callers that wait for it.
//!
//! | phase | what may happen |
//! |---|---|
//! | loading | callers join and leave, and replace the leader if it stalls; one that has a value begins to complete the flight; the leader fails or dies |
//! | completing | callers join and leave; the one that completes the flight ends it, or dies |
//! | over | nothing; waiters read the outcome |
//!
//! A waiter is in exactly one place: in the queue; in [`LeaderState::absent`], from when it is
//! promoted until it arrives, that is, polls; or among those that have an outcome to read, from
//! when the flight is over until they read it.
//!
//! A leader that dies promotes the next waiter, and so does a thread that finds the leader stalled.
//! If the loader of that leader runs, the leader is *relieved*: it is not stopped, and if its value
//! is the first to arrive it completes the flight. If the leader is a waiter that was promoted and
//! has not arrived, it goes back into the queue. From then on, until one arrives, any waiter that
//! polls leads, and each time the limit is exceeded twice as many waiters are woken: so one that
//! arrives leads soon, however many do not. If there is no waiter to promote and no caller
//! completes the flight, it is over without an outcome.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use super::failed_load::{FailedLoad, Failure, RememberedFailure};
use super::leader_state::{LeaderState, StallLimits};
use super::queue::{Queue, Waiter};
use super::run::{LedFlight, Run};
use crate::engine::{AnyFlight, LoadStatus, LoadToken, ThinLoad};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Relaxed, lock, quietly, seeded, wake_quietly};

/// Identifies a caller in a flight. They are numbered in the order in which they join; the first
/// one is the caller that began the load.
pub(super) type CallerId = u64;

/// The outcome of a load, for the callers that joined it.
#[derive(Debug)]
pub(super) enum FlightOutcome<V> {
    /// The value.
    Value(V),
    /// Why there is none.
    Failed(Failure),
}

/// How a flight stands for a waiter.
#[derive(Debug)]
pub(super) enum FlightPoll<V> {
    /// It goes on waiting.
    Pending,
    /// It is the leader now.
    Promoted,
    /// The flight is over. Returned once to each waiter.
    Over(Option<Arc<FlightOutcome<V>>>),
}

/// What runs the code of a leader or a waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Thread,
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
    Task,
    /// Nothing yet: a job that waits for an executor. The next caller that polls takes over at
    /// once.
    Job,
}

/// What a flight is completed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    Value,
    /// From the leader only: one that was relieved must not fail a flight that others still load
    /// for.
    Error,
}

/// One load.
#[derive(Debug)]
pub(super) struct Flight<V> {
    limits: StallLimits,
    /// The load, if it began thin. Ended when the flight is over.
    thin: Option<ThinLoad>,
    /// From then on a reader of the old value checks whether the flight is over, or has stalled.
    recheck_at: Relaxed<AtomicU64>,
    /// The record of its failure, once it has failed.
    pub(super) failed: OnceLock<Arc<FailedLoad>>,
    /// The failure of an earlier load, which is remembered while this one runs.
    pub(super) inherited: OnceLock<Arc<RememberedFailure>>,
    /// The age at which the value that it renews was to be renewed, if that has one of its own.
    renewal_age: OnceLock<u64>,
    state: Mutex<FlightState<V>>,
}

#[derive(Debug)]
struct FlightState<V> {
    /// `None` when the flight is over, and when the leader has given up while another caller
    /// completes it.
    leader: Option<LeaderState>,
    next: CallerId,
    queue: Queue,
    phase: Phase<V>,
    /// How often a leader was relieved.
    relieved: u32,
    /// How many waiters in a row were promoted and have not arrived.
    missed_promotions: u32,
    /// Whether `watch` checks it from time to time.
    #[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
    watched: bool,
    /// Callers that have joined, and have not read the outcome, become leaders or left.
    #[cfg(test)]
    joined_ids: std::collections::BTreeSet<CallerId>,
}

#[derive(Debug)]
enum Phase<V> {
    Loading,
    /// This caller has a value or an error, and is about to end the flight.
    Completing(CallerId),
    Over {
        outcome: Option<Arc<FlightOutcome<V>>>,
        /// Waiters that have not read the outcome. The last one takes it, as it may be large.
        unread: usize,
    },
}

/// What a call of [`Flight::end`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The flight is over.
    Over,
    /// There are waiters: call again with an outcome.
    OutcomeWanted,
    /// The caller does not complete the flight.
    NotCompleting,
}

impl<V> Flight<V> {
    /// The caller that began the load.
    pub(super) const FIRST: CallerId = 0;

    /// A flight that the caller `FIRST` leads.
    pub(super) fn new(runner: Runner, is_renewal: bool, limits: StallLimits, now: u64) -> Self {
        Self {
            limits,
            thin: None,
            recheck_at: Relaxed::<AtomicU64>::new(u64::MAX),
            failed: OnceLock::new(),
            inherited: OnceLock::new(),
            renewal_age: OnceLock::new(),
            state: Mutex::new(FlightState {
                leader: Some(LeaderState::first(Self::FIRST, runner, is_renewal, now)),
                next: Self::FIRST + 1,
                queue: Queue::default(),
                phase: Phase::Loading,
                relieved: 0,
                missed_promotions: 0,
                watched: false,
                #[cfg(test)]
                joined_ids: std::collections::BTreeSet::new(),
            }),
        }
    }

    /// The flight of a load that began thin, on a thread that leads it.
    pub(super) fn inflated(load: ThinLoad, limits: StallLimits, now: u64) -> Self {
        Self { thin: Some(load), ..Self::new(Runner::Thread, false, limits, now) }
    }

    /// Whether the load began thin.
    pub(super) fn thin(&self) -> Option<ThinLoad> {
        self.thin
    }

    /// What a seed does instead: the load is not over yet when its flight is.
    fn end_late(&self) {
        if seeded("thin-ended-late") {
            drop(self.thin.and_then(ThinLoad::end_inflated));
        }
    }

    pub(super) fn limits(&self) -> StallLimits {
        self.limits
    }

    /// Sets the moment from which on readers of the old value check the flight.
    pub(super) fn set_recheck(&self, at: u64) {
        self.recheck_at.set(at);
    }

    /// Whether that moment has come. A single load from memory.
    pub(super) fn recheck_due(&self, now: impl FnOnce() -> u64) -> bool {
        let at = self.recheck_at.get();
        at != u64::MAX && at <= now()
    }

    fn state(&self) -> MutexGuard<'_, FlightState<V>> {
        lock(&self.state)
    }

    /// Joins the flight. Returns `None` if it is over.
    pub(super) fn join(&self, runner: Runner, waker: Waker) -> Option<CallerId> {
        let mut state = self.state();
        if matches!(state.phase, Phase::Over { .. }) {
            return None;
        }
        let id = state.next;
        state.next += 1;
        state.queue.insert(id, Waiter { waker: Some(waker), runner });
        #[cfg(test)]
        state.joined_ids.insert(id);
        Some(id)
    }

    /// How the flight stands for the waiter `id`; `waker` is woken when that changes. A leader that
    /// stalls is relieved by this, whichever waiter polls; a leader that was promoted and does not
    /// arrive is replaced by the waiter that polls.
    pub(super) fn poll(&self, id: CallerId, waker: &Waker, now: u64) -> FlightPoll<V> {
        // Cloned before the lock is taken, and the old one dropped after it is released: both may
        // run user code (F5).
        let mut waker = Some(waker.clone());
        let mut state = self.state();
        if let Some(outcome) = state.read_outcome(id) {
            drop(state);
            return FlightPoll::Over(outcome);
        }
        // Its own turn first: a waiter that was promoted, or that steps in for one that does not arrive, leads, and
        // relieves no leader. Only one that goes on waiting looks whether the leader has stalled.
        let leads = state.is_led_from(id) || state.step_in_for_absent(id, now, self.limits);
        let promoted = if leads { None } else { state.relieve(now, self.limits) };
        if let Some(leader) = state.leader.as_mut().filter(|leader| leader.id == id) {
            // From here on it is no waiter any more, neither absent nor in the queue (F4).
            let old = leader.arrive(now);
            state.missed_promotions = 0;
            #[cfg(test)]
            state.joined_ids.remove(&id);
            drop(state);
            drop((old, promoted));
            return FlightPoll::Promoted;
        }
        if let Some(own) = state.queue.get(id)
            && !(seeded("flight-first-waker") && own.waker.is_some())
        {
            std::mem::swap(&mut own.waker, &mut waker);
        }
        drop(state);
        wake_quietly(promoted);
        FlightPoll::Pending
    }

    /// Ends the wait of `id`. If that waiter was promoted meanwhile, the next one is.
    ///
    /// Returns true if no waiter is left to lead: the flight is over, and the caller cancels the
    /// load.
    pub(super) fn leave(&self, id: CallerId, now: u64) -> bool {
        let mut state = self.state();
        // It may have been told already: then it reads the outcome, so that the last reader takes it.
        if let Some(outcome) = state.read_outcome(id) {
            drop(state);
            drop(outcome);
            return false;
        }
        #[cfg(test)]
        state.joined_ids.remove(&id);
        if state.is_led_from(id) && !seeded("flight-promotion-lost") {
            return self.give_up(state, id, now);
        }
        let left = state.queue.remove(id);
        drop(state);
        quietly(|| drop(left));
        false
    }

    /// Gives the flight up as a leader, present or relieved: the next waiter is promoted, unless
    /// another caller leads or completes the flight.
    ///
    /// Returns true if no waiter is left: the flight is over, and the caller cancels the load.
    pub(super) fn abandon(&self, id: CallerId, now: u64) -> bool {
        self.give_up(self.state(), id, now)
    }

    fn give_up(&self, mut state: MutexGuard<'_, FlightState<V>>, id: CallerId, now: u64) -> bool {
        match state.phase {
            Phase::Over { .. } => return false,
            // It has claimed the completion and died on the way: the next caller may claim it again.
            Phase::Completing(completes) if completes == id => state.phase = Phase::Loading,
            Phase::Loading | Phase::Completing(_) => {}
        }
        // A caller that was relieved gives up only itself: the flight has another leader, or one that completes it.
        let gone = state.leader.take_if(|leader| leader.id == id);
        let is_led = state.leader.is_some() || matches!(state.phase, Phase::Completing(_));
        let promoted = if is_led { None } else { state.promote(now) };
        let over = !is_led && state.leader.is_none();
        let latched = if over { state.end(self.thin, None, 0) } else { None };
        drop(state);
        if over {
            self.end_late();
        }
        if !seeded("flight-promote-asleep") {
            wake_quietly(promoted);
        }
        // Dropped last: it may hold wakers of the user's, which may panic, and the waiter that is
        // to lead has been woken by now.
        quietly(|| drop((gone, latched)));
        over
    }

    /// Notes that the loader of the leader `id` begins to run. Returns false if that one was
    /// relieved.
    pub(super) fn start_run(&self, id: CallerId, runner: Runner, run: &Arc<Run>, now: u64) -> bool {
        let mut state = self.state();
        let leader = state.leader.as_mut().filter(|leader| leader.id == id);
        leader.map(|leader| leader.start_run(runner, Arc::clone(run), now)).is_some()
    }

    /// Notes that the loader of the leader `id` runs later, after those of other keys. Until it
    /// does, a waiter may take over at once.
    pub(super) fn postpone(&self, id: CallerId, now: u64) {
        let mut state = self.state();
        let leader = state.leader.as_mut().filter(|leader| leader.id == id);
        let run = leader.and_then(LeaderState::postpone);
        let promoted = state.relieve(now, self.limits);
        drop(state);
        wake_quietly(promoted);
        drop(run);
    }

    /// Begins to complete the flight as a caller whose loader has returned. Returns false if
    /// another caller has come first, or if the error is of a leader that was relieved.
    ///
    /// The caller then replaces the token in the table, and calls [`end`](Self::end). In between,
    /// no waiter is promoted and no other caller completes the flight.
    pub(super) fn begin_completion(&self, id: CallerId, completion: Completion) -> bool {
        let mut state = self.state();
        // A value is as good from a leader that was relieved. Its error is not: the new leader may still succeed.
        let may = completion == Completion::Value || state.is_led_from(id);
        let completes = may && matches!(state.phase, Phase::Loading);
        if completes && !seeded("flight-completion-unmarked") {
            state.phase = Phase::Completing(id);
        }
        completes
    }

    /// Ends the flight as the caller that completes it, and wakes all waiters.
    pub(super) fn end(&self, id: CallerId, outcome: &Option<Arc<FlightOutcome<V>>>) -> End {
        let mut state = self.state();
        let completes = matches!(state.phase, Phase::Completing(completes) if completes == id)
            || seeded("flight-completion-unmarked") && matches!(state.phase, Phase::Loading);
        if !completes {
            return End::NotCompleting;
        }
        let absent = state.leader.as_ref().is_some_and(|leader| leader.absent.is_some());
        let unread = state.queue.len() + usize::from(absent);
        // Making the outcome clones a value of the user's, so not under the lock: the caller makes it and calls again.
        // The phase stays, so no other caller completes the flight meanwhile.
        if outcome.is_none() && unread != 0 {
            return End::OutcomeWanted;
        }
        // Under one lock: a waiter that joins before this is counted in `unread`, and one that
        // comes after it is told that the flight is over.
        let outcome = outcome.clone().filter(|_| unread != 0);
        let latched = state.end(self.thin, outcome, unread);
        let queue = std::mem::take(&mut state.queue);
        let leader = state.leader.take();
        drop(state);
        self.end_late();
        // Without the lock, as wakers are the user's (F5). A waiter that polls before it is woken
        // finds the outcome all the same.
        let told = if seeded("flight-tell-first-only") { 1 } else { queue.len() };
        wake_quietly(queue.into_wakers().take(told));
        // A waiter that was promoted has been woken already, and reads the outcome when it polls.
        // It is dropped last, as it may hold a waker of the user's, which may panic.
        quietly(|| drop((leader, latched)));
        End::Over
    }

    /// Ends the flight, with an outcome that is made only if a caller waits for it.
    pub(super) fn end_with(&self, id: CallerId, outcome: impl FnOnce() -> FlightOutcome<V>) {
        // It clones a value or an error.
        if self.end(id, &None) == End::OutcomeWanted {
            let outcome = Some(Arc::new(outcome()));
            self.end(id, &outcome);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().phase, Phase::Over { .. })
    }
}

/// For `watch`.
#[cfg_attr(not(feature = "async"), allow(dead_code, reason = "there are no tasks"))]
impl<V> Flight<V> {
    /// Whether the flight is not watched yet; from now on the caller watches it.
    pub(super) fn begin_watch(&self) -> bool {
        !std::mem::replace(&mut self.state().watched, true)
    }

    /// Wakes the waiter `id`, whose time limit is over.
    pub(super) fn wake_waiter(&self, id: CallerId) {
        let waker = self.state().queue.get(id).and_then(|waiter| waiter.waker.take());
        wake_quietly(waker);
    }

    /// Promotes the next waiter if the leader stalls. Returns false if the flight is over.
    pub(super) fn relieve_stalled(&self, now: u64) -> bool {
        let mut state = self.state();
        if matches!(state.phase, Phase::Over { .. }) {
            return false;
        }
        let mut woken = state.replace_absent(now, self.limits);
        woken.extend(state.relieve(now, self.limits));
        drop(state);
        wake_quietly(woken);
        true
    }
}

impl<V: Send + Sync + 'static> Flight<V> {
    /// A flight that a cache of such values knows.
    pub(super) fn of(flight: AnyFlight) -> Arc<Self> {
        let flight: Arc<dyn Any + Send + Sync> = flight;
        flight.downcast().expect("the flights of a cache are of its values")
    }

    /// By which the load is known in the table: either that, or what is the same as that.
    pub(super) fn token(self: &Arc<Self>) -> LoadToken {
        match self.thin {
            Some(load) => LoadToken::Thin(load),
            None => LoadToken::Flight(Arc::clone(self) as _),
        }
    }
}

impl<V: Send + Sync + 'static> LoadStatus for Flight<V> {
    fn keeps_entry(&self) -> bool {
        self.failed.get().is_none_or(|failed| failed.is_kept())
    }

    fn has_failed(&self) -> bool {
        self.failed.get().is_some_and(|failed| failed.is_kept())
    }

    fn began_thin(&self) -> Option<ThinLoad> {
        self.thin
    }

    fn renewal_age(&self) -> Option<u64> {
        self.renewal_age.get().copied()
    }

    fn inherit_renewal_age(&self, age: u64) {
        // The value that is there now: a renewal that did not begin, as another was faster, may have noted one.
        let _ = self.renewal_age.set(age);
    }
}

impl<V: Send + Sync> LedFlight for Flight<V> {
    fn run(&self) -> Option<Arc<Run>> {
        self.state().leader.as_ref().and_then(LeaderState::run).cloned()
    }
}

impl<V> FlightState<V> {
    /// Ends the flight, and the load, if that began `thin`. Returns what is to be dropped without the lock.
    ///
    /// Under one lock: a caller that finds the token of the load makes nothing of a flight that is over, so it would
    /// look again and again until the load is over as well.
    fn end(
        &mut self,
        thin: Option<ThinLoad>,
        outcome: Option<Arc<FlightOutcome<V>>>,
        unread: usize,
    ) -> Option<AnyFlight> {
        let thin = thin.filter(|_| !seeded("thin-ended-late"));
        let latched = thin.and_then(ThinLoad::end_inflated);
        self.phase = Phase::Over { outcome, unread };
        latched
    }

    fn is_led_from(&self, id: CallerId) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.id == id)
    }

    /// Returns the outcome for the waiter `id`, if the flight is over.
    fn read_outcome(&mut self, id: CallerId) -> Option<Option<Arc<FlightOutcome<V>>>> {
        let Phase::Over { outcome, unread, .. } = &mut self.phase else { return None };
        *unread = unread.saturating_sub(1);
        #[cfg(test)]
        assert!(self.joined_ids.remove(&id), "id {id} is told twice");
        let _ = id;
        Some(if *unread == 0 { outcome.take() } else { outcome.clone() })
    }

    /// Makes the next waiter the leader.
    fn promote(&mut self, now: u64) -> Option<Waker> {
        let (id, mut waiter) = self.queue.next()?;
        let waker = waiter.waker.take();
        self.leader = Some(LeaderState::promoted((id, waiter), now));
        waker
    }

    /// Returns the leader, if there is a waiter that could lead instead.
    fn replaceable(&self) -> Option<&LeaderState> {
        let leader = self.leader.as_ref().filter(|_| matches!(self.phase, Phase::Loading));
        leader.filter(|_| !self.queue.is_empty())
    }

    /// Promotes the next waiter if the leader has arrived and stalls.
    fn relieve(&mut self, now: u64, limits: StallLimits) -> Option<Waker> {
        let leader = self.replaceable().filter(|leader| leader.absent.is_none())?;
        if !leader.is_stalled(now, limits, self.relieved) {
            return None;
        }
        self.relieved += 1;
        self.promote(now)
    }

    /// Promotes the next waiter if the leader was promoted and has not arrived in time, and takes
    /// the wakers of some more, any of which may lead.
    fn replace_absent(&mut self, now: u64, limits: StallLimits) -> Vec<Waker> {
        let absent = self.replaceable().filter(|leader| leader.absent.is_some());
        if !absent.is_some_and(|leader| leader.is_stalled(now, limits, 0)) {
            return Vec::new();
        }
        let absent = self.leader.take();
        let next = self.promote(now);
        self.requeue(absent);
        self.missed_promotions = self.missed_promotions.saturating_add(1);
        let more =
            1_usize.checked_shl(self.missed_promotions).map_or(usize::MAX, |twice| twice - 1);
        next.into_iter().chain(self.queue.take_wakers(more)).collect()
    }

    /// Makes the waiter `id` the leader if the present one was promoted and has not arrived, and
    /// that is late or others before it have not arrived either. Returns whether it did.
    fn step_in_for_absent(&mut self, id: CallerId, now: u64, limits: StallLimits) -> bool {
        let absent = self.replaceable().filter(|leader| leader.absent.is_some());
        if !absent
            .is_some_and(|leader| self.missed_promotions > 0 || leader.is_stalled(now, limits, 0))
        {
            return false;
        }
        let Some(waiter) = self.queue.remove(id) else { return false };
        let absent = self.leader.replace(LeaderState::promoted((id, waiter), now));
        self.requeue(absent);
        true
    }

    /// Puts a leader that was promoted and has not arrived back into the queue. When it polls, it
    /// finds itself waiting.
    fn requeue(&mut self, leader: Option<LeaderState>) {
        if let Some((id, waiter)) = leader.and_then(|leader| Some((leader.id, leader.absent?)))
            && !seeded("flight-passed-by")
        {
            self.queue.insert(id, waiter);
        }
    }
}

#[cfg(test)]
impl<V> Flight<V> {
    /// Each waiter is in exactly one place (F4).
    pub(super) fn check(&self) {
        let state = self.state();
        let mut places: Vec<CallerId> = state.queue.ids().collect();
        let absent = state.leader.as_ref().filter(|leader| leader.absent.is_some());
        places.extend(absent.map(|leader| leader.id));
        places.sort_unstable();
        match &state.phase {
            Phase::Over { unread, outcome, .. } => {
                assert!(places.is_empty(), "{places:?} wait for a flight that is over");
                assert_eq!(state.joined_ids.len(), *unread, "those that are told");
                assert!(outcome.is_none() || *unread != 0, "an outcome without readers is kept");
            }
            Phase::Loading | Phase::Completing(_) => {
                let joined_ids: Vec<CallerId> = state.joined_ids.iter().copied().collect();
                assert_eq!(
                    joined_ids, places,
                    "those that have joined, and those that have a place"
                );
                let leads = state.leader.is_some() || matches!(state.phase, Phase::Completing(_));
                assert!(leads, "no caller leads");
            }
        }
    }
}
