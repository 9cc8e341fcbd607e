//! One operation on its way, and when it gives up.

use super::panic::Panicked;
use super::upkeep::RELIEFS;
use super::wait::Wait;
use super::{Engine, Local, Pin, Rules};
use crate::accounting::Reservation;
use crate::entry::EntryRef;
use crate::error::InsertErrorKind;
use crate::expiry::Terms;
use crate::outcome::RemovalCause;
use crate::policy::{Admission, ProbationDelta};

/// How often an operation tries in vain to free garbage before it gives up. A second time, as a
/// thread that stood in the way may have gone by then.
const VAIN_RELIEFS: usize = 2;

/// How often a closure that changes the cache itself is called again because what it decided on has changed.
const OWN_CHANGES: usize = 256;

/// One write on its way: the charge in its hand, and what the policy said of its key.
pub(super) struct Work<'e> {
    pub(super) local: &'e Local,
    pub(super) hand: Reservation<'e>,
    /// Room in the retired capacity that it has made by freeing garbage: nobody else shall take it first.
    pub(super) room: Reservation<'e>,
    /// How much it may spend of its credit with the retired capacity, without an exchange. Only if it is the only
    /// operation since the thread was pinned.
    pub(super) to_spend: Option<u64>,
    /// What it changes of probation's share.
    pub(super) delta: ProbationDelta<'e>,
    /// Where a new key starts; asked once for each operation.
    pub(super) admission: Option<Admission>,
    /// How the life of a value that was loaded differs from others'.
    pub(super) terms: Terms,
    /// Since when it waits for others, and whether it may.
    pub(super) wait: Option<Box<Wait>>,
    pub(super) patient: bool,
    /// Whether an attempt has found already that the operation goes on.
    pub(super) goes_on: bool,
    vain_reliefs: usize,
    /// How often it had garbage freed since it last got further, and how far it had got then.
    reliefs: usize,
    /// Whether it has freed something.
    pub(super) freed: bool,
    furthest: u64,
    /// Changes by this thread before the closure that decides was called, and how often there were more after it.
    changes: Option<u64>,
    own_changes: usize,
    /// Whether it was to replace an entry that is heavier than the whole retired capacity.
    pub(super) outsized: bool,
    /// Whether that entry went first.
    last_resort: bool,
    /// What the listener did when it was told of those that had to go.
    pub(super) panicked: Panicked,
}

/// What stood in the way of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Something changed: look again.
    Changed,
    /// Garbage has to be freed first, which needs the pin to be renewed.
    Garbage,
    /// Nothing was found to evict.
    NoRoom,
}

/// Who decides whether a value goes over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decided {
    /// The cache, by the operation.
    ByOperation,
    /// A closure of the user's, which may change the cache.
    ByClosure,
}

/// What an attempt came to.
pub(super) type Attempt<T> = Result<T, Obstacle>;
impl<K, V, S> Engine<K, V, S> {
    /// The work of an operation that has pinned the thread for itself alone.
    #[inline(always)]
    pub(super) fn work_of<'e>(&'e self, pin: &Pin<'e, K, V>) -> Work<'e> {
        let local = pin.local();
        self.work_that_spends(local, pin.is_alone().then(|| local.retired.allowance()))
    }

    #[inline(always)]
    pub(super) fn work<'e>(&'e self, local: &'e Local) -> Work<'e> {
        self.work_that_spends(local, None)
    }

    #[inline(always)]
    fn work_that_spends<'e>(&'e self, local: &'e Local, to_spend: Option<u64>) -> Work<'e> {
        let (hand, room) = (
            self.capacity.empty_reservation(&local.credit),
            self.retired.empty_reservation(&local.retired),
        );
        let terms = Terms::default();
        let (delta, admission) = (self.policy.probation_delta(&local.cursor), None);
        let panicked = Panicked::default();
        let (vain_reliefs, changes, own_changes) = (0, None, 0);
        let outsized = false;
        Work {
            local,
            hand,
            room,
            to_spend,
            delta,
            admission,
            terms,
            wait: None,
            patient: true,
            goes_on: false,
            vain_reliefs,
            reliefs: 0,
            freed: false,
            furthest: 0,
            changes,
            own_changes,
            outsized,
            last_resort: false,
            panicked,
        }
    }
}

