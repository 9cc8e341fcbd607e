//! How a value that was put into a second tier comes into the cache before it.

use std::fmt;
use std::time::{Duration, Instant};

use crate::sync::quietly;

/// What puts a value into the cache, once it is in the second tier.
///
/// Dropped without having done so, it removes the key from the cache instead: an older value must not stay there. Neither
/// panics.
#[must_use = "dropped, it removes the key from the cache"]
pub struct CacheUpdate(Option<Box<dyn FnOnce(Option<Duration>) + Send>>);

impl CacheUpdate {
    /// Calls `update` once: with how long the value lives yet, or with `None` to remove the key. A panic in it is caught, after
    /// its hook was called.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn new(update: impl FnOnce(Option<Duration>) + Send + 'static) -> Self {
        Self(Some(Box::new(update)))
    }

    /// Leaves the cache as it is: for a load, which puts its value into the cache by itself.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// Puts the value into the cache, where it lives until then.
    ///
    /// # Progress
    ///
    /// Runs the closure that it was made of.
    pub fn until(mut self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        self.call((!left.is_zero()).then_some(left));
    }

    fn call(&mut self, left: Option<Duration>) {
        if let Some(update) = self.0.take() {
            quietly(|| update(left));
        }
    }
}

impl Drop for CacheUpdate {
    fn drop(&mut self) {
        self.call(None);
    }
}

impl fmt::Debug for CacheUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheUpdate").finish_non_exhaustive()
    }
}
