//! The leader's part of a flight.

use std::any::Any;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::caller::{Caller, flight_of};
use super::failed_load::{FailedLoad, Failure};
use super::flight::{CallerId, Completion, Flight, FlightOutcome, Runner};
use super::leader_state::StallLimits;
use super::next::LoadOptions;
use super::now;
use super::run::Run;
use crate::cache::Cache;
use crate::engine::{LoadKind, LoadStart, LoadToken, RunningPlace, StaleValue};
use crate::expiry::LifetimeOverride;
use crate::sync::{NoAbort, quietly, seeded};
use crate::trace::load_ended;

/// A caller that has to load. If it is dropped before the flight has ended, as in a panic or when a
/// task is cancelled, the first waiter is promoted.
pub(super) struct Leader<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    caller: Caller<K, V, S>,
    id: CallerId,
    /// The value that the key had when the load began.
    pub(super) old: Option<NoAbort<V>>,
    /// Set when the loader begins to run.
    run: OnceLock<Arc<Run>>,
    /// When that was, and where it was entered.
    begun: OnceLock<(Duration, RunningPlace)>,
    /// When its own turn came, where the loader loads one key after another.
    resumed: OnceLock<Duration>,
    /// Whether this is a renewal in the background.
    is_renewal: bool,
    /// Whether the loader has returned, or will not be called.
    ended: bool,
}

/// What a caller found that looked for a value or a load.
pub(super) enum Begin<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    Live(NoAbort<V>),
    /// A load that another caller leads.
    Join(Caller<K, V, S>),
    /// Neither: the caller leads a new load.
    Lead(Leader<K, V, S>),
    /// A load that has failed, which still counts for the caller.
    Failed(NoAbort<Arc<FailedLoad>>),
    /// There is nothing to renew, or no room for a placeholder.
    NotStarted,
}

/// Looks for the value of `key` or for a load of it, and begins a load if there is neither.
///
/// A load that has failed `counts` for the caller if that returns true.
///
/// Ends: each round except the last has found a load that was over when the caller wanted to join.
pub(super) fn begin_load<K, V, S>(
    cache: &Cache<K, V, S>,
    key: &K,
    kind: LoadKind,
    runner: Runner,
    counts: impl Fn(&FailedLoad) -> bool,
) -> Begin<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    loop {
        if let Some(begin) = try_begin_load(cache, key, kind, runner, &counts) {
            return begin;
        }
    }
}

/// One round of that.
fn try_begin_load<K, V, S>(
    cache: &Cache<K, V, S>,
    key: &K,
    kind: LoadKind,
    runner: Runner,
    counts: &impl Fn(&FailedLoad) -> bool,
) -> Option<Begin<K, V, S>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let limits = StallLimits::of(cache.engine().load_policy());
    let own = Arc::new(Flight::<V>::new(runner, !kind.is_load(), limits, now()));
    // A failure that this caller does not count, but others may: the new load takes it over.
    let inherited = RefCell::new(None);
    let is_over = |token: &LoadToken| match token {
        LoadToken::Thin(load) => load.is_over(),
        LoadToken::RenewAfter(_) => true,
        LoadToken::Flight(flight) => {
            let flight = Flight::<V>::of(Arc::clone(flight));
            flight.is_over() && {
                let failed = flight.failed.get();
                let known = failed.filter(|_| !seeded("failure-forgotten-by-others"));
                let remembered = known.and_then(|failed| failed.remembered());
                inherited.replace(remembered.map(Arc::clone).map(NoAbort::new));
                !failed.is_some_and(|failed| counts(failed))
            }
        }
    };
    let own =
        Caller { cache: cache.clone(), key: NoAbort::new(key.clone()), flight: NoAbort::new(own) };
    // From here on the token may be in the table, where others find it. If user code panics before
    // there is a leader, they must not wait for one.
    let abandon = own.abandon_on_drop();
    let start = cache.engine().begin_load(key, kind, &own.token(), is_over);
    abandon.defuse();
    Some(match start {
        LoadStart::Live(value) => Begin::Live(NoAbort::new(value)),
        LoadStart::NotStarted => Begin::NotStarted,
        LoadStart::Joined(token) => {
            let joined = Caller { flight: NoAbort::new(flight_of(&token, limits)?), ..own };
            match joined.flight.failed.get().filter(|failed| counts(failed)) {
                Some(failed) => Begin::Failed(NoAbort::new(Arc::clone(failed))),
                None => Begin::Join(joined),
            }
        }
        LoadStart::Started(old) => {
            if let Some(remembered) = inherited.take() {
                let _ = own.flight.inherited.set(remembered.into_inner());
            }
            if runner == Runner::Job || !kind.is_load() {
                // Readers of the old value begin anew if this one hangs, or if nothing runs it.
                own.flight.set_recheck(now().saturating_add(limits.renewal));
            }
            Begin::Lead(Leader::new(own, Flight::<V>::FIRST, old.map(NoAbort::new)))
        }
    })
}

