//! The same operations on a table of two buckets under a hasher with one or two values, so that
//! nearly everything happens in one bucket and its chain, and the table doubles in vain.

#![no_main]

use clockhand_fuzz::{Bytes, Plan, World};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes::new(input);
    let plan = Plan::crowded(&mut bytes);
    if let Some(world) = World::build(plan) {
        world.play(&mut bytes);
    }
});
