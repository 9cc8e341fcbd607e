//! The basis of every other module: atomics, the cells built from them, parked and periodic
//! threads, and the processor's counter.
//!
//! This is the only file that names `std::sync::atomic` or `loom`. With `--cfg clockhand_loom` the
//! same code runs under the model checker.

mod cache_line;
mod counter;
#[cfg(all(test, clockhand_loom))]
mod explore;
mod holder;
mod outermost;
mod panics;
mod periodic_thread;
mod sleep;
mod spin_lock;
mod zeroed;

#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub(crate) use cache_line::CacheLine;
pub(crate) use counter::{counter, has_counter};
#[cfg(all(test, clockhand_loom))]
pub(crate) use explore::explore;
pub(crate) use holder::Holder;
pub(crate) use outermost::{Outermost, thread_local};
pub(crate) use panics::{FirstPanic, NoAbort, NoAborts, discard, quietly};
pub(crate) use periodic_thread::PeriodicThread;
#[cfg(all(test, not(clockhand_loom)))]
pub(crate) use sleep::wake_all;
pub(crate) use sleep::{Sleep, wake_quietly};
pub(crate) use spin_lock::{SpinGuard, SpinLock};
pub(crate) use zeroed::{Zeroed, zeroed};

#[cfg(not(clockhand_loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(clockhand_loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(clockhand_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(clockhand_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) use crossbeam_utils::CachePadded;

/// Locks a mutex under which no panic leaves the contents half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A counter or a hint: nothing is published through it, so there is no ordering to choose.
#[derive(Debug, Default)]
pub(crate) struct Relaxed<A>(A);

macro_rules! relaxed {
    ($atomic:ty, $value:ty) => {
        impl Relaxed<$atomic> {
            pub(crate) fn new(value: $value) -> Self {
                Self(<$atomic>::new(value))
            }
            #[inline]
            pub(crate) fn get(&self) -> $value {
                self.0.load(Ordering::Relaxed)
            }
            #[inline]
            pub(crate) fn set(&self, value: $value) {
                self.0.store(value, Ordering::Relaxed);
            }
        }
    };
    ($atomic:ty, $value:ty, counts) => {
        relaxed!($atomic, $value);
        impl Relaxed<$atomic> {
            /// Adds (wrapping) and returns the value before.
            pub(crate) fn add(&self, by: $value) -> $value {
                self.0.fetch_add(by, Ordering::Relaxed)
            }
            /// Subtracts (wrapping) and returns the value before.
            pub(crate) fn sub(&self, by: $value) -> $value {
                self.0.fetch_sub(by, Ordering::Relaxed)
            }
        }
    };
    ($atomic:ty, $value:ty, exchanges) => {
        impl Relaxed<$atomic> {
            /// One attempt to change `from` into `to`.
            pub(crate) fn try_set(&self, from: $value, to: $value) -> bool {
                self.0.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
        }
    };
}
relaxed!(AtomicU32, u32);
relaxed!(AtomicU64, u64, counts);
relaxed!(AtomicU64, u64, exchanges);
relaxed!(AtomicUsize, usize, counts);

impl Relaxed<AtomicU64> {
    /// Sets bits and returns the value before.
    #[inline]
    pub(crate) fn or(&self, bits: u64) -> u64 {
        self.0.fetch_or(bits, Ordering::Relaxed)
    }

    /// Raises the value to at least `value`.
    #[inline]
    pub(crate) fn max(&self, value: u64) -> u64 {
        self.0.fetch_max(value, Ordering::Relaxed)
    }

    /// Keeps bits and returns the value before.
    #[inline]
    pub(crate) fn and(&self, bits: u64) -> u64 {
        self.0.fetch_and(bits, Ordering::Relaxed)
    }
}

/// A counter that one thread at a time adds to, and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct OwnerCounter(AtomicU64);

impl OwnerCounter {
    /// Adds one. Called by the owner only: no locked instruction.
    #[inline]
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    /// Adds `by`. As [`bump`](Self::bump).
    #[inline]
    pub(crate) fn add(&self, by: u64) {
        // ORDERING S-o: Relaxed: no other thread writes.
        let value = self.0.load(Ordering::Relaxed);
        // ORDERING S-a: Release: a thread that sees this number sees what was counted before it, by any
        // thread; pairs with `get`. So a count of what came, read before a count of what left, is never too high.
        self.0.store(value.wrapping_add(by), Ordering::Release);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // ORDERING S-a: Acquire: pairs with `bump`.
        self.0.load(Ordering::Acquire)
    }
}

/// Publishes `value` and then orders it before everything that follows: a store and a full fence.
///
/// On x86-64 this is one `xchg`, which is such a fence there and cheaper than `mfence`.
#[inline]
pub(crate) fn publish_and_fence(word: &AtomicU64, value: u64) {
    #[cfg(all(target_arch = "x86_64", not(clockhand_loom)))]
    {
        // ORDERING R-a: SeqCst: a locked instruction orders all accesses around it on this machine;
        // pairs with the fence in `Domain::advance` and the one before a batch's tag.
        word.swap(value, Ordering::SeqCst);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    }
    #[cfg(not(all(target_arch = "x86_64", not(clockhand_loom))))]
    {
        // ORDERING R-a: Release store: what was read before, under an older value, was read before
        // it; SeqCst fence: publishes; pairs as above.
        word.store(value, Ordering::Release);
        fence(Ordering::SeqCst);
    }
}

/// A cell that one thread at a time uses, as other synchronization ensures. The model checker
/// verifies that.
pub(crate) struct Place<T>(UnsafeCell<T>);
#[cfg(clockhand_loom)]
use loom::cell::UnsafeCell;
#[cfg(not(clockhand_loom))]
use std::cell::UnsafeCell;

impl<T> Place<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer to the value.
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(clockhand_loom))]
        return f(self.0.get());
        #[cfg(clockhand_loom)]
        return self.0.with_mut(f);
    }
}

