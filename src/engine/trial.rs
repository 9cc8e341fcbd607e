//! Heavy newcomers are on trial: whoever needs the room of many others has to be worth them.
//!
//! Others go one after the other, and each was worth less than the newcomer for each unit of weight, or would have
//! gone soon in any case. For one that displaces a large part of the cache neither holds, as the room is made before
//! anybody compares. So it is compared first. If it is worth less, the write does as if the entry had come in and
//! had made room at once: nobody else goes for it. Its key is remembered like that of any other that made
//! room; asked for often enough, it comes in.

use std::hash::{BuildHasher, Hash};

use super::Engine;
use super::bury::{State, Table};
use super::face::Dial;
use super::work::Work;
use super::write::Site;
use crate::entry::EntryRef;
use crate::policy::{Heard, Marks, Worth};

/// Parts of the capacity: an entry that needs more than one of them besides what is free may be on trial.
const PARTS: u64 = 32;
/// Entries of average weight that it displaces at least, or it is not.
const FEW: u64 = 4;
/// Entries that the cache has at least, or nobody is: where there are few, each needs much of the capacity.
const ENTRIES: u64 = 32;

/// A newcomer that is on trial: the bits that it would start with, and how often its key was heard of.
type Newcomer = (u8, Heard);

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Whether an entry would displace so much that it is compared first, and is worth less than that.
    #[inline]
    pub(super) fn is_turned_away<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: &Site<'g, K, V>,
        entry: EntryRef<'_, K, V>,
    ) -> bool {
        let left = site.charge();
        let (need, load) = (entry.charge().saturating_sub(left), self.load());
        need > load.capacity / PARTS
            && need > load.free
            && self.fails_trial(view, work, site, entry, need)
    }

    #[cold]
    #[inline(never)]
    fn fails_trial<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: &Site<'g, K, V>,
        entry: EntryRef<'_, K, V>,
        need: u64,
    ) -> bool {
        let load = self.load();
        let (charged, entries) = (load.capacity - load.free, self.len() as u64);
        if entries < ENTRIES || need / FEW <= charged / entries {
            return false;
        }
        // Who fits displaces nobody, and garbage is waited for.
        if work.hand.gather(need, self.credits())
            || need - work.hand.held() <= self.lingering.charge()
        {
            return false;
        }
        let (bits, heard) = self.newcomer(view, work, site, entry);
        let (rounds, memory) = (&view.local().rounds, view.annex());
        let frequency = self.policy.frequency(memory, rounds, heard)
            + Marks::from_bits(bits).map_or(0, |marks| u64::from(marks.count()));
        let worth = Worth::new(frequency, entry.cost(), need);
        let dial = Dial::new(self, view);
        if self.policy.is_worth_its_room(&dial, rounds, memory, worth) {
            return false;
        }
        // Others may need what is not enough here.
        work.hand.surrender();
        self.policy.evicted(memory, rounds, entry.hash(), (bits, heard));
        true
    }

    /// What is known of an entry that is about to come in.
    fn newcomer<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: &Site<'g, K, V>,
        entry: EntryRef<'_, K, V>,
    ) -> Newcomer {
        match site {
            Site::Open(_) => {
                let bits = self.start(view, work, entry);
                (bits, Heard::from_bits(entry.heard()))
            }
            // A placeholder was heard of when it came in.
            Site::Held(held, State::Placeholder) => {
                (held.bits_now(), Heard::from_bits(held.entry().heard()))
            }
            Site::Held(held, _) => {
                let heard = Heard::from_bits(held.entry().heard());
                let (memory, rounds) = (view.annex(), &view.local().rounds);
                (held.bits_now(), self.policy.heard_again(memory, rounds, heard))
            }
        }
    }
}
