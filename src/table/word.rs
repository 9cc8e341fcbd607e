//! The word in a slot: a pointer to an entry and three marks.
//!
//! ```text
//!   63                              3   2        1      0
//!   +--------------------------------+--------+------+---------+
//!   | address of the entry, or zero  | FROZEN | DEAD | PENDING |
//!   +--------------------------------+--------+------+---------+
//! ```
//!
//! | word | state | who may leave it, and to what |
//! |---|---|---|
//! | `null` | vacant, never used | anybody, to *claimed*; a copier, to *visible* or *vacant* |
//! | `null, DEAD` | vacant, used before | anybody, to *claimed*; a dissolver, to *sealed* |
//! | `entry, PENDING` | claimed: not visible | the claimer, to *vacant*; once announced, anybody, to *visible* |
//! | `entry` | visible | anybody: another entry (replace), or *dead* (unlink) |
//! | `entry, DEAD` | dead: unlinked, the lane not yet cleared | the unlinker, to *vacant* |
//! | `null, FROZEN` | sealed, or frozen with nothing in it | a dissolver that gives up, to *vacant* |
//! | `entry, FROZEN` | frozen: still readable here, never to change again | nobody |
//! | `entry, .., FROZEN` | frozen with nothing visible in it | its claimer or unlinker, to *vacant* |
//!
//! `null` without a mark never comes back once it is left (T6). Every transition but the last of
//! an unlinker is a compare-and-swap from the exact word.

/// A slot's word, as it was read.
pub(super) struct Word<N>(*mut N);

impl<N> Clone for Word<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for Word<N> {}

impl<N> PartialEq for Word<N> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

const PENDING: usize = 1;
const DEAD: usize = 2;
const FROZEN: usize = 4;
const MARKS: usize = PENDING | DEAD | FROZEN;

impl<N> Word<N> {
    const ALIGNED: () =
        assert!(align_of::<N>() > MARKS, "an entry's address leaves room for marks");

    /// Vacant, and used before.
    pub(super) fn vacant() -> Self {
        Self(std::ptr::null_mut::<N>().map_addr(|addr| addr | DEAD))
    }

    /// Sealed.
    pub(super) fn sealed() -> Self {
        Self(std::ptr::null_mut::<N>().map_addr(|addr| addr | FROZEN))
    }

    /// Visible.
    pub(super) fn visible(node: *mut N) -> Self {
        let () = Self::ALIGNED;
        Self(node)
    }

    /// Claimed for an entry.
    pub(super) fn claimed(node: *mut N) -> Self {
        Self(node.map_addr(|addr| addr | PENDING))
    }

    #[inline]
    pub(super) fn from_raw(raw: *mut N) -> Self {
        Self(raw)
    }

    #[inline]
    pub(super) fn raw(self) -> *mut N {
        self.0
    }

    /// The entry, whatever its marks.
    #[inline]
    pub(super) fn node(self) -> *mut N {
        self.0.map_addr(|addr| addr & !MARKS)
    }

    fn marks(self) -> usize {
        self.0.addr() & MARKS
    }

    /// Whether a reader may take the entry: visible, or frozen while visible.
    #[inline]
    pub(super) fn is_readable(self) -> bool {
        self.0.addr() > MARKS && self.marks() & (PENDING | DEAD) == 0
    }

    /// Whether the slot may be claimed.
    pub(super) fn is_vacant(self) -> bool {
        self.node().is_null() && self.marks() & FROZEN == 0
    }

    pub(super) fn is_claimed(self) -> bool {
        !self.node().is_null() && self.marks() == PENDING
    }

    pub(super) fn is_frozen(self) -> bool {
        self.marks() & FROZEN != 0
    }

    pub(super) fn is_untouched(self) -> bool {
        self.0.is_null()
    }

    pub(super) fn frozen(self) -> Self {
        Self(self.0.map_addr(|addr| addr | FROZEN))
    }

    pub(super) fn dead(self) -> Self {
        Self(self.0.map_addr(|addr| addr | DEAD))
    }
}
