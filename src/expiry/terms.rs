//! How the life of a loaded value differs from that of others.

use std::time::Duration;

use super::Expiration;
use crate::entry::EntryRef;
use crate::sync::Stamp;
use crate::time::{Deadline, Moment};

/// What a load asks for its value. By default it lives like any other.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Terms {
    /// How long it lives at most.
    pub(crate) lifetime: Option<Duration>,
    /// By which part of its life it expires earlier, at most: values that were loaded together do not
    /// expire together.
    pub(crate) jitter: f64,
}

impl<K, V> Expiration<K, V> {
    /// Shortens the life of an entry that is about to come in.
    #[inline]
    pub(crate) fn shorten(&self, entry: EntryRef<'_, K, V>, terms: &Terms) {
        if *terms != Terms::default() {
            self.apply(entry, terms);
        }
    }

    #[cold]
    fn apply(&self, entry: EntryRef<'_, K, V>, terms: &Terms) {
        let (Some(word), now) = (entry.deadline(), self.now()) else { return };
        let mut deadline = Deadline::from_word(word.get());
        if let Some(lifetime) = terms.lifetime {
            deadline = deadline.min(now.after(lifetime));
        }
        if let Some(left) = deadline.remaining(now).filter(|_| terms.jitter > 0.0) {
            let spared = left.mul_f64(terms.jitter.min(1.0) * chance(entry.hash(), now));
            deadline = now.after(left.saturating_sub(spared));
        }
        word.set(deadline.to_word());
    }

    /// Whether an entry is so old that its value is to be renewed: `after` so long, or up to a part
    /// earlier, by `jitter`.
    #[inline]
    pub(crate) fn is_due(
        &self,
        entry: EntryRef<'_, K, V>,
        (after, jitter): (Duration, f64),
        now: Moment,
    ) -> bool {
        match (entry.modified().map(Stamp::get), self.time_to_live, entry.deadline()) {
            (Some(written), _, _) => {
                let written = Moment::from_word(written);
                let spared = jitter * chance(entry.hash(), written);
                // Saturates: a duration may be longer than the clock runs.
                let after = (after.as_nanos() as f64 * (1.0 - spared)) as u64;
                written.after(Duration::from_nanos(after)).is_passed(now)
            }
            (None, Some(lifetime), Some(deadline)) => {
                // What is left of the life, of which jitter has taken a part at the beginning.
                let left = Deadline::from_word(deadline.get()).remaining(now);
                left.is_some_and(|left| left <= lifetime.saturating_sub(after))
            }
            _ => false,
        }
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
