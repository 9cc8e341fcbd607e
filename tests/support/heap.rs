//! An allocator that counts: how much is allocated, how much ever was at one time, and what each
//! thread did. A test file that wants it says
//! `#[global_allocator] static HEAP: heap::Counting = heap::Counting;`

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static CALLS: Cell<Calls> = const { Cell::new(Calls { allocated: 0, freed: 0 }) };
}

/// How often a thread called the allocator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) allocated: u64,
    pub(crate) freed: u64,
}

/// What the calling thread has done so far.
pub(crate) fn calls() -> Calls {
    CALLS.get()
}

/// Bytes that are allocated now.
pub(crate) fn live() -> i64 {
    LIVE.load(Ordering::SeqCst)
}

/// The most bytes that were allocated at one time since [`forget_peak`].
pub(crate) fn peak() -> i64 {
    PEAK.load(Ordering::SeqCst)
}

pub(crate) fn forget_peak() {
    PEAK.store(live(), Ordering::SeqCst);
}

pub(crate) struct Counting;

fn count(allocated: usize) {
    let size = allocated as i64;
    let live = LIVE.fetch_add(size, Ordering::SeqCst) + size;
    PEAK.fetch_max(live, Ordering::SeqCst);
    let calls = CALLS.get();
    CALLS.set(Calls { allocated: calls.allocated + 1, ..calls });
}

// SAFETY: all calls are passed on to the system's allocator; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Ordering::SeqCst);
        let calls = CALLS.get();
        CALLS.set(Calls { freed: calls.freed + 1, ..calls });
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}
