//! Four ways to ask a slow store.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clockhand::{LoadSource, Loaded};

use super::{Options, Store};
use crate::clients::Answer;
use crate::failure::Failure;
use crate::words::{Words, unusable, words};

/// Asks for a key; returns whether the caller has waited for the store.
pub(super) type Ask = dyn Fn(u64) -> Answer + Send + Sync;

/// One of the ways.
pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) by: &'static str,
    /// How long it runs.
    pub(super) time: fn(&Options) -> Duration,
    /// How often a value has to be loaded anew.
    pub(super) period: fn(&Options) -> Option<Duration>,
    /// Whether it promises one load per key and period.
    pub(super) coalesces: bool,
    pub(super) make: fn(&Options, &Arc<Store>) -> Result<Box<Ask>, Failure>,
}

pub(super) const WAYS: [Way; 4] = [
    Way {
        name: "no cache",
        by: "the store",
        time: |plan| plan.uncached(),
        period: |_| None,
        coalesces: false,
        make: uncached,
    },
    Way {
        name: "get, then insert",
        by: "Cache::get, Cache::insert",
        time: |plan| plan.time,
        period: |plan| Some(plan.life()),
        coalesces: false,
        make: get_then_insert,
    },
    Way {
        name: "get_or_load",
        by: "Cache::get_or_load_with_source",
        time: |plan| plan.time,
        period: |plan| Some(plan.life()),
        coalesces: true,
        make: get_or_load,
    },
    Way {
        name: "refresh_after",
        by: "LoadingCache::get_with_source, refresh_after",
        time: |plan| plan.time,
        period: |plan| Some(plan.refresh()),
        coalesces: true,
        make: refresh_after,
    },
];

fn uncached(_: &Options, store: &Arc<Store>) -> Result<Box<Ask>, Failure> {
    let store = Arc::clone(store);
    Ok(Box::new(move |key| answer(store.load(key).is_ok())))
}

fn get_then_insert(plan: &Options, store: &Arc<Store>) -> Result<Box<Ask>, Failure> {
    let (cache, store) = (cache(plan)?, Arc::clone(store));
    Ok(Box::new(move |key| match cache.get(&key) {
        Some(_) => Answer::Hit,
        None => answer(store.load(key).map(|value| cache.insert(key, value)).is_ok()),
    }))
}

fn get_or_load(plan: &Options, store: &Arc<Store>) -> Result<Box<Ask>, Failure> {
    let (cache, store) = (cache(plan)?, Arc::clone(store));
    Ok(Box::new(move |key| told(&cache.get_or_load_with_source(key, |key| store.load(*key)))))
}

fn refresh_after(plan: &Options, store: &Arc<Store>) -> Result<Box<Ask>, Failure> {
    let store = Arc::clone(store);
    let loading = cache(plan)?
        .loading(move |key: &u64| store.load(*key))
        .refresh_after(plan.refresh())
        // A renewal whose thread is refused is given up, and comes again with the next request.
        .executor(|job| drop(thread::Builder::new().spawn(job)));
    Ok(Box::new(move |key| told(&loading.get_with_source(&key))))
}

fn answer(loaded: bool) -> Answer {
    if loaded { Answer::Loaded } else { Answer::Failed }
}

fn told<E>(loaded: &Result<Loaded<u64>, E>) -> Answer {
    match loaded {
        Ok(loaded) if loaded.source == LoadSource::Hit => Answer::Hit,
        loaded => answer(loaded.is_ok()),
    }
}

fn cache(plan: &Options) -> Result<Words, Failure> {
    words(2 * plan.keys).time_to_live(plan.life()).build().map_err(unusable)
}
