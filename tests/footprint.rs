//! What an entry takes, all told: table, policy and the entry itself.
//!
//! Alone in its file and in one test, as it counts what the whole process allocates.

mod support;

use std::time::Duration;

use clockhand::{Builder, Cache, ENTRY_OVERHEAD};
use support::heap;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const ENTRIES: u64 = 1_000_000;

/// Bytes that were asked of the allocator for each entry, when this was reached, rounded up. What the
/// allocator adds is its own; the lab measures that too.
const REACHED: f64 = 63.0;

/// What a key and a value take here.
const OWN: f64 = 16.0;

#[test]
fn an_entry_takes_as_little_as_it_did_and_as_weighers_are_told() {
    let before = heap::live();
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let cache = Cache::builder().capacity(ENTRIES).hasher(hasher).build().expect("sound");
    (0..ENTRIES).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.usage().entries as u64, ENTRIES);
    let each = (heap::live() - before) as f64 / ENTRIES as f64;
    assert!(each <= REACHED, "{each} bytes an entry, once {REACHED}");
    drop(cache);

    let hour = Duration::from_secs(3600);
    what_weighers_add(0, |builder| builder);
    what_weighers_add(0, |builder| builder.time_to_live(hour));
    what_weighers_add(0, |builder| builder.time_to_idle(hour));
    // What a cost takes is told where it is set.
    what_weighers_add(8, |builder| builder.cost(|_, _| 1));
    what_weighers_add(8, |builder| builder.cost(|_, _| 1).time_to_idle(hour));
}

/// A weigher that adds `ENTRY_OVERHEAD`, and `more` where the settings ask for it, never counts less than what is used,
/// and in no settings twice as much, from a table that has doubled to one that is about to.
fn what_weighers_add(more: u64, settings: impl Fn(Builder<u64, u64>) -> Builder<u64, u64>) {
    let before = heap::live();
    let builder = Cache::builder().capacity(u64::MAX >> 1).weigher(|_: &u64, _: &u64| 1);
    let cache = settings(builder).build().expect("sound");
    let (mut least, mut most) = (f64::MAX, 0.0_f64);
    for entries in (180_000..=310_000).step_by(10_000) {
        for key in cache.len() as u64..entries {
            cache.insert(key, key);
        }
        // So that there is a memory of what was removed.
        cache.insert(u64::MAX, 0);
        cache.invalidate(&u64::MAX);
        while cache.maintain(1000).backlog > 0 {}
        let each = (heap::live() - before) as f64 / cache.len() as f64;
        (least, most) = (least.min(each), most.max(each));
    }
    let told = OWN + (ENTRY_OVERHEAD + more) as f64;
    assert!(most <= told && least >= told * 0.52, "{least} to {most} bytes, told {told}");
}
