//! The figures of a call.

use std::time::Duration;

use super::figure::Figure;
use super::status::Status;
use super::thresholds::Thresholds;
use super::times::Times;

/// The value of a figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    pub(super) figure: Figure,
    pub(super) value: f64,
    /// Of the room that the thresholds are a part of, what is taken in good health.
    pub(super) taken: f64,
    /// What it belongs to, if there are several, such as a partition.
    pub(super) whose: Option<String>,
}

/// The windows, the thresholds, and the figures so far.
#[derive(Debug)]
pub(crate) struct Evaluation<'l, C> {
    pub(super) thresholds: &'l Thresholds,
    /// The length of the window, and the counts at its beginning.
    pub(super) window: Option<(Duration, &'l C)>,
    /// The same for a window that began after the warm-up.
    pub(super) warm_window: Option<(Duration, &'l C)>,
    /// The reasons that were given last time.
    pub(super) given: &'l [(Figure, Status)],
    pub(super) figures: Vec<Measured>,
}

impl<C> Evaluation<'_, C> {
    /// A figure of this moment.
    pub(super) fn tell(&mut self, figure: Figure, value: f64) {
        self.figures.push(Measured { figure, value, taken: 0.0, whose: None });
    }

    /// The same of one of several.
    pub(super) fn tell_of(&mut self, figure: Figure, value: f64, whose: String) {
        self.figures.push(Measured { figure, value, taken: 0.0, whose: Some(whose) });
    }

    /// The same of room of which a share of `taken` is used in good health.
    pub(super) fn tell_beyond(&mut self, figure: Figure, taken: f64, value: f64) {
        self.figures.push(Measured { figure, value, taken, whose: None });
    }

    /// How often something was counted in the window.
    pub(super) fn tell_count(&mut self, figure: Figure, now: &C, of: impl Fn(&C) -> u64) {
        if let Some((_, then)) = self.window {
            self.tell(figure, of(now).saturating_sub(of(then)) as f64);
        }
    }

    /// How often in a minute. A window that is shorter than it should be counts as if it were not,
    /// so a few events at the beginning are no high rate.
    pub(super) fn tell_rate(&mut self, figure: Figure, now: &C, of: impl Fn(&C) -> u64) {
        if let Some((span, then)) = self.window {
            let minutes = span.max(self.thresholds.window).as_secs_f64() / 60.0;
            self.tell(figure, of(now).saturating_sub(of(then)) as f64 / minutes);
        }
    }

    /// A ratio of counts in the window, if there were enough.
    pub(super) fn tell_part(&mut self, figure: Figure, now: &C, of: impl Fn(&C) -> [u64; 2]) {
        if let Some((_, then)) = self.window {
            self.tell_share(figure, self.thresholds.min_events, [of(now), of(then)]);
        }
    }

    /// The same in a window that began after the warm-up and is a quarter as long as it should be
    /// at least.
    pub(super) fn tell_warm_part(&mut self, figure: Figure, now: &C, of: impl Fn(&C) -> [u64; 2]) {
        let long_enough = |span: Duration| span >= self.thresholds.window / 4;
        if let Some((_, then)) = self.warm_window.filter(|&(span, _)| long_enough(span)) {
            self.tell_share(figure, self.thresholds.min_reads, [of(now), of(then)]);
        }
    }

    fn tell_share(&mut self, figure: Figure, fewest: u64, [now, then]: [[u64; 2]; 2]) {
        let [part, all] = [0, 1].map(|nth| now[nth].saturating_sub(then[nth]));
        if self.is_enough(figure, all, fewest) {
            self.tell(figure, part as f64 / all as f64);
        }
    }

    /// Whether `count` events are enough to judge a figure: half as many are, once it has given a
    /// reason.
    fn is_enough(&self, figure: Figure, all: u64, fewest: u64) -> bool {
        let was_given = self.given.iter().any(|&(given, _)| given == figure);
        let fewest = if was_given { fewest / 2 } else { fewest };
        all >= fewest.max(1)
    }

    /// How long reads took in the window, if enough of them were timed.
    pub(super) fn tell_times(&mut self, now: &C, of: impl Fn(&C) -> &Times) {
        let Some((_, then)) = self.window else { return };
        let times = of(now).since(of(then));
        for figure in [Figure::ReadTime, Figure::ReadP95, Figure::ReadP99] {
            if self.is_enough(figure, times.count(), self.thresholds.min_events) {
                let seconds = match figure {
                    Figure::ReadP95 => times.quantile(0.95),
                    Figure::ReadP99 => times.quantile(0.99),
                    _ => times.mean(),
                };
                self.tell(figure, seconds);
            }
        }
    }

    /// How long something took in the window, on average.
    pub(super) fn tell_time(
        &mut self,
        figure: Figure,
        now: &C,
        of: impl Fn(&C) -> (u64, Duration),
    ) {
        if let Some((_, then)) = self.window {
            let ((times, took), (times_then, took_then)) = (of(now), of(then));
            let times = times.saturating_sub(times_then);
            if times > 0 {
                self.tell(figure, took.saturating_sub(took_then).as_secs_f64() / times as f64);
            }
        }
    }
}
