//! What the system tells about memory and processor time. Only Linux does; elsewhere both are unknown.

use crate::team::cores;

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{CpuMeter, own_seconds, resident_bytes};

#[cfg(not(target_os = "linux"))]
mod elsewhere;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{CpuMeter, own_seconds, resident_bytes};

/// What was measured on.
pub(crate) fn measured_on(clock_ns: u64) -> String {
    let build =
        if cfg!(debug_assertions) { "DEBUG build: compare nothing" } else { "release build" };
    format!("{} cores, {build}, two readings of the clock {clock_ns} ns", cores())
}

/// What else the machine did meanwhile.
pub(crate) fn others(cores: f64) -> String {
    let verdict = if cores > 0.1 {
        "too many, contention may be understated"
    } else {
        "few enough to trust contention"
    };
    format!("other processes kept {cores:.2} cores busy meanwhile: {verdict}")
}
