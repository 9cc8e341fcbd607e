//! Walking the table in its order: for the hands, and for scans.
//!
//! A *position* is a point in table order: the leading bits of the hash say which bucket, the rest
//! counts the ranks within it. As buckets divide the hashes in order, a position that begins a bucket stays
//! meaningful when the table grows or shrinks: it is before all hashes that are not below it. A scan goes by that,
//! and so meets every entry once, whatever the table's size is at each of its steps. To a hand a position
//! within a bucket of another size is empty.

use std::ops::Range;

use super::array::Array;
use super::bucket::{BucketRef, Occupied, OccupiedSlot};
use super::group::{Group, SLOTS_PER_GROUP, Slot};
use super::slot_snapshot::SlotSnapshot;
use super::slot_word::SlotWord;
use super::view::{Unlinked, View};
use crate::entry::{EntryRef, is_plain};
use crate::narrow::in_memory;
use crate::slot_meta::{Region, ScanStep, SlotMeta};

/// Buckets in a range of a large table, as a power of two: four words of the summaries.
const RANGE_BITS: u32 = 8;
/// Ranges in a round of a table that is not large, as a power of two.
const ROUND_BITS: u32 = 6;

/// How often a scan reads a bucket again because keys were inserted.
const MAX_READS: usize = 4;

impl<'g, K, V, X> BucketRef<'g, K, V, X> {
    fn first_position(&self) -> u64 {
        self.array.place_of(self.index())
    }

    /// The position where the next bucket begins; zero after the last.
    fn end_position(&self) -> u64 {
        self.array.place_of(self.index() + 1)
    }

    /// Shows the region's entries to `visit`, from this rank on and in order.
    ///
    /// # Errors
    ///
    /// The rank at which `visit` wanted no more.
    #[inline]
    fn scan(
        &self,
        region: Region,
        rank: usize,
        visit: &mut impl FnMut(u64, SlotMeta) -> ScanStep,
    ) -> Result<(), usize> {
        let header = self.header();
        if header.is_frozen() {
            return Ok(());
        }
        let mut found = rank > 0;
        for slot_index in self.load_slots().of(region).from(rank) {
            let slot = self.group().slot(slot_index);
            let word = slot.word();
            if !word.is_of(region) {
                continue;
            }
            found = true;
            match visit(self.first_position() + slot_index as u64, word.meta()) {
                ScanStep::Keep => {}
                ScanStep::Mark(meta) => _ = slot.try_word(word, word.with_meta(meta)),
                ScanStep::Stop => return Err(slot_index),
            }
        }
        if header.overflows() {
            found |= self.scan_chain(region, rank.max(SLOTS_PER_GROUP), visit)?;
        }
        if !found {
            self.clear_bit(region);
        }
        Ok(())
    }

    /// Goes on with the chain; whether it had any of the region.
    #[cold]
    fn scan_chain(
        &self,
        region: Region,
        rank: usize,
        visit: &mut impl FnMut(u64, SlotMeta) -> ScanStep,
    ) -> Result<bool, usize> {
        let (mut found, mut rank) = (false, rank);
        while let Some((at, occupied)) = self.first_of_chain(region, rank) {
            (found, rank) = (true, at);
            match visit(self.first_position() + rank as u64, occupied.meta()) {
                ScanStep::Keep => {}
                ScanStep::Mark(meta) => _ = occupied.mark(occupied.meta(), meta),
                ScanStep::Stop => return Err(rank),
            }
            rank += 1;
        }
        Ok(found)
    }

    fn first_of_group(
        &self,
        group: &'g Group,
        base: usize,
        region: Region,
        rank: usize,
    ) -> Option<(usize, Occupied<'g, K, V, X>)> {
        let mut from = group.words().skip(rank.saturating_sub(base));
        let (slot_index, word) = from.find(|(_, word)| word.is_of(region))?;
        Some((base + slot_index, self.occupied(group.slot(slot_index), word)))
    }

    /// The first entry of the region behind the bucket's own slots, with this rank or a higher one, and its rank.
    #[cold]
    pub(super) fn first_of_chain(
        &self,
        region: Region,
        rank: usize,
    ) -> Option<(usize, Occupied<'g, K, V, X>)> {
        // The newest link, with the highest ranks, comes first: the last one that has any wins.
        let links = self.chain();
        links.filter_map(|link| self.first_of_group(&link.group, link.base(), region, rank)).last()
    }

