//! What a pinned thread may do with the table.

use std::ops::Range;

use super::array::Array;
use super::bucket::{BucketRef, Lookup, Occupied, OccupiedSlot, ProbeMiss};
use super::deadline_tree::DueLeaf;
use super::group::Query;
use super::slot_snapshot::SlotSnapshot;
use super::slot_word::SlotWord;
use super::thread_state::ThreadState;
use super::{Garbage, Table};
use crate::entry::{Entry, EntryCosts, EntryRef, Include, Kind, LoadToken, RawEntry, Slab};
use crate::reclaim::{ChargedTo, GuardRef, Mode, Outcome, Pinned, Retired, Writes};
use crate::slot_meta::{Region, SlotMeta};
use crate::sync::{Ordering, prefetch, prefetch_to_read, seeded};

/// Units of buckets that a write migrates while the table's size changes, besides the one it needs.
const MIGRATED_PER_WRITE: usize = 2;

/// The table, as a thread sees it that is pinned, in a mode (T1).
pub(crate) struct View<'g, K, V, X, L, M = Writes> {
    pub(super) table: &'g Table<K, V, X, L>,
    /// Of a guard of the table's domain.
    pinned: Pinned<'g, Garbage<K, V, X>, ThreadState<K, V, L>, M>,
}

impl<K, V, X, L, M> Clone for View<'_, K, V, X, L, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X, L, M> Copy for View<'_, K, V, X, L, M> {}

/// A bucket where an entry may have expired.
pub(crate) struct DueBucket<'g, K, V, X> {
    array: &'g Array<K, V, X>,
    overdue: DueLeaf,
}

impl<K, V, X> Clone for DueBucket<'_, K, V, X> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K, V, X> Copy for DueBucket<'_, K, V, X> {}

impl<K, V, X> DueBucket<'_, K, V, X> {
    /// The positions of the bucket.
    pub(crate) fn positions(&self) -> Range<u64> {
        let (array, index) = (self.array, self.overdue.index);
        let end = if index + 1 == array.len() { u64::MAX } else { array.place_of(index + 1) };
        array.place_of(index)..end
    }
}

/// An entry that was unlinked and has to be retired.
pub(crate) type Unlinked<K, V> = Retired<Entry<K, V>>;

impl<'g, K, V, X, L, M> View<'g, K, V, X, L, M> {
    /// # Panics
    ///
    /// If the guard is of another domain.
    #[inline]
    pub(super) fn new(
        table: &'g Table<K, V, X, L>,
        guard_ref: GuardRef<'g, Garbage<K, V, X>, ThreadState<K, V, L>, M>,
    ) -> Self {
        assert!(guard_ref.is_of(&table.domain), "a guard of another table");
        Self { table, pinned: guard_ref.pinned() }
    }

    /// What the table's owner keeps for the calling thread.
    #[inline]
    pub(crate) fn local(&self) -> &'g L {
        self.guard_ref().local()
    }

    /// What it was made of.
    #[inline(always)]
    pub(crate) fn guard_ref(&self) -> GuardRef<'g, Garbage<K, V, X>, ThreadState<K, V, L>, M> {
        // SAFETY: `new` has looked.
        unsafe { self.pinned.of(&self.table.domain) }
    }

    #[inline]
    pub(super) fn current(&self) -> &'g Array<K, V, X> {
        // ORDERING T-k: Acquire: the generation's contents; pairs with the exchange in `complete`.
        let array = self.table.current.load(Ordering::Acquire);
        // SAFETY: never null, and not freed while the thread is pinned (T1).
        unsafe { &*array }
    }

    #[inline]
    pub(super) fn next(&self, array: &'g Array<K, V, X>) -> Option<&'g Array<K, V, X>> {
        // ORDERING T-j: Acquire: the generation's contents; pairs with the exchange in `begin`.
        let next = array.next.load(Ordering::Acquire);
        // SAFETY: a generation is retired after the one before it, and the thread is pinned (T1).
        unsafe { next.as_ref() }
    }

    /// The newest generation's extension.
    pub(crate) fn extension(&self) -> &'g X {
        let current = self.current();
        &self.next(current).unwrap_or(current).extension
    }

    #[inline(always)]
    fn slab(&self) -> &'g Slab<K, V> {
        &self.table.slab
    }

    /// Prefetches the bucket of a hash, to read it.
    #[inline]
    pub(crate) fn prefetch_to_read(&self, hash: u64) {
        let array = self.current();
        prefetch_to_read(array.bucket_of(hash));
    }

    /// Prefetches the entry that the tags of a hash's bucket lead to first.
    #[inline]
    pub(crate) fn prefetch_entry(&self, hash: u64) {
        let array = self.current();
        let bucket = BucketRef::<_, _, _, M>::seen_at(array, hash);
        if let Some(slot_index) = bucket.load_slots().matching(hash).next() {
            let word = bucket.group().word(slot_index);
            if word.is_occupied() {
                // SAFETY: the number of an entry.
                unsafe { self.slab().prefetch(word.number()) };
            }
        }
    }

    /// Notes for a read that the entry of a hash expires then, earlier than it was to.
    #[cold]
    pub(crate) fn note_due_wait_free(&self, hash: u64, deadline: u64) {
        let mut next = Some(self.current());
        while let Some(array) = next {
            if let Some(due) = &array.due {
                due.note_wait_free(array.index_of(hash), deadline);
            }
            next = self.next(array);
        }
    }
}

