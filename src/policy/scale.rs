//! Time in steps.

/// Divides times by the length of a step, without a division.
#[derive(Debug)]
pub(super) struct Scale {
    step: u64,
    /// 2^64 divided by the step, rounded up.
    reciprocal: u64,
}

impl Scale {
    /// Steps of `step` misses, and of one at least.
    pub(super) fn new(step: u64) -> Self {
        let step = step.max(1);
        Self { step, reciprocal: (u64::MAX / step).saturating_add(1) }
    }

    /// The whole steps in `time`. Exact below 2^64 divided by the step, but for steps of one, where
    /// it is one less; never going back.
    #[inline]
    pub(super) fn steps(&self, time: u64) -> u64 {
        ((u128::from(time) * u128::from(self.reciprocal)) >> 64) as u64
    }

    #[inline]
    pub(super) fn times(&self, steps: u64) -> u64 {
        steps.saturating_mul(self.step)
    }
}
