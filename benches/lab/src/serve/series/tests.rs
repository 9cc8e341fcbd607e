//! Series as text, and how they are dealt to partitions.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

#[test]
fn a_series_comes_back_from_its_text() {
    for number in [0, 1, 2, 3, 149_998, 149_999] {
        let series = Series(number);
        assert_eq!(series.to_string().parse::<Series>().ok(), Some(series));
    }
    assert_eq!(Series(149_999).to_string(), "S49999-15m");
    for text in ["", "S00001", "S50000-1m", "S1-1m", "S00001-2m", "s00001-1m", "S+0001-1m"] {
        assert!(text.parse::<Series>().is_err(), "{text}");
    }
}

#[test]
fn a_symbol_is_always_in_the_same_partition() {
    let (market, mut random) = (Market::new(), SmallRng::seed_from_u64(1));
    for partitions in [1, 2, 3, 7] {
        for partition in 0..partitions {
            for _ in 0..1000 {
                let series = market.of_partition(&mut random, partition, partitions);
                assert_eq!(series.symbol() % partitions, partition);
                assert!(series.number() < 150_000);
            }
        }
    }
}
