//! Hits and misses: threads that ask for one key after the other.

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use clockhand::Cache;
use futures_executor::block_on;

use super::fill::{Fill, FillAsync, GetThenInsert, Moka, MokaFuture, QuickCache};
use super::{Api, Call, Contender, Options, Question};
use crate::arena::{Bell, repeat, work_for};
use crate::compare::keys::{NewKeys, Streams, scatter, zipf_streams};
use crate::measure::Turn;

/// Keys that are there, where all calls hit.
const KEYS: u64 = 10_000;
/// How they are drawn.
const EXPONENT: f64 = 0.99;
/// Entries of the cache that is full, where all calls miss.
const CAPACITY: u64 = 10_000;

pub(super) fn setup(options: &Options) -> [String; 4] {
    let threads: Vec<_> = options.threads.iter().map(usize::to_string).collect();
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
        let turn: Turn = match *self {
            Self::Hits(ref streams, threads, time) => {
                let (streams, cache) = (Streams::clone(streams), A::with_capacity(2 * KEYS));
                cache.ask(&(0..KEYS).map(scatter).collect::<Vec<_>>());
                timed(threads, time, move |id, bell, loads| {
                    repeat(&streams[id], bell, |keys| *loads += cache.ask(keys))
                })
            }
            Self::Misses(threads, time) => {
                let (keys, cache) = (NewKeys::of(threads), A::with_capacity(CAPACITY));
                cache.ask(&keys.others().take(10 * CAPACITY as usize).collect::<Vec<_>>());
                timed(threads, time, move |id, bell, loads| {
                    keys.use_up(id, bell, |keys| *loads += cache.ask(keys))
                })
            }
        };
        Contender { who: Call { api: A::API, cache: A::NAME, call: A::CALL }, turn }
    }
}

/// Lets threads call until the bell rings. `work` returns how many calls a thread made, and counts the loads.
fn timed(
    threads: usize,
    time: Duration,
    work: impl Fn(usize, &Bell, &mut u64) -> u64 + Sync + 'static,
) -> Turn {
    let counted = move |id: usize, bell: &Bell| {
        let mut loads = 0;
        (work(id, bell, &mut loads), loads)
    };
    Box::new(move || {
        let shifts = work_for(time, threads, &counted)?;
        let calls = shifts.iter().map(|shift| shift.result.0).sum::<u64>() as f64;
        let loads = shifts.iter().map(|shift| shift.result.1).sum::<u64>() as f64;
        let time: Duration = shifts.iter().map(|shift| shift.ended - shift.began).sum();
        Ok(vec![time.as_secs_f64() * 1e9 / calls, loads / calls])
    })
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
