//! The callers, and the reasons that each was given.

use std::time::Duration;

use super::figure::{BadSide, Figure, Unit};
use super::measure::{Evaluation, Measured};
use super::reason::Reason;
use super::status::Status;
use super::text;
use super::thresholds::Thresholds;
use super::verdict::Health;
use super::window::Window;
use crate::sync::{Mutex, lock};
use crate::time::Timer;

/// How many sets of thresholds are remembered.
const MAX_OBSERVERS: usize = 8;

/// The counts.
pub(crate) trait Counts: Clone + Default {
    /// Whether the warm-up is over, by the counts.
    fn is_warm(&self) -> bool;
}

/// The callers. Only their calls take the lock.
#[derive(Debug)]
pub(crate) struct Monitor<C> {
    /// Started when all counts were zero.
    timer: Timer,
    /// The most recently used one is last.
    observers: Mutex<Vec<Observer<C>>>,
}

/// All callers with the same thresholds.
#[derive(Debug)]
struct Observer<C> {
    thresholds: Thresholds,
    window: Window<C>,
    /// When the warm-up was first found to be over.
    warm: Option<Duration>,
    /// The reasons that were given last time, by figure and status.
    given: Vec<(Figure, Status)>,
}

impl<C: Counts> Monitor<C> {
    /// For something that is built now, when the timer is started.
    pub(crate) fn new(timer: Timer) -> Self {
        Self { timer, observers: Mutex::new(Vec::new()) }
    }

    /// Judges by what is counted, and is so, at the moment, and by what `measure` makes of it.
    pub(crate) fn judge<M>(
        &self,
        thresholds: &Thresholds,
        look: impl FnOnce() -> (C, M),
        measure: impl FnOnce(M, &C, &mut Evaluation<'_, C>),
    ) -> Health {
        let mut observers = lock(&self.observers);
        // Read under the lock, so that later notes have later counts.
        let (now, (counts, state)) = (self.timer.elapsed(), look());
        let known = observers.iter().position(|known| known.thresholds == *thresholds);
        let mut observer = match known {
            Some(nth) => observers.remove(nth),
            None => Observer::new(thresholds, now),
        };
        let health = observer.judge(&counts, now, |look| measure(state, &counts, look));
        if observers.len() == MAX_OBSERVERS {
            observers.remove(0);
        }
        observers.push(observer);
        health
    }
}

impl<C: Counts> Observer<C> {
    fn new(thresholds: &Thresholds, now: Duration) -> Self {
        let mut window = Window::new(thresholds.window);
        // If it was built within a window, the window is all its time.
        if now <= thresholds.window {
            window.note(Duration::ZERO, &C::default());
        }
        Self { thresholds: thresholds.clone(), window, warm: None, given: Vec::new() }
    }

    fn judge(
        &mut self,
        counts: &C,
        now: Duration,
        measure: impl FnOnce(&mut Evaluation<'_, C>),
    ) -> Health {
        let mut look = Evaluation {
            thresholds: &self.thresholds,
            window: self.window.start(now, Duration::ZERO),
            warm_window: self.warm.and_then(|warm| self.window.start(now, warm)),
            given: &self.given,
            figures: Vec::new(),
        };
        measure(&mut look);
        let figures = look.figures;
        let given = figures.iter().flat_map(|measured| self.passed(measured)).collect();
        self.given = given;
        if self.warm.is_none() && (counts.is_warm() || now >= self.thresholds.warm_up) {
            self.warm = Some(now);
            self.window.note_anyway(now, counts);
        }
        self.window.note(now, counts);
        Health::of(figures.iter().filter_map(|measured| self.reason(measured)).collect())
    }

    /// The levels that a figure is beyond, or was beyond and is not back from by the margin.
    fn passed(&self, measured: &Measured) -> Vec<(Figure, Status)> {
        let figure = measured.figure;
        let levels = self.thresholds.get(figure);
        let passed = levels.given().filter(|&(status, level)| {
            let was_given = self.given.contains(&(figure, status));
            let until = if was_given { self.return_of(figure, level) } else { level };
            level.is_finite() && is_beyond(figure, measured.value, threshold(measured, until))
        });
        passed.map(|(status, _)| (figure, status)).collect()
    }

    /// The value to which a figure has to come back that was beyond a level.
    fn return_of(&self, figure: Figure, level: f64) -> f64 {
        let (card, margin) = (figure.card(), self.thresholds.margin * level);
        match card.bad {
            BadSide::Above => level - margin,
            BadSide::Below if card.unit == Unit::Ratio => {
                level + margin.min((1.0 - level) / 2.0).max(0.0)
            }
            BadSide::Below => level + margin,
        }
    }

    /// The worst level that a figure is beyond.
    fn reason(&self, measured: &Measured) -> Option<Reason> {
        let Measured { figure, value, .. } = *measured;
        let worst = |(given, status): &(Figure, Status)| (*given == figure).then_some(*status);
        let status = self.given.iter().filter_map(worst).max()?;
        let level = self.thresholds.get(figure).get(status)?;
        let (threshold, message) = (threshold(measured, level), self.message(measured, level));
        Some(Reason { status, figure, value, threshold, message })
    }

    fn message(&self, measured: &Measured, level: f64) -> String {
        let levels = [level, self.return_of(measured.figure, level)];
        let [passed, until] = levels.map(|level| threshold(measured, level));
        let Measured { figure, value, ref whose, .. } = *measured;
        let card = figure.card();
        let whose = whose.as_ref().map_or(String::new(), |whose| format!(" ({whose})"));
        let (told, bound) = text::pair(card.unit, value, passed);
        let side = if card.bad == BadSide::Above { "above" } else { "below" };
        let how = if is_beyond(figure, value, passed) {
            format!("{told}, {side} {bound}")
        } else {
            let (told, until) = text::pair(card.unit, value, until);
            format!("{told}, was {side} {bound} and has to come back to {until}")
        };
        format!("{}{whose}: {how}; {}", card.words, card.advice)
    }
}

/// The threshold of a figure, of which a part is taken in good health.
fn threshold(measured: &Measured, level: f64) -> f64 {
    measured.taken + level * (1.0 - measured.taken)
}

fn is_beyond(figure: Figure, value: f64, threshold: f64) -> bool {
    match figure.card().bad {
        BadSide::Above => value > threshold,
        BadSide::Below => value < threshold,
    }
}
