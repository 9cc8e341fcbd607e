//! Walking the table in its order: for the hands, and for scans.
//!
//! A *place* is a point in table order: the leading bits of the hash say which bucket, the rest
//! counts the ranks within it. As buckets divide the hashes in order, a place that begins a bucket stays meaningful
//! when the table grows or shrinks: it is before all hashes that are not below it. A scan goes by that, and so
//! meets every entry once, whatever the table's size is at each of its steps. To a hand a place
//! within a bucket of another size is empty.

use std::ops::Range;

use super::home::{Held, Home};
use super::row::{LANES, Row};
use super::view::View;
use super::word::Region;

/// What becomes of an entry that a survey shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It stays as it is.
    Seen,
    /// Its policy bits are changed, by one attempt, to others of the same region.
    Marked(u8),
    /// It was one too many: the survey ends before it.
    Enough,
}

/// Buckets in a stretch of a large table, as a power of two: four words of the summaries.
const STRETCH_BITS: u32 = 8;
/// Stretches in a round of a table that is not large, as a power of two.
const ROUND_BITS: u32 = 6;

/// How often a scan reads a bucket again because keys came in.
const READS: usize = 4;

impl<'g, K, V, X> Home<'g, K, V, X> {
    fn start(&self) -> u64 {
        self.array.place_of(self.index())
    }

    /// The place where the next bucket begins; zero after the last.
    fn end(&self) -> u64 {
        self.array.place_of(self.index() + 1)
    }

    /// Shows the region's entries to `note`, from this rank on and in order.
    ///
    /// # Errors
    ///
    /// The rank at which `note` wanted no more.
    #[inline]
    fn survey(
        &self,
        region: Region,
        rank: usize,
        note: &mut impl FnMut(u64, u8) -> Noted,
    ) -> Result<(), usize> {
        let control = self.control();
        if control.is_frozen() {
            return Ok(());
        }
        let mut found = rank > 0;
        for lane in self.look().of(region).from(rank) {
            let slot = self.row().slot(lane);
            let word = slot.word();
            if !word.is_of(region) {
                continue;
            }
            found = true;
            match note(self.start() + lane as u64, word.bits()) {
                Noted::Seen => {}
                Noted::Marked(bits) => _ = slot.try_word(word, word.with_bits(bits)),
                Noted::Enough => return Err(lane),
            }
        }
        if control.overflows() {
            found |= self.survey_chain(region, rank.max(LANES), note)?;
        }
        if !found {
            self.forget(region);
        }
        Ok(())
    }

    /// Goes on with the chain; whether it had any of the region.
    #[cold]
    fn survey_chain(
        &self,
        region: Region,
        rank: usize,
        note: &mut impl FnMut(u64, u8) -> Noted,
    ) -> Result<bool, usize> {
        let (mut found, mut rank) = (false, rank);
        while let Some((at, held)) = self.first_of_chain(region, rank) {
            (found, rank) = (true, at);
            match note(self.start() + rank as u64, held.bits()) {
                Noted::Seen => {}
                Noted::Marked(bits) => _ = held.mark(held.bits(), bits),
                Noted::Enough => return Err(rank),
            }
            rank += 1;
        }
        Ok(found)
    }

    fn first_of_row(
        &self,
        row: &'g Row,
        base: usize,
        region: Region,
        rank: usize,
    ) -> Option<(usize, Held<'g, K, V, X>)> {
        let mut from = row.words().skip(rank.saturating_sub(base));
        let (lane, word) = from.find(|(_, word)| word.is_of(region))?;
        Some((base + lane, self.held(row.slot(lane), word)))
    }

    /// The first entry of the region behind the bucket's own slots, with this rank or a higher one, and its rank.
    #[cold]
    pub(super) fn first_of_chain(
        &self,
        region: Region,
        rank: usize,
    ) -> Option<(usize, Held<'g, K, V, X>)> {
        // The newest link, with the highest ranks, comes first: the last one that has any wins.
        let links = self.links(self.head());
        links.filter_map(|link| self.first_of_row(&link.row, link.base, region, rank)).last()
    }

    #[inline(always)]
    fn recall(
        &self,
        row: &'g Row,
        lanes: impl Iterator<Item = usize>,
        (region, hash, known): (Region, u64, u64),
    ) -> Option<Held<'g, K, V, X>> {
        for lane in lanes {
            let slot = row.slot(lane);
            let word = slot.word();
            if word.is_of(region) {
                let held = self.held(slot, word);
                if (held.entry().hash() ^ hash) & known == 0 {
                    return Some(held);
                }
            }
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn recall_from_chain(&self, sought: (Region, u64, u64)) -> Option<Held<'g, K, V, X>> {
        let mut links = self.links(self.head());
        links.find_map(|link| self.recall(&link.row, 0..LANES, sought))
    }

