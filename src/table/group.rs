//! Seven slots: what a bucket and every link of its chain are made of.

use super::slot_word::SlotWord;
use crate::entry::{EntryRef, Include, Slab};
use crate::reclaim::{Validate, stall_point};
use crate::sync::{AtomicU64, Ordering};

/// Slots in a group.
pub(crate) const SLOTS_PER_GROUP: usize = 7;

/// A place for one entry: a word.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Slot(AtomicU64);

#[derive(Debug)]
#[repr(C)]
pub(super) struct Group {
    slots: [Slot; SLOTS_PER_GROUP],
}

/// What a search looks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) hash: u64,
    pub(super) include: Include,
}

/// What a search found in a group.
pub(super) struct Match<'g, K, V> {
    pub(super) slot: &'g Slot,
    pub(super) word: SlotWord,
    pub(super) entry: EntryRef<'g, K, V>,
}

impl Slot {
    #[inline(always)]
    pub(super) fn word(&self) -> SlotWord {
        // ORDERING T-c: Acquire: the entry's contents, and what became of those that were there before; pairs with
        // the release of the thread that changed the slot (`try_word`).
        let word = SlotWord(self.0.load(Ordering::Acquire));
        stall_point();
        word
    }

    /// One attempt to change the word.
    #[inline(always)]
    pub(super) fn try_word(&self, from: SlotWord, to: SlotWord) -> Result<(), SlotWord> {
        // ORDERING T-d: AcqRel: Release publishes the entry's contents to `word`; Acquire lets the
        // winner read the entry that it took out. The loser sees what the winner left.
        self.0
            .compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Acquire)
            .map(drop)
            .map_err(SlotWord)
    }
}

impl Group {
    pub(super) fn new() -> Self {
        Self { slots: std::array::from_fn(|_| Slot(AtomicU64::new(0))) }
    }

    #[inline(always)]
    pub(super) fn slot(&self, slot_index: usize) -> &Slot {
        &self.slots[slot_index]
    }

    /// Whether a slot is one of this group.
    #[inline]
    pub(super) fn has(&self, slot: &Slot) -> bool {
        self.slots.as_ptr_range().contains(&std::ptr::from_ref(slot))
    }

    #[inline(always)]
    pub(super) fn word(&self, slot_index: usize) -> SlotWord {
        self.slots[slot_index].word()
    }

    pub(super) fn words(&self) -> impl Iterator<Item = (usize, SlotWord)> {
        (0..SLOTS_PER_GROUP).map(|slot_index| (slot_index, self.word(slot_index)))
    }

    /// Finds the key with this hash among the slots with these indices for which `is_readable` holds, and whose
    /// entries are sought.
    ///
    /// # Errors
    ///
    /// If the thread was neutralized.
    ///
    /// # Safety
    ///
    /// The caller is pinned, the group's entries are in this slab, and `is_readable` holds for readable words alone.
    #[inline(always)]
    pub(super) unsafe fn search<'g, K, V, W: Validate>(
        &'g self,
        slab: &'g Slab<K, V>,
        validator: W,
        Query { hash, include }: Query,
        (slot_indices, is_readable): (impl Iterator<Item = usize>, impl Fn(SlotWord) -> bool),
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Result<Option<Match<'g, K, V>>, W::Restarts> {
        for slot_index in slot_indices {
            let slot = self.slot(slot_index);
            let word = slot.word();
            if is_readable(word) {
                let number = validator.validate(word)?.get().number();
                // SAFETY: a readable word has the number of a linked entry, and the caller is pinned, and has looked (T1, T9).
                let entry = unsafe { EntryRef::from_raw(number, slab) };
                if entry.matches(hash, include) && eq(entry.key()) {
                    return Ok(Some(Match { slot, word, entry }));
                }
            }
        }
        Ok(None)
    }

    /// Claims a vacant slot of a chain for an entry.
    pub(super) fn claim(&self, word: SlotWord) -> Option<&Slot> {
        self.slots.iter().find(|slot| {
            let vacant = slot.word();
            vacant.is_vacant() && slot.try_word(vacant, word.claimed()).is_ok()
        })
    }

    /// Freezes every slot.
    pub(super) fn freeze(&self) {
        for slot in &self.slots {
            let mut word = slot.word();
            while !word.is_frozen() {
                match slot.try_word(word, word.frozen()) {
                    Ok(()) => break,
                    Err(now) => word = now,
                }
            }
        }
    }

    /// Seals a group whose slots are all vacant, so that it can be taken off a chain.
    pub(super) fn seal(&self) -> bool {
        for (slot_index, word) in self.words() {
            if !word.is_vacant()
                || self.slot(slot_index).try_word(word, SlotWord::sealed()).is_err()
            {
                self.unseal(0..slot_index);
                return false;
            }
        }
        true
    }

    pub(super) fn unseal(&self, slot_indices: std::ops::Range<usize>) {
        for slot_index in slot_indices {
            let _ = self.slot(slot_index).try_word(SlotWord::sealed(), SlotWord::vacant(0));
        }
    }

    /// Fills a group that no thread can see yet.
    pub(super) fn fill(&mut self, slot_index: usize, word: SlotWord) {
        // ORDERING S-o: Relaxed: published with the group.
        self.slots[slot_index].0.store(word.0, Ordering::Relaxed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words().all(|(_, word)| !word.is_occupied())
    }
}
