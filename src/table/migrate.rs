//! Moving the entries of a generation to the next one, bucket by bucket, while the table is in use.
//!
//! The next generation has twice as many buckets, or a fraction. A *unit* is the fewest buckets
//! whose entries are all the entries of some buckets of the next one: a bucket that is divided in two, or up
//! to eight that become one. A unit is frozen: of each bucket first the header word, so that no key comes
//! in, then its chain and slots, so that none is replaced or unlinked. Frozen contents never
//! change, so every thread that helps computes the same images of the targets. A part of a target is
//! written by one compare-and-swap from *untouched*, a value that it never has again (T6), so a
//! helper that was asleep changes nothing when it wakes up, whatever has happened to the target
//! since. When the targets are full, every source is marked MOVED.
//!
//! Readers do not help: they read a frozen bucket until it is marked MOVED, and its targets from then
//! on. The thread that is going to change a target, and every hand and scan, sees to it first that all its sources
//! are MOVED (T8): else a reader could find in the one what was taken out of the other.

use super::array::Array;
use super::bucket::BucketRef;
use super::chain::{self, ChainHead};
use super::group::SLOTS_PER_GROUP;
use super::header::Header;
use super::slot_word::{BucketContents, SlotContents, SlotWord};
use crate::sync::seeded;

/// Buckets that are migrated together, in a table that is followed by another.
pub(super) struct MigrationUnit<'g, K, V, X> {
    from: &'g Array<K, V, X>,
    to: &'g Array<K, V, X>,
    nth: usize,
}

impl<'g, K, V, X> MigrationUnit<'g, K, V, X> {
    /// The unit with this number.
    pub(super) fn at(from: &'g Array<K, V, X>, to: &'g Array<K, V, X>, nth: usize) -> Self {
        Self { from, to, nth }
    }

    /// The unit of a bucket.
    pub(super) fn of(source: BucketRef<'g, K, V, X>, to: &'g Array<K, V, X>) -> Self {
        let from = source.array;
        Self { from, to, nth: source.index() >> merged(from, to) }
    }

    /// How many units a generation has.
    pub(super) fn count(from: &Array<K, V, X>, to: &Array<K, V, X>) -> usize {
        from.len() >> merged(from, to)
    }

    fn sources(&self) -> impl Iterator<Item = BucketRef<'g, K, V, X>> + use<'g, K, V, X> {
        let (from, merged) = (self.from, merged(self.from, self.to));
        let first = self.nth << merged;
        (first..first + (1 << merged)).map(|index| BucketRef::at(from, index))
    }

    /// Whether its targets may be changed (T8).
    pub(super) fn is_moved(&self) -> bool {
        self.sources().all(|source| source.header().is_moved())
    }

    /// Moves the entries to the next generation, if that was not done yet.
    ///
    /// # Progress
    ///
    /// Lock-free; any number of threads may do it at once.
    pub(super) fn migrate(&self) {
        // One that is moved already says that the targets are full.
        if self.sources().all(|source| source.freeze()) {
            self.fill();
        }
        self.sources().for_each(|source| source.mark_moved());
    }

    /// Goes on with what a thread has begun that is not there any more. No other thread uses the table.
    pub(super) fn finish(&self) {
        if self.sources().any(|source| source.header().is_frozen()) {
            self.migrate();
        }
    }

    /// Begins with it.
    #[cfg(all(test, not(clockhand_loom)))]
    pub(super) fn begin(&self, filled: bool) {
        assert!(self.sources().all(|source| source.freeze()), "moved already");
        if filled {
            self.fill();
        }
    }

    fn fill(&self) {
        let sources: Vec<_> = self.sources().map(|source| source.contents()).collect();
        let divided = merged(self.to, self.from);
        let first = self.nth << divided;
        for target in first..first + (1 << divided) {
            let image = Image::new(&sources, |hash| self.to.index_of(hash) == target);
            fill(self.to, target, &image);
            self.note_due(target, &image);
        }
    }

