//! Walking the table in its order: for the hands, and for scans.
//!
//! A *place* is a point in table order: the leading bits of the hash say which bucket, the rest
//! counts the ranks within it. As a bucket's two successors divide its range of hashes, a place
//! stays meaningful when the table doubles.

use super::array::Array;
use super::home::{Held, Home, Spot};
use super::row::Row;
use super::shadow::{LANES, Lanes, Shadow};
use super::view::View;
use crate::entry::EntryRef;

/// Which entries a hand looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Region {
    /// Those whose stage is one or two.
    Probation,
    /// Those whose stage is three.
    Protected,
}

impl Region {
    /// The region of a slot with these policy bits; none if it is vacant.
    pub(super) fn of(bits: u8) -> Option<Self> {
        match bits & 0b11 {
            0 => None,
            3 => Some(Self::Protected),
            _ => Some(Self::Probation),
        }
    }
}

/// An entry that a hand met.
pub(crate) struct Met<'g, K, V, X> {
    pub(crate) held: Held<'g, K, V, X>,
    /// Its policy bits.
    pub(crate) bits: u8,
    /// Its place, and the one right after it.
    pub(crate) at: u64,
    pub(crate) next: u64,
}

/// How often a scan reads a bucket again because keys came in.
const READS: usize = 4;

fn lanes(region: Region, shadow: Shadow) -> Lanes {
    match region {
        Region::Probation => shadow.probation(),
        Region::Protected => shadow.protected(),
    }
}

impl<'g, K, V, X> Home<'g, K, V, X> {
    fn start(&self) -> u64 {
        self.array.place_of(self.index)
    }

    /// The place where the next bucket begins; zero after the last.
    fn end(&self) -> u64 {
        self.array.place_of(self.index + 1)
    }

    fn held(
        &self,
        row: &'g Row<K, V>,
        base: usize,
        lane: usize,
        shadow: Shadow,
    ) -> Option<Held<'g, K, V, X>> {
        let word = row.word(lane);
        if !word.is_readable() {
            return None;
        }
        // SAFETY: a readable word points to a linked entry, and the thread is pinned (T1).
        let entry = unsafe { EntryRef::from_raw(word.node(), self.array.shape) };
        let spot = Spot { home: *self, row, lane, rank: base + lane };
        Some(Held { spot, word, shadow, entry })
    }

    /// The first entry of the region with this rank or a higher one.
    fn first(&self, region: Region, rank: usize) -> Option<Held<'g, K, V, X>> {
        let in_row = |row: &'g Row<K, V>, base: usize| {
            let shadow = row.shadow();
            let from = lanes(region, shadow).from(rank.saturating_sub(base));
            from.into_iter().find_map(|lane| self.held(row, base, lane, shadow))
        };
        if let Some(held) = in_row(self.row(), 0) {
            return Some(held);
        }
        if !self.control().overflows() {
            return None;
        }
        // The newest link, with the highest ranks, comes first: the last one that has any wins.
        self.links(self.head()).filter_map(|link| in_row(&link.row, link.base)).last()
    }

    fn gather(&self, out: &mut Vec<Held<'g, K, V, X>>) {
        let mut row = |row: &'g Row<K, V>, base: usize| {
            let shadow = row.shadow();
            out.extend((0..LANES).filter_map(|lane| self.held(row, base, lane, shadow)));
        };
        row(self.row(), 0);
        for link in self.links(self.head()) {
            row(&link.row, link.base);
        }
    }
}

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// The bucket at a place, in the generation where its entries are now.
    fn home_at(&self, place: u64) -> Home<'g, K, V, X> {
        let mut array = self.current();
        loop {
            let home = Home { array, index: array.index_of(place) };
            match self.next(array) {
                Some(next) if home.control().is_moved() => array = next,
                _ => return home,
            }
        }
    }

    /// The first entry of a region at `from` or after it, round the table; looks at no more than
    /// `reach` buckets.
    ///
    /// # Errors
    ///
    /// The place where it stopped.
    pub(crate) fn meet(
        &self,
        region: Region,
        from: u64,
        reach: usize,
    ) -> Result<Met<'g, K, V, X>, u64> {
        let mut place = from;
        for _ in 0..reach {
            let home = self.home_at(place);
            let rank = (place - home.start()) as usize;
            if !home.control().is_frozen()
                && let Some(held) = home.first(region, rank)
            {
                let at = home.start() + held.spot.rank as u64;
                return Ok(Met { held, bits: held.bits(), at, next: at + 1 });
            }
            place = self.skip(home, region, rank == 0);
        }
        Err(place)
    }

    /// The place of the next bucket that may have entries of the region, after one where none was
    /// met; `whole` says that all of it was looked at.
    fn skip(&self, home: Home<'g, K, V, X>, region: Region, whole: bool) -> u64 {
        let array: &Array<K, V, X> = home.array;
        if self.is_growing() {
            return home.end();
        }
        if whole && array.summaries().forget(region, home.index) {
            // An entry that came in between has set the bit before, or is seen now.
            if let Some(held) = home.first(region, 0) {
                array.summaries().note(home.index, held.bits());
            }
        }
        let after = array.summaries().next(region, home.index + 1);
        after.map_or(0, |index| array.place_of(index))
    }

    /// Collects the entries of the bucket at a place; returns the place of the next bucket, or
    /// `None` at the end of the table.
    ///
    /// An entry that is there throughout is collected exactly once. If keys keep coming into the
    /// bucket, a key that was removed and came back while it was read may be there twice: `same`
    /// tells, and the later one stays.
    pub(crate) fn gather(
        &self,
        place: u64,
        out: &mut Vec<Held<'g, K, V, X>>,
        same: impl Fn(&K, &K) -> bool,
    ) -> Option<u64> {
        let home = self.home_at(place);
        let end = Some(home.end()).filter(|&end| end != 0);
        if place != home.start() {
            // A bucket belongs to the walk that comes to its beginning.
            return end;
        }
        let mut before = home.control().version();
        for _ in 0..READS {
            out.clear();
            home.gather(out);
            let after = home.control().version();
            if before == after {
                return end;
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
        end
    }
}
