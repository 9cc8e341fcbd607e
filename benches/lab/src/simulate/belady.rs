//! Belady's optimum: evicts what is needed last, which only an oracle knows.

use std::collections::BinaryHeap;

use super::Dense;

/// Never needed again; later than every access.
const NEVER: u32 = u32::MAX;

/// How many accesses hit a cache of this many entries that takes every key in, and evicts the one
/// whose next access is the farthest.
pub(crate) fn belady(trace: &Dense, entries: usize) -> u64 {
    let next = next_accesses(trace);
    let mut held = vec![false; trace.unique];
    let mut by_need = BinaryHeap::<(u32, u32)>::new();
    let (mut hits, mut count) = (0, 0);
    for (&key, &next) in trace.accesses.iter().zip(&next) {
        if held[key as usize] {
            hits += 1;
        } else if count < entries {
            count += 1;
        } else if let Some((_, last)) = by_need.pop() {
            held[last as usize] = false;
        }
        held[key as usize] = true;
        // Of a key that was held, an older pair stays behind. It names an access that is over, so
        // it is below the pairs that count, of which each key held has one.
        by_need.push((next, key));
    }
    hits
}

/// When the key of each access is accessed next.
fn next_accesses(trace: &Dense) -> Vec<u32> {
    let mut coming = vec![NEVER; trace.unique];
    let mut next = vec![NEVER; trace.accesses.len()];
    for (at, &key) in trace.accesses.iter().enumerate().rev() {
        next[at] = coming[key as usize];
        coming[key as usize] = at as u32;
    }
    next
}
