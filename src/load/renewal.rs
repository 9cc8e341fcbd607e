//! Values that are renewed in the background: ahead of their expiry, or while an old one is served.

use std::hash::{BuildHasher, Hash};
use std::task::Waker;

use super::bulk::{each, keys_of, some, told};
use super::flight::{Kind, News};
use super::lead::{Lead, Start, begin, begin_jobs, start};
use super::run::Run;
use super::turn::{Wish, settle};
use super::{LoadError, Loaded, Loader, LoadingCache, now};
use crate::engine::LoadKind;
use crate::sync::quietly;

/// What became of a value that was to be renewed; nothing if the loader panicked.
pub(super) type Renewed<V, E> = Option<Result<Option<V>, LoadError<E>>>;

/// What a caller found who wants a value to be renewed.
pub(super) enum Begun<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// It has to load.
    Lead(Lead<K, V, S>),
    /// A failure that is remembered.
    Failed(Result<Option<V>, LoadError<E>>),
    /// Somebody else's load, or no room for one.
    Other,
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Begins a load for the background, unless one is under way or has just failed.
    pub(super) fn begin_reload(&self, key: &K, fare: LoadKind) -> Option<Lead<K, V, S>> {
        match start(&self.cache, key, fare, Kind::Job, |rest| self.rules.defers(fare, rest)) {
            Start::Lead(mut lead) => {
                lead.renews();
                Some(lead)
            }
            Start::Join(lead) if lead.flight.is_worth_a_look(now) => Self::take_over(lead),
            Start::Join(_) | Start::Live(_) | Start::Failed(_) | Start::Nothing => None,
        }
    }

    /// Takes a reload over that stalls. Nobody waits for it, so nobody else does.
    fn take_over(lead: Lead<K, V, S>) -> Option<Lead<K, V, S>> {
        let flight = &lead.flight;
        flight.look_again(now().saturating_add(flight.limits().renewal));
        let seat = flight.join(Kind::Job, Waker::noop().clone())?;
        if let News::Promoted = flight.poll(seat, Waker::noop(), now()) {
            lead.cache.engine().count_load(|loads| &loads.relieved);
            let mut lead = lead.promote(seat);
            lead.renews();
            return Some(lead);
        }
        if flight.leave(seat, now()) {
            lead.clear_away();
        }
        None
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Begins to renew a value, or to load it where there is none, unless a failure is remembered.
    pub(super) fn begin_refresh(&self, key: &K) -> Begun<K, V, S, L::Error> {
        let wish = Wish { stale: None, ..self.rules.many() };
        for fare in [LoadKind::Renew, LoadKind::Load] {
            let counts = |rest: &_| wish.failure::<L::Error>(rest).is_some();
            match start(&self.cache, key, fare, Kind::Job, counts) {
                Start::Lead(lead) => return Begun::Lead(lead),
                Start::Failed(rest) => {
                    let failure = wish.failure::<L::Error>(&rest);
                    let turn = failure.and_then(|failure| wish.answer(&self.cache, key, failure));
                    return turn.and_then(told).map_or(Begun::Other, Begun::Failed);
                }
                Start::Nothing => {}
                Start::Live(_) | Start::Join(_) => return Begun::Other,
            }
        }
        Begun::Other
    }

    /// Renews values in the background, by one query if they are several.
    pub(super) fn renew_soon(&self, leads: Vec<Lead<K, V, S>>) {
        if leads.is_empty() {
            return;
        }
        let own = self.clone();
        self.rules.executor.spawn(Box::new(move || {
            // A failure has been told to those that wait, and the value stays.
            own.renew(leads, |_| true);
        }));
    }

    /// Renews values, by one query if they are several, and tells what became of each; where each is a
    /// load of its own, as long as `tell` says to go on. A panic was reported by the panic hook, and is
    /// the end of those values' renewal only. Returns the keys that others have taken over.
    pub(super) fn renew(
        &self,
        leads: Vec<Lead<K, V, S>>,
        mut tell: impl FnMut(Renewed<V, L::Error>) -> bool,
    ) -> Vec<K> {
        let wish = Wish { absent: true, ..self.rules.fresh() };
        let [leads, taken] = begin_jobs(leads, Kind::Thread);
        let (mut taken, keys) = (keys_of(&taken), keys_of(&leads));
        let run = begin(&leads, Kind::Thread, Run::default);
        let query = || if keys.len() > 1 { run.enter(|| self.query(&keys)) } else { None };
        let Some(loaded) = quietly(query) else {
            // None of them: a query is one load.
            keys.iter().for_each(|_| {
                tell(None);
            });
            return taken.into_inner();
        };
        let mut loaded = loaded.map(each);
        if loaded.is_none() {
            leads.iter().skip(1).for_each(Lead::put_off);
        }
        for (lead, key) in leads.into_iter().zip(&**keys) {
            let goes_on = match &mut loaded {
                Some(loaded) => {
                    tell(quietly(|| self.land_one((key, Some(lead)), loaded(), wish)));
                    true
                }
                None if lead.resume(Kind::Thread) => tell(quietly(|| some(self.reload(lead)))),
                None => {
                    taken.push(key.clone());
                    true
                }
            };
            if !goes_on {
                break;
            }
        }
        taken.into_inner()
    }

    pub(super) fn reload(&self, lead: Lead<K, V, S>) -> Result<Loaded<V>, LoadError<L::Error>> {
        lead.begin(Kind::Thread);
        let loaded = lead.enter(|| match &lead.old {
            Some(old) => self.loader.reload(&lead.key, old),
            None => self.loader.load(&lead.key),
        });
        settle(lead, loaded, self.rules.fresh())
    }
}
