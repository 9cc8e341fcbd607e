//! The handle of a predictor, and its thread.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::io;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use super::builder::PredictorBuilder;
use super::job::JobRunner;
use super::pace::{INTERVAL, StepCounts};
use super::round::Rounds;
#[cfg(feature = "persist")]
use super::saved::Saved;
use super::stats::PredictorStats;
#[cfg(feature = "async")]
use crate::load::AsyncLoader;
use crate::load::{Loader, LoadingCache};
#[cfg(feature = "persist")]
use crate::persist::PersistError;
use crate::sync::{AtomicU64, Mutex, PeriodicThread, Relaxed, lock};

/// Loads what is likely to be asked for, before it is: see the [module](super).
///
/// Made by [`Predictor::builder`]. Threads may share it. The predictor stops when this is dropped, and when the cache
/// is: it does not keep the cache alive.
///
/// # Examples
///
/// Without a thread and under a manual clock, as in a test: a key that is read every second is renewed before its value ends.
///
/// ```
/// use std::time::Duration;
/// use clockhand::predict::{Budget, Predictor};
/// use clockhand::{Cache, Clock};
///
/// let (clock, manual) = Clock::manual();
/// let builder = Cache::builder().capacity(100).clock(clock).time_to_live(Duration::from_secs(10));
/// let quotes = builder.build()?.loading(|key: &u32| Ok::<_, String>(key * 2));
/// let predictor = Predictor::builder(&quotes)
///     .budget(Budget::per_second(10.0))
///     .unix_time(Duration::from_secs(1_800_000_000))
///     .build()?;
/// for _ in 0..600 {
///     (0..5).for_each(|key| assert_eq!(quotes.get(&key), Ok(key * 2)));
///     for _ in 0..4 {
///         manual.advance(Duration::from_millis(250));
///         assert!(predictor.step());
///     }
/// }
/// predictor.pause();
/// predictor.resume();
/// let stats = predictor.stop();
/// assert!(stats.reuse.useful > 200 && stats.reuse.wasted == 0, "{stats:?}");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Predictor {
    shared: Arc<Shared>,
    rounds: Arc<dyn Steps>,
    /// Dropped first, which waits for its round.
    thread: Option<PeriodicThread>,
}

#[derive(Debug)]
struct Shared {
    stats: Mutex<PredictorStats>,
    paused: Relaxed<AtomicU64>,
    stopped: Relaxed<AtomicU64>,
}

/// Rounds on a cache of any type.
trait Steps: Send + Sync {
    /// Does a round; `None` if the cache is gone, or the predictor was stopped.
    fn step(&self, shared: &Shared) -> Option<PredictorStats>;

    /// What was learned; `None` if the predictor was stopped.
    #[cfg(feature = "persist")]
    fn saved(&self) -> Option<Result<Saved, PersistError>>;

    /// Lets go of everything.
    fn end(&self);
}

/// The rounds, and the thread that is in one: it runs code of the user's, which may save the predictor, or drop it.
struct SharedRounds<K, V, L, S> {
    rounds: Mutex<Option<Rounds<K, V, L, S>>>,
    in_round: Mutex<Option<ThreadId>>,
}

impl<K, V, L, S> SharedRounds<K, V, L, S> {
    /// Whether the calling thread is in a round, and so has the lock of the rounds.
    fn is_own_round(&self) -> bool {
        *lock(&self.in_round) == Some(thread::current().id())
    }
}

/// A round of the calling thread, from its beginning to its end or its panic.
struct InRound<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> InRound<'a> {
    fn begin(in_round: &'a Mutex<Option<ThreadId>>) -> Self {
        *lock(in_round) = Some(thread::current().id());
        Self(in_round)
    }
}

impl Drop for InRound<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

