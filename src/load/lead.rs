//! The leader's part of a flight.

use std::any::Any;
use std::cell::RefCell;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::flight::{End, Flight, Kind, Landing, Outcome, Seat};
use super::leader::Limits;
use super::now;
use super::rest::{Failure, Rest};
use super::run::Run;
use super::turn::Wish;
use crate::cache::Cache;
use crate::engine::{Entered, LoadKind, LoadStart, LoadToken, StandIn};
use crate::expiry::Terms;
use crate::sync::{NoAbort, quietly, seeded};
use crate::trace::load_ended;

/// The flight of a token.
pub(super) fn flight<V: Send + Sync + 'static>(token: &LoadToken) -> Arc<Flight<V>> {
    let token: Arc<dyn Any + Send + Sync> = Arc::clone(token) as _;
    token.downcast().expect("the tokens of a cache are of flights of its values")
}

/// A caller that has to load. When it is dropped before the flight has ended, as in a panic or when
/// a task is cancelled, the first waiter is promoted.
pub(super) struct Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) cache: Cache<K, V, S>,
    pub(super) key: NoAbort<K>,
    pub(super) flight: NoAbort<Arc<Flight<V>>>,
    pub(super) seat: Seat,
    /// What the key had.
    pub(super) old: Option<NoAbort<V>>,
    /// Whether the token may be in the table.
    boarded: bool,
    /// From when the loader begins to run.
    run: OnceLock<Arc<Run>>,
    /// When that was, and where it is entered.
    begun: OnceLock<(Duration, Entered)>,
    /// Whether it is a load of the background.
    renews: bool,
    /// Whether the loader has come to an end of its own, or is not called.
    ended: bool,
}

/// What a caller found who looked for a value or a load.
pub(super) enum Start<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    Live(NoAbort<V>),
    /// Somebody else's load; the part to play if the caller is promoted.
    Join(Lead<K, V, S>),
    Lead(Lead<K, V, S>),
    /// A load that has failed, and still counts for the caller.
    Failed(NoAbort<Arc<Rest>>),
    /// There is nothing to renew, or no room.
    Nothing,
}

/// Looks for the value of a key or its load, and else begins one.
///
/// A load that has failed `counts` for the caller as long as that says.
pub(super) fn start<K, V, S>(
    cache: &Cache<K, V, S>,
    key: &K,
    fare: LoadKind,
    kind: Kind,
    counts: impl Fn(&Rest) -> bool,
) -> Start<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let limits = Limits::of(cache.engine().load_policy());
    let own = Arc::new(Flight::<V>::new(kind, fare != LoadKind::Load, limits, now()));
    // What is left of a load that failed before, and does not keep this one from being begun.
    let heritage = RefCell::new(None);
    let is_over = |token: &LoadToken| {
        let flight = flight::<V>(token);
        if !flight.is_over() {
            return false;
        }
        let rest = flight.rest.get();
        let memory = rest.filter(|_| !seeded("failure-forgotten-by-others"));
        heritage.replace(memory.and_then(|rest| rest.memory()).map(Arc::clone).map(NoAbort::new));
        !rest.is_some_and(|rest| counts(rest))
    };
    // Before it boards: if user code panics on the way, the flight is given up.
    let mut lead = Lead {
        cache: cache.clone(),
        key: NoAbort::new(key.clone()),
        flight: NoAbort::new(own),
        seat: Flight::<V>::FIRST,
        old: None,
        boarded: true,
        run: OnceLock::new(),
        begun: OnceLock::new(),
        renews: false,
        ended: false,
    };
    let boarding = cache.engine().begin_load(key, fare, &lead.token(), is_over);
    lead.boarded = matches!(boarding, LoadStart::Started(_));
    match boarding {
        LoadStart::Live(value) => Start::Live(NoAbort::new(value)),
        LoadStart::NotStarted => Start::Nothing,
        LoadStart::Joined(token) => {
            lead.flight = NoAbort::new(flight(&token));
            match lead.flight.rest.get().filter(|rest| counts(rest)) {
                Some(rest) => Start::Failed(NoAbort::new(Arc::clone(rest))),
                None => Start::Join(lead),
            }
        }
        LoadStart::Started(old) => {
            if let Some(memory) = heritage.take() {
                let _ = lead.flight.heritage.set(memory.into_inner());
            }
            lead.old = old.map(NoAbort::new);
            if kind == Kind::Job || fare != LoadKind::Load {
                // One that hangs, or that nobody runs, is begun anew after a while.
                lead.flight.look_again(now().saturating_add(limits.renewal));
            }
            Start::Lead(lead)
        }
    }
}

