//! Loads that models want, and those of a round that are worth most.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Which model it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    Reuse,
    Successors,
}

/// A load that a model wants.
#[derive(Debug, Clone)]
pub(super) struct Candidate<K> {
    pub(super) model: Model,
    pub(super) hash: u64,
    pub(super) key: K,
    /// Bytes that the key has on the heap.
    pub(super) heap: usize,
    /// What is gained by it, on average.
    pub(super) gain: f64,
    /// Whether a value that is there is renewed.
    pub(super) renews: bool,
}

/// The order in which candidates make room for each other: the greatest is the one that gains least, or came last.
#[derive(Debug)]
struct CandidateEntry<K> {
    candidate: Candidate<K>,
    number: u64,
}

impl<K> Ord for CandidateEntry<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        let gain = other.candidate.gain.total_cmp(&self.candidate.gain);
        gain.then(self.number.cmp(&other.number))
    }
}

impl<K> PartialOrd for CandidateEntry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for CandidateEntry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K> Eq for CandidateEntry<K> {}

/// What a round wants to load: no more than it may start, and those that gain most.
#[derive(Debug)]
pub(super) struct CandidateQueue<K> {
    candidates: BinaryHeap<CandidateEntry<K>>,
    most: usize,
    /// Bytes that their keys have on the heap, and how many there may be.
    heap: usize,
    max_heap: usize,
    /// Those that there have been.
    number: u64,
    /// Those for which there was no room.
    pub(super) held_back: u64,
}

impl<K> CandidateQueue<K> {
    pub(super) fn new(most: usize, max_heap: usize) -> Self {
        let candidates = BinaryHeap::with_capacity(most + 1);
        Self { candidates, most, heap: 0, max_heap, number: 0, held_back: 0 }
    }

    /// Adds a candidate. Returns the one for which there is no room then.
    #[must_use]
    pub(super) fn push(&mut self, candidate: Candidate<K>) -> Option<Candidate<K>> {
        if self.heap + candidate.heap > self.max_heap {
            self.held_back += 1;
            return Some(candidate);
        }
        self.heap += candidate.heap;
        self.number += 1;
        self.candidates.push(CandidateEntry { candidate, number: self.number });
        if self.candidates.len() <= self.most {
            return None;
        }
        let CandidateEntry { candidate, .. } = self.candidates.pop()?;
        self.heap -= candidate.heap;
        self.held_back += 1;
        Some(candidate)
    }

    /// Takes all of them, those first that gain most.
    pub(super) fn take(&mut self) -> Vec<Candidate<K>> {
        let ranked = std::mem::take(&mut self.candidates).into_sorted_vec();
        let (mut ranked, mut taken) = (ranked, Vec::new());
        taken.reserve_exact(ranked.len());
        taken.extend(ranked.drain(..).map(|ranked| ranked.candidate));
        // With the room that it has.
        self.candidates = ranked.into();
        self.heap = 0;
        taken
    }
}
