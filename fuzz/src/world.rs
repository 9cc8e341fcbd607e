//! The cache, its model, and what must hold after each operation.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use clockhand::{Cache, ManualClock, Reader};

use super::Bytes;
use super::model::{Counts, Model};
use super::parts::{Hash8, Key, Log, Subject, Value};
use super::plan::Plan;

/// Operations on one cache; more are not worth the time.
const MOST: usize = 500;
/// Guards and walks that are open at a time.
const DEEPEST: usize = 3;

/// A cache beside its model.
#[derive(Debug)]
pub struct World {
    pub(crate) subject: Subject,
    /// A second handle, while there is one.
    pub(crate) twin: Option<Subject>,
    /// A reader, and whether it is pinned.
    pub(crate) reader: Option<Reader<Key, Value, Hash8>>,
    pub(crate) reader_pinned: bool,
    /// Another cache on the same thread.
    pub(crate) other: Option<Cache<u8, u64>>,
    pub(crate) manual: ManualClock,
    pub(crate) model: Model,
    pub(crate) plan: Plan,
    pub(crate) log: Arc<Log>,
    /// Guards and borrows of the reader that are open.
    pub(crate) guards: usize,
    pub(crate) walks: Vec<Walk>,
    /// The capacity was set while a guard was held, and has not been seen in force since.
    pub(crate) unpaid: bool,
    alive: Arc<AtomicUsize>,
    ids: u64,
    done: usize,
}

/// A walk over all entries that is under way.
#[derive(Debug)]
pub(crate) struct Walk {
    /// What was there at some time since it began, and what was there all the time.
    pub(crate) ever: BTreeSet<(u8, u64)>,
    pub(crate) throughout: BTreeSet<(u8, u64)>,
}

impl World {
    /// A cache by plan, unless the plan contradicts itself.
    pub fn build(plan: Plan) -> Option<Self> {
        let log = Arc::new(Log::default());
        let (subject, manual) = plan.build(&log)?;
        *log.subject.lock().unwrap_or_else(PoisonError::into_inner) = Some(subject.clone());
        Some(Self {
            subject,
            twin: None,
            reader: None,
            reader_pinned: false,
            other: None,
            manual,
            model: Model::new(plan),
            plan,
            log,
            guards: 0,
            walks: Vec::new(),
            unpaid: false,
            alive: Arc::default(),
            ids: 0,
            done: 0,
        })
    }

    /// Does what the bytes say, and drops the cache in the end.
    pub fn play(mut self, bytes: &mut Bytes<'_>) {
        while !bytes.is_empty() && self.done < MOST {
            self.step(bytes);
        }
        self.reader = None;
        self.reader_pinned = false;
        self.check();
        self.scan();
        self.end();
    }

    /// One operation.
    pub(crate) fn step(&mut self, bytes: &mut Bytes<'_>) {
        self.done += 1;
        let code = bytes.byte();
        if code & 0x80 != 0
            && let Some(twin) = self.twin.take()
        {
            // The handles are alike: whatever one has done, the other one sees.
            self.twin = Some(std::mem::replace(&mut self.subject, twin));
        }
        let deep = self.guards + self.walks.len() >= DEEPEST;
        match code & 0x1f {
            0..=6 => self.put(bytes),
            7 | 8 => self.compute(bytes),
            9 | 10 => self.get(bytes),
            11 | 12 => self.look(bytes),
            13 => self.remove(bytes),
            14 => self.invalidate(bytes),
            15 => self.remove_if(bytes),
            16 => self.retain(bytes),
            17 => self.invalidate_all(),
            18 => self.set_capacity(bytes),
            19 => self.maintain(bytes),
            20 => self.remove_expired(),
            21 | 22 => self.advance(bytes),
            23 => self.scan(),
            24 if !deep => self.pin(bytes),
            25 if !deep => self.walk(bytes),
            26 => self.renew_reader(),
            27 if !deep => self.read_with_reader(bytes),
            28 => self.park(),
            29 => self.twin = self.twin.take().map_or_else(|| Some(self.subject.clone()), |_| None),
            30 => self.elsewhere(bytes),
            _ => self.describe(),
        }
        self.check();
    }

    pub(crate) fn key(&self, bytes: &mut Bytes<'_>) -> u8 {
        bytes.byte() % self.plan.keys
    }

    /// A value that is like no other.
    pub(crate) fn value(&mut self, weight: u64) -> Value {
        self.ids += 1;
        Value::new(self.ids, weight, &self.alive)
    }

    /// Whether nothing keeps retired entries from being freed.
    pub(crate) fn is_free(&self) -> bool {
        self.guards == 0 && !self.reader_pinned
    }

    /// What must hold between two operations.
    pub(crate) fn check(&mut self) {
        assert_eq!(self.log.take(), [], "nobody expected this");
        let cache = &self.subject;
        if self.is_free() {
            #[cfg(any(fuzzing, clockhand_fuzz))]
            cache.validate();
            assert_eq!(cache.reclamation_lag(), 0);
        }
        assert_eq!(Counts::from(cache.stats()), self.model.stats);
        assert_eq!(cache.len(), self.model.entries.len());
        assert_eq!(cache.is_empty(), self.model.entries.is_empty());
        assert_eq!(cache.capacity(), self.model.capacity);
        let (usage, charge) = (cache.usage(), self.model.charge());
        assert_eq!(usage.entries, self.model.entries.len());
        assert!(charge <= usage.charged && usage.charged <= usage.capacity, "{usage:?}, {charge}");
        assert!(usage.retired <= usage.retired_capacity, "{usage:?}");
        if self.is_free() {
            assert_eq!((usage.charged, usage.retired), (charge, 0), "{usage:?}");
            // What nobody uses has paid the debt. What is left of it, the entries stand for.
            let bound =
                if self.unpaid { charge.max(self.model.capacity) } else { self.model.capacity };
            assert_eq!(usage.capacity, bound, "{usage:?}");
            self.unpaid = bound != self.model.capacity;
        } else {
            assert!(usage.capacity >= self.model.capacity, "{usage:?}");
        }
        let contents = self.model.contents();
        for walk in &mut self.walks {
            let now: BTreeSet<_> = contents.iter().copied().collect();
            walk.throughout.retain(|entry| now.contains(entry));
            walk.ever.extend(now);
        }
    }

    /// Drops the cache: nothing is reported, and nothing stays.
    fn end(self) {
        let Self { subject, twin, log, alive, .. } = self;
        *log.subject.lock().unwrap_or_else(PoisonError::into_inner) = None;
        drop((subject, twin));
        assert_eq!(log.take(), [], "dropping the cache reports nothing");
        assert_eq!(alive.load(Ordering::Relaxed), 0, "values that were not dropped");
    }
}
