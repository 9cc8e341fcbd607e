//! Drives requests against a cache with a loader, on one thread and a clock that is moved by hand: the
//! same figures every time, the processor's time apart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clockhand::{Cache, Clock, Fresh, LoadSource, Loader, LoadingCache, ManualClock, RemovalCause};

use super::days::{HOUR, Kind, Request};
use crate::failure::Failure;
use crate::machine::own_seconds;
use crate::words::{Words, unusable};

/// Seeds of the cache's hasher: fixed, so that every run is the same.
const HASH_SEEDS: [u64; 4] = [1, 2, 3, 4];

pub(super) type Hash<K, V> = HashMap<K, V, ahash::RandomState>;

/// The cache that all ways drive.
pub(super) type Store = LoadingCache<u64, u64, Upstream, ahash::RandomState>;

/// Where the values come from. Loads take no time; what they were of is noted.
#[derive(Debug, Clone)]
pub(super) struct Upstream {
    time: ManualClock,
    lives: bool,
    loaded: Keys,
}

/// Keys that something happened to.
#[derive(Debug, Clone, Default)]
struct Keys(Arc<Mutex<Vec<u64>>>);

impl Keys {
    fn push(&self, key: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    fn take(&self, into: &mut Vec<u64>) {
        into.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Loader<u64, u64> for Upstream {
    type Error = String;

    fn load(&self, key: &u64) -> Result<u64, String> {
        self.load_fresh(key).map(Fresh::into_value)
    }

    fn load_fresh(&self, key: &u64) -> Result<Fresh<u64>, String> {
        self.loaded.push(*key);
        let life = Kind::of(*key).life(self.time.elapsed().as_millis() as u64);
        let fresh = Fresh::new(*key);
        Ok(if self.lives { fresh.ttl(Duration::from_millis(life)) } else { fresh })
    }
}

/// What loads ahead of requests.
pub(super) trait Ahead {
    /// The next moment at which it wants to act.
    fn next(&self) -> Option<u64> {
        None
    }

    /// Acts at that moment.
    fn act(&mut self, store: &Store) {
        let _ = store;
    }

    /// A value was loaded, on demand or ahead; it lives until then.
    fn loaded(&mut self, key: u64, until: u64) {
        let _ = (key, until);
    }

    /// A key was asked for.
    fn asked(&mut self, store: &Store, key: u64, hit: bool) {
        let _ = (store, key, hit);
    }

    /// An entry had to make room.
    fn evicted(&mut self, store: &Store, key: u64) {
        let _ = (store, key);
    }

    /// Bytes that it takes.
    fn memory(&self) -> usize {
        0
    }
}

/// Nothing is loaded ahead.
pub(super) struct Nothing;

impl Ahead for Nothing {}

/// What was counted in one hour, or in many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) requests: u64,
    /// Requests that waited for a load.
    pub(super) waits: u64,
    /// Loads ahead of requests.
    pub(super) ahead: u64,
    /// Those of them whose value was asked for while it was there.
    pub(super) useful: u64,
}

impl Counts {
    pub(super) fn sum<'a>(hours: impl IntoIterator<Item = &'a Self>) -> Self {
        hours.into_iter().fold(Self::default(), |all, hour| Self {
            requests: all.requests + hour.requests,
            waits: all.waits + hour.waits,
            ahead: all.ahead + hour.ahead,
            useful: all.useful + hour.useful,
        })
    }
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    /// One for each hour from the first midnight on.
    pub(super) hours: Vec<Counts>,
    /// Most bytes that loading ahead took.
    pub(super) memory: usize,
    /// Processor time, if the system tells.
    pub(super) seconds: Option<f64>,
}

/// A cache, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course<'a> {
    pub(super) requests: &'a [Request],
    pub(super) capacity: u64,
    /// Whether values expire, as those of [`Kind`]s do.
    pub(super) lives: bool,
}

