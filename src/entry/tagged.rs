//! The tags of an entry: a word in front of it that has the address of their set.

use std::ptr::NonNull;
use std::sync::Arc;

use super::{Entry, EntryRef};
use crate::sync::Address;
use crate::tags::TagSet;

const _: () = assert!(size_of::<Address<TagSet>>() == size_of::<u64>(), "one word");
const _: () = assert!(align_of::<Address<TagSet>>() <= align_of::<u64>(), "at any place of a word");

impl<K, V> Entry<K, V> {
    /// Gives the entry these tags instead of those that it has; none in a cache without tags.
    pub(crate) fn set_tags(&mut self, tags: Option<Arc<TagSet>>) {
        drop(self.take_tags());
        if let (Some(word), Some(tags)) = (self.as_ref().tag_word(), tags) {
            word.set(Arc::into_raw(tags).cast_mut());
        }
    }

    /// The tags that the entry has. After that it has none.
    #[inline]
    pub(super) fn take_tags(&self) -> Option<Arc<TagSet>> {
        let entry = self.as_ref();
        let word = entry.tag_word()?;
        let tags = NonNull::new(word.get())?;
        word.set(std::ptr::null_mut());
        // SAFETY: the share of the entry, by E4; the word does not have it any more. The entry is owned (E2), and
        // no other thread has it.
        Some(unsafe { Arc::from_raw(tags.as_ptr()) })
    }
}

impl<'g, K, V> EntryRef<'g, K, V> {
    #[inline]
    fn tag_word(&self) -> Option<&'g Address<TagSet>> {
        if !self.entry_layout.is_tagged() {
            return None;
        }
        // SAFETY: by E1 the shape's words lie directly in front of the fixed part.
        let word = unsafe { self.node.cast::<Address<TagSet>>().sub(self.entry_layout.words()) };
        // SAFETY: initialised by E1, with zero, which is null; alive during `'g` by E2; an address is an atomic.
        Some(unsafe { word.as_ref() })
    }

    /// The tags of the entry, if it has any.
    #[inline]
    pub(crate) fn tags(&self) -> Option<&'g TagSet> {
        let tags = NonNull::new(self.tag_word()?.get())?;
        // SAFETY: the set is there as long as the entry is, which has a share of it (E4), and that is not dropped
        // during `'g` (E2).
        Some(unsafe { tags.as_ref() })
    }

    /// The same, shared.
    pub(crate) fn tag_set(&self) -> Option<Arc<TagSet>> {
        let tags = std::ptr::from_ref(self.tags()?);
        // SAFETY: made by `Arc::into_raw`; the entry has a share during this call (E4, E2).
        unsafe { Arc::increment_strong_count(tags) };
        // SAFETY: as above, and the share that was added is the caller's.
        Some(unsafe { Arc::from_raw(tags) })
    }

    /// Whether one of its tags was invalidated since it was begun.
    #[inline]
    pub(crate) fn is_invalidated(&self) -> bool {
        self.tags().is_some_and(|tags| !tags.is_live())
    }
}
