//! A bucket with its chain: a small lock-free set. The protocol of `table` is here.

use std::marker::PhantomData;

use super::array::{Array, Bucket};
use super::chain::{ChainHead, Link};
use super::deferred_box::DeferredBox;
use super::group::{Group, Match, Query, SLOTS_PER_GROUP, Slot};
use super::header::{Announced, Header};
use super::slot_vector::SlotVector;
use super::slot_word::{BucketContents, SlotWord, tag_of};
use crate::entry::{Entry, EntryRef, is_plain};
use crate::reclaim::{Mode, Outcome, Unchecked, Validate, Validated, Writes};
use crate::slot_meta::{Region, SlotMeta};
use crate::sync::seeded;

/// The bucket where all keys with certain hashes live, as seen by a thread that is pinned (T1), in a mode: one that reads has
/// to look before it follows what it finds here (T9).
pub(super) struct BucketRef<'g, K, V, X, M = Writes> {
    pub(super) array: &'g Array<K, V, X>,
    pub(super) line: &'g Bucket,
    _mode: PhantomData<M>,
}

impl<K, V, X, M> Clone for BucketRef<'_, K, V, X, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X, M> Copy for BucketRef<'_, K, V, X, M> {}

/// A readable entry and the slot it was found in.
pub(crate) struct Occupied<'g, K, V, X, M = Writes> {
    pub(super) bucket: BucketRef<'g, K, V, X, M>,
    pub(super) slot: &'g Slot,
    pub(super) word: SlotWord,
    pub(super) entry: EntryRef<'g, K, V>,
}

impl<K, V, X, M> Clone for Occupied<'_, K, V, X, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X, M> Copy for Occupied<'_, K, V, X, M> {}

/// The slot alone, and the word that it had: two words, so that it is handed on in registers.
#[derive(Clone, Copy)]
pub(crate) struct OccupiedSlot<'g> {
    pub(super) slot: &'g Slot,
    pub(super) word: SlotWord,
}

/// Evidence that a key was not there when its bucket's header word had a certain value.
pub(crate) struct Vacant<'g, K, V, X> {
    pub(super) bucket: BucketRef<'g, K, V, X>,
    header: Header,
}

/// Where a write found its key.
pub(crate) enum Lookup<'g, K, V, X> {
    /// The key is there.
    Occupied(Occupied<'g, K, V, X>),
    /// The key is not there.
    Vacant(Vacant<'g, K, V, X>),
}

/// What a look at a bucket's own slots has found.
pub(super) type Probed<'g, K, V, X, M> = Result<Occupied<'g, K, V, X, M>, ProbeMiss>;

/// What it says of a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeMiss {
    /// It is nowhere.
    Absent,
    /// It may be in the chain, or in the next generation.
    ProbeFurther,
}

impl<'g, K, V, X, M> BucketRef<'g, K, V, X, M> {
    /// The bucket of a hash, or of a position, for a thread that is pinned in this mode.
    #[inline(always)]
    pub(super) fn seen_at(array: &'g Array<K, V, X>, hash: u64) -> Self {
        Self { array, line: array.bucket_of(hash), _mode: PhantomData }
    }

    /// Which of the generation's buckets it is.
    #[inline(always)]
    pub(super) fn index(&self) -> usize {
        self.array.index_at(self.line)
    }

    #[inline]
    pub(super) fn group(&self) -> &'g Group {
        &self.line.group
    }

    /// A look at all of the bucket's own slots.
    #[inline(always)]
    pub(super) fn load_slots(&self) -> SlotVector {
        SlotVector::load(self.line)
    }

    #[inline]
    pub(super) fn header(&self) -> Header {
        self.line.header()
    }

    pub(super) fn head(&self) -> ChainHead {
        self.array.head(self.index())
    }

    /// The links of the chain, newest first. A look at the head is one at all of them: those further down were there before.
    pub(super) fn links(
        &self,
        head: Validated<ChainHead>,
    ) -> impl Iterator<Item = &'g Link> + use<'g, K, V, X, M> {
        let mut next = head.get().link();
        std::iter::from_fn(move || {
            // SAFETY: a link that was reached from its bucket is not freed while the thread is
            // pinned, which has looked (T1, T9).
            let link = unsafe { next.as_ref() }?;
            next = link.next;
            Some(link)
        })
    }
}

