//! Writes that have waited for long, and go first.
//!
//! Room that is freed goes to the thread that asks first, and one that has just got some is still on its processor
//! and asks again at once. A write that waits could be passed by for as long as its patience lasts. So one that has
//! waited for some time *starves*, and says so; a write that begins then stands back for a while.
//!
//! It stands back a bounded number of times, and once for each write that starves: so a write that starves and does
//! not go on, as its closure takes its time, delays others once.

use super::local::Local;
use super::{Engine, Pin};
use crate::reclaim::is_freeing;
use crate::sync::{AtomicU64, Relaxed, back_off};

/// How often a write that begins stands back at most.
const MAX_YIELDS: u32 = 64;
/// How many write starve, in the low bits; how many began to, in the others.
const COUNT_MASK: u64 = 0xffff;

/// The writes of a cache that starve.
#[derive(Debug, Default)]
pub(super) struct Starvation(Relaxed<AtomicU64>);

/// A write that starves, while this lives.
#[derive(Debug)]
pub(super) struct StarvingWrite<'e>(&'e Starvation);

impl Drop for StarvingWrite<'_> {
    fn drop(&mut self) {
        self.0.0.sub(1);
    }
}

impl Starvation {
    /// Whether any write starves.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.0.get() & COUNT_MASK != 0
    }

    /// One more does.
    pub(super) fn enter(&self) -> StarvingWrite<'_> {
        self.0.add(COUNT_MASK + 2);
        StarvingWrite(self)
    }

    /// The number of the one that began to last.
    fn latest(&self) -> u64 {
        self.0.get() / (COUNT_MASK + 1)
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// Lets writes that starve go first, unless they wait for a thread that stays in the cache.
    #[cold]
    #[inline(never)]
    pub(super) fn yield_to_starving(&self, pin: &mut Pin<'_, K, V>, local: &Local) {
        let (starvation, latest) = (&self.starvation, self.starvation.latest());
        if local.yielded_to.get() == latest || pin.blocks_own_garbage() || is_freeing() {
            return;
        }
        for round in 0..MAX_YIELDS {
            pin.while_unpinned(|| back_off(round));
            if !starvation.any() || starvation.latest() != latest {
                return;
            }
        }
        local.yielded_to.set(latest);
    }
}
