//! The leader of a load that begins thin: without a flight, until another caller joins.
//!
//! Such a load has no value to renew, no failure before it and none to remember, and its loader runs on the thread
//! that began it. If no other caller joins it, nothing is allocated for it. The first one that does inflates it, and
//! so does its own thread before it waits for another load; then the leader ends the flight as well.
//!
//! As long as its token leads others to it, its frame is on the thread's stack. So whatever user code runs in between
//! (the loader, `Clone`, `Eq`, a weigher, a listener, a tracing subscriber) and asks for the key is told that this is
//! a cycle, and does not wait for its own thread.

use std::cell::{Cell, OnceCell};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::caller::inflate;
use super::failed_load::Failure;
use super::flight::{Completion, Flight, FlightOutcome, Runner};
use super::fresh::Fresh;
use super::leader_state::StallLimits;
use super::next::{LoadOptions, stale_or_error};
use super::run::{PopOnDrop, Run, ThinFrame};
use super::{LoadError, LoadSource, Loaded, now};
use crate::cache::Cache;
use crate::engine::{StaleValue, ThinStart};
use crate::expiry::LifetimeOverride;
use crate::sync::{NoAbort, quietly};
use crate::trace::{LoadSpan, load_ended};

/// A caller that has to load. If it is dropped before the load has ended, as in a panic, the first waiter is
/// promoted.
struct ThinLeader<'c, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    cache: &'c Cache<K, V, S>,
    key: &'c K,
    start: ThinStart,
    /// By which the thread's stack knows the load. Dropped when the load has ended, and before the span is.
    _frame: Option<PopOnDrop>,
    span: OnceCell<NoAbort<LoadSpan>>,
    /// Whether the loader has returned a value.
    loaded: Cell<bool>,
    /// Whether a subscriber was told of the end.
    told: Cell<bool>,
    /// Whether it leads no more.
    ended: Cell<bool>,
}

/// Loads the value of a key that has no entry, if the load may begin thin; otherwise gives the loader back.
pub(super) fn load<K, V, S, E, F>(
    cache: &Cache<K, V, S>,
    key: &K,
    options: LoadOptions,
    load: F,
) -> Result<Result<Loaded<V>, LoadError<E>>, F>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
    F: FnOnce(&K) -> Result<Fresh<V>, E>,
{
    if options.negative_ttl.is_some() {
        return Err(load);
    }
    let Some(start) = cache.engine().begin_thin_load(key) else { return Err(load) };
    let leader = ThinLeader::new(cache, key, start);
    let loaded = leader.in_span(|| {
        let (loaded, options) = options.with_terms(cache, load(key));
        NoAbort::new(match loaded {
            Ok(value) => {
                let value = NoAbort::new(value);
                leader.complete(&value, options.lifetime_override);
                Ok(Loaded::new(value.into_inner(), LoadSource::Loaded))
            }
            Err(error) => stale_or_error(error, |failure| leader.fail(failure, &options)),
        })
    });
    drop(leader);
    Ok(loaded.into_inner())
}

/// Attaches a run to a load: its thread is about to wait, so it has to be known what for.
fn attach<V: Send + Sync + 'static>(frame: &ThinFrame, run: &Arc<Run>) {
    if let Some(flight) = inflate::<V>(frame.load, StallLimits::of(frame.policy)) {
        flight.start_run(Flight::<V>::FIRST, Runner::Thread, run, now());
    }
}

impl<K, V, S> ThinLeader<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn new<'c>(cache: &'c Cache<K, V, S>, key: &'c K, start: ThinStart) -> ThinLeader<'c, K, V, S> {
        let policy = cache.engine().load_policy();
        let frame = ThinFrame { load: start.load, policy, attach: attach::<V> }.push();
        let (loaded, told, ended) = (Cell::new(false), Cell::new(false), Cell::new(false));
        let span = OnceCell::new();
        ThinLeader { cache, key, start, _frame: frame, span, loaded, told, ended }
    }

    /// Runs a part of the load, which is traced from the first one on.
    fn in_span<T>(&self, part: impl FnOnce() -> T) -> T {
        if self.span.get().is_none() {
            let span = NoAbort::new(LoadSpan::new(self.cache.engine().name(), false));
            // A subscriber does not come here: it does not get hold of a leader.
            let _ = self.span.set(span);
        }
        match self.span.get() {
            Some(span) => span.enter(part),
            None => part(),
        }
    }

    /// As [`Leader::complete`](super::leader::Leader::complete): the token is replaced first, and then the load ends,
    /// for the callers that have joined.
    fn complete(&self, value: &V, lifetime_override: LifetimeOverride) {
        self.loaded.set(true);
        let engine = self.cache.engine();
        // The table first: a caller that comes between the two steps finds the value. In the other order it would
        // find the token of a load that is over, take it for one left behind, and load once more.
        if lifetime_override.ttl == Some(Duration::ZERO) {
            engine.count_thin_end(&self.start, true);
            engine.cancel_thin_load(self.key, &self.start);
        } else {
            engine.complete_thin_load(self.key, value.clone(), &self.start, lifetime_override);
        }
        self.end(Completion::Value, || FlightOutcome::Value(value.clone()));
        self.tell();
    }

    /// As [`Leader::fail`](super::leader::Leader::fail), for a failure that is not remembered. It clones no key.
    fn fail(&self, failure: &Failure, options: &LoadOptions) -> Option<StaleValue<V>> {
        let engine = self.cache.engine();
        engine.count_thin_end(&self.start, false);
        let old = options.stale_for(self.cache, self.key, failure).map(NoAbort::new);
        engine.cancel_thin_load(self.key, &self.start);
        self.end(Completion::Error, || FlightOutcome::Failed(failure.clone()));
        self.tell();
        old.map(NoAbort::into_inner)
    }

    /// Ends the load, and its flight, if it has one. The table has it no more.
    fn end(&self, completion: Completion, outcome: impl FnOnce() -> FlightOutcome<V>) {
        // One exchange decides: either the load ends as it began, and no caller has joined it; or another caller has
        // inflated it before, and then the flight tells the callers that have joined.
        if let Err(flight) = self.start.load.end() {
            let flight = Flight::<V>::of(flight);
            if flight.begin_completion(Flight::<V>::FIRST, completion) {
                flight.end_with(Flight::<V>::FIRST, outcome);
            }
        }
        self.ended.set(true);
    }

    /// Tells a subscriber of the end. After that, as it may panic.
    fn tell(&self) {
        if !self.told.replace(true) {
            load_ended(self.cache.engine().name(), false, self.loaded.get());
        }
    }

    /// Gives the load up; a panic of user code stays here, as the caller is unwinding already.
    #[cold]
    fn abandon(&self) {
        let engine = self.cache.engine();
        quietly(|| engine.count_thin_end(&self.start, self.loaded.get()));
        quietly(|| {
            // The load ends before its placeholder goes. If the flight has promoted a waiter, that one leads on with the
            // same token, so the placeholder stays.
            let is_over = match self.start.load.end() {
                Ok(()) => true,
                Err(flight) => Flight::<V>::of(flight).abandon(Flight::<V>::FIRST, now()),
            };
            if is_over {
                engine.cancel_thin_load(self.key, &self.start);
            }
        });
        if let Some(span) = self.span.get() {
            quietly(|| span.enter(|| self.tell()));
        }
    }
}

impl<K, V, S> Drop for ThinLeader<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        if !self.ended.get() {
            self.abandon();
        }
    }
}
