//! Deciding, from what a key has now, what it shall have.

use std::hash::{BuildHasher, Hash};

use super::Engine;
use super::Pin;
use super::bury::State;
use super::lens::successor;
use super::work::{Attempt, Decided, Obstacle, Work};
use super::write::Site;
use crate::error::InsertErrorKind;
use crate::outcome::{Compute, Computed, Inserted, RemovalCause};
use crate::sync::NoAbort;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Applies `f` to what a key has, until nothing came in between.
    pub(crate) fn compute(
        &self,
        key: K,
        mut f: impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Computed<V> {
        let hash = self.hash(&key);
        let mut pin = self.pin();
        let mut work = self.work_of(&pin);
        let mut key = Some(key);
        let computed = self.persist(&mut pin, &mut work, |pin, work| {
            self.try_compute(pin, work, (hash, &mut key), &mut f)
        });
        // An attempt that has a value hands it back when it gives up.
        let computed = NoAbort::new(computed.unwrap_or(Computed::Contended));
        if let Computed::Refused { kind, .. } = *computed
            && kind != InsertErrorKind::Untimed
        {
            self.count_refusal(work.local, hash, kind);
        }
        drop(work);
        self.tidy(pin);
        computed.into_inner()
    }

    fn try_compute(
        &self,
        pin: &Pin<'_, K, V>,
        work: &mut Work<'_>,
        (hash, key): (u64, &mut Option<K>),
        f: &mut impl FnMut(Option<&V>) -> Compute<V>,
    ) -> Attempt<Computed<V>> {
        let view = self.table.view(pin.guard_ref());
        let own = key.as_ref().expect("the key comes back after every attempt");
        let site = self.site(view, hash, own);
        work.asks(Decided::ByClosure);
        match (f(site.value()), site) {
            (Compute::Put(value), site) => {
                work.terms.ttl = None;
                self.put_computed(pin, work, site, (hash, key), value)
            }
            (Compute::PutWithTtl(value, _), _) if !self.keeps_time() => {
                Ok(Computed::Refused { kind: InsertErrorKind::Untimed, value })
            }
            (Compute::PutWithTtl(value, ttl), site) => {
                work.terms.ttl = Some(ttl);
                self.put_computed(pin, work, site, (hash, key), value)
            }
            (Compute::Keep, Site::Occupied(occupied, State::Live)) => {
                self.note_use(view, occupied);
                Ok(Computed::Kept)
            }
            (Compute::Remove, Site::Occupied(occupied, state)) => {
                let (cause, computed) = match state {
                    State::Live => (RemovalCause::Invalidated, Computed::Removed),
                    // With it goes a load that is under way.
                    State::Expired | State::Placeholder => {
                        (RemovalCause::Expired, Computed::Absent)
                    }
                };
                if self.bury(view, occupied, cause) { Ok(computed) } else { Err(Obstacle::Changed) }
            }
            // It may have been replaced before its time was over, as what finds a key may be slow: then the key was there
            // all the while.
            (Compute::Keep, Site::Occupied(occupied, State::Expired))
                if successor(view, occupied.entry(), |entry| self.is_live(entry)).is_some() =>
            {
                Err(Obstacle::Changed)
            }
            (Compute::Keep | Compute::Remove, _) => Ok(Computed::Absent),
        }
    }

    fn put_computed<'g>(
        &self,
        pin: &'g Pin<'_, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        (hash, key): (u64, &mut Option<K>),
        value: V,
    ) -> Attempt<Computed<V>> {
        let view = self.table.view(pin.guard_ref());
        let own = key.take().expect("the key comes back after every attempt");
        let (own, value) = (NoAbort::new(own), NoAbort::new(value));
        let costs = self.rules.weigh(&own, &value);
        if let Err(kind) = self.fits(costs.charge) {
            return Ok(Computed::Refused { kind, value: value.into_inner() });
        }
        let entry = view.entry(hash, own.into_inner(), value.into_inner(), costs);
        let (obstacle, entry) = match self.put_at(view, work, site, entry) {
            Ok(Inserted::New) => return Ok(Computed::Inserted),
            Ok(Inserted::Replaced) => return Ok(Computed::Replaced),
            Err(back) => back,
        };
        let (own, value) = entry.into_parts();
        *key = Some(own);
        if let Some(kind) = self.gives_up(pin, work, obstacle) {
            return Ok(Computed::Refused { kind, value });
        }
        work.goes_on = true;
        Err(obstacle)
    }
}
