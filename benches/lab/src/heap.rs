//! Counts what is allocated for values, for the question how far a cache exceeds its bound.
//!
//! The binary's allocator is the system's. It counts only what has the alignment of [`Block`], which
//! nothing else has: so values are told from everything else, and the rest of the program pays one
//! comparison for each allocation.
#![allow(unsafe_code, reason = "the trait of allocators is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// The bytes of a [`Block`], and its alignment.
pub const BLOCK: usize = 256;

/// What the values are made of whose memory is counted.
#[derive(Debug, Clone, Copy)]
#[repr(align(256))]
pub struct Block {
    _bytes: [u8; BLOCK],
}

impl Block {
    /// Nothing in it.
    pub const EMPTY: Self = Self { _bytes: [0; BLOCK] };
}

const _: () = assert!(size_of::<Block>() == BLOCK && align_of::<Block>() == BLOCK);

static LIVE: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));
static PEAK: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));

/// The system's allocator, with a count of the bytes in blocks.
#[derive(Debug)]
pub struct CountsBlocks;

/// The bytes in blocks that are allocated and not freed.
#[must_use]
pub fn live() -> u64 {
    LIVE.load(Ordering::Relaxed)
}

/// The most that [`live`] has been at any instant.
#[must_use]
pub fn peak() -> u64 {
    PEAK.load(Ordering::Relaxed)
}

fn came(layout: Layout) {
    if layout.align() == BLOCK {
        let size = layout.size() as u64;
        let live = LIVE.fetch_add(size, Ordering::Relaxed) + size;
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

fn went(layout: Layout) {
    if layout.align() == BLOCK {
        LIVE.fetch_sub(layout.size() as u64, Ordering::Relaxed);
    }
}

// SAFETY: everything is done by the system's allocator, with the arguments as they came; counting
// neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountsBlocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        came(layout);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        went(layout);
        // SAFETY: the memory came from the system's allocator, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        came(layout);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Blocks come in boxes, which never change their size; nothing would be counted for them.
        // SAFETY: the memory came from the system's allocator, with this layout.
        unsafe { System.realloc(memory, layout, size) }
    }
}
