//! One operation on its way, and when it gives up.

use super::panic::Panicked;
use super::upkeep::MAX_RECLAIMS;
use super::wait::Wait;
use super::{Engine, Local, Pin, Rules};
use crate::accounting::Reservation;
use crate::entry::EntryRef;
use crate::error::InsertErrorKind;
use crate::expiry::LifetimeOverride;
use crate::outcome::RemovalCause;
use crate::policy::{Admission, ProbationDelta};
use crate::slot_meta::SlotMeta;

/// How often an operation tries in vain to free garbage before it gives up. A second time, as a
/// thread that stood in the way may have gone by then.
const MAX_FAILED_RECLAIMS: usize = 2;

/// Attempts for which an operation that waits keeps the victims that it has found: some tens of milliseconds.
pub(super) const MAX_KEPT: u32 = 1 << 10;

/// How often a closure that changes the cache itself is called again because what it decided on has changed.
const MAX_OWN_CHANGES: usize = 256;

/// One write on its way: the charge in its hand, and what the policy said of its key.
pub(super) struct WriteOp<'e> {
    pub(super) local: &'e Local,
    pub(super) reservation: Reservation<'e>,
    /// Room in the retired capacity that it has made by freeing garbage: no other thread shall take it first.
    pub(super) room: Reservation<'e>,
    /// What it changes of probation's share.
    pub(super) delta: ProbationDelta<'e>,
    /// Where a new key starts; asked once for each operation.
    pub(super) admission: Option<Admission>,
    /// Whether its value is one that a prediction has loaded, and no thread has asked for.
    pub(super) predicted: bool,
    /// Whether no thread asks for its key now: it renews a value.
    pub(super) renews: bool,
    /// Whether no protected entry makes room for it.
    pub(super) spares_protected: bool,
    /// How the life of a value that was loaded differs from others'.
    pub(super) lifetime_override: LifetimeOverride,
    /// Whether it may wait for others.
    pub(super) patient: bool,
    pub(super) attempts: Attempts,
    /// The victim for which it waits.
    pub(super) kept: Victim,
    /// What the listener did when it was told of those that had to go.
    pub(super) panicked: Panicked,
}

/// What became of the attempts of an operation so far. All zero at first, so that it costs next to nothing to begin one.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Since when it waits for others.
    pub(super) wait: Option<Box<Wait>>,
    /// Changes by this thread before the closure that decides was called, and how often there were more after it.
    changes: Option<u64>,
    own_changes: usize,
    /// How often it had garbage freed since it last got further, and how far it had got then.
    reclaims: usize,
    furthest: u64,
    failed_reclaims: usize,
    /// Whether it has freed something.
    pub(super) freed: bool,
    /// Whether the entry was on trial, and is worth its room.
    pub(super) admitted: bool,
    /// Whether an attempt has found already that the operation goes on.
    pub(super) goes_on: bool,
    /// Whether it was to replace an entry that is heavier than the whole retired capacity.
    pub(super) outsized: bool,
    /// Whether that entry went first.
    last_resort: bool,
}

/// A victim that stays until the retired capacity has room for it. The thread's hand is before it meanwhile. Or those
/// who wait for room would pass by one entry after the other, each of which would then stay for a round.
#[derive(Debug)]
pub(super) struct Victim {
    pub(super) hash: u64,
    pub(super) meta: SlotMeta,
    /// Whether the hand has gone back to it.
    is_at_hand: bool,
    /// Zero if there is none.
    pub(super) charge: u64,
    /// Attempts that have found no room for it, or for another before it.
    pub(super) attempts: u32,
}

impl Victim {
    const NONE: Self =
        Self { hash: 0, meta: SlotMeta::NEW, is_at_hand: false, charge: 0, attempts: 0 };
}

/// What an insert hands on to the general way.
#[derive(Debug)]
pub(super) struct UnfinishedPut {
    /// Charge that it holds.
    pub(super) units: u64,
    /// What the policy has said of its key.
    pub(super) admission: Option<Admission>,
    /// A victim for which the retired capacity has no room.
    pub(super) kept: Option<PendingVictim>,
}

/// A victim as it was when the policy named it.
#[derive(Debug)]
pub(super) struct PendingVictim {
    pub(super) hash: u64,
    pub(super) meta: SlotMeta,
    pub(super) charge: u64,
}

