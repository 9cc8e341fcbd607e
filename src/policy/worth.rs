//! What an entry is worth, where entries differ in weight or a miss in cost.
//!
//! The *worth* of an entry is what it saves for each unit of weight: how often its key is asked for, times the
//! cost of a miss, divided by the weight. Two are compared by products, so nothing is divided or rounded.
//!
//! With weights the rules differ in these points from those of `eviction`, which compares counts:
//!
//! - A candidate that was not read stays only in the place of an entry at the protected hand that is worth less. The hand
//!   goes on from one that is better, so the next candidates are compared with another: in the end those go that are
//!   worth least.
//! - A candidate that was read is not promoted if the entry at the protected hand is better by [`MIN_WORTH_RATIO`].
//! - Where the protected part has to make room, the next one goes instead if it is worse, and one that was read goes,
//!   too, if it is worth next to [`WORTHLESS_RATIO`].
//! - A heavy newcomer is on trial: see [`is_worth_its_room`](Policy::is_worth_its_room).
//!
//! One is *better* than another if it saves more for each unit of weight, asked for no more often. Where all weigh and
//! cost the same nobody is, and each decision is the one by counts.

use super::History;
use super::cursor::EvictionCursor;
use super::entries::Entries;
use super::eviction::{MIN_FREQUENCY_LEAD, MIN_WORTH_RATIO, Policy, promote};
use super::probation_delta::ProbationDelta;
use crate::slot_meta::Region;
use crate::sync::seeded;

/// How much more than an entry of the protected part another one there was worth that a candidate lost to, for the entry
/// to go although it was read.
const WORTHLESS_RATIO: u64 = 16;
/// Entries of the protected part with which a newcomer on trial is compared: a sample of those that it displaces.
const SAMPLE_SIZE: usize = 16;

/// How often the key of an entry is asked for, what a miss of it costs, and what it weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(super) frequency: u64,
    pub(super) cost: u64,
    pub(super) weight: u64,
}

impl Worth {
    #[inline]
    pub(crate) fn new(frequency: u64, cost: u64, weight: u64) -> Self {
        let weight = if seeded("policy-blind-to-weight") { 1 } else { weight };
        Self { frequency, cost, weight }
    }

    /// What it saves; cut off.
    #[inline]
    fn saves(self) -> u64 {
        self.frequency.saturating_mul(self.cost)
    }

    /// Whether it saves more for each unit of weight than another, or than so many times that.
    #[inline]
    pub(super) fn exceeds(self, other: Self, times: u64) -> bool {
        u128::from(self.saves()) * u128::from(other.weight)
            > u128::from(other.saves().saturating_mul(times)) * u128::from(self.weight)
    }

    /// Whether it would save more, or so many times more, if it were asked for no more often than another. What was read just now does
    /// not stand back behind what was read often long ago, but behind what is lighter or dearer.
    #[inline]
    pub(super) fn is_better_than(self, other: Self, times: u64) -> bool {
        Self { frequency: self.frequency.min(other.frequency), ..self }.exceeds(other, times)
    }
}

impl Policy {
    /// What becomes of a candidate that has not expired; the victim, if one goes now.
    pub(super) fn judge_by_worth<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        delta: &ProbationDelta<'_>,
        slot: E::Slot,
        now: u64,
    ) -> Option<E::Slot> {
        let frequency = |slot| history.periods.count(entries.recent_uses(slot), now).max(1);
        let reads = u64::from(entries.meta(slot).count());
        let mine = entries.worth(slot, frequency(slot) + reads);
        if reads == 0 && cursor.incumbent.is_worth_more(mine) {
            return Some(slot);
        }
        let Some(other) = self.protected_victim(entries, cursor, history, now) else {
            return if reads > 0 {
                self.promote_read(entries, history, delta, slot, now)
            } else {
                Some(slot)
            };
        };
        let its = entries.worth(other, frequency(other));
        if reads > 0 {
            if !its.is_better_than(mine, MIN_WORTH_RATIO) {
                return self.promote_read(entries, history, delta, slot, now);
            }
        } else if mine.exceeds(its, 1) || entries.expired(other) {
            cursor.protected.step();
            return promote(entries, slot, delta).then_some(other);
        }
        cursor.incumbent.set_worth(its);
        if its.is_better_than(mine, 1) || its.frequency >= mine.frequency + MIN_FREQUENCY_LEAD {
            // The hand goes on from those that are lighter or dearer, and not from those that were asked for a little more
            // often: it is their age by which one tells that they are asked for no longer.
            cursor.protected.step();
        }
        Some(slot)
    }

    /// Whether an entry of the protected part goes although it was read.
    #[inline(never)]
    pub(super) fn is_worth_nothing<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        slot: E::Slot,
        now: u64,
    ) -> bool {
        let reads = u64::from(entries.meta(slot).count());
        let frequency = history.periods.count(entries.recent_uses(slot), now);
        cursor.incumbent.worth().exceeds(entries.worth(slot, frequency + reads), WORTHLESS_RATIO)
    }

    /// An entry that is to make room, or the next at the protected hand, whichever is worth less.
    pub(super) fn less_worthy<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        slot: E::Slot,
        now: u64,
    ) -> E::Slot {
        let worth = |slot| {
            entries.worth(slot, history.periods.count(entries.recent_uses(slot), now).max(1))
        };
        let Some(other) = self.protected_victim(entries, cursor, history, now) else { return slot };
        if !worth(slot).is_better_than(worth(other), 1) {
            return slot;
        }
        cursor.protected.step();
        other
    }

    /// Whether a newcomer that is heavy is worth the entries that have to go for it: no less than as much of the
    /// protected part is on average. Looks at a few entries there, and steps past them.
    pub(crate) fn is_worth_its_room<E: Entries>(
        &self,
        entries: &E,
        cursor: &EvictionCursor,
        history: &History,
        newcomer: Worth,
    ) -> bool {
        let now = self.now(cursor);
        let (mut saves, mut weight) = (0_u64, 0_u64);
        for _ in 0..SAMPLE_SIZE {
            let Some(slot) = self.protected_hand.current(entries, Region::Protected, cursor, now)
            else {
                break;
            };
            cursor.protected.step();
            // Those that were asked for but once are no reason to turn anybody away.
            let frequency = history.periods.count(entries.recent_uses(slot), now).saturating_sub(1);
            let worth = entries.worth(slot, frequency + u64::from(entries.meta(slot).count()));
            saves = saves.saturating_add(worth.saves());
            weight = weight.saturating_add(worth.weight);
        }
        let displaced = Worth { frequency: 1, cost: saves, weight };
        !displaced.exceeds(newcomer, 1) || seeded("policy-no-admission-test")
    }
}
