//! Writes of single keys.

use clockhand::{Compute, Computed, InsertError, InsertErrorKind, Inserted, RemovalCause};

use super::Bytes;
use super::model::Record;
use super::parts::{Event, Key, Value};
use super::world::World;

/// The ways to insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Insert,
    TryInsert,
    InsertIfAbsent,
}

/// What became of a value that was to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    New,
    Replaced,
    Refused(InsertErrorKind),
}

/// A write on its way.
#[derive(Debug, Clone, Copy)]
struct Write {
    key: u8,
    id: u64,
    charge: u64,
    /// The charge before, and whether an eviction can be judged by it.
    charged: u64,
    free: bool,
}

const WEIGHTS: [u64; 12] = [1, 2, 3, 5, 8, 13, 0, 21, 40, 64, 101, u64::MAX];

impl World {
    /// Inserts in one of three ways.
    pub(crate) fn put(&mut self, bytes: &mut Bytes<'_>) {
        let way = bytes.one_of(&[Way::Insert, Way::TryInsert, Way::InsertIfAbsent]);
        let key = self.key(bytes);
        let value = self.value(if self.plan.weighed { bytes.one_of(&WEIGHTS) } else { 1 });
        let write = self.write(key, &value);
        let before = self.model.live(key);
        let told = match way {
            Way::Insert => {
                self.subject.insert(Key::new(key), value);
                None
            }
            Way::TryInsert => Some(self.subject.try_insert(Key::new(key), value)),
            Way::InsertIfAbsent => {
                let told = self.subject.insert_if_absent(Key::new(key), value);
                Some(told.map(|()| Inserted::New))
            }
        };
        if matches!(&told, Some(Err(error)) if error.kind == InsertErrorKind::Occupied) {
            self.model.touch(key);
        }
        let (early, late) = self.events(write.id);
        let replaced = self.absorb(write, &early, way == Way::Insert);
        let outcome = match told {
            Some(told) => outcome(write, told),
            None => self.infer(write, &early, replaced),
        };
        match outcome {
            Outcome::Refused(InsertErrorKind::Occupied) => {
                assert_eq!(way, Way::InsertIfAbsent);
                assert!(before.is_some(), "occupied by nothing");
            }
            Outcome::Refused(kind) => {
                assert!(
                    way != Way::InsertIfAbsent || before.is_none() || was_evicted(write, &early)
                );
                self.refused(write, kind);
            }
            Outcome::New | Outcome::Replaced => {
                assert!(way != Way::InsertIfAbsent || replaced.is_none());
                self.came_in(write, outcome, replaced);
            }
        }
        self.absorb_late(&late);
    }

    /// Computes: what was there is handed over, and what comes back is what happens.
    pub(crate) fn compute(&mut self, bytes: &mut Bytes<'_>) {
        let (key, wish) = (self.key(bytes), bytes.byte());
        let weight = if self.plan.weighed { bytes.one_of(&WEIGHTS) } else { 1 };
        let before = self.model.live(key);
        let (mut asked, mut write) = (0, None);
        let subject = self.subject.clone();
        let computed = subject.compute(Key::new(key), |value| {
            asked += 1;
            let wanted = before.map(|record| record.id);
            assert!(asked > 1 || value.map(Value::id) == wanted, "computed from another value");
            match wish % 8 {
                0 => Compute::Keep,
                1 => Compute::Remove,
                2 if value.is_none() => Compute::Keep,
                3 if value.is_some() => Compute::Keep,
                _ => {
                    let value = self.value(weight);
                    write = Some(self.write(key, &value));
                    Compute::Put(value)
                }
            }
        });
        match (computed, write) {
            (Computed::Absent, None) => {
                assert!(before.is_none());
                self.absorb_expired();
            }
            (Computed::Kept, None) => {
                assert!(before.is_some());
                self.model.touch(key);
                self.absorb_expired();
            }
            (Computed::Removed, None) => {
                assert!(before.is_some());
                self.absorb_one(before.map(|record| (key, record.id)));
            }
            (computed, Some(write)) => self.computed(write, computed),
            (computed, None) => panic!("{computed:?} of nothing"),
        }
    }

