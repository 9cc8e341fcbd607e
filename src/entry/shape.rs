//! Which words an entry has in front of it.

/// How many of the optional words the entries of one cache have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape(u8);

impl Shape {
    /// Every entry weighs one and never expires.
    pub(crate) const PLAIN: Self = Self(0);
    /// Entries are weighed.
    pub(crate) const WEIGHED: Self = Self(1);
    /// Entries have a deadline, too.
    pub(crate) const TIMED: Self = Self(2);
    /// Reads move the deadline: the idle deadline and the moment of the last write are kept, too.
    pub(crate) const IDLING: Self = Self(4);

    #[inline]
    pub(super) fn words(self) -> usize {
        usize::from(self.0)
    }
}