    #[inline(always)]
    pub(super) fn snapshot(&self, slot: &'g Slot, word: SlotWord) -> SlotSnapshot<'g, K, V> {
        SlotSnapshot { line: self.line, slot, word, entry: self.entry(word.number()) }
    }

    /// Prefetches the first entry of the region whose tag may be that of a hash.
    #[inline(always)]
    pub(super) fn prefetch_candidate(
        &self,
        region: Region,
        hash: u64,
    ) -> Option<SlotSnapshot<'g, K, V>> {
        let slot = self.group().slot(self.load_slots().matching_fingerprint(hash).next()?);
        let word = slot.word();
        if !word.is_of(region) || !is_plain(word.number()) {
            return None;
        }
        // SAFETY: the number of a visible entry, under our pin (T1).
        let entry = unsafe { EntryRef::from_plain(word.number(), self.array.slab()) };
        entry.prefetch();
        Some(SlotSnapshot { line: self.line, slot, word, entry })
    }

    #[inline(always)]
    fn find_by_fingerprint(
        &self,
        group: &'g Group,
        slot_indices: impl Iterator<Item = usize>,
        (region, hash, known): (Region, u64, u64),
    ) -> Option<SlotSnapshot<'g, K, V>> {
        for slot_index in slot_indices {
            let slot = group.slot(slot_index);
            let word = slot.word();
            if word.is_of(region) {
                let seen = self.snapshot(slot, word);
                if (seen.entry.hash() ^ hash) & known == 0 {
                    return Some(seen);
                }
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn find_by_fingerprint_in_chain(
        &self,
        query: (Region, u64, u64),
    ) -> Option<SlotSnapshot<'g, K, V>> {
        let mut links = self.chain();
        links.find_map(|link| self.find_by_fingerprint(&link.group, 0..SLOTS_PER_GROUP, query))
    }

    fn collect_entries(&self, out: &mut Vec<Occupied<'g, K, V, X>>) {
        let mut group = |group: &'g Group| {
            let readable = group.words().filter(|(_, word)| word.is_readable());
            out.extend(
                readable.map(|(slot_index, word)| self.occupied(group.slot(slot_index), word)),
            );
        };
        group(self.group());
        for link in self.chain() {
            group(&link.group);
        }
    }
}

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// The bucket at a position, in the generation where its entries are now.
    #[inline(always)]
    fn bucket_at(&self, position: u64) -> BucketRef<'g, K, V, X> {
        let array = self.current();
        if self.next(array).is_some() {
            return self.bucket_while_migrating(array, position);
        }
        BucketRef::of(array, position)
    }

    #[cold]
    #[inline(never)]
    fn bucket_while_migrating(
        &self,
        mut array: &'g Array<K, V, X>,
        position: u64,
    ) -> BucketRef<'g, K, V, X> {
        loop {
            let bucket = BucketRef::of(array, position);
            match self.next(array) {
                Some(_) if bucket.header().is_moved() => array = self.follow(bucket),
                _ => return bucket,
            }
        }
    }

    /// The part of the table, in positions, that an evictor takes of a hand's round at a time: 256 buckets; fewer
    /// in a table that is not large.
    #[inline]
    pub(crate) fn range_length(&self) -> u64 {
        let bits = self.current().bits();
        let ranges = bits.saturating_sub(RANGE_BITS).max(bits.min(ROUND_BITS));
        1 << (u64::BITS - ranges)
    }

    /// Shows a region's entries to `visit`, from `from` on and in order, until `visit` wants no more;
    /// returns how many of `length` positions, which do not reach beyond the table, were left behind.
    #[inline]
    pub(crate) fn scan(
        &self,
        region: Region,
        from: u64,
        length: u64,
        mut visit: impl FnMut(u64, SlotMeta) -> ScanStep,
    ) -> u64 {
        let array = self.current();
        if self.next(array).is_some() {
            return self.scan_each(region, from, length, visit);
        }
        let last = array.index_of(from.wrapping_add(length - 1));
        let mut index = array.index_of(from);
        let mut rank = in_memory(from - array.place_of(index));
        while let Some(found) = array.summaries().next(region, index, last) {
            if found != index {
                (index, rank) = (found, 0);
            }
            let bucket = BucketRef::at(array, index);
            if let Err(rank) = bucket.scan(region, rank, &mut visit) {
                return bucket.first_position() + rank as u64 - from;
            }
            (index, rank) = (index + 1, 0);
        }
        length
    }

    /// Does it while the table's size changes: looks at every bucket, where its entries are.
    #[cold]
    fn scan_each(
        &self,
        region: Region,
        from: u64,
        length: u64,
        mut visit: impl FnMut(u64, SlotMeta) -> ScanStep,
    ) -> u64 {
        let (mut position, mut left) = (from, length);
        while left > 0 {
            let bucket = self.bucket_at(position);
            let rank = in_memory(position - bucket.first_position());
            if let Err(rank) = bucket.scan(region, rank, &mut visit) {
                // The range may be one of another generation, and reach beyond the table.
                return (bucket.first_position() + rank as u64).wrapping_sub(from);
            }
            left = left.saturating_sub(bucket.end_position().wrapping_sub(position));
            position = bucket.end_position();
        }
        length
    }

    /// The entry at a position, if it is of this region.
    #[inline]
    pub(crate) fn get_at(&self, region: Region, position: u64) -> Option<SlotSnapshot<'g, K, V>> {
        let bucket = self.bucket_at(position);
        let rank = in_memory(position - bucket.first_position());
        let header = bucket.header();
        if header.is_frozen() {
            return None;
        }
        if rank >= SLOTS_PER_GROUP {
            let (at, occupied) = bucket.first_of_chain(region, rank)?;
            return (at == rank).then(|| bucket.snapshot(occupied.slot, occupied.word));
        }
        let slot = bucket.group().slot(rank);
        let word = slot.word();
        word.is_of(region).then(|| bucket.snapshot(slot, word))
    }

    /// The entry of this region whose hash agrees with `hash` in the bits that are `known`: those that
    /// say which bucket and the tag are among them.
    #[inline(always)]
    pub(crate) fn find_by_fingerprint(
        &self,
        region: Region,
        hash: u64,
        known: u64,
    ) -> Option<SlotSnapshot<'g, K, V>> {
        let bucket = self.bucket_at(hash);
        let header = bucket.header();
        if header.is_frozen() {
            return None;
        }
        let own = bucket.load_slots().matching_fingerprint(hash);
        match bucket.find_by_fingerprint(bucket.group(), own, (region, hash, known)) {
            None if header.overflows() => {
                bucket.find_by_fingerprint_in_chain((region, hash, known))
            }
            found => found,
        }
    }

    /// An entry that was seen, to change it or to unlink it.
    ///
    /// While its slot can be changed, its bucket has not moved, and so is the one that is found here. If it has, the bucket
    /// may be of a later generation than the slot, and no exchange of the slot's word succeeds.
    #[inline]
    pub(crate) fn occupied(&self, seen: SlotSnapshot<'g, K, V>) -> Occupied<'g, K, V, X> {
        let SlotSnapshot { slot, word, entry, .. } = seen;
        Occupied { bucket: self.bucket_at(entry.hash()), slot, word, entry }
    }

    /// Unlinks an entry that was seen in one of its bucket's own slots; it is the caller's to retire, with the metadata
    /// that its slot had.
    ///
    /// `None` if it is no longer there.
    #[inline(always)]
    pub(crate) fn unlink_own(
        &self,
        seen: SlotSnapshot<'g, K, V>,
    ) -> Option<(Unlinked<K, V>, SlotMeta)> {
        debug_assert!(seen.line.group.has(seen.slot), "a slot in a chain");
        let slot = OccupiedSlot { slot: seen.slot, word: seen.word };
        let meta = slot.vacate(seen.line)?;
        Some((self.unlinked(seen.entry, seen.word), meta))
    }

    /// Collects the entries of the bucket where `positions` begins, of all kinds, as far as they belong to
    /// these; returns the place of the next bucket, or `None` at the end of the table.
    ///
    /// An entry that is there throughout is collected exactly once. If keys keep coming into the
    /// bucket, a key that was removed and came back while it was read may be there twice: `same`
    /// tells, and the later one stays.
    pub(crate) fn collect_entries(
        &self,
        positions: Range<u64>,
        out: &mut Vec<Occupied<'g, K, V, X>>,
        same: impl Fn(&K, &K) -> bool,
    ) -> Option<u64> {
        let bucket = self.bucket_at(positions.start);
        self.collect_stable(bucket, out, same);
        let end = Some(bucket.end_position()).filter(|&end| end != 0);
        if positions.start != bucket.first_position() || positions.end < end.unwrap_or(u64::MAX) {
            // The table has shrunk since another thread divided it: the rest of the bucket is another's.
            out.retain(|occupied| positions.contains(&occupied.entry().hash()));
        }
        end
    }

    fn collect_stable(
        &self,
        bucket: BucketRef<'g, K, V, X>,
        out: &mut Vec<Occupied<'g, K, V, X>>,
        same: impl Fn(&K, &K) -> bool,
    ) {
        let mut before = bucket.header().version();
        for _ in 0..MAX_READS {
            out.clear();
            bucket.collect_entries(out);
            let after = bucket.header().version();
            if before == after {
                return;
            }
            before = after;
        }
        let mut nth = 0;
        while nth < out.len() {
            let entry = out[nth].entry();
            let again = |occupied: &Occupied<'g, K, V, X>| {
                occupied.entry().hash() == entry.hash() && same(occupied.entry().key(), entry.key())
            };
            if out[nth + 1..].iter().any(again) {
                out.remove(nth);
            } else {
                nth += 1;
            }
        }
    }
}