    /// A value that `compute` was given.
    fn computed(&mut self, write: Write, computed: Computed<Value>) {
        // What a closure decided on cannot go first; and what is larger than the retired capacity goes nowhere else.
        let free = write.free && self.can_be_borne(write.key);
        let (early, late) = self.events(write.id);
        let replaced = self.absorb(write, &early, false);
        match computed {
            Computed::Inserted => self.came_in(write, Outcome::New, replaced),
            Computed::Replaced => self.came_in(write, Outcome::Replaced, replaced),
            Computed::Refused { kind, value } => {
                assert_eq!(value.id(), write.id);
                self.refused(Write { free, ..write }, kind);
            }
            Computed::Absent => {
                // The first attempt was to put a value, and made room by evicting its own key; the
                // second found nothing and kept that.
                assert!(was_evicted(write, &early), "{write:?} was given up");
                assert!(!self.model.entries.contains_key(&write.key));
            }
            other => panic!("{other:?} although a value was given"),
        }
        self.absorb_late(&late);
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, bytes: &mut Bytes<'_>) {
        let key = self.key(bytes);
        let wanted = self.model.live(key).map(|record| record.id);
        assert_eq!(self.subject.remove(&key).map(|value| value.id()), wanted, "remove {key}");
        self.absorb_one(wanted.map(|id| (key, id)));
        assert!(!self.model.entries.contains_key(&key));
    }

    /// Removes a key; whether it was there.
    pub(crate) fn invalidate(&mut self, bytes: &mut Bytes<'_>) {
        let key = self.key(bytes);
        let wanted = self.model.live(key).map(|record| record.id);
        assert_eq!(self.subject.invalidate(&key), wanted.is_some(), "invalidate {key}");
        self.absorb_one(wanted.map(|id| (key, id)));
        assert!(!self.model.entries.contains_key(&key));
    }

    /// Removes a key under a condition.
    pub(crate) fn remove_if(&mut self, bytes: &mut Bytes<'_>) {
        let (key, agreed) = (self.key(bytes), bytes.byte() & 1 == 1);
        let wanted = self.model.live(key).map(|record| record.id);
        let mut asked = None;
        let removed = self.subject.remove_if(&key, |value| {
            assert!(asked.is_none(), "asked again about {key}");
            asked = Some(value.id());
            agreed
        });
        assert_eq!(asked, wanted, "asked about {key}");
        assert_eq!(removed, agreed && wanted.is_some());
        self.absorb_one(wanted.filter(|_| agreed).map(|id| (key, id)));
    }

    fn write(&self, key: u8, value: &Value) -> Write {
        Write {
            key,
            id: value.id(),
            charge: self.model.weigh(value.weight()),
            charged: self.model.charge(),
            free: self.is_free(),
        }
    }

    /// Whether the retired capacity has a place for the value of a key, if there is one.
    fn can_be_borne(&self, key: u8) -> bool {
        let bound = self.subject.usage().retired_capacity;
        self.model.entries.get(&key).is_none_or(|older| older.charge.max(1) <= bound)
    }

    /// What the listener was told: before the value `id` came in, and of that value afterwards.
    fn events(&self, id: u64) -> (Vec<Event>, Vec<Event>) {
        let is_early = |event: &Event| event.id != id || event.cause == RemovalCause::Refused;
        self.log.take().into_iter().partition(is_early)
    }

