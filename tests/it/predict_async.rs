//! Prediction for async loaders: loads are tasks of the user's runtime, which polls only who was woken; one that drops
//! its tasks, or does not run them, holds nothing up.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clockhand::predict::{BreakerState, Budget, PredictError, Predictor, PredictorBuilder};
use clockhand::{AsyncLoader, Cache, Clock, LoadingCache, ManualClock};

use crate::support::market::Fixed;
use crate::support::strict::{Ended, Strict, give_way};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Quotes = LoadingCache<u64, u64, Origin, Fixed>;

const ANSWERS: u8 = 0;
const FAILS: u8 = 1;
const PANICS: u8 = 2;

/// Gives way before it answers.
#[derive(Clone, Default)]
struct Origin {
    loads: Arc<AtomicU64>,
    does: Arc<AtomicU8>,
}

impl AsyncLoader<u64, u64> for Origin {
    type Error = String;

    async fn load(&self, key: &u64) -> Result<u64, String> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        give_way(3).await;
        match self.does.load(Ordering::SeqCst) {
            FAILS => Err("down".into()),
            PANICS => panic!("the loader"),
            _ => Ok(*key),
        }
    }
}

/// A cache, its predictor, and a runtime with the tasks that it was given.
struct Market {
    clock: ManualClock,
    quotes: Quotes,
    origin: Origin,
    tasks: Arc<Mutex<VecDeque<Task>>>,
    predictor: Predictor,
}

fn unspawned(clock: Clock, origin: &Origin) -> Quotes {
    let builder = Cache::builder().capacity(1_000).clock(clock).time_to_live(10 * SECOND);
    builder.hasher(Fixed::default()).build().unwrap().loading(origin.clone())
}

fn set_up(quotes: &Quotes) -> PredictorBuilder<u64, u64, Origin, Fixed> {
    let unix = Duration::from_secs(1_750_000_000);
    Predictor::builder_async(quotes).budget(Budget::per_second(100.0)).unix_time(unix)
}

impl Market {
    fn new() -> Self {
        let ((clock, manual), origin) = (Clock::manual(), Origin::default());
        let tasks: Arc<Mutex<VecDeque<Task>>> = Arc::default();
        let queue = Arc::clone(&tasks);
        let quotes =
            unspawned(clock, &origin).spawner(move |task| queue.lock().unwrap().push_back(task));
        let predictor = set_up(&quotes).build().unwrap();
        Self { clock: manual, quotes, origin, tasks, predictor }
    }

    fn queued(&self) -> usize {
        self.tasks.lock().unwrap().len()
    }

    fn take(&self) -> Vec<Task> {
        self.tasks.lock().unwrap().drain(..).collect()
    }

    /// Runs all tasks to their ends.
    fn run(&self) -> Vec<Ended<()>> {
        let mut strict = Strict::new();
        self.take().into_iter().for_each(|task| _ = strict.spawn(task));
        assert_eq!(strict.run(PATIENCE), [0_usize; 0], "some are stuck");
        (0..strict.len()).map(|nth| *strict.ended(nth).unwrap()).collect()
    }

    /// Reads twenty keys; how many had to wait.
    fn read(&self) -> u64 {
        let before = self.origin.loads.load(Ordering::SeqCst);
        let mut strict = Strict::new();
        (0..20).for_each(|key| {
            let quotes = self.quotes.clone();
            strict.spawn(async move { drop(quotes.get_async(&key).await) });
        });
        assert_eq!(strict.run(PATIENCE), [0_usize; 0], "some are stuck");
        self.origin.loads.load(Ordering::SeqCst) - before
    }

    /// Lets time go by, with the runtime or without it; whether a task has panicked.
    fn wait(&self, time: Duration, runs: bool) -> bool {
        let mut panicked = false;
        for _ in 0..time.as_millis() / 250 {
            self.clock.advance(Duration::from_millis(250));
            assert!(self.predictor.step());
            panicked |= runs && self.run().contains(&Ended::Panicked);
        }
        panicked
    }

    /// Reads every second; how many had to wait in the last half.
    fn live(&self, seconds: u64) -> u64 {
        let mut waits = 0;
        for second in 0..seconds {
            let waited = self.read();
            waits += if second * 2 >= seconds { waited } else { 0 };
            self.wait(SECOND, true);
        }
        waits
    }
}

