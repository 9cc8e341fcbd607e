//! What a snapshot has of entries, and how they come back.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::Engine;
use super::write::ENTRY_KEPT;
use crate::policy::{Policy, SavedGhost, SavedPolicy};
use crate::sync::NoAbort;
use crate::table::Lookup;
use crate::tags::TagSet;

/// What is known of an entry besides its key and its value.
#[derive(Debug, Clone, Default)]
pub(crate) struct SavedState {
    /// The bits of the policy, and how often the key was heard of.
    pub(crate) bits: u8,
    pub(crate) uses: u8,
    /// How long ago the value was written, if that is known.
    pub(crate) age: Option<Duration>,
    /// How long the entry still lives, and how long if it is not read; none if that does not end.
    pub(crate) left: Option<Duration>,
    pub(crate) idle_left: Option<Duration>,
}

/// The version of the tags when a snapshot began to be loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TagsVersion(u64);

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// What a snapshot has of the policy.
    pub(crate) fn saved_policy(&self) -> SavedPolicy {
        let pin = self.pin();
        self.policy.saved(&pin.local().cursor, self.fill())
    }

    /// Visits the live entries of the bucket where `from` begins, under a pin; returns where the next one begins.
    pub(crate) fn save_step(
        &self,
        from: u64,
        visit: &mut impl FnMut(&SavedState, &K, &V, Option<&TagSet>),
    ) -> Option<u64> {
        let pin = self.pin();
        let (mut found, places) = (Vec::new(), from..super::EVERYWHERE.end);
        let next =
            self.table.view(pin.guard_ref()).collect_entries(places, &mut found, |a, b| a == b);
        // Encoding takes a while, so the search between two entries is a read, which may be neutralized.
        pin.while_suspended(|| {
            let reading = self.pin_to_read();
            let view = self.table.view(reading.guard_ref());
            let (history, cursor) = (view.extension(), &pin.local().cursor);
            for occupied in found.iter().filter(|occupied| !occupied.entry().is_placeholder()) {
                let Some(entry) = self.live_or_successor(view, occupied.entry()) else { continue };
                let times = self.rules.expiration.as_ref();
                let (left, idle_left) = times.map_or((None, None), |times| times.left(entry));
                let recent_uses = crate::policy::RecentUses::from_bits(entry.recent_uses());
                let state = SavedState {
                    bits: occupied.meta().bits(),
                    uses: self.policy.saved_uses(history, cursor, recent_uses),
                    age: times.map(|times| times.age(entry)),
                    left,
                    idle_left,
                };
                visit(&state, entry.key(), entry.value(), entry.tags());
            }
        });
        next
    }

    /// A number that two caches have in common whose hashes and ghosts are of the same kind; and how many sets of ghosts there are.
    pub(crate) fn ghost_layout(&self) -> (u64, usize) {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        (self.hash("clockhand, sixteen ghosts to a set"), Policy::ghost_sets(view.extension()))
    }

    /// The keys of a set that were evicted lately.
    pub(crate) fn saved_ghosts(&self, set: usize) -> Option<Vec<SavedGhost>> {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        self.policy.saved_ghosts(view.extension(), &pin.local().cursor, set)
    }

    /// Begins to load a snapshot: the policy goes on from there if nothing was inserted yet.
    pub(crate) fn begin_restore(&self, saved: SavedPolicy) {
        let _pin = self.pin();
        if self.len() == 0 {
            self.policy.restore(&saved, self.fill());
        }
    }

    pub(crate) fn restore_ghosts(&self, set: usize, ghosts: &[SavedGhost]) {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        self.policy.restore_ghosts(view.extension(), &pin.local().cursor, (set, ghosts));
    }

    /// What `restore` compares the tags of an entry with.
    pub(crate) fn tags_now(&self) -> TagsVersion {
        TagsVersion(self.tags.as_ref().map_or(0, |tags| tags.version()))
    }

    /// What an entry with this key and value weighs, if it may be in the cache.
    pub(crate) fn weigh_to_restore(&self, key: &K, value: &V) -> Option<u64> {
        let charge = self.rules.weigh(key, value).charge;
        self.check_weight(charge).ok().map(|()| charge)
    }

    /// Inserts an entry as it was, if its key is absent and nothing has to be evicted for it; whether it was inserted. Not if one of its tags was
    /// invalidated since `begun`, or may have been.
    pub(crate) fn restore(
        &self,
        (key, value): (K, V),
        state: &SavedState,
        (tags, begun): (&[String], TagsVersion),
    ) -> bool {
        let (key, value) = (NoAbort::new(key), NoAbort::new(value));
        let tags = match &self.tags {
            Some(known) if !tags.is_empty() => match known.set_since(tags, begun.0) {
                Some(tags) => Some(tags),
                None => return false,
            },
            _ => None,
        };
        let costs = self.rules.weigh(&key, &value);
        if self.check_weight(costs.charge).is_err() {
            return false;
        }
        let hash = self.hash(&*key);
        let mut pin = self.pin();
        let mut op = self.begin_op(&pin);
        op.patient = false;
        let mut new = {
            let view = self.table.view(pin.guard_ref());
            let mut entry = view.entry(hash, key.into_inner(), value.into_inner(), costs);
            entry.set_tags(tags);
            let cursor = &pin.local().cursor;
            let state = (state.bits, state.uses);
            op.admission = self.policy.restored_admission(view.extension(), cursor, state);
            Some(entry)
        };
        let as_ref = new.as_ref().map(|entry| entry.as_ref());
        if let (Some(expiration), Some(entry)) = (&self.rules.expiration, as_ref)
            && !expiration.restore(entry, state.age, (state.left, state.idle_left))
        {
            return false;
        }
        let restored = self.retry(&mut pin, &mut op, |pin, op| {
            let view = self.table.view(pin.guard_ref());
            let key = new.as_ref().expect(ENTRY_KEPT).as_ref().key();
            let Lookup::Vacant(vacant) = view.find_for_write(hash, |k| k == key) else {
                return Ok(false);
            };
            // No entry is promoted in passing: each comes back where it was.
            self.link_new(view, op, vacant, &mut new)?;
            self.grow_if_crowded(view);
            Ok(true)
        });
        drop(op);
        self.finish_write(pin);
        restored.unwrap_or(false)
    }
}
