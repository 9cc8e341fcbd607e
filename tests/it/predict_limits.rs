//! What prediction never does: exceed its budget or memory, go before demand loads, go on where the origin fails or
//! where it is wrong, displace what is protected, put in what was overtaken, or act differently in two equal runs.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clockhand::predict::{
    BreakerState, Budget, Features, ModelState, PredictError, Predictor, PredictorStats,
};
use clockhand::{Cache, Explanation, Region};

use crate::support::eventually;
use crate::support::market::{Market, Origin};

const SECOND: Duration = Duration::from_secs(1);
const CHAINS: u64 = 20;

fn reuse(budget: Budget) -> Market {
    Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| predictor.budget(budget).successors(false),
    )
}

/// Reads keys every second.
fn read(market: &Market, keys: std::ops::Range<u64>, seconds: u64) {
    for _ in 0..seconds {
        keys.clone().for_each(|key| _ = market.read(key));
        market.wait(SECOND);
    }
}

/// Chains of keys that follow each other, with a hot set in between.
fn read_chains(market: &Market, rounds: u64, mut each: impl FnMut(u64)) {
    for round in 0..rounds {
        let chain = 1_000 + 100 * (round * 7 % CHAINS);
        for key in chain..chain + 8 {
            market.read(key);
            market.read(round * 8 % 60);
            each(key);
        }
    }
}

#[test]
fn no_more_loads_than_the_budget() {
    let market = reuse(Budget::per_second(2.0));
    for second in 1..120_u64 {
        (0..200).for_each(|key| _ = market.read(key));
        market.wait(SECOND);
        assert!(market.predicted() <= 2 * second, "{} in {second}", market.predicted());
    }
    let stats = market.predictor.stats();
    assert!(market.predicted() >= 100, "the budget is used: {stats:?}");
    assert!(stats.loads == market.predicted() && stats.loads_held_back > 0, "{stats:?}");

    let market = reuse(Budget::share(0.1));
    for second in 0..120_u64 {
        (0..50).for_each(|key| _ = market.read(key));
        (0..20).for_each(|key| _ = market.read(1_000 + 20 * second + key));
        market.wait(SECOND);
        let demand = market.origin.loads.lock().unwrap().len() as u64 - market.predicted();
        assert!(market.predicted() * 10 <= demand, "{} for {demand}", market.predicted());
    }
    assert!(market.predicted() >= 100, "{:?}", market.predictor.stats());
}

#[test]
fn no_order_of_keys_exceeds_the_memory_or_the_budget() {
    let memory = 64 << 10;
    let market = Market::new(
        |cache| cache.capacity(100).time_to_live(1_000 * SECOND),
        |predictor| predictor.budget(Budget::share(0.01)).memory(memory),
    );
    let mut key = 1_u64;
    for nth in 0..20_000_u64 {
        // New keys, with some that come back in any order.
        key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(nth);
        market.read(if nth % 3 == 0 { key >> 54 } else { key });
        if nth % 100 == 0 {
            market.step();
            let stats = market.predictor.stats();
            assert!(stats.memory <= memory, "{stats:?}");
        }
    }
    let demand = market.origin.loads.lock().unwrap().len() as u64 - market.predicted();
    assert!(100 * market.predicted() <= demand);
}

#[test]
fn demand_loads_go_first() {
    let market = Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| predictor.budget(Budget::per_second(100.0)).successors(false).max_running(1),
    );
    read(&market, 0..20, 120);
    let held = market.origin.hold.lock().unwrap();
    std::thread::scope(|scope| {
        let started = market.quotes.stats().loads_started;
        scope.spawn(|| market.quotes.get(&Origin::HELD).unwrap());
        assert!(eventually(|| market.quotes.stats().loads_started > started));
        let before = market.predicted();
        market.wait(10 * SECOND);
        assert_eq!(market.predicted(), before, "while a demand load is under way");
        drop(held);
    });
    read(&market, 0..20, 20);
    assert!(market.predictor.stats().loads > 0);
}

#[test]
fn an_origin_that_fails_is_spared() {
    let market = reuse(Budget::per_second(100.0));
    read(&market, 0..20, 120);
    market.origin.fails.store(true, Ordering::SeqCst);
    let before = market.predicted();
    let mut opened = false;
    for _ in 0..60 {
        (0..20).for_each(|key| _ = market.read(key));
        market.wait(SECOND);
        opened |= market.predictor.stats().breaker == BreakerState::Open;
    }
    let failed = market.predicted() - before;
    assert!(opened && failed <= 40, "{failed} loads of an origin that is down");
    market.origin.fails.store(false, Ordering::SeqCst);
    read(&market, 0..20, 240);
    assert_eq!(market.predictor.stats().breaker, BreakerState::Closed);
    assert!(market.predicted() > before + failed + 100, "it goes on when the origin is back");
}

