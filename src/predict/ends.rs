//! What became of loads that run elsewhere.

use std::sync::Arc;

use super::candidate::Model;
use crate::load::PredictedLoad;
use crate::sync::{AtomicUsize, Mutex, Relaxed, lock};

/// A load, and what became of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadEnd {
    pub(super) model: Model,
    pub(super) hash: u64,
    /// Bytes that its key has on the heap.
    pub(super) heap: usize,
    pub(super) end: PredictedLoad,
}

impl LoadEnd {
    /// One that is not run unless that is noted.
    pub(super) fn new(model: Model, hash: u64, heap: usize) -> Self {
        Self { model, hash, heap, end: PredictedLoad::NotNeeded }
    }
}

/// Where jobs leave what became of their loads.
#[derive(Debug, Default)]
pub(super) struct Ends {
    ends: Mutex<Vec<LoadEnd>>,
    jobs: Relaxed<AtomicUsize>,
}

/// The loads of a job. Dropped, it leaves those that were not noted as not run.
#[derive(Debug)]
pub(super) struct JobEnds {
    loads: Mutex<Vec<LoadEnd>>,
    ends: Arc<Ends>,
}

impl Ends {
    pub(super) fn begin(self: &Arc<Self>, loads: Vec<LoadEnd>) -> JobEnds {
        self.jobs.add(1);
        JobEnds { loads: Mutex::new(loads), ends: Arc::clone(self) }
    }

    /// Takes what has been left.
    pub(super) fn take(&self) -> Vec<LoadEnd> {
        std::mem::take(&mut *lock(&self.ends))
    }

    /// How many jobs are under way.
    pub(super) fn under_way(&self) -> usize {
        self.jobs.get()
    }
}

impl JobEnds {
    pub(super) fn note(&self, index: usize, end: PredictedLoad) {
        if let Some(load) = lock(&self.loads).get_mut(index) {
            load.end = end;
        }
    }
}

impl Drop for JobEnds {
    fn drop(&mut self) {
        let mut loads = std::mem::take(&mut *lock(&self.loads));
        lock(&self.ends.ends).append(&mut loads);
        self.ends.jobs.sub(1);
    }
}
