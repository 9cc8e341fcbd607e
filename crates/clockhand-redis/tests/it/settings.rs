//! Settings that are not valid are told, and nothing is started.

use std::time::Duration;

use clockhand_redis::{RedisTier, RedisTierBuilder, TierBuildError};

fn built(
    configure: impl FnOnce(RedisTierBuilder) -> RedisTierBuilder,
) -> Result<(), TierBuildError> {
    configure(RedisTier::builder("redis://127.0.0.1:1")).build().map(drop)
}

#[test]
fn what_is_not_valid_is_told() {
    let zero = Duration::ZERO;
    assert_eq!(built(|b| b), Ok(()), "nobody has to be there");
    assert_eq!(built(|b| b.key_prefix("")), Err(TierBuildError::KeyPrefix));
    assert_eq!(built(|b| b.key_prefix("a{b}")), Err(TierBuildError::KeyPrefix));
    assert_eq!(built(|b| b.time_to_live(zero)), Err(TierBuildError::Zero("time_to_live")));
    assert_eq!(
        built(|b| b.operation_timeout(zero)),
        Err(TierBuildError::Zero("operation_timeout"))
    );
    assert_eq!(built(|b| b.connect_timeout(zero)), Err(TierBuildError::Zero("connect_timeout")));
    assert_eq!(built(|b| b.watch(zero, zero)), Err(TierBuildError::Zero("watch")));
    assert_eq!(built(|b| b.backoff(zero, zero)), Err(TierBuildError::Zero("backoff")));
    assert_eq!(built(|b| b.longest_load(zero)), Err(TierBuildError::Zero("longest_load")));
    assert_eq!(built(|b| b.max_value_bytes(0)), Err(TierBuildError::Zero("max_value_bytes")));
    assert_eq!(built(|b| b.max_in_flight(0)), Err(TierBuildError::Zero("max_in_flight")));
    assert_eq!(built(|b| b.breaker(0, zero)), Err(TierBuildError::Zero("breaker")));
    assert_eq!(
        built(|b| b.time_to_live(Duration::MAX)),
        Err(TierBuildError::TooLong(Duration::MAX))
    );
    assert_eq!(built(|b| b.max_staleness(Duration::MAX).repairs(0)), Ok(()));
}

/// No instance looks at its wall clock, so it does not matter how far those of two instances are apart.
#[test]
fn no_wall_clock_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            assert!(!text.contains("SystemTime") && !text.contains("UNIX_EPOCH"), "{path:?}");
            files += 1;
        }
    }
    assert!(files > 10);
}
