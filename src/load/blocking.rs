//! Waiting as a thread.

use std::convert::Infallible;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, Instant};

use equivalent::Equivalent;

use super::caller::Caller;
use super::cycle::WaitEdge;
use super::flight::{FlightPoll, Runner};
use super::fresh::{Answer, Fresh};
use super::next::{LoadOptions, Next, finish_load, next_or_join};
use super::{LoadError, LoadSource, Loaded, alone, now, thin};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::sync::{NoAbort, Sleep};

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Returns the value of `key`, loaded if it is not there.
    ///
    /// Of any number of callers that miss concurrently, one calls its loader; the others wait for
    /// the value. It is put in only if nothing was inserted, removed, invalidated or computed for
    /// the key since the load began: callers after such an operation start a load of their own. A
    /// value that does not fit into the capacity is returned all the same. The loader may answer a
    /// [`Fresh`], which says how long its value lives.
    ///
    /// If the loader panics, only its own caller does: the caller that has waited longest calls its
    /// own loader. The loader may use the cache, including loads of other keys.
    ///
    /// # Panics
    ///
    /// If the loader panics, or if it asks for its own key or for one whose loader waits for it:
    /// [`try_get_or_load`](Self::try_get_or_load) returns an error instead.
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
    #[doc(alias = "get_with")]
    #[doc(alias = "get_or_insert_with")]
    #[doc(alias = "computeIfAbsent")]
    pub fn get_or_load<A, F>(&self, key: K, load: impl FnOnce(&K) -> A) -> V
    where
        A: Answer<V, F, Error = Infallible>,
    {
        let loaded = self.load_with(key, LoadOptions::default(), |key| load(key).into_fresh());
        match loaded {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("get_or_load: {error}"),
        }
    }

    /// Returns the value of `key`, loaded if it is not there, by a loader that may fail.
    ///
    /// As [`get_or_load`](Self::get_or_load). An error is returned to the caller whose loader
    /// failed and to all callers that joined it, and is not remembered: the next caller loads
    /// again. A caller that joined a loader with another type of error loads for itself.
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] with the loader's error. [`LoadError::Cycle`] if the caller would wait
    /// for itself, or for a task that only this thread polls, as in a runtime of one thread: if no
    /// other thread has polled the task so far, it is woken, and has a tenth of a second to be
    /// polled by another one. Tasks should use `try_get_or_load_async`.
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load).
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
    #[doc(alias = "try_get_with")]
    #[doc(alias = "get_or_insert_with")]
    pub fn try_get_or_load<E>(
        &self,
        key: K,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        self.load_with(key, LoadOptions::default(), |key| load(key).map(Fresh::new))
            .map(|loaded| loaded.value)
    }

    /// As [`try_get_or_load`](Self::try_get_or_load), and also returns where the value came from.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_load`](Self::try_get_or_load).
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load).
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
    #[doc(alias = "is_fresh")]
    pub fn get_or_load_with_source<E>(
        &self,
        key: K,
        load: impl FnOnce(&K) -> Result<V, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        self.load_with(key, LoadOptions::default(), |key| load(key).map(Fresh::new))
    }

    /// As [`try_get_or_load`](Self::try_get_or_load), and waits for another caller's load at most
    /// for `timeout`.
    ///
    /// A caller that stops waiting affects no other. The caller's own loader is not interrupted.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_load`](Self::try_get_or_load), and [`LoadError::TimedOut`].
    ///
    /// # Progress
    ///
    /// A hit is wait-free. A miss runs the loader, or waits for another caller that does, for
    /// `timeout` at most.
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
    #[doc(alias = "get_value_or_guard")]
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
        let options = LoadOptions { until, ..LoadOptions::default() };
        self.load_with(key, options, |key| load(key).map(Fresh::new)).map(|loaded| loaded.value)
    }

    /// As [`get_or_load`](Self::get_or_load), for a key that is borrowed: it is cloned on a miss only.
    ///
    /// # Panics
    ///
    /// As [`get_or_load`](Self::get_or_load).
    ///
    /// # Progress
    ///
    /// As [`get_or_load`](Self::get_or_load); a hit allocates nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let lengths: Cache<String, usize> = Cache::new(100);
    /// assert_eq!(lengths.get_or_load_by_ref("four", |word| word.len()), 4);
    /// assert_eq!(lengths.get("four"), Some(4));
    /// ```
    #[doc(alias = "get_with_by_ref")]
    pub fn get_or_load_by_ref<Q, A, F>(&self, key: &Q, load: impl FnOnce(&Q) -> A) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        A: Answer<V, F, Error = Infallible>,
    {
        match self.load_by_ref(key, LoadOptions::default, |key| load(key).into_fresh()) {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("get_or_load_by_ref: {error}"),
        }
    }

    /// As [`try_get_or_load`](Self::try_get_or_load), for a key that is borrowed: it is cloned on a miss only.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_load`](Self::try_get_or_load).
    ///
    /// # Progress
    ///
    /// As [`get_or_load_by_ref`](Self::get_or_load_by_ref).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let numbers: Cache<String, i32> = Cache::new(100);
    /// assert_eq!(numbers.try_get_or_load_by_ref("12", |text| text.parse()), Ok(12));
    /// assert!(numbers.try_get_or_load_by_ref("twelve", |text| text.parse()).is_err());
    /// ```
    #[doc(alias = "try_get_with_by_ref")]
    pub fn try_get_or_load_by_ref<Q, E>(
        &self,
        key: &Q,
        load: impl FnOnce(&Q) -> Result<V, E>,
    ) -> Result<V, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
    {
        let load = |key: &Q| load(key).map(Fresh::new);
        self.load_by_ref(key, LoadOptions::default, load).map(|loaded| loaded.value)
    }

    pub(super) fn load_with<E>(
        &self,
        key: K,
        options: LoadOptions,
        load: impl FnOnce(&K) -> Result<Fresh<V>, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let key = NoAbort::new(key);
        let loaded = NoAbort::new(match self.get(&*key) {
            Some(value) => Ok(Loaded::new(value, LoadSource::Hit)),
            None => self.load_missing(&key, options, load),
        });
        drop(key);
        loaded.into_inner()
    }

    /// Joins the load of `key`, or leads a new one.
    #[cold]
    pub(super) fn load_missing<E>(
        &self,
        key: &K,
        options: LoadOptions,
        load: impl FnOnce(&K) -> Result<Fresh<V>, E>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let load = match thin::load(self, key, options, load) {
            Ok(loaded) => return loaded,
            Err(load) => load,
        };
        match join_or_lead(self, key, LoadKind::Load, options) {
            Next::Done(loaded) => loaded,
            // This caller does not take another loader's word that there is no value.
            Next::LoadAlone | Next::Absent => alone::load(self, key, options, load),
            Next::Lead(leader) => {
                leader.start_run(Runner::Thread);
                let loaded = leader.enter(|| load(&leader.key));
                let (loaded, options) = options.with_terms(self, loaded);
                finish_load(leader, loaded, options)
            }
        }
    }
}

