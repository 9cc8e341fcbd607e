//! The offset race: two consumers find an offset new, and both process it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Contest, Form, Heat, Race, Steps, Tally, step};
use crate::failure::Failure;
use crate::words::{unusable, words};

/// Offsets that are there before the race ends, at most.
const OFFSETS: usize = 1 << 20;

pub(super) fn run(heat: Heat, form: Form) -> Result<Race, Failure> {
    Ok(Race {
        name: "offsets",
        form,
        story: "a message was processed twice, or never",
        cost: "each is an order that was executed again, or a payment that was booked again",
        naive: naive(&Contest::of_locks(heat, form))?,
        clockhand: clockhand(&Contest::of_clockhand(heat, form))?,
    })
}

/// Is it new? Then process it, and remember it.
#[allow(clippy::map_entry, reason = "two steps instead of one are what is shown")]
fn naive(contest: &Contest) -> Result<Tally, Failure> {
    let seen: Steps<()> = HashMap::new().into();
    race(contest, async |offset, process: &dyn Fn()| {
        if !step(&seen).contains_key(&offset) {
            contest.elsewhere().await;
            process();
            step(&seen).insert(offset, ());
        }
    })
}

fn clockhand(contest: &Contest) -> Result<Tally, Failure> {
    let seen = words(OFFSETS as u64).build().map_err(unusable)?;
    race(contest, async |offset, process: &dyn Fn()| {
        if seen.insert_if_absent(offset, 1).is_ok() {
            contest.elsewhere().await;
            process();
        }
    })
}

/// Every contestant is delivered every offset, all at about the same time.
fn race(contest: &Contest, consume: impl AsyncFn(u64, &dyn Fn()) + Sync) -> Result<Tally, Failure> {
    let processed: Vec<AtomicU32> = (0..OFFSETS).map(|_| AtomicU32::new(0)).collect();
    let (contestants, deliveries) = (contest.contestants() as u64, AtomicU64::new(0));
    let contestant = async |_: usize| {
        let mut last = None;
        while contest.goes_on() {
            // So many deliveries in a row are of one offset.
            let offset = deliveries.fetch_add(1, Ordering::Relaxed) / contestants;
            let Some(times) = processed.get(offset as usize) else { break };
            let process = || contest.saw(times.fetch_add(1, Ordering::Relaxed) > 0);
            consume(offset, &process).await;
            last = Some(offset as usize);
        }
        last
    };
    // The last one may not have come to all contestants, but came to one at least.
    let end = contest.run(contestant)?.into_iter().flatten().max().map_or(0, |last| last + 1);
    let mut tally = Tally::default();
    for times in &processed[..end] {
        tally.operations += 1;
        tally.violations += u64::from(times.load(Ordering::Relaxed) != 1);
    }
    Ok(tally)
}