#[test]
fn an_outage_of_a_whole_job_is_one() {
    let market = reuse(Budget::per_second(100.0));
    read(&market, 0..20, 120);
    market.origin.fails.store(true, Ordering::SeqCst);
    let failed = |market: &Market| market.predictor.stats().loads_failed;
    let begun = failed(&market);
    while failed(&market) == begun {
        (0..20).for_each(|key| _ = market.read(key));
        market.wait(SECOND / 4);
    }
    assert!(failed(&market) >= begun + 5, "a job of many keys: {:?}", market.predictor.stats());
    assert_eq!(market.predictor.stats().breaker, BreakerState::Open);
    market.origin.fails.store(false, Ordering::SeqCst);
    (0..20).for_each(|key| _ = market.read(key));
    market.wait(SECOND);
    assert_ne!(market.predictor.stats().breaker, BreakerState::Open, "after the first pause");
}

#[test]
fn a_model_that_is_wrong_stops_and_tries_again() {
    let market = Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| {
            predictor.budget(Budget::per_second(100.0)).successors(false).precision_floor(0.9)
        },
    );
    read(&market, 0..60, 120);
    assert_eq!(market.predictor.stats().reuse.state, ModelState::Active);
    // All of them at once are asked for no more.
    market.wait(30 * SECOND);
    let stats = market.predictor.stats().reuse;
    assert_eq!(stats.state, ModelState::Stopped, "{stats:?}");
    let before = market.predicted();
    read(&market, 0..60, 20);
    assert_eq!(market.predicted(), before, "nothing is loaded while it is stopped");
    read(&market, 0..60, 60);
    let tried = market.predicted() - before;
    read(&market, 0..60, 120);
    let stats = market.predictor.stats().reuse;
    assert_eq!(stats.state, ModelState::Active, "{stats:?}");
    assert!(market.predicted() > before + tried, "after a trickle it is trusted again");
}

/// The keys of one class are worth nearly any load, and are never asked for again.
struct Classes;

impl Features<u64> for Classes {
    fn class(&self, key: &u64) -> u8 {
        u8::from(*key >= 1_000)
    }
    fn miss_cost(&self, key: &u64) -> f64 {
        if *key >= 1_000 { 1e9 } else { 1.0 }
    }
}

#[test]
fn a_class_that_is_wrong_stops_alone() {
    let market = Market::new(
        |cache| cache.capacity(10_000).time_to_live(10 * SECOND),
        |predictor| predictor.budget(Budget::per_second(100.0)).successors(false).features(Classes),
    );
    let mut stopped = false;
    for second in 0..240 {
        (0..40).for_each(|key| _ = market.read(key));
        market.read(1_000 + second);
        market.wait(SECOND);
        stopped |= market.predictor.stats().reuse.stopped_classes == 1;
    }
    let stats = market.predictor.stats().reuse;
    assert!(stopped, "{stats:?}");
    assert_eq!(stats.state, ModelState::Active, "the other class goes on: {stats:?}");
}

#[test]
fn what_is_prefetched_displaces_nothing_that_is_protected() {
    let market = Market::new(
        |cache| cache.capacity(100),
        |predictor| predictor.budget(Budget::share(10.0)).reuse(false).precision_floor(0.0),
    );
    let mut prefetched = 0;
    read_chains(&market, 120, |_| {
        let is_protected = |key: &u64| {
            let explanation = market.quotes.explain(key);
            matches!(explanation, Explanation::Resident { region: Region::Protected, .. })
        };
        let keys = || (0..60).chain(1_000..1_000 + 100 * CHAINS);
        let before: HashSet<u64> = keys().filter(is_protected).collect();
        let loads = market.predicted();
        market.step();
        prefetched += u64::from(market.predicted() > loads);
        let gone: Vec<_> =
            before.iter().filter(|key| !market.quotes.cache().contains_key(*key)).collect();
        assert!(gone.is_empty(), "{gone:?} made room");
    });
    assert!(prefetched > 50, "{:?}", market.predictor.stats().successors);
}

