//! What became of a key that is not there, as far as it is remembered.

use super::causes::Cause;
use super::cursor::EvictionCursor;
use super::ghosts::GhostTime;
use super::history::History;
use super::state::Policy;

/// What is known of a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Departure {
    /// It made room, at this time in steps.
    Evicted(GhostTime),
    /// It left for another reason, or was not inserted.
    Removed(Cause),
}

impl History {
    /// What became of a key last. Reads one cache line, and another one if anything but evictions is
    /// remembered; writes nothing, and asks for no time.
    ///
    /// A key that is evicted is forgotten by the other memory. So one that both have was removed last; if threads met there,
    /// the times tell, which both memories have in the same steps, of a 64th of the capacity in misses.
    #[inline]
    pub(crate) fn departure(&self, hash: u64) -> Option<Departure> {
        self.causes.prefetch(hash);
        let evicted = self.ghosts.time(hash);
        match (self.causes.find(hash), evicted) {
            (Some((cause, time)), evicted) if evicted.is_none_or(|other| other.is_until(time)) => {
                Some(Departure::Removed(cause))
            }
            (_, evicted) => evicted.map(Departure::Evicted),
        }
    }
}

impl Policy {
    /// Remembers that an entry left for another reason than to make room, or that one was not inserted.
    pub(crate) fn record_removal(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        hash: u64,
        cause: Cause,
    ) {
        history.causes.record(hash, cause, history.ghosts.coarse(self.now(cursor)));
    }

    /// How many misses ago that time was, in whole steps.
    pub(crate) fn misses_since(
        &self,
        history: &History,
        cursor: &EvictionCursor,
        time: GhostTime,
    ) -> u64 {
        history.ghosts.since(time, self.now(cursor))
    }
}
