//! The concurrent hash table that is the clock.
//!
//! The table is an array of buckets. A key lives in its own bucket and nowhere else, so a bucket
//! (with its chain) is a small self-contained lock-free set and the table is an array of them.
//!
//! | file | idea |
//! |---|---|
//! | `slot_word` | a slot's word and its transitions |
//! | `header` | the word through which new keys are inserted |
//! | `group` | seven slots |
//! | `slot_vector` | all slots of a bucket at once |
//! | `slot_snapshot` | a slot as the search for a victim has seen it |
//! | `chain` | more groups behind a bucket |
//! | `bucket` | the protocol: help, search, claim, announce, reveal, unlink |
//! | `array` | one generation: buckets, chains, summaries |
//! | `summary` | which buckets a hand can skip |
//! | `deadline_tree` | where the next entries expire |
//! | `migrate` | how entries move to a generation of another size |
//! | `resize` | when that is begun, which threads help, and how it ends |
//! | `deferred_box` | what was taken out of reach and may still be looked at |
//! | `thread_state` | what is kept for each thread |
//! | `view` | what a pinned thread may do |
//! | `scan` | hands and scans |
//!
//! # How a key is inserted
//!
//! 1. *Help*: put what the bucket's header word announces into its slot. Then search for the key.
//! 2. *Announce* the entry for a vacant slot: one compare-and-swap on the header word, from the value read in
//!    step 1. It fails if any key was inserted since, so no key can be in twice.
//! 3. *Fill* the slot, from the vacant word. Every thread that reads the announcement does this first, so the next
//!    key that is inserted has seen this one.
//!
//! An entry that could not be announced was never seen by any thread: it is handed back. Where the bucket is full, a
//! slot in its chain is *claimed* first, the claim is announced, and then *revealed*.
//!
//! # Invariants
//!
//! - **T1** A view, and all that it lends, is held by a thread that is pinned in the table's domain.
//!   What was reached through it is not freed while it lives.
//! - **T2** At most one readable slot of a bucket (with its chain) holds a given key.
//! - **T3** An announced entry is put in its slot once. A vacant word has the version of the header word at
//!   which it was vacated, read while the entry was in the slot: no less than the entry's own, and less than that of
//!   the next entry for the slot. So a vacant word never comes back, the thread that fills the slot late fails, and a
//!   slot that was vacated at the announcement's version has been filled.
//! - **T4** The tag of a readable slot is the tag of its entry's hash.
//! - **T5** Nothing is announced in a frozen bucket.
//! - **T6** An untouched part of a bucket (a word that is zero) is written by a migration, or, in
//!   the first generation, by the thread that fills it; it is never untouched again.
//! - **T7** An entry leaves a slot by exactly one successful exchange, and the thread that makes it owns it.
//! - **T8** The thread that replaces or unlinks an entry in a generation that is being filled, or looks there with a
//!   hand or a scan, has seen all buckets MOVED from which its bucket was filled. Readers read in the older
//!   ones until then.
//!
//! - **T9** A thread that may be neutralized follows a word to an entry or a link only if it has looked after it read the word
//!   ([`reclaim`](crate::reclaim), H3), and after the operation began: one look at a chain's head is for all of the chain. Arrays
//!   are kept for all who could have seen them, and need none. What it has found stays valid while it is pinned, and so an
//!   exchange may expect it.
//!
//! Versions have 26 bits: a thread that sleeps between two steps, or in code of the user's between them, while exactly that
//! many keys are inserted into one bucket may take an old word for a new one.
//!
//! # Races
//!
//! *A search and an insert in another slot.* A search reads one slot after the other. A key that was there all
//! the while is found in its slot, or it was replaced (found all the same). If it was unlinked and came back in a
//! slot that the search had read before, there was a moment without it, and a miss is right.
//!
//! *A search and an insert of the same key.* An announced entry is not readable before its slot is filled, which
//! is before the insert returns.
//!
//! *A touch, and the slot gets another entry.* The touch is an exchange from the word of the entry.
//!
//! *A helper that sleeps, and the entry that it helps is gone.* The helper looks at the slot while the announcement
//! stands, and fills it from the word that it saw. If the entry has been there since, that word is gone (T3).
//!
//! *An unlink and a freeze.* The unlink's exchange is from an unfrozen word. If it comes first, the
//! copier does not see the entry; if it comes second, it fails and is tried again in the target.

mod array;
#[cfg(any(test, fuzzing, clockhand_fuzz))]
mod audit;
mod bucket;
mod chain;
mod deadline_tree;
mod deferred_box;
mod group;
mod header;
mod migrate;
mod resize;
mod scan;
mod slot_snapshot;
mod slot_vector;
mod slot_word;
mod summary;
mod thread_state;
mod view;

#[cfg(all(test, clockhand_loom))]
mod migration_models;
#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, clockhand_loom))]
mod neutralize_models;
#[cfg(all(test, not(clockhand_loom)))]
mod stress;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

use std::fmt;
use std::sync::Arc;

