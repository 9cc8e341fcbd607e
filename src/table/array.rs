//! One generation of the table: the buckets, what hangs on them, and the next generation.

use std::fmt;
use std::sync::Arc;

use super::chain::{self, ChainHead, Link};
use super::deadline_tree::DeadlineTree;
use super::group::Group;
use super::header::Header;
use super::summary::Summaries;
use crate::entry::{EntryLayout, Slab};
use crate::narrow::in_memory;
use crate::reclaim::stall_point;
use crate::sync::{
    AtomicPtr, AtomicU64, AtomicUsize, CachePadded, Ordering, Relaxed, Zeroed, zeroed,
};

/// A bucket: one cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    header: AtomicU64,
    pub(super) group: Group,
}

// SAFETY: made of integers in atomics.
unsafe impl Zeroed for Bucket {}

#[cfg(not(clockhand_loom))]
const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    #[inline]
    pub(super) fn header(&self) -> Header {
        // ORDERING T-a: Acquire: the slots are looked at after the word that counts the inserts;
        // pairs with `try_header`.
        let header = Header(self.header.load(Ordering::Acquire));
        stall_point();
        header
    }

    /// One attempt to change the header word.
    #[inline]
    pub(super) fn try_header(&self, from: Header, to: Header) -> bool {
        // ORDERING T-b: AcqRel: Release publishes the claim that is announced, or the slots that
        // were frozen or filled; Acquire continues the chain. On failure an entry was announced or cleared
        // of announcement, and the caller looks again.
        self.header.compare_exchange(from.0, to.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// Entries a bucket holds on average when the table is full; a table with more grows.
pub(crate) const MAX_LOAD_FACTOR: usize = 4;

/// One generation of the table.
pub(crate) struct Array<K, V, X> {
    slab: Arc<Slab<K, V>>,
    /// How long entries live at most after they were written, in nanoseconds.
    pub(super) life: u64,
    /// There are two to the power of 64 less this of buckets; at most 63.
    shift: u32,
    buckets: Box<[Bucket]>,
    /// The chain of each bucket; looked at only where the header word says OVERFLOWS.
    heads: Box<[AtomicPtr<Link>]>,
    summaries: Summaries,
    /// Where the next entries expire, if they do.
    pub(super) due: Option<DeadlineTree>,
    /// What the table's owner keeps for each generation.
    pub(super) extension: X,
    /// The generation with more or fewer buckets that follows, once there is one.
    pub(super) next: AtomicPtr<Array<K, V, X>>,
    /// The unit that the next thread begins to migrate, and how many, from the first on, another thread
    /// has found moved.
    pub(super) begun: CachePadded<Relaxed<AtomicUsize>>,
    pub(super) moved: CachePadded<AtomicUsize>,
    /// Links on all chains.
    pub(super) links: CachePadded<Relaxed<AtomicUsize>>,
}

impl<K, V, X> Array<K, V, X> {
    /// The bytes that one of two to the power of `bits` buckets takes, without chains and extension.
    pub(super) fn bytes_for(entry_layout: EntryLayout, bits: u32) -> u128 {
        let each = size_of::<Bucket>() + size_of::<AtomicPtr<Link>>();
        let due = if entry_layout.has_deadline() { DeadlineTree::BYTES_PER_BUCKET } else { 0 };
        ((each + due) as u128) << bits
    }

    pub(super) fn new(slab: Arc<Slab<K, V>>, life: u64, bits: u32, extension: X) -> Self {
        let (entry_layout, buckets) = (slab.entry_layout(), 1_usize << bits);
        debug_assert!(bits > 0, "a generation of one bucket");
        Self {
            slab,
            life,
            shift: u64::BITS - bits,
            buckets: zeroed(buckets, || Bucket { header: AtomicU64::new(0), group: Group::new() }),
            heads: zeroed(buckets, || AtomicPtr::new(std::ptr::null_mut())),
            summaries: Summaries::new(buckets),
            due: entry_layout.has_deadline().then(|| DeadlineTree::new(buckets)),
            extension,
            next: AtomicPtr::new(std::ptr::null_mut()),
            begun: CachePadded::new(Relaxed::<AtomicUsize>::new(0)),
            moved: CachePadded::new(AtomicUsize::new(0)),
            links: CachePadded::new(Relaxed::<AtomicUsize>::new(0)),
        }
    }

    /// Where its entries lie.
    #[inline(always)]
    pub(super) fn slab(&self) -> &Slab<K, V> {
        &self.slab
    }

    /// The same, for the generation that follows.
    pub(super) fn share_slab(&self) -> Arc<Slab<K, V>> {
        Arc::clone(&self.slab)
    }

    pub(super) fn bits(&self) -> u32 {
        u64::BITS - self.shift
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// The bucket of a hash, or of a position: its leading bits.
    #[inline]
    pub(super) fn index_of(&self, hash: u64) -> usize {
        in_memory(hash >> self.shift)
    }

    /// The first place of a bucket.
    pub(super) fn place_of(&self, index: usize) -> u64 {
        (index as u64) << self.shift
    }

    #[inline]
    pub(super) fn bucket(&self, index: usize) -> &Bucket {
        &self.buckets[index]
    }

    /// Where a bucket of this generation is.
    #[inline]
    pub(super) fn index_at(&self, bucket: &Bucket) -> usize {
        let (first, bucket) = (self.buckets.as_ptr(), std::ptr::from_ref(bucket));
        (bucket.addr() - first.addr()) / size_of::<Bucket>()
    }

    /// The bucket of a hash, or of a position.
    #[inline]
    pub(super) fn bucket_of(&self, hash: u64) -> &Bucket {
        // SAFETY: what is left of the hash is below two to the power of 64 less `shift`, and so many
        // buckets were allocated.
        unsafe { self.buckets.get_unchecked(self.index_of(hash)) }
    }

    pub(super) fn head(&self, index: usize) -> ChainHead {
        // ORDERING T-h: Acquire: the links; pairs with `try_head`.
        let head = ChainHead::from_raw(self.heads[index].load(Ordering::Acquire));
        stall_point();
        head
    }

    pub(super) fn try_head(&self, index: usize, from: ChainHead, to: ChainHead) -> bool {
        // ORDERING T-i: AcqRel: Release publishes the link; Acquire lets the thread that takes one off read
        // it.
        self.heads[index]
            .compare_exchange(from.raw(), to.raw(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Which buckets may have entries of a region.
    pub(super) fn summaries(&self) -> &Summaries {
        &self.summaries
    }

    /// The bytes of this generation, without chains and extension.
    pub(super) fn bytes(&self) -> usize {
        let due = self.due.as_ref().map_or(0, DeadlineTree::bytes);
        size_of_val(&*self.buckets) + size_of_val(&*self.heads) + self.summaries.bytes() + due
    }
}

impl<K, V, X> Drop for Array<K, V, X> {
    /// Frees the chains, but not the entries: they were moved on, or freed before by the table.
    fn drop(&mut self) {
        let mut left = self.links.get();
        for index in 0..self.len() {
            if left == 0 {
                // Most tables have few chains or none.
                return;
            }
            // SAFETY: dropping a generation means that no thread looks at it any more.
            left -= unsafe { chain::free(self.head(index).link()) };
        }
    }
}

impl<K, V, X> fmt::Debug for Array<K, V, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("buckets", &self.len()).finish_non_exhaustive()
    }
}

// SAFETY: all shared parts are atomics; the pointers are owned by the generation as a box would own
// them, and what they lead to is lent to all threads.
unsafe impl<K: Send + Sync, V: Send + Sync, X: Send + Sync> Sync for Array<K, V, X> {}
// SAFETY: as above.
unsafe impl<K: Send + Sync, V: Send + Sync, X: Send + Sync> Send for Array<K, V, X> {}