impl UnfinishedPut {
    /// Of one that has done nothing yet.
    pub(super) const NOTHING: Self = Self { units: 0, admission: None, kept: None };
}

/// What stood in the way of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptError {
    /// Something changed: look again.
    Changed,
    /// Garbage has to be freed first, which needs the pin to be renewed.
    Garbage,
    /// Nothing was found to evict.
    NoRoom,
}

/// Who decides whether a value goes over another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DecidedBy {
    /// The cache, by the operation.
    ByOperation,
    /// A closure of the user's, which may change the cache.
    ByClosure,
}

/// What an attempt came to.
pub(super) type Attempt<T> = Result<T, AttemptError>;
impl<K, V, S> Engine<K, V, S> {
    /// An operation begins that has pinned the thread for itself, mostly: then it may spend of its credit with the
    /// retired capacity. Within another one it may not, and that one may not any more. Before any code of the user's
    /// is called, which may write: what that sets as allowance is not what was seen at the pin.
    #[inline(always)]
    pub(super) fn begin_spending(&self, pin: &Pin<'_, K, V>) {
        pin.local().retired.begin(pin.is_alone());
    }

    /// The work of an operation that begins.
    #[inline(always)]
    pub(super) fn begin_op<'e>(&'e self, pin: &Pin<'e, K, V>) -> WriteOp<'e> {
        self.begin_spending(pin);
        self.op_begun(pin.local())
    }

    /// The work of one that spends no credit.
    #[inline(always)]
    pub(super) fn op<'e>(&'e self, local: &'e Local) -> WriteOp<'e> {
        local.retired.begin(false);
        self.op_begun(local)
    }

    /// The work of one that has [begun](Self::begin_spending), and was no usual one.
    #[inline(always)]
    pub(super) fn op_that_goes_on<'e>(
        &'e self,
        pin: &Pin<'e, K, V>,
        unfinished: UnfinishedPut,
    ) -> WriteOp<'e> {
        let mut op = self.op_begun(pin.local());
        op.reservation.add(unfinished.units);
        op.admission = unfinished.admission;
        if let Some(PendingVictim { hash, meta, charge }) = unfinished.kept {
            op.keep_victim(hash, meta, charge);
        }
        op
    }

    #[inline(always)]
    fn op_begun<'e>(&'e self, local: &'e Local) -> WriteOp<'e> {
        let (reservation, room) = (
            self.capacity.empty_reservation(&local.credit),
            self.retired.empty_reservation(&local.retired),
        );
        WriteOp {
            local,
            reservation,
            room,
            delta: self.policy.probation_delta(&local.cursor),
            admission: None,
            predicted: false,
            renews: false,
            spares_protected: false,
            lifetime_override: LifetimeOverride::default(),
            patient: true,
            kept: Victim::NONE,
            attempts: Attempts::default(),
            panicked: Panicked::default(),
        }
    }
}

