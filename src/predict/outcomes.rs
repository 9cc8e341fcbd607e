//! What became of a model's predictions.

/// Counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    /// Predictions that were made.
    pub(super) judged: u64,
    /// Loads that were started for them.
    pub(super) loads: u64,
    /// Loads whose value was asked for.
    pub(super) useful: u64,
    /// Those whose value was not.
    pub(super) wasted: u64,
    /// Keys that were asked for, and were not loaded.
    pub(super) missed: u64,
    /// Outcomes that could not be told.
    pub(super) unknown: u64,
}

impl Outcomes {
    pub(super) fn note(&mut self, loaded: bool, asked: bool) {
        let count = match (loaded, asked) {
            (true, true) => &mut self.useful,
            (true, false) => &mut self.wasted,
            (false, true) => &mut self.missed,
            (false, false) => return,
        };
        *count += 1;
    }

    /// The share of the loads that were of use.
    pub(super) fn precision(&self) -> Option<f64> {
        ratio(self.useful, self.wasted)
    }

    /// The share of what was asked for that had been loaded.
    pub(super) fn recall(&self) -> Option<f64> {
        ratio(self.useful, self.missed)
    }
}

fn ratio(part: u64, rest: u64) -> Option<f64> {
    (part + rest > 0).then(|| part as f64 / (part + rest) as f64)
}
