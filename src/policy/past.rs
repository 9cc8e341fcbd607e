//! What became of a key that is not there, as far as it is remembered.

use super::Memory;
use super::fates::Fate;
use super::ghosts::is_later;
use super::rounds::Rounds;
use super::verdict::Policy;

/// What is known of a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    /// It made room, at this time in steps.
    Evicted(u16),
    /// It left for another reason, or did not come in.
    Gone(Fate),
}

impl Memory {
    /// What became of a key last. Reads one cache line, and another one if anything but evictions is
    /// remembered; writes nothing, and asks for no time.
    ///
    /// Who is evicted is forgotten by the other memory. So one that both have was removed last; if threads met there,
    /// the times tell, which both memories have in the same steps, of a 256th of the capacity in misses.
    #[inline]
    pub(crate) fn past(&self, hash: u64) -> Option<Past> {
        self.fates.prefetch(hash);
        let evicted = self.ghosts.time(hash);
        match (self.fates.find(hash), evicted) {
            (Some((fate, time)), evicted) if evicted.is_none_or(|other| is_later(time, other)) => {
                Some(Past::Gone(fate))
            }
            (_, evicted) => evicted.map(Past::Evicted),
        }
    }
}

impl Policy {
    /// Remembers that an entry left for another reason than to make room, or that one did not come in.
    pub(crate) fn note(&self, memory: &Memory, rounds: &Rounds, hash: u64, fate: Fate) {
        memory.fates.note(hash, fate, memory.ghosts.coarse(self.now(rounds)));
    }

    /// How many misses ago that time was, in whole steps.
    pub(crate) fn misses_since(&self, memory: &Memory, rounds: &Rounds, time: u16) -> u64 {
        memory.ghosts.since(time, self.now(rounds))
    }
}
