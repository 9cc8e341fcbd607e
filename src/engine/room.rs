//! How charge is found for an entry: own credit, the pool, other threads' credit, victims.

use std::hash::{BuildHasher, Hash};

use super::Engine;
use super::bury::{Table, plot};
use super::face::Dial;
use super::write::{Attempt, Obstacle, Work};
use crate::error::InsertErrorKind;
use crate::outcome::RemovalCause;
use crate::policy::Load;
use crate::reclaim::Ledgered;

/// Vain attempts to find or to unlink a victim after which a small table's search ends. Those that
/// succeed are as many as the charge needs.
const VAIN: usize = 64;

/// Buckets for which one more vain attempt is made: in a table that is nearly empty, one attempt comes
/// by so many and finds nothing.
const BUCKETS_PER_VAIN: usize = 1 << 11;

/// Victims of one insert whose charge pays for a shrink.
const PAID: usize = 2;

/// Vain attempts after which a search for victims ends.
pub(super) fn patience<K, V>(view: Table<'_, K, V>) -> usize {
    VAIN + view.buckets() / BUCKETS_PER_VAIN
}

/// What an attempt to evict came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eviction {
    Done,
    /// The victim was used or gone, or the policy found none within its steps.
    Vain,
    /// The retired capacity is full.
    Relieve,
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Collects `need` in the operation's hand, and evicts only where all that is free is not
    /// enough. What was found stays in the hand in any case.
    #[inline(always)]
    pub(super) fn make_room(
        &self,
        view: Table<'_, K, V>,
        work: &mut Work<'_>,
        need: u64,
    ) -> Attempt<()> {
        let (mut vain, mut paid) = (0, 0);
        while !work.hand.gather(need, self.credits()) {
            if self.lingering.get() > 0 && work.has_hope() {
                // Garbage is charged to the capacity: it goes before an entry does.
                return Err(Obstacle::Garbage);
            }
            if self.lingering.get() > 0 && self.len() == 0 {
                return Err(Obstacle::NoRoom);
            }
            match self.evict(view, work) {
                // A shrink that readers stopped goes on: the victim's charge pays for that.
                Eviction::Done if paid < PAID && self.capacity.debt() > 0 => {
                    work.hand.surrender();
                    paid += 1;
                }
                Eviction::Done => {}
                Eviction::Relieve => return Err(Obstacle::Garbage),
                Eviction::Vain if vain >= patience(view) || self.len() == 0 => {
                    return Err(Obstacle::NoRoom);
                }
                Eviction::Vain => vain += 1,
            }
        }
        Ok(())
    }

    /// Evicts one entry. Its charge comes into the hand.
    ///
    /// An entry that is larger than the retired capacity can never lie there: the capacity bears it until it
    /// is freed, and there may be only one such at a time, or inserts would empty the cache while a
    /// reader sleeps.
    #[inline(always)]
    pub(super) fn evict(&self, view: Table<'_, K, V>, work: &mut Work<'_>) -> Eviction {
        if self.retired.limit() == 0 && self.lingering.get() > 0 {
            return Eviction::Relieve;
        }
        let dial = Dial::new(self, view);
        let load = self.load();
        let (rounds, memory) = (&work.local.rounds, view.annex());
        let Some(held) = self.policy.victim(&dial, rounds, memory, &work.shift, load) else {
            return Eviction::Vain;
        };
        let (entry, charge) = (held.entry(), held.entry().charge());
        let room = self.retired_room(work.local, charge);
        let oversized = plot(charge) > self.retired.limit() && self.lingering.get() == 0;
        if room.is_none() && !oversized {
            return Eviction::Relieve;
        }
        let live = self.is_live(entry);
        let Some((unlinked, bits)) = view.unlink(held) else { return Eviction::Vain };
        let cause = if live { RemovalCause::Evicted } else { RemovalCause::Expired };
        self.count(work.local, cause);
        self.count_out(&work.shift, entry, bits);
        if live {
            self.policy.evicted(memory, rounds, entry.hash(), bits);
        }
        let account = self.pass_on(charge, room);
        let outcome = if account == Ledgered::Retired {
            work.hand.add(charge);
            Eviction::Done
        } else {
            Eviction::Relieve
        };
        view.retire(unlinked, account);
        self.report(entry, cause);
        outcome
    }

    /// Takes charge for what is not an entry.
    pub(crate) fn set_aside(&self, charge: u64) -> Result<(), InsertErrorKind> {
        self.fits(charge)?;
        let mut pin = self.pin();
        let mut work = self.work(pin.local());
        let taken = self.persist(&mut pin, &mut work, |pin, work| {
            self.make_room(self.table.view(pin.pass()), work, charge)?;
            work.spend(charge);
            Ok(())
        });
        drop(work);
        self.tidy(pin);
        taken.ok_or(InsertErrorKind::NoRoom)
    }

    /// Gives back what was set aside.
    pub(crate) fn give_back(&self, charge: u64) {
        self.capacity.give(&self.pin().local().credit, charge);
    }

    /// How full the cache is, for the policy.
    pub(super) fn load(&self) -> Load {
        let capacity = self.capacity.capacity();
        Load { capacity, free: self.capacity.free(std::iter::empty()) }
    }
}
