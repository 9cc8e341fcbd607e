//! When the table changes its size: a generation is begun, filled in passing, and the older one let go of.
//!
//! The table grows by twos, when it is crowded. It shrinks when its entries would fit one of a quarter
//! of the size twice over, by up to an eighth at a time: so it has to lose three quarters of its entries
//! after it has grown before it shrinks, and then to gain as many again as it has before it grows.
//!
//! No thread's sleep holds the end up. Threads begin with different units, so that they do not get into
//! each other's way. Each also looks whether what was begun before is moved, in order, and does it itself if
//! that was long ago; the thread that finds the last one moved puts the next generation in the older one's place.

use super::array::Array;
use super::bucket::{BucketRef, Occupied};
use super::deferred_box::DeferredBox;
use super::migrate::MigrationUnit;
use super::view::View;
use super::{Garbage, Table};
use crate::reclaim::{ChargedTo, Retired};
use crate::sync::{Ordering, seeded};

/// How much smaller a table has to be to be worth it, and how much smaller it may become at once, as powers of
/// two.
const MIN_SHRINK_BITS: u32 = 2;
const MAX_SHRINK_BITS: u32 = 3;
/// Entries for which a table is made that shrinks, for each that there is.
const SHRINK_HEADROOM: usize = 2;
/// Groups that were begun later than one that is not moved yet, when another thread does that.
const TAKEOVER_DISTANCE: usize = 64;
/// Groups of which a thread looks whether they are moved, for each that it begins with.
const CHECKS_PER_UNIT: usize = 2;

impl<'g, K, V, X, L> View<'g, K, V, X, L> {
    /// Whether enough buckets overflow that the table should double, if it has more entries than
    /// [`MAX_LOAD_FACTOR`](super::MAX_LOAD_FACTOR) for each.
    pub(crate) fn is_crowded(&self) -> bool {
        let array = self.current();
        array.links.get() > array.len() / 8 && array.bits() < Table::<K, V, X, L>::MAX_BITS
    }

    /// Whether entries are moving to a generation of another size.
    #[inline(always)]
    pub(crate) fn is_migrating(&self) -> bool {
        self.next(self.current()).is_some()
    }

    /// Whether the table is so large that it may have to shrink.
    #[inline]
    pub(crate) fn is_grown(&self) -> bool {
        let array = self.current();
        array.bits() >= self.table.first_bits + MIN_SHRINK_BITS && self.next(array).is_none()
    }

    /// The number of buckets.
    pub(crate) fn buckets(&self) -> usize {
        self.current().len()
    }

    /// Bytes of the buckets and chains, without the entries, and of the annexes, which `extension` tells.
    pub(crate) fn bytes(&self, extension: impl Fn(&X) -> usize) -> usize {
        let current = self.current();
        let one = |array: &Array<K, V, X>| {
            let links = array.links.get() * size_of::<super::chain::Link>();
            array.bytes() + links + extension(&array.extension)
        };
        one(current) + self.next(current).map_or(0, one)
    }

    /// Begins to double the table, unless its size is changing.
    pub(crate) fn grow(&self, extension: impl FnOnce(&X, usize) -> X) {
        let array = self.current();
        if array.bits() < Table::<K, V, X, L>::MAX_BITS {
            self.begin(array, array.bits() + 1, extension);
        }
    }

    /// Begins to make the table smaller, if it is far too large for `entries` entries, unless its
    /// size is changing.
    pub(crate) fn shrink(&self, entries: usize, extension: impl FnOnce(&X, usize) -> X) {
        let array = self.current();
        let fitting = Table::<K, V, X, L>::bits_for(entries.saturating_mul(SHRINK_HEADROOM));
        let fitting = fitting.max(self.table.first_bits);
        if array.bits() >= fitting + MIN_SHRINK_BITS {
            self.begin(array, fitting.max(array.bits() - MAX_SHRINK_BITS), extension);
        }
    }

    /// Begins a generation that follows `array`, unless there is one.
    pub(super) fn begin(
        &self,
        array: &'g Array<K, V, X>,
        bits: u32,
        extension: impl FnOnce(&X, usize) -> X,
    ) {
        if self.next(array).is_some() {
            return;
        }
        let next = Array::new(
            array.share_slab(),
            array.life,
            bits,
            extension(&array.extension, 1 << bits),
        );
        let next = Box::into_raw(Box::new(next));
        // ORDERING T-j: Release: publishes the generation; pairs with the load in `next`. On failure
        // another thread was faster.
        let lost = array
            .next
            .compare_exchange(std::ptr::null_mut(), next, Ordering::Release, Ordering::Relaxed)
            .is_err();
        if lost {
            // SAFETY: not published.
            drop(unsafe { Box::from_raw(next) });
        }
    }

