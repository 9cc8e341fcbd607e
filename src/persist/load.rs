//! From blocks into a cache.

use std::cmp::Reverse;
use std::hash::{BuildHasher, Hash};
use std::io::Read;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::frame::Source;
use super::{EntryHead, GhostSet, Header, Kind, PersistError, types, wall_time};
use crate::cache::Cache;
use crate::engine::{SavedGhost, SavedHand, SavedPolicy, SavedState, TagsVersion};
use crate::narrow::in_memory;

/// A snapshot that was read to its end, and found to be whole.
struct Snapshot<K, V> {
    header: Header,
    entries: Vec<(EntryHead, K, V)>,
    ghosts: Vec<GhostSet>,
}

/// An entry of a snapshot: how it was, its tags, key and value.
type Chosen<K, V> = (SavedState, Vec<String>, K, V);

impl<K: DeserializeOwned, V: DeserializeOwned> Snapshot<K, V> {
    fn read(from: impl Read) -> Result<Self, PersistError> {
        let (mut source, mut payload) = (Source::begin(from)?, Vec::new());
        if source.read(&mut payload)? != Kind::Header {
            return Err(PersistError::Corrupt { at: 0 });
        }
        let corrupt = |at| move |_| PersistError::Corrupt { at };
        let header: Header = postcard::from_bytes(&payload[1..]).map_err(corrupt(0))?;
        let expected = types::<K, V>();
        if header.types != expected {
            return Err(PersistError::OtherTypes { found: header.types, expected });
        }
        let (mut entries, mut ghosts) = (Vec::new(), Vec::new());
        loop {
            let at = source.at;
            match source.read(&mut payload)? {
                Kind::Header => return Err(PersistError::Corrupt { at }),
                Kind::Entries => read_all(&payload[1..], &mut entries)
                    .map_err(|error| PersistError::Codec(error.to_string()))?,
                Kind::Ghosts => read_all(&payload[1..], &mut ghosts).map_err(corrupt(at))?,
                Kind::End => {
                    let count: u64 = postcard::from_bytes(&payload[1..]).map_err(corrupt(at))?;
                    if count != entries.len() as u64 {
                        return Err(PersistError::Corrupt { at });
                    }
                    return Ok(Self { header, entries, ghosts });
                }
            }
        }
    }
}