/// One run of a loader begins, for all of these flights, unless it has: this one.
pub(super) fn begin<'l, K, V, S>(
    leads: impl IntoIterator<Item = &'l Lead<K, V, S>>,
    kind: Kind,
    run: impl FnOnce() -> Run,
) -> Arc<Run>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + 'l,
{
    let (mut leads, now) = (leads.into_iter().peekable(), now());
    let begun = leads.peek().and_then(|lead| lead.run.get()).map(Arc::clone);
    let run = begun.unwrap_or_else(|| Arc::new(run()));
    if let Some(lead) = leads.peek() {
        run.trace(lead.cache.engine().name(), lead.renews);
    }
    for lead in leads {
        lead.flight.begin(lead.seat, kind, lead.begin_run(&run), now);
    }
    run
}

/// The same for jobs, on a thread or as a task; those that a reader has taken over before come apart, and those whose
/// key has changed since: their values would land nowhere, and whoever asks for such a key begins a load of its own.
pub(super) fn begin_jobs<K, V, S>(leads: Vec<Lead<K, V, S>>, kind: Kind) -> [Vec<Lead<K, V, S>>; 2]
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let (mut leads, mut taken): (Vec<_>, Vec<_>) = leads.into_iter().partition(Lead::is_current);
    taken.iter_mut().for_each(Lead::never_begins);
    let (run, now) = (Arc::new(Run::background()), now());
    if let Some(lead) = leads.first() {
        run.trace(lead.cache.engine().name(), true);
    }
    let begin = |lead: &Lead<K, V, S>| {
        let flight = &lead.flight;
        flight.look_again(now.saturating_add(flight.limits().renewal));
        flight.begin(lead.seat, kind, lead.begin_run(&run), now)
    };
    taken.extend(leads.extract_if(.., |lead| !begin(lead)));
    [leads, taken]
}

/// Whether a load that has this token is about to renew a value, or has failed and `counts`, as far as
/// that can be told at a glance.
pub(super) fn is_reloading<V: Send + Sync + 'static>(
    token: &LoadToken,
    counts: impl Fn(&Rest) -> bool,
) -> bool {
    let token: &dyn Any = &**token;
    token.downcast_ref::<Flight<V>>().is_some_and(|flight| match flight.rest.get() {
        Some(rest) => counts(rest),
        None => !flight.is_worth_a_look(now),
    })
}

