//! The chain of groups for the keys that a bucket's own slots cannot hold.

use super::group::{Group, SLOTS_PER_GROUP};
use super::slot_word::{SlotContents, SlotWord};

/// One more group behind a bucket.
#[derive(Debug)]
pub(crate) struct Link {
    /// The rank of the first slot; the bucket's own slots have the ranks below [`SLOTS_PER_GROUP`].
    base: u32,
    /// No later than it was made, by the domain that it is retired to.
    birth: u32,
    /// The link that was there before; never changes once this one is attached.
    pub(super) next: *mut Link,
    pub(super) group: Group,
}

// SAFETY: a link lends its group to any thread; `next` never changes while the link is shared.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    pub(super) fn new(next: *mut Link, base: usize, birth: u32) -> Box<Self> {
        let base = u32::try_from(base).expect("the ranks of a bucket have fewer bits");
        Box::new(Self { base, birth, next, group: Group::new() })
    }

    #[inline]
    pub(super) fn base(&self) -> usize {
        self.base as usize
    }

    /// When it was born; zero if a migration has made it.
    pub(super) fn birth(&self) -> u32 {
        self.birth
    }
}

/// The word that a bucket's chain hangs on: the newest link, with marks.
///
/// `null` is no chain in a bucket that no migration has filled. `NONE` is no chain that came after
/// one, or after a migration. FROZEN ends all change.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainHead(*mut Link);

const FROZEN: usize = 1;
const NONE: usize = 2;

impl ChainHead {
    const ALIGNED: () = assert!(align_of::<Link>() > (FROZEN | NONE));

    pub(super) fn none() -> Self {
        Self(std::ptr::null_mut::<Link>().map_addr(|addr| addr | NONE))
    }

    pub(super) fn of(link: *mut Link) -> Self {
        let () = Self::ALIGNED;
        if link.is_null() { Self::none() } else { Self(link) }
    }

    pub(super) fn from_raw(raw: *mut Link) -> Self {
        Self(raw)
    }

    pub(super) fn raw(self) -> *mut Link {
        self.0
    }

    /// The newest link, or null.
    pub(super) fn link(self) -> *mut Link {
        self.0.map_addr(|addr| addr & !(FROZEN | NONE))
    }

    pub(super) fn is_frozen(self) -> bool {
        self.0.addr() & FROZEN != 0
    }

    pub(super) fn frozen(self) -> Self {
        Self(self.0.map_addr(|addr| addr | FROZEN))
    }
}

/// Builds the links that hold `overflowing` entries.
pub(super) fn build(overflowing: &[SlotContents]) -> *mut Link {
    let mut newest = std::ptr::null_mut();
    for (nth, unit) in overflowing.chunks(SLOTS_PER_GROUP).enumerate() {
        let mut link = Link::new(newest, (nth + 1) * SLOTS_PER_GROUP, 0);
        for (slot_index, &(number, hash, meta)) in unit.iter().enumerate() {
            link.group.fill(slot_index, SlotWord::visible(number, hash, meta));
        }
        newest = Box::into_raw(link);
    }
    newest
}

/// Frees a chain, but not the entries in it; returns how many links it had.
///
/// # Safety
///
/// The caller owns all links from `newest` on, and no thread looks at them any more.
pub(super) unsafe fn free(newest: *mut Link) -> usize {
    let (mut next, mut links) = (newest, 0);
    while !next.is_null() {
        // SAFETY: the caller's promise; links come from boxes.
        let link = unsafe { Box::from_raw(next) };
        next = link.next;
        links += 1;
    }
    links
}
