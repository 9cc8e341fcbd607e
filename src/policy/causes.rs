//! What became of keys that left for another reason than to make room, or that were never inserted.
//!
//! ```text
//!   63               18 17  16 15         0
//!   +------------------+------+------------+
//!   | tag              | cause | time       |      zero: vacant
//!   +------------------+------+------------+
//! ```
//!
//! A set-associative table like that of the ghosts, which remember which keys were evicted; nothing is decided by it. A set
//! is one cache line of eight causes, in the order in which they came: the latest is put at the front, the
//! others move on by one, until the same key's older cause or the last one drops out. Sets lie in the order of
//! the table, so a scan that removes much uses one after the other.
//!
//! The table is allocated at the first such removal: a cache that only evicts does without. Threads that remove
//! something meanwhile do not wait for it; what they would record is lost.

use std::sync::OnceLock;

use super::tuning::{CAUSES_PER_SET, ENTRIES_PER_CAUSE_SET};
use crate::narrow::{in_memory, low16, low64};
use crate::sync::{AtomicU64, Relaxed, prefetch_to_read, zeroed};

const TIME_BITS: u32 = 16;
const CAUSE_BITS: u32 = 2;
const CAUSE: u64 = (1 << CAUSE_BITS) - 1;
const TAG: u64 = u64::MAX << (TIME_BITS + CAUSE_BITS);

/// What became of a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It expired.
    Expired = 1,
    /// It was removed by a call.
    Invalidated = 2,
    /// It was not inserted.
    Refused = 3,
}

type Word = Relaxed<AtomicU64>;

#[derive(Debug)]
pub(super) struct Causes {
    sets: usize,
    table: OnceLock<Table>,
    /// How many threads wanted to allocate it: the first one does.
    allocators: Word,
}

#[derive(Debug)]
struct Table {
    words: Box<[Word]>,
    /// Where the first cache line begins.
    first: usize,
}

impl Causes {
    /// A history for a cache of `entries` entries; not made yet.
    pub(super) fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(ENTRIES_PER_CAUSE_SET).max(1);
        Self { sets, table: OnceLock::new(), allocators: Word::new(0) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.table.get().map_or(0, |table| size_of_val(&*table.words))
    }

    /// Remembers what became of a key, and when.
    pub(super) fn record(&self, hash: u64, cause: Cause, time: u16) {
        let Some(table) = self.table() else { return };
        let mut moved = hash & TAG | (cause as u64) << TIME_BITS | u64::from(time);
        for word in self.set(table, hash) {
            let found = word.get();
            word.set(moved);
            if found == 0 || (found ^ hash) & TAG == 0 {
                break;
            }
            moved = found;
        }
    }

    /// Forgets a key, which has left for a reason that is remembered elsewhere.
    #[inline]
    pub(super) fn forget(&self, hash: u64) {
        let Some(table) = self.table.get() else { return };
        for word in self.set(table, hash) {
            let found = word.get();
            if found != 0 && (found ^ hash) & TAG == 0 {
                // The thread that moves it on at the same time keeps it: the times tell which was later.
                word.try_set(found, 0);
            }
        }
    }

    /// What became of a key last, and when.
    #[inline]
    pub(super) fn find(&self, hash: u64) -> Option<(Cause, u16)> {
        let set = self.set(self.table.get()?, hash);
        set.iter().map(Word::get).find_map(|word| {
            let cause = match word >> TIME_BITS & CAUSE {
                1 => Cause::Expired,
                2 => Cause::Invalidated,
                3 => Cause::Refused,
                _ => return None,
            };
            ((word ^ hash) & TAG == 0).then_some((cause, low16(word)))
        })
    }

    /// Prefetches the line that `find` reads.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some(table) = self.table.get() {
            prefetch_to_read(self.set(table, hash).as_ptr());
        }
    }

    /// The table. The first thread that asks for it allocates it; those that ask meanwhile get none.
    fn table(&self) -> Option<&Table> {
        if self.table.get().is_none() && self.allocators.add(1) == 0 {
            // No other thread does this, so no thread is waited for.
            self.table.get_or_init(|| Table::new(self.sets));
        }
        self.table.get()
    }

    #[inline]
    fn set<'m>(&self, table: &'m Table, hash: u64) -> &'m [Word] {
        let nth = (u128::from(hash) * self.sets as u128) >> 64;
        &table.words[table.first + in_memory(low64(nth)) * CAUSES_PER_SET..][..CAUSES_PER_SET]
    }
}

impl Table {
    fn new(sets: usize) -> Self {
        let words = zeroed((sets + 1) * CAUSES_PER_SET, || Word::new(0));
        let first =
            words.as_ptr().align_offset(CAUSES_PER_SET * size_of::<Word>()).min(CAUSES_PER_SET);
        Self { words, first }
    }
}
