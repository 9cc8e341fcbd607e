//! Joins: callers that all want the same key, which one of them loads.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use clockhand::Cache;

use super::fill::{Fill, FillAsync, Moka, MokaFuture, QuickCache};
use super::{Api, Call, Contender, Options, Question};
use crate::compare::keys::scatter;
use crate::failure::Failure;
use crate::report::Spread;
use crate::team;

/// Entries of the cache; there is room for all keys.
const CAPACITY: u64 = 100_000;
/// How long a load waits when all callers are about to call, so that they do wait.
const ASLEEP: Duration = Duration::from_millis(1);
/// About how long a join of threads takes: what is done in a round.
const EACH: Duration = Duration::from_millis(5);

pub(super) fn setup(options: &Options) -> String {
    format!(
        "join: {} callers want the same new key, and one loads it; blocking: as many threads, from the \
         end of the load until the last has the value, per caller; async: tasks polled by one thread, \
         to join and to learn the value, per caller",
        options.callers
    )
}

/// One load for many callers.
pub(super) fn joins(callers: usize, time: Duration) -> Question {
    let contenders = vec![
        by_thread::<Cache<u64, u64>>(callers, time),
        by_thread::<QuickCache>(callers, time),
        by_thread::<Moka>(callers, time),
        by_task::<Cache<u64, u64>>(callers, time),
        by_task::<QuickCache>(callers, time),
        by_task::<MokaFuture>(callers, time),
    ];
    Question { name: "join", asked: format!("{callers} callers"), loads: 1.0, contenders }
}

fn by_thread<C: Fill>(callers: usize, time: Duration) -> Contender {
    let (cache, mut first) = (C::with_capacity(CAPACITY), 0);
    let joins = (time.as_nanos() / EACH.as_nanos()).max(3) as u64;
    let turn = move || {
        let keys = first..first + joins;
        first += joins;
        meet(&cache, callers, keys)
    };
    let who = Call { api: Api::Blocking, cache: C::NAME, call: C::CALL };
    Contender { who, turn: Box::new(turn) }
}

/// All threads meet before each key, and are timed from the end of its load.
fn meet(
    cache: &impl Fill,
    callers: usize,
    keys: std::ops::Range<u64>,
) -> Result<Vec<f64>, Failure> {
    let (barrier, loads) = (Barrier::new(callers), AtomicU64::new(0));
    let arrived: Vec<_> = keys.clone().map(|_| AtomicUsize::new(0)).collect();
    let loaded = Mutex::new(vec![None; arrived.len()]);
    let work = |_| {
        let visit = |(nth, index): (usize, u64)| {
            barrier.wait();
            arrived[nth].fetch_add(1, Ordering::Relaxed);
            cache.fill(scatter(index), || {
                loads.fetch_add(1, Ordering::Relaxed);
                while arrived[nth].load(Ordering::Relaxed) < callers {
                    thread::yield_now();
                }
                thread::sleep(ASLEEP);
                let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
                loaded[nth] = Some(Instant::now());
                index
            });
            Instant::now()
        };
        keys.clone().enumerate().map(visit).collect::<Vec<_>>()
    };
    let shifts = team::run(callers, work, || ());
    let shifts = shifts.map_err(Failure::machine("cannot start a thread"))?;
    let loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
    let beyond = loaded.iter().enumerate().filter_map(|(nth, ended)| {
        let last = shifts.iter().map(|shift| shift.result[nth]).max()?;
        Some(last.saturating_duration_since((*ended)?).as_secs_f64() * 1e9 / callers as f64)
    });
    let beyond: Vec<f64> = beyond.collect();
    let loads = loads.into_inner() as f64 / loaded.len() as f64;
    Ok(vec![Spread::of(&beyond).median, loads])
}

fn by_task<C: FillAsync>(callers: usize, time: Duration) -> Contender {
    let (cache, mut first) = (C::with_capacity(CAPACITY), 0);
    let turn = move || {
        let (mut joins, mut loads, mut took) = (0, 0, Duration::ZERO);
        let began = Instant::now();
        while joins == 0 || began.elapsed() < time {
            let (longer, more) = poll_all(&cache, callers, scatter(first));
            (joins, first) = (joins + 1, first + 1);
            (took, loads) = (took + longer, loads + more);
        }
        let ns = took.as_secs_f64() * 1e9 / (joins as f64 * callers as f64);
        Ok(vec![ns, loads as f64 / joins as f64])
    };
    let who = Call { api: Api::Async, cache: C::NAME, call: C::CALL };
    Contender { who, turn: Box::new(turn) }
}

/// Polls all tasks while the load goes on, and then until each has the value. Returns the time, and
/// how many loaded.
fn poll_all(cache: &impl FillAsync, callers: usize, key: u64) -> (Duration, u64) {
    let (gate, loads) = (Cell::new(false), Cell::new(0));
    let load = || {
        poll_fn(|_| {
            if gate.get() {
                loads.set(loads.get() + 1);
                Poll::Ready(key)
            } else {
                Poll::Pending
            }
        })
    };
    let mut tasks: Vec<Pin<Box<dyn Future<Output = u64>>>> =
        (0..callers).map(|_| Box::pin(cache.fill(key, load())) as _).collect();
    let mut done = vec![false; callers];
    let mut context = Context::from_waker(Waker::noop());
    let began = Instant::now();
    // Each pass brings a task closer to its value: the first that has it is the one that loads.
    while !done.iter().all(|done| *done) {
        for (task, done) in tasks.iter_mut().zip(&mut done) {
            *done = *done || task.as_mut().poll(&mut context).is_ready();
        }
        gate.set(true);
    }
    let took = began.elapsed();
    drop(tasks);
    (took, loads.get())
}