/// Starts one run of a loader for the flights of all `leaders`, unless the first one has a run
/// already, and returns it.
pub(super) fn start_run<'l, K, V, S>(
    leaders: impl IntoIterator<Item = &'l Leader<K, V, S>>,
    runner: Runner,
    run: impl FnOnce() -> Run,
) -> Arc<Run>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + 'l,
{
    let (mut leaders, now) = (leaders.into_iter().peekable(), now());
    let first = leaders.peek().copied();
    let begun = first.and_then(|leader| leader.run.get()).map(Arc::clone);
    let run = begun.unwrap_or_else(|| Arc::new(run()));
    for leader in leaders {
        leader.flight.start_run(leader.id, runner, leader.attach_run(&run), now);
    }
    // After that: a subscriber that asks for one of these keys is told that this is a cycle.
    if let Some(leader) = first {
        run.trace(leader.cache.engine().name(), leader.is_renewal);
    }
    run
}

/// Starts one run for the jobs that are still to be done, on a thread or as a task. Returns these,
/// and the others: jobs that a reader has taken over, and those whose key has changed since they
/// were queued. A value loaded for the latter would not be put in, and the next caller that asks
/// for such a key begins a load of its own.
pub(super) fn begin_jobs<K, V, S>(
    leaders: Vec<Leader<K, V, S>>,
    runner: Runner,
) -> [Vec<Leader<K, V, S>>; 2]
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let (mut leaders, mut taken): (Vec<_>, Vec<_>) =
        leaders.into_iter().partition(Leader::is_current);
    taken.iter_mut().for_each(Leader::skip);
    let (run, now) = (Arc::new(Run::background()), now());
    if let Some(leader) = leaders.first() {
        run.trace(leader.cache.engine().name(), true);
    }
    let begin = |leader: &Leader<K, V, S>| {
        let flight = &leader.flight;
        flight.set_recheck(now.saturating_add(flight.limits().renewal));
        flight.start_run(leader.id, runner, leader.attach_run(&run), now)
    };
    taken.extend(leaders.extract_if(.., |leader| !begin(leader)));
    [leaders, taken]
}

/// Whether a reload with this token is under way and not due for a recheck, or has failed and
/// `counts`. A hint: it takes no lock.
pub(super) fn is_reloading<V: Send + Sync + 'static>(
    token: &LoadToken,
    counts: impl Fn(&FailedLoad) -> bool,
) -> bool {
    let flight: &dyn Any = match token {
        LoadToken::Thin(load) => return !load.is_over(),
        LoadToken::RenewAfter(_) => return false,
        LoadToken::Flight(flight) => &**flight,
    };
    flight.downcast_ref::<Flight<V>>().is_some_and(|flight| match flight.failed.get() {
        Some(failed) => counts(failed),
        None => !flight.recheck_due(now),
    })
}