impl WriteOp<'_> {
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
        self.attempts.wait.as_ref().map_or(0, |wait| wait.looks_since_turn())
    }

    /// It has found a victim for which the retired capacity has no room.
    #[cold]
    pub(super) fn keep_victim(&mut self, hash: u64, meta: SlotMeta, charge: u64) {
        let attempts = self.kept.attempts;
        if attempts < MAX_KEPT {
            let is_at_hand = self.local.cursor.step_back(meta);
            self.kept = Victim { hash, meta, is_at_hand, charge, attempts };
        }
    }

    /// It asks for another victim each time: it does not come again for this one.
    pub(super) fn keeps_no_victim(mut self) -> Self {
        self.kept.attempts = MAX_KEPT;
        self
    }

    /// The victim that it has kept, if it has one: it keeps it no longer.
    pub(super) fn take_kept(&mut self) -> Option<Victim> {
        let next = Victim { attempts: self.kept.attempts, ..Victim::NONE };
        Some(std::mem::replace(&mut self.kept, next)).filter(|kept| kept.charge > 0)
    }

    /// Its hand goes on from that victim.
    pub(super) fn step_from(&self, kept: &Victim) {
        if kept.is_at_hand {
            self.local.cursor.step(kept.meta);
        }
    }

    /// Passes by the victim that it has kept, if it has one, and keeps no other. Where there is never room for one, there
    /// may be for one that is lighter.
    pub(super) fn passes_kept_by(&mut self) -> bool {
        let kept = self.take_kept();
        if let Some(kept) = &kept {
            self.step_from(kept);
            self.kept.attempts = MAX_KEPT;
        }
        kept.is_some()
    }

    /// Whether garbage could be freed whenever the operation tried.
    pub(super) fn reclaims_succeed(&self) -> bool {
        self.attempts.failed_reclaims == 0
    }

    /// A closure is about to be called, or not.
    #[inline(always)]
    pub(super) fn asks(&mut self, decided: DecidedBy) {
        if decided == DecidedBy::ByClosure {
            self.attempts.changes = Some(self.local.tally.changes());
        }
    }

    /// Whether a closure was asked.
    pub(super) fn has_asked(&self) -> bool {
        self.attempts.changes.is_some()
    }

    /// Whether what a closure decided on has changed, and this thread has changed the cache meanwhile: in all
    /// likelihood the closure itself did it.
    fn was_changed_by_itself(&self) -> bool {
        self.attempts.changes.is_some_and(|changes| changes != self.local.tally.changes())
    }

    /// Whether it has freed as much as one operation may without getting further.
    pub(super) fn has_freed_enough(&self) -> bool {
        self.attempts.reclaims >= self.max_reclaims()
    }

    /// Why the operation has no more tries, if it has none.
    fn would_be_exhausted(&self, error: AttemptError) -> Option<InsertErrorKind> {
        let (ends, kind) = match error {
            AttemptError::Changed => {
                let last = self.attempts.own_changes + 1 >= MAX_OWN_CHANGES;
                (last && self.was_changed_by_itself(), InsertErrorKind::Contended)
            }
            AttemptError::Garbage => {
                let ends =
                    self.attempts.failed_reclaims >= MAX_FAILED_RECLAIMS || self.has_freed_enough();
                (ends, InsertErrorKind::NoRoom)
            }
            AttemptError::NoRoom => (true, InsertErrorKind::NoRoom),
        };
        ends.then_some(kind)
    }

    /// The same, and counts the try.
    pub(super) fn is_exhausted(&mut self, error: AttemptError) -> Option<InsertErrorKind> {
        let kind = self.would_be_exhausted(error);
        if error == AttemptError::Changed && self.was_changed_by_itself() {
            self.attempts.own_changes += 1;
        }
        kind
    }

    /// Notes that garbage was to be freed, whether some was, and how far that gets it: what it held, and what is
    /// free of the retired capacity now.
    /// Destructors may retire as much as was freed, and other threads take it: only more than ever before
    /// counts as getting further.
    pub(super) fn note_reclaim(&mut self, freed: bool, free: u64) {
        let far = self.room.held().saturating_add(free);
        if far > self.attempts.furthest {
            (self.attempts.furthest, self.attempts.reclaims) = (far, 0);
        }
        self.attempts.reclaims += usize::from(freed);
        self.attempts.freed |= freed;
        self.attempts.failed_reclaims += usize::from(!freed);
    }

    /// There is more that may be freed now, as the old entry went first. What is left of the reliefs is for that,
    /// and they count however far they get it.
    pub(super) fn begin_last_resort(&mut self) {
        (self.attempts.failed_reclaims, self.attempts.last_resort, self.attempts.furthest) =
            (0, true, u64::MAX);
    }

    /// How many reliefs in a row may get it no further: where there is a last resort, half of them are for that.
    fn max_reclaims(&self) -> usize {
        let halved =
            self.attempts.outsized && self.attempts.changes.is_none() && !self.attempts.last_resort;
        if halved { MAX_RECLAIMS / 2 } else { MAX_RECLAIMS }
    }

    /// Whether it has nothing to give back, as most at their end: then it need not be dropped, once what has panicked was
    /// taken out of it.
    #[inline(always)]
    pub(super) fn is_settled(&self) -> bool {
        let held = self.reservation.held() | self.room.held();
        held == 0 && self.delta.is_zero() && self.attempts.wait.is_none()
    }

    /// The charge in hand has become an entry's.
    pub(super) fn spend(&mut self, charge: u64) {
        let part =
            self.reservation.split(charge).expect("room was made before the entry was linked");
        part.commit(charge);
    }
}
