//! The entry record: a key, its value, and the words that the cache keeps with them.
//!
//! An entry is one record of the table's slab. Its fixed part holds the hash, the key and the value and never
//! changes once the entry is linked, but for the recent uses of the key in the hash word. In front of it, at falling
//! addresses, lie as many words as the cache needs: an entry pays only for what is used.
//!
//! ```text
//!   [ tags | cost | charge | idle | modified | deadline ] hash | key | value [ token ]
//!                              -3     -2         -1         ^ what a slot points to
//! ```
//!
//! The charge lies in front of what there is of the times, the cost of a miss in front of that, and the address of
//! the tags in front of all.
//!
//! An entry whose value is being loaded carries a token behind it: see `token`.
//!
//! # Invariants
//!
//! - **E1** The number in an [`Entry`] or a [`RawEntry`], and the pointer in an [`EntryRef`] made from it, is that of
//!   a record of the slab, which outlives it, laid out for the slab's [`EntryLayout`] and the [`Kind`], with the
//!   fixed part and as many words in front of it as the shape says; all initialised in an entry, except the value
//!   of a placeholder.
//! - **E2** An [`Entry`] or a [`RawEntry`] owns its record (S1). An [`EntryRef<'g>`] points to one that is not given
//!   back during `'g`.
//! - **E3** The kind that an entry was laid out for is in its hash word, and never changes.
//! - **E4** The word of the tags is null, or the address of a set of which the entry has a share. Only the owner of
//!   an entry that no other thread has changes it.

mod entry_layout;
mod free_list;
mod latches;
mod placeholder;
mod slab;
mod tagged;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;
mod thin_load;

use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, needs_drop};
use std::ptr::{self, NonNull};

pub(crate) use entry_layout::EntryLayout;
pub(crate) use free_list::FreeList;
#[cfg(all(test, clockhand_loom))]
pub(crate) use latches::LatchList;
pub(crate) use placeholder::{Include, Kind, LoadStatus, LoadToken, plain_hash};
pub(crate) use slab::{Slab, is_plain};
pub(crate) use thin_load::{AnyFlight, ThinLoad};

use crate::sync::{EntryWord, FirstPanic, quietly};
use placeholder::{RenewingNode, recent_uses, with_recent_uses};

/// The fixed part of an entry.
#[repr(C)]
pub(crate) struct Node<K, V> {
    /// With the kind, and with the recent uses of the key.
    hash: EntryWord,
    key: K,
    value: V,
}

/// An entry that is owned: on its way into the table, or out of it for good.
pub(crate) struct Entry<K, V> {
    node: NonNull<Node<K, V>>,
    slab: NonNull<Slab<K, V>>,
    number: u32,
    _owns: PhantomData<Node<K, V>>,
}

/// The record of an entry, without contents.
pub(crate) struct RawEntry<K, V> {
    node: NonNull<Node<K, V>>,
    slab: NonNull<Slab<K, V>>,
    number: u32,
    kind: Kind,
}

/// A value that is dropped although its key has panicked. A panic of its own goes no further then.
struct ValueOnDrop<V>(*mut V);

impl<V> Drop for ValueOnDrop<V> {
    fn drop(&mut self) {
        // SAFETY: initialised by E1, and `Entry::emptied` does not come to drop it.
        quietly(|| unsafe { ptr::drop_in_place(self.0) });
    }
}

/// In the charge word: the charge is a part of a sum that the owner keeps.
const COUNTED: u64 = 1 << 63;

/// The most that an entry may weigh.
pub(crate) const HEAVIEST: u64 = COUNTED - 1;

/// What an entry weighs, and what a miss of its key costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryCosts {
    pub(crate) charge: u64,
    pub(crate) cost: u64,
}

impl EntryCosts {
    /// Of an entry that weighs nothing yet.
    const NONE: Self = Self { charge: 0, cost: 0 };
}

impl From<u64> for EntryCosts {
    /// A miss costs one, as by default.
    #[inline]
    fn from(charge: u64) -> Self {
        Self { charge, cost: 1 }
    }
}

/// An entry that another thread owns, for as long as `'g` protects it.
pub(crate) struct EntryRef<'g, K, V> {
    node: NonNull<Node<K, V>>,
    entry_layout: EntryLayout,
    _borrows: PhantomData<&'g Node<K, V>>,
}

impl<K, V> RawEntry<K, V> {
    /// A record of a slab that outlives it.
    #[cfg(test)]
    pub(crate) fn new(slab: &Slab<K, V>, kind: Kind) -> Self {
        let number = slab.take(kind);
        // SAFETY: handed out just now.
        let node = unsafe { slab.node(number) };
        Self { node, slab: NonNull::from(slab), number, kind }
    }

