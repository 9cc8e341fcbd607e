//! Hits and misses: threads that ask for one key after the other.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clockhand::Cache;
use crossbeam_utils::CachePadded;
use futures_executor::block_on;

use super::fill::{Fill, FillAsync, GetThenInsert, Moka, MokaFuture, QuickCache};
use super::{Api, Contender, Effort, Question, Round};
use crate::arena::{BATCH, Bell, work_for};
use crate::compare::keys::{Streams, scatter, zipf_streams};
use crate::team::Shift;

/// Keys that are there, where all calls hit.
const KEYS: u64 = 10_000;
/// How they are drawn.
const EXPONENT: f64 = 0.99;
/// Entries of the cache that is full, where all calls miss.
const CAPACITY: u64 = 10_000;
/// Indices of one thread's keys, apart from those of the others.
const REALM: u64 = 1 << 48;

pub(super) fn setup(effort: &Effort) -> [String; 4] {
    let threads: Vec<_> = effort.threads.iter().map(usize::to_string).collect();
    [
        format!("hit: {KEYS} keys, Zipf {EXPONENT}, in a cache of {}; loads nothing", 2 * KEYS),
        format!(
            "miss: every key is new, in a full cache of {CAPACITY}; the loader returns its key"
        ),
        format!(
            "hit and miss with {} threads; a task awaits one call after the other",
            threads.join(", ")
        ),
        "ahash, and the default options, in all caches".into(),
    ]
}

/// Calls that find their key.
pub(super) fn hits(threads: usize, time: Duration) -> Question {
    let streams = zipf_streams(KEYS, EXPONENT, threads);
    question("hit", 0.0, threads, Setting::Hits(streams, threads, time))
}

/// Calls that load.
pub(super) fn misses(threads: usize, time: Duration) -> Question {
    question("miss", 1.0, threads, Setting::Misses(threads, time))
}

fn question(name: &'static str, loads: f64, threads: usize, setting: Setting) -> Question {
    let contenders = vec![
        setting.enter::<ByThread<Cache<u64, u64>>>(),
        setting.enter::<ByThread<GetThenInsert>>(),
        setting.enter::<ByThread<QuickCache>>(),
        setting.enter::<ByThread<Moka>>(),
        setting.enter::<ByTask<Cache<u64, u64>>>(),
        setting.enter::<ByTask<QuickCache>>(),
        setting.enter::<ByTask<MokaFuture>>(),
    ];
    let plural = if threads == 1 { "" } else { "s" };
    Question { name, asked: format!("{threads} thread{plural}"), loads, contenders }
}

enum Setting {
    Hits(Streams, usize, Duration),
    Misses(usize, Duration),
}

impl Setting {
    fn enter<A: Ask>(&self) -> Contender {
        let turn: Box<super::Turn> = match *self {
            Self::Hits(ref streams, threads, time) => {
                let (streams, cache) = (Streams::clone(streams), A::with_capacity(2 * KEYS));
                cache.ask(&(0..KEYS).map(scatter).collect::<Vec<_>>());
                Box::new(move || {
                    let work = |id: usize, bell: &Bell| hit(&cache, &streams[id], bell);
                    Ok(round(&work_for(time, threads, work)?))
                })
            }
            Self::Misses(threads, time) => {
                let cache = A::with_capacity(CAPACITY);
                let own = threads as u64 * REALM;
                cache.ask(&(own..own + 10 * CAPACITY).map(scatter).collect::<Vec<_>>());
                let next =
                    (0..threads as u64).map(|id| CachePadded::new(AtomicU64::new(id * REALM)));
                let next = next.collect::<Vec<_>>();
                Box::new(move || {
                    let work = |id: usize, bell: &Bell| miss(&cache, &next[id], bell);
                    Ok(round(&work_for(time, threads, work)?))
                })
            }
        };
        Contender { api: A::API, cache: A::NAME, call: A::CALL, turn }
    }
}

fn hit(cache: &impl Ask, keys: &[u64], bell: &Bell) -> Calls {
    let mut calls = Calls::default();
    for keys in keys.chunks_exact(BATCH).cycle() {
        calls.add(cache, keys);
        if bell.rang() {
            break;
        }
    }
    calls
}

fn miss(cache: &impl Ask, next: &AtomicU64, bell: &Bell) -> Calls {
    let (mut calls, mut first) = (Calls::default(), next.load(Ordering::Relaxed));
    while !bell.rang() || calls.calls == 0 {
        let keys: [u64; BATCH] = std::array::from_fn(|nth| scatter(first + nth as u64));
        calls.add(cache, &keys);
        first += BATCH as u64;
    }
    next.store(first, Ordering::Relaxed);
    calls
}

/// What one thread did.
#[derive(Debug, Default)]
struct Calls {
    calls: u64,
    loads: u64,
}

impl Calls {
    fn add(&mut self, cache: &impl Ask, keys: &[u64]) {
        self.loads += cache.ask(keys);
        self.calls += keys.len() as u64;
    }
}

fn round(shifts: &[Shift<Calls>]) -> Round {
    let sum = |of: fn(&Calls) -> u64| shifts.iter().map(|shift| of(&shift.result)).sum::<u64>();
    let calls = sum(|calls| calls.calls) as f64;
    let time: Duration = shifts.iter().map(|shift| shift.ended - shift.began).sum();
    Round { ns: time.as_secs_f64() * 1e9 / calls, loads: sum(|calls| calls.loads) as f64 / calls }
}

/// A cache that is asked for some keys, one after the other; returns how many were loaded.
trait Ask: Send + Sync + 'static {
    const API: Api;
    const NAME: &'static str;
    const CALL: &'static str;

    fn with_capacity(entries: u64) -> Self;

    fn ask(&self, keys: &[u64]) -> u64;
}

struct ByThread<C>(C);

impl<C: Fill> Ask for ByThread<C> {
    const API: Api = Api::Blocking;
    const NAME: &'static str = C::NAME;
    const CALL: &'static str = C::CALL;

    fn with_capacity(entries: u64) -> Self {
        Self(C::with_capacity(entries))
    }

    #[inline]
    fn ask(&self, keys: &[u64]) -> u64 {
        let mut loads = 0;
        for &key in keys {
            let load = || {
                loads += 1;
                key
            };
            black_box(self.0.fill(key, load));
        }
        loads
    }
}

struct ByTask<C>(C);

impl<C: FillAsync> Ask for ByTask<C> {
    const API: Api = Api::Async;
    const NAME: &'static str = C::NAME;
    const CALL: &'static str = C::CALL;

    fn with_capacity(entries: u64) -> Self {
        Self(C::with_capacity(entries))
    }

    #[inline]
    fn ask(&self, keys: &[u64]) -> u64 {
        let loads = Cell::new(0);
        block_on(async {
            for &key in keys {
                let load = async {
                    loads.set(loads.get() + 1);
                    key
                };
                black_box(self.0.fill(key, load).await);
            }
        });
        loads.get()
    }
}
