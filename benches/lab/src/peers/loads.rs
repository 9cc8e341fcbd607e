//! What memory allows: a fixed table, read with two loads of which one depends on the other.
//!
//! The table has as many cache lines as clockhand's buckets, and its entries are as large as
//! clockhand's. A read does what no read of a cache can do without: hash the key, load the slot, load
//! the entry, compare the key. It protects nothing, counts nothing and never evicts.

use std::any::type_name;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Hasher, Nobody, Peer, Store, Value};

/// Two loads, with a hasher of choice.
pub(crate) struct Loads<B> {
    hasher: B,
    shift: u32,
    /// One more than the index of an entry, or zero.
    slots: Box<[AtomicU64]>,
    entries: Box<[Entry]>,
    /// How many entries are used; held while one is put in.
    used: Mutex<usize>,
}

#[derive(Default)]
#[repr(align(32))]
struct Entry {
    key: AtomicU64,
    value: AtomicU64,
}

impl<B: Hasher> Loads<B> {
    /// The slot where a key is or would go, and the entry that is there.
    #[inline]
    fn find(&self, key: u64) -> (usize, Option<&Entry>) {
        let mut slot = (self.hasher.hash_one(key) >> self.shift) as usize;
        loop {
            // ORDERING: Acquire: the entry's contents; pairs with the store in `insert`.
            let nth = self.slots[slot].load(Ordering::Acquire) as usize;
            let Some(entry) = nth.checked_sub(1).map(|nth| &self.entries[nth]) else {
                return (slot, None);
            };
            // ORDERING: Relaxed: written before the entry was put into its slot.
            if entry.key.load(Ordering::Relaxed) == key {
                return (slot, Some(entry));
            }
            slot = (slot + 1) % self.slots.len();
        }
    }
}

impl<B: Hasher> Peer for Loads<B> {
    const NAME: &'static str = "two loads";
    const ID: &'static str = "loads";
    const EVICTS: bool = false;

    type Lookup<'a> = &'a Self;
    type Weighing<V: Value> = Nobody;
    type Wide = Nobody;

    fn configuration() -> String {
        format!("no cache: a slot and an entry, {}", type_name::<B>())
    }

    fn with_capacity(entries: u64) -> Self {
        // A bucket of eight words for four entries.
        let slots = (2 * entries as usize).next_power_of_two().max(2);
        Self {
            hasher: B::default(),
            shift: u64::BITS - slots.trailing_zeros(),
            slots: (0..slots).map(|_| AtomicU64::new(0)).collect(),
            entries: (0..entries).map(|_| Entry::default()).collect(),
            used: Mutex::new(0),
        }
    }

    fn lookup(&self) -> &Self {
        self
    }
}

impl<B: Hasher> Store<u64, u64> for Loads<B> {
    #[inline]
    fn get(&self, key: &u64) -> Option<u64> {
        // ORDERING: Relaxed: one word.
        self.find(*key).1.map(|entry| entry.value.load(Ordering::Relaxed))
    }

    fn insert(&self, key: u64, value: u64) {
        let mut used = self.used.lock().expect("nothing panics under the lock");
        let (slot, found) = self.find(key);
        let Some(entry) = found.or_else(|| self.entries.get(*used)) else { return };
        // ORDERING: Relaxed: published by the slot; a value that is replaced stands alone.
        entry.value.store(value, Ordering::Relaxed);
        if found.is_none() {
            *used += 1;
            // ORDERING: Relaxed: published by the slot.
            entry.key.store(key, Ordering::Relaxed);
            // ORDERING: Release: publishes the entry; pairs with the load in `find`.
            self.slots[slot].store(*used as u64, Ordering::Release);
        }
    }

    fn entries(&self) -> u64 {
        *self.used.lock().expect("nothing panics under the lock") as u64
    }
}
