//! How a load that begins thin takes part in the table: it leads to the same as any other, by fewer steps.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::running::Entered;
use super::{Engine, Local};
use crate::entry::{LoadToken, ThinLoad};
use crate::expiry::LifetimeOverride;
use crate::hash::Hashed;
use crate::latency::Operation;
use crate::sync::NoAbort;
use crate::table::Lookup;
use crate::time::nanos;

/// A load that has begun thin.
#[derive(Debug)]
pub(crate) struct ThinStart {
    pub(crate) load: ThinLoad,
    /// The hash of its key.
    hash: u64,
    /// When its loader began to run, and where that was entered.
    begun: Duration,
    entered: Entered,
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Links a placeholder for `key` and counts the start of its loader. `None` if the key has an entry of any kind,
    /// or if there is no permit: the caller then goes the long way.
    pub(crate) fn begin_thin_load(&self, key: &K) -> Option<ThinStart> {
        let hash = self.hash(key);
        let pin = self.pin();
        let (view, local) = (self.table.view(pin.guard_ref()), pin.local());
        let Lookup::Vacant(vacant) = view.find_for_write(hash, |k| k == key) else { return None };
        // Before the key is cloned: without a permit that would be in vain.
        let permit = self.placeholder_permit()?;
        let own = key.clone();
        let load = ThinLoad::begin();
        let entry = view.placeholder(hash, own, LoadToken::Thin(load));
        let meta = self.admit(view, entry.as_ref()).meta;
        let delta = self.policy.probation_delta(&local.cursor);
        if let Err(entry) = self.commit(view, &delta, vacant, (entry, meta)) {
            let ended = load.end();
            debug_assert!(ended.is_ok(), "nobody has seen its token");
            drop(NoAbort::new(entry));
            return None;
        }
        permit.keep();
        local.tally.token_changes.bump();
        local.tally.placeholders.bump();
        local.loads.started.bump();
        self.grow_if_crowded(view);
        // The end tidies up for both.
        drop(pin);
        let (begun, entered) = self.enter_load();
        Some(ThinStart { load, hash, begun, entered })
    }

    /// Replaces the placeholder of the load by its value, as [`complete_load`](Self::complete_load), and counts the
    /// end of its loader.
    pub(crate) fn complete_thin_load(
        &self,
        key: &K,
        value: V,
        start: &ThinStart,
        lifetime_override: LifetimeOverride,
    ) {
        let token = LoadToken::Thin(start.load);
        let left = self.leave_load(start.entered);
        let took = left.then(|| self.elapsed().saturating_sub(start.begun));
        let load = (&token, lifetime_override, took);
        self.complete_hashed(Hashed { hash: start.hash, key }, value, load, |local| {
            if let Some(took) = took {
                local.loads.succeeded.bump();
                self.note_load_time(local, took);
            }
        });
    }

    /// Counts the end of a loader whose value does not come in, or that has none.
    pub(crate) fn count_thin_end(&self, start: &ThinStart, succeeded: bool) {
        if self.leave_load(start.entered) {
            self.count_load_time(start.begun);
            self.count_load(|loads| if succeeded { &loads.succeeded } else { &loads.failed });
        }
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// Counts what a load took.
    pub(super) fn note_load_time(&self, local: &Local, took: Duration) {
        local.loads.nanos.add(nanos(took));
        if self.sampling.is_on() {
            local.timings.record(Operation::Load, took);
        }
    }
}

impl ThinStart {
    /// When its loader began to run, and where that was entered.
    pub(crate) fn begun(&self) -> (Duration, Entered) {
        (self.begun, self.entered)
    }
}