    /// A record for an entry without a token.
    ///
    /// # Safety
    ///
    /// The number was handed out by the slab, and is the caller's (S1).
    #[inline]
    pub(super) unsafe fn of(slab: &Slab<K, V>, number: u32) -> Self {
        // SAFETY: the caller's promise.
        let node = unsafe { slab.node(number) };
        Self { node, slab: NonNull::from(slab), number, kind: Kind::Plain }
    }

    /// A record for an entry with a token, of this kind.
    ///
    /// # Safety
    ///
    /// As for [`of`](Self::of).
    #[inline]
    pub(super) unsafe fn with_token(slab: &Slab<K, V>, number: u32, kind: Kind) -> Self {
        debug_assert!(kind != Kind::Plain && !is_plain(number), "a record with a token");
        // SAFETY: the caller's promise.
        let node = unsafe { slab.node(number) };
        Self { node, slab: NonNull::from(slab), number, kind }
    }

    #[inline]
    fn slab(&self) -> &Slab<K, V> {
        // SAFETY: it outlives its records (E1).
        unsafe { self.slab.as_ref() }
    }

    /// Makes it an entry. Its words of time are zero.
    #[inline]
    pub(crate) fn fill(self, hash: u64, key: K, value: V, costs: EntryCosts) -> Entry<K, V> {
        assert!(self.kind == Kind::Plain, "a token is missing");
        // SAFETY: allocated for it, aligned by the layout, and without contents.
        unsafe {
            self.node.write(Node { hash: EntryWord::new(Kind::Plain.word(hash)), key, value })
        };
        self.filled(costs)
    }

    /// Takes what was written into the fixed part for granted.
    #[inline]
    fn filled(self, costs: EntryCosts) -> Entry<K, V> {
        let raw_entry = ManuallyDrop::new(self);
        let entry = Entry {
            node: raw_entry.node,
            slab: raw_entry.slab,
            number: raw_entry.number,
            _owns: PhantomData,
        };
        entry.as_ref().write_words(costs);
        entry
    }

    /// The number of the record, which is the caller's.
    #[inline]
    pub(super) fn into_number(self) -> u32 {
        ManuallyDrop::new(self).number
    }
}

impl<K, V> Drop for RawEntry<K, V> {
    fn drop(&mut self) {
        self.slab().give(self.number);
    }
}

impl<K, V> Entry<K, V> {
    /// Makes an entry in a slab that outlives it. Its words of time are zero.
    #[cfg(test)]
    pub(crate) fn new(slab: &Slab<K, V>, hash: u64, key: K, value: V, charge: u64) -> Self {
        RawEntry::new(slab, Kind::Plain).fill(hash, key, value, charge.into())
    }

    #[inline]
    fn slab(&self) -> &Slab<K, V> {
        // SAFETY: it outlives its entries (E1).
        unsafe { self.slab.as_ref() }
    }

    /// Drops the contents.
    #[inline]
    pub(crate) fn clear(self) -> RawEntry<K, V> {
        let entry = ManuallyDrop::new(self);
        // SAFETY: owned by E2, and not dropped again.
        unsafe { entry.emptied() }
    }

    /// Drops the contents in place: all of them, whichever panics. The first panic is passed on at the
    /// end, unless the thread is panicking already.
    ///
    /// # Safety
    ///
    /// The entry is not used again.
    #[inline]
    unsafe fn emptied(&self) -> RawEntry<K, V> {
        if self.slab().entry_layout().is_tagged() {
            drop(self.take_tags());
        }
        // Told by the number, as the record may be in no cache.
        let kind = if is_plain(self.number) { Kind::Plain } else { self.as_ref().kind() };
        // Given back even if a destructor panics.
        let raw_entry = RawEntry { node: self.node, slab: self.slab, number: self.number, kind };
        let node = self.node.as_ptr();
        if kind != Kind::Plain || needs_drop::<Node<K, V>>() && std::thread::panicking() {
            // SAFETY: the caller's promise.
            unsafe { self.drop_parts(kind) };
            return raw_entry;
        }
        // SAFETY: within the fixed part by E1, as is the value.
        let key = unsafe { &raw mut (*node).key };
        // SAFETY: as above.
        let rest = ValueOnDrop(unsafe { &raw mut (*node).value });
        // SAFETY: initialised by E1, owned by E2, dropped once by the caller's promise.
        unsafe { ptr::drop_in_place(key) };
        let value = ManuallyDrop::new(rest).0;
        // SAFETY: as for the key.
        unsafe { ptr::drop_in_place(value) };
        raw_entry
    }

