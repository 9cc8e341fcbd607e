//! Deals the accesses of a trace to the threads in small chunks, in order.
//!
//! A thread that is free takes the next chunk, so the order stays close to the trace's even while a thread
//! is descheduled: at most one chunk of it comes late. One counter a chunk is all that threads share.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// Accesses per chunk: few, so that the order is nearly the trace's; enough that the counter
/// does not show in the throughput.
const CHUNK: u64 = 128;

/// The way through a trace, pass after pass.
#[derive(Debug)]
pub(super) struct Course {
    accesses: u64,
    chunks: u64,
    next: CachePadded<AtomicU64>,
    end: CachePadded<AtomicU64>,
}

impl Course {
    pub(super) fn new(accesses: usize) -> Self {
        let accesses = accesses as u64;
        Self {
            accesses,
            chunks: accesses.div_ceil(CHUNK),
            next: CachePadded::default(),
            end: CachePadded::default(),
        }
    }

    /// Adds whole passes behind those that were dealt. Only while no thread takes chunks.
    pub(super) fn extend(&self, passes: u64) {
        let dealt = self.end.load(Ordering::Relaxed);
        self.next.store(dealt, Ordering::Relaxed);
        self.end.store(dealt + passes * self.chunks, Ordering::Relaxed);
    }

    /// The next accesses to do; none when the passes are over.
    pub(super) fn take(&self) -> Option<Range<usize>> {
        let chunk = self.next.fetch_add(1, Ordering::Relaxed);
        if chunk >= self.end.load(Ordering::Relaxed) {
            return None;
        }
        let start = chunk % self.chunks * CHUNK;
        Some(start as usize..(start + CHUNK).min(self.accesses) as usize)
    }

    /// How many accesses were dealt, over all passes.
    pub(super) fn dealt(&self) -> u64 {
        let chunks = self.next.load(Ordering::Relaxed).min(self.end.load(Ordering::Relaxed));
        chunks / self.chunks * self.accesses + chunks % self.chunks * CHUNK
    }
}
