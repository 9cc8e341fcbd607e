//! A predictor holds no more than its `memory` says, keys and all, in settings from the least to large ones.
//!
//! Alone in its file, as it counts what the whole process allocates.
#![cfg(feature = "predict")]

mod support;

use std::hash::{BuildHasherDefault, DefaultHasher, Hash};
use std::sync::Mutex;
use std::time::Duration;

use clockhand::predict::{Budget, Features, MIN_MEMORY, PredictError, Predictor, PredictorStats};
use clockhand::{Cache, Clock};
use support::{Random, heap};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Held by a test while it runs, so that no other one allocates meanwhile.
static ALONE: Mutex<()> = Mutex::new(());

const SECOND: Duration = Duration::from_secs(1);

/// A key of the user's own type, of which the predictor knows only what the user says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Path {
    parts: Vec<String>,
}

struct OfPaths;

impl Features<Path> for OfPaths {
    fn key_bytes(&self, key: &Path) -> usize {
        let parts = key.parts.iter().map(|part| size_of::<String>() + part.len());
        size_of::<Path>() + parts.sum::<usize>()
    }
}

/// Loads whatever it may: each load is worth it.
struct Eager;

impl<K> Features<K> for Eager {
    fn load_cost(&self, _: &K) -> f64 {
        0.0
    }
}

/// Runs a predictor over keys that come in chains, once, or again and again, and checks what it holds: of a round that
/// starts no load at its worst, and when it is dropped.
fn check<K>(
    memory: usize,
    models: [bool; 2],
    features: impl Features<K> + 'static,
    key: fn(u64) -> K,
) where
    K: Hash + Eq + Clone + Send + Sync + 'static,
{
    let (clock, manual) = Clock::manual();
    let quotes = Cache::builder()
        .capacity(2_000)
        .clock(clock)
        .time_to_live(20 * SECOND)
        .hasher(BuildHasherDefault::<DefaultHasher>::default())
        .build()
        .expect("sound settings")
        .loading(|_: &K| Ok::<_, String>(0_u64));
    let before = heap::live();
    let predictor = Predictor::builder(&quotes)
        .budget(Budget::per_second(1e6))
        .memory(memory)
        .precision_floor(0.0)
        .reuse(models[0])
        .successors(models[1])
        .features(features)
        .unix_time(SECOND)
        .build()
        .expect("sound settings");
    // The ring of this thread is the cache's, and so is what a table takes that grows.
    let begun = usize::try_from(heap::live() - before).expect("it holds something");
    assert!(begun <= memory + RING, "{begun} of {memory} at the start");
    let mut random = Random::new(memory as u64);
    let mut most_in_a_round = 0;
    for round in 0..1_500_u64 {
        let chain = random.below(200) * 1_000;
        for nth in 0..8 {
            drop(quotes.get(&key(chain + nth)));
            drop(quotes.get(&key(1_000_000_000 + 8 * round + nth)));
        }
        manual.advance(SECOND / 10);
        let pauses = round % 3 == 0;
        if pauses {
            predictor.pause();
            heap::forget_peak();
        }
        let live = heap::live();
        assert!(predictor.step());
        if pauses {
            most_in_a_round = most_in_a_round.max(heap::peak() - live);
            predictor.resume();
        }
    }
    let stats = predictor.stats();
    assert!(stats.memory <= memory && (memory < 1 << 20 || stats.loads > 50), "{stats:?}");
    drop_within(predictor, &stats, most_in_a_round);
}

const RING: usize = 16 << 10;
/// What a round takes for a moment: a copy of the key at hand, and the successors of one.
const MOMENT: i64 = 16 << 10;

fn drop_within(predictor: Predictor, stats: &PredictorStats, in_a_round: i64) {
    let before = heap::live();
    drop(predictor);
    let held = before - heap::live();
    let most = i64::try_from(stats.memory).expect("a few megabytes");
    assert!(held <= most, "{held} bytes where {most} are told: {stats:?}");
    assert!(held > most / 3, "{held} bytes are much fewer than the {most} that are told");
    assert!(in_a_round <= MOMENT, "{in_a_round} bytes more while it worked");
}

#[test]
fn it_holds_no_more_than_its_memory() {
    let _alone = ALONE.lock();
    let both = [true, true];
    for models in [[true, false], [false, true]] {
        check(MIN_MEMORY, models, Eager, |key| key);
    }
    for memory in [2 * MIN_MEMORY, 2 * MIN_MEMORY + 12_345, 1 << 20, 5_000_000] {
        check(memory, both, Eager, |key| key);
    }
    for memory in [96 << 10, 1 << 20] {
        check(memory, both, Eager, |key| format!("{key}"));
        check(memory, both, Eager, |key| format!("{key:0300}"));
        check(memory, both, OfPaths, |key| Path { parts: vec![key.to_string(), "x".repeat(90)] });
    }
    // Some are longer than may be kept.
    check(256 << 10, both, Eager, |key| {
        "k".repeat(if key % 9 == 0 { 4_000 } else { 8 }) + &key.to_string()
    });
    check(96 << 10, both, Eager, |key| [key; 32]);
    check(1 << 20, both, Eager, |key| std::sync::Arc::<str>::from(format!("{key:0100}")));
}

#[test]
fn too_little_for_keys_of_their_size_is_refused() {
    let _alone = ALONE.lock();
    let large = Cache::new(10).loading(|key: &[u8; 4096]| Ok::<_, String>(key[0]));
    let builder = |bytes| Predictor::builder(&large).budget(Budget::per_second(1.0)).memory(bytes);
    let refused = builder(2 * MIN_MEMORY).build().unwrap_err();
    assert!(matches!(refused, PredictError::Memory { .. }), "{refused}");
    assert!(builder(1 << 20).build().unwrap().step());
}
