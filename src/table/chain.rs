//! The chain of rows for the keys that a bucket's own slots cannot hold.

use super::array::Placed;
use super::row::{LANES, Row};
use super::word::Word;

/// One more row behind a bucket.
#[derive(Debug)]
pub(crate) struct Link {
    /// The rank of the first slot; the bucket's own slots have the ranks below [`LANES`].
    pub(super) base: usize,
    /// The link that was there before; never changes once this one is attached.
    pub(super) next: *mut Link,
    pub(super) row: Row,
}

// SAFETY: a link lends its row to any thread; `next` never changes while the link is shared.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    pub(super) fn new(next: *mut Link, base: usize) -> Box<Self> {
        Box::new(Self { base, next, row: Row::new() })
    }
}

/// The word that a bucket's chain hangs on: the newest link, with marks.
///
/// `null` is no chain in a bucket that no migration has filled. `NONE` is no chain that came after
/// one, or after a migration. FROZEN ends all change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head(*mut Link);

const FROZEN: usize = 1;
const NONE: usize = 2;

impl Head {
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
pub(super) fn build(overflowing: &[Placed]) -> *mut Link {
    let mut newest = std::ptr::null_mut();
    for (nth, group) in overflowing.chunks(LANES).enumerate() {
        let mut link = Link::new(newest, (nth + 1) * LANES);
        for (lane, &(number, hash, bits)) in group.iter().enumerate() {
            link.row.fill(lane, Word::visible(number, hash, bits));
        }
        newest = Box::into_raw(link);
    }
    newest
}

/// Frees a chain, but not the entries in it; returns how many links it had.
///
/// # Safety
///
/// The caller owns all links from `newest` on, and nobody looks at them any more.
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
