//! The history checker: was there an order in which what the threads saw makes sense?
//!
//! Threads log what they did to a key, what came of it, and two stamps from one clock, taken before
//! and after. Every value is written at most once, so a read tells which write it has seen.
//!
//! Two checkers with different reach:
//!
//! - [`linearizable`] decides for a short history whether its events can be put in an order that
//!   respects the stamps and in which a register with one value would have answered the same
//!   (J. M. Wing and C. Gong, *Testing and verifying concurrent objects*, 1993).
//! - [`explain`] looks at histories of any length for a read that no such order can contain: from
//!   the future, overwritten before it began, or a miss without a removal.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// What was done, and what the answer was. Values are unique within the key's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// The value was put in, whatever was there.
    Put(u64),
    /// The value was to be put in if there was none.
    PutIfAbsent { value: u64, done: bool },
    /// The value was put in where `seen` was.
    Swap { seen: Option<u64>, value: u64 },
    /// What was there was removed.
    Take(Option<u64>),
    /// What was there was read.
    Read(Option<u64>),
}

use Action::{Put, PutIfAbsent, Read, Swap, Take};

/// An action, and when it took place: at some moment between the two stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) action: Action,
}

/// Whether entries may vanish by themselves, because the cache evicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misses {
    /// A miss must be explained by a removal.
    Count,
    /// A miss may come from an eviction.
    Free,
}

impl Action {
    /// What is there afterwards, if the action answers so where `state` is there; `None` if it
    /// would have answered something else.
    fn after(self, state: Option<u64>) -> Option<Option<u64>> {
        match self {
            Put(value) => Some(Some(value)),
            PutIfAbsent { value, done } => {
                (done == state.is_none()).then_some(if done { Some(value) } else { state })
            }
            Swap { seen, value } => (seen == state).then_some(Some(value)),
            Take(seen) => (seen == state).then_some(None),
            Read(seen) => (seen == state).then_some(state),
        }
    }

    /// The value that it wrote.
    fn wrote(self) -> Option<u64> {
        match self {
            Put(value) | Swap { value, .. } | PutIfAbsent { value, done: true } => Some(value),
            PutIfAbsent { done: false, .. } | Take(_) | Read(_) => None,
        }
    }

    /// Whether it ended the life of the value before.
    fn is_write(self) -> bool {
        matches!(self, Take(Some(_))) || self.wrote().is_some()
    }

    /// What it has seen, if it tells.
    fn saw(self) -> Option<Option<u64>> {
        match self {
            Read(seen) | Take(seen) | Swap { seen, .. } => Some(seen),
            PutIfAbsent { done: true, .. } => Some(None),
            PutIfAbsent { done: false, .. } | Put(_) => None,
        }
    }
}

/// Whether the events, at most 64 of one key that was absent at first, are linearizable.
pub(crate) fn linearizable(events: &[Event], misses: Misses) -> bool {
    assert!(events.len() <= 64, "a short history");
    Search { events, misses, seen: HashSet::new() }.from(0, None)
}

/// A depth-first search over what has taken effect so far, and what is there then.
struct Search<'a> {
    events: &'a [Event],
    misses: Misses,
    seen: HashSet<(u64, Option<u64>)>,
}

impl Search<'_> {
    fn from(&mut self, done: u64, state: Option<u64>) -> bool {
        if done.count_ones() as usize == self.events.len() {
            return true;
        }
        if !self.seen.insert((done, state)) {
            return false;
        }
        let open = |nth: &usize| done & (1 << nth) == 0;
        let ends = (0..self.events.len()).filter(open).map(|nth| self.events[nth].end);
        let first_end = ends.min().expect("something is left to do");
        let next: Vec<usize> = (0..self.events.len())
            .filter(open)
            .filter(|&nth| self.events[nth].start < first_end)
            .collect();
        let lost = self.misses == Misses::Free && state.is_some() && self.from(done, None);
        lost || next.into_iter().any(|nth| match self.events[nth].action.after(state) {
            Some(after) => self.from(done | 1 << nth, after),
            None => false,
        })
    }
}

/// What is impossible in the events of one key, if anything is.
pub(crate) fn explain(events: &[Event], misses: Misses) -> Option<String> {
    let writes = Writes::of(events);
    events.iter().find_map(|event| match event.action.saw()? {
        Some(value) => writes.explain_hit(event, value),
        None if misses == Misses::Count => writes.explain_miss(event),
        None => None,
    })
}

/// The writes of a history, in the orders in which they are asked for.
struct Writes {
    by_value: HashMap<u64, Event>,
    /// Writes by their ends, with the latest start up to there.
    ended: Vec<(u64, u64)>,
    /// The same, of those that brought a value.
    brought: Vec<(u64, u64)>,
    /// Removals by their starts, with the latest end up to there.
    removed: Vec<(u64, u64)>,
}

/// Sorts pairs by their first part and replaces the second by the largest so far.
fn running_latest(mut pairs: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    pairs.sort_unstable();
    let mut latest = 0;
    for pair in &mut pairs {
        latest = pair.1.max(latest);
        pair.1 = latest;
    }
    pairs
}

/// The latest of the pairs whose first part is below `limit`.
fn latest_before(pairs: &[(u64, u64)], limit: u64) -> Option<u64> {
    let count = pairs.partition_point(|pair| pair.0 < limit);
    count.checked_sub(1).map(|last| pairs[last].1)
}

impl Writes {
    fn of(events: &[Event]) -> Self {
        let wrote = |event: &Event| event.action.wrote().map(|value| (value, *event));
        let ends = |event: &Event| (event.end, event.start);
        let writes = events.iter().filter(|event| event.action.is_write());
        let brings = events.iter().filter(|event| event.action.wrote().is_some());
        let removals = events.iter().filter(|event| matches!(event.action, Take(Some(_))));
        Self {
            by_value: events.iter().filter_map(wrote).collect(),
            ended: running_latest(writes.map(ends).collect()),
            brought: running_latest(brings.map(ends).collect()),
            removed: running_latest(removals.map(|event| (event.start, event.end)).collect()),
        }
    }

    fn explain_hit(&self, read: &Event, value: u64) -> Option<String> {
        let Some(write) = self.by_value.get(&value) else {
            return Some(format!("{read:?} saw a value that nobody wrote"));
        };
        if write.start > read.end {
            return Some(format!("{read:?} saw the future: {write:?}"));
        }
        let overwritten = latest_before(&self.ended, read.start)?;
        (overwritten > write.end)
            .then(|| format!("{read:?} saw {write:?}, overwritten by what began at {overwritten}"))
    }

    /// The latest value that was surely there before the miss began must have been removed.
    fn explain_miss(&self, miss: &Event) -> Option<String> {
        let brought = latest_before(&self.brought, miss.start)?;
        let removed = latest_before(&self.removed, miss.end).is_some_and(|end| end > brought);
        (!removed).then(|| format!("{miss:?} missed what was put in at {brought} or later"))
    }
}

/// The clock that all threads of a test stamp their events with.
#[derive(Debug, Default)]
pub(crate) struct Stamps(AtomicU64);

impl Stamps {
    /// Runs an operation, which returns what is to be logged of it.
    pub(crate) fn record(&self, operation: impl FnOnce() -> Action) -> Event {
        let start = self.0.fetch_add(1, Ordering::SeqCst);
        let action = operation();
        let end = self.0.fetch_add(1, Ordering::SeqCst);
        Event { start, end, action }
    }
}
