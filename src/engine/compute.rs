//! Deciding, from what a key has now, what it shall have.

use std::hash::{BuildHasher, Hash};

use super::Engine;
use super::Pin;
use super::read_view::successor;
use super::types::EntryState;
use super::write::{Destination, ENTRY_KEPT};
use super::write_op::{Attempt, AttemptError, DecidedBy, WriteOp};
use crate::error::InsertErrorKind;
use crate::hash::Hashed;
use crate::outcome::{Compute, Computed, Inserted, RemovalCause};
use crate::sync::NoAbort;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Applies `f` to what a key has, until nothing changes in between.
    pub(crate) fn compute(
        &self,
        key: K,
        mut f: impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Computed<V> {
        let hash = self.hash(&key);
        let mut pin = self.pin();
        let mut op = self.begin_op(&pin);
        let mut key = Some(key);
        let computed = self.retry(&mut pin, &mut op, |pin, op| {
            self.try_compute(pin, op, Hashed { hash, key: &mut key }, &mut f)
        });
        // An attempt that has a value hands it back when it gives up.
        let computed = NoAbort::new(computed.unwrap_or(Computed::Contended));
        if let Computed::Refused { kind, .. } = *computed
            && kind != InsertErrorKind::Untimed
        {
            self.count_refusal(op.local, hash, kind);
        }
        drop(op);
        self.finish_write(pin);
        computed.into_inner()
    }

    fn try_compute(
        &self,
        pin: &Pin<'_, K, V>,
        op: &mut WriteOp<'_>,
        Hashed { hash, key }: Hashed<&mut Option<K>>,
        f: &mut impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Attempt<Computed<V>> {
        let view = self.table.view(pin.guard_ref());
        let own = key.as_ref().expect("the key comes back after every attempt");
        let destination = self.find_destination(view, hash, own);
        op.asks(DecidedBy::ByClosure);
        // What becomes of the key meanwhile is noticed by the exchange that follows.
        let wish = pin.while_suspended(|| f(destination.value()));
        match (wish, destination) {
            (Compute::Put(value), destination) => {
                op.lifetime_override.ttl = None;
                self.put_computed(pin, op, destination, Hashed { hash, key }, value)
            }
            (Compute::PutWithTtl(value, _), _) if !self.keeps_time() => {
                Ok(Computed::Refused { kind: InsertErrorKind::Untimed, value })
            }
            (Compute::PutWithTtl(value, ttl), destination) => {
                op.lifetime_override.ttl = Some(ttl);
                self.put_computed(pin, op, destination, Hashed { hash, key }, value)
            }
            (Compute::Keep, Destination::Occupied(occupied, EntryState::Live)) => {
                self.note_use(view, occupied);
                Ok(Computed::Kept)
            }
            (Compute::Remove, Destination::Occupied(occupied, state)) => {
                let (cause, computed) = match state {
                    EntryState::Live => (RemovalCause::Invalidated, Computed::Removed),
                    // With it goes a load that is under way.
                    EntryState::Expired | EntryState::Placeholder => {
                        (self.cause_of_end(occupied.entry()), Computed::Absent)
                    }
                };
                if self.remove_occupied(view, occupied, cause) {
                    Ok(computed)
                } else {
                    Err(AttemptError::Changed)
                }
            }
            // It may have been replaced before it expired, as what finds a key may be slow: then the key was there
            // all the while.
            (Compute::Keep, Destination::Occupied(occupied, EntryState::Expired))
                if successor(view, occupied.entry(), |entry| self.is_live(entry)).is_some() =>
            {
                Err(AttemptError::Changed)
            }
            (Compute::Keep | Compute::Remove, _) => Ok(Computed::Absent),
        }
    }

    fn put_computed<'g>(
        &self,
        pin: &'g Pin<'_, K, V>,
        op: &mut WriteOp<'_>,
        destination: Destination<'g, K, V>,
        Hashed { hash, key }: Hashed<&mut Option<K>>,
        value: V,
    ) -> Attempt<Computed<V>> {
        let view = self.table.view(pin.guard_ref());
        let own = key.take().expect("the key comes back after every attempt");
        let (own, value) = (NoAbort::new(own), NoAbort::new(value));
        let costs = self.rules.weigh(&own, &value);
        if let Err(kind) = self.check_weight(costs.charge) {
            return Ok(Computed::Refused { kind, value: value.into_inner() });
        }
        let mut entry = view.entry(hash, own.into_inner(), value.into_inner(), costs);
        if let Destination::Occupied(occupied, EntryState::Live) = &destination {
            // What the value was made of has them.
            entry.set_tags(occupied.entry().tag_set());
        }
        let mut new = Some(entry);
        let error = match self.put_at(view, op, destination, &mut new) {
            Ok(Inserted::New) => return Ok(Computed::Inserted),
            Ok(Inserted::Replaced) => return Ok(Computed::Replaced),
            Err(error) => error,
        };
        let (own, value) = new.expect(ENTRY_KEPT).into_parts();
        *key = Some(own);
        if let Some(kind) = self.is_exhausted(pin, op, error) {
            return Ok(Computed::Refused { kind, value });
        }
        op.attempts.goes_on = true;
        Err(error)
    }
}
