//! The floor that every other module stands on: atomics, the cells built from them, threads that
//! rest, and the processor's counter.
//!
//! This is the only file that names `std::sync::atomic` or `loom`. With `--cfg clockhand_loom` the
//! same code runs under the model checker.

mod counter;
mod holder;
mod octet;
mod outermost;
mod panics;
mod periodic_thread;
mod sleep;
mod spin_lock;
mod zeroed;

#[cfg(all(test, not(clockhand_loom)))]
mod tests;

pub(crate) use counter::{counter, has_counter};
pub(crate) use holder::Holder;
pub(crate) use octet::Octet;
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

/// Locks a mutex under which nothing panics that could leave its contents half done.
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

    /// Raises the value to at least this one.
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
pub(crate) struct Own(AtomicU64);

impl Own {
    /// Adds one. Called by the owner only: no locked instruction.
    #[inline]
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    /// The same for any number.
    #[inline]
    pub(crate) fn add(&self, by: u64) {
        // ORDERING S-o: Relaxed: nobody else writes.
        let value = self.0.load(Ordering::Relaxed);
        // ORDERING S-a: Release: whoever sees this number sees what was counted before it, by any
        // thread; pairs with `get`. So arrivals that are read before departures are never too many.
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

/// A place in memory that one thread at a time uses: who may is known from elsewhere. The model checker sees to it that
/// this is so.
pub(crate) struct Place<T>(UnsafeCell<T>);
#[cfg(clockhand_loom)]
use loom::cell::UnsafeCell;
#[cfg(not(clockhand_loom))]
use std::cell::UnsafeCell;

impl<T> Place<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Hands out a pointer to what is here.
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(clockhand_loom))]
        return f(self.0.get());
        #[cfg(clockhand_loom)]
        return self.0.with_mut(f);
    }
}

/// Lets other threads run that have no processor. Returns at once if there are none.
pub(crate) fn give_way() {
    #[cfg(not(clockhand_loom))]
    std::thread::yield_now();
    #[cfg(clockhand_loom)]
    loom::thread::yield_now();
}

/// How often one that waits gives its processor away before it sleeps instead.
const YIELDS: u32 = 16;
/// For how long it sleeps.
#[cfg(not(clockhand_loom))]
const NAP: std::time::Duration = std::time::Duration::from_micros(50);

/// Waits a little, in the given round. A thread that yields all the time is always ready to run, and may keep one from
/// its processor for which it waits.
pub(crate) fn back_off(round: u32) {
    if round < YIELDS || cfg!(clockhand_loom) {
        return give_way();
    }
    #[cfg(not(clockhand_loom))]
    std::thread::sleep(NAP);
}

/// Asks for the cache line that `target` begins in, to write to it. Changes nothing, whatever the
/// machine.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn prefetch<T>(target: &T) {
    #[cfg(all(target_arch = "x86_64", not(clockhand_loom)))]
    {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a prefetch is a hint and has no effect that a program can see.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(target).cast::<i8>()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(clockhand_loom))))]
    let _ = target;
}

/// Asks for the cache line that `target` points to, to read it. Changes nothing, whatever the pointer
/// and the machine.
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

/// An address, and what lies there. Whoever may look for it learns so after it was set; but it may have been set
/// anew meanwhile, and then what lies there is ordered by this load alone.
/// Never modelled, so that it may live in memory that was allocated by hand.
#[derive(Debug)]
pub(crate) struct Address<T>(std::sync::atomic::AtomicPtr<T>);

impl<T> Address<T> {
    pub(crate) const fn nowhere() -> Self {
        Self(std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()))
    }
    #[inline(always)]
    pub(crate) fn get(&self) -> *mut T {
        // ORDERING S-l: Acquire: what lies there.
        self.0.load(std::sync::atomic::Ordering::Acquire)
    }
    #[inline]
    pub(crate) fn set(&self, address: *mut T) {
        // ORDERING S-l: Release: what lies there.
        self.0.store(address, std::sync::atomic::Ordering::Release);
    }
}

/// A word inside an entry: a moment, a deadline, a charge; exact to itself and ordered with nothing.
/// Never modelled, so that it may live in memory that was allocated by hand.
#[derive(Debug)]
pub(crate) struct Stamp(std::sync::atomic::AtomicU64);

impl Stamp {
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
    /// One attempt to change `from` into `to`; what is there instead, if it fails.
    #[inline]
    pub(crate) fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        use std::sync::atomic::Ordering::Relaxed;
        self.0.compare_exchange(from, to, Relaxed, Relaxed).map(drop)
    }
    /// Takes bits out; whether they were there. One caller is told so, however many there are.
    #[inline]
    pub(crate) fn take(&self, bits: u64) -> bool {
        // What is gone never comes back, so most callers can do without the exchange.
        self.get() & bits != 0
            && self.0.fetch_and(!bits, std::sync::atomic::Ordering::Relaxed) & bits != 0
    }
}

/// A number that no other caller in this process has got or will get; never zero.
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