#[test]
fn a_removal_wins_over_a_load_that_runs() {
    let market = reuse(Budget::per_second(100.0));
    read(&market, 0..20, 120);
    let before = market.predicted();
    // Each load is overtaken while it runs.
    let cache = market.quotes.cache().clone();
    *market.origin.meanwhile.lock().unwrap() =
        Some(Box::new(move |key| _ = cache.invalidate(&key)));
    (0..20).for_each(|key| _ = market.read(key));
    market.wait(10 * SECOND);
    assert!(market.predicted() > before, "values were renewed");
    *market.origin.meanwhile.lock().unwrap() = None;
    assert!((0..20).all(|key| market.quotes.cache().get(&key).is_none()));
}

#[test]
fn a_removal_wins_over_a_load_of_what_follows() {
    let market = Market::new(
        |cache| cache.capacity(100),
        |predictor| predictor.budget(Budget::share(10.0)).reuse(false).precision_floor(0.0),
    );
    read_chains(&market, 100, |_| market.step());
    let (cache, overtaken) = (market.quotes.cache().clone(), Arc::new(Mutex::new(Vec::new())));
    let own = Arc::clone(&overtaken);
    *market.origin.meanwhile.lock().unwrap() = Some(Box::new(move |key| {
        cache.invalidate(&key);
        own.lock().unwrap().push(key);
    }));
    let mut all = 0;
    read_chains(&market, 20, |_| {
        market.step();
        let overtaken = std::mem::take(&mut *overtaken.lock().unwrap());
        all += overtaken.len();
        assert!(overtaken.iter().all(|key| !market.quotes.cache().contains_key(key)));
    });
    assert!(all > 10, "{all} loads: {:?}", market.predictor.stats());
}

#[test]
fn a_write_wins_over_a_load_that_runs() {
    const WRITTEN: u64 = u64::MAX;
    let market = reuse(Budget::per_second(100.0));
    read(&market, 0..20, 120);
    let cache = market.quotes.cache().clone();
    *market.origin.meanwhile.lock().unwrap() =
        Some(Box::new(move |key| cache.insert(key, WRITTEN)));
    let before = market.predicted();
    (0..20).for_each(|key| _ = market.read(key));
    market.wait(10 * SECOND);
    assert!(market.predicted() >= before + 10, "values were renewed");
    let values = (0..20).filter_map(|key| market.quotes.cache().get(&key));
    let values: Vec<u64> = values.collect();
    assert!(values.len() >= 10 && values.iter().all(|value| *value == WRITTEN), "{values:?}");
}

#[test]
fn loads_that_were_overtaken_are_no_failures_of_the_origin() {
    // Values are renewed between two reads.
    let market = Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| {
            let predictor = predictor.budget(Budget::per_second(100.0)).successors(false);
            predictor.horizon(Duration::from_millis(700))
        },
    );
    // While the first one runs, the keys of those that come after it in the same job are removed.
    let (cache, first) = (market.quotes.cache().clone(), AtomicBool::new(true));
    *market.origin.meanwhile.lock().unwrap() = Some(Box::new(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            (0..20).for_each(|key| _ = cache.invalidate(&key));
        }
    }));
    let mut breakers = HashSet::new();
    for _ in 0..120 {
        (0..20).for_each(|key| _ = market.read(key));
        market.wait(SECOND);
        breakers.insert(format!("{:?}", market.predictor.stats().breaker));
    }
    let (given_up, stats) = (market.quotes.stats().loads_failed, market.predictor.stats());
    assert!(given_up > 8 && stats.loads_failed == 0, "{given_up} were given up: {stats:?}");
    assert_eq!(breakers, HashSet::from(["Closed".to_string()]));
    assert!(stats.reuse.useful > 100, "{stats:?}");
}

#[test]
fn two_equal_runs_are_equal() {
    let run = || {
        let market = Market::new(
            |cache| cache.capacity(200).time_to_live(5 * SECOND),
            |predictor| predictor.budget(Budget::per_second(20.0)),
        );
        read_chains(&market, 60, |_| market.wait(SECOND / 10));
        let loads = market.origin.loads.lock().unwrap().clone();
        (loads, market.predictor.stats())
    };
    let (one, other) = (run(), run());
    assert!(one.1.loads > 0, "{:?}", one.1);
    assert_eq!(one, other);
}

