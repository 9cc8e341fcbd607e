//! Waiting as a thread.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cycle::Waiting;
use super::flight::{Kind, News};
use super::lead::{Lead, Start, start};
use super::turn::{Ended, Turn, Wish, settle};
use super::{LoadError, LoadSource, Loaded, alone, now};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::sync::{NoAbort, Sleep};

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The value of a key, loaded if it is not there.
    ///
    /// Of any number of callers that miss at once, one runs its loader; the others wait for the
    /// value. It is put in only if nothing was inserted, removed, invalidated or computed for the key
    /// since the load began: callers that come after such an operation start a load of their own. A
    /// value that the bound refuses is returned all the same.
    ///
    /// If the loader panics, its caller does, and no one else: the caller that has waited longest
    /// runs its own loader. The loader may use the cache, other keys' loads included.
    ///
    /// # Panics
    ///
    /// If the loader does, or if it asks for its own key, or for one whose loader waits for it:
    /// [`try_get_or_load`](Self::try_get_or_load) makes that an error.
    ///
    /// # Progress
    ///
    /// A hit is wait-free. A miss runs the loader, or waits for another caller that does.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::new(1_000);
    /// let square = |n: &u64| n * n;
    /// assert_eq!(cache.get_or_load(12, square), 144);
    /// assert_eq!(cache.get(&12), Some(144));
    /// ```
    pub fn get_or_load(&self, key: K, load: impl FnOnce(&K) -> V) -> V {
        let loaded = self.load_with(key, Wish::default(), |key| Ok::<V, Infallible>(load(key)));
        match loaded {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("get_or_load: {error}"),
        }
    }

    /// The value of a key, loaded if it is not there, by a loader that may fail.
    ///
    /// As [`get_or_load`](Self::get_or_load). An error goes to the caller whose loader failed and
    /// to all that had joined it, and is not kept: the next caller loads again. A caller that had
    /// joined a loader with another type of error loads for itself.
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] with the loader's error; [`LoadError::Cycle`] instead of waiting for
    /// oneself, or for a task that only this thread polls, as in a runtime of one thread. If no other
    /// thread has polled the task so far it is woken, and has a tenth of a second to be polled by
    /// one. Tasks should use `try_get_or_load_async`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::num::ParseIntError;
    /// use clockhand::Cache;
    ///
    /// let cache: Cache<&str, i32> = Cache::new(100);
    /// let parse = |text: &&str| text.parse::<i32>();
    /// assert_eq!(cache.try_get_or_load("12", parse), Ok(12));
    /// let error = cache.try_get_or_load("twelve", parse).unwrap_err();
    /// assert!(error.to_string().contains("invalid digit"));
    /// assert_eq!(cache.get("twelve"), None);
    /// ```
    pub fn try_get_or_load<E>(
        &self,
        key: K,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        self.load_with(key, Wish::default(), load).map(|loaded| loaded.value)
    }

    /// As [`try_get_or_load`](Self::try_get_or_load), and says where the value came from.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    /// use clockhand::load::LoadSource;
    ///
    /// let cache = Cache::new(100);
    /// let load = |_: &u8| Ok::<_, String>("value");
    /// assert_eq!(cache.get_or_load_with_source(1, load).unwrap().source, LoadSource::Loaded);
    /// assert_eq!(cache.get_or_load_with_source(1, load).unwrap().source, LoadSource::Hit);
    /// ```
    pub fn get_or_load_with_source<E>(
        &self,
        key: K,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        self.load_with(key, Wish::default(), load)
    }

    /// As [`try_get_or_load`](Self::try_get_or_load), and waits for another caller's load at most
    /// this long.
    ///
    /// A caller that gives up takes nobody with it. The caller's own loader is not interrupted.
    ///
    /// # Errors
    ///
    /// As there, and [`LoadError::TimedOut`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let cache = Cache::new(100);
    /// let soon = Duration::from_millis(50);
    /// let loaded = cache.get_or_load_timeout(1, soon, |_| Ok::<_, String>("value"));
    /// assert_eq!(loaded, Ok("value"));
    /// ```
    pub fn get_or_load_timeout<E>(
        &self,
        key: K,
        timeout: Duration,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let until = Instant::now().checked_add(timeout);
        let wish = Wish { until, ..Wish::default() };
        self.load_with(key, wish, load).map(|loaded| loaded.value)
    }

    pub(super) fn load_with<E>(
        &self,
        key: K,
        wish: Wish,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let key = NoAbort::new(key);
        let loaded = NoAbort::new(match self.get(&*key) {
            Some(value) => Ok(Loaded::new(value, LoadSource::Hit)),
            None => self.load_missing(&key, wish, load),
        });
        drop(key);
        loaded.into_inner()
    }

    /// Joins the load of a key, or is the leader of a new one.
    #[cold]
    pub(super) fn load_missing<E>(
        &self,
        key: &K,
        wish: Wish,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        match turn(self, key, LoadKind::Load, wish) {
            Turn::Told(loaded) => loaded,
            // Nobody tells this caller that there is no value: its own loader decides.
            Turn::Alone | Turn::Absent => alone::load(self, key, wish, load),
            Turn::Lead(lead) => {
                lead.begin(Kind::Thread);
                let loaded = lead.enter(|| load(&lead.key));
                settle(lead, loaded, wish)
            }
        }
    }
}

/// Looks for the value of a key, begins its load, or joins it and waits as a thread, until there is
/// something for the caller to learn or to do.
///
/// Ends: each round but the last has met a load that ended, with nothing that this caller could use.
pub(super) fn turn<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    fare: LoadKind,
    wish: Wish,
) -> Turn<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    loop {
        match start(cache, key, fare, Kind::Thread, |rest| wish.failure::<E>(rest).is_some()) {
            Start::Live(value) => {
                return Turn::Told(Ok(Loaded::new(value.into_inner(), LoadSource::Hit)));
            }
            Start::Lead(lead) => return Turn::Lead(lead),
            Start::Nothing => return Turn::Alone,
            Start::Failed(rest) => {
                let failure = wish.failure::<E>(&rest);
                if let Some(turn) = failure.and_then(|failure| wish.answer(cache, key, failure)) {
                    return turn;
                }
            }
            Start::Join(lead) => {
                if let Some(turn) = wait(lead, wish.until).turn(cache, key, wish) {
                    return turn;
                }
            }
        }
    }
}

/// Waits for a flight.
fn wait<K, V, S>(lead: Lead<K, V, S>, until: Option<Instant>) -> Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let flight = &lead.flight;
    let Some(waiting) = Waiting::begin(Arc::clone(flight) as _, true) else { return Ended::Cycle };
    let sleep = Sleep::new();
    let waker = sleep.waker();
    let Some(seat) = flight.join(Kind::Thread, waker.clone()) else { return Ended::Over(None) };
    lead.cache.engine().count_load(|loads| &loads.joined);
    loop {
        match flight.poll(seat, &waker, now()) {
            News::Over(outcome) => return Ended::Over(outcome.map(NoAbort::new)),
            News::Promoted => {
                drop(waiting);
                return Ended::Promoted(lead.promote(seat));
            }
            News::Wait => {}
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let over = (left == Some(Duration::ZERO)).then_some(Ended::TimedOut);
        if let Some(over) = over.or_else(|| waiting.closes().then_some(Ended::Cycle)) {
            if flight.leave(seat, now()) {
                lead.clear_away();
            }
            return over;
        }
        // The leader may stall: a waiter looks from time to time.
        let look = flight.limits().period();
        sleep.rest(left.map_or(look, |left| left.min(look)));
    }
}
