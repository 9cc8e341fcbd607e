//! What is read of this process is about it.

use super::*;

#[test]
fn memory_that_is_written_is_resident() {
    let before = resident_bytes().expect("Linux tells");
    let written = std::hint::black_box(vec![1_u8; 64 << 20]);
    let after = resident_bytes().expect("Linux tells");
    assert!(after >= before + (48 << 20), "{before} and then {after}");
    drop(written);
}

#[test]
fn the_time_of_others_grows_and_is_not_negative() {
    let meter = CpuMeter::begin();
    assert!(meter.others.is_some_and(|seconds| seconds > 0.0));
    assert!(meter.cores_taken().is_some_and(|cores| cores >= 0.0));
}