impl<K, V, S> Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The waiter has been promoted.
    pub(super) fn promote(mut self, seat: Seat) -> Self {
        (self.seat, self.boarded) = (seat, true);
        self
    }

    /// The run of its loader, which begins if it has not.
    pub(super) fn begin(&self, kind: Kind) -> Arc<Run> {
        match self.run.get() {
            Some(run) => Arc::clone(run),
            None => begin([self], kind, Run::default),
        }
    }

    fn begin_run(&self, run: &Arc<Run>) -> &Arc<Run> {
        self.run.get_or_init(|| {
            let engine = self.cache.engine();
            engine.count_load(|loads| &loads.started);
            let _ = self.begun.set(engine.enter_load());
            Arc::clone(run)
        })
    }

    /// The loader turns out to load one key after the other: this one later.
    pub(super) fn put_off(&self) {
        self.flight.put_off(self.seat, now());
    }

    /// Whether nothing has happened to the key since the load boarded.
    fn is_current(&self) -> bool {
        self.cache.engine().has_token(&self.key, &self.token())
    }

    /// Its loader is not called: that is no failure.
    fn never_begins(&mut self) {
        self.ended = true;
    }

    /// It is its turn; false if somebody has taken over, or the key has changed.
    pub(super) fn resume(&self, kind: Kind) -> bool {
        self.is_current()
            && self.run.get().is_some_and(|run| self.flight.begin(self.seat, kind, run, now()))
    }

    /// Notes that it is a load of the background.
    pub(super) fn renews(&mut self) {
        self.renews = true;
        self.cache.engine().count_load(|loads| &loads.renewals);
    }

    /// Notes how the loader has ended.
    fn count_end(&mut self, succeeded: bool) {
        self.ended = true;
        let engine = self.cache.engine();
        if let Some(&(begun, entered)) = self.begun.get()
            && engine.leave_load(entered)
        {
            engine.count_load_time(begun);
            engine.count_load(|loads| if succeeded { &loads.succeeded } else { &loads.failed });
        }
        if self.renews && !succeeded {
            engine.count_load(|loads| &loads.renewals_failed);
        }
        if self.run.get().is_some() {
            self.enter(|| load_ended(engine.name(), self.renews, succeeded));
        }
    }

    /// Runs user code as a part of its run: if that asks for the key, it closes a circle.
    pub(super) fn enter<T>(&self, part: impl FnOnce() -> T) -> T {
        match self.run.get() {
            Some(run) => run.enter(part),
            None => part(),
        }
    }

    /// The waiter has left, and nobody is left: the token has to go.
    pub(super) fn clear_away(&self) {
        self.cache.engine().cancel_load(&self.key, &self.token());
    }

    fn token(&self) -> LoadToken {
        Arc::clone(&self.flight) as LoadToken
    }

    /// Puts the value in unless something has overtaken it, and gives it to all that wait.
    pub(super) fn land(mut self, value: &V, terms: Terms) {
        self.count_end(true);
        self.enter(|| {
            if self.flight.begin_landing(self.seat, Landing::Value) {
                self.cache.engine().complete_load(&self.key, value.clone(), &self.token(), terms);
                self.end(|| Outcome::Value(value.clone()));
            }
        });
    }

    /// Tells all that wait why there is no value, and, if it is to be remembered, those that come later.
    /// What the key has may stand in for the value that was wanted, as the caller wishes.
    pub(super) fn fail(mut self, failure: &Failure, wish: &Wish) -> Option<StandIn<V>> {
        self.count_end(matches!(failure, Failure::Absent));
        // Before the landing begins: if `Clone` panics, the first waiter leads.
        let old = wish.stand_in(&self.cache, &self.key, failure).map(NoAbort::new);
        self.enter(|| self.fail_all(failure, wish));
        drop(self);
        old.map(NoAbort::into_inner)
    }

    fn fail_all(&self, failure: &Failure, wish: &Wish) {
        if self.flight.begin_landing(self.seat, Landing::Error) {
            if matches!(failure, Failure::Absent) && !seeded("absent-leaves-the-value") {
                self.cache.engine().complete_absent(&self.key, &self.token());
            }
            let rest = self.rest(Some(failure.clone()).zip(wish.negative));
            let kept = rest.is_kept();
            if !kept {
                self.clear_away();
            }
            // Before the end: who finds the flight over finds what is left of it.
            let _ = self.flight.rest.set(rest);
            self.end(|| Outcome::Failed(failure.clone()));
            if kept {
                self.cache.engine().remember_failure(&self.key, &self.token());
            }
        }
    }

    /// What is left of a load that ends now without a value.
    fn rest(&self, failure: Option<(Failure, Duration)>) -> Arc<Rest> {
        let clock = self.cache.engine().clock();
        Arc::new(Rest::new(failure, self.flight.heritage.get(), clock))
    }

    fn end(&self, outcome: impl FnOnce() -> Outcome<V>) {
        if self.flight.end(self.seat, &None) == End::Wanted {
            let outcome = Some(Arc::new(outcome()));
            self.flight.end(self.seat, &outcome);
        }
    }
}

impl<K, V, S> Drop for Lead<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        if !self.boarded {
            return;
        }
        // Nothing where the flight has ended, or goes on without this one. A panic (of a waker, or of what
        // looking for the key calls) stays here: it may be on the way already. A token that is left
        // behind is known to be over.
        if !self.ended {
            quietly(|| self.count_end(false));
        }
        quietly(|| {
            if self.flight.abandon(self.seat, now()) {
                let rest = self.rest(None);
                let kept = rest.is_kept();
                let _ = self.flight.rest.set(rest);
                if kept {
                    self.cache.engine().remember_failure(&self.key, &self.token());
                } else {
                    self.clear_away();
                }
            }
        });
    }
}
