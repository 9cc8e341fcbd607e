//! Seven slots: what a bucket and every link of its chain are made of.

use super::word::Word;
use crate::entry::{EntryRef, Slab, Sought};
use crate::sync::{AtomicU64, Ordering};

/// Slots in a row.
pub(super) const LANES: usize = 7;

#[derive(Debug)]
#[repr(C)]
pub(super) struct Row {
    slots: [AtomicU64; LANES],
}

/// What a search found in a row.
pub(super) struct Match<'g, K, V> {
    pub(super) lane: usize,
    pub(super) word: Word,
    pub(super) entry: EntryRef<'g, K, V>,
}

impl Row {
    pub(super) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| AtomicU64::new(0)) }
    }

    #[inline(always)]
    pub(super) fn word(&self, lane: usize) -> Word {
        // ORDERING T-c: Acquire: the entry's contents, and what became of those that were there before; pairs with
        // the release of whoever changed the slot (`try_word`).
        Word(self.slots[lane].load(Ordering::Acquire))
    }

    /// One attempt to change a slot.
    #[inline(always)]
    pub(super) fn try_word(&self, lane: usize, from: Word, to: Word) -> Result<(), Word> {
        // ORDERING T-d: AcqRel: Release publishes the entry's contents to `word`; Acquire lets the
        // winner read the entry that it took out. The loser sees what the winner left.
        self.slots[lane]
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(Word)
    }

    pub(super) fn words(&self) -> impl Iterator<Item = (usize, Word)> {
        (0..LANES).map(|lane| (lane, self.word(lane)))
    }

    /// Finds the key with this hash among the slots in these lanes for which `is_readable` holds, and whose entries are
    /// sought.
    ///
    /// # Safety
    ///
    /// The caller is pinned, the row's entries are in this slab, and `is_readable` holds for readable words alone.
    #[inline(always)]
    pub(super) unsafe fn seek<'g, K, V>(
        &self,
        slab: &'g Slab<K, V>,
        (hash, sought): (u64, Sought),
        (lanes, is_readable): (impl Iterator<Item = usize>, impl Fn(Word) -> bool),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Option<Match<'g, K, V>> {
        for lane in lanes {
            let word = self.word(lane);
            if is_readable(word) {
                // SAFETY: a readable word has the number of a linked entry, and the caller is pinned (T1).
                let entry = unsafe { EntryRef::from_raw(word.number(), slab) };
                if entry.matches(hash, sought) && eq(entry.key()) {
                    return Some(Match { lane, word, entry });
                }
            }
        }
        None
    }

    /// Claims a vacant slot of a chain for an entry; its lane.
    pub(super) fn claim(&self, word: Word) -> Option<usize> {
        let mut lanes = self.words();
        let claimed = lanes.find(|&(lane, vacant)| {
            vacant.is_vacant() && self.try_word(lane, vacant, word.claimed()).is_ok()
        });
        claimed.map(|(lane, _)| lane)
    }

    /// Freezes every slot.
    pub(super) fn freeze(&self) {
        for lane in 0..LANES {
            let mut word = self.word(lane);
            while !word.is_frozen() {
                match self.try_word(lane, word, word.frozen()) {
                    Ok(()) => break,
                    Err(now) => word = now,
                }
            }
        }
    }

    /// Seals a row whose slots are all vacant, so that it can be taken off a chain.
    pub(super) fn seal(&self) -> bool {
        for (lane, word) in self.words() {
            if !word.is_vacant() || self.try_word(lane, word, Word::sealed()).is_err() {
                self.unseal(0..lane);
                return false;
            }
        }
        true
    }

    pub(super) fn unseal(&self, lanes: std::ops::Range<usize>) {
        for lane in lanes {
            let _ = self.try_word(lane, Word::sealed(), Word::vacant(0));
        }
    }

    /// Fills a row that nobody can see yet.
    pub(super) fn fill(&mut self, lane: usize, word: Word) {
        // ORDERING S-o: Relaxed: published with the row.
        self.slots[lane].store(word.0, Ordering::Relaxed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words().all(|(_, word)| !word.is_occupied())
    }
}