/// Searches, of threads that write and of those that may be neutralized.
impl<'g, K, V, X, M: Mode> BucketRef<'g, K, V, X, M> {
    /// Finds the key among the readable slots whose entries are sought.
    #[inline(always)]
    pub(super) fn search(
        &self,
        validator: M::Validate<'g>,
        header: Header,
        query: Query,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Outcome<'g, Option<Occupied<'g, K, V, X, M>>, M> {
        match self.search_own_slots(validator, query, eq)? {
            None if header.overflows() => self.search_chain(validator, query, eq),
            found => Ok(found),
        }
    }

    /// Finds the key among the bucket's own slots.
    #[inline(always)]
    pub(super) fn search_own_slots(
        &self,
        validator: M::Validate<'g>,
        query: Query,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Outcome<'g, Option<Occupied<'g, K, V, X, M>>, M> {
        let (group, tag) = (self.group(), tag_of(query.hash));
        let slot_indices =
            (self.load_slots().matching(query.hash), |word: SlotWord| word.is_own_as(tag));
        // SAFETY: a bucket reference is made by a pinned thread, of entries of the array's slab (T1); a bucket's own slots are
        // never claimed.
        let found = unsafe { group.search(self.array.slab(), validator, query, slot_indices, eq) }?;
        Ok(found.map(|found| self.found(found)))
    }

    #[inline(always)]
    fn found(&self, found: Match<'g, K, V>) -> Occupied<'g, K, V, X, M> {
        Occupied { bucket: *self, slot: found.slot, word: found.word, entry: found.entry }
    }

    /// Finds a key's value among the bucket's own slots, where nearly all values are; else, whether it may be found by a search
    /// that includes placeholders. The hash is not compared, as its tag was.
    #[inline(always)]
    pub(super) fn probe(
        &self,
        validator: M::Validate<'g>,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Outcome<'g, Probed<'g, K, V, X, M>, M> {
        for slot_index in self.load_slots().matching(hash) {
            let slot = self.group().slot(slot_index);
            let word = slot.word();
            // It may have changed since the look; a vacant word has no number.
            if !is_plain(word.number()) {
                if word.is_occupied() {
                    return Ok(Err(ProbeMiss::ProbeFurther));
                }
                continue;
            }
            let number = validator.validate(word)?.get().number();
            // SAFETY: the number of a linked entry, as a bucket's own slots are never claimed; the thread is pinned, and has
            // looked (T1, T9).
            let entry = unsafe { EntryRef::from_plain(number, self.array.slab()) };
            if eq(entry.key()) {
                return Ok(Ok(Occupied { bucket: *self, slot, word, entry }));
            }
        }
        Ok(Err(ProbeMiss::Absent))
    }

    #[cold]
    fn search_chain(
        &self,
        validator: M::Validate<'g>,
        query: Query,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Outcome<'g, Option<Occupied<'g, K, V, X, M>>, M> {
        let tag = tag_of(query.hash);
        for link in self.links(validator.validate(self.head())?) {
            let slot_indices = (0..SLOTS_PER_GROUP, |word: SlotWord| word.is_readable_as(tag));
            // SAFETY: as in `search_own_slots`.
            let found = unsafe {
                link.group.search(self.array.slab(), validator, query, slot_indices, eq)
            }?;
            if let Some(found) = found {
                return Ok(Some(self.found(found)));
            }
        }
        Ok(None)
    }
}

impl<'g, K, V, X> BucketRef<'g, K, V, X> {
    #[inline(always)]
    pub(super) fn at(array: &'g Array<K, V, X>, index: usize) -> Self {
        Self { array, line: array.bucket(index), _mode: PhantomData }
    }

    /// The bucket of a hash, or of a position.
    #[inline(always)]
    pub(super) fn of(array: &'g Array<K, V, X>, hash: u64) -> Self {
        Self::seen_at(array, hash)
    }

    #[inline]
    pub(super) fn try_header(&self, from: Header, to: Header) -> bool {
        self.line.try_header(from, to)
    }

    /// The entry with a number that a readable slot has, or that was announced and has not left.
    #[inline(always)]
    pub(super) fn entry(&self, number: u32) -> EntryRef<'g, K, V> {
        // SAFETY: a bucket reference is made by a pinned thread (T1), and this one by one that is not neutralized (T9).
        unsafe { EntryRef::from_raw(number, self.array.slab()) }
    }

    /// A readable entry that was met in a slot.
    #[inline]
    pub(super) fn occupied(&self, slot: &'g Slot, word: SlotWord) -> Occupied<'g, K, V, X> {
        Occupied { bucket: *self, slot, word, entry: self.entry(word.number()) }
    }

    /// The entry whose record has this number, if it is in one of the bucket's own slots and that is not frozen.
    #[inline]
    pub(super) fn find_number(&self, hash: u64, number: u32) -> Option<Occupied<'g, K, V, X>> {
        let slots =
            self.load_slots().matching(hash).map(|slot_index| self.group().slot(slot_index));
        let found = |slot: &'g Slot| {
            let word = slot.word();
            let is_one = word.number() == number && word.is_readable() && !word.is_frozen();
            is_one.then(|| self.occupied(slot, word))
        };
        { slots }.find_map(found)
    }

    /// The links of the present chain.
    pub(super) fn chain(&self) -> impl Iterator<Item = &'g Link> + use<'g, K, V, X> {
        self.chain_at(self.head())
    }

    /// The links that hang on a head.
    fn chain_at(&self, head: ChainHead) -> impl Iterator<Item = &'g Link> + use<'g, K, V, X> {
        let Ok(head) = Unchecked::new().validate(head);
        self.links(head)
    }

    /// The header word, after what it announces has become visible.
    ///
    /// # Progress
    ///
    /// Lock-free: it looks again only when the word has changed.
    #[inline(always)]
    pub(super) fn help_announced(&self) -> Header {
        loop {
            let header = self.header();
            if seeded("table-no-help") {
                return header;
            }
            let settled = match header.announced() {
                Announced::Nothing => true,
                Announced::InSlot(slot_index, number) => {
                    let word = self.group().word(slot_index);
                    // What is vacant was left by the announced entry, or waits for it.
                    !word.is_vacant()
                        || word.is_vacated_at(header.version())
                        || self.help(header, (slot_index, word), number)
                }
                Announced::InChain(number) => self.help_in_chain(header, number),
            };
            if settled {
                return header;
            }
        }
    }

    /// The first of the bucket's own slots that is vacant, and was not vacated at this version.
    #[inline(always)]
    fn vacancy(&self, but: u32) -> Option<(usize, SlotWord)> {
        let mut words = self
            .load_slots()
            .unoccupied()
            .map(|slot_index| (slot_index, self.group().word(slot_index)));
        words.find(|(_, word)| word.is_vacant() && !word.is_vacated_at(but))
    }

    /// Puts the announced entry in its slot, if it still is announced; whether it was.
    ///
    /// The word was read while the announcement stood. A word of a slot that was left later says so, and no word
    /// comes back (T3): if the exchange succeeds, the entry has never been there.
    #[cold]
    #[inline(never)]
    fn help(&self, header: Header, (slot_index, word): (usize, SlotWord), number: u32) -> bool {
        if self.header() != header && !seeded("table-help-late") {
            return false;
        }
        let entry = self.entry(number);
        self.fill(
            slot_index,
            word,
            SlotWord::visible(number, entry.hash(), SlotMeta::from_bits(entry.initial_bits())),
        );
        true
    }

    /// Puts an announced entry in its slot. The thread that comes first does it; the others change nothing.
    #[inline(always)]
    fn fill(&self, slot_index: usize, vacant: SlotWord, visible: SlotWord) {
        let _ = self.group().slot(slot_index).try_word(vacant, visible);
    }

    /// Reveals the entry that is announced in the chain, if it still is announced; whether it was.
    #[cold]
    #[inline(never)]
    fn help_in_chain(&self, header: Header, number: u32) -> bool {
        let rows = self.chain().map(|link| &link.group);
        let claimed = rows.flat_map(|group| group.words().map(move |at| (group, at)));
        let found = { claimed }.find(|(_, (_, word))| word.is_claimed() && word.number() == number);
        // The claim is the announced one only if the announcement still stood when the claim was there.
        if self.header() != header {
            return false;
        }
        if let Some((group, (slot_index, word))) = found {
            let _ = group.slot(slot_index).try_word(word, word.revealed());
        }
        true
    }

    /// Finds the key, or the slot where it could be inserted. What the header word announces is in its slot.
    #[inline(always)]
    pub(super) fn find_for_write(
        &self,
        header: Header,
        query: Query,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Lookup<'g, K, V, X> {
        let Ok(found) = self.search(Unchecked::new(), header, query, eq);
        match found {
            Some(occupied) => Lookup::Occupied(occupied),
            None => Lookup::Vacant(Vacant { bucket: *self, header }),
        }
    }

    /// Claims a slot in the chain, or hangs a new link on it with its first slot claimed. `None` if the chain has
    /// changed, or is frozen.
    #[cold]
    #[inline(never)]
    fn claim(&self, word: SlotWord) -> Option<&'g Slot> {
        let head = self.head();
        let in_link = |link: &'g Link| link.group.claim(word);
        self.chain_at(head).find_map(in_link).or_else(|| self.push_link(head, word))
    }

    fn push_link(&self, head: ChainHead, word: SlotWord) -> Option<&'g Slot> {
        if head.is_frozen() {
            return None;
        }
        let base = self
            .chain_at(head)
            .next()
            .map_or(SLOTS_PER_GROUP, |link| link.base() + SLOTS_PER_GROUP);
        assert!(base < MAX_RANKS, "a quarter of a thousand million equal hashes");
        // SAFETY: the number of an entry that is the caller's.
        let birth = unsafe { self.array.slab().birth(word.number()) };
        let mut link = Link::new(head.link(), base, birth);
        link.group.fill(0, word.claimed());
        let link = Box::into_raw(link);
        if !self.array.try_head(self.index(), head, ChainHead::of(link)) {
            // SAFETY: not published, so it is still ours.
            drop(unsafe { Box::from_raw(link) });
            return None;
        }
        self.array.links.add(1);
        // SAFETY: published just now, under our pin (T1).
        let link = unsafe { &*link };
        Some(link.group.slot(0))
    }

