//! How the memory of a predictor is divided, and what keys take of it.
//!
//! All that it allocates is one of these parts, so their sum is what it holds at most. What it does not know is what
//! keys have on the heap, where they are of a type of the user's and [`Features::key_bytes`](super::Features::key_bytes)
//! does not say so.

use std::any::Any;
use std::mem::needs_drop;
use std::path::PathBuf;
use std::sync::Arc;

use super::candidate::Candidate;
use super::ends::LoadEnd;
use super::job::JobKey;
use super::pace::MAX_READS;
use super::stats::PredictorStats;
use crate::evidence::{Evidence, ReadEvent};

/// Loads of a round, and those that are under way, at most.
pub(super) const MAX_LOADS: usize = 128;
/// The same in little memory.
const MIN_LOADS: usize = 8;
/// Reads that the ring of one thread may tell.
const MIN_READS: usize = Evidence::MOST;
/// The part that is for what a round is told, and for the loads that it starts.
const ROUND_PART: usize = 16;
/// Handle, thread, and what they share.
const HANDLE: usize = 512 + 2 * size_of::<PredictorStats>();

/// What each part may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryBudget {
    /// Reads of which a round is told.
    pub(super) reads: usize,
    /// Loads of a round.
    pub(super) loads: usize,
    /// What their keys may have on the heap.
    pub(super) heap_of_loads: usize,
    /// Bytes for each model.
    pub(super) model: usize,
    /// Bytes that are no model's.
    pub(super) own: usize,
}

/// A load takes a place among those that are wanted, one among those that were taken from there, one among those that
/// are started; one in its job; and one among its ends, in a vector that grows.
const fn bytes_per_load<K>() -> usize {
    4 * size_of::<Candidate<K>>() + size_of::<JobKey<K>>() + 4 * size_of::<LoadEnd>()
}

impl MemoryBudget {
    /// Those of `bytes`, for keys of this type, where what rounds work on has `fixed`; `None` if that is too little.
    pub(super) fn of<K>(bytes: usize, models: usize, fixed: usize) -> Option<Self> {
        let part = bytes / ROUND_PART;
        let reads = (part / size_of::<ReadEvent>()).clamp(MIN_READS, MAX_READS);
        let loads = (part / bytes_per_load::<K>()).clamp(MIN_LOADS, MAX_LOADS);
        let heap_of_loads = heap_share::<K>(bytes, ROUND_PART);
        let own = HANDLE
            + fixed
            + reads * size_of::<ReadEvent>()
            + loads * bytes_per_load::<K>()
            + heap_of_loads;
        let model = bytes.checked_sub(own)? / models.max(1);
        Some(Self { reads, loads, heap_of_loads, model, own })
    }
}

/// One in so many parts of `bytes` if keys may have something on the heap.
pub(super) const fn heap_share<K>(bytes: usize, parts: usize) -> usize {
    if needs_drop::<K>() { bytes / parts } else { 0 }
}

/// What a clone of a key has on the heap, as far as that is known of its type.
pub(super) fn heap_of<K: 'static>(key: &K) -> usize {
    const COUNTS: usize = 2 * size_of::<usize>();
    if !needs_drop::<K>() {
        return 0;
    }
    let key = key as &dyn Any;
    let strings = [
        key.downcast_ref::<String>().map(String::len),
        key.downcast_ref::<Box<str>>().map(|key| key.len()),
        key.downcast_ref::<Vec<u8>>().map(Vec::len),
        key.downcast_ref::<Box<[u8]>>().map(|key| key.len()),
        key.downcast_ref::<PathBuf>().map(|key| key.as_os_str().len()),
        // Shared with the cache, which may let go of it.
        key.downcast_ref::<Arc<str>>().map(|key| COUNTS + key.len()),
        key.downcast_ref::<Arc<[u8]>>().map(|key| COUNTS + key.len()),
        key.downcast_ref::<Arc<String>>().map(|key| COUNTS + size_of::<String>() + key.len()),
    ];
    strings.into_iter().flatten().next().unwrap_or(0)
}