#[test]
fn settings_that_are_not_sound_are_refused() {
    let quotes = Cache::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    let builder = || Predictor::builder(&quotes).budget(Budget::per_second(1.0));
    for budget in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for budget in [Budget::per_second(budget), Budget::share(budget)] {
            assert!(matches!(builder().budget(budget).build(), Err(PredictError::Budget)));
        }
    }
    assert!(matches!(Predictor::builder(&quotes).build(), Err(PredictError::Budget)));
    let refused = builder().memory(0).build().unwrap_err();
    assert!(matches!(refused, PredictError::Memory { bytes: 0 }), "{refused}");
    for floor in [f64::NAN, -0.1, 1.1] {
        let refused = builder().precision_floor(floor).build();
        assert!(matches!(refused, Err(PredictError::PrecisionFloor)));
    }
    assert!(matches!(builder().horizon(Duration::ZERO).build(), Err(PredictError::Horizon)));
    for share in [0.0, f64::NAN, 1.5] {
        assert!(matches!(builder().cpu_share(share).start(), Err(PredictError::CpuShare)));
    }
    let none = builder().reuse(false).successors(false).build();
    assert!(matches!(none, Err(PredictError::NoModel)));
    // None of these has taken the place of the one predictor that a cache may have.
    let first = builder().build().unwrap();
    assert!(matches!(builder().build(), Err(PredictError::AlreadyRunning)));
    drop(first);
    assert!(builder().build().is_ok());
}

/// Panics whatever it is asked.
struct Panics;

impl Features<u64> for Panics {
    fn class(&self, _: &u64) -> u8 {
        panic!("of the class")
    }
    fn features(&self, _: &u64, _: &mut [f64; 4]) {
        panic!("of the features")
    }
    fn miss_cost(&self, _: &u64) -> f64 {
        panic!("of the cost")
    }
    fn load_cost(&self, _: &u64) -> f64 {
        f64::NAN
    }
}

#[test]
fn features_that_panic_stand_for_nothing() {
    let market = Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| predictor.budget(Budget::per_second(100.0)).features(Panics),
    );
    read(&market, 0..10, 100);
    let stats = market.predictor.stats();
    assert!(stats.panics > 20 && stats.reuse.useful > 0, "{stats:?}");
}

#[test]
fn a_clock_that_jumps_is_survived() {
    let market = reuse(Budget::per_second(5.0));
    read(&market, 0..10, 60);
    let before = market.predicted();
    market.clock.advance(Duration::from_secs(20 * 365 * 86_400));
    market.step();
    assert!(market.predicted() <= before + 5, "what is kept of a budget is a second's");
    market.clock.advance(Duration::MAX);
    market.step();
    read(&market, 0..10, 3);
    assert!(market.predictor.stats().rounds > 0);
}

#[test]
fn it_does_not_keep_the_cache_alive() {
    let quotes = Cache::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    let weak = quotes.cache().downgrade();
    let builder = Predictor::builder(&quotes).budget(Budget::per_second(1.0));
    let predictor = builder.build().unwrap();
    assert!(predictor.step());
    drop(quotes);
    assert!(weak.upgrade().is_none());
    assert!(!predictor.step() && !predictor.stats().running);

    let quotes = Cache::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    let weak = quotes.cache().downgrade();
    let predictor = Predictor::builder(&quotes).budget(Budget::per_second(1.0)).start().unwrap();
    drop(quotes);
    assert!(eventually(|| weak.upgrade().is_none() && !predictor.stats().running));
}

#[test]
fn a_pause_starts_no_load_and_goes_on_learning() {
    let market = reuse(Budget::per_second(100.0));
    market.predictor.pause();
    read(&market, 0..20, 120);
    assert_eq!(market.predicted(), 0);
    let PredictorStats { reuse, running, .. } = market.predictor.stats();
    assert!(!running && reuse.judged > 100, "{reuse:?}");
    market.predictor.resume();
    read(&market, 0..20, 20);
    assert!(market.predicted() > 0);
}

#[test]
fn it_works_on_its_own_thread() {
    // Values are renewed in the last 50 milliseconds of their lives: enough for a thread that shares its processor.
    let quotes = Cache::builder()
        .capacity(100)
        .time_to_live(Duration::from_millis(400))
        .build()
        .unwrap()
        .loading(|key: &u64| Ok::<_, String>(*key));
    let builder = Predictor::builder(&quotes).budget(Budget::per_second(1e6)).cpu_share(0.5);
    let predictor = builder.start().unwrap();
    let works = eventually(|| {
        (0..20).for_each(|key| drop(quotes.get(&key)));
        predictor.stats().reuse.useful >= 20
    });
    assert!(works, "{:?}", predictor.stats());
    let stats = predictor.stop();
    assert!(!stats.running && stats.loads >= stats.reuse.useful && stats.working > Duration::ZERO);
    assert!(Predictor::builder(&quotes).budget(Budget::per_second(1.0)).build().is_ok());
}