/// Yields to threads that are ready to run. Returns at once if there are none.
pub(crate) fn give_way() {
    #[cfg(not(clockhand_loom))]
    std::thread::yield_now();
    #[cfg(clockhand_loom)]
    loom::thread::yield_now();
}

/// How often a thread that waits yields before it sleeps instead.
const MAX_YIELDS: u32 = 16;
/// For how long it sleeps.
#[cfg(not(clockhand_loom))]
const SLEEP: std::time::Duration = std::time::Duration::from_micros(50);

/// Waits a little, longer in later rounds: a thread that only yields is always ready to run, and
/// may keep the processor from the thread that it waits for.
pub(crate) fn back_off(round: u32) {
    if round < MAX_YIELDS || cfg!(clockhand_loom) {
        return give_way();
    }
    #[cfg(not(clockhand_loom))]
    std::thread::sleep(SLEEP);
}

/// Prefetches the cache line in which `target` begins, to write to it. Has no other effect.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(target: &T) {
    #[cfg(all(target_arch = "x86_64", not(any(clockhand_loom, miri))))]
    {
        // The intrinsic for it prefetches to read only, unless the program is built for newer processors: then the line is
        // fetched from another thread twice. A processor that does not know the instruction does nothing.
        // SAFETY: a prefetch is a hint and has no effect that a program can see.
        unsafe {
            std::arch::asm!(
                "prefetchw [{}]",
                in(reg) std::ptr::from_ref(target),
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(clockhand_loom, miri)))))]
    let _ = target;
}

/// Prefetches the cache line that `target` points to, to read it. Has no other effect, whatever the
/// pointer.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch_to_read<T>(target: *const T) {
    #[cfg(all(target_arch = "x86_64", not(clockhand_loom)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint that follows no pointer and has no effect that a program can
        // see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(target.cast::<i8>()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(clockhand_loom))))]
    let _ = target;
}

/// An address of something. A thread reads it only after other synchronization has told it that the
/// address was set. But it may have been set again since, and then only this load orders what is
/// there. Never modelled, so that it may be in memory that was allocated by hand.
#[derive(Debug)]
pub(crate) struct Address<T>(std::sync::atomic::AtomicPtr<T>);

impl<T> Address<T> {
    pub(crate) const fn nowhere() -> Self {
        Self(std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()))
    }
    #[inline(always)]
    pub(crate) fn get(&self) -> *mut T {
        // ORDERING S-l: Acquire: what is at the address.
        self.0.load(std::sync::atomic::Ordering::Acquire)
    }
    #[inline]
    pub(crate) fn set(&self, address: *mut T) {
        // ORDERING S-l: Release: what is at the address.
        self.0.store(address, std::sync::atomic::Ordering::Release);
    }
}

/// A word in an entry: a moment, a deadline, a charge. Atomic, and not ordered with other memory.
/// Never modelled, so that it may be in memory that was allocated by hand.
#[derive(Debug)]
pub(crate) struct EntryWord(std::sync::atomic::AtomicU64);

impl EntryWord {
    #[inline]
    pub(crate) fn new(value: u64) -> Self {
        Self(std::sync::atomic::AtomicU64::new(value))
    }
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, std::sync::atomic::Ordering::Relaxed);
    }
    /// Tries once to change `from` into `to`. Returns the present value if it fails.
    #[inline]
    pub(crate) fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        use std::sync::atomic::Ordering::Relaxed;
        self.0.compare_exchange(from, to, Relaxed, Relaxed).map(drop)
    }
    /// Clears bits. Returns whether they were set, which is true for one of several callers.
    #[inline]
    pub(crate) fn take(&self, bits: u64) -> bool {
        // Cleared bits are never set again, so most callers can do without the exchange.
        self.get() & bits != 0
            && self.0.fetch_and(!bits, std::sync::atomic::Ordering::Relaxed) & bits != 0
    }
}

/// A number that no other call in this process returns; never zero.
#[inline]
pub(crate) fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Whether the seeded bug `name` is switched on.
///
/// Seeded bugs show that a test or a model can fail. They exist only in builds with
/// `--cfg clockhand_seeds` (or `clockhand_loom`), where the environment variable `CLOCKHAND_SEED`
/// names the one to switch on; in every other build this is the constant `false`.
#[cfg(any(clockhand_loom, clockhand_seeds))]
pub(crate) fn seeded(name: &str) -> bool {
    static SEED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    SEED.get_or_init(|| std::env::var("CLOCKHAND_SEED").ok()).as_deref() == Some(name)
}

/// Whether the seeded bug `name` is switched on: never, in this build.
#[cfg(not(any(clockhand_loom, clockhand_seeds)))]
#[inline(always)]
pub(crate) const fn seeded(_name: &str) -> bool {
    false
}

/// The ordering of an access, which the seeded bug `name` weakens.
#[inline(always)]
pub(crate) fn relaxed_if_seeded(name: &str, ordering: Ordering) -> Ordering {
    if seeded(name) { Ordering::Relaxed } else { ordering }
}
