//! Keys that are kept fresh.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[cfg(feature = "async")]
use super::AsyncLoader;
use super::bulk::into_option;
#[cfg(feature = "async")]
use super::executor::Executor;
use super::renewal::{RefreshStart, RenewalResult};
use super::{Loader, LoadingCache};
use crate::sync::{Mutex, MutexGuard, discard, lock, quietly};

/// Keeps a set of keys fresh: renews each of them every period, whether it is read or not.
///
/// It has a thread of its own, named `clockhand-warm`, which loads the keys by one call of
/// [`Loader::load_many`], for the first time at once; if the loader has no `load_many` of its own,
/// one key after another. A period that is shorter than the time to live renews every key ahead of
/// its expiry. A key whose failure is remembered ([`negative_ttl`](LoadingCache::negative_ttl)) is
/// not loaded, and counts as failed. The thread ends after the warmer was stopped or dropped.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::Cache;
/// use clockhand::load::Warmer;
///
/// let cache = Cache::new(100).loading(|key: &u64| Ok::<_, String>(key * 2));
/// let warmer = Warmer::start(&cache, [1, 2, 3], Duration::from_secs(60))?;
/// while warmer.status().rounds == 0 {
///     std::thread::yield_now();
/// }
/// assert_eq!(cache.cache().get(&3), Some(6));
/// warmer.stop();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Warmer {
    status: Arc<Mutex<WarmerStatus>>,
    /// Dropped to tell the thread to stop.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a [`Warmer`] has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct WarmerStatus {
    /// Whether the thread runs.
    pub running: bool,
    /// Rounds that are complete.
    pub rounds: u64,
    /// Values that were renewed, in all rounds.
    pub renewed: u64,
    /// Renewals that failed, in all rounds.
    pub failed: u64,
    /// The last failure, in words.
    pub last_failure: Option<String>,
}

/// Which keys are renewed in a round.
type KeySource<K> = Box<dyn Fn() -> Vec<K> + Send>;

impl Warmer {
    /// Keeps `keys` fresh.
    ///
    /// # Progress
    ///
    /// **Blocking**: starts a thread.
    ///
    /// # Errors
    ///
    /// If the thread could not be started.
    ///
    /// # Examples
    ///
    /// See [`Warmer`].
    pub fn start<K, V, L, S>(
        loading: &LoadingCache<K, V, L, S>,
        keys: impl IntoIterator<Item = K>,
        period: Duration,
    ) -> io::Result<Self>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: Loader<K, V, Error: fmt::Display> + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let keys = distinct(keys);
        Self::run(loading.clone(), Box::new(move || keys.clone()), period)
    }

    /// Keeps the up to `most` keys fresh that are read most, as
    /// [`Cache::hottest`](crate::Cache::hottest) returns them at the beginning of each round.
    ///
    /// # Progress
    ///
    /// **Blocking**: starts a thread.
    ///
    /// # Errors
    ///
    /// If the thread could not be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Warmer};
    ///
    /// let cache = Cache::new(100).loading(|key: &u64| Ok::<_, String>(key * 2));
    /// let warmer = Warmer::start_hottest(&cache, 10, Duration::from_secs(60))?;
    /// assert_eq!(warmer.stop().failed, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_hottest<K, V, L, S>(
        loading: &LoadingCache<K, V, L, S>,
        most: usize,
        period: Duration,
    ) -> io::Result<Self>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: Loader<K, V, Error: fmt::Display> + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let cache = loading.cache().clone();
        Self::run(loading.clone(), Box::new(move || cache.hottest(most)), period)
    }

    /// As [`start`](Self::start), for a cache with an [`AsyncLoader`]: its thread only keeps the time, and each round is
    /// a task that it gives to the cache's [`spawner`](LoadingCache::spawner).
    ///
    /// A runtime that does not run the task holds the next round up. One that drops it ends that round.
    ///
    /// # Progress
    ///
    /// **Blocking**: starts a thread.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the cache has no spawner; or if the thread could not be
    /// started.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::{Cache, Warmer};
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    /// let handle = runtime.handle().clone();
    /// let cache = Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)))
    ///     .spawner(move |task| drop(handle.spawn(task)));
    /// let warmer = Warmer::start_async(&cache, [1, 2, 3], Duration::from_secs(60))?;
    /// while warmer.status().rounds == 0 {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(cache.cache().get(&3), Some(6));
    /// assert_eq!(warmer.stop().renewed, 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "async")]
    pub fn start_async<K, V, L, S>(
        loading: &LoadingCache<K, V, L, S>,
        keys: impl IntoIterator<Item = K>,
        period: Duration,
    ) -> io::Result<Self>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: AsyncLoader<K, V, Error: fmt::Display> + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let Executor::Tasks(spawn) = &loading.settings.executor else {
            let error = "a warmer of a cache with an async loader needs a spawner";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        };
        let keys = distinct(keys);
        let (loading, spawn) = (loading.clone(), Arc::clone(spawn));
        Self::run_rounds(period, move |tell| {
            let (results, told) = mpsc::channel();
            let round = loading.clone().round_async(keys.clone(), move |renewed| {
                // Without a receiver the warmer was stopped.
                results.send(in_words(renewed)).is_ok()
            });
            spawn(Box::pin(round));
            let _ = told.into_iter().all(tell);
        })
    }

    fn run<K, V, L, S>(
        loading: LoadingCache<K, V, L, S>,
        keys: KeySource<K>,
        period: Duration,
    ) -> io::Result<Self>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: Loader<K, V, Error: fmt::Display> + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        Self::run_rounds(period, move |tell| {
            round(&loading, keys(), |renewed| tell(in_words(renewed)));
        })
    }

    /// Runs rounds on a thread. A round tells each result, and ends when it is answered false.
    fn run_rounds(
        period: Duration,
        mut round: impl FnMut(&dyn Fn(Result<(), String>) -> bool) + Send + 'static,
    ) -> io::Result<Self> {
        let status = Arc::new(Mutex::new(WarmerStatus { running: true, ..Default::default() }));
        let (stop, stopped) = mpsc::sync_channel::<()>(0);
        let shared = RunningStatus(Arc::clone(&status));
        let thread =
            thread::Builder::new().name("clockhand-warm".to_string()).spawn(move || {
                let goes_on = || stopped.try_recv() == Err(mpsc::TryRecvError::Empty);
                loop {
                    // A panic outside the loader (of a key's `Clone`, say) ends the round only.
                    let done = |renewed| {
                        shared.note(renewed);
                        goes_on()
                    };
                    quietly(|| round(&done));
                    if !goes_on() {
                        return;
                    }
                    shared.status().rounds += 1;
                    if stopped.recv_timeout(period) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self { status, stop: Some(stop), thread: Some(thread) })
    }

    /// Returns what it has done so far.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// See [`Warmer`].
    pub fn status(&self) -> WarmerStatus {
        lock(&self.status).clone()
    }

    /// Stops after the load that is under way, and waits for that. Do not call it in a loader, for
    /// which the warmer may be waiting. Dropping a warmer does not wait.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for the warmer's thread.
    ///
    /// # Examples
    ///
    /// See [`Warmer`].
    pub fn stop(mut self) -> WarmerStatus {
        let status = Arc::clone(&self.status);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported already.
            thread.join().unwrap_or_else(discard);
        }
        lock(&status).clone()
    }
}