    /// Migrates about `buckets` buckets if the table's size is changing; returns how many, and at least one
    /// if so.
    pub(crate) fn migrate(&self, buckets: usize) -> usize {
        let array = self.current();
        let Some(next) = self.next(array) else { return 0 };
        let width = array.len() / MigrationUnit::count(array, next);
        let units = (buckets / width).max(1);
        self.help(array, next, units);
        units * width
    }

    /// The generation where the entries of a frozen bucket may be changed, once they all are there
    /// (T8).
    #[cold]
    pub(super) fn follow(&self, bucket: BucketRef<'g, K, V, X>) -> &'g Array<K, V, X> {
        let next = self.next(bucket.array).expect("a frozen bucket has somewhere to go");
        let unit = MigrationUnit::of(bucket, next);
        let early = seeded("table-follow-early") && bucket.header().is_moved();
        if !unit.is_moved() && !early {
            unit.migrate();
        }
        next
    }

    /// Migrates the bucket of an entry that could not be unlinked, if it is frozen: the thread that froze it may
    /// sleep. The bucket is asked, and not the slot's word: the slot may be one of the generation before.
    #[cold]
    pub(crate) fn help_migrate(&self, occupied: Occupied<'g, K, V, X>) {
        let frozen = if seeded("table-help-by-word") {
            occupied.word.is_frozen()
        } else {
            occupied.bucket.header().is_frozen()
        };
        if frozen {
            self.follow(occupied.bucket);
        }
    }

    /// Begins to double the table, and leaves the units of some hashes as a thread does that falls asleep there:
    /// frozen, and filled in the next generation if it came so far.
    #[cfg(all(test, not(clockhand_loom)))]
    pub(crate) fn fall_asleep(
        &self,
        extension: impl FnOnce(&X, usize) -> X,
        hashes: impl IntoIterator<Item = u64>,
        filled: bool,
    ) {
        let array = self.current();
        self.begin(array, array.bits() + 1, extension);
        let next = self.next(array).expect("just begun");
        for hash in hashes {
            MigrationUnit::of(BucketRef::of(array, hash), next).begin(filled);
        }
    }

    /// Migrates some units of `array`, which `next` follows, and ends that where all are moved.
    #[cold]
    pub(super) fn help(&self, array: &'g Array<K, V, X>, next: &'g Array<K, V, X>, units: usize) {
        let all = MigrationUnit::count(array, next);
        for _ in 0..units {
            let nth = array.begun.add(1);
            if nth >= all {
                break;
            }
            MigrationUnit::at(array, next, nth).migrate();
        }
        if self.check_moved(array, next, units * CHECKS_PER_UNIT) == all {
            self.complete(array);
        }
    }

    /// Looks whether some units more are moved, and sees to it if others have begun with them and seem
    /// to sleep; returns how many are moved for certain, from the first on.
    fn check_moved(
        &self,
        array: &'g Array<K, V, X>,
        next: &'g Array<K, V, X>,
        units: usize,
    ) -> usize {
        let (all, begun) = (MigrationUnit::count(array, next), array.begun.get());
        // ORDERING T-l: Acquire: the thread that ends the generation has seen all of it moved; pairs with the
        // exchange below.
        let known = array.moved.load(Ordering::Acquire);
        let mut moved = known;
        while moved < all && moved - known < units {
            let unit = MigrationUnit::at(array, next, moved);
            if !unit.is_moved() {
                let is_young = begun < all && begun < moved + TAKEOVER_DISTANCE;
                if is_young || seeded("table-left-to-who-began") {
                    break;
                }
                unit.migrate();
            }
            moved += 1;
        }
        if moved > known {
            // ORDERING T-l: AcqRel: Release passes on what was seen moved; Acquire, as above.
            let before = array.moved.fetch_max(moved, Ordering::AcqRel);
            moved = moved.max(before);
        } else if seeded("table-end-by-who-counts") {
            return known.min(all - 1);
        }
        moved
    }

    /// Lets go of a generation that is moved completely, unless another thread has done that.
    fn complete(&self, array: &'g Array<K, V, X>) {
        let old = std::ptr::from_ref(array).cast_mut();
        // ORDERING T-j: Relaxed: it was seen before.
        let next = array.next.load(Ordering::Relaxed);
        // ORDERING T-k: Release: the thread that starts at the next generation sees it filled; pairs with the
        // load in `current`. On failure another thread was faster.
        let done = { &self.table.current }.compare_exchange(
            old,
            next,
            Ordering::Release,
            Ordering::Relaxed,
        );
        let Ok(old) = done else { return };
        // SAFETY: generations come from boxes, and this one can be reached by no thread that comes now.
        let old = unsafe { DeferredBox::new(old) };
        // SAFETY: taken out of reach by this thread, which is pinned (R2).
        let old = unsafe { Retired::new(Garbage::Array(old)) };
        self.guard_ref().retire(old, ChargedTo::Nowhere);
    }
}
