//! Where the records of entries lie: in chunks, found by a number.
//!
//! A number has 32 bits, half of what an address has, and leaves room in a slot for all that else is known of
//! an entry. Its upper bits name a chunk, whose address a directory has:
//!
//! ```text
//!   number   | chunk | record |       directory  [ length ][ base ][ base ] ..     base + number * size
//! ```
//!
//! Behind the records of a chunk lie their births, side by side, as four bytes would take eight in most records:
//!
//! ```text
//!   chunk    | record | record | .. | record | birth | birth | .. | birth |
//! ```
//!
//! A number that was given back is the next one that is handed out, the lowest first as far as it is known: so
//! chunks at the end fall empty when a table has become small, and their memory goes back. Records with a
//! token are larger, and have numbers and chunks of their own.
//!
//! # Invariants
//!
//! - **S1** A number that was handed out and not given back is its holder's, and no other thread writes its record.
//! - **S2** The memory of a chunk is there from before a number of it is handed out until all of them were given back.
//! - **S3** A directory is there until the slab is dropped, and has all chunks of which a number was handed out before
//!   the next directory took its place. Its first entry is its length, as the number zero is none and the first chunk is
//!   never made.
//! - **S4** A birth is written by the thread that has the number and its record, before the entry is linked; it may be read while the
//!   number is out. It is zero if it was never written.
//!
//! # Progress
//!
//! Threads keep numbers of their own, and give and take some at once. Lists are tried, and not waited for: a thread that finds
//! all of them taken hands out new ones, and tries again to give one back. Only for a chunk that is to be made, which
//! asks the allocator, threads wait for each other, as they do there.

use std::alloc::{self, Layout};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

#[cfg(test)]
use super::Kind;
use super::free_list::FreeNumbers;
use super::placeholder::RenewingNode;
use super::{EntryLayout, Node};
use crate::narrow::records;
use crate::sync::{Address, Holder, SpinGuard, SpinLock, give_way};

/// Set in the number of a record with a token.
const HAS_TOKEN: u32 = 1 << 31;

/// Whether a number is that of a record without a token. The number zero is none.
#[inline(always)]
pub(crate) fn is_plain(number: u32) -> bool {
    number.cast_signed() > 0
}

/// Lists of free numbers, so that threads do not meet at one.
const LISTS: usize = 8;
/// Numbers that a thread takes at once, at most.
const BATCH_SIZE: usize = 16;
/// Bytes of a chunk, roughly, and the most records of one, as a power of two.
const CHUNK_BYTES: usize = 1 << 14;
const MAX_CHUNK_BITS: u32 = 9;
/// Chunks of a directory at first.
const DIRECTORY: usize = 8;

/// The records of one table.
pub(crate) struct Slab<K, V> {
    entry_layout: EntryLayout,
    plain: Pool,
    with_token: Pool,
    _owns: PhantomData<Node<K, V>>,
}

/// Records of one size.
struct Pool {
    /// Of a record, and where its fixed part begins.
    layout: Layout,
    offset: usize,
    /// How far the birth of a chunk's first record is behind its fixed part.
    births: usize,
    /// What is added to that for each record, modulo the size of memory.
    nearer: usize,
    /// The directory; null at first.
    chunks: Address<Address<u8>>,
    /// Records of a chunk, as a power of two.
    bits: u32,
    free: [SpinLock<Vec<u32>>; LISTS],
    growth: SpinLock<Growth>,
}

/// Of each chunk the address at which the fixed part of the record with the number zero would lie.
type Directory = Box<[Address<u8>]>;

/// How chunks are made.
struct Growth {
    /// The directories that others have replaced.
    replaced: Vec<Directory>,
    /// The next chunk, and those before it that have no memory.
    named: usize,
    bare: Vec<usize>,
    /// Numbers of the chunk that was made last which were never handed out.
    fresh: Range<u32>,
}

impl<K, V> Slab<K, V> {
    /// A chunk has as many records as fill a few pages; one if they are large.
    const BITS: u32 = {
        let records = CHUNK_BYTES / size_of::<RenewingNode<K, V>>();
        match records.checked_ilog2() {
            Some(bits) if bits < MAX_CHUNK_BITS => bits,
            Some(_) => MAX_CHUNK_BITS,
            None => 0,
        }
    };

