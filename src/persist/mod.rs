//! Snapshots of a cache: entries with what is left of their lives, and the policy's state.
//!
//! ```text
//!   magic, version | block: header | block: entries .. | block: ghosts .. | block: end
//!
//!   block:   length (4) | CRC-32 (4) of this and all earlier blocks | payload: kind (1), contents by postcard
//! ```
//!
//! The numbers are little-endian. A CRC goes on from that of the block before, so a block that is missing, twice or in
//! another place is noticed, and the last block has the number of entries. What is read is kept aside until the last block was
//! found, and only then put in: an input with any fault changes nothing.
//!
//! | file | idea |
//! |---|---|
//! | `frame` | blocks, their lengths and checksums |
//! | `save` | from a cache into blocks |
//! | `load` | from blocks into a cache |
//! | `file` | snapshots in files |

mod error;
mod file;
mod frame;
mod load;
mod save;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub use error::PersistError;

use serde::{Deserialize, Serialize};

use frame::Kind;

/// What the first block has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Header {
    /// Nanoseconds since 1970.
    saved_at: u64,
    /// The types of keys and values, as the compiler calls them.
    types: String,
    misses: u64,
    target: f64,
    typical_charge: u64,
    /// Where the hand of the protected region is, and how many misses ago it passed each checkpoint.
    hand: (u64, Vec<u64>),
    /// Equal where hashes are, and how many sets of ghosts there are.
    probe: u64,
    sets: u64,
}

/// What stands before each key and value. Durations are nanoseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct EntryHead {
    bits: u8,
    uses: u8,
    age: Option<u64>,
    left: Option<u64>,
    idle_left: Option<u64>,
    tags: Vec<String>,
}

/// The ghosts of a set: tag, whether it was protected, uses, how long ago.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct GhostSet {
    set: u64,
    ghosts: Vec<(u16, bool, u8, u32)>,
}

fn types<K, V>() -> String {
    format!("{}, {}", std::any::type_name::<K>(), std::any::type_name::<V>())
}

/// Nanoseconds since 1970, by the system's clock.
fn wall_time() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, crate::time::nanos)
}
