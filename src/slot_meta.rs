//! What a slot says of its entry for the policy: the one place where these four bits are taken apart.
//!
//! ```text
//!   3     2 1     0
//!   +-------+-------+
//!   | count | stage |    stage: 0 vacant, 1 young, 2 old, 3 protected
//!   +-------+-------+
//! ```
//!
//! The table keeps them in the slot's word, and a read adds one to the count there. Only the policy knows what they
//! are for.

/// How far an entry has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On probation, and no hand has passed it yet.
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

/// What a scan does with an entry that it visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanStep {
    /// Leaves it as it is.
    Keep,
    /// Changes its metadata, by one attempt, to that of the same region.
    Mark(SlotMeta),
    /// Ends before it.
    Stop,
}

/// The stage of an entry, and how often it was read since a hand passed it: up to three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotMeta(u8);

impl SlotMeta {
    /// That of an entry which was just inserted on probation.
    pub(crate) const NEW: Self = Self(Stage::Young as u8);
    const STAGE: u8 = 0b11;
    const COUNT_SHIFT: u32 = 2;
    /// All bits, those of the stage, and one more read.
    pub(crate) const MASK: u8 = 0b1111;
    pub(crate) const STAGE_MASK: u8 = Self::STAGE;
    pub(crate) const COUNT_MASK: u8 = Self::MASK & !Self::STAGE;
    pub(crate) const ONE_READ: u8 = 1 << Self::COUNT_SHIFT;

    #[inline]
    pub(crate) const fn new(stage: Stage, count: u8) -> Self {
        debug_assert!(count <= 3);
        Self(stage as u8 | count << Self::COUNT_SHIFT)
    }

    #[inline]
    pub(crate) const fn from_bits(bits: u8) -> Self {
        debug_assert!(bits <= Self::MASK);
        Self(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Whether it is that of a vacant slot.
    #[inline]
    pub(crate) fn is_vacant(self) -> bool {
        self.0 & Self::STAGE == 0
    }

    /// How often the entry was read.
    #[inline]
    pub(crate) fn count(self) -> u8 {
        self.0 >> Self::COUNT_SHIFT
    }

    #[inline]
    pub(crate) fn is_protected(self) -> bool {
        self.0 & Self::STAGE == Stage::Protected as u8
    }

    #[inline]
    pub(crate) fn is_on_probation(self) -> bool {
        !self.is_vacant() && !self.is_protected()
    }

    /// The region of the entry; `None` if the slot is vacant.
    #[inline]
    pub(crate) fn region(self) -> Option<Region> {
        match self.0 & Self::STAGE {
            0 => None,
            3 => Some(Region::Protected),
            _ => Some(Region::Probation),
        }
    }
}

impl std::fmt::Debug for SlotMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = ["vacant", "young", "old", "protected"][usize::from(self.0 & Self::STAGE)];
        write!(f, "{stage} + {}", self.count())
    }
}