    pub(crate) fn new(entry_layout: EntryLayout) -> Self {
        let words = Layout::array::<u64>(entry_layout.words()).expect("at most six words");
        let pool = |fixed| {
            let (layout, offset) =
                words.extend(fixed).expect("a key and a value that exist fit in memory");
            Pool::new(layout.pad_to_align(), offset, Self::BITS)
        };
        Self {
            entry_layout,
            plain: pool(Layout::new::<Node<K, V>>()),
            with_token: pool(Layout::new::<RenewingNode<K, V>>()),
            _owns: PhantomData,
        }
    }

    pub(crate) fn entry_layout(&self) -> EntryLayout {
        self.entry_layout
    }

    /// The record with this number.
    ///
    /// # Safety
    ///
    /// The number was handed out (S1).
    #[inline(always)]
    pub(super) unsafe fn node(&self, number: u32) -> NonNull<Node<K, V>> {
        let address = if number < HAS_TOKEN {
            // SAFETY: the caller's promise.
            unsafe { self.plain.address(number, Self::BITS) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.node_with_token(number) }
        };
        // SAFETY: by S2 an address in a chunk, and chunks are not at zero.
        unsafe { NonNull::new_unchecked(address.cast::<Node<K, V>>()) }
    }

    /// The record with this number, which has no token.
    ///
    /// # Safety
    ///
    /// The number was handed out (S1), and is [plain](is_plain).
    #[inline(always)]
    pub(super) unsafe fn plain_node(&self, number: u32) -> NonNull<Node<K, V>> {
        debug_assert!(is_plain(number), "a record with a token");
        // SAFETY: the caller's promise.
        let address = unsafe { self.plain.address(number, Self::BITS) };
        // SAFETY: by S2 an address in a chunk, and chunks are not at zero.
        unsafe { NonNull::new_unchecked(address.cast::<Node<K, V>>()) }
    }

