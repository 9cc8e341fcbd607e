//! Tags: names that entries are given, by which all that have one are invalidated at once.
//!
//! Nothing is written into entries for that. All tags of a cache share one number, the version, which each
//! invalidation takes and raises. A tag has that of its latest invalidation; the tags of an entry are a [`TagSet`],
//! which has the version that stood when the entry was begun. The entry is live while none of its tags was
//! invalidated by a later version:
//!
//! ```text
//!   entry --> TagSet { since: 7, tags: [ o, o ] }
//!                                        |  +--> Tag { name: "user:7", invalidated: 3 }
//!                                        +-----> Tag { name: "prices", invalidated: 9 }      9 > 7: not live
//! ```
//!
//! A tag is known, by its name, for as long as there is an entry that has it, and is forgotten with the last one that
//! is freed. To invalidate one that is not known does nothing but raise the version.
//!
//! # Invariants
//!
//! - **V1** An invalidation first raises the version, then looks the tag up, then raises what it finds to the
//!   version that it took. The thread that makes a tag known first does so, and then reads the version
//!   ([`Tag::known_since`]). So an invalidation that did not find the tag has taken a version that is not above that.
//! - **V2** What a tag was invalidated by only rises, and the version of a set never changes: what one thread has
//!   seen as invalidated is so for every thread and for good.
//! - **V3** The version of a set is read after all its tags were made known, and before the value is there that is
//!   guarded by it. So an invalidation that returned before the value was there is not above it, and one that was
//!   called after the version was read is.
//!
//! # Loads
//!
//! A load learns the tags of its value at its end. Its version is from its beginning, where they may not have been
//! known: an invalidation since may have passed by a tag that was unknown then. So its value may be kept only if
//! each tag was known since a version that is not above the load's own; and else no thread can tell, and it is not
//! kept.

#[cfg(all(test, clockhand_loom))]
mod models;

use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering, Relaxed, fence, seeded};

/// In [`Tag::holders`]: no thread holds it any more, and no thread will.
const GONE: u64 = u64::MAX;

/// The version of the tags of one cache: how many invalidations there were, and one.
#[derive(Debug)]
pub(crate) struct Versions(AtomicU64);

impl Versions {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(1))
    }

    /// The version that stands.
    pub(crate) fn now(&self) -> u64 {
        // ORDERING V-b: Acquire: a value that is read after that is not from before an invalidation that is in the
        // version.
        self.0.load(Ordering::Acquire)
    }

    /// The version for an invalidation that looks its tag up after that.
    pub(crate) fn advance(&self) -> u64 {
        // ORDERING V-b: AcqRel: what the caller has changed before it invalidates is there for the thread that reads
        // the version.
        let version = self.0.fetch_add(1, Ordering::AcqRel) + 1;
        // ORDERING V-a: SeqCst fence: the version is raised before the tag is looked up; pairs with that in `hold`.
        fence(Ordering::SeqCst);
        version
    }
}

/// A tag that is known.
pub(crate) struct Tag {
    name: Arc<str>,
    /// The version of its latest invalidation.
    invalidated: Relaxed<AtomicU64>,
    /// A version that stood when it was known already; zero until another thread has looked.
    known_since: Relaxed<AtomicU64>,
    /// How many sets have it.
    holders: Relaxed<AtomicU64>,
}

impl Tag {
    /// One that the caller holds, and is about to make known.
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            invalidated: Relaxed::<AtomicU64>::new(0),
            known_since: Relaxed::<AtomicU64>::new(0),
            holders: Relaxed::<AtomicU64>::new(1),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Holds it; false if it is about to be forgotten.
    pub(crate) fn hold(&self) -> bool {
        loop {
            let holders = self.holders.get();
            if holders == GONE {
                return false;
            }
            if self.holders.try_set(holders, holders + 1) {
                return true;
            }
        }
    }

    /// Lets go of it; whether it is to be forgotten.
    pub(crate) fn release(&self) -> bool {
        self.holders.sub(1) == 1 && self.holders.try_set(0, GONE)
    }

    /// A version that stood when the tag could be looked up. Called when it can.
    pub(crate) fn known_since(&self, versions: &Versions) -> u64 {
        let known = self.known_since.get();
        if known > 0 {
            return known;
        }
        if !seeded("tags-known-unfenced") {
            // ORDERING V-a: SeqCst fence: the tag is known before the version is read; pairs with that in `advance`.
            // Either an invalidation finds the tag, or its version is found here.
            fence(Ordering::SeqCst);
        }
        let version = versions.now();
        // Another thread may have looked, too: any of both is one that stood.
        self.known_since.try_set(0, version);
        version
    }

    /// All entries that have it and were begun before this version are invalidated.
    pub(crate) fn invalidate(&self, version: u64) {
        self.invalidated.max(version);
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tag").field(&self.name).finish()
    }
}

/// Who knows tags by their names.
pub(crate) trait Registry: Send + Sync {
    /// A tag is gone.
    fn forget(&self, tag: &Arc<Tag>);
}

/// The tags of an entry: it holds them.
pub(crate) struct TagSet {
    since: u64,
    tags: Vec<Arc<Tag>>,
    registry: Arc<dyn Registry>,
}

impl TagSet {
    /// One without tags.
    pub(crate) fn new(registry: Arc<dyn Registry>) -> Self {
        Self { since: 0, tags: Vec::new(), registry }
    }

    /// Adds a tag that is known: the caller's hold on it becomes the set's.
    pub(crate) fn add(&mut self, tag: Arc<Tag>) {
        self.tags.push(tag);
    }

    /// The entry is begun now: all its tags were added (V3).
    pub(crate) fn begin(&mut self, versions: &Versions) {
        self.tags.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        self.tags.dedup_by(|one, other| {
            let same = Arc::ptr_eq(one, other);
            if same {
                // Not the last: the other one stays.
                one.release();
            }
            same
        });
        self.tags.shrink_to_fit();
        let known = self.tags.iter().map(|tag| tag.known_since(versions)).max();
        // Another thread may have read a later version from when a tag was known already.
        self.since = versions.now().max(known.unwrap_or(0));
    }

    /// The same for an entry that was begun at an earlier version, when its tags may not have been known; false if one
    /// may have been invalidated since.
    #[cfg(feature = "persist")]
    pub(crate) fn begin_at(&mut self, versions: &Versions, begun: u64) -> bool {
        self.begin(versions);
        self.since = begun;
        self.is_live() && self.tags.iter().all(|tag| tag.known_since(versions) <= begun)
    }

    /// Whether none of them was invalidated.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.tags.iter().all(|tag| tag.invalidated.get() <= self.since)
    }

    /// Their names, each once and in their order.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.tags.iter().map(|tag| &tag.name)
    }
}

impl Drop for TagSet {
    fn drop(&mut self) {
        for tag in &self.tags {
            if tag.release() {
                self.registry.forget(tag);
            }
        }
    }
}

impl fmt::Debug for TagSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagSet")
            .field("since", &self.since)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}
