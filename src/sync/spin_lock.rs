//! A lock that gives its processor away while it waits, and that a child process can take from a
//! thread that `fork` has left behind.
//!
//! Its word names the holder. If the holder does not exist in this process, it may have left the
//! guarded value half changed: then that is abandoned as it is, and replaced by a new one.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Holder, give_way};

/// A value that one thread at a time uses. Never modelled: no step of a protocol is taken under it.
pub(crate) struct SpinLock<T> {
    holder: AtomicU64,
    guarded: UnsafeCell<T>,
}

/// Holds the lock until it is dropped.
pub(crate) struct SpinGuard<'t, T>(&'t SpinLock<T>);

impl<T> SpinLock<T> {
    pub(crate) fn new(guarded: T) -> Self {
        Self { holder: AtomicU64::new(Holder::NONE), guarded: UnsafeCell::new(guarded) }
    }

    /// Takes the lock, if no thread holds it.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<SpinGuard<'_, T>> {
        let (none, me) = (Holder::NONE, Holder::me().into_raw());
        // ORDERING S-k: Acquire: what the last holder has changed.
        let taken = self.holder.compare_exchange(none, me, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then(|| SpinGuard(self))
    }

    /// Takes the lock.
    ///
    /// # Progress
    ///
    /// Blocking: until the holder releases it.
    pub(crate) fn lock(&self) -> SpinGuard<'_, T> {
        loop {
            if let Some(taken) = self.try_lock() {
                return taken;
            }
            give_way();
        }
    }

    /// Takes the lock and leaves it held by a thread of the parent process.
    #[cfg(test)]
    pub(crate) fn leave_behind(&self) {
        let elsewhere = Holder::me().into_raw().wrapping_add(1 << 32);
        // ORDERING S-k: Relaxed: no other thread uses it.
        self.holder.store(elsewhere, Ordering::Relaxed);
    }

    /// Takes it from a thread that the fork of this process by `me` has left behind, if one has it,
    /// and puts something else in its place. What was there is neither used nor dropped.
    #[allow(unsafe_code)]
    pub(crate) fn reset_after_fork(&self, me: Holder, new: impl FnOnce() -> T) {
        // ORDERING S-k: Relaxed: what a thread that is not here has written was copied with everything else.
        let holder = Holder::from_raw(self.holder.load(Ordering::Relaxed));
        if holder.is_some_and(|holder| holder.was_left_by_fork(me)) {
            // SAFETY: it is taken, by a thread that is not there and will use it no more; one thread calls this.
            unsafe { self.guarded.get().write(new()) };
            // ORDERING S-k: Release: what is there now.
            self.holder.store(Holder::NONE, Ordering::Release);
        }
    }
}

impl<T: Default> Default for SpinLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    #[allow(unsafe_code)]
    fn deref(&self) -> &T {
        // SAFETY: locked, so no other thread uses it until this is dropped.
        unsafe { &*self.0.guarded.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    #[allow(unsafe_code)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.guarded.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        // ORDERING S-k: Release: what this holder has changed.
        self.0.holder.store(Holder::NONE, Ordering::Release);
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock").finish_non_exhaustive()
    }
}

// SAFETY: hands what it guards to one thread at a time.
#[allow(unsafe_code)]
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: owns what it guards, and the number of a thread.
#[allow(unsafe_code)]
unsafe impl<T: Send> Send for SpinLock<T> {}