    /// When the entry with this number was born.
    ///
    /// # Safety
    ///
    /// The number was handed out (S1).
    #[inline]
    pub(crate) unsafe fn birth(&self, number: u32) -> u32 {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(number) };
        // SAFETY: as above, and no thread writes it meanwhile (S4).
        unsafe { self.birth_beside(node, number).read() }
    }

    /// Notes when an entry was born.
    ///
    /// # Safety
    ///
    /// The number is the caller's (S1), and the record at `node` has it.
    #[inline(always)]
    pub(super) unsafe fn set_birth(&self, node: NonNull<Node<K, V>>, number: u32, birth: u32) {
        // SAFETY: the caller's promise (S4).
        unsafe { self.birth_beside(node, number).write(birth) }
    }

    /// Where the birth of a record lies.
    #[inline(always)]
    fn birth_beside(&self, node: NonNull<Node<K, V>>, number: u32) -> *mut u32 {
        let pool = if number < HAS_TOKEN { &self.plain } else { &self.with_token };
        let record = number as usize & ((1 << Self::BITS) - 1);
        // Each record is nearer to its birth than the one before.
        let distance = pool.births.wrapping_add(record.wrapping_mul(pool.nearer));
        node.as_ptr().cast::<u8>().wrapping_add(distance).cast()
    }

    /// Apart, so that the usual case is a branch that is not taken.
    ///
    /// # Safety
    ///
    /// As for [`node`](Self::node), of a record with a token.
    #[cold]
    unsafe fn node_with_token(&self, number: u32) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.with_token.address(number & !HAS_TOKEN, Self::BITS) }
    }

    /// Prefetches the line where a plain record begins.
    ///
    /// # Safety
    ///
    /// The number was handed out once.
    #[inline(always)]
    pub(crate) unsafe fn prefetch(&self, number: u32) {
        if number < HAS_TOKEN {
            // SAFETY: the caller's promise, and nothing is read but the directory.
            let address = unsafe { self.plain.address(number, Self::BITS) };
            crate::sync::prefetch_to_read(address.cast_const());
        }
    }

    /// Hands a number out.
    #[cfg(test)]
    pub(super) fn take(&self, kind: Kind) -> u32 {
        let (pool, mark) = match kind {
            Kind::Plain => (&self.plain, 0),
            Kind::Placeholder | Kind::Renewing => (&self.with_token, HAS_TOKEN),
        };
        pool.pop().unwrap_or_else(|| pool.take_fresh(1).start) | mark
    }

    /// Hands out a number of a plain record, and some more into an empty list.
    #[cold]
    #[inline(never)]
    pub(super) fn take_some<const LIMIT: usize>(&self, to: &mut FreeNumbers<LIMIT>) -> u32 {
        self.plain.take_some(to, 0)
    }

    /// The same of a record with a token.
    #[cold]
    #[inline(never)]
    pub(super) fn take_some_with_token<const LIMIT: usize>(
        &self,
        to: &mut FreeNumbers<LIMIT>,
    ) -> u32 {
        self.with_token.take_some(to, HAS_TOKEN)
    }

    /// Takes a number back, which is the caller's, with nothing in its record.
    pub(super) fn give(&self, number: u32) {
        let pool = if number < HAS_TOKEN { &self.plain } else { &self.with_token };
        pool.any_list().push(number & !HAS_TOKEN);
    }

    /// Takes half of the numbers of plain records back.
    #[cold]
    #[inline(never)]
    pub(super) fn give_some<const LIMIT: usize>(&self, from: &mut FreeNumbers<LIMIT>) {
        self.plain.any_list().extend_from_slice(from.take_half());
    }

    /// The same of records with a token.
    #[cold]
    #[inline(never)]
    pub(super) fn give_some_with_token<const LIMIT: usize>(&self, from: &mut FreeNumbers<LIMIT>) {
        let numbers = from.take_half().iter().map(|number| number & !HAS_TOKEN);
        self.with_token.any_list().extend(numbers);
    }

    /// Gives the memory of chunks back of which no number is out. Walks over all free numbers; threads that insert
    /// meanwhile use new ones.
    pub(crate) fn trim(&self) {
        self.plain.trim();
        self.with_token.trim();
    }

    /// Takes locks from the threads that a fork has left behind. To be called in the child, by the thread that called
    /// `fork`, `me`. The records that those threads were handing out or taking back are not used again.
    pub(crate) fn reset_after_fork(&self, me: Holder) {
        self.plain.reset_after_fork(me);
        self.with_token.reset_after_fork(me);
    }

    /// Whether most of the memory is in no use.
    pub(crate) fn is_sparse(&self) -> bool {
        self.plain.is_sparse() || self.with_token.is_sparse()
    }

    /// How a record without a token is laid out, and where its fixed part begins.
    #[cfg(test)]
    pub(super) fn record(&self) -> (Layout, usize) {
        (self.plain.layout, self.plain.offset)
    }

    /// One that outlives every entry.
    #[cfg(test)]
    pub(crate) fn leaked(entry_layout: EntryLayout) -> &'static Self {
        Box::leak(Box::new(Self::new(entry_layout)))
    }

    /// Takes every lock forever for a thread that a fork has left behind.
    #[cfg(test)]
    pub(super) fn leave_behind(&self) {
        for pool in [&self.plain, &self.with_token] {
            pool.free.iter().for_each(SpinLock::leave_behind);
            pool.growth.leave_behind();
        }
    }

    /// Chunks of plain records that have memory.
    #[cfg(test)]
    pub(super) fn chunks(&self) -> usize {
        self.plain.growth.lock().made()
    }
}

impl Pool {
    fn new(layout: Layout, offset: usize, bits: u32) -> Self {
        let (free, growth) = (Default::default(), SpinLock::new(Growth::after(&[])));
        let births = (layout.size() << bits) - offset;
        let nearer = size_of::<u32>().wrapping_sub(layout.size());
        Self { layout, offset, births, nearer, chunks: Address::nowhere(), bits, free, growth }
    }

    /// Where the fixed part of the record with this number lies.
    ///
    /// # Safety
    ///
    /// The number was handed out once, and `bits` are the pool's.
    #[inline(always)]
    unsafe fn address(&self, number: u32, bits: u32) -> *mut u8 {
        debug_assert_eq!(bits, self.bits);
        // SAFETY: the thread that knows the number knows of a directory that has its chunk (S3).
        let base = unsafe { self.chunks.get().add((number >> bits) as usize) };
        // SAFETY: as above.
        let base = unsafe { &*base };
        base.get().wrapping_add(number as usize * self.layout.size())
    }

    fn numbers_of(&self, chunk: usize) -> Range<u32> {
        let first = records(chunk) << self.bits;
        first..first + (1 << self.bits)
    }

