//! Which peers take part.

use std::str::FromStr;

/// What users call the peers.
pub(crate) const IDS: [&str; 12] = [
    "clockhand",
    "quick_cache",
    "moka",
    "foyer-s3fifo",
    "foyer-lru",
    "tinyufo",
    "scc",
    "lru",
    "papaya",
    "flurry",
    "dashmap",
    "loads",
];

/// clockhand, which is measured, and `quick_cache`, which the others are held against.
const ALWAYS: [&str; 2] = [IDS[0], IDS[1]];

/// A choice of peers; clockhand and `quick_cache` are always among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// One bit for each of [`IDS`].
    bits: u16,
}

impl Chosen {
    /// Every peer.
    pub(crate) const ALL: Self = Self { bits: (1 << IDS.len()) - 1 };

    /// Whether the peer of this short name takes part.
    pub(crate) fn has(self, id: &str) -> bool {
        bit(id).is_some_and(|bit| self.bits & bit != 0)
    }
}

impl FromStr for Chosen {
    type Err = String;

    fn from_str(names: &str) -> Result<Self, String> {
        if names == "all" {
            return Ok(Self::ALL);
        }
        let mut bits = ALWAYS.into_iter().filter_map(bit).sum();
        for name in names.split(',') {
            bits |= bit(name).ok_or_else(|| {
                format!("there is no peer `{name}`; give `all`, or some of {}", IDS.join(","))
            })?;
        }
        Ok(Self { bits })
    }
}

fn bit(id: &str) -> Option<u16> {
    IDS.iter().position(|known| *known == id).map(|at| 1 << at)
}
