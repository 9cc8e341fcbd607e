//! Byte-coded operations of the whole public surface, against a sequential model.

#![no_main]

use clockhand_fuzz::{Bytes, Plan, World};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut bytes = Bytes::new(input);
    let plan = Plan::any(&mut bytes);
    if let Some(world) = World::build(plan) {
        world.play(&mut bytes);
    }
});
