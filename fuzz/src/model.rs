//! What the cache must contain.

use std::collections::BTreeMap;
use std::time::Duration;

use clockhand::{RemovalCause, Stats};

use super::parts::Event;
use super::plan::Plan;

/// An entry that never expires has this deadline.
const NEVER: u64 = u64::MAX;

/// An entry as it must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) charge: u64,
    /// Deadlines by the time to live, the user's expiry, and the time to idle.
    live: u64,
    own: u64,
    idle: u64,
}

impl Record {
    fn is_live(&self, now: u64) -> bool {
        self.live.min(self.own).min(self.idle) > now
    }
}

/// The contents, the time, and the counts.
#[derive(Debug)]
pub(crate) struct Model {
    plan: Plan,
    pub(crate) entries: BTreeMap<u8, Record>,
    pub(crate) now: u64,
    pub(crate) capacity: u64,
    /// Hits, misses and so on; compared after each operation.
    pub(crate) stats: Counts,
}

/// The same as [`Stats`], which cannot be made outside its crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) insertions: u64,
    pub(crate) replacements: u64,
    pub(crate) evictions: u64,
    pub(crate) expirations: u64,
    pub(crate) invalidations: u64,
    pub(crate) refusals: u64,
}

impl From<Stats> for Counts {
    fn from(stats: Stats) -> Self {
        Self {
            hits: stats.hits,
            misses: stats.misses,
            insertions: stats.insertions,
            replacements: stats.replacements,
            evictions: stats.evictions,
            expirations: stats.expirations,
            invalidations: stats.invalidations,
            refusals: stats.refusals,
        }
    }
}

fn after(now: u64, duration: Option<Duration>) -> u64 {
    let Some(duration) = duration else { return NEVER };
    now.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(NEVER))
}

impl Model {
    pub(crate) fn new(plan: Plan) -> Self {
        let (entries, stats) = (BTreeMap::new(), Counts::default());
        Self { plan, entries, now: 0, capacity: plan.capacity, stats }
    }

    pub(crate) fn advance(&mut self, step: Duration) {
        // Clocks go so far: a deadline has one bit of its word for a mark.
        self.now = after(self.now, Some(step)).min((1 << 63) - 2);
    }

    /// The live entry of a key.
    pub(crate) fn live(&self, key: u8) -> Option<Record> {
        self.entries.get(&key).copied().filter(|record| record.is_live(self.now))
    }

    /// The live entries.
    pub(crate) fn contents(&self) -> Vec<(u8, u64)> {
        let live = self.entries.iter().filter(|(_, record)| record.is_live(self.now));
        live.map(|(&key, record)| (key, record.id)).collect()
    }

    /// The sum of the charges.
    pub(crate) fn charge(&self) -> u64 {
        self.entries.values().map(|record| record.charge).sum()
    }

    pub(crate) fn weigh(&self, weight: u64) -> u64 {
        if self.plan.weighed { weight } else { 1 }
    }

    /// What an entry may weigh at most.
    pub(crate) fn heaviest(&self) -> u64 {
        self.capacity.min((1 << 63) - 1)
    }

    /// Whether such a charge can never come in.
    pub(crate) fn is_too_large(&self, charge: u64) -> bool {
        charge > self.heaviest() || self.capacity == 0
    }

    /// A read that counts: what it must return.
    pub(crate) fn read(&mut self, key: u8) -> Option<u64> {
        let found = self.touch(key);
        match found {
            Some(_) => self.stats.hits += 1,
            None => self.stats.misses += 1,
        }
        found
    }

    /// A use: a read, or a write that leaves what it finds. Moves the deadlines of the live entry of a key.
    pub(crate) fn touch(&mut self, key: u8) -> Option<u64> {
        let now = self.now;
        let record = self.entries.get_mut(&key).filter(|record| record.is_live(now))?;
        if self.plan.time_to_idle.is_some() {
            record.idle = after(now, self.plan.time_to_idle);
        }
        if let Some(wishes) = self.plan.wishes {
            let left = left(record, now);
            let wanted = wishes.read.of(left);
            if wanted != left {
                record.own = after(now, wanted);
            }
        }
        Some(record.id)
    }

    /// A value that came in, for a key that was not there or was just reported.
    pub(crate) fn insert(&mut self, key: u8, id: u64, charge: u64, old: Option<Record>) {
        let wanted = self.plan.wishes.and_then(|wishes| match &old {
            Some(old) => wishes.update.of(until(old.own, self.now)),
            None => wishes.create.of(None),
        });
        let record = Record {
            id,
            charge,
            live: after(self.now, self.plan.time_to_live),
            own: after(self.now, wanted),
            idle: after(self.now, self.plan.time_to_idle),
        };
        self.entries.insert(key, record);
        match old {
            Some(_) => self.stats.replacements += 1,
            None => self.stats.insertions += 1,
        }
    }

    /// An entry that the listener was told of: it was there, and the cause is right.
    pub(crate) fn leave(&mut self, event: Event) -> Record {
        let Some(record) = self.entries.remove(&event.key) else {
            panic!("{event:?} was not there");
        };
        assert_eq!(record.id, event.id, "{event:?} was not the value");
        let live = record.is_live(self.now);
        match event.cause {
            RemovalCause::Evicted => self.stats.evictions += 1,
            RemovalCause::Expired => self.stats.expirations += 1,
            RemovalCause::Invalidated => self.stats.invalidations += 1,
            RemovalCause::Replaced => {}
            _ => panic!("{event:?} for an entry that was in"),
        }
        assert_eq!(live, event.cause != RemovalCause::Expired, "the cause of {event:?}");
        record
    }
}

/// What an entry has left by the time to live and the user's expiry.
fn left(record: &Record, now: u64) -> Option<Duration> {
    until(record.live.min(record.own), now)
}

/// What is left until a deadline.
fn until(deadline: u64, now: u64) -> Option<Duration> {
    (deadline != NEVER).then(|| Duration::from_nanos(deadline.saturating_sub(now)))
}
