//! The lifetime of one value, if it differs from that of others.

use std::time::Duration;

use super::{Expiration, after, modified};
use crate::entry::EntryRef;
use crate::narrow::whole;
use crate::time::{Deadline, Moment};

/// What a write wants for the lifetime of its value. By default it lives like any other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct LifetimeOverride {
    /// Its own time to live, instead of the cache's and of what an `Expiry` would return.
    pub(crate) ttl: Option<Duration>,
    /// How long it lives at most.
    pub(crate) lifetime: Option<Duration>,
    /// The largest part of its life by which it expires earlier, so that values that were loaded
    /// together do not expire together.
    pub(crate) jitter: f64,
    /// The age at which it is to be renewed, instead of that of the handle through which it is read.
    pub(crate) renew_after: Option<Duration>,
}

impl LifetimeOverride {
    /// None.
    pub(crate) const NONE: Self =
        Self { ttl: None, lifetime: None, jitter: 0.0, renew_after: None };

    /// Of a value with a time to live of its own.
    pub(crate) fn of_ttl(ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..Self::default() }
    }

    /// Returns the deadline of a value that is written now, given the one that it would have by
    /// default.
    #[inline]
    pub(super) fn shorten(
        &self,
        deadline: Deadline,
        hash: u64,
        now: Moment,
        time_to_live: Option<Duration>,
    ) -> Deadline {
        if self.lifetime.is_none() && self.jitter == 0.0 {
            deadline
        } else {
            self.apply(deadline, hash, now, time_to_live)
        }
    }

    #[cold]
    fn apply(
        &self,
        deadline: Deadline,
        hash: u64,
        now: Moment,
        time_to_live: Option<Duration>,
    ) -> Deadline {
        // The jitter applies to the whole life, whichever setting that comes from.
        let deadline = deadline.min(after(now, self.lifetime)).min(after(now, time_to_live));
        match deadline.remaining(now).filter(|_| self.jitter > 0.0) {
            Some(left) => {
                let spared = left.mul_f64(self.jitter.min(1.0) * chance(hash, now));
                now.after(left.saturating_sub(spared))
            }
            None => deadline,
        }
    }
}

impl<K, V> Expiration<K, V> {
    /// Whether an entry's value is to be renewed: it was written `age` ago, less a random part of
    /// that up to `jitter`. Its deadline does not matter.
    #[inline]
    pub(crate) fn is_due(
        &self,
        entry: EntryRef<'_, K, V>,
        (age, jitter): (Duration, f64),
        now: Moment,
    ) -> bool {
        let written = modified(entry);
        // Every hit of a cache that renews its values runs this, so nothing is computed that need
        // not be.
        if jitter == 0.0 {
            return written.after(age).is_passed(now);
        }
        let spared = jitter * chance(entry.hash(), written);
        // Saturates: a duration may be longer than the clock runs.
        let age = whole(age.as_nanos() as f64 * (1.0 - spared));
        written.after(Duration::from_nanos(age)).is_passed(now)
    }
}

/// A number from zero to one that depends on the key and the moment.
///
/// The mixing is that of splitmix64 (G. Steele et al., *Fast splittable pseudorandom number
/// generators*, OOPSLA 2014).
fn chance(hash: u64, now: Moment) -> f64 {
    let mixed = hash ^ now.to_word();
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}