impl Drop for Warmer {
    fn drop(&mut self) {
        // The thread notices after the load that is under way. It is not waited for, as that load
        // may be the one that drops the warmer.
        drop(self.stop.take());
    }
}

/// The keys in their order, each of them once.
fn distinct<K: Hash + Eq + Clone>(keys: impl IntoIterator<Item = K>) -> Vec<K> {
    let mut seen = HashSet::new();
    keys.into_iter().filter(|key| seen.insert(key.clone())).collect()
}

/// Renews the keys, by one query as far as possible, until `tell` returns false.
fn round<K, V, L, S>(
    loading: &LoadingCache<K, V, L, S>,
    keys: Vec<K>,
    tell: impl Fn(RenewalResult<V, L::Error>) -> bool,
) where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Loader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    let room = loading.cache.engine().permits_for_batch(keys.len());
    let (mut leaders, mut others) = (Vec::new(), Vec::new());
    for key in keys {
        let begun =
            if loading.is_single() { RefreshStart::Other } else { loading.begin_refresh(&key) };
        match begun {
            RefreshStart::Lead(leader) => leaders.push(leader),
            RefreshStart::Failed(failed) => drop(tell(Some(failed))),
            RefreshStart::Other => others.push(key),
        }
    }
    let mut stopped = false;
    others.extend(loading.renew(leaders, |renewed| {
        stopped = !tell(renewed);
        !stopped
    }));
    drop(room);
    for key in others {
        if stopped {
            return;
        }
        stopped = !tell(quietly(|| match loading.begin_refresh(&key) {
            RefreshStart::Lead(leader) => into_option(loading.reload(leader)),
            RefreshStart::Failed(failed) => failed,
            RefreshStart::Other => loading.refresh(&key).map(Some),
        }));
    }
}

fn in_words<V, E: fmt::Display>(renewed: RenewalResult<V, E>) -> Result<(), String> {
    match renewed {
        Some(Ok(Some(_))) => Ok(()),
        Some(Ok(None)) => Err("there is no such key".to_string()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("the loader panicked".to_string()),
    }
}

/// The status as the thread holds it. Notes on drop that the thread does not run any more.
struct RunningStatus(Arc<Mutex<WarmerStatus>>);

impl RunningStatus {
    fn status(&self) -> MutexGuard<'_, WarmerStatus> {
        lock(&self.0)
    }

    fn note(&self, renewed: Result<(), String>) {
        let mut status = self.status();
        match renewed {
            Ok(()) => status.renewed += 1,
            Err(failure) => {
                status.failed += 1;
                status.last_failure = Some(failure);
            }
        }
    }
}

impl Drop for RunningStatus {
    fn drop(&mut self) {
        self.status().running = false;
    }
}
