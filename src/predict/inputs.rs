//! What the regression looks at.

use std::time::Duration;

use super::calendar::{CALENDAR_INPUTS, Calendar};
use super::features::FEATURES;
use super::keys::Known;

/// Those of recency, frequency and gaps.
const OWN_INPUTS: usize = 13;
pub(super) const INPUTS: usize = OWN_INPUTS + CALENDAR_INPUTS + FEATURES;

/// About -1 to 1 each.
pub(super) type Inputs = [f32; INPUTS];

/// A logarithm of a ratio, as an input: zero if they are equal.
fn log_ratio(part: f32, of: f32) -> f32 {
    (part.max(1e-6) / of.max(1e-6)).ln().clamp(-6.0, 6.0) / 6.0
}

/// Those of a key whose value lives for `lifetime` and is about to end.
pub(super) fn inputs<K>(
    known: &Known<K>,
    (now, left, lifetime): (Duration, Duration, Duration),
    calendar: &Calendar,
    features: [f32; FEATURES],
) -> Inputs {
    let life = lifetime.as_secs_f32();
    let recency = now.saturating_sub(known.last_use).as_secs_f32();
    let learned = &known.learned;
    let (gap, deviation) = (learned.mean_gap, learned.gap_deviation);
    let has_gap = f32::from(u8::from(gap > 0.0));
    let own: [f32; OWN_INPUTS] = [
        1.0,
        log_ratio(recency, life),
        has_gap,
        has_gap * log_ratio(gap, life),
        has_gap * (deviation / gap.max(1e-6)).min(2.0) / 2.0,
        has_gap * (recency / gap.max(1e-6)).min(4.0) / 4.0,
        (1.0 + learned.uses).ln() / 4.0,
        log_ratio(now.saturating_sub(known.first_use).as_secs_f32() + life, life),
        // Whether it has become a habit, and the last time.
        learned.habit,
        learned.last_outcome,
        // The middle of what would be its next lifetime, a day ago.
        learned.days.expects(calendar, now.saturating_add(lifetime / 2)),
        learned.days.expects(calendar, now.saturating_add(lifetime)),
        // Whether its value has ended already.
        f32::from(u8::from(left.is_zero())),
    ];
    let mut inputs = [0.0; INPUTS];
    let (first, rest) = inputs.split_at_mut(OWN_INPUTS);
    first.copy_from_slice(&own);
    let (harmonics, rest) = rest.split_at_mut(CALENDAR_INPUTS);
    harmonics.copy_from_slice(&calendar.harmonics(now.saturating_add(lifetime / 2)));
    rest.copy_from_slice(&features);
    inputs.map(|input| if input.is_finite() { input } else { 0.0 })
}
