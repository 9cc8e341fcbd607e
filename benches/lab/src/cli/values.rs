//! Values of options.

use std::time::Duration;

use crate::team::MOST_THREADS;

#[cfg(feature = "demos")]
pub(crate) fn contestants(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if (2..=MOST_THREADS).contains(&threads) => Ok(threads),
        _ => Err(format!("give a whole number from 2 to {MOST_THREADS}: one thread races alone")),
    }
}

pub(crate) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
        _ => Err(format!("give a whole number from 1 to {MOST_THREADS}")),
    }
}

pub(crate) fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give a number of seconds from 0 to 3600"),
    }
}
