//! A row's shadow word: for each of its six slots a tag of the hash and four policy bits.
//!
//! ```text
//!   63       62     61  60 59        36 35         0
//!   +--------+-------+----+------------+------------+
//!   | FROZEN | READY |    | 6 x 4 bits | 6 x 6 bits |
//!   |        |       |    | lanes      | tags       |
//!   +--------+-------+----+------------+------------+
//!
//!   lane:  3      2 1     0
//!        +--------+--------+
//!        | count  | stage  |   stage 0: vacant
//!        +--------+--------+
//! ```
//!
//! The tag of a visible entry is right (T4). The lane says what the policy knows; the table only
//! knows that stage zero means vacant, that one and two are probation and three is protected, and
//! that a read adds one to the count. Once FROZEN is set nothing changes any more.

/// Slots in a row.
pub(super) const LANES: usize = 6;

const TAG_BITS: u32 = 6;
const LANE_BITS: u32 = 4;
const LANES_SHIFT: u32 = LANES as u32 * TAG_BITS;
const FROZEN: u64 = 1 << 63;
const READY: u64 = 1 << 62;
const _: () = assert!(LANES_SHIFT + LANES as u32 * LANE_BITS <= 62);

/// A one in the lowest bit of every tag, and of every lane.
const TAG_ONES: u64 = 0x4104_1041;
const LANE_ONES: u64 = 0x11_1111 << LANES_SHIFT;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
const LANE_MASK: u64 = (1 << LANE_BITS) - 1;
const COUNT_ONE: u64 = 0b0100;
const COUNT_MASK: u64 = 0b1100;
const STAGE_MASK: u64 = 0b0011;

/// A row's shadow word, as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shadow(pub(super) u64);

/// Which entries a hand looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    /// Those whose stage is one or two.
    Probation,
    /// Those whose stage is three.
    Protected,
}

impl Region {
    /// The region of a slot with these policy bits; none if it is vacant.
    #[inline]
    pub(super) fn of(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0 => None,
            3 => Some(Self::Protected),
            _ => Some(Self::Probation),
        }
    }
}

/// A set of lanes, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lanes(u64, u32);

/// The part of the hash that tells the keys of one bucket apart.
#[inline]
pub(super) fn tag_of(hash: u64) -> u64 {
    hash & TAG_MASK
}

impl Shadow {
    /// The lanes whose tag is `tag`, vacant ones among them.
    #[inline]
    pub(super) fn matching(self, tag: u64) -> Lanes {
        const LOW: u64 = TAG_ONES * (TAG_MASK >> 1);
        const HIGH: u64 = TAG_ONES << (TAG_BITS - 1);
        // Each field is zero where the tags agree. Adding 31 to its low five bits carries into the
        // high bit unless they are all zero, and never out of the field.
        let differing = self.0 ^ (tag * TAG_ONES);
        let nonzero = ((differing & LOW) + LOW) | differing;
        Lanes((!nonzero & HIGH) >> (TAG_BITS - 1), TAG_BITS)
    }

    #[inline]
    fn low_of_stage(self) -> (u64, u64) {
        let low = self.0 & LANE_ONES;
        let high = (self.0 >> 1) & LANE_ONES;
        (low, high)
    }

    #[inline]
    pub(super) fn vacant(self) -> Lanes {
        let (low, high) = self.low_of_stage();
        Lanes((!(low | high) & LANE_ONES) >> LANES_SHIFT, LANE_BITS)
    }

    #[inline]
    pub(super) fn occupied(self) -> Lanes {
        let (low, high) = self.low_of_stage();
        Lanes((low | high) >> LANES_SHIFT, LANE_BITS)
    }

    /// The lanes whose entries are of a region.
    #[inline]
    pub(super) fn of(self, region: Region) -> Lanes {
        let (low, high) = self.low_of_stage();
        let lanes = match region {
            Region::Probation => low ^ high,
            Region::Protected => low & high,
        };
        Lanes(lanes >> LANES_SHIFT, LANE_BITS)
    }

    /// The policy bits of a lane.
    #[inline]
    pub(super) fn lane(self, lane: usize) -> u8 {
        ((self.0 >> lane_shift(lane)) & LANE_MASK) as u8
    }

    #[inline]
    pub(super) fn with_lane(self, lane: usize, bits: u8) -> Self {
        let shift = lane_shift(lane);
        Self(self.0 & !(LANE_MASK << shift) | u64::from(bits) << shift)
    }

    #[inline]
    pub(super) fn with_tag(self, lane: usize, tag: u64) -> Self {
        let shift = lane as u32 * TAG_BITS;
        Self(self.0 & !(TAG_MASK << shift) | tag << shift)
    }

    /// One more read of the lane's entry; `None` if the count is full, or nothing may change.
    #[inline]
    pub(super) fn touched(self, lane: usize) -> Option<Self> {
        let shift = lane_shift(lane);
        let bits = self.0 >> shift;
        // What is read most is full: nothing else is looked at then.
        if bits & COUNT_MASK == COUNT_MASK {
            return None;
        }
        let vacant = bits & STAGE_MASK == 0;
        (!vacant && !self.is_frozen()).then(|| Self(self.0 + (COUNT_ONE << shift)))
    }

    #[inline]
    pub(super) fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    #[inline]
    pub(super) fn frozen(self) -> Self {
        Self(self.0 | FROZEN)
    }

    /// The empty shadow of a row that a migration fills.
    #[inline]
    pub(super) fn ready() -> Self {
        Self(READY)
    }
}

#[inline]
fn lane_shift(lane: usize) -> u32 {
    LANES_SHIFT + lane as u32 * LANE_BITS
}

impl Lanes {
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those at `lane` or after it.
    #[inline]
    pub(super) fn from(self, lane: usize) -> Self {
        if lane >= LANES {
            return Self(0, self.1);
        }
        Self(self.0 & (u64::MAX << (lane as u32 * self.1)), self.1)
    }
}

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let lane = self.0.trailing_zeros() / self.1;
        self.0 &= self.0 - 1;
        Some(lane as usize)
    }
}
