//! CLOCK: a ring with one bit for each entry, and a hand that clears them.

use super::Dense;

/// Not in the ring.
const ABSENT: u32 = u32::MAX;

/// How many accesses hit a cache of so many entries that evicts the first under the hand that was
/// not accessed since the hand went by.
#[must_use]
pub fn clock(trace: &Dense, entries: usize) -> u64 {
    let mut places = vec![ABSENT; trace.unique];
    let mut ring = Vec::<(u32, bool)>::new();
    let (mut hits, mut manual) = (0, 0);
    for &key in &trace.accesses {
        let place = places[key as usize];
        if place != ABSENT {
            hits += 1;
            ring[place as usize].1 = true;
            continue;
        }
        if ring.len() < entries {
            places[key as usize] = ring.len() as u32;
            ring.push((key, false));
            continue;
        }
        // Ends: after one turn every bit is clear.
        while ring[manual].1 {
            ring[manual].1 = false;
            manual = (manual + 1) % entries;
        }
        places[ring[manual].0 as usize] = ABSENT;
        places[key as usize] = manual as u32;
        ring[manual] = (key, false);
        manual = (manual + 1) % entries;
    }
    hits
}
