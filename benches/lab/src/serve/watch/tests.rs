//! Samples of runs of any length.

use super::*;

#[test]
fn a_long_run_keeps_few_samples_and_its_quarters() {
    for taken in [4, 100, 1024, 1025, 5000, 1_000_000] {
        let mut samples = Samples::default();
        (0..taken).for_each(|sample| samples.take(sample));
        assert!(samples.kept.len() <= MOST_SAMPLES);
        let [second, last] = samples.quarters().expect("enough samples");
        let part = |sample: u64| sample as f64 / taken as f64;
        assert!(
            (part(second) - 0.375).abs() < 0.13 && (part(last) - 0.875).abs() < 0.13,
            "{taken}"
        );
    }
    assert_eq!(Samples::default().quarters(), None);
}
