//! Which words an entry has in front of it.

/// How many of the optional words the entries of one cache have: those of time, the charge, the cost of a miss, and
/// the address of the tags.
///
/// ```text
///     9       8       7        6   2 1   0
///   +-------+-------+--------+-----+-----+
///   | TAGGED| PRICED| WEIGHED| 0   |times|    PRICED only with WEIGHED
///   +-------+-------+--------+-----+-----+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryLayout(usize);

const WEIGHED: usize = 1 << 7;
const PRICED: usize = 1 << 8;
const TAGGED: usize = 1 << 9;

impl EntryLayout {
    /// Every entry weighs one, and the cache keeps no time.
    pub(crate) const PLAIN: Self = Self(0);
    /// Entries have a deadline and know when their value was written.
    pub(crate) const TIMED: Self = Self(2);
    /// They have a deadline that reads set, too.
    pub(crate) const IDLING: Self = Self(3);

    /// The same with entries that are weighed.
    pub(crate) const fn weighed(self) -> Self {
        Self(self.0 | WEIGHED)
    }

    /// The same with entries that are weighed, and know what a miss of their key costs.
    pub(crate) const fn priced(self) -> Self {
        Self(self.0 | WEIGHED | PRICED)
    }

    /// The same with entries that may have tags.
    pub(crate) const fn tagged(self) -> Self {
        Self(self.0 | TAGGED)
    }

    /// Whether entries have a deadline.
    pub(crate) fn has_deadline(self) -> bool {
        self.times() >= Self::TIMED.0
    }

    #[inline]
    pub(super) fn is_weighed(self) -> bool {
        self.0 & WEIGHED != 0
    }

    #[inline]
    pub(super) fn is_priced(self) -> bool {
        self.0 & PRICED != 0
    }

    #[inline]
    pub(super) fn is_tagged(self) -> bool {
        self.0 & TAGGED != 0
    }

    /// The words of time.
    #[inline]
    pub(super) fn times(self) -> usize {
        self.0 & !(WEIGHED | PRICED | TAGGED)
    }

    /// All words.
    #[inline]
    pub(super) fn words(self) -> usize {
        let others = [self.is_weighed(), self.is_priced(), self.is_tagged()];
        self.times() + others.map(usize::from).iter().sum::<usize>()
    }
}
