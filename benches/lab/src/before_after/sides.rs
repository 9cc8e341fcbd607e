//! The two sides: a map in which every step is under a lock and no operation is, and `clockhand`, which weighs the pages,
//! loads each once at a time, and renews what is read ahead of its expiry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use clockhand::{Cache, LoadSource, Loader, LoadingCache};

use super::page::{Page, Pages};
use super::{CAPACITY, GARBAGE, System, Terms};
use crate::clients::Answer;
use crate::failure::Failure;
use crate::races::step;
use crate::store::TooMany;
use crate::words::unusable;

/// What stands between the check and the act: a look at a configuration, a counter, a log.
const ELSEWHERE: Duration = Duration::from_micros(50);

pub(super) struct Naive {
    source: Arc<Pages>,
    capacity: u64,
    life: Duration,
    pages: Mutex<HashMap<u64, (Arc<Page>, Instant)>>,
    used: Mutex<u64>,
}

impl Naive {
    pub(super) fn new(source: Arc<Pages>, capacity: u64, life: Duration) -> Self {
        Self { source, capacity, life, pages: Mutex::default(), used: Mutex::new(0) }
    }

    /// Checks, then acts: what was found live may be gone.
    fn found(&self, key: u64) -> Option<Answer> {
        let live = |(_, since): &(Arc<Page>, Instant)| since.elapsed() < self.life;
        if !step(&self.pages).get(&key).is_some_and(live) {
            return None;
        }
        thread::sleep(ELSEWHERE);
        let gone = step(&self.pages).get(&key).is_none();
        Some(if gone { Answer::Failed } else { Answer::Hit })
    }

    /// Reckons with a sum that was right before the load.
    fn put(&self, key: u64, page: Arc<Page>, mut used: u64) {
        while used + page.size() > self.capacity {
            let mut pages = step(&self.pages);
            let oldest = pages.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key);
            let Some((victim, _)) = oldest.and_then(|oldest| pages.remove(&oldest)) else { break };
            used = used.saturating_sub(victim.size());
        }
        used += page.size();
        let old = step(&self.pages).insert(key, (page, Instant::now()));
        *step(&self.used) = used.saturating_sub(old.map_or(0, |(old, _)| old.size()));
    }
}

impl System for Naive {
    fn ask(&self, key: u64) -> Answer {
        if let Some(answer) = self.found(key) {
            return answer;
        }
        let used = *step(&self.used);
        match self.source.load(key) {
            Ok(page) => {
                self.put(key, page, used);
                Answer::Loaded
            }
            Err(_) => Answer::Failed,
        }
    }
}

/// The pages, as the cache loads them.
struct Source(Arc<Pages>);

impl Loader<u64, Arc<Page>> for Source {
    type Error = TooMany;

    fn load(&self, key: &u64) -> Result<Arc<Page>, TooMany> {
        self.0.load(*key)
    }
}

pub(super) struct Clockhand(LoadingCache<u64, Arc<Page>, Source>);

impl Clockhand {
    pub(super) fn new(pages: Arc<Pages>, terms: Terms) -> Result<Self, Failure> {
        let cache = Cache::builder()
            .capacity(CAPACITY)
            .retired_capacity(GARBAGE)
            .weigher(|_, page: &Arc<Page>| page.size())
            .time_to_live(terms.life())
            .build()
            .map_err(unusable)?;
        let loading = cache
            .loading(Source(pages))
            .refresh_after(terms.refresh())
            .stale_while_revalidate(terms.grace())
            .stale_if_error(terms.grace())
            .build()
            .map_err(unusable)?;
        Ok(Self(loading))
    }
}

impl System for Clockhand {
    fn ask(&self, key: u64) -> Answer {
        match self.0.get_with_source(&key) {
            Ok(loaded) => match loaded.source {
                LoadSource::Hit | LoadSource::Stale => Answer::Hit,
                _ => Answer::Loaded,
            },
            Err(_) => Answer::Failed,
        }
    }

    fn beyond_bounds(&self) -> bool {
        let usage = self.0.cache().usage();
        usage.charged > usage.capacity || usage.retired > usage.retired_capacity
    }
}
