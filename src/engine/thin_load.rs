//! How a load that begins thin takes part in the table: it leads to the same as any other, by fewer steps.

use std::cell::Cell;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::running::RunningPlace;
use super::{Engine, Local, Pin};
use crate::entry::{LoadToken, ThinLoad};
use crate::expiry::LifetimeOverride;
use crate::hash::Hashed;
use crate::latency::Operation;
use crate::sync::NoAbort;
use crate::table::Lookup;
use crate::time::{TimerStart, nanos};

/// A load that has begun thin.
#[derive(Debug)]
pub(crate) struct ThinStart {
    pub(crate) load: ThinLoad,
    /// The hash of its key, and the number of its placeholder.
    hash: u64,
    number: u32,
    /// When its loader began to run, and where that is entered, if it is not with the thread.
    begun: TimerStart,
    entered: Option<RunningPlace>,
    /// Whether its end is counted.
    counted: Cell<bool>,
}

/// A load of which no other thread knows: it ends if user code panics.
struct EndOnDrop(ThinLoad);

impl EndOnDrop {
    /// Its token is in the table.
    fn defuse(self) -> ThinLoad {
        let load = self.0;
        std::mem::forget(self);
        load
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        let ended = self.0.end();
        debug_assert!(ended.is_ok(), "no caller has joined it");
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Links a placeholder for `key` and counts the start of its loader. `None` if the key has an entry of any kind,
    /// or if there is no permit: the caller then goes the long way. Once the token is in the table, no user code runs
    /// before this returns.
    pub(crate) fn begin_thin_load(&self, key: &K) -> Option<ThinStart> {
        let hash = self.hash(key);
        let pin = self.pin();
        let (load, number) = self.link_thin(&pin, (hash, key))?;
        let (begun, entered) = self.enter_thin(&pin);
        Some(ThinStart { load, hash, number, begun, entered, counted: Cell::new(false) })
    }

    /// Links the placeholder. What the policy counts of it is counted here, while the thread is pinned for sure.
    fn link_thin(&self, pin: &Pin<'_, K, V>, (hash, key): (u64, &K)) -> Option<(ThinLoad, u32)> {
        let (view, local) = (self.table.view(pin.guard_ref()), pin.local());
        let find = || match view.find_for_write(hash, |k| k == key) {
            Lookup::Vacant(vacant) => Some(vacant),
            Lookup::Occupied(_) => None,
        };
        let mut vacant = find()?;
        // Before the key is cloned: without a permit that would be in vain.
        let permit = self.placeholder_permit()?;
        let own = key.clone();
        let load = EndOnDrop(ThinLoad::begin());
        let mut entry = view.placeholder(hash, own, LoadToken::Thin(load.0));
        let number = entry.number();
        // Once, however often the exchange loses: it takes what is remembered of the key.
        let meta = self.admit(view, entry.as_ref()).meta;
        let delta = self.policy.probation_delta(&local.cursor);
        while let Err(back) = self.commit(view, &delta, vacant, (entry, meta)) {
            let back = NoAbort::new(back);
            vacant = find()?;
            entry = back.into_inner();
        }
        permit.keep();
        local.tally.token_changes.bump();
        local.tally.placeholders.bump();
        local.loads.started.bump();
        self.grow_if_crowded(view);
        // The end tidies up for both.
        Some((load.defuse(), number))
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
        let took = self.timer.since(start.begun);
        let load = ((&token, Some(start.number)), lifetime_override, Some(took));
        self.complete_hashed(Hashed { hash: start.hash, key }, value, load, |local| {
            self.count_thin(local, start, took, true);
        });
    }

    /// Counts the end of a loader whose value is not inserted, or that has none, unless it is counted.
    pub(crate) fn count_thin_end(&self, start: &ThinStart, succeeded: bool) {
        let took = self.timer.since(start.begun);
        self.count_thin(self.pin().local(), start, took, succeeded);
    }

    /// The same in all cases: of a loader that has returned, once, whatever user code panics in between.
    fn count_thin(&self, local: &Local, start: &ThinStart, took: Duration, succeeded: bool) {
        if !start.counted.replace(true) {
            self.leave_thin(local, start);
            let count = if succeeded { &local.loads.succeeded } else { &local.loads.failed };
            count.bump();
            self.note_load_time(local, took);
        }
    }

    /// Notes that a loader begins to run.
    fn enter_thin(&self, pin: &Pin<'_, K, V>) -> (TimerStart, Option<RunningPlace>) {
        let begun = self.timer.begin();
        if pin.keeps_local() {
            pin.local().thin_running.enter(begun);
            (begun, None)
        } else {
            (begun, Some(self.enter_load().1))
        }
    }

    /// Notes that it has come to its end. It is no task, so no fork has cut it off in this process.
    fn leave_thin(&self, local: &Local, start: &ThinStart) {
        match start.entered {
            None => local.thin_running.leave(),
            Some(entered) => drop(self.leave_load(entered)),
        }
    }

    /// Removes the placeholder of the load, as [`cancel_load`](Self::cancel_load).
    pub(crate) fn cancel_thin_load(&self, key: &K, start: &ThinStart) {
        self.cancel_hashed(Hashed { hash: start.hash, key }, &LoadToken::Thin(start.load));
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
