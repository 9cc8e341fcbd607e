//! When a load is taken over from the caller that leads it.

use std::time::Duration;

/// When a waiter takes a load over from a leader that makes no progress.
///
/// A leader that is relieved is not interrupted. Of all callers that load a key then, the first
/// value to arrive goes into the cache and to all waiters.
///
/// A thread that loads for its own caller is never relieved. A caller that must not wait for long
/// uses a time limit ([`get_or_load_timeout`](crate::Cache::get_or_load_timeout),
/// [`load_timeout`](crate::LoadingCache::load_timeout)).
///
/// # Progress
///
/// All methods are wait-free.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::{Cache, LoadPolicy};
///
/// let policy = LoadPolicy::new().woken_limit(Duration::from_secs(2));
/// let cache: Cache<String, u64> = Cache::builder().capacity(100).load_policy(policy).build()?;
/// # drop(cache);
/// # Ok::<_, clockhand::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a policy does nothing until a builder has it"]
pub struct LoadPolicy {
    pub(crate) woken_limit: Duration,
    pub(crate) renewal_limit: Duration,
}

impl LoadPolicy {
    /// Half a second for a task that was woken, five seconds for a renewal.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::LoadPolicy;
    ///
    /// assert_eq!(LoadPolicy::new(), LoadPolicy::default());
    /// ```
    pub fn new() -> Self {
        Self { woken_limit: Duration::from_millis(500), renewal_limit: Duration::from_secs(5) }
    }

    /// How long a task that was woken may go without being polled before the first waiter takes
    /// over: its owner does not poll it any more, or its runtime is stalled. A task that was not
    /// woken waits for its source, and is left alone however long that takes. Each leader that was
    /// relieved doubles the limit for the next one, up to sixteen times.
    ///
    /// The same limit holds for a waiter that was promoted and is not polled: the next one is
    /// promoted instead. From then on, until one is polled, any waiter that is polled leads, and
    /// after each limit twice as many of them are woken: so a waiter that is polled need not wait
    /// for many that are not.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::LoadPolicy;
    ///
    /// let policy = LoadPolicy::new().woken_limit(Duration::from_secs(2));
    /// assert_ne!(policy, LoadPolicy::new());
    /// ```
    pub fn woken_limit(mut self, limit: Duration) -> Self {
        self.woken_limit = limit;
        self
    }

    /// How long a renewal (in the background, by [`refresh`](crate::LoadingCache::refresh), or by a
    /// [`Warmer`](crate::Warmer), which also loads values that are missing) may run, on a thread or
    /// as a task, before a reader that waits for it loads for itself, and before a read of the
    /// value, if that is still live, starts another one. Doubled as
    /// [`woken_limit`](Self::woken_limit) is.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::LoadPolicy;
    ///
    /// let policy = LoadPolicy::new().renewal_limit(Duration::from_secs(30));
    /// assert_ne!(policy, LoadPolicy::new());
    /// ```
    pub fn renewal_limit(mut self, limit: Duration) -> Self {
        self.renewal_limit = limit;
        self
    }
}

impl Default for LoadPolicy {
    fn default() -> Self {
        Self::new()
    }
}