pub(crate) use array::MAX_LOAD_FACTOR;
pub(crate) use bucket::{Lookup, Occupied, OccupiedSlot, ProbeMiss, Vacant};
pub(crate) use group::SLOTS_PER_GROUP;
pub(crate) use slot_snapshot::SlotSnapshot;
pub(crate) use thread_state::{Reclaimer, ThreadState};
pub(crate) use view::{DueBucket, Unlinked, View};

use array::Array;
use chain::Link;
use deferred_box::DeferredBox;

use crate::entry::{Entry, EntryLayout, EntryRef, Slab};
use crate::reclaim::{ChargedTo, Domain, Guard, GuardRef, Lent, OwnedGuard, Reads, Reclaim};
use crate::sync::{AtomicPtr, FirstPanic, Holder, Ordering};

/// What the table unlinks and a domain keeps until no thread looks at it.
#[derive(Debug)]
pub(crate) enum Garbage<K, V, X> {
    /// An entry.
    Entry(Entry<K, V>),
    /// A link of a chain.
    Link(#[allow(dead_code, reason = "kept to be dropped")] DeferredBox<Link>),
    /// A generation.
    Array(#[allow(dead_code, reason = "kept to be dropped")] DeferredBox<Array<K, V, X>>),
}

impl<K, V, X> Reclaim for Garbage<K, V, X> {
    #[inline]
    fn birth(&self) -> u32 {
        match self {
            Self::Entry(entry) => entry.birth(),
            Self::Link(link) => link.get().birth(),
            // There are few: it is kept for all who could have seen it, and followed without a look.
            Self::Array(_) => 0,
        }
    }

    #[inline]
    fn address(&self) -> usize {
        // Links and generations are lent to those only who search.
        if let Self::Entry(entry) = self { entry.as_ref().address() } else { 0 }
    }
}

/// The value of an entry, to be lent alone.
#[inline(always)]
pub(crate) fn lend_value<'g, K, V>(entry: EntryRef<'g, K, V>) -> Lent<'g, V> {
    // SAFETY: the value lies in the record of the entry (E1), which is retired as one item with that address, or dropped with
    // the table.
    unsafe { Lent::new(entry.value(), entry.address()) }
}

/// The domain of a table, which its threads share.
pub(crate) type SharedDomain<K, V, X, L> = Arc<Domain<Garbage<K, V, X>, ThreadState<K, V, L>>>;

/// The table: its generations, and the domain that protects them.
///
/// `X` is what the owner keeps for each generation, `L` what it keeps for each thread.
pub(crate) struct Table<K, V, X, L> {
    domain: SharedDomain<K, V, X, L>,
    /// Where the entries lie. The last to be dropped.
    slab: Arc<Slab<K, V>>,
    /// The number of buckets at first, and at least, as a power of two.
    first_bits: u32,
    /// The oldest generation that is not completely moved.
    current: AtomicPtr<Array<K, V, X>>,
}

impl<K, V, X, L> Table<K, V, X, L> {
    /// The most buckets that a table may have, as a power of two.
    pub(crate) const MAX_BITS: u32 = 34;

    /// An empty table with two to the power of `bits` buckets, and never fewer, of entries that live for `life`
    /// at most after they were written.
    pub(crate) fn new(entry_layout: EntryLayout, life: u64, bits: u32, extension: X) -> Self {
        let first_bits = bits.clamp(1, Self::MAX_BITS);
        let slab = Arc::new(Slab::new(entry_layout));
        let array = Box::new(Array::new(Arc::clone(&slab), life, first_bits, extension));
        Self {
            domain: Arc::new(Domain::new()),
            slab,
            first_bits,
            current: AtomicPtr::new(Box::into_raw(array)),
        }
    }

    /// The bytes that a table with two to the power of `bits` buckets takes, without entries and extension.
    pub(crate) fn bytes_for(entry_layout: EntryLayout, bits: u32) -> u128 {
        Array::<K, V, X>::bytes_for(entry_layout, bits)
    }

    /// The number of buckets, as a power of two, for `entries` entries.
    pub(crate) fn bits_for(entries: usize) -> u32 {
        let buckets = entries.div_ceil(MAX_LOAD_FACTOR).checked_next_power_of_two();
        buckets.map_or(Self::MAX_BITS, usize::trailing_zeros).clamp(1, Self::MAX_BITS)
    }

    /// Takes participants and locks from the threads that a fork has left behind; how many had participants. To be
    /// called in the child, by the thread that called `fork`; called by another, or elsewhere, it does nothing.
    pub(crate) fn reset_after_fork(&self) -> usize {
        let me = Holder::me();
        if me.is_from_elsewhere() {
            self.slab.reset_after_fork(me);
        }
        self.domain.reset_after_fork()
    }

    /// The domain.
    pub(crate) fn domain(&self) -> &SharedDomain<K, V, X, L> {
        &self.domain
    }

    /// What a pinned thread may do.
    ///
    /// # Panics
    ///
    /// If `guard_ref` is of another domain.
    #[inline]
    pub(crate) fn view<'g, M>(
        &'g self,
        guard_ref: GuardRef<'g, Garbage<K, V, X>, ThreadState<K, V, L>, M>,
    ) -> View<'g, K, V, X, L, M> {
        View::new(self, guard_ref)
    }
}