    /// Clears the bucket's bit in a region's summary, where nothing of the region was found.
    #[inline(always)]
    pub(super) fn clear_bit(&self, region: Region) {
        let summaries = self.array.summaries();
        if !summaries.clear_bit(region, self.index()) {
            return;
        }
        let any = !self.load_slots().of(region).is_empty()
            || self.header().overflows() && self.first_of_chain(region, SLOTS_PER_GROUP).is_some();
        if any {
            // One was inserted in between, and found the bit still set.
            summaries.set(region, self.index());
        }
    }

    /// Takes empty links off the chain; those that come off go to `retire`.
    pub(super) fn remove_empty_links(&self, mut retire: impl FnMut(DeferredBox<Link>)) {
        loop {
            let head = self.head();
            let Some(link) = self.chain_at(head).next() else { return };
            if head.is_frozen() || !link.group.is_empty() || !link.group.seal() {
                return;
            }
            if !self.array.try_head(self.index(), head, ChainHead::of(link.next)) {
                link.group.unseal(0..SLOTS_PER_GROUP);
                return;
            }
            self.array.links.sub(1);
            // SAFETY: we took it off, and links come from boxes; `retire` keeps it until no thread
            // looks at it any more.
            retire(unsafe { DeferredBox::new(head.link()) });
            if link.next.is_null() {
                return self.clear_overflow();
            }
        }
    }