/// Looks for the value of `key`, begins a load of it, or joins one and waits as a thread. Returns
/// what the caller does next.
///
/// Ends: each round except the last has found a load that ended with nothing this caller could use.
pub(super) fn join_or_lead<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    kind: LoadKind,
    options: LoadOptions,
) -> Next<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    loop {
        match next_or_join(cache, key, (kind, Runner::Thread), &options) {
            Ok(next) => return next,
            Err(caller) => {
                if let Some(next) = wait(caller, &options) {
                    return next;
                }
            }
        }
    }
}

/// Waits for a flight. Returns `None` if the caller has to look for the key again.
fn wait<K, V, S, E>(caller: Caller<K, V, S>, options: &LoadOptions) -> Option<Next<K, V, S, E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    let flight = &caller.flight;
    let cycle = || Some(Next::Done(Err(LoadError::Cycle)));
    // Before it joins: once it is in the queue it may be promoted.
    let Some(edge) = WaitEdge::begin(Arc::clone(flight) as _, true) else { return cycle() };
    let sleep = Sleep::new();
    let waker = sleep.waker();
    let id = flight.join(Runner::Thread, waker.clone())?;
    caller.cache.engine().count_load(|loads| &loads.joined);
    loop {
        match flight.poll(id, &waker, now()) {
            FlightPoll::Over(outcome) => {
                // The edge before user code runs: it ends with the wait.
                drop(edge);
                return Next::after_flight(&caller, NoAbort::new(outcome?), options);
            }
            FlightPoll::Promoted => {
                drop(edge);
                return Some(Next::promoted(caller, id));
            }
            FlightPoll::Pending => {}
        }
        let left = options.until.map(|until| until.saturating_duration_since(Instant::now()));
        let timed_out = left == Some(Duration::ZERO);
        if timed_out || edge.is_cyclic() {
            caller.leave(id);
            drop(edge);
            return if timed_out { Some(Next::timed_out(&caller, options)) } else { cycle() };
        }
        // The leader may stall: a waiter checks that from time to time.
        let period = flight.limits().period();
        sleep.rest(left.map_or(period, |left| left.min(period)));
    }
}