impl<K, V, L, S> Steps for SharedRounds<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn step(&self, shared: &Shared) -> Option<PredictorStats> {
        let mut rounds = match self.rounds.try_lock() {
            Ok(rounds) => rounds,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // A loader, or another thread, steps while a round is under way.
            Err(TryLockError::WouldBlock) => return Some(lock(&shared.stats).clone()),
        };
        let in_round = InRound::begin(&self.in_round);
        let stats = rounds.as_mut()?.round(shared.paused.get() != 0);
        drop(in_round);
        let mut shown = lock(&shared.stats);
        match stats {
            Some(stats) => {
                let (working, running) =
                    (shown.working, stats.running && shared.stopped.get() == 0);
                *shown = PredictorStats { working, running, ..stats };
                Some(shown.clone())
            }
            None => {
                shown.running = false;
                None
            }
        }
    }

    #[cfg(feature = "persist")]
    fn saved(&self) -> Option<Result<Saved, PersistError>> {
        if self.is_own_round() {
            let own = io::Error::other("the predictor cannot be saved within a round of its own");
            return Some(Err(own.into()));
        }
        lock(&self.rounds).as_ref().map(Rounds::saved)
    }

    fn end(&self) {
        // Stopped by code that runs in a round: it would wait for itself. The thread ends with the round, and lets go of
        // everything then.
        if self.is_own_round() {
            return;
        }
        // Dropped after the lock is released: it may hold the last handle of the cache.
        let rounds = lock(&self.rounds).take();
        drop(rounds);
    }
}