    /// Whether it is a placeholder of whose parts none has a destructor.
    #[inline]
    fn drops_nothing(&self, kind: Kind) -> bool {
        let thin = || matches!(self.as_ref().load_token(), Some(LoadToken::Thin(_)));
        !needs_drop::<K>() && kind == Kind::Placeholder && thin()
    }

    /// Drops key, value and token one after the other, each with a catch of its own.
    ///
    /// # Safety
    ///
    /// As for [`emptied`](Self::emptied), of an entry of this kind.
    #[cold]
    unsafe fn drop_parts(&self, kind: Kind) {
        if self.drops_nothing(kind) {
            return;
        }
        let mut panics = FirstPanic::default();
        let node = self.node.as_ptr();
        // SAFETY: within the fixed part by E1, as are the parts below.
        let key = unsafe { &raw mut (*node).key };
        // SAFETY: initialised by E1, owned by E2, dropped once by the caller's promise.
        panics.catch(|| unsafe { ptr::drop_in_place(key) });
        if kind != Kind::Placeholder {
            // SAFETY: as for the key.
            let value = unsafe { &raw mut (*node).value };
            // SAFETY: as for the key; the value is there by E1.
            panics.catch(|| unsafe { ptr::drop_in_place(value) });
        }
        if kind != Kind::Plain {
            let renewed = node.cast::<RenewingNode<K, V>>();
            // SAFETY: laid out so by E3; a placeholder has the token at the
            // same offset.
            let token = unsafe { &raw mut (*renewed).token };
            // SAFETY: as for the key.
            panics.catch(|| unsafe { ptr::drop_in_place(token) });
        }
        panics.pass_on();
    }

    /// Notes when it was born, by the domain that it is going to be retired to. Only before the entry is linked.
    #[inline]
    pub(crate) fn born(self, birth: u32) -> Self {
        // SAFETY: owned by E2.
        unsafe { self.slab().set_birth(self.node, self.number, birth) };
        self
    }

    /// When it was born.
    #[inline]
    pub(crate) fn birth(&self) -> u32 {
        // SAFETY: handed out, as the entry is there (E1).
        unsafe { self.slab().birth(self.number) }
    }

    /// The number of its record, by which the entry is found again where its hash leads to; another one may have it
    /// by then.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Borrows the entry.
    #[inline]
    pub(crate) fn as_ref(&self) -> EntryRef<'_, K, V> {
        EntryRef {
            node: self.node,
            entry_layout: self.slab().entry_layout(),
            _borrows: PhantomData,
        }
    }

    /// Gives up the ownership: a number for a slot.
    #[inline]
    pub(crate) fn into_raw(self) -> u32 {
        ManuallyDrop::new(self).number
    }

    /// Takes the ownership back.
    ///
    /// # Safety
    ///
    /// `number` came from [`into_raw`](Self::into_raw) of an entry of this slab, and no other thread owns it.
    #[inline]
    pub(crate) unsafe fn from_raw(number: u32, slab: &Slab<K, V>) -> Self {
        // SAFETY: the caller's promise.
        let node = unsafe { slab.node(number) };
        Self { node, slab: NonNull::from(slab), number, _owns: PhantomData }
    }

    /// Takes the ownership of what another thread borrows.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw); `entry` was made of this number.
    #[inline]
    pub(crate) unsafe fn of(entry: EntryRef<'_, K, V>, number: u32, slab: &Slab<K, V>) -> Self {
        Self { node: entry.node, slab: NonNull::from(slab), number, _owns: PhantomData }
    }

    /// Takes the key and the value out and frees the rest.
    ///
    /// # Panics
    ///
    /// If the entry has no value, or the token of a load.
    pub(crate) fn into_parts(self) -> (K, V) {
        let kind = self.as_ref().kind();
        // Such a token has nothing to be dropped.
        let no_load = matches!(self.as_ref().load_token(), None | Some(LoadToken::RenewAfter(_)));
        assert!(no_load, "an entry whose value is being loaded is not taken apart");
        drop(self.take_tags());
        let entry = ManuallyDrop::new(self);
        let _hull = RawEntry { node: entry.node, slab: entry.slab, number: entry.number, kind };
        // SAFETY: initialised by E1; not used again, as the entry is not dropped.
        let node = unsafe { entry.node.read() };
        (node.key, node.value)
    }
}

impl<K, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        // SAFETY: owned by E2; this is the end of it.
        drop(unsafe { self.emptied() });
    }
}

