//! Zipf's law over a fixed number of ranks.

use rand::{Rng, RngExt};

/// The sums of the weights up to each rank.
#[derive(Debug)]
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    /// Rank `n`, counted from 0, has the weight `1 / (n + 1)^exponent`.
    pub(crate) fn new(ranks: u64, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights = (1..=ranks).map(|rank| (rank as f64).powf(-exponent));
        Self(
            weights
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        )
    }

    /// Draws a rank.
    pub(crate) fn draw(&self, random: &mut impl Rng) -> u64 {
        let all = self.0.last().copied().unwrap_or(0.0);
        let point = random.random::<f64>() * all;
        let rank = self.0.partition_point(|sum| *sum <= point);
        rank.min(self.0.len().saturating_sub(1)) as u64
    }
}

#[cfg(test)]
mod tests;
