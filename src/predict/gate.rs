//! Stops what is wrong too often, and tries it again later.

use std::time::Duration;

use super::features::CLASSES;
use crate::sync::seeded;

/// Whether a model, or a class of keys in it, starts loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ModelState {
    /// The model is not in use.
    #[default]
    Off,
    /// It has not seen enough to start any.
    Learning,
    /// It starts loads.
    Active,
    /// It starts none, as too many of them were wasted; it goes on learning.
    Stopped,
    /// It starts a few, to see whether it does better.
    Trying,
}

/// Outcomes before the precision is judged.
const MIN_OUTCOMES: u32 = 64;
/// Outcomes of a trial.
const TRIAL: u32 = 16;
/// Each outcome takes so much of the weight of all earlier ones.
const FADING: f64 = 1.0 / 256.0;
/// How long it is stopped first; doubled each time it fails again.
const FIRST_STOP: Duration = Duration::from_secs(60);
const MAX_DOUBLINGS: u32 = 6;
/// While it tries, one in so many is loaded.
const TRICKLE: u32 = 8;

/// For one model, or one class in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Gate {
    /// Of loads that it has started.
    precision: Precision,
    /// Of loads that it wanted, started or not.
    shadow: Precision,
    /// Outcomes since its state changed: of the loads, and of those that it wanted.
    outcomes: u32,
    shadowed: u32,
    stopped_until: Option<Duration>,
    trying: bool,
    /// How often it was stopped since it last did well.
    stops: u32,
    /// Loads that were wanted while it tries.
    wanted: u32,
}

/// The share of outcomes that were right, faded.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Precision {
    right: f64,
    all: f64,
}

impl Precision {
    fn learn(&mut self, right: bool, fading: f64) {
        self.right = self.right * (1.0 - fading) + f64::from(u8::from(right));
        self.all = self.all * (1.0 - fading) + 1.0;
    }

    fn is_below(&self, floor: f64) -> bool {
        self.right < floor * self.all
    }

    /// Whether it can be gone on from.
    #[cfg(feature = "persist")]
    pub(super) fn is_sound(&self) -> bool {
        self.right >= 0.0 && self.right <= self.all && self.all <= 1.0 / FADING + 1.0
    }
}

impl Gate {
    pub(super) fn state(&self, floor: f64, now: Duration) -> ModelState {
        match self.stopped_until {
            Some(until) if now < until && !self.has_recovered(floor) => ModelState::Stopped,
            Some(_) => ModelState::Trying,
            None if self.trying => ModelState::Trying,
            None => ModelState::Active,
        }
    }

    /// Whether enough of what it wanted since it was stopped would have been of use. It takes longer each time, as what
    /// would have been of use may be evicted before it is.
    fn has_recovered(&self, floor: f64) -> bool {
        let enough = MIN_OUTCOMES << self.stops.saturating_sub(1).min(MAX_DOUBLINGS);
        self.shadowed >= enough && !self.shadow.is_below(floor)
    }

    /// The share of outcomes that were right, of the last about two hundred; `None` if there was none.
    pub(super) fn precision(&self) -> Option<f64> {
        (self.precision.all > 0.0).then(|| self.precision.right / self.precision.all)
    }

    /// A stop that is over is followed by a trial, which begins without a past.
    fn begin_trial(&mut self) {
        if self.stopped_until.take().is_some() {
            (self.trying, self.outcomes, self.precision) = (true, 0, Precision::default());
        }
    }

    /// Whether one more of the loads that are wanted in a trial is started.
    fn trickles(&mut self) -> bool {
        self.wanted = self.wanted.wrapping_add(1);
        self.wanted.is_multiple_of(TRICKLE) || seeded("predict-trial-in-full")
    }