impl<'g, K, V, X, L, M: Mode> View<'g, K, V, X, L, M> {
    /// Finds a key to read its value; placeholders are skipped. What was found may not be
    /// replaced or unlinked, as some of its bucket may be read elsewhere yet (T8).
    ///
    /// # Progress
    ///
    /// Wait-free: the slots of one group, and the entries whose tags agree; the groups of a chain where the
    /// bucket overflows, which grows only with keys of the same bucket; one more bucket for each change of
    /// the table's size that completes meanwhile. All of that up to three times, if the thread was neutralized.
    #[inline(always)]
    pub(crate) fn find(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
    ) -> Option<Occupied<'g, K, V, X, M>> {
        match self.probe(hash, &mut eq) {
            Ok(occupied) => Some(occupied),
            Err(ProbeMiss::Absent) => None,
            Err(ProbeMiss::ProbeFurther) => self.find_slow(hash, eq),
        }
    }

    /// Looks at a key's own slots, where nearly every key is found.
    ///
    /// # Errors
    ///
    /// Whether it may be found further on.
    #[inline(always)]
    pub(crate) fn probe(
        &self,
        hash: u64,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Result<Occupied<'g, K, V, X, M>, ProbeMiss> {
        let probe = |validator| {
            let bucket = BucketRef::seen_at(self.current(), hash);
            let header = bucket.header();
            if header.is_moved() {
                return Ok(Err(ProbeMiss::ProbeFurther));
            }
            match bucket.probe(validator, hash, eq)? {
                Err(ProbeMiss::Absent) if header.overflows() => Ok(Err(ProbeMiss::ProbeFurther)),
                seen => Ok(seen),
            }
        };
        // One that was neutralized begins anew.
        self.guard_ref().attempt(probe).unwrap_or(Err(ProbeMiss::ProbeFurther))
    }

    /// Finds a key in a chain, or in a table whose size changes, or by a thread that was neutralized; as `find` otherwise.
    #[cold]
    #[inline(never)]
    pub(crate) fn find_slow(
        self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
    ) -> Option<Occupied<'g, K, V, X, M>> {
        self.guard_ref().run(|validator| {
            self.search(validator, Query { hash, include: Include::Values }, &mut eq)
        })
    }

    /// Finds a key, including placeholders; as `find` otherwise.
    pub(crate) fn find_any(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
    ) -> Option<Occupied<'g, K, V, X, M>> {
        self.guard_ref()
            .run(|validator| self.search(validator, Query { hash, include: Include::All }, &mut eq))
    }

    #[inline]
    fn search(
        &self,
        validator: M::Validate<'g>,
        query: Query,
        eq: &mut impl FnMut(&K) -> bool,
    ) -> Outcome<'g, Option<Occupied<'g, K, V, X, M>>, M> {
        let mut array = self.current();
        loop {
            let bucket = BucketRef::seen_at(array, query.hash);
            let header = bucket.header();
            if !header.is_moved() {
                return bucket.search(validator, header, query, eq);
            }
            let Some(next) = self.next(array) else { return Ok(None) };
            array = next;
        }
    }
}

/// A generation where a write is going to change something, mostly.
pub(crate) struct Prefetcher<'g, K, V, X>(&'g Array<K, V, X>);