    /// Hands out up to `most` numbers that were never handed out, or whose memory went back since; at least one.
    #[cold]
    fn take_fresh(&self, most: u32) -> Range<u32> {
        let mut growth = self.growth.lock();
        if growth.fresh.is_empty() {
            growth.fresh = self.make(&mut growth);
        }
        // As few as there are of others: a small cache stays small.
        let fresh = records(growth.fresh.len());
        let made = records(growth.made() << self.bits) - fresh;
        let count = most.min(fresh).min(made / 8 + 1);
        let first = growth.fresh.start;
        growth.fresh.start += count;
        first..first + count
    }

    /// Makes a chunk.
    fn make(&self, growth: &mut Growth) -> Range<u32> {
        let chunk = growth.bare.pop().unwrap_or(growth.named);
        assert!(
            chunk < (HAS_TOKEN >> self.bits) as usize,
            "more than two thousand million entries"
        );
        if chunk == growth.named {
            self.make_room(growth);
            growth.named += 1;
        }
        let layout = self.chunk_layout();
        // SAFETY: a record has at least a hash.
        let memory = unsafe { alloc::alloc(layout) };
        if memory.is_null() {
            alloc::handle_alloc_error(layout);
        }
        let births = memory.wrapping_add(self.layout.size() << self.bits);
        // SAFETY: the end of the chunk, which is ours.
        unsafe { births.write_bytes(0, size_of::<u32>() << self.bits) };
        self.directory()[chunk].set(self.base(memory, chunk));
        self.numbers_of(chunk)
    }

    /// Makes room in the directory for one chunk more.
    fn make_room(&self, growth: &mut Growth) {
        let directory = self.directory();
        if growth.named < directory.len() {
            return;
        }
        let len = (directory.len() * 2).max(DIRECTORY);
        let larger: Directory = (0..len).map(|_| Address::nowhere()).collect();
        larger.iter().zip(directory).for_each(|(to, from)| to.set(from.get()));
        larger[0].set(std::ptr::without_provenance_mut(len));
        // SAFETY: made below, and replaced just here.
        growth.replaced.extend(unsafe { self.take_directory() });
        self.chunks.set(Box::into_raw(larger).cast());
    }

    /// The directory that is used.
    fn directory(&self) -> &[Address<u8>] {
        let first = self.chunks.get();
        // SAFETY: null, or of a directory that is there as long as the slab (S3).
        let Some(len) = (unsafe { first.as_ref() }) else { return &[] };
        // SAFETY: as above, and its first entry is its length.
        unsafe { std::slice::from_raw_parts(first, len.get().addr()) }
    }

    /// Owns the directory that is used.
    ///
    /// # Safety
    ///
    /// Called once for each directory.
    unsafe fn take_directory(&self) -> Option<Directory> {
        let directory = self.directory();
        if directory.is_empty() {
            return None;
        }
        let directory = std::ptr::slice_from_raw_parts_mut(self.chunks.get(), directory.len());
        // SAFETY: directories come from boxes (`make_room`), and by the caller's promise no other thread owns it.
        Some(unsafe { Box::from_raw(directory) })
    }

    fn chunk_layout(&self) -> Layout {
        let bytes = (self.layout.size() + size_of::<u32>()) << self.bits;
        Layout::from_size_align(bytes, self.layout.align()).expect("a few records fit in memory")
    }

    fn base(&self, memory: *mut u8, chunk: usize) -> *mut u8 {
        memory.wrapping_add(self.offset).wrapping_sub((chunk << self.bits) * self.layout.size())
    }

    /// Gives the memory of a chunk back.
    ///
    /// # Safety
    ///
    /// No thread has a number of it, and none is handed out.
    unsafe fn unmake(&self, base: &Address<u8>, chunk: usize) {
        let first = (chunk << self.bits) * self.layout.size();
        let memory = base.get().wrapping_add(first).wrapping_sub(self.offset);
        base.set(std::ptr::null_mut());
        // SAFETY: allocated by `make` with this layout, and no thread looks there by the caller's promise.
        unsafe { alloc::dealloc(memory, self.chunk_layout()) };
    }

