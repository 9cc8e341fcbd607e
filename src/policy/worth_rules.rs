//! The rules where entries differ in weight or a miss in cost.
//!
//! They differ in these points from those of `eviction`, which compare counts:
//!
//! - A candidate that was not read stays only in the place of an entry at the protected hand that is worth less. The
//!   hand goes on from one that is better, so the next candidates are compared with another: in the end those are
//!   evicted that are worth least. So each is compared, and none with what was seen before: one that won is worth much,
//!   and a hand that stands does not come to those that are worth little.
//! - A candidate that was read is not promoted if the entry at the protected hand is better.
//! - Where the protected part has to make room, the hand goes on as long as the next entry is worth less
//!   ([`MAX_LESS_WORTHY`]), and one that was read is evicted, too, if it is worth next to nothing
//!   ([`WORTHLESS_RATIO`]).
//! - A heavy newcomer is admitted only if it [is worth its room](Eviction::is_worth_its_room).
//!
//! Where all weigh and cost the same no entry is better than another, and as many hit as by counts.

use super::entries::Entries;
use super::eviction::Eviction;
use super::tuning::{MAX_LESS_WORTHY, MIN_FREQUENCY_LEAD, SAMPLE_SIZE, WORTHLESS_RATIO};
use super::worth::Worth;
use crate::sync::seeded;

impl<E: Entries> Eviction<'_, E> {
    /// What becomes of a candidate that has not expired; the victim, if one goes now.
    pub(super) fn judge_by_worth(&self, slot: E::Slot) -> Option<E::Slot> {
        let (entries, cursor) = (self.entries, self.cursor);
        let frequency = |slot| self.frequency(slot).max(1);
        let reads = u64::from(entries.reads(slot));
        let mine = entries.worth(slot, frequency(slot) + reads);
        let Some(other) = self.protected_victim() else {
            return if reads > 0 { self.promote_read(slot) } else { Some(slot) };
        };
        let its = entries.worth(other, frequency(other));
        if reads > 0 {
            if !its.is_better_than(mine, 1) {
                return self.promote_read(slot);
            }
        } else if mine.exceeds(its, 1) || entries.expired(other) {
            cursor.protected.step();
            return self.promote(slot).then_some(other);
        }
        cursor.incumbent.set_worth(its);
        if its.is_better_than(mine, 1) || its.frequency >= mine.frequency + MIN_FREQUENCY_LEAD {
            // The hand goes on from those that are lighter or dearer, and not from those that were used a little more
            // often: it is their age that tells that they are no longer used.
            cursor.protected.step();
        }
        Some(slot)
    }

    /// Whether an entry of the protected part is evicted although it was read.
    #[inline(never)]
    pub(super) fn is_worth_nothing(&self, slot: E::Slot) -> bool {
        let reads = u64::from(self.entries.meta(slot).count());
        let worth = self.entries.worth(slot, self.frequency(slot) + reads);
        self.cursor.incumbent.worth().exceeds(worth, WORTHLESS_RATIO)
    }

    /// An entry that is to make room, or one of the next at the protected hand: it goes on as long as the next one is
    /// worth less. Those that it passes by stay for a round.
    pub(super) fn less_worthy(&self, slot: E::Slot) -> E::Slot {
        let worth = |slot| self.entries.worth(slot, self.frequency(slot).max(1));
        let mut least = (slot, worth(slot));
        for _ in 0..MAX_LESS_WORTHY {
            let Some(next) = self.protected_victim() else { break };
            let its = worth(next);
            if !least.1.exceeds(its, 1) {
                break;
            }
            self.cursor.protected.step();
            least = (next, its);
        }
        least.0
    }

    /// Whether a newcomer that is heavy is worth the entries that have to make room for it: no less than as much of
    /// the protected part is on average. Looks at a few entries there, and steps past them.
    pub(crate) fn is_worth_its_room(&self, newcomer: Worth) -> bool {
        let (mut saves, mut weight) = (0_u64, 0_u64);
        for _ in 0..SAMPLE_SIZE {
            let Some(slot) = self.protected_entry() else { break };
            self.cursor.protected.step();
            // Those that were used but once are no reason to refuse another.
            let frequency = self.frequency(slot).saturating_sub(1);
            let reads = u64::from(self.entries.meta(slot).count());
            let worth = self.entries.worth(slot, frequency + reads);
            saves = saves.saturating_add(worth.saves());
            weight = weight.saturating_add(worth.weight);
        }
        let displaced = Worth { frequency: 1, cost: saves, weight };
        !displaced.exceeds(newcomer, 1) || seeded("policy-no-admission-test")
    }
}