impl<K, V, X, L> Table<K, V, X, L>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    X: Send + Sync + 'static,
    L: Default + Send + Sync + 'static,
{
    /// Pins the calling thread to write.
    #[inline]
    pub(crate) fn pin(&self) -> Guard<'_, Garbage<K, V, X>, ThreadState<K, V, L>> {
        self.domain.pin()
    }

    /// Pins the calling thread to read.
    #[inline]
    pub(crate) fn pin_to_read(&self) -> Guard<'_, Garbage<K, V, X>, ThreadState<K, V, L>, Reads> {
        self.domain.pin_to_read()
    }

    /// Unpins, and from time to time frees up to `budget` of the thread's ripe items, each by what `free` makes, which
    /// hands it to the reclaimer. Threads that keep more from being freed are neutralized if `pressure` says so.
    #[inline(always)]
    pub(crate) fn close<F>(
        &self,
        guard: Guard<'_, Garbage<K, V, X>, ThreadState<K, V, L>>,
        (budget, pressure): (usize, impl FnOnce(bool) -> bool),
        free: impl FnOnce() -> F,
    ) where
        F: FnMut(Garbage<K, V, X>, ChargedTo, &Reclaimer<'_, K, V, L>),
    {
        guard.close((budget, pressure), |thread_state| {
            let mut free = free();
            // SAFETY: `close` passes the thread state on only while the calling thread holds the participant.
            let reclaimer = thread_state
                .map(|thread_state| unsafe { Reclaimer::at(thread_state, &self.slab) })
                .unwrap_or_else(Reclaimer::plain);
            move |garbage, charged_to| free(garbage, charged_to, &reclaimer)
        });
    }

    /// A reader's own participant.
    pub(crate) fn owned_guard(&self) -> OwnedGuard<Garbage<K, V, X>, ThreadState<K, V, L>> {
        self.domain.owned_guard()
    }
}

impl<K, V, X, L> Drop for Table<K, V, X, L> {
    /// Drops the garbage and then the entries, one by one. A destructor that panics keeps no other from
    /// running; the first panic is passed on at the end, unless the thread is panicking already.
    fn drop(&mut self) {
        self.domain.close();
        let mut panics = FirstPanic::default();
        // SAFETY: guards and views borrow the table, owned guards are kept together with a handle of it: there
        // are none left.
        let clear = || unsafe { self.domain.clear(|garbage, _| drop(garbage)) };
        // A destructor that panics has used up its item: there is an end to this.
        while !panics.catch(clear) {}
        // ORDERING T-m: Acquire: all that other threads did before they let go of the table.
        let mut next = self.current.load(Ordering::Acquire);
        while !next.is_null() {
            // SAFETY: generations come from boxes, and this one is reachable by no other thread.
            let array = unsafe { Box::from_raw(next) };
            // ORDERING T-m: Acquire: as above.
            let into = array.next.load(Ordering::Acquire);
            // SAFETY: as above, and it is dropped after this one.
            if let Some(into) = unsafe { into.as_ref() } {
                finish(&array, into);
            }
            drop_entries(&array, &mut panics);
            // ORDERING T-m: Acquire: as above.
            next = array.next.load(Ordering::Acquire);
        }
        panics.pass_on();
    }
}

/// Moves what threads were moving that are not there: in a child that was forked meanwhile, their entries are in both
/// generations.
fn finish<K, V, X>(array: &Array<K, V, X>, into: &Array<K, V, X>) {
    let units = migrate::MigrationUnit::count(array, into);
    (0..units).for_each(|nth| migrate::MigrationUnit::at(array, into, nth).finish());
}

/// Drops the entries of a generation that no other thread can reach.
fn drop_entries<K, V, X>(array: &Array<K, V, X>, panics: &mut FirstPanic) {
    for index in 0..array.len() {
        let bucket = bucket::BucketRef::at(array, index);
        if bucket.header().is_moved() {
            continue;
        }
        for (number, _, _) in bucket.contents().1 {
            // SAFETY: the table is being dropped; an entry is readable in one bucket that was not
            // moved, and nowhere else (T2).
            let entry = unsafe { Entry::from_raw(number, array.slab()) };
            panics.catch(|| drop(entry));
        }
    }
}

impl<K, V, X, L> fmt::Debug for Table<K, V, X, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("domain", &self.domain).finish_non_exhaustive()
    }
}

// SAFETY: shared parts are atomics; what they point to is owned by the table and lent to threads
// that are pinned.
unsafe impl<K: Send + Sync, V: Send + Sync, X: Send + Sync, L: Send + Sync> Sync
    for Table<K, V, X, L>
{
}
// SAFETY: as above; the entries may be dropped by another thread than the one that made them.
unsafe impl<K: Send + Sync, V: Send + Sync, X: Send + Sync, L: Send + Sync> Send
    for Table<K, V, X, L>
{
}