impl Course<'_> {
    /// Drives all requests, beside what `ahead` makes of the cache.
    pub(super) fn drive<A: Ahead>(
        self,
        ahead: impl FnOnce(&Store) -> Result<A, Failure>,
    ) -> Result<Outcome, Failure> {
        let (clock, time) = Clock::manual();
        let evicted = Keys::default();
        let upstream = Upstream { time: time.clone(), lives: self.lives, loaded: Keys::default() };
        let store = self.cache(clock, &evicted)?.loading(upstream.clone());
        let ahead = ahead(&store)?;
        let began = own_seconds();
        let mut run = Run {
            store,
            upstream,
            evicted,
            ahead,
            outcome: Outcome::default(),
            unread: Hash::default(),
            taken: Vec::new(),
        };
        for request in self.requests {
            run.act_until(request.at);
            run.ask(*request);
        }
        run.look_at_memory();
        run.outcome.seconds = own_seconds().zip(began).map(|(now, began)| now - began);
        Ok(run.outcome)
    }

    fn cache(self, clock: Clock, evicted: &Keys) -> Result<Words, Failure> {
        let [a, b, c, d] = HASH_SEEDS;
        let evicted = evicted.clone();
        let builder = Cache::builder()
            .capacity(self.capacity)
            .clock(clock)
            .removal_listener(move |key: &u64, _: &u64, cause| {
                if cause == RemovalCause::Evicted {
                    evicted.push(*key);
                }
            })
            .hasher(ahash::RandomState::with_seeds(a, b, c, d));
        let builder = if self.lives { builder.per_entry_ttl() } else { builder };
        builder.build().map_err(unusable)
    }
}

struct Run<A> {
    store: Store,
    upstream: Upstream,
    evicted: Keys,
    ahead: A,
    outcome: Outcome,
    /// The hour in which a value was loaded ahead that was not asked for yet.
    unread: Hash<u64, usize>,
    taken: Vec<u64>,
}

impl<A: Ahead> Run<A> {
    fn now(&self) -> u64 {
        self.upstream.time.elapsed().as_millis() as u64
    }

    fn move_to(&self, at: u64) {
        self.upstream.time.advance(Duration::from_millis(at.saturating_sub(self.now())));
    }

    fn hour(&mut self) -> &mut Counts {
        let hour = (self.now() / HOUR) as usize;
        if hour >= self.outcome.hours.len() {
            self.outcome.hours.resize(hour + 1, Counts::default());
            self.look_at_memory();
        }
        &mut self.outcome.hours[hour]
    }

    fn look_at_memory(&mut self) {
        self.outcome.memory = self.outcome.memory.max(self.ahead.memory());
    }

    fn act_until(&mut self, at: u64) {
        while let Some(next) = self.ahead.next().filter(|next| *next <= at) {
            self.move_to(next);
            self.ahead.act(&self.store);
            self.note(true);
        }
        self.move_to(at);
    }

    fn ask(&mut self, Request { key, .. }: Request) {
        let hit = match self.store.get_with_source(&key) {
            Ok(loaded) => loaded.source == LoadSource::Hit,
            Err(_) => false,
        };
        let hour = self.hour();
        hour.requests += 1;
        hour.waits += u64::from(!hit);
        if let Some(hour) = self.unread.remove(&key).filter(|_| hit) {
            self.outcome.hours[hour].useful += 1;
        }
        self.note(false);
        self.ahead.asked(&self.store, key, hit);
        self.note(true);
    }

    /// Takes note of what was loaded and evicted.
    fn note(&mut self, ahead: bool) {
        let (now, mut taken) = (self.now(), std::mem::take(&mut self.taken));
        self.upstream.loaded.take(&mut taken);
        for key in taken.drain(..) {
            if ahead {
                self.hour().ahead += 1;
                self.unread.insert(key, (now / HOUR) as usize);
            }
            self.ahead.loaded(key, now + Kind::of(key).life(now));
        }
        self.evicted.take(&mut taken);
        for key in taken.drain(..) {
            self.ahead.evicted(&self.store, key);
        }
        self.taken = taken;
    }
}
