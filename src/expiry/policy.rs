//! The user's own rule for the lifetime of entries.

use std::time::{Duration, Instant};

/// How long each entry lives, decided entry by entry.
///
/// Given to [`Builder::expiry`](crate::Builder::expiry). The names and the meaning are those that
/// users of moka and Caffeine know. Each method returns how long the entry lives from now on, or
/// `None` for no deadline of its own. Times to live and to idle that the builder was given hold as
/// well: the earliest deadline counts.
///
/// # Where it is called
///
/// On the calling thread, while it is pinned, without a lock: a method may read and write the
/// cache, but not recurse endlessly, and it should be fast. A panic reaches the caller of the
/// operation and leaves the cache as it was. `expire_after_create` and `expire_after_update` run
/// once for each attempt of a write, `expire_after_read` at every hit, and up to four times if
/// other reads of the same entry change its deadline meanwhile. So a cache with an `Expiry` calls a
/// function where others do not.
///
/// A result is used only if the deadline that the method was called with has not changed meanwhile.
/// An entry that any thread has seen as expired stays expired, whatever a slow method returns.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use clockhand::{Cache, Expiry};
///
/// struct ByKind;
///
/// impl Expiry<&'static str, u64> for ByKind {
///     fn expire_after_create(&self, key: &&'static str, _: &u64, _: Instant) -> Option<Duration> {
///         if key.starts_with("quote:") { Some(Duration::from_secs(5)) } else { None }
///     }
/// }
///
/// let cache = Cache::builder().capacity(100).expiry(ByKind).build()?;
/// cache.insert("quote:EURUSD", 1);
/// cache.insert("currency:EUR", 2);
/// # Ok::<_, clockhand::BuildError>(())
/// ```
pub trait Expiry<K, V> {
    /// How long a new entry lives.
    ///
    /// Also called when an expired value is replaced. By default, new entries have no deadline of
    /// their own.
    fn expire_after_create(&self, key: &K, value: &V, created_at: Instant) -> Option<Duration> {
        let _ = (key, value, created_at);
        None
    }

    /// How long an entry lives after it was read.
    ///
    /// Called at every read of the value, but not by calls that do not count as a read (`peek`,
    /// `contains_key`, scans). `duration_until_expiry` is the time that it has left; returning it
    /// changes nothing, which is the default.
    fn expire_after_read(
        &self,
        key: &K,
        value: &V,
        read_at: Instant,
        duration_until_expiry: Option<Duration>,
        last_modified_at: Instant,
    ) -> Option<Duration> {
        let _ = (key, value, read_at, last_modified_at);
        duration_until_expiry
    }

    /// How long an entry lives after its value was replaced, by a write, by a load or by a renewal.
    ///
    /// `duration_until_expiry` is the time that the old value had left of a deadline of its own;
    /// return it to keep the old deadline. By default, a new value has the lifetime of
    /// [`expire_after_create`](Self::expire_after_create). (In moka and Caffeine it keeps the old
    /// deadline.) A time to live starts over in any case.
    fn expire_after_update(
        &self,
        key: &K,
        value: &V,
        updated_at: Instant,
        duration_until_expiry: Option<Duration>,
    ) -> Option<Duration> {
        let _ = duration_until_expiry;
        self.expire_after_create(key, value, updated_at)
    }
}
