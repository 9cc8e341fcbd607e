//! The events of one participant.
//!
//! ```text
//!           taken        put          hits_until            taken + EVENTS
//!             v           v               v                       v
//!     --------+-----------+---------------+-----------------------+------
//!             | told       | for hits      | for misses alone      |
//! ```
//!
//! The words count events since the beginning; an event is at its number, modulo the length of the ring. The owner
//! writes events and then `put`; the collector reads them and then moves `hits_until`. So the owner overwrites none
//! that may still be read.

use std::sync::OnceLock;

use crate::narrow::in_memory;
use crate::sync::{AtomicU64, Ordering, Relaxed, relaxed_if_seeded, seeded};

/// Events that a ring has room for; hits have half of it.
#[cfg(not(clockhand_loom))]
const EVENTS: u64 = 1024;
#[cfg(clockhand_loom)]
const EVENTS: u64 = 2;

/// In an event: the key was missed. Hashes leave this bit free, as entries keep other things in it.
const MISSED: u64 = 1;

/// What a participant tells.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// How many events its owner has put in.
    put: AtomicU64,
    /// Up to which number hits are told; zero while there is no collector.
    hits_until: AtomicU64,
    /// How many events the collector has taken out. Its own.
    taken: Relaxed<AtomicU64>,
    events: OnceLock<Box<[Relaxed<AtomicU64>]>>,
}

/// What has happened to a key: its hash, and whether it was missed, as it is in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadEvent(u64);

impl ReadEvent {
    #[cfg(all(test, not(clockhand_loom)))]
    pub(super) const fn new(hash: u64, missed: bool) -> Self {
        Self(if missed { hash | MISSED } else { hash })
    }

    pub(crate) const fn hash(self) -> u64 {
        self.0 & !MISSED
    }

    pub(crate) const fn is_miss(self) -> bool {
        self.0 & MISSED != 0
    }
}

/// Called by the thread that has the participant.
impl Evidence {
    /// A key was hit.
    #[inline(always)]
    pub(crate) fn note_hit(&self, hash: u64) {
        // ORDERING S-o: Relaxed: no other thread writes.
        let put = self.put.load(Ordering::Relaxed);
        // ORDERING E-b: Acquire: the collector has read what is overwritten; pairs with `open`.
        if put < self.hits_until.load(Ordering::Acquire) {
            self.push(put, hash);
        }
    }

    /// A key was missed.
    #[inline]
    pub(crate) fn note_miss(&self, hash: u64) {
        // ORDERING S-o: Relaxed: no other thread writes.
        let put = self.put.load(Ordering::Relaxed);
        // ORDERING E-b: Acquire: as for a hit.
        let hits_until = self.hits_until.load(Ordering::Acquire);
        if hits_until != 0 && put < hits_until + EVENTS / 2 {
            self.push(put, hash | MISSED);
        }
    }

    #[cold]
    #[inline(never)]
    fn push(&self, put: u64, event: u64) {
        // Made before the ring was opened.
        let Some(events) = self.events.get() else { return };
        events[(put % EVENTS) as usize].set(event);
        let order = relaxed_if_seeded("evidence-put-relaxed", Ordering::Release);
        // ORDERING E-a: Release: the event; pairs with `collect`.
        self.put.store(put + 1, order);
    }
}

/// Called by one collector at a time.
impl Evidence {
    /// As many events are taken out at a time, at most.
    pub(crate) const MOST: usize = in_memory(EVENTS);

    /// Takes out what was told, and opens the ring for more; whether some hits may not have been told.
    pub(crate) fn collect(&self, mut tell: impl FnMut(ReadEvent)) -> bool {
        let events =
            self.events.get_or_init(|| (0..EVENTS).map(|_| Relaxed::<AtomicU64>::new(0)).collect());
        // ORDERING E-a: Acquire: the events; pairs with `push`.
        let put = self.put.load(Ordering::Acquire);
        let taken = self.taken.get();
        let early = seeded("evidence-open-early");
        if early {
            self.open(put);
        }
        for nth in taken..put {
            let event = events[(nth % EVENTS) as usize].get();
            tell(ReadEvent(event));
        }
        self.taken.set(put);
        if !early {
            self.open(put);
        }
        put - taken >= EVENTS / 2
    }

    fn open(&self, put: u64) {
        // ORDERING E-b: Release: the events up to `put` were read; pairs with `note_hit` and `note_miss`.
        self.hits_until.store(put + EVENTS / 2, Ordering::Release);
    }

    /// Nothing more is told, but for what a thread is about to.
    pub(crate) fn close(&self) {
        // ORDERING E-b: Release: for uniformity; nothing is read after it.
        self.hits_until.store(0, Ordering::Release);
        // ORDERING E-a: Acquire: none is read; what was told is skipped.
        self.taken.set(self.put.load(Ordering::Acquire));
    }
}