    /// The lists that no thread uses just now.
    fn lists(&self) -> impl Iterator<Item = SpinGuard<'_, Vec<u32>>> {
        self.free.iter().filter_map(SpinLock::try_lock)
    }

    /// A list, whichever no thread uses just now.
    fn any_list(&self) -> SpinGuard<'_, Vec<u32>> {
        loop {
            if let Some(list) = self.lists().next() {
                return list;
            }
            give_way();
        }
    }

    #[cfg(test)]
    fn pop(&self) -> Option<u32> {
        self.lists().find_map(|mut list| list.pop())
    }

    /// Hands out a number, and some more into an empty list, each with this mark.
    fn take_some<const LIMIT: usize>(&self, to: &mut FreeNumbers<LIMIT>, mark: u32) -> u32 {
        let most = BATCH_SIZE.min(to.room());
        self.pop_some(most, to, mark).unwrap_or_else(|| {
            let mut fresh = self.take_fresh(records(most));
            let first = fresh.next().expect("at least one was handed out");
            fresh.rev().for_each(|number| to.push(number | mark));
            first | mark
        })
    }

    fn pop_some<const LIMIT: usize>(
        &self,
        most: usize,
        to: &mut FreeNumbers<LIMIT>,
        mark: u32,
    ) -> Option<u32> {
        self.lists().find_map(|mut list| {
            let last = list.pop()?;
            let from = list.len().saturating_sub(most - 1);
            list.drain(from..).for_each(|number| to.push(number | mark));
            Some(last | mark)
        })
    }

    fn is_sparse(&self) -> bool {
        let free = || self.lists().map(|list| list.len()).sum::<usize>();
        let Some(growth) = self.growth.try_lock() else { return false };
        let made = growth.made() << self.bits;
        made > DIRECTORY << self.bits && free() > made / 2
    }

    fn trim(&self) {
        let mut growth = self.growth.lock();
        // The thread that gives or takes in between meets empty lists.
        let mut free: Vec<u32> =
            self.free.iter().flat_map(|list| std::mem::take(&mut *list.lock())).collect();
        free.extend(std::mem::take(&mut growth.fresh));
        free.sort_unstable();
        let mut kept = Vec::new();
        for of_chunk in free.chunk_by(|a, b| a >> self.bits == b >> self.bits) {
            let chunk = (of_chunk[0] >> self.bits) as usize;
            if of_chunk.len() < self.numbers_of(chunk).len() {
                kept.extend_from_slice(of_chunk);
                continue;
            }
            // SAFETY: all its numbers are here (S2).
            unsafe { self.unmake(&self.directory()[chunk], chunk) };
            growth.bare.push(chunk);
        }
        // Those at the end are taken first.
        kept.reverse();
        growth.bare.sort_unstable_by(|a, b| b.cmp(a));
        self.any_list().append(&mut kept);
    }

    /// Goes on without what threads had in their hands that a fork has left behind.
    fn reset_after_fork(&self, me: Holder) {
        self.free.iter().for_each(|list| list.reset_after_fork(me, Vec::new));
        self.growth.reset_after_fork(me, || Growth::after(self.directory()));
    }
}

impl Growth {
    /// As far as a directory tells: with no number that was never handed out.
    fn after(directory: &[Address<u8>]) -> Self {
        let is_made = |&chunk: &usize| !directory[chunk].get().is_null();
        let named = (1..directory.len()).rev().find(is_made).map_or(1, |last| last + 1);
        let bare = (1..named).rev().filter(|chunk| !is_made(chunk)).collect();
        Self { replaced: Vec::new(), named, bare, fresh: 0..0 }
    }

    /// Chunks that have memory.
    fn made(&self) -> usize {
        self.named - 1 - self.bare.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: the last use of the directory.
        let directory = unsafe { self.take_directory() };
        let bases = directory.iter().flatten().enumerate().skip(1);
        for (chunk, base) in bases.filter(|(_, base)| !base.get().is_null()) {
            // SAFETY: the slab is dropped, and its entries were before.
            unsafe { self.unmake(base, chunk) };
        }
    }
}

impl<K, V> fmt::Debug for Slab<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("entry_layout", &self.entry_layout).finish_non_exhaustive()
    }
}

// SAFETY: it hands out memory, and looks at none of it.
unsafe impl<K, V> Sync for Slab<K, V> {}
// SAFETY: as above.
unsafe impl<K, V> Send for Slab<K, V> {}
