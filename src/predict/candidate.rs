//! A load that a model wants.

/// Which model it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    Reuse,
    Successors,
}

/// A load that a model wants.
#[derive(Debug, Clone)]
pub(super) struct Candidate<K> {
    pub(super) model: Model,
    pub(super) hash: u64,
    pub(super) key: K,
    /// What is gained by it, on average.
    pub(super) gain: f64,
    /// Whether a value that is there is renewed.
    pub(super) renews: bool,
}
