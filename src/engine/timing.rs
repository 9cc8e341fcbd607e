//! Taking the time of an operation, if it is its turn.

use std::time::Duration;

use super::{Engine, Local};
use crate::latency::Operation;
use crate::time::Timer;

/// An operation that is being timed, until this is dropped.
#[derive(Debug)]
pub(super) struct Timing<'e> {
    timer: &'e Timer,
    local: &'e Local,
    operation: Operation,
    begun: Duration,
}

impl<'e> Timing<'e> {
    #[cold]
    pub(super) fn begin(timer: &'e Timer, local: &'e Local, operation: Operation) -> Self {
        Self { timer, local, operation, begun: timer.elapsed() }
    }
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        let took = self.timer.elapsed().saturating_sub(self.begun);
        self.local.timings.record(self.operation, took);
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// Times a read or an insert that begins now, if it is its turn.
    #[inline(always)]
    pub(super) fn begin_timing<'e>(
        &'e self,
        local: &'e Local,
        operation: Operation,
    ) -> Option<Timing<'e>> {
        let is_due = self.sampling.is_due(&local.timings, operation);
        is_due.then(|| Timing::begin(&self.timer, local, operation))
    }
}
