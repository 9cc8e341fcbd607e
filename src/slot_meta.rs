//! What the policy knows of an entry.
//!
//! ```text
//!   3     2 1     0
//!   +-------+-------+
//!   | count | stage |    stage: 0 vacant, 1 young, 2 old, 3 protected
//!   +-------+-------+
//! ```

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On probation, and no hand has come by yet.
    Young = 1,
    /// On probation for the second round.
    Old = 2,
    Protected = 3,
}

/// The two parts of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    Probation,
    Protected,
}

/// The stage of an entry, and how often it was read since a hand came by: up to three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotMeta {
    pub(crate) stage: Stage,
    pub(crate) count: u8,
}

impl SlotMeta {
    /// Those of an entry that has just come in on probation.
    pub(crate) const NEW: Self = Self { stage: Stage::Young, count: 0 };

    #[inline]
    pub(crate) fn new(stage: Stage, count: u8) -> Self {
        debug_assert!(count <= 3);
        Self { stage, count }
    }

    /// `None` for a vacant slot.
    #[inline]
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        let stage = match bits & 0b11 {
            0 => return None,
            1 => Stage::Young,
            2 => Stage::Old,
            _ => Stage::Protected,
        };
        Some(Self { stage, count: bits >> 2 })
    }

    #[inline]
    pub(crate) fn bits(self) -> u8 {
        self.stage as u8 | self.count << 2
    }

    /// How often it was read.
    pub(crate) fn count(self) -> u8 {
        self.count
    }

    #[inline]
    pub(crate) fn region(self) -> Region {
        match self.stage {
            Stage::Young | Stage::Old => Region::Probation,
            Stage::Protected => Region::Protected,
        }
    }
}
