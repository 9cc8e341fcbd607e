//! What became of keys: noted where they leave, asked where a read misses.

use std::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::types::View;
use super::{Engine, Garbage, Local, ThreadState};
use crate::error::InsertErrorKind;
use crate::outcome::RemovalCause;
use crate::policy::{Cause, Departure};
use crate::reclaim::{GuardRef, Reads};

impl<K, V, S> Engine<K, V, S> {
    /// Remembers why an entry left that did not make room.
    #[inline]
    pub(super) fn note_removed(&self, view: View<'_, K, V>, hash: u64, cause: RemovalCause) {
        match cause {
            RemovalCause::Expired => self.note_cause(view, hash, Cause::Expired),
            RemovalCause::Invalidated => self.note_cause(view, hash, Cause::Invalidated),
            RemovalCause::Refused => self.note_cause(view, hash, Cause::Refused),
            // The ghosts know of the ones; the others' keys are there.
            RemovalCause::Evicted | RemovalCause::Replaced => {}
        }
    }

    #[inline]
    fn note_cause(&self, view: View<'_, K, V>, hash: u64, cause: Cause) {
        if self.remembers {
            self.policy.record_removal(view.extension(), &view.local().cursor, hash, cause);
        }
    }
}

impl<K: Eq, V, S: BuildHasher> Engine<K, V, S> {
    /// Counts a read that found nothing, by what is known of its key. Takes what fits in registers, so that
    /// hits need to keep nothing for this.
    #[cold]
    #[inline(never)]
    pub(super) fn count_miss<Q>(
        &self,
        guard_ref: GuardRef<'_, Garbage<K, V>, ThreadState<K, V>, Reads>,
        hash: u64,
        key: &Q,
    ) where
        Q: Equivalent<K> + ?Sized,
    {
        let view = self.table.view(guard_ref);
        view.local().evidence.note_miss(hash);
        let misses = &view.local().tally.misses;
        // Without failures that are remembered there is nothing to look for.
        if self.failures.len() > 0 && is_known_absent(view, hash, key) {
            return misses.absent.bump();
        }
        match view.extension().departure(hash) {
            None => misses.never_seen.bump(),
            Some(Departure::Evicted(_)) => misses.evicted.bump(),
            Some(Departure::Removed(Cause::Expired)) => misses.expired.bump(),
            Some(Departure::Removed(Cause::Invalidated)) => misses.invalidated.bump(),
            Some(Departure::Removed(Cause::Refused)) => misses.refused.bump(),
        }
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Counts that a key's value was refused, and remembers it.
    #[cold]
    pub(super) fn count_refusal(&self, local: &Local, hash: u64, kind: InsertErrorKind) {
        local.tally.refusals.count(kind);
        self.note_refused(hash);
    }

    /// Remembers that a key's value was refused.
    #[cold]
    pub(super) fn note_refused(&self, hash: u64) {
        let pin = self.pin();
        self.note_cause(self.table.view(pin.guard_ref()), hash, Cause::Refused);
    }
}

/// Whether a load of the key has failed, or found no value, and that is remembered.
fn is_known_absent<K, V, Q>(view: View<'_, K, V, Reads>, hash: u64, key: &Q) -> bool
where
    Q: Equivalent<K> + ?Sized,
{
    let occupied = view.find_any(hash, |k| key.equivalent(k));
    occupied.is_some_and(|occupied| {
        let entry = occupied.entry();
        entry.is_placeholder() && entry.load_token().is_some_and(|token| token.has_failed())
    })
}