impl<K, V, S> Leader<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn new(caller: Caller<K, V, S>, id: CallerId, old: Option<NoAbort<V>>) -> Self {
        Self {
            caller,
            id,
            old,
            run: OnceLock::new(),
            begun: OnceLock::new(),
            resumed: OnceLock::new(),
            is_renewal: false,
            ended: false,
        }
    }

    /// A waiter that has been promoted.
    pub(super) fn promoted(caller: Caller<K, V, S>, id: CallerId) -> Self {
        Self::new(caller, id, None)
    }

    /// Returns the run of the loader, and starts it if it has not begun.
    pub(super) fn start_run(&self, runner: Runner) -> Arc<Run> {
        match self.run.get() {
            Some(run) => Arc::clone(run),
            None => start_run([self], runner, Run::default),
        }
    }

    fn attach_run(&self, run: &Arc<Run>) -> &Arc<Run> {
        self.run.get_or_init(|| {
            let engine = self.cache.engine();
            engine.count_load(|loads| &loads.started);
            let _ = self.begun.set(engine.enter_load());
            Arc::clone(run)
        })
    }

    /// The loader turns out to load one key after another: this key comes later.
    pub(super) fn postpone(&self) {
        self.flight.postpone(self.id, now());
    }

    /// Whether nothing has happened to the key since the load began.
    fn is_current(&self) -> bool {
        self.cache.engine().has_token(&self.key, &self.token())
    }

    /// The loader will not be called, which does not count as a failure.
    fn skip(&mut self) {
        self.ended = true;
    }

    /// Goes on after [`postpone`](Self::postpone). Returns false if another caller has taken over,
    /// or if the key has changed.
    pub(super) fn resume(&self, runner: Runner) -> bool {
        let engine = self.cache.engine();
        if engine.costs_load_time() {
            let _ = self.resumed.set(engine.elapsed());
        }
        self.is_current()
            && self.run.get().is_some_and(|run| self.flight.start_run(self.id, runner, run, now()))
    }

    /// What the loader has taken for this key, if a caller asks for that.
    fn cost_of_load(&self) -> Option<Duration> {
        let engine = self.cache.engine();
        if !engine.costs_load_time() {
            return None;
        }
        let begun = self.begun.get().map(|(begun, _)| begun);
        let begun = self.resumed.get().or(begun)?;
        Some(engine.elapsed().saturating_sub(*begun))
    }

    /// Notes that this is a renewal in the background.
    pub(super) fn mark_renewal(&mut self) {
        self.is_renewal = true;
        self.cache.engine().count_load(|loads| &loads.renewals);
    }

    /// Counts the end of the loader.
    fn count_end(&mut self, succeeded: bool) {
        self.ended = true;
        let engine = self.cache.engine();
        if let Some(&(begun, entered)) = self.begun.get()
            && engine.leave_load(entered)
        {
            engine.count_load_time(begun);
            engine.count_load(|loads| if succeeded { &loads.succeeded } else { &loads.failed });
        }
        if self.is_renewal && !succeeded {
            engine.count_load(|loads| &loads.renewals_failed);
        }
        if self.run.get().is_some() {
            self.enter(|| load_ended(engine.name(), self.is_renewal, succeeded));
        }
    }

    /// Runs user code as a part of the run: if it asks for the key, that is a cycle.
    pub(super) fn enter<T>(&self, part: impl FnOnce() -> T) -> T {
        match self.run.get() {
            Some(run) => run.enter(part),
            None => part(),
        }
    }

    /// Puts `value` in, unless something has happened to the key since the load began, and gives it
    /// to all waiters.
    pub(super) fn complete(mut self, value: &V, lifetime_override: LifetimeOverride) {
        let took = self.cost_of_load();
        self.count_end(true);
        self.enter(|| {
            // 1. Claim the completion, so that of the leader and those relieved only one puts its
            //    value in, and no waiter is promoted meanwhile (F3).
            if self.flight.begin_completion(self.id, Completion::Value) {
                // 2. Replace the token in the table, while callers that find it still join and wait.
                //    From then on new callers find the value, or what has overtaken it (F2).
                let (engine, token) = (self.cache.engine(), self.token());
                if lifetime_override.ttl == Some(Duration::ZERO) {
                    engine.complete_unkept(&self.key, &token);
                } else {
                    engine.complete_load(
                        &self.key,
                        value.clone(),
                        &token,
                        (lifetime_override, took),
                    );
                }
                // 3. End the flight. Were it ended before step 2, a caller could find the token of a
                //    flight that is over, take it for one left behind, and load once more.
                self.flight.end_with(self.id, || FlightOutcome::Value(value.clone()));
                // If user code panics in step 2 or 3, `drop` gives the completion back, and the
                // first waiter leads.
            }
        });
    }

    /// Tells all waiters why there is no value and, if the failure is to be remembered, later
    /// callers as well. Returns the value that may stand in for the caller of this load, as
    /// `options` say.
    pub(super) fn fail(
        mut self,
        failure: &Failure,
        options: &LoadOptions,
    ) -> Option<StaleValue<V>> {
        self.count_end(matches!(failure, Failure::Absent));
        // Before the completion begins: if `Clone` panics, the first waiter leads.
        let old =
            self.enter(|| options.stale_for(&self.cache, &self.key, failure).map(NoAbort::new));
        self.enter(|| self.fail_all(failure, options));
        drop(self);
        old.map(NoAbort::into_inner)
    }

    fn fail_all(&self, failure: &Failure, options: &LoadOptions) {
        if self.flight.begin_completion(self.id, Completion::Error) {
            if matches!(failure, Failure::Absent) && !seeded("absent-leaves-the-value") {
                self.cache.engine().complete_absent(&self.key, &self.token());
            }
            // The table comes before the end here as well: what is kept says that the load has failed, and what is not
            // kept is gone, before a waiter or a new caller learns that the flight is over.
            let failed = self.failed_now(Some(failure.clone()).zip(options.negative_ttl));
            let kept = failed.is_kept() && self.settle();
            if !kept {
                self.cancel();
            }
            // The record before the end: a caller that finds the flight over finds the record.
            let _ = self.flight.failed.set(failed);
            self.flight.end_with(self.id, || FlightOutcome::Failed(failure.clone()));
            // After the end: this clones the key, which may panic, and all waiters have been told.
            if kept {
                self.remember_failure();
            }
        }
    }
}

impl<K, V, S> Drop for Leader<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        if !self.ended {
            quietly(|| self.count_end(false));
            #[cfg(feature = "predict")]
            if self.begun.get().is_some() && !std::thread::panicking() {
                quietly(|| self.cache.engine().count_load(|loads| &loads.given_up));
            }
        }
        self.caller.abandon(self.id);
    }
}

impl<K, V, S> Deref for Leader<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    type Target = Caller<K, V, S>;

    fn deref(&self) -> &Self::Target {
        &self.caller
    }
}