#[test]
fn what_is_read_again_is_renewed_by_tasks() {
    let market = Market::new();
    let waits = market.live(120);
    let stats = market.predictor.stats();
    assert_eq!(waits, 0, "{stats:?}");
    assert!(stats.reuse.useful >= 100 && stats.reuse.wasted == 0, "{stats:?}");
    let ahead = stats.loads + market.quotes.stats().loads_started;
    assert!(ahead > 0 && market.queued() == 0);
}

#[test]
fn without_a_spawner_there_is_no_predictor() {
    let (clock, origin) = (Clock::manual().0, Origin::default());
    let quotes = unspawned(clock, &origin);
    for refused in [set_up(&quotes).build(), set_up(&quotes).start()] {
        assert!(matches!(refused, Err(PredictError::NoSpawner)));
    }
    assert!(PredictError::NoSpawner.to_string().contains("spawner"));
    // The place of the one predictor is free.
    let quotes = quotes.spawner(drop);
    assert!(set_up(&quotes).build().is_ok());
}

#[test]
fn a_runtime_that_runs_nothing_is_given_little() {
    let market = Market::new();
    market.live(60);
    for _ in 0..60 {
        market.read();
        market.wait(SECOND, false);
    }
    assert!((1..=4).contains(&market.queued()), "{}", market.queued());
    // Late, but it goes on.
    market.run();
    assert_eq!(market.live(60), 0, "{:?}", market.predictor.stats());
}

#[test]
fn a_task_that_is_dropped_holds_nothing_up() {
    let market = Market::new();
    market.live(60);
    let loads = market.predictor.stats().loads;
    for _ in 0..30 {
        market.read();
        for _ in 0..4 {
            market.clock.advance(SECOND / 4);
            market.predictor.step();
            drop(market.take());
        }
    }
    market.predictor.step();
    assert_eq!(market.predictor.stats().loads, loads, "none of them had begun");
    // Some are dropped while they wait.
    market.live(30);
    for _ in 0..30 {
        market.read();
        for _ in 0..4 {
            market.clock.advance(SECOND / 4);
            market.predictor.step();
            let mut strict = Strict::new();
            for (nth, task) in market.take().into_iter().enumerate() {
                strict.spawn(task);
                assert!(strict.poll(nth));
                strict.cancel(nth);
            }
        }
    }
    market.predictor.step();
    assert!(market.predictor.stats().loads_failed > 0, "those had begun");
    market.live(120);
    assert_eq!(market.live(60), 0, "{:?}", market.predictor.stats());
    let stats = market.quotes.stats();
    assert_eq!(stats.loads_started, stats.loads_succeeded + stats.loads_failed, "none is left");
}

#[test]
fn an_origin_that_fails_or_panics_is_spared() {
    for does in [FAILS, PANICS] {
        let market = Market::new();
        market.live(60);
        market.origin.does.store(does, Ordering::SeqCst);
        let (before, mut opened) = (market.predictor.stats().loads, false);
        for _ in 0..60 {
            assert!(!market.wait(SECOND, true), "a panic of the loader ends its load alone");
            opened |= market.predictor.stats().breaker == BreakerState::Open;
            market.read();
        }
        let failed = market.predictor.stats().loads - before;
        assert!(opened && failed <= 40, "{failed} loads of an origin that is down");
        market.origin.does.store(ANSWERS, Ordering::SeqCst);
        market.live(180);
        assert_eq!(market.live(60), 0, "{:?}", market.predictor.stats());
    }
}

#[test]
fn two_equal_runs_are_equal() {
    let run = || {
        let market = Market::new();
        let waits = market.live(60);
        (waits, market.origin.loads.load(Ordering::SeqCst), market.predictor.stats())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_task_does_not_keep_the_cache_alive_while_it_is_queued() {
    let market = Market::new();
    market.live(60);
    market.wait(10 * SECOND, false);
    assert!(market.queued() > 0);
    let Market { quotes, predictor, tasks, .. } = market;
    let weak = quotes.cache().downgrade();
    drop(quotes);
    assert!(weak.upgrade().is_none() && !predictor.step());
    let mut strict = Strict::new();
    tasks.lock().unwrap().drain(..).for_each(|task| _ = strict.spawn(task));
    assert_eq!(strict.run(PATIENCE), [0_usize; 0]);
    drop(predictor);
}
