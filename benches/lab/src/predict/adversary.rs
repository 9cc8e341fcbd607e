//! Requests that look predictable and are not: for a predictor, the worst that callers can do.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::days::{Kind, Request};

/// Keys of a round, passes over them, and the time between two passes, which is half a quote's life.
const KEYS: u64 = 50;
const PASSES: u64 = 6;
const PAUSE: u64 = 30_000;

/// Rounds of keys that are new each time. They are asked for several times, in an order that is the same for the
/// first passes and another one after them; then never again.
pub(super) fn requests(rounds: u64, seed: u64) -> Vec<Request> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut all = Vec::new();
    let mut at = 0;
    for round in 0..rounds {
        let mut keys: Vec<u64> = (0..KEYS).map(|nth| Kind::Quote.key(round * KEYS + nth)).collect();
        for pass in 0..PASSES {
            if pass >= PASSES / 2 {
                let turn = random.random_range(0..keys.len());
                keys.rotate_left(turn);
                keys.reverse();
            }
            all.extend(
                keys.iter()
                    .enumerate()
                    .map(|(nth, key)| Request { at: at + 20 * nth as u64, key: *key }),
            );
            at += PAUSE;
        }
    }
    all
}
