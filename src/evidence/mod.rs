//! What reads tell of their keys, for a predictor that may listen.
//!
//! With the feature `predict`, each participant has a ring of events: hashes of keys that were hit or missed. The
//! thread that has the participant puts them in, and one collector takes them out, in rounds. A collector that comes
//! by makes the ring and opens it: a read allocates nothing, and where no collector has come by, a hit costs one
//! comparison.
//!
//! The ring is what bounds the costs. Once as many hits were put in as it has room for, it is closed for hits until
//! the next round, so hits are told in bursts: all of those that come first in each round, and none after them. Misses
//! have the other half of the room, as they are worth more and cost more in any case. What does not fit is not told.
//!
//! Without the feature, the same names do nothing and take no room.
//!
//! | file | idea |
//! |---|---|
//! | `ring` | the events of one participant |
//! | `absent` | the same without the feature |

#[cfg(not(feature = "predict"))]
mod absent;
#[cfg(all(test, clockhand_loom, feature = "predict"))]
mod models;
#[cfg(feature = "predict")]
mod ring;
#[cfg(all(test, not(clockhand_loom), feature = "predict"))]
mod tests;

#[cfg(not(feature = "predict"))]
pub(crate) use absent::Evidence;
#[cfg(feature = "predict")]
pub(crate) use ring::{Evidence, ReadEvent};