impl Work<'_> {
    /// Tells the listener of an entry that left. A panic there goes on at the end of the operation.
    #[inline]
    pub(super) fn report<K, V>(
        &mut self,
        rules: &Rules<K, V>,
        entry: EntryRef<'_, K, V>,
        cause: RemovalCause,
    ) {
        if rules.listener.is_some() {
            self.panicked.call(|| rules.notify(entry.key(), entry.value(), cause));
        }
    }

    /// How often it has looked for others to go on since all of them had.
    pub(super) fn looks(&self) -> u32 {
        self.wait.as_ref().map_or(0, |wait| wait.looks_since_turn())
    }

    /// Whether garbage could be freed whenever the operation tried.
    pub(super) fn has_hope(&self) -> bool {
        self.vain_reliefs == 0
    }

    /// A closure is about to be called, or not.
    #[inline(always)]
    pub(super) fn asks(&mut self, decided: Decided) {
        if decided == Decided::ByClosure {
            self.changes = Some(self.local.tally.changes());
        }
    }

    /// Whether what a closure decided on has changed, and this thread has changed the cache meanwhile: in all
    /// likelihood the closure itself did it.
    fn was_changed_by_itself(&self) -> bool {
        self.changes.is_some_and(|changes| changes != self.local.tally.changes())
    }

    /// Whether it has freed as much as one operation may without getting further.
    pub(super) fn has_freed_enough(&self) -> bool {
        self.reliefs >= self.most_reliefs()
    }

    /// Why the operation has no more tries, if it has none.
    fn would_give_up(&self, obstacle: Obstacle) -> Option<InsertErrorKind> {
        let (ends, kind) = match obstacle {
            Obstacle::Changed => {
                let last = self.own_changes + 1 >= OWN_CHANGES;
                (last && self.was_changed_by_itself(), InsertErrorKind::Contended)
            }
            Obstacle::Garbage => {
                let ends = self.vain_reliefs >= VAIN_RELIEFS || self.has_freed_enough();
                (ends, InsertErrorKind::NoRoom)
            }
            Obstacle::NoRoom => (true, InsertErrorKind::NoRoom),
        };
        ends.then_some(kind)
    }

    /// The same, and counts the try.
    pub(super) fn gives_up(&mut self, obstacle: Obstacle) -> Option<InsertErrorKind> {
        let kind = self.would_give_up(obstacle);
        if obstacle == Obstacle::Changed && self.was_changed_by_itself() {
            self.own_changes += 1;
        }
        kind
    }

    /// Notes that garbage was to be freed, whether some was, and how far that gets it: what it held, and what is
    /// free of the retired capacity now.
    /// Destructors may retire as much as was freed, and other threads take it: only more than ever before
    /// counts as getting further.
    pub(super) fn note_relief(&mut self, freed: bool, free: u64) {
        let far = self.room.held().saturating_add(free);
        if far > self.furthest {
            (self.furthest, self.reliefs) = (far, 0);
        }
        self.reliefs += usize::from(freed);
        self.freed |= freed;
        self.vain_reliefs += usize::from(!freed);
    }

    /// There is more that may be freed now, as the old entry went first. What is left of the reliefs is for that,
    /// and they count however far they get it.
    pub(super) fn begin_last_resort(&mut self) {
        (self.vain_reliefs, self.last_resort, self.furthest) = (0, true, u64::MAX);
    }

    /// How many reliefs in a row may get it no further: where there is a last resort, half of them are for that.
    fn most_reliefs(&self) -> usize {
        let free_list = self.outsized && self.changes.is_none() && !self.last_resort;
        if free_list { RELIEFS / 2 } else { RELIEFS }
    }

    /// The charge in hand has become an entry's.
    pub(super) fn spend(&mut self, charge: u64) {
        let part = self.hand.split(charge).expect("room was made before the entry was linked");
        part.commit(charge);
    }
}
