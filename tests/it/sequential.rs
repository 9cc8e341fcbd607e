//! Random sequences of all operations, against the sequential model that the fuzz targets use, too. It knows answers,
//! contents, causes, counters and usage; which entry is evicted it is told by the removal listener.

#[allow(dead_code, unreachable_pub, reason = "it is the library of the fuzz targets")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use proptest::collection::vec;
use proptest::prelude::*;

use self::fuzz::{Bytes, Plan, World};
use crate::support::size;

/// Plays what the bytes say: a plan first, and then operations.
fn play(input: &[u8], plan: fn(&mut Bytes<'_>) -> Plan) {
    let mut bytes = Bytes::new(input);
    let plan = plan(&mut bytes);
    if let Some(world) = World::build(plan) {
        world.play(&mut bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: size(300, 20_000) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_cache_behaves_as_its_model(input in vec(any::<u8>(), 1..600)) {
        play(&input, Plan::any);
    }

    #[test]
    fn so_does_one_whose_keys_share_a_bucket(input in vec(any::<u8>(), 1..600)) {
        play(&input, Plan::crowded);
    }
}