impl Predictor {
    /// A predictor for a cache with a loader, to be set up.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See the [module](super).
    pub fn builder<K, V, L, S>(loading: &LoadingCache<K, V, L, S>) -> PredictorBuilder<K, V, L, S>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: Loader<K, V> + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        PredictorBuilder::new(loading.clone(), JobRunner::of_threads())
    }

    /// As [`builder`](Self::builder), for a cache with an [`AsyncLoader`]: its loads are tasks, which it gives to the
    /// cache's [`spawner`](LoadingCache::spawner), up to 32 loads in one. Without a spawner none can be built.
    ///
    /// While a runtime does not run four of its tasks, it starts no more. A task that is dropped has failed, as far as it
    /// has begun.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    /// use clockhand::predict::{Budget, Predictor};
    ///
    /// let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    /// let handle = runtime.handle().clone();
    /// let quotes = Cache::new(100)
    ///     .loading(|key: &u64| std::future::ready(Ok::<_, String>(key * 2)))
    ///     .spawner(move |task| drop(handle.spawn(task)));
    /// let predictor = Predictor::builder_async(&quotes).budget(Budget::per_second(10.0)).start()?;
    /// assert_eq!(runtime.block_on(quotes.get_async(&4)), Ok(8));
    /// predictor.stop();
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "async")]
    pub fn builder_async<K, V, L, S>(
        loading: &LoadingCache<K, V, L, S>,
    ) -> PredictorBuilder<K, V, L, S>
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: AsyncLoader<K, V> + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        PredictorBuilder::new(loading.clone(), JobRunner::of_tasks())
    }

    pub(super) fn new<K, V, L, S>(rounds: Rounds<K, V, L, S>) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone + Send + Sync + 'static,
        L: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        let stats = PredictorStats { running: true, ..PredictorStats::default() };
        let [paused, stopped] = [(); 2].map(|()| Relaxed::<AtomicU64>::new(0));
        let shared = Arc::new(Shared { stats: Mutex::new(stats), paused, stopped });
        let rounds = SharedRounds { rounds: Mutex::new(Some(rounds)), in_round: Mutex::new(None) };
        Self { shared, rounds: Arc::new(rounds), thread: None }
    }

    /// Starts the thread, which takes no more than this share of a processor.
    pub(super) fn start(mut self, cpu_share: f64) -> io::Result<Self> {
        let (shared, rounds) = (Arc::clone(&self.shared), Arc::clone(&self.rounds));
        let (mut reads, mut steps) = (0, 0);
        let round = move || {
            let begun = Instant::now();
            let stats = rounds.step(&shared)?;
            let took = begun.elapsed();
            lock(&shared.stats).working += took;
            let (reads_before, steps_before) = (reads, steps);
            (reads, steps) = (stats.evidence, stats.steps);
            let work =
                StepCounts { reads: reads - reads_before, steps: steps - steps_before, took };
            Some(work.rest(cpu_share))
        };
        self.thread = Some(PeriodicThread::start("clockhand-pred", INTERVAL, round)?);
        Ok(self)
    }

    /// Does one round now: takes what reads have told, learns, decides, and runs its loads on the calling thread. For
    /// predictors that were [built](PredictorBuilder::build) without a thread; those that have one do so by
    /// themselves, and their loads run elsewhere.
    ///
    /// Returns whether the cache is there. While another thread, or the caller's own loader, is in a round, it does
    /// nothing.
    ///
    /// # Progress
    ///
    /// Runs the loader.
    ///
    /// # Examples
    ///
    /// See [`Predictor`].
    pub fn step(&self) -> bool {
        self.rounds.step(&self.shared).is_some()
    }

    /// What it has done, as of its last round.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// See [`Predictor`].
    pub fn stats(&self) -> PredictorStats {
        lock(&self.shared.stats).clone()
    }

    /// A function that returns [`stats`](Self::stats), for exporters. It does not keep the predictor running; after
    /// that has stopped, it returns the last ones.
    ///
    /// # Progress
    ///
    /// Wait-free: a clone of a handle. The function itself takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    /// use clockhand::predict::{Budget, Predictor};
    ///
    /// let quotes = Cache::new(100).loading(|key: &u32| Ok::<_, String>(*key));
    /// let predictor = Predictor::builder(&quotes).budget(Budget::per_second(10.0)).build()?;
    /// let stats = predictor.stats_source();
    /// assert!(stats().running);
    /// drop(predictor);
    /// assert!(!stats().running);
    /// # Ok::<_, clockhand::predict::PredictError>(())
    /// ```
    pub fn stats_source(&self) -> impl Fn() -> PredictorStats + Clone + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move || lock(&shared.stats).clone()
    }

    /// Starts no load until [`resume`](Self::resume) is called; goes on learning. Loads that are under way end.
    ///
    /// # Progress
    ///
    /// Wait-free: a store.
    ///
    /// # Examples
    ///
    /// See [`Predictor`].
    pub fn pause(&self) {
        self.shared.paused.set(1);
    }

    /// Goes on after [`pause`](Self::pause).
    ///
    /// # Progress
    ///
    /// Wait-free: a store.
    ///
    /// # Examples
    ///
    /// See [`Predictor`].
    pub fn resume(&self) {
        self.shared.paused.set(0);
    }

    /// Writes what both models have learned into a file, which is replaced in one step. What is known of single keys is
    /// in it if the builder was told to [save keys](PredictorBuilder::save_keys); otherwise it is there again after a few
    /// of their lifetimes. Needs feature `persist`.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for the round that is under way, and for the disk.
    ///
    /// # Errors
    ///
    /// If the file could not be written, or this is called by code that runs in a round: the old one stays.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder::restore_file`].
    #[cfg(feature = "persist")]
    pub fn save_file(&self, path: impl AsRef<std::path::Path>) -> Result<(), PersistError> {
        self.saved()?.write_file(path.as_ref())
    }

    /// As [`save_file`](Self::save_file), into any writer.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for the round that is under way, and for the writer.
    ///
    /// # Errors
    ///
    /// If that could not be written, or this is called by code that runs in a round.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder::restore_from`].
    #[cfg(feature = "persist")]
    pub fn save_to(&self, to: impl std::io::Write) -> Result<(), PersistError> {
        self.saved()?.write(to)
    }

    #[cfg(feature = "persist")]
    fn saved(&self) -> Result<Saved, PersistError> {
        let gone = || std::io::Error::other("the predictor was stopped");
        self.rounds.saved().ok_or_else(gone)?
    }

    /// Stops, and waits for the round that is under way, unless the caller runs in it, but not for loads. Dropping it does the same. What it knows
    /// is lost, unless it was saved.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for its thread.
    ///
    /// # Examples
    ///
    /// See [`Predictor`].
    pub fn stop(self) -> PredictorStats {
        let shared = Arc::clone(&self.shared);
        drop(self);
        lock(&shared.stats).clone()
    }
}

impl Drop for Predictor {
    fn drop(&mut self) {
        self.shared.stopped.set(1);
        drop(self.thread.take());
        self.rounds.end();
        lock(&self.shared.stats).running = false;
    }
}

impl fmt::Debug for Predictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor").field("shared", &self.shared).finish_non_exhaustive()
    }
}

/// A panic of user code ends a round, and leaves what was learned as it was before or after it.
impl UnwindSafe for Predictor {}
impl RefUnwindSafe for Predictor {}
