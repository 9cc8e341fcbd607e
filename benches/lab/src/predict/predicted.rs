//! What the library's predictor makes of it, with one model or both.

use std::time::Duration;

use clockhand::predict::{Budget, Features, Predictor};

use super::days::Kind;
use super::drive::{Ahead, Store};
use crate::failure::Failure;

/// Which models are on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Models {
    Reuse,
    Successors,
    Both,
}

impl Models {
    pub(super) const ALL: [Self; 3] = [Self::Reuse, Self::Successors, Self::Both];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reuse => "Reuse",
            Self::Successors => "Successors",
            Self::Both => "both models",
        }
    }
}

/// What a predictor is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) models: Models,
    pub(super) budget: Budget,
    pub(super) memory: usize,
    pub(super) horizon: Duration,
    /// Time between two rounds, in milliseconds; there is one after each request, too.
    pub(super) tick: u64,
}

/// The first midnight was that of a Monday.
const MONDAY: Duration = Duration::from_secs(4 * 86_400);

/// A wait costs as much as five loads.
const LOAD_COST: f64 = 0.2;
const FLOOR: f64 = 0.15;

/// Tells the predictor the kinds of keys.
struct OfMarket;

impl Features<u64> for OfMarket {
    fn class(&self, key: &u64) -> u8 {
        Kind::of(*key) as u8
    }

    fn load_cost(&self, _: &u64) -> f64 {
        LOAD_COST
    }
}

/// A predictor that is stepped.
pub(super) struct Predicted {
    predictor: Predictor,
    next: u64,
    tick: u64,
}

impl Predicted {
    pub(super) fn new(store: &Store, terms: Terms) -> Result<Self, Failure> {
        let (reuse, successors) = match terms.models {
            Models::Reuse => (true, false),
            Models::Successors => (false, true),
            Models::Both => (true, true),
        };
        let predictor = Predictor::builder(store)
            .budget(terms.budget)
            .memory(terms.memory)
            .horizon(terms.horizon)
            .precision_floor(FLOOR)
            .reuse(reuse)
            .successors(successors)
            .features(OfMarket)
            .unix_time(MONDAY)
            .build()
            .map_err(|error| Failure::Input(format!("no predictor can be built: {error}")))?;
        Ok(Self { predictor, next: 0, tick: terms.tick })
    }
}

impl Ahead for Predicted {
    fn next(&self) -> Option<u64> {
        Some(self.next)
    }

    fn act(&mut self, _: &Store) {
        self.predictor.step();
        self.next += self.tick;
    }

    fn asked(&mut self, _: &Store, _: u64, _: bool) {
        self.predictor.step();
    }

    fn memory(&self) -> usize {
        self.predictor.stats().memory
    }
}