fn read_all<T: DeserializeOwned>(mut bytes: &[u8], to: &mut Vec<T>) -> postcard::Result<()> {
    while !bytes.is_empty() {
        let (it, rest) = postcard::take_from_bytes(bytes)?;
        // A type that takes no bytes would never come to an end; an entry has a head.
        to.push(it);
        bytes = rest;
    }
    Ok(())
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + DeserializeOwned + Send + Sync + 'static,
    V: DeserializeOwned + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Inserts the entries of a snapshot that [`save_to`](Self::save_to) has written, and returns how many. Needs
    /// feature `persist`.
    ///
    /// The snapshot is read to its end and looked through before the first entry is inserted: an input with a fault changes
    /// nothing. So its entries are in memory twice for a moment, if there are others in the cache.
    ///
    /// - A key that is there already keeps its value, and what would have to displace others is left out: into a smaller cache
    ///   come those that were used most.
    /// - The time since the snapshot was written counts, by the system's clock: what has expired meanwhile is left out, and the
    ///   others live for what is left. In a cache that keeps no time they do not expire.
    /// - Weights and costs are those of this cache. Tags come back, if this cache has tags.
    /// - The policy goes on with what it knew of entries, and, if the cache is empty, with its state. What it knew of
    ///   keys that were evicted comes back where both caches have equal tables and hash equally: with a
    ///   [hasher](crate::Builder::hasher) of fixed keys.
    ///
    /// Load before others use the cache: what they remove while this runs may be inserted after that, as it was in the snapshot.
    /// What is invalidated by a [tag](Self::invalidate_tag) meanwhile does not.
    ///
    /// # Errors
    ///
    /// See [`PersistError`]. Nothing was changed.
    ///
    /// # Progress
    ///
    /// Lock-free but for `from`.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, PersistError};
    ///
    /// let cache = Cache::<u32, String>::new(100);
    /// assert!(matches!(cache.load_from(&b"something else"[..]), Err(PersistError::Foreign)));
    /// let mut snapshot = Vec::new();
    /// cache.save_to(&mut snapshot)?;
    /// let half = &snapshot[..snapshot.len() / 2];
    /// assert!(matches!(cache.load_from(half), Err(PersistError::Truncated { .. })));
    /// # Ok::<_, PersistError>(())
    /// ```
    pub fn load_from(&self, from: impl Read) -> Result<u64, PersistError> {
        self.load_at(from, wall_time)
    }

    /// As [`load_from`](Self::load_from); `now` tells the time when the snapshot was read.
    pub(super) fn load_at(
        &self,
        from: impl Read,
        now: impl FnOnce() -> u64,
    ) -> Result<u64, PersistError> {
        let begun = self.engine().tags_now();
        let snapshot = Snapshot::<K, V>::read(from)?;
        Ok(self.put_in(snapshot, now(), begun))
    }

    /// Puts in what has a place, at this time.
    fn put_in(&self, snapshot: Snapshot<K, V>, now: u64, begun: TagsVersion) -> u64 {
        let Snapshot { header, entries, ghosts } = snapshot;
        let passed = Duration::from_nanos(now.saturating_sub(header.saved_at));
        let engine = self.engine();
        let is_new = self.is_empty();
        engine.begin_restore(SavedPolicy {
            misses: header.misses,
            target: header.target,
            typical_charge: header.typical_charge,
            protected_hand: SavedHand { at: header.hand.0, ages: header.hand.1 },
        });
        let mut restored = 0;
        for (state, tags, key, value) in self.chosen(entries, passed) {
            restored += u64::from(engine.restore((key, value), &state, (&tags, begun)));
        }
        let (probe, sets) = engine.ghost_layout();
        if is_new && (probe, sets as u64) == (header.probe, header.sets) {
            for GhostSet { set, ghosts } in ghosts {
                let ghost =
                    |(tag, protected, uses, absent)| SavedGhost { tag, protected, uses, absent };
                let ghosts: Vec<_> = ghosts.into_iter().map(ghost).collect();
                engine.restore_ghosts(in_memory(set), &ghosts);
            }
        }
        restored
    }

    /// Those that fit in what is free, the most used ones; these come last, as what comes first goes first.
    fn chosen(&self, entries: Vec<(EntryHead, K, V)>, passed: Duration) -> Vec<Chosen<K, V>> {
        let usage = self.usage();
        let mut free = usage.capacity.saturating_sub(usage.charged + usage.lingering);
        let live = |(head, key, value): (EntryHead, K, V)| {
            let state = aged(&head, passed)?;
            // What is there already needs no room.
            (!self.contains_key(&key)).then_some((state, head.tags, key, value))
        };
        let mut entries: Vec<_> = entries.into_iter().filter_map(live).collect();
        // A stable order: among equals, as they were found.
        entries.sort_by_key(|(state, ..)| Reverse(rank(state)));
        entries.retain(|(.., key, value)| {
            let charge = self.engine().weigh_to_restore(key, value);
            let fits = charge.is_some_and(|charge| charge <= free);
            if fits {
                free -= charge.unwrap_or(0);
            }
            fits
        });
        entries.reverse();
        entries
    }
}

/// How much an entry is used compared with others: whether it was read lately comes first.
fn rank(state: &SavedState) -> (u8, bool, u8) {
    let (stage, count) = (state.bits & 0b11, state.bits >> 2 & 0b11);
    (count, stage == 0b11, state.uses)
}

/// What is left of an entry after this time; none if it has expired.
fn aged(head: &EntryHead, passed: Duration) -> Option<SavedState> {
    let ahead = |left: Option<u64>| match left.map(Duration::from_nanos) {
        Some(left) => left.checked_sub(passed).filter(|left| !left.is_zero()).map(Some),
        None => Some(None),
    };
    Some(SavedState {
        bits: head.bits,
        uses: head.uses,
        age: head.age.map(|age| Duration::from_nanos(age).saturating_add(passed)),
        left: ahead(head.left)?,
        idle_left: ahead(head.idle_left)?,
    })
}
