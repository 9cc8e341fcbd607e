//! How a predictor works.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::MIN_MEMORY;
use super::budget::Budget;
use super::calendar::Calendar;
use super::error::PredictError;

#[derive(Debug, Clone)]
pub(super) struct PredictSettings {
    pub(super) budget: Budget,
    pub(super) memory: usize,
    pub(super) horizon: Duration,
    pub(super) precision_floor: f64,
    pub(super) reuse: bool,
    pub(super) successors: bool,
    pub(super) max_running: usize,
    pub(super) cpu_share: f64,
    pub(super) unix_time: Option<Duration>,
}

impl PredictSettings {
    pub(super) fn new() -> Self {
        Self {
            budget: Budget::per_second(0.0),
            memory: 1 << 20,
            horizon: Duration::from_secs(1),
            precision_floor: 0.3,
            reuse: true,
            successors: true,
            max_running: 16,
            cpu_share: 0.02,
            unix_time: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), PredictError> {
        let models = usize::from(self.reuse) + usize::from(self.successors);
        if !self.budget.is_sound() {
            Err(PredictError::Budget)
        } else if models == 0 {
            Err(PredictError::NoModel)
        } else if self.memory < models * MIN_MEMORY {
            Err(PredictError::Memory { bytes: self.memory })
        } else if Vec::<u8>::new().try_reserve_exact(self.memory).is_err() {
            // An allocation that fails later would end the process.
            Err(PredictError::TooMuchMemory { bytes: self.memory })
        } else if !(0.0..=1.0).contains(&self.precision_floor) {
            Err(PredictError::PrecisionFloor)
        } else if self.horizon.is_zero() {
            Err(PredictError::Horizon)
        } else if !(self.cpu_share > 0.0 && self.cpu_share <= 1.0) {
            Err(PredictError::CpuShare)
        } else {
            Ok(())
        }
    }

    /// The calendar, if it is `now` by the cache's time.
    pub(super) fn calendar(&self, now: Duration) -> Calendar {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Calendar::new(self.unix_time.unwrap_or_else(system), now)
    }
}
