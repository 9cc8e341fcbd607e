//! The user's features, and the code of keys, with what they must not do put right.

use std::mem::needs_drop;

use super::features::{CLASSES, FEATURES, Features, NoFeatures};
use super::memory::heap_of;
use crate::narrow::single;
use crate::sync::{quietly, seeded};

/// The user's features; a panic or a number that is none stands for the default. A key whose own code panics is passed
/// over.
pub(super) struct KeyView<K> {
    features: Box<dyn Features<K>>,
    panics: u64,
}

impl<K: 'static> KeyView<K> {
    pub(super) fn new(features: Box<dyn Features<K>>) -> Self {
        Self { features, panics: 0 }
    }

    /// How often user code has panicked.
    pub(super) fn panics(&self) -> u64 {
        self.panics
    }

    fn ask<T>(&mut self, ask: impl FnOnce(&dyn Features<K>) -> T) -> Option<T> {
        let answer = quietly(|| ask(&*self.features));
        self.panics += u64::from(answer.is_none());
        answer
    }

    /// Runs code of a key: `Clone`, `Eq`, `Hash`. `None` if it panics: what is done with that key ends there, and the
    /// round goes on with the next one.
    pub(super) fn guard<T>(&mut self, run: impl FnOnce() -> T) -> Option<T> {
        if seeded("predict-key-ends-round") {
            return Some(run());
        }
        let done = quietly(run);
        self.panics += u64::from(done.is_none());
        done
    }

    pub(super) fn class(&mut self, key: &K) -> usize {
        let class = self.ask(|features| features.class(key)).unwrap_or(0);
        usize::from(class).min(CLASSES - 1)
    }

    pub(super) fn features(&mut self, key: &K) -> [f32; FEATURES] {
        let set = |features: &dyn Features<K>| {
            let mut values = [0.0; FEATURES];
            features.features(key, &mut values);
            values
        };
        let values = self.ask(set).unwrap_or_default();
        values.map(|value| if value.is_nan() { 0.0 } else { single(value.clamp(-8.0, 8.0)) })
    }

    /// What is gained by a load of a key that is asked for with this probability.
    pub(super) fn gain(&mut self, key: &K, probability: f64) -> f64 {
        let miss = self.ask(|features| features.miss_cost(key));
        let load = self.ask(|features| features.load_cost(key));
        let sound = |cost: &f64| *cost >= 0.0 && cost.is_finite();
        let default = |cost: fn(&NoFeatures, &K) -> f64| cost(&NoFeatures, key);
        let miss = miss.filter(sound).unwrap_or_else(|| default(Features::miss_cost));
        let load = load.filter(sound).unwrap_or_else(|| default(Features::load_cost));
        probability * miss - load
    }

    /// The bytes that a clone of a key has on the heap, as far as its type or the user's features tell.
    pub(super) fn heap_of(&mut self, key: &K) -> usize {
        if !needs_drop::<K>() || seeded("predict-key-heap-uncounted") {
            return 0;
        }
        let bytes = self.ask(|features| features.key_bytes(key)).unwrap_or(0);
        bytes.saturating_sub(size_of::<K>()).max(heap_of(key))
    }
}
