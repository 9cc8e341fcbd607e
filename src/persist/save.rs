//! From a cache into blocks.

use std::hash::{BuildHasher, Hash};
use std::io::Write;

use serde::Serialize;

use super::frame::{Blocks, Buffer};
use super::{EntryHead, GhostSet, Header, Kind, PersistError, types, wall_time};
use crate::cache::Cache;
use crate::engine::SavedState;
use crate::time::nanos;

/// Bytes after which a block is written.
const BLOCK: usize = 1 << 16;

/// Snapshots.
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Serialize + Send + Sync + 'static,
    V: Serialize + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Writes all live entries, with what is left of their lives, their tags and how they are used, and what the cache has
    /// learnt of the keys that it evicted. Returns the number of entries. [`load_from`](Self::load_from) reads it. Needs
    /// feature `persist`.
    ///
    /// Runs concurrently with readers and writers: visits every entry that is there throughout once, and what comes or goes meanwhile
    /// once or not at all. Writes as it goes, in blocks of about 64 kilobytes; no thread is pinned while `to` is
    /// written to. The cache is not changed, and no entry counts as used.
    ///
    /// The format has a version and a checksum for each block. Keys and values are written by
    /// [postcard](https://docs.rs/postcard), so their `Deserialize` has to read what their `Serialize` has written without
    /// names or types in it.
    ///
    /// # Errors
    ///
    /// [`PersistError::Io`] if `to` fails, and [`PersistError::Codec`] if a key or a value cannot be written. What was
    /// written until then is no snapshot: [`save_file`](Self::save_file) puts a file in place only when it is whole.
    ///
    /// # Progress
    ///
    /// Lock-free but for `to`; walks the whole table.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let old = Cache::new(100);
    /// (0..10).for_each(|key: u32| old.insert(key, key.to_string()));
    /// let mut snapshot = Vec::new();
    /// assert_eq!(old.save_to(&mut snapshot)?, 10);
    ///
    /// let new = Cache::<u32, String>::new(100);
    /// assert_eq!(new.load_from(&*snapshot)?, 10);
    /// assert_eq!(new.get(&7).as_deref(), Some("7"));
    /// # Ok::<_, clockhand::PersistError>(())
    /// ```
    pub fn save_to(&self, to: impl Write) -> Result<u64, PersistError> {
        let mut blocks = Blocks::begin(to)?;
        let mut buffer = Buffer::new();
        self.save_header(&mut blocks, &mut buffer)?;
        let saved = self.save_entries(&mut blocks, &mut buffer)?;
        self.save_ghosts(&mut blocks, &mut buffer)?;
        buffer.add(&saved)?;
        blocks.write(Kind::End, &mut buffer)?;
        blocks.finish()?;
        Ok(saved)
    }

    fn save_header<W: Write>(
        &self,
        blocks: &mut Blocks<W>,
        buffer: &mut Buffer,
    ) -> Result<(), PersistError> {
        let policy = self.engine().saved_policy();
        let (probe, sets) = self.engine().ghost_layout();
        buffer.add(&Header {
            saved_at: wall_time(),
            types: types::<K, V>(),
            misses: policy.misses,
            target: policy.target,
            typical_charge: policy.typical_charge,
            hand: (policy.protected_hand.at, policy.protected_hand.ages),
            probe,
            sets: sets as u64,
        })?;
        blocks.write(Kind::Header, buffer)
    }

    fn save_entries<W: Write>(
        &self,
        blocks: &mut Blocks<W>,
        buffer: &mut Buffer,
    ) -> Result<u64, PersistError> {
        let (mut saved, mut failed) = (0, None);
        let mut from = Some(crate::engine::EVERYWHERE.start);
        while let Some(place) = from {
            from = self.engine().save_step(place, &mut |state, key, value, tags| {
                let tags =
                    tags.into_iter().flat_map(|tags| tags.names()).map(|tag| tag.to_string());
                let head = head(state, tags.collect());
                match buffer.add(&(head, key, value)) {
                    Ok(()) => saved += 1,
                    Err(error) => failed = Some(error),
                }
            });
            if let Some(error) = failed.take() {
                return Err(error);
            }
            if buffer.len() >= BLOCK {
                blocks.write(Kind::Entries, buffer)?;
            }
        }
        if buffer.len() > 0 {
            blocks.write(Kind::Entries, buffer)?;
        }
        Ok(saved)
    }

    fn save_ghosts<W: Write>(
        &self,
        blocks: &mut Blocks<W>,
        buffer: &mut Buffer,
    ) -> Result<(), PersistError> {
        for set in 0.. {
            let Some(ghosts) = self.engine().saved_ghosts(set) else { break };
            if !ghosts.is_empty() {
                let ghosts = ghosts.iter().map(|it| (it.tag, it.protected, it.uses, it.absent));
                buffer.add(&GhostSet { set: set as u64, ghosts: ghosts.collect() })?;
            }
            if buffer.len() >= BLOCK {
                blocks.write(Kind::Ghosts, buffer)?;
            }
        }
        if buffer.len() > 0 {
            blocks.write(Kind::Ghosts, buffer)?;
        }
        Ok(())
    }
}

fn head(state: &SavedState, tags: Vec<String>) -> EntryHead {
    EntryHead {
        bits: state.bits,
        uses: state.uses,
        age: state.age.map(nanos),
        left: state.left.map(nanos),
        idle_left: state.idle_left.map(nanos),
        tags,
    }
}
