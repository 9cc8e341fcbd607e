//! Parts of a program that are no cache, such as a second tier: whether they do their work.

use clockhand::health::Status;
use serde::Serialize;

/// How a part does, in the body of `/cache/health`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PartHealth {
    /// The worst status of all reasons.
    pub status: Status,
    /// What is wrong, and how bad it is; empty if nothing is.
    pub reasons: Vec<PartReason>,
    /// Figures by name.
    pub figures: Vec<(String, u64)>,
}

/// Something that is wrong with a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartReason {
    /// How bad it is.
    pub status: Status,
    /// What it is and what to do.
    pub message: String,
}

impl PartHealth {
    /// Nothing is wrong.
    pub fn healthy() -> Self {
        Self::default()
    }

    /// Adds something that is wrong.
    pub fn reason(mut self, status: Status, message: impl Into<String>) -> Self {
        self.status = self.status.max(status);
        self.reasons.push(PartReason { status, message: message.into() });
        self
    }

    /// Adds a figure.
    pub fn figure(mut self, name: impl Into<String>, value: u64) -> Self {
        self.figures.push((name.into(), value));
        self
    }
}

/// A part by its kind and its name.
pub(crate) struct OtherPart {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) health: Box<dyn Fn() -> PartHealth + Send + Sync>,
}