    /// Clears the OVERFLOWS flag if there is no chain.
    ///
    /// The word is read before the chain, and what it announces is visible then. If the exchange
    /// succeeds, no key was inserted in between, and what was inserted before and is gone with its link was
    /// unlinked before.
    fn clear_overflow(&self) {
        let header =
            if seeded("table-overflow-unhelped") { self.header() } else { self.help_announced() };
        if header.overflows() && !header.is_frozen() && self.head().link().is_null() {
            self.try_header(header, header.without_overflow());
        }
    }

    /// All readable entries with their ranks' order. Stable once the bucket is frozen.
    pub(super) fn contents(&self) -> ([Option<usize>; SLOTS_PER_GROUP], BucketContents) {
        let mut contents = Vec::with_capacity(SLOTS_PER_GROUP);
        let mut own = [None; SLOTS_PER_GROUP];
        let add = |word: SlotWord, contents: &mut BucketContents| {
            word.is_readable().then(|| {
                contents.push((word.number(), self.entry(word.number()).hash(), word.meta()));
                contents.len() - 1
            })
        };
        for (slot_index, word) in self.group().words() {
            own[slot_index] = add(word, &mut contents);
        }
        for link in self.chain() {
            for (_, word) in link.group.words() {
                add(word, &mut contents);
            }
        }
        (own, contents)
    }
}