    fn gather(&self, out: &mut Vec<Held<'g, K, V, X>>) {
        let mut row = |row: &'g Row| {
            let readable = row.words().filter(|(_, word)| word.is_readable());
            out.extend(readable.map(|(lane, word)| self.held(row.slot(lane), word)));
        };
        row(self.row());
        for link in self.links(self.head()) {
            row(&link.row);
        }
    }
}

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// The bucket at a place, in the generation where its entries are now.
    fn home_at(&self, place: u64) -> Home<'g, K, V, X> {
        let mut array = self.current();
        loop {
            let home = Home::of(array, place);
            match self.next(array) {
                Some(_) if home.control().is_moved() => array = self.follow(home),
                _ => return home,
            }
        }
    }

    /// The part of the table, in places, that an evictor takes of a hand's round at a time: 256 buckets; fewer
    /// in a table that is not large.
    #[inline]
    pub(crate) fn stretch(&self) -> u64 {
        let bits = self.current().bits();
        let stretches = bits.saturating_sub(STRETCH_BITS).max(bits.min(ROUND_BITS));
        1 << (u64::BITS - stretches)
    }

    /// Shows a region's entries to `note`, from `from` on and in order, until `note` wants no more;
    /// returns how many of `length` places, which do not reach beyond the table, were left behind.
    #[inline]
    pub(crate) fn survey(
        &self,
        region: Region,
        from: u64,
        length: u64,
        mut note: impl FnMut(u64, u8) -> Noted,
    ) -> u64 {
        let array = self.current();
        if self.next(array).is_some() {
            return self.survey_each(region, from, length, note);
        }
        let last = array.index_of(from.wrapping_add(length - 1));
        let mut index = array.index_of(from);
        let mut rank = (from - array.place_of(index)) as usize;
        while let Some(found) = array.summaries().next(region, index, last) {
            if found != index {
                (index, rank) = (found, 0);
            }
            let home = Home::at(array, index);
            if let Err(rank) = home.survey(region, rank, &mut note) {
                return home.start() + rank as u64 - from;
            }
            (index, rank) = (index + 1, 0);
        }
        length
    }

    /// Does it while the table's size changes: looks at every bucket, where its entries are.
    #[cold]
    fn survey_each(
        &self,
        region: Region,
        from: u64,
        length: u64,
        mut note: impl FnMut(u64, u8) -> Noted,
    ) -> u64 {
        let (mut place, mut left) = (from, length);
        while left > 0 {
            let home = self.home_at(place);
            let rank = (place - home.start()) as usize;
            if let Err(rank) = home.survey(region, rank, &mut note) {
                // The stretch may be one of another generation, and reach beyond the table.
                return (home.start() + rank as u64).wrapping_sub(from);
            }
            left = left.saturating_sub(home.end().wrapping_sub(place));
            place = home.end();
        }
        length
    }

    /// The entry at a place, if it is of this region.
    #[inline]
    pub(crate) fn look(&self, region: Region, place: u64) -> Option<Held<'g, K, V, X>> {
        let home = self.home_at(place);
        let rank = (place - home.start()) as usize;
        let control = home.control();
        if control.is_frozen() {
            return None;
        }
        if rank >= LANES {
            let (at, held) = home.first_of_chain(region, rank)?;
            return (at == rank).then_some(held);
        }
        let slot = home.row().slot(rank);
        let word = slot.word();
        word.is_of(region).then(|| home.held(slot, word))
    }

    /// The entry of this region whose hash agrees with `hash` in the bits that are `known`: those that
    /// say which bucket and the tag are among them.
    #[inline]
    pub(crate) fn recall(
        &self,
        region: Region,
        hash: u64,
        known: u64,
    ) -> Option<Held<'g, K, V, X>> {
        let home = self.home_at(hash);
        let control = home.control();
        if control.is_frozen() {
            return None;
        }
        match home.recall(home.row(), home.look().maybe(hash), (region, hash, known)) {
            None if control.overflows() => home.recall_from_chain((region, hash, known)),
            found => found,
        }
    }

    /// Collects the entries of the bucket where `places` begins, of all kinds, as far as they belong to
    /// these; returns the place of the next bucket, or `None` at the end of the table.
    ///
    /// An entry that is there throughout is collected exactly once. If keys keep coming into the
    /// bucket, a key that was removed and came back while it was read may be there twice: `same`
    /// tells, and the later one stays.
    pub(crate) fn gather(
        &self,
        places: Range<u64>,
        out: &mut Vec<Held<'g, K, V, X>>,
        same: impl Fn(&K, &K) -> bool,
    ) -> Option<u64> {
        let home = self.home_at(places.start);
        self.gather_all(home, out, same);
        let end = Some(home.end()).filter(|&end| end != 0);
        if places.start != home.start() || places.end < end.unwrap_or(u64::MAX) {
            // The table has shrunk since somebody divided it: the rest of the bucket is another's.
            out.retain(|held| places.contains(&held.entry().hash()));
        }
        end
    }

    fn gather_all(
        &self,
        home: Home<'g, K, V, X>,
        out: &mut Vec<Held<'g, K, V, X>>,
        same: impl Fn(&K, &K) -> bool,
    ) {
        let mut before = home.control().version();
        for _ in 0..READS {
            out.clear();
            home.gather(out);
            let after = home.control().version();
            if before == after {
                return;
            }
            before = after;
        }
        let mut nth = 0;
        while nth < out.len() {
            let entry = out[nth].entry();
            let again = |held: &Held<'g, K, V, X>| {
                held.entry().hash() == entry.hash() && same(held.entry().key(), entry.key())
            };
            if out[nth + 1..].iter().any(again) {
                out.remove(nth);
            } else {
                nth += 1;
            }
        }
    }
}
