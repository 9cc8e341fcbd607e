//! Prediction with all pairs of its settings, and of those of the cache: in each, it keeps within its budget and memory,
//! displaces no protected entry, starts nothing while it is stopped, and does the same in two equal runs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clockhand::predict::{
    Budget, Features, MIN_MEMORY, ModelState, Predictor, PredictorBuilder, PredictorStats,
};
use clockhand::{Builder, Cache, Clock, Explanation, ManualClock, Region};
use futures_executor::block_on;

use crate::support::market::{Fixed, Origin};

const TICK: Duration = Duration::from_millis(50);
const ROUNDS: u64 = 60;
const MEMORIES: [usize; 2] = [2 * MIN_MEMORY, 1 << 20];
const FLOORS: [f64; 3] = [0.0, 0.5, 1.0];

/// How many choices each setting has: budget, memory, horizon, floor, models, times, loader, weights, tags, restarts.
const CHOICES: [usize; 10] = [4, 2, 3, 3, 3, 4, 2, 2, 2, 2];

/// One choice of each.
type Case = [usize; CHOICES.len()];

/// The pairs of choices that a case has.
fn pairs(case: &Case) -> impl Iterator<Item = [usize; 4]> + '_ {
    let numbered = || case.iter().copied().enumerate();
    numbered().flat_map(move |(one, chosen)| {
        numbered().skip(one + 1).map(move |(other, beside)| [one, chosen, other, beside])
    })
}

/// Cases that have all pairs of choices: of some at random, the one that has most new pairs, again and again.
fn cases() -> Vec<Case> {
    let (mut cases, mut seen, mut random) = (Vec::new(), HashSet::new(), 1_u64);
    let all = CHOICES.iter().enumerate();
    let all: usize =
        all.map(|(one, choices)| choices * CHOICES[one + 1..].iter().sum::<usize>()).sum();
    while seen.len() < all {
        let candidates = (0..60).map(|_| {
            CHOICES.map(|choices| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) as usize % choices
            })
        });
        let new = |case: &Case| pairs(case).filter(|pair| !seen.contains(pair)).count();
        let best = candidates.max_by_key(new).unwrap();
        seen.extend(pairs(&best));
        cases.push(best);
    }
    cases
}

fn budget(case: &Case) -> Budget {
    [
        Budget::per_second(0.001),
        Budget::per_second(1.0),
        Budget::per_second(1e6),
        Budget::share(0.5),
    ][case[0]]
}

/// The loads that it may start in so much time, beside so many demand loads.
fn allowed(case: &Case, time: Duration, demand: u64) -> u64 {
    let seconds = time.as_secs_f64();
    let allowed = [0.001 * seconds, seconds, 1e6 * seconds, 0.5 * demand as f64][case[0]];
    allowed.floor() as u64
}

/// A load costs little, so that there are many.
struct Cheap;

impl Features<u64> for Cheap {
    fn class(&self, key: &u64) -> u8 {
        u8::from(*key >= 1_000)
    }
    fn load_cost(&self, _: &u64) -> f64 {
        0.1
    }
}

fn set_up<L: Send + Sync + 'static>(
    builder: PredictorBuilder<u64, u64, L, Fixed>,
    case: &Case,
    saved: Option<&[u8]>,
) -> Predictor {
    let horizon = [Duration::from_nanos(1), Duration::from_secs(1), Duration::from_secs(3_600)];
    let builder = builder
        .budget(budget(case))
        .memory(MEMORIES[case[1]])
        .horizon(horizon[case[2]])
        .precision_floor(FLOORS[case[3]])
        .reuse(case[4] != 1)
        .successors(case[4] != 0)
        .features(Cheap)
        .unix_time(Duration::from_secs(1_750_000_000))
        .save_keys();
    let builder = saved.into_iter().fold(builder, |it, bytes| it.restore_from(bytes).unwrap());
    builder.build().unwrap()
}

fn cache(case: &Case, clock: Clock) -> Cache<u64, u64, Fixed> {
    let life = Duration::from_secs(4);
    let builder: Builder<u64, u64> = Cache::builder().clock(clock);
    let builder = match case[5] {
        0 => builder,
        1 => builder.time_to_live(life),
        2 => builder.time_to_idle(life),
        _ => builder.per_entry_ttl(),
    };
    let weighs = case[7] == 1;
    let builder = if weighs { builder.weigher(|key, _| 1 + key % 3) } else { builder };
    let builder = if case[8] == 1 { builder.tags() } else { builder };
    builder.capacity(if weighs { 200 } else { 100 }).hasher(Fixed::default()).build().unwrap()
}

/// Builds the predictor, from what one before has saved if there is that.
type Restart = Box<dyn Fn(Option<&[u8]>) -> Predictor>;

