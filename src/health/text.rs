//! Values as people read them.

use super::figure::Unit;

/// Digits behind the point, at most.
const DIGITS: usize = 6;

/// A value and a threshold, with enough digits that they look different if they are.
pub(super) fn pair(unit: Unit, value: f64, threshold: f64) -> (String, String) {
    let texts = |digits| (text(unit, value, digits), text(unit, threshold, digits));
    let told_apart = |digits: &usize| {
        let (value, threshold) = texts(*digits);
        value != threshold
    };
    let digits = (1..=DIGITS).find(told_apart).filter(|_| value != threshold);
    texts(digits.unwrap_or(1))
}

fn text(unit: Unit, value: f64, digits: usize) -> String {
    match unit {
        Unit::Ratio => format!("{} %", number(value * 100.0, digits)),
        Unit::Seconds if value < 1.0 => format!("{} ms", number(value * 1e3, digits)),
        Unit::Seconds => format!("{} s", number(value, digits)),
        Unit::PerMinute => format!("{} a minute", number(value, digits)),
        Unit::Count => number(value, digits),
    }
}

/// Without noughts at the end.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
