//! Logistic regression that learns from one outcome after another.
//!
//! Each class of keys has weights of its own, on top of those that all share: so a class of which little is known goes
//! by what holds for all. A weight's step is divided by the size that its gradients had lately (RMSProp): steps do not
//! shrink with time, so it follows what changes.

use super::features::CLASSES;
use super::inputs::{INPUTS, Inputs};
use crate::narrow::single;

const STEP: f32 = 0.02;
/// Each outcome takes so much of the weight of earlier gradients.
const FADING: f32 = 0.01;
const MAX_WEIGHT: f32 = 16.0;

#[derive(Debug, Clone)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Regression {
    shared: Weights,
    classes: Vec<Weights>,
    /// Outcomes that were learned.
    outcomes: u64,
}

#[derive(Debug, Clone)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
struct Weights {
    weights: [f32; INPUTS],
    squares: [f32; INPUTS],
}

impl Weights {
    const ZERO: Self = Self { weights: [0.0; INPUTS], squares: [0.0; INPUTS] };

    fn sum(&self, inputs: &Inputs) -> f32 {
        self.weights.iter().zip(inputs).map(|(weight, input)| weight * input).sum()
    }

    fn learn(&mut self, inputs: &Inputs, error: f32) {
        let all = self.weights.iter_mut().zip(&mut self.squares).zip(inputs);
        for ((weight, square), input) in all {
            let gradient = error * input;
            *square += FADING * (gradient * gradient - *square);
            *weight -= STEP * gradient / (square.sqrt() + 1e-3);
            *weight = weight.clamp(-MAX_WEIGHT, MAX_WEIGHT);
        }
    }
}

impl Regression {
    /// The bytes that it has on the heap.
    pub(super) const HEAP: usize = CLASSES * size_of::<Weights>();

    pub(super) fn new() -> Self {
        Self { shared: Weights::ZERO, classes: vec![Weights::ZERO; CLASSES], outcomes: 0 }
    }

    /// The probability of a yes.
    pub(super) fn probability(&self, class: usize, inputs: &Inputs) -> f64 {
        let sum = self.shared.sum(inputs) + self.classes[class].sum(inputs);
        1.0 / (1.0 + f64::from(-sum).exp())
    }

    /// Learns an outcome.
    pub(super) fn learn(&mut self, class: usize, inputs: &Inputs, yes: bool) {
        let error = single(self.probability(class, inputs)) - f32::from(u8::from(yes));
        self.shared.learn(inputs, error);
        self.classes[class].learn(inputs, error);
        self.outcomes += 1;
    }

    pub(super) fn outcomes(&self) -> u64 {
        self.outcomes
    }

    /// Whether it can be gone on from.
    #[cfg(feature = "persist")]
    pub(super) fn is_sound(&self) -> bool {
        let sound = |weights: &Weights| {
            weights.weights.iter().all(|weight| weight.abs() <= MAX_WEIGHT)
                && weights.squares.iter().all(|square| *square >= 0.0 && square.is_finite())
        };
        self.classes.len() == CLASSES && self.classes.iter().chain([&self.shared]).all(sound)
    }
}
