//! A slot as the search for a victim has seen it.

use super::array::Bucket;
use super::group::Slot;
use super::slot_word::SlotWord;
use crate::entry::{EntryRef, is_plain};
use crate::slot_meta::SlotMeta;

/// A slot with a visible entry, and the word that it had: what the search for a victim hands on. Of the bucket
/// it has the line alone, as few of those that are looked at are changed.
pub(crate) struct SlotSnapshot<'g, K, V> {
    pub(super) line: &'g Bucket,
    pub(super) slot: &'g Slot,
    pub(super) word: SlotWord,
    pub(super) entry: EntryRef<'g, K, V>,
}

impl<K, V> Clone for SlotSnapshot<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for SlotSnapshot<'_, K, V> {}

impl<'g, K, V> SlotSnapshot<'g, K, V> {
    /// The entry.
    #[inline(always)]
    pub(crate) fn entry(self) -> EntryRef<'g, K, V> {
        self.entry
    }

    /// What the policy knew of the entry.
    #[inline(always)]
    pub(crate) fn meta(self) -> SlotMeta {
        self.word.meta()
    }

    /// Whether the entry has a token: it is a placeholder, or its value is being renewed.
    #[inline(always)]
    pub(crate) fn has_token(self) -> bool {
        !is_plain(self.word.number())
    }
}