/// The most slots of a bucket with its chain.
const MAX_RANKS: usize = 1 << 28;

impl<'g, K, V, X> Vacant<'g, K, V, X> {
    /// Links an entry whose key is not there.
    ///
    /// # Errors
    ///
    /// The entry, if another key was inserted since the key was found absent, or the bucket is being
    /// migrated: look the key up again.
    ///
    /// # Progress
    ///
    /// Lock-free.
    #[inline(always)]
    pub(crate) fn commit(self, mut entry: Entry<K, V>, meta: SlotMeta) -> Result<(), Entry<K, V>> {
        let bucket = self.bucket;
        // In the entry before it is announced: a helper fills the slot from there.
        entry.set_initial_bits(meta.bits());
        let hash = entry.as_ref().hash();
        let number = entry.into_raw();
        let visible = SlotWord::visible(number, hash, meta);
        if self.link(number, visible) {
            // After the slot: a hand that clears the bit in between looks at the slots once more.
            bucket.array.summaries().note(bucket.index(), meta);
            return Ok(());
        }
        // SAFETY: never visible, so it is still ours.
        Err(unsafe { Entry::from_raw(number, bucket.array.slab()) })
    }

    /// Announces an entry, and makes it visible; false if that could not be.
    #[inline(always)]
    fn link(self, number: u32, visible: SlotWord) -> bool {
        let (bucket, mut from) = (self.bucket, self.header);
        if seeded("table-announce-unversioned") {
            from = bucket.header();
        }
        if from.is_frozen() {
            return false;
        }
        // A slot that was vacated at the version of this announcement would be taken for one that the entry has left.
        let Some((slot_index, vacant)) = bucket.vacancy(from.announcing(0, number).version())
        else {
            return self.link_in_chain(from, number, visible);
        };
        // The step after which the entry is in: from the header that was read before the key was searched for, so it
        // fails if any key was announced since.
        if !bucket.try_header(from, from.announcing(slot_index, number)) {
            return false;
        }
        // If another thread has filled the slot already, this changes nothing (T3).
        bucket.fill(slot_index, vacant, visible);
        true
    }

    /// Claims a slot in the chain, announces the claim, and reveals it.
    #[cold]
    #[inline(never)]
    fn link_in_chain(&self, mut from: Header, number: u32, visible: SlotWord) -> bool {
        let bucket = self.bucket;
        if from.announces(number) {
            // An entry that had this number was announced last, and has left: no thread shall reveal this claim for
            // it.
            if !bucket.try_header(from, from.without_announcement()) {
                return false;
            }
            from = from.without_announcement();
        }
        let Some(slot) = bucket.claim(visible) else { return false };
        let claimed = visible.claimed();
        if !bucket.try_header(from, from.announcing_in_chain(number)) {
            // If this fails the slot was frozen, and nothing needs to be given back.
            let _ = slot.try_word(claimed, SlotWord::vacant(0));
            return false;
        }
        let _ = slot.try_word(claimed, visible);
        true
    }
}

