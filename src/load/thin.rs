//! The leader of a load that begins thin: without a flight, until another caller joins.
//!
//! Such a load has no value to renew, no failure before it and none to remember, and its loader runs on the thread
//! that began it. If it brings a value that no caller waits for, nothing was allocated. Whatever else happens (an
//! error, a panic, a caller that joins, a wait of its own) it is inflated first, and goes on as any other.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::caller::{Caller, inflate};
use super::flight::{Completion, Flight, FlightOutcome, Runner};
use super::fresh::Fresh;
use super::leader::Leader;
use super::leader_state::StallLimits;
use super::next::{LoadOptions, finish_load};
use super::run::{self, Run, ThinFrame};
use super::{LoadError, LoadSource, Loaded, now};
use crate::cache::Cache;
use crate::engine::{LoadToken, ThinStart};
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
    /// Whether the end of the loader is counted.
    counted: bool,
    /// Whether it leads no more.
    ended: bool,
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
    let mut leader = ThinLeader { cache, key, start, counted: false, ended: false };
    let span = LoadSpan::new(cache.engine().name(), false);
    let frame = ThinFrame { load: leader.start.load, limits: leader.limits(), attach: attach::<V> };
    let loaded: Result<_, E> = run::enter_thin(frame, || {
        span.enter(|| {
            let (loaded, options) = options.with_terms(cache, load(leader.key));
            let value = NoAbort::new(loaded?);
            leader.complete(&value, options.lifetime_override);
            Ok(value)
        })
    });
    Ok(match loaded {
        Ok(value) => Ok(Loaded::new(value.into_inner(), LoadSource::Loaded)),
        Err(error) => {
            let error = NoAbort::new(error);
            let leader = leader.inflate(span);
            finish_load(leader, Err(error.into_inner()), options)
        }
    })
}

/// Attaches a run to a load: its thread is about to wait, so it has to be known what for.
fn attach<V: Send + Sync + 'static>(frame: &ThinFrame, run: &Arc<Run>) {
    if let Some(flight) = inflate::<V>(frame.load, frame.limits) {
        flight.start_run(Flight::<V>::FIRST, Runner::Thread, run, now());
    }
}

impl<K, V, S> ThinLeader<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn limits(&self) -> StallLimits {
        StallLimits::of(self.cache.engine().load_policy())
    }

    /// As [`Leader::complete`]: the token is replaced first, and then the load ends, for those who have joined.
    fn complete(&mut self, value: &V, lifetime_override: LifetimeOverride) {
        let (engine, own) = (self.cache.engine(), value.clone());
        self.counted = true;
        load_ended(engine.name(), false, true);
        if lifetime_override.ttl == Some(Duration::ZERO) {
            drop(NoAbort::new(own));
            engine.count_thin_end(&self.start, true);
            engine.cancel_load(self.key, &LoadToken::Thin(self.start.load));
        } else {
            engine.complete_thin_load(self.key, own, &self.start, lifetime_override);
        }
        if let Err(flight) = self.start.load.end() {
            let flight = Flight::<V>::of(flight);
            if flight.begin_completion(Flight::<V>::FIRST, Completion::Value) {
                flight.end_with(Flight::<V>::FIRST, || FlightOutcome::Value(value.clone()));
            }
        }
        self.ended = true;
    }

    /// Leads on with a flight.
    fn inflate(mut self, span: LoadSpan) -> Leader<K, V, S> {
        // First, as it may panic.
        let key = NoAbort::new(self.key.clone());
        let flight = inflate(self.start.load, self.limits()).expect("it ends by its leader");
        self.ended = true;
        let caller = Caller { cache: self.cache.clone(), key, flight: NoAbort::new(flight) };
        Leader::inflated(caller, self.start.begun(), span)
    }

    /// Gives the load up; a panic of user code stays here, as the caller is unwinding already.
    #[cold]
    fn abandon(&self) {
        let engine = self.cache.engine();
        if !self.counted {
            quietly(|| engine.count_thin_end(&self.start, false));
            quietly(|| load_ended(engine.name(), false, false));
        }
        quietly(|| {
            let flight = inflate::<V>(self.start.load, self.limits());
            if flight.is_some_and(|flight| flight.abandon(Flight::<V>::FIRST, now())) {
                engine.cancel_load(self.key, &LoadToken::Thin(self.start.load));
            }
        });
    }
}

impl<K, V, S> Drop for ThinLeader<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        if !self.ended {
            self.abandon();
        }
    }
}
