//! The tags of a cache by their names, and what becomes of entries whose tags were invalidated.
//!
//! They are kept in an engine like the cache's own: it has room for all of them, so it evicts none, and its reads and
//! writes wait for no thread.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::write_op::DecidedBy;
use super::{Engine, Plan, ReadView, Refused, Rules};
use crate::entry::EntryRef;
use crate::error::InsertErrorKind;
use crate::expiry::LifetimeOverride;
use crate::latency::Sampling;
use crate::load_policy::LoadPolicy;
use crate::outcome::{Inserted, RemovalCause};
use crate::settings::{Maintenance, Settings};
use crate::sync::NoAbort;
use crate::tags::{Registry, Tag, TagSet, Versions};

/// Tags that there is room for.
const ROOM: u64 = 1 << 40;
/// Those that the first table is made for.
const EXPECTED: usize = 64;

/// What a cache knows of tags.
pub(crate) struct Tags {
    versions: Versions,
    known: Engine<Arc<str>, Arc<Tag>, RandomState>,
}

impl Tags {
    pub(super) fn new() -> Arc<Self> {
        let settings = Settings {
            name: "tags".into(),
            capacity: ROOM,
            retired_capacity: ROOM,
            retired_follows: false,
            patience: Duration::ZERO,
            expected_entries: EXPECTED,
            maintenance: Maintenance::Inline,
            weighed: false,
            has_cost: false,
            cost_of_load_time: false,
            time_to_live: None,
            time_to_idle: None,
            has_expiry: false,
            keeps_time: false,
            clock_resolution: None,
            has_tags: false,
            has_listener: false,
            load_policy: LoadPolicy::new(),
        };
        let plan = Plan { settings, remembers: false, sampling: Sampling::OFF };
        let known = Engine::new(plan, Rules::new("tags"), RandomState::new());
        Arc::new(Self { versions: Versions::new(), known })
    }

    /// The tag of this name, held for the caller.
    ///
    /// # Progress
    ///
    /// Lock-free: each further attempt follows a change of the tag by another thread.
    fn hold(&self, name: &str) -> Arc<Tag> {
        loop {
            if let Some(tag) = self.find(name) {
                if tag.hold() {
                    return tag;
                }
                // The thread that is about to forget it may sleep.
                self.remove(&tag);
            }
            let name = Arc::<str>::from(name);
            let tag = Arc::new(Tag::new(Arc::clone(&name)));
            let over = (|_: &Arc<Tag>, _: &Arc<Tag>| false, DecidedBy::ByOperation);
            if self.known.put(name, Arc::clone(&tag), over).is_ok() {
                return tag;
            }
        }
    }

    fn find(&self, name: &str) -> Option<Arc<Tag>> {
        let pin = self.known.pin_to_read();
        let entry = ReadView::new(&self.known, pin.guard_ref()).peek(name)?;
        Some(Arc::clone(entry.value()))
    }

    fn remove(&self, tag: &Arc<Tag>) {
        self.known.remove(
            &**tag.name(),
            (|known: &Arc<Tag>| Arc::ptr_eq(known, tag).then_some(()), false),
        );
    }

    /// The tags of an entry that is begun now; none if there are no names.
    pub(crate) fn set(
        self: &Arc<Self>,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Option<Arc<TagSet>> {
        let mut set = TagSet::new(Arc::clone(self) as Arc<dyn Registry>);
        names.into_iter().for_each(|name| set.add(self.hold(name.as_ref())));
        set.begin(&self.versions);
        set.names().next()?;
        Some(Arc::new(set))
    }

    /// The version that stands.
    #[cfg(feature = "persist")]
    pub(super) fn version(&self) -> u64 {
        self.versions.now()
    }

    /// The tags of an entry that was begun at this version; `None` if one was invalidated since, or may have been.
    #[cfg(feature = "persist")]
    pub(super) fn set_since(self: &Arc<Self>, names: &[String], begun: u64) -> Option<Arc<TagSet>> {
        let mut set = TagSet::new(Arc::clone(self) as Arc<dyn Registry>);
        names.iter().for_each(|name| set.add(self.hold(name)));
        set.begin_at(&self.versions, begun).then(|| Arc::new(set))
    }

    /// Invalidates all entries that have the tag and were begun before.
    pub(crate) fn invalidate(&self, name: &str) {
        let version = self.versions.advance();
        if let Some(tag) = self.find(name) {
            tag.invalidate(version);
        }
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Bytes of their table.
    pub(super) fn overhead(&self) -> usize {
        self.known.overhead()
    }

    pub(super) fn reset_after_fork(&self) {
        self.known.reset_after_fork();
    }
}

impl Registry for Tags {
    fn forget(&self, tag: &Arc<Tag>) {
        self.remove(tag);
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// What is known of tags, if entries may have any.
    pub(crate) fn tags(&self) -> Option<&Arc<Tags>> {
        self.tags.as_ref()
    }

    /// Why an entry leaves that has expired, or whose tags were invalidated.
    #[inline]
    pub(super) fn cause_of_end(&self, entry: EntryRef<'_, K, V>) -> RemovalCause {
        if entry.is_invalidated() { RemovalCause::Invalidated } else { RemovalCause::Expired }
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts an entry with tags in, over whatever there is.
    pub(crate) fn put_tagged(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = impl AsRef<str>>,
        lifetime_override: LifetimeOverride,
    ) -> Result<Inserted, Refused<K, V>> {
        let over = (|_: &V, _: &V| true, DecidedBy::ByOperation);
        let (key, value) = (NoAbort::new(key), NoAbort::new(value));
        let (tags, untagged) = match &self.tags {
            Some(known) => (known.set(tags), false),
            None => (None, tags.into_iter().next().is_some()),
        };
        let (key, value) = (key.into_inner(), value.into_inner());
        if untagged {
            return Err(Refused::new(InsertErrorKind::Untagged, key, value));
        }
        self.put_with_lifetime(key, value, over, (&lifetime_override, tags))
    }
}
