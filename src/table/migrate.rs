//! Doubling the table, bucket by bucket, while it is in use.
//!
//! A bucket of a generation becomes two of the next. It is frozen: first its control word, so that
//! no key comes in, then its chain, shadows and slots, so that none is replaced or unlinked. Frozen
//! contents never change, so everybody who helps computes the same two images of the targets. A
//! part of a target is written by one compare-and-swap from *untouched*, a value that it never has
//! again (T6), so a helper that was asleep changes nothing when it wakes up, whatever has happened
//! to the target since.
//!
//! Readers do not help: they read the frozen bucket until it is marked MOVED, and its targets from
//! then on. Writers, hands and scans use a target only when its source is MOVED.

use super::array::{Array, Contents, Placed};
use super::chain::{self, Head};
use super::control::Control;
use super::home::Home;
use super::shadow::{LANES, Shadow};
use super::word::Word;
use crate::sync::{Ordering, seeded};

/// What a target bucket will hold.
struct Image<K, V> {
    own: [Option<Placed<K, V>>; LANES],
    chained: Contents<K, V>,
}

impl<K, V> Image<K, V> {
    /// The entries that stand in the source's own slots keep their lanes; those of the chain fill
    /// what is left.
    fn new(
        own: &[Option<usize>; LANES],
        contents: &Contents<K, V>,
        mine: impl Fn(u64) -> bool,
    ) -> Self {
        let entry = |nth: usize| contents.get(nth).copied().filter(|&(_, hash, _)| mine(hash));
        let mut image = Self { own: own.map(|nth| nth.and_then(entry)), chained: Vec::new() };
        let first_chained = own.iter().flatten().count();
        let mut chained = (first_chained..contents.len()).filter_map(entry);
        for free in image.own.iter_mut().filter(|slot| slot.is_none()) {
            *free = chained.next();
        }
        image.chained = chained.collect();
        image
    }

    fn shadow(&self) -> Shadow {
        self.own.iter().enumerate().fold(Shadow::ready(), |shadow, (lane, slot)| match slot {
            Some((_, hash, bits)) => {
                shadow.with_tag(lane, super::shadow::tag_of(*hash)).with_lane(lane, *bits)
            }
            None => shadow,
        })
    }
}

impl<K, V, X> Home<'_, K, V, X> {
    /// Moves the bucket's entries to the next generation. True for the one call that completed the
    /// whole generation.
    ///
    /// # Progress
    ///
    /// Lock-free; any number of threads may do it at once.
    pub(super) fn migrate(&self, next: &Array<K, V, X>) -> bool {
        if !self.freeze() {
            return false;
        }
        let (own, contents) = self.contents();
        let shift = 64 - next.bits();
        for half in 0..2 {
            let target = self.index * 2 + half;
            let image = Image::new(&own, &contents, |hash| (hash >> shift) as usize == target);
            fill(next, target, &image);
        }
        self.mark_moved()
    }

    /// Lets nothing change any more. False if the bucket was moved already.
    fn freeze(&self) -> bool {
        loop {
            let control = self.settle();
            if control.is_moved() {
                return false;
            }
            if control.is_frozen() || self.try_control(control, control.freezing()) {
                break;
            }
        }
        loop {
            let head = self.head();
            if head.is_frozen() || self.array.try_head(self.index, head, head.frozen()) {
                break;
            }
        }
        if !seeded("table-freeze-no-slots") {
            self.row().freeze();
        }
        self.links(self.head()).for_each(|link| link.row.freeze());
        true
    }

    fn mark_moved(&self) -> bool {
        loop {
            let control = self.control();
            if control.is_moved() {
                return false;
            }
            if self.try_control(control, control.moved()) {
                // ORDERING T-l: AcqRel: whoever completes the generation has seen all of it moved.
                let before = self.array.moved.fetch_add(1, Ordering::AcqRel);
                return before + 1 == self.array.len();
            }
        }
    }
}

/// Writes the parts of a target that are still untouched.
fn fill<K, V, X>(next: &Array<K, V, X>, target: usize, image: &Image<K, V>) {
    let head = next.head(target);
    if head.raw().is_null() {
        let chain = chain::build(&image.chained);
        if next.try_head(target, head, Head::of(chain)) {
            next.links.add(image.chained.len().div_ceil(LANES));
        } else {
            // SAFETY: built here and not published.
            unsafe { chain::free(chain) };
        }
    }
    let row = &next.bucket(target).row;
    for (lane, slot) in image.own.iter().enumerate() {
        let word = row.word(lane);
        let late = seeded("table-late-copy") && word.is_vacant();
        if word.is_untouched() || late {
            let filled = slot.map_or(Word::vacant(), |(node, _, _)| Word::visible(node));
            let _ = row.try_word(lane, word, filled);
        }
    }
    let _ = row.try_shadow(Shadow(0), image.shadow());
    next.bucket(target).try_control(Control(0), Control::ready(!image.chained.is_empty()));
    for &(_, _, bits) in image.own.iter().flatten().chain(&image.chained) {
        next.summaries().note(target, bits);
    }
}
