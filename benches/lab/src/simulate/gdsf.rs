//! GreedyDual-Size-Frequency (L. Cherkasova, HP Labs 1998): the entry leaves first whose uses, times what a miss of it
//! costs, divided by its size, are least, on top of what the last one had that left.

use std::collections::{BTreeSet, HashMap};

use super::Dense;

/// An entry's order: its priority as the bits of a float that is not negative, then the last access, then the key.
type Order = (u64, usize, u32);

/// Hits, and bytes that hit, of a trace whose accesses have these sizes, in a cache of this many bytes where a miss costs the
/// size (`by_bytes`) or one.
pub(crate) fn gdsf(trace: &Dense, sizes: &[u32], capacity: u64, by_bytes: bool) -> (u64, u64) {
    let mut held = HashMap::<u32, (u64, u64, Order), ahash::RandomState>::default();
    let mut queue = BTreeSet::<Order>::new();
    let (mut inflation, mut used, mut hits, mut bytes) = (0_f64, 0, 0, 0);
    for (at, (&key, &size)) in trace.accesses.iter().zip(sizes).enumerate() {
        assert!(size > 0, "what has no size is never in the way");
        let (mut uses, mut size) = (1, u64::from(size));
        if let Some((before, own, order)) = held.remove(&key) {
            queue.remove(&order);
            (hits, bytes, uses) = (hits + 1, bytes + size, before + 1);
            used -= own;
            // It keeps the size with which it came in.
            size = own;
        } else if size > capacity {
            continue;
        }
        while used + size > capacity {
            let (priority, at, least) =
                queue.pop_first().expect("what is used is used by somebody");
            let left = held.remove(&least).expect("those in order are held");
            debug_assert_eq!(left.2.1, at);
            inflation = f64::from_bits(priority);
            used -= left.1;
        }
        let worth = if by_bytes { uses as f64 } else { uses as f64 / size as f64 };
        let order = ((inflation + worth).to_bits(), at, key);
        queue.insert(order);
        held.insert(key, (uses, size, order));
        used += size;
    }
    (hits, bytes)
}
