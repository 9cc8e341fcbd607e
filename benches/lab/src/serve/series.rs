//! What is quoted: symbols, each in several timeframes.

use std::fmt;
use std::str::FromStr;

use rand::Rng;

use crate::zipf::Zipf;

/// Symbols; the first ones are the popular ones.
pub(super) const SYMBOLS: u32 = 50_000;

const TIMEFRAMES: [&str; 3] = ["1m", "5m", "15m"];

/// How much more popular a symbol is than the next ones.
const EXPONENT: f64 = 1.0;

/// A symbol in a timeframe, as text `S00042-5m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Series(u32);

impl Series {
    fn new(symbol: u32, timeframe: usize) -> Self {
        Self(symbol * TIMEFRAMES.len() as u32 + timeframe as u32)
    }

    pub(super) fn symbol(self) -> u32 {
        self.0 / TIMEFRAMES.len() as u32
    }

    pub(super) fn number(self) -> u64 {
        u64::from(self.0)
    }

    #[cfg(feature = "tier")]
    pub(super) fn of_number(number: u64) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        (number < SYMBOLS * TIMEFRAMES.len() as u32).then_some(Self(number))
    }

    /// The series of the most popular symbols.
    pub(super) fn popular(symbols: u32) -> impl Iterator<Item = Self> {
        (0..symbols * TIMEFRAMES.len() as u32).map(Self)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeframe = TIMEFRAMES[self.0 as usize % TIMEFRAMES.len()];
        write!(f, "S{:05}-{timeframe}", self.symbol())
    }
}

/// The text was not a series.
#[derive(Debug, thiserror::Error)]
#[error("a series is S00000-1m to S49999-15m; timeframes are 1m, 5m, 15m")]
pub(super) struct NoSeries;

impl FromStr for Series {
    type Err = NoSeries;

    fn from_str(text: &str) -> Result<Self, NoSeries> {
        let parts = text.strip_prefix('S').and_then(|rest| rest.split_once('-'));
        let (symbol, timeframe) = parts.ok_or(NoSeries)?;
        let timeframe = TIMEFRAMES.iter().position(|known| *known == timeframe).ok_or(NoSeries)?;
        let digits = symbol.len() == 5 && symbol.bytes().all(|byte| byte.is_ascii_digit());
        let symbol = symbol.parse().ok().filter(|symbol| digits && *symbol < SYMBOLS);
        Ok(Self::new(symbol.ok_or(NoSeries)?, timeframe))
    }
}

/// Which series are asked for and quoted, and how often.
#[derive(Debug)]
pub(super) struct Market(Zipf);

impl Market {
    pub(super) fn new() -> Self {
        Self(Zipf::new(u64::from(SYMBOLS), EXPONENT))
    }

    /// Any series, the popular ones more often.
    pub(super) fn any(&self, random: &mut impl Rng) -> Series {
        let symbol = self.0.draw(random) as u32;
        Series::new(symbol, random.next_u32() as usize % TIMEFRAMES.len())
    }

    /// One whose messages come through this partition: a symbol is always in the same.
    pub(super) fn of_partition(
        &self,
        random: &mut impl Rng,
        partition: u32,
        partitions: u32,
    ) -> Series {
        let series = self.any(random);
        let first = series.symbol() / partitions * partitions;
        let symbol = if first + partition < SYMBOLS { first + partition } else { partition };
        Series::new(symbol, series.0 as usize % TIMEFRAMES.len())
    }
}

#[cfg(test)]
mod tests;
