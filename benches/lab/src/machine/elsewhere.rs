//! Systems that tell neither.

/// Unknown here.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    None
}

/// Unknown here.
#[must_use]
pub fn own_seconds() -> Option<f64> {
    None
}

/// Measures nothing here.
#[derive(Debug)]
pub struct CpuMeter;

impl CpuMeter {
    /// Begins to measure.
    #[must_use]
    pub fn begin() -> Self {
        Self
    }

    /// Unknown here.
    #[must_use]
    pub fn cores_taken(&self) -> Option<f64> {
        None
    }
}