impl<'g, K, V, X, M> Occupied<'g, K, V, X, M> {
    /// The entry.
    #[inline]
    pub(crate) fn entry(&self) -> EntryRef<'g, K, V> {
        self.entry
    }

    /// The slot alone.
    #[inline(always)]
    pub(crate) fn slot(&self) -> OccupiedSlot<'g> {
        OccupiedSlot { slot: self.slot, word: self.word }
    }

    /// Whether the slot is one of a chain.
    #[inline]
    pub(super) fn is_in_chain(&self) -> bool {
        !self.bucket.group().has(self.slot)
    }

    /// What the policy knew of the entry when it was found.
    #[inline]
    pub(crate) fn meta(&self) -> SlotMeta {
        self.word.meta()
    }

    /// The metadata that the slot has now, whatever entry is in it.
    pub(crate) fn meta_now(&self) -> SlotMeta {
        self.slot.word().meta()
    }

    /// Adds one to the slot's count unless it is full: one attempt, which may be lost.
    #[inline(always)]
    pub(crate) fn touch(&self) {
        if let Some(touched) = self.word.touched() {
            let _ = self.slot.try_word(self.word, touched);
        }
    }
}

impl<K, V, X> Occupied<'_, K, V, X> {
    /// Changes the slot's metadata if it is still `from`.
    #[inline(always)]
    pub(crate) fn mark(&self, from: SlotMeta, to: SlotMeta) -> bool {
        let word = if seeded("table-mark-unseen") { self.slot.word() } else { self.word };
        if word.meta() != from || word.is_frozen() || !word.is_readable() {
            return false;
        }
        let marked = self.slot.try_word(word, word.with_meta(to)).is_ok();
        if marked && from.region() != to.region() {
            self.bucket.array.summaries().note(self.bucket.index(), to);
        }
        marked
    }

    /// Empties the slot; the entry's metadata at that moment. `None` if the entry was no longer there.
    #[inline(always)]
    pub(super) fn unlink(&self) -> Option<SlotMeta> {
        self.slot().vacate(self.bucket.line)
    }
}

impl OccupiedSlot<'_> {
    /// Whether the entry has a token: it is a placeholder, or its value is being renewed.
    #[inline(always)]
    pub(crate) fn has_token(&self) -> bool {
        !is_plain(self.word.number())
    }

    /// Puts another entry with the same key in the place of this one. What the policy knows stays, with one more read
    /// if that `is_use` of the key: by the same exchange, as the word of the entry that is gone would not be there.
    #[inline(always)]
    pub(super) fn swap(&self, number: u32, is_use: bool) -> bool {
        let used = |word: SlotWord| word.touched().filter(|_| is_use).unwrap_or(word);
        self.change(|word| used(word.with_number(number))).is_some()
    }

    /// Empties the slot, which is in the bucket with this line; the entry's metadata at that moment.
    ///
    /// `None` if the entry was no longer there.
    ///
    /// The version is read while the entry is in the slot: so it is not less than the one at which the entry was
    /// announced, and less than any at which another is announced for the slot (T3).
    #[inline(always)]
    pub(super) fn vacate(&self, line: &Bucket) -> Option<SlotMeta> {
        let version = match line.header().version() {
            _ if seeded("table-vacate-unversioned") => 0,
            version => version,
        };
        self.change(|_| SlotWord::vacant(version)).map(SlotWord::meta)
    }

    /// Changes the slot while the entry is in it and may be changed, whatever becomes of its metadata; the word
    /// before.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails only where another thread changed the word.
    #[inline(always)]
    fn change(&self, to: impl Fn(SlotWord) -> SlotWord) -> Option<SlotWord> {
        let mut word = self.word;
        loop {
            if word.is_frozen() {
                return None;
            }
            match self.slot.try_word(word, to(word)) {
                Ok(()) => return Some(word),
                Err(now) if now.is_same_entry(word) => word = now,
                Err(_) => return None,
            }
        }
    }
}
