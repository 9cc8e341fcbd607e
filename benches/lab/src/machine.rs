//! What the system tells about memory and processor time. Only Linux does; elsewhere both are unknown.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub use linux::{CpuMeter, resident_bytes};

#[cfg(not(target_os = "linux"))]
mod elsewhere;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{CpuMeter, resident_bytes};
