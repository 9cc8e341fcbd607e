//! What the engine's files call the table's types, and what an entry is to an operation.

use super::Local;
use crate::policy::History;
use crate::reclaim::Writes;
use crate::table;

pub(super) type View<'g, K, V, M = Writes> = table::View<'g, K, V, History, Local, M>;
pub(super) type Due<'g, K, V> = table::DueBucket<'g, K, V, History>;
pub(super) type Occupied<'g, K, V, M = Writes> = table::Occupied<'g, K, V, History, M>;

/// What an entry is to an operation that looks for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryState {
    Live,
    Expired,
    /// It has no value: that is being loaded, or could not be.
    Placeholder,
}