    /// A load that it has started was of use, or was not.
    pub(super) fn learn(&mut self, right: bool, floor: f64, now: Duration) {
        self.precision.learn(right, FADING);
        self.outcomes += 1;
        let enough = if self.trying { TRIAL } else { MIN_OUTCOMES };
        if self.outcomes < enough || self.stopped_until.is_some() {
            return;
        }
        if self.precision.is_below(floor) && !seeded("predict-no-floor") {
            let stop = FIRST_STOP * (1 << self.stops.min(MAX_DOUBLINGS));
            self.stopped_until = Some(now.saturating_add(stop));
            (self.trying, self.outcomes, self.shadowed) = (false, 0, 0);
            self.shadow = Precision::default();
            self.stops = self.stops.saturating_add(1);
        } else if self.trying {
            (self.trying, self.outcomes) = (false, 0);
        } else if self.outcomes >= DID_WELL {
            self.stops = 0;
        }
    }

    /// A load that was wanted would have been of use, or was, or not.
    fn learn_wanted(&mut self, right: bool) {
        self.shadow.learn(right, SHADOW_FADING);
        self.shadowed = self.shadowed.saturating_add(1);
    }
}

/// Outcomes after a trial by which it has done well.
const DID_WELL: u32 = 512;
/// Outcomes of wanted loads before a model starts any.
const MIN_SHADOWED: f64 = 8.0;
const SHADOW_FADING: f64 = 1.0 / 64.0;

/// Those of a model and of its classes.
#[derive(Debug)]
pub(super) struct Gates {
    floor: f64,
    model: Gate,
    classes: [Gate; CLASSES],
}

impl Gates {
    pub(super) fn new(floor: f64) -> Self {
        Self { floor, model: Gate::default(), classes: Default::default() }
    }

    /// Whether a load of a key of this class may be started.
    pub(super) fn admit(&mut self, class: usize, now: Duration) -> bool {
        let (model, class) = (&mut self.model, &mut self.classes[class]);
        let states = [model.state(self.floor, now), class.state(self.floor, now)];
        if states.contains(&ModelState::Stopped) {
            return false;
        }
        let [model_tries, class_tries] = states.map(|state| state == ModelState::Trying);
        if model_tries {
            model.begin_trial();
        }
        if class_tries {
            class.begin_trial();
        }
        // One trickle is enough for both.
        match (model_tries, class_tries) {
            (true, _) => model.trickles(),
            (false, true) => class.trickles(),
            (false, false) => true,
        }
    }

    pub(super) fn learn(&mut self, class: usize, right: bool, now: Duration) {
        if !seeded("predict-class-goes-on") {
            self.classes[class].learn(right, self.floor, now);
        }
        // What a class that is stopped has done is no reason to stop others.
        self.model.learn(right, self.floor, now);
    }

    /// How a model does by what it wants, whether that is loaded or not: what it does not load shows by misses if it was
    /// right.
    pub(super) fn learn_wanted(&mut self, class: usize, right: bool) {
        self.classes[class].learn_wanted(right);
        self.model.learn_wanted(right);
    }

    /// What is saved of them.
    #[cfg(feature = "persist")]
    pub(super) fn shadow(&self) -> Precision {
        self.model.shadow
    }

    /// Goes on from what was saved.
    #[cfg(feature = "persist")]
    pub(super) fn restore(&mut self, shadow: Precision) {
        self.model.shadow = shadow;
    }

    /// Whether it has seen enough, and often enough wanted the right loads, to start any.
    fn is_ready(&self) -> bool {
        let shadow = &self.model.shadow;
        shadow.all >= MIN_SHADOWED && !shadow.is_below(self.floor)
    }

    pub(super) fn state(&self, now: Duration) -> ModelState {
        match self.model.state(self.floor, now) {
            ModelState::Active if !self.is_ready() => ModelState::Learning,
            state => state,
        }
    }

    pub(super) fn precision(&self) -> Option<f64> {
        self.model.precision()
    }

    /// How many classes are stopped.
    pub(super) fn stopped_classes(&self, now: Duration) -> usize {
        let stopped = |gate: &&Gate| gate.state(self.floor, now) == ModelState::Stopped;
        self.classes.iter().filter(stopped).count()
    }
}