// SAFETY: an entry owns a key and a value and nothing else that is tied to a thread.
unsafe impl<K: Send, V: Send> Send for Entry<K, V> {}
// SAFETY: a shared entry lends its key and its value; its words are atomics.
unsafe impl<K: Sync, V: Sync> Sync for Entry<K, V> {}

impl<K, V> Clone for EntryRef<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V> Copy for EntryRef<'_, K, V> {}

impl<'g, K, V> EntryRef<'g, K, V> {
    /// Borrows the entry whose number a slot has.
    ///
    /// # Safety
    ///
    /// `number` came from [`Entry::into_raw`] of an entry of this slab, and is not given back during `'g`.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(number: u32, slab: &Slab<K, V>) -> Self {
        // SAFETY: the caller's promise.
        let node = unsafe { slab.node(number) };
        Self { node, entry_layout: slab.entry_layout(), _borrows: PhantomData }
    }

    #[inline]
    fn word_of_hash(&self) -> &'g EntryWord {
        // SAFETY: initialised by E1, alive during `'g` by E2; a stamp is an atomic.
        unsafe { &(*self.node.as_ptr()).hash }
    }

    /// The same of an entry without a token.
    ///
    /// # Safety
    ///
    /// As for [`from_raw`](Self::from_raw), and the number is [plain](is_plain).
    #[inline(always)]
    pub(crate) unsafe fn from_plain(number: u32, slab: &Slab<K, V>) -> Self {
        // SAFETY: the caller's promise.
        let node = unsafe { slab.plain_node(number) };
        Self { node, entry_layout: slab.entry_layout(), _borrows: PhantomData }
    }

    /// Prefetches the line where its fixed part begins.
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        crate::sync::prefetch_to_read(self.node.as_ptr().cast_const());
    }

    /// The hash with the kind, and with the recent uses of the key.
    #[inline]
    fn hash_word(&self) -> u64 {
        self.word_of_hash().get()
    }

    /// The recent uses of the key, as noted by its owner: none at first.
    #[inline]
    pub(crate) fn recent_uses(&self) -> u8 {
        recent_uses(self.hash_word())
    }

    /// Notes the recent uses of the key. Of two notes at the same time one may be lost.
    #[inline]
    pub(crate) fn set_recent_uses(&self, recent_uses: u8) {
        let word = self.word_of_hash();
        word.set(with_recent_uses(word.get(), recent_uses));
    }

    /// The hash of the key.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        plain_hash(self.hash_word())
    }

    /// Whether the key's hash is this one, and the entry of a kind that is sought.
    #[inline]
    pub(crate) fn matches(&self, hash: u64, include: Include) -> bool {
        include.matches(self.hash_word(), hash)
    }

    /// What the entry carries.
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.hash_word())
    }

    /// Whether the entry has no value, and its load may bring one.
    #[inline]
    pub(crate) fn is_placeholder(&self) -> bool {
        self.kind() == Kind::Placeholder
    }

    /// Whether it has a value that a load is about to replace.
    #[inline]
    pub(crate) fn is_being_renewed(&self) -> bool {
        self.kind() == Kind::Renewing
            && self.load_token().is_some_and(|token| token.keeps_entry() && !token.has_failed())
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &'g K {
        // SAFETY: as in `word_of_hash`, and never written while shared; a pointer to the field alone, as the value
        // may be missing.
        unsafe { &(*self.node.as_ptr()).key }
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// If the entry is a placeholder.
    #[inline]
    pub(crate) fn value(&self) -> &'g V {
        assert!(!self.is_placeholder(), "the value of a placeholder was asked for");
        // SAFETY: as in `key`; the value is there by E1.
        unsafe { &(*self.node.as_ptr()).value }
    }

    /// The token, if the entry has one.
    pub(crate) fn load_token(&self) -> Option<&'g LoadToken> {
        if self.kind() == Kind::Plain {
            return None;
        }
        // The layout of a placeholder has the token at the same offset.
        let renewed = self.node.cast::<RenewingNode<K, V>>().as_ptr();
        // SAFETY: laid out so by E3, initialised by E1, alive during `'g` by E2.
        Some(unsafe { &(*renewed).token })
    }

    /// Where the record lies.
    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        self.node.as_ptr().addr()
    }

    /// Whether both are the same record.
    pub(crate) fn is(&self, other: EntryRef<'_, K, V>) -> bool {
        ptr::eq(self.node.as_ptr(), other.node.as_ptr())
    }

    /// The word of time at `-nth`, if the shape has it.
    #[inline]
    fn time(&self, nth: usize) -> Option<&'g EntryWord> {
        if nth > self.entry_layout.times() { None } else { Some(self.word(nth)) }
    }

    /// The word of the charge, if the shape has it.
    #[inline]
    fn weight(&self) -> Option<&'g EntryWord> {
        self.entry_layout.is_weighed().then(|| self.word(self.entry_layout.times() + 1))
    }

    /// The word at `-nth`, which the shape has.
    #[inline]
    fn word(&self, nth: usize) -> &'g EntryWord {
        debug_assert!(
            (1..=self.entry_layout.words()).contains(&nth),
            "a word that the entry does not have"
        );
        // SAFETY: by E1 the shape's words lie directly in front of the fixed part.
        let word = unsafe { self.node.cast::<EntryWord>().sub(nth) };
        // SAFETY: initialised by E1 and alive during `'g` by E2; a stamp is an atomic.
        unsafe { word.as_ref() }
    }

    fn write_words(&self, costs: EntryCosts) {
        debug_assert!(costs.charge <= HEAVIEST, "heavier than an entry may be");
        if self.entry_layout != EntryLayout::PLAIN {
            self.write_further_words(costs);
        }
    }

    fn write_further_words(&self, costs: EntryCosts) {
        let write = |nth: usize, value| {
            // SAFETY: by E1 the word lies within the allocation; it is written before it is read.
            let word = unsafe { self.node.cast::<EntryWord>().sub(nth) };
            // SAFETY: as above, and no other thread has the entry yet.
            unsafe { word.write(EntryWord::new(value)) };
        };
        // That of the tags is null.
        (1..=self.entry_layout.words()).for_each(|nth| write(nth, 0));
        if self.entry_layout.is_weighed() {
            write(self.entry_layout.times() + 1, costs.charge);
        }
        if self.entry_layout.is_priced() {
            write(self.entry_layout.times() + 2, costs.cost);
        }
    }

    /// The charge of the entry: what it weighs, or one in a cache without a weigher. A placeholder has
    /// none.
    #[inline]
    pub(crate) fn charge(&self) -> u64 {
        if self.is_placeholder() { 0 } else { self.weight_of_value() }
    }

    /// The charge of an entry that is no placeholder.
    #[inline]
    pub(crate) fn weight_of_value(&self) -> u64 {
        self.weight().map_or(1, |word| word.get() & HEAVIEST)
    }

    /// What a miss of the key costs; one by default.
    #[inline]
    pub(crate) fn cost(&self) -> u64 {
        if self.entry_layout.is_priced() {
            self.word(self.entry_layout.times() + 2).get()
        } else {
            1
        }
    }

    /// Charge and cost.
    pub(crate) fn costs(&self) -> EntryCosts {
        EntryCosts { charge: self.charge(), cost: self.cost() }
    }

    /// Notes that the charge is counted. Only before the entry is linked.
    pub(crate) fn count(&self) {
        if let Some(word) = self.weight() {
            word.set(word.get() | COUNTED);
        }
    }

    /// Whether the charge is counted.
    #[cfg(any(test, fuzzing, clockhand_fuzz))]
    pub(crate) fn is_counted(&self) -> bool {
        self.weight().is_some_and(|word| word.get() & COUNTED != 0)
    }

    /// Takes that note back; the charge if it was counted, and nothing else. Of all that call this, one
    /// gets the charge.
    #[inline]
    pub(crate) fn uncount(&self) -> Option<u64> {
        let word = self.weight()?;
        word.take(COUNTED).then(|| self.charge())
    }

    /// When the entry expires, unless reads move that.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<&'g EntryWord> {
        self.time(1)
    }

    /// The earlier of both deadlines, and no later than `life` after the value was written; never, if there is none.
    /// The highest bit of a deadline is its owner's own.
    pub(crate) fn end(&self, life: u64) -> u64 {
        let at = |word: Option<&EntryWord>| word.map_or(u64::MAX, EntryWord::get) & (u64::MAX >> 1);
        let own = at(self.deadline()).min(at(self.idle_deadline()));
        own.min(self.modified().map_or(u64::MAX, |word| word.get().saturating_add(life)))
    }

    /// When the value was written.
    #[inline]
    pub(crate) fn modified(&self) -> Option<&'g EntryWord> {
        self.time(2)
    }

    /// When the entry expires unless it is read.
    #[inline]
    pub(crate) fn idle_deadline(&self) -> Option<&'g EntryWord> {
        self.time(3)
    }
}

impl<K, V> fmt::Debug for Entry<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl<K, V> fmt::Debug for EntryRef<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("node", &self.node).finish_non_exhaustive()
    }
}