/// A cache that is read, and its predictor.
struct Rig {
    clock: ManualClock,
    cache: Cache<u64, u64, Fixed>,
    read: Box<dyn Fn(u64)>,
    restart: Restart,
    loads: Arc<Mutex<Vec<u64>>>,
    predicted: u64,
}

impl Rig {
    fn new(case: Case) -> Self {
        let (clock, manual) = Clock::manual();
        let cache = cache(&case, clock);
        let origin = Origin::default();
        if case[5] == 3 {
            *origin.life.lock().unwrap() = Some(Box::new(|| Duration::from_secs(3)));
        }
        let loads = Arc::clone(&origin.loads);
        let (read, restart): (Box<dyn Fn(u64)>, Restart) = if case[6] == 0 {
            let quotes = cache.clone().loading(origin);
            let own = quotes.clone();
            let restart =
                move |saved: Option<&[u8]>| set_up(Predictor::builder(&own), &case, saved);
            (Box::new(move |key| drop(quotes.get(&key))), Box::new(restart))
        } else {
            let noted = Arc::clone(&loads);
            let load = move |key: &u64| {
                noted.lock().unwrap().push(*key);
                std::future::ready(Ok::<_, String>(*key))
            };
            let quotes = cache.clone().loading(load).spawner(block_on);
            let own = quotes.clone();
            let restart =
                move |saved: Option<&[u8]>| set_up(Predictor::builder_async(&own), &case, saved);
            let read = move |key| drop(block_on(quotes.get_async(&key)));
            (Box::new(read), Box::new(restart))
        };
        Self { clock: manual, cache, read, restart, loads, predicted: 0 }
    }

    fn loaded(&self) -> u64 {
        self.loads.lock().unwrap().len() as u64
    }

    fn protected(&self) -> Vec<u64> {
        let is_protected = |key: &u64| {
            let explanation = self.cache.explain(key);
            matches!(explanation, Explanation::Resident { region: Region::Protected, .. })
        };
        (0..30).chain((0..8).flat_map(chain_of)).filter(is_protected).collect()
    }

    /// Lets time go by, and has the predictor work.
    fn step(&mut self, predictor: &Predictor) {
        self.clock.advance(TICK);
        let (protected, before, stats) = (self.protected(), self.loaded(), predictor.stats());
        assert!(predictor.step());
        self.predicted += self.loaded() - before;
        let gone: Vec<_> = protected.iter().filter(|key| !self.cache.contains_key(*key)).collect();
        assert!(gone.is_empty(), "{gone:?} made room");
        let after = predictor.stats();
        for (before, after) in
            [(&stats.reuse, &after.reuse), (&stats.successors, &after.successors)]
        {
            let stopped = [before, after].iter().all(|it| it.state == ModelState::Stopped);
            assert!(!stopped || before.loads == after.loads, "while it is stopped: {after:?}");
        }
    }
}

fn chain_of(chain: u64) -> std::ops::Range<u64> {
    1_000 + 100 * chain..1_006 + 100 * chain
}

/// What is loaded in a run, and what the predictor says at the end.
fn run(case: Case) -> (Vec<u64>, PredictorStats) {
    let mut rig = Rig::new(case);
    let mut predictor = (rig.restart)(None);
    for round in 0..ROUNDS {
        for key in chain_of(round * round % 23) {
            (rig.read)(key);
            (rig.read)((round + key) % 30);
            rig.step(&predictor);
        }
        if case[8] == 1 {
            rig.cache.insert_tagged(9_000 + round, 0, ["now"]);
            rig.cache.invalidate_tag("now");
        }
        if case[9] == 1 && round == ROUNDS / 2 {
            let mut saved = Vec::new();
            predictor.save_to(&mut saved).unwrap();
            predictor.stop();
            predictor = (rig.restart)(Some(&saved));
        }
        let (stats, demand) = (predictor.stats(), rig.loaded() - rig.predicted);
        assert!(stats.memory <= MEMORIES[case[1]], "{stats:?}");
        let allowed = allowed(&case, rig.clock.elapsed(), demand);
        assert!(rig.predicted <= allowed, "{} of {allowed}: {stats:?}", rig.predicted);
    }
    let loads = rig.loads.lock().unwrap().clone();
    (loads, predictor.stop())
}

#[test]
fn all_pairs_of_settings_keep_the_promises() {
    let cases = cases();
    assert!(cases.len() >= 12 && cases.len() < 60, "{} cases", cases.len());
    let mut loads = 0;
    for case in &cases {
        let (one, other) = (run(*case), run(*case));
        assert_eq!(one, other, "two equal runs of {case:?}");
        loads += one.1.loads;
    }
    assert!(loads > 200, "{loads} loads in {} cases", cases.len());
}