    /// Takes in what happened before a value came in or was refused; the entry that was replaced.
    fn absorb(&mut self, write: Write, early: &[Event], may_tell: bool) -> Option<Record> {
        let (mut replaced, mut refused) = (None, false);
        let mut charged = u128::from(write.charged);
        for &event in early {
            assert!(!refused, "{event:?} after the refusal");
            if event.cause == RemovalCause::Refused {
                assert!(may_tell && (event.key, event.id) == (write.key, write.id), "{event:?}");
                refused = true;
                continue;
            }
            // The last resort of a replacement: an older value that garbage has no place for goes first.
            let last_resort = event.key == write.key && !self.can_be_borne(event.key);
            if event.cause == RemovalCause::Evicted && write.free && !last_resort {
                let needed = charged + u128::from(write.charge);
                assert!(needed > u128::from(self.model.capacity), "{event:?} was not in the way");
            }
            let record = self.model.leave(event);
            charged -= u128::from(record.charge);
            match event.cause {
                RemovalCause::Replaced => {
                    assert_eq!(event.key, write.key, "{event:?}");
                    assert!(replaced.replace(record).is_none(), "replaced twice");
                }
                RemovalCause::Invalidated => {
                    assert!(may_tell && event.key == write.key, "{event:?}");
                    assert_eq!(early.last().map(|e| e.cause), Some(RemovalCause::Refused));
                }
                _ => {}
            }
        }
        replaced
    }

    /// What an `insert` did, which tells nobody but the listener.
    fn infer(&self, write: Write, early: &[Event], replaced: Option<Record>) -> Outcome {
        if early.last().is_some_and(|event| event.cause == RemovalCause::Refused) {
            assert!(!self.model.entries.contains_key(&write.key), "an older value stayed");
            let (charge, capacity) = (write.charge, self.model.heaviest());
            let kind = if self.model.is_too_large(charge) {
                InsertErrorKind::TooLarge { charge, capacity }
            } else {
                InsertErrorKind::NoRoom
            };
            return Outcome::Refused(kind);
        }
        if replaced.is_some() { Outcome::Replaced } else { Outcome::New }
    }

    fn came_in(&mut self, write: Write, outcome: Outcome, replaced: Option<Record>) {
        assert!(!self.model.is_too_large(write.charge), "{write:?} came in");
        assert_eq!(outcome == Outcome::Replaced, replaced.is_some(), "{write:?}, {outcome:?}");
        assert!(!self.model.entries.contains_key(&write.key), "an older value stayed");
        self.model.insert(write.key, write.id, write.charge, replaced);
    }

    fn refused(&mut self, write: Write, kind: InsertErrorKind) {
        self.model.stats.refusals += 1;
        match kind {
            InsertErrorKind::TooLarge { charge, capacity } => {
                assert_eq!((charge, capacity), (write.charge, self.model.heaviest()));
                assert!(self.model.is_too_large(charge));
            }
            InsertErrorKind::NoRoom => {
                assert!(!self.model.is_too_large(write.charge));
                // What is freed lowers a bound that was to be lower, before a write can use it.
                let has_room = write.free && !self.unpaid;
                assert!(!has_room, "no room for {write:?} although nobody reads");
            }
            kind => panic!("{kind:?}"),
        }
    }

    /// A value that was over as soon as it had come in.
    fn absorb_late(&mut self, late: &[Event]) {
        for &event in late {
            assert_eq!(event.cause, RemovalCause::Expired, "{event:?}");
            self.model.leave(event);
        }
    }

    /// Takes in that one value was removed by a call, and that others expired.
    fn absorb_one(&mut self, removed: Option<(u8, u64)>) {
        let mut told = None;
        for event in self.log.take() {
            if event.cause == RemovalCause::Invalidated {
                assert!(told.replace((event.key, event.id)).is_none(), "{event:?} as well");
            } else {
                assert_eq!(event.cause, RemovalCause::Expired, "{event:?}");
            }
            self.model.leave(event);
        }
        assert_eq!(told, removed);
    }
}

/// What the caller was told, once it is clear that a refusal gave everything back.
fn outcome(write: Write, told: Result<Inserted, InsertError<Key, Value>>) -> Outcome {
    match told {
        Ok(Inserted::New) => Outcome::New,
        Ok(Inserted::Replaced) => Outcome::Replaced,
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!((error.key.number(), error.value.id()), (write.key, write.id));
            Outcome::Refused(error.kind)
        }
    }
}

fn was_evicted(write: Write, early: &[Event]) -> bool {
    early.iter().any(|event| event.key == write.key && event.cause != RemovalCause::Refused)
}