#[test]
fn a_round_does_no_more_than_it_may() {
    let market = Market::new(
        |cache| cache.capacity(100_000),
        |predictor| predictor.budget(Budget::per_second(100.0)),
    );
    // Six threads tell as much as they can, at the same time.
    let (threads, told) = (6, 1024);
    let turns = std::sync::Barrier::new(threads + 1);
    let mut rounds = Vec::new();
    let mut round = || {
        let before = market.predictor.stats();
        market.step();
        let stats = market.predictor.stats();
        rounds.push((stats.evidence - before.evidence, stats.steps - before.steps));
    };
    std::thread::scope(|scope| {
        for thread in 0..threads as u64 {
            let (quotes, turns) = (&market.quotes, &turns);
            let keys = move || thread * 10_000..thread * 10_000 + 1_100;
            scope.spawn(move || {
                // What comes before the first round is not told.
                for _ in 0..2 {
                    keys().for_each(|key| drop(quotes.get(&key)));
                    keys().for_each(|key| drop(quotes.get(&key)));
                    keys().for_each(|key| _ = quotes.cache().invalidate(&key));
                    turns.wait();
                    turns.wait();
                }
            });
        }
        turns.wait();
        round();
        turns.wait();
        turns.wait();
        (0..3).for_each(|_| round());
        turns.wait();
    });
    let reads: Vec<u64> = rounds.iter().map(|(reads, _)| *reads).collect();
    assert_eq!(reads, [0, 4 * told, 2 * told, 0], "those that were left are next");
    for (reads, steps) in rounds {
        assert!(steps <= 12 * reads + 10_000, "{steps} steps for {reads} reads");
    }
}

#[test]
fn a_loader_that_panics_again_and_again_is_a_failure_each_time() {
    let market = reuse(Budget::per_second(100.0));
    read(&market, 0..20, 60);
    let before = market.predictor.stats();
    *market.origin.meanwhile.lock().unwrap() = Some(Box::new(|_| panic!("the loader, again")));
    market.wait(9 * SECOND);
    let failed = market.predictor.stats().loads_failed - before.loads_failed;
    assert!(failed >= 2, "{:?}", market.predictor.stats());
    market.origin.meanwhile.clear_poison();
    *market.origin.meanwhile.lock().unwrap() = None;
    read(&market, 0..20, 120);
    let stats = market.predictor.stats();
    assert!(stats.reuse.useful > before.reuse.useful + 20 && stats.panics == 0, "{stats:?}");
}

/// Panics the first so many times.
struct PanicsAtFirst(AtomicU32);

impl Features<u64> for PanicsAtFirst {
    fn class(&self, _: &u64) -> u8 {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) >= 10, "of the class");
        0
    }
}

#[test]
fn its_thread_survives_features_and_loaders_that_panic() {
    let panics = Arc::new(AtomicBool::new(true));
    let own = Arc::clone(&panics);
    let quotes = Cache::builder()
        .capacity(100)
        .time_to_live(Duration::from_millis(400))
        .build()
        .unwrap()
        .loading(move |key: &u64| {
            let by_predictor = std::thread::current().name() == Some("clockhand-load");
            assert!(!by_predictor || !own.load(Ordering::SeqCst), "the loader");
            Ok::<_, String>(*key)
        });
    let builder = Predictor::builder(&quotes).budget(Budget::per_second(1e6)).cpu_share(0.5);
    let predictor =
        builder.features(PanicsAtFirst(AtomicU32::new(0))).precision_floor(0.0).start().unwrap();
    let reads_until = |done: &dyn Fn(&PredictorStats) -> bool| {
        eventually(|| {
            (0..20).for_each(|key| drop(quotes.get(&key)));
            done(&predictor.stats())
        })
    };
    let both = reads_until(&|stats| stats.panics == 10 && stats.loads_failed > 1);
    assert!(both, "{:?}", predictor.stats());
    panics.store(false, Ordering::SeqCst);
    assert!(reads_until(&|stats| stats.reuse.useful >= 20), "{:?}", predictor.stats());
}
