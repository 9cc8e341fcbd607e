//! The offset race: two consumers find an offset new, and both process it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use clockhand::Cache;

use super::{Heat, Race, Steps, Tally, step};
use crate::compare::arena::{Bell, work_for};
use crate::failure::Failure;

/// Offsets that are there before the race ends, at most.
const OFFSETS: usize = 1 << 20;

pub(super) fn run(heat: Heat) -> Result<Race, Failure> {
    Ok(Race {
        name: "offsets",
        story: "a message was processed twice, or never",
        naive: naive(heat)?,
        clockhand: clockhand(heat)?,
    })
}

/// Is it new? Then process it, and remember it.
#[allow(clippy::map_entry, reason = "two steps instead of one are what is shown")]
fn naive(heat: Heat) -> Result<Tally, Failure> {
    let seen: Steps<()> = HashMap::new().into();
    race(heat, |offset, process| {
        if !step(&seen).contains_key(&offset) {
            process();
            step(&seen).insert(offset, ());
        }
    })
}

fn clockhand(heat: Heat) -> Result<Tally, Failure> {
    let seen = Cache::new(OFFSETS as u64);
    race(heat, |offset, process| {
        if seen.insert_if_absent(offset, ()).is_ok() {
            process();
        }
    })
}

/// Every thread is delivered every offset, all at about the same time.
fn race(heat: Heat, consume: impl Fn(u64, &dyn Fn()) + Sync) -> Result<Tally, Failure> {
    let processed: Vec<AtomicU32> = (0..OFFSETS).map(|_| AtomicU32::new(0)).collect();
    let (threads, deliveries) = (heat.threads as u64, AtomicU64::new(0));
    let work = |_: usize, bell: &Bell| {
        let mut last = 0;
        while !bell.rang() {
            // So many deliveries in a row are of one offset.
            let offset = deliveries.fetch_add(1, Ordering::Relaxed) / threads;
            if offset >= OFFSETS as u64 {
                break;
            }
            consume(offset, &|| _ = processed[offset as usize].fetch_add(1, Ordering::Relaxed));
            last = offset;
        }
        last
    };
    let shifts = work_for(heat.time, heat.threads, work)?;
    // The last offsets may not have come to all threads; each was delivered once at least.
    let end = shifts.iter().map(|shift| shift.result).max().unwrap_or(0) as usize;
    let mut tally = Tally::default();
    for times in &processed[..end.min(OFFSETS)] {
        tally.count(times.load(Ordering::Relaxed) != 1);
    }
    Ok(tally)
}