    /// Notes of a target when its entries expire.
    fn note_due(&self, target: usize, image: &Image) {
        let Some(due) = &self.to.due else { return };
        let bucket = BucketRef::at(self.to, target);
        for &(number, ..) in image.own.iter().flatten().chain(&image.chained) {
            // Found in a frozen bucket by a pinned thread, so it is not freed meanwhile.
            let entry = bucket.entry(number);
            if entry.charge() > 0 {
                due.note(target, entry.end(self.to.life));
            }
        }
    }
}

/// How many buckets of a generation become one of the other, as a power of two.
fn merged<K, V, X>(from: &Array<K, V, X>, to: &Array<K, V, X>) -> u32 {
    from.bits().saturating_sub(to.bits())
}

/// Which entries of a source stand in its own slots, and all of them.
type Source = ([Option<usize>; SLOTS_PER_GROUP], BucketContents);

/// What a target bucket will hold.
struct Image {
    own: [Option<SlotContents>; SLOTS_PER_GROUP],
    chained: BucketContents,
}

impl Image {
    /// An entry that stands in a source's own slot keeps its index, unless another came before it; the
    /// others, and those of the chains, fill what is left.
    fn new(sources: &[Source], mine: impl Fn(u64) -> bool) -> Self {
        let mut image = Self { own: [None; SLOTS_PER_GROUP], chained: Vec::new() };
        for (own, contents) in sources {
            let entry = |nth: usize| contents.get(nth).copied().filter(|&(_, hash, _)| mine(hash));
            for (slot, nth) in image.own.iter_mut().zip(own) {
                let placed = nth.and_then(entry);
                if slot.is_none() {
                    *slot = placed;
                } else {
                    image.chained.extend(placed);
                }
            }
            let first_chained = own.iter().flatten().count();
            image.chained.extend((first_chained..contents.len()).filter_map(entry));
        }
        let mut rest = std::mem::take(&mut image.chained).into_iter();
        for free in image.own.iter_mut().filter(|slot| slot.is_none()) {
            *free = rest.next();
        }
        image.chained = rest.collect();
        image
    }
}

impl<K, V, X> BucketRef<'_, K, V, X> {
    /// Lets nothing change any more. False if the bucket was moved already.
    fn freeze(&self) -> bool {
        loop {
            let header = self.help_announced();
            if header.is_moved() {
                return false;
            }
            if header.is_frozen() || self.try_header(header, header.freezing()) {
                break;
            }
        }
        loop {
            let head = self.head();
            if head.is_frozen() || self.array.try_head(self.index(), head, head.frozen()) {
                break;
            }
        }
        if !seeded("table-freeze-no-slots") {
            self.group().freeze();
        }
        if !seeded("table-freeze-no-chain") {
            self.chain().for_each(|link| link.group.freeze());
        }
        true
    }

    /// Tells that the targets are full.
    fn mark_moved(&self) {
        loop {
            let header = self.header();
            if header.is_moved() || self.try_header(header, header.moved()) {
                return;
            }
        }
    }
}

/// Writes the parts of a target that are still untouched.
fn fill<K, V, X>(next: &Array<K, V, X>, target: usize, image: &Image) {
    let head = next.head(target);
    if head.raw().is_null() {
        let chain = chain::build(&image.chained);
        if next.try_head(target, head, ChainHead::of(chain)) {
            next.links.add(image.chained.len().div_ceil(SLOTS_PER_GROUP));
        } else {
            // SAFETY: built here and not published.
            unsafe { chain::free(chain) };
        }
    }
    let group = &next.bucket(target).group;
    for (slot_index, entry) in image.own.iter().enumerate() {
        let slot = group.slot(slot_index);
        let word = slot.word();
        let late = seeded("table-late-copy") && word.is_vacant();
        if word.is_untouched() || late {
            let visible = |(number, hash, meta)| SlotWord::visible(number, hash, meta);
            let filled = entry.map_or(SlotWord::vacant(0), visible);
            let _ = slot.try_word(word, filled);
        }
    }
    next.bucket(target).try_header(Header(0), Header::ready(!image.chained.is_empty()));
    for &(_, _, meta) in image.own.iter().flatten().chain(&image.chained) {
        next.summaries().note(target, meta);
    }
}
