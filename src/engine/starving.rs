//! Writes that have waited for long, and go first.
//!
//! Room that is freed goes to whoever asks first, and one that has just got some is still on its processor and asks
//! again at once. A write that waits could be passed by for as long as its patience lasts. So one that has waited for
//! some time *starves*, and says so; a write that begins then stands back for a while.
//!
//! It stands back a bounded number of times, and once for each write that starves: so a write that starves and does
//! not go on, as its closure takes its time, delays others once.

use super::local::Local;
use super::{Engine, Pin};
use crate::reclaim::is_freeing;
use crate::sync::{AtomicU64, Relaxed, back_off};

/// How often a write that begins stands back at most.
const STANDS_BACK: u32 = 64;
/// How many write starve, in the low bits; how many began to, in the others.
const COUNT: u64 = 0xffff;

/// The writes of a cache that starve.
#[derive(Debug, Default)]
pub(super) struct Starving(Relaxed<AtomicU64>);

/// A write that starves, while this lives.
#[derive(Debug)]
pub(super) struct Starved<'e>(&'e Starving);

impl Drop for Starved<'_> {
    fn drop(&mut self) {
        self.0.0.sub(1);
    }
}

impl Starving {
    /// Whether any write starves.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.0.get() & COUNT != 0
    }

    /// One more does.
    pub(super) fn enter(&self) -> Starved<'_> {
        self.0.add(COUNT + 2);
        Starved(self)
    }

    /// The number of the one that began to last.
    fn latest(&self) -> u64 {
        self.0.get() / (COUNT + 1)
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// Lets writes that starve go first, unless they wait for somebody who stays in the cache.
    #[cold]
    #[inline(never)]
    pub(super) fn stand_back(&self, pin: &mut Pin<'_, K, V>, local: &Local) {
        let (starving, latest) = (&self.starving, self.starving.latest());
        if local.stood_back.get() == latest || pin.blocks_own_garbage() || is_freeing() {
            return;
        }
        for round in 0..STANDS_BACK {
            pin.while_unpinned(|| back_off(round));
            if !starving.any() || starving.latest() != latest {
                return;
            }
        }
        local.stood_back.set(latest);
    }
}