impl<'g, K, V, X> Prefetcher<'g, K, V, X> {
    /// Prefetches the bucket of a hash, or of a position, to write it.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u64) {
        prefetch(self.0.bucket_of(hash));
    }

    /// Prefetches the first entry of a region in the bucket of a hash that may have it, as far as the tag says; the entry,
    /// at which nobody has looked.
    #[inline(always)]
    pub(crate) fn prefetch_candidate(
        &self,
        region: Region,
        hash: u64,
    ) -> Option<SlotSnapshot<'g, K, V>> {
        BucketRef::of(self.0, hash).prefetch_candidate(region, hash)
    }
}

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// What prefetches for a write.
    #[inline(always)]
    pub(crate) fn prefetcher(&self) -> Prefetcher<'g, K, V, X> {
        Prefetcher(self.current())
    }

    /// Gives memory back that most entries have left, however long that takes.
    pub(crate) fn trim(&self) {
        if self.slab().is_sparse() {
            self.slab().trim();
        }
    }

    /// Makes an entry for this table.
    #[inline]
    pub(crate) fn entry(
        &self,
        hash: u64,
        key: K,
        value: V,
        costs: impl Into<EntryCosts>,
    ) -> Entry<K, V> {
        // SAFETY: a guard reference is tied to the thread that holds the participant.
        let entry =
            unsafe { self.guard_ref().local().entry(self.slab(), hash, key, value, costs.into()) };
        entry.born(self.guard_ref().birth())
    }

    /// Makes a placeholder.
    pub(crate) fn placeholder(&self, hash: u64, key: K, token: LoadToken) -> Entry<K, V> {
        let raw_entry = self.record_with_token(Kind::Placeholder);
        raw_entry.fill_placeholder(hash, key, token).born(self.guard_ref().birth())
    }

    /// Makes an entry whose value is being renewed.
    pub(crate) fn renewing(
        &self,
        hash: u64,
        contents: (K, V),
        costs: EntryCosts,
        token: LoadToken,
    ) -> Entry<K, V> {
        let raw_entry = self.record_with_token(Kind::Renewing);
        raw_entry.fill_renewing(hash, contents, costs, token).born(self.guard_ref().birth())
    }

    #[inline]
    fn record_with_token(&self, kind: Kind) -> RawEntry<K, V> {
        // SAFETY: a guard reference is tied to the thread that holds the participant.
        unsafe { self.guard_ref().local().record_with_token(self.slab(), kind) }
    }

    /// Finds a key to change it, including placeholders, or the slot where it could
    /// be inserted.
    ///
    /// # Progress
    ///
    /// Lock-free. While the table's size changes, a call migrates up to three units of buckets: as many
    /// buckets where it grows, eight times as many where it shrinks.
    #[inline(always)]
    pub(crate) fn find_for_write(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
    ) -> Lookup<'g, K, V, X> {
        let mut array = self.current();
        if let Some(next) = self.next(array) {
            self.help(array, next, MIGRATED_PER_WRITE);
        }
        loop {
            let bucket = BucketRef::of(array, hash);
            let header = bucket.help_announced();
            if header.is_frozen() {
                array = self.follow(bucket);
                continue;
            }
            let all = if seeded("table-writers-skip-placeholders") {
                Include::Values
            } else {
                Include::All
            };
            return bucket.find_for_write(header, Query { hash, include: all }, &mut eq);
        }
    }

    /// Finds the entry whose record has this number, where its hash leads to at first. It is not found where the
    /// bucket overflows or is being migrated, and it may be another's that has the number now: that is for the caller
    /// to see.
    #[inline]
    pub(crate) fn find_number(&self, hash: u64, number: u32) -> Option<Occupied<'g, K, V, X>> {
        BucketRef::of(self.current(), hash).find_number(hash, number)
    }

    /// Replaces the entry by another one with the same key, which may be a use of the key; the old one is the caller's
    /// to retire.
    ///
    /// # Errors
    ///
    /// The new entry, if the old one is no longer there.
    pub(crate) fn replace(
        &self,
        occupied: Occupied<'g, K, V, X>,
        (entry, is_use): (Entry<K, V>, bool),
    ) -> Result<Unlinked<K, V>, Entry<K, V>> {
        self.replace_in(occupied.slot(), (entry, is_use))
    }

    /// The same, of an entry of which only the slot is known.
    ///
    /// # Errors
    ///
    /// As for [`replace`](Self::replace).
    #[inline(always)]
    pub(crate) fn replace_in(
        &self,
        slot: OccupiedSlot<'g>,
        (entry, is_use): (Entry<K, V>, bool),
    ) -> Result<Unlinked<K, V>, Entry<K, V>> {
        let number = entry.into_raw();
        if slot.swap(number, is_use) {
            return Ok(self.unlinked(self.entry_in(slot), slot.word));
        }
        // SAFETY: never visible, so it is still ours.
        Err(unsafe { Entry::from_raw(number, self.slab()) })
    }

    /// The entry that was found in a slot.
    #[inline(always)]
    pub(crate) fn entry_in(&self, slot: OccupiedSlot<'g>) -> EntryRef<'g, K, V> {
        // SAFETY: it was visible when this thread found it, which has been pinned since (T1).
        unsafe { EntryRef::from_raw(slot.word.number(), self.slab()) }
    }

    /// Unlinks the entry; it is the caller's to retire, with the metadata that its slot had.
    ///
    /// `None` if it is no longer there.
    #[inline(always)]
    pub(crate) fn unlink(
        &self,
        occupied: Occupied<'g, K, V, X>,
    ) -> Option<(Unlinked<K, V>, SlotMeta)> {
        let meta = occupied.unlink()?;
        let unlinked = self.unlinked(occupied.entry, occupied.word);
        if occupied.is_in_chain() {
            occupied.bucket.remove_empty_links(|link| {
                // SAFETY: taken off its chain by this thread, which is pinned (R2).
                let link = unsafe { Retired::new(Garbage::Link(link)) };
                self.guard_ref().retire(link, ChargedTo::Nowhere);
            });
        }
        Some((unlinked, meta))
    }

    #[inline(always)]
    pub(super) fn unlinked(&self, entry: EntryRef<'g, K, V>, word: SlotWord) -> Unlinked<K, V> {
        // SAFETY: it left its slot by an exchange of ours, so it is ours (T7).
        let entry = unsafe { Entry::of(entry, word.number(), self.slab()) };
        // SAFETY: by T2 it was readable in no other slot, and this thread is pinned (T1).
        unsafe { Retired::new(entry) }
    }

    /// Whether a thread that shows an older epoch than the present one may hold the entry: it was not neutralized, or after the entry was made.
    pub(crate) fn is_held(&self, occupied: Occupied<'g, K, V, X>) -> bool {
        // SAFETY: its slot had it when it was found, and this thread is pinned (T1).
        let birth = unsafe { self.slab().birth(occupied.word.number()) };
        self.guard_ref().is_held_by_laggard(birth, occupied.entry().address())
    }

    /// Keeps an unlinked entry until no thread looks at it.
    #[inline(always)]
    pub(crate) fn retire(&self, entry: Unlinked<K, V>, charged_to: ChargedTo) {
        self.guard_ref().retire(entry.map(Garbage::Entry), charged_to);
    }

    /// Notes when the entry of a hash expires, which is linked.
    pub(crate) fn note_due(&self, hash: u64, deadline: u64) {
        let mut array = self.current();
        loop {
            if let Some(due) = &array.due {
                due.note(array.index_of(hash), deadline);
            }
            // After that: a generation that comes later inherits it.
            let Some(next) = self.next(array) else { return };
            array = next;
        }
    }

    /// A bucket where an entry may have expired by `now`; which of several depends on `seed`.
    #[inline(always)]
    pub(crate) fn find_due(&self, now: u64, seed: usize) -> Option<DueBucket<'g, K, V, X>> {
        let mut array = self.current();
        loop {
            let found = array.due.as_ref().and_then(|due| due.find(now, seed));
            if let Some(overdue) = found {
                return Some(DueBucket { array, overdue });
            }
            array = self.next(array)?;
        }
    }

    /// The bucket where `position` lies, if an entry there may have expired by `now`.
    #[inline]
    pub(crate) fn due_at(&self, position: u64, now: u64) -> Option<DueBucket<'g, K, V, X>> {
        let array = self.current();
        let overdue = array.due.as_ref()?.at(array.index_of(position), now)?;
        Some(DueBucket { array, overdue })
    }

    /// Notes that nothing expires in a bucket before `deadline`; whether the caller has to look there once more.
    pub(crate) fn set_earliest(&self, at: DueBucket<'g, K, V, X>, deadline: u64) -> bool {
        at.array.due.as_ref().is_some_and(|due| due.set_earliest(at.overdue, deadline))
    }
}
