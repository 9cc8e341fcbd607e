//! How a predictor is set up.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use super::budget::Budget;
use super::error::PredictError;
use super::features::{Features, NoFeatures};
use super::handle::Predictor;
use super::job::{JobRunner, RunJob};
use super::key_view::KeyView;
use super::round::Rounds;
#[cfg(feature = "persist")]
use super::saved::{Saved, SavedModels};
#[cfg(feature = "persist")]
use super::saved_keys::{KeyForm, KnownKeys};
use super::settings::PredictSettings;
use crate::load::LoadingCache;
#[cfg(feature = "persist")]
use crate::persist::PersistError;
use crate::random_state::RandomState;

/// Sets a [`Predictor`] up. Made by [`Predictor::builder`].
///
/// Only the [`budget`](Self::budget) has to be set.
///
/// # Progress
///
/// All methods are wait-free, but for those that say otherwise: they set a field.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use clockhand::Cache;
/// use clockhand::predict::{Budget, Features, Predictor};
///
/// struct Venues;
///
/// impl Features<u32> for Venues {
///     fn class(&self, key: &u32) -> u8 {
///         (key / 1_000_000) as u8
///     }
/// }
///
/// let cache = Cache::builder().capacity(10_000).time_to_live(Duration::from_secs(900)).build()?;
/// let candles = cache.loading(|key: &u32| Ok::<_, String>(u64::from(*key)));
/// let predictor = Predictor::builder(&candles)
///     .budget(Budget::share(0.3))
///     .memory(4 << 20)
///     .horizon(Duration::from_secs(2))
///     .precision_floor(0.5)
///     .successors(false)
///     .features(Venues)
///     .max_running(8)
///     .cpu_share(0.01)
///     .start()?;
/// # drop(predictor);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `start` is called"]
pub struct PredictorBuilder<K, V, L, S = RandomState> {
    loading: LoadingCache<K, V, L, S>,
    settings: PredictSettings,
    features: Box<dyn Features<K>>,
    jobs: JobRunner<K, V, L, S>,
    #[cfg(feature = "persist")]
    saved: Option<(SavedModels, Option<KnownKeys<K>>)>,
    #[cfg(feature = "persist")]
    codec: Option<KeyForm<K>>,
}

impl<K, V, L, S> PredictorBuilder<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(super) fn new(loading: LoadingCache<K, V, L, S>, jobs: JobRunner<K, V, L, S>) -> Self {
        Self {
            loading,
            settings: PredictSettings::new(),
            features: Box::new(NoFeatures),
            jobs,
            #[cfg(feature = "persist")]
            saved: None,
            #[cfg(feature = "persist")]
            codec: None,
        }
    }

    /// How many loads it may start. Demand loads do not wait for it, whatever it is.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn budget(mut self, budget: Budget) -> Self {
        self.settings.budget = budget;
        self
    }

    /// The bytes that it takes at most, a mebibyte by default: for what both models know, the keys included, what a round
    /// is told, the loads that it wants, and the keys of those that are under way. Where both models are on, they have equal shares; in a cache
    /// whose values do not end, Successors has all of it.
    ///
    /// Of keys, it counts what their type takes, and on the heap what strings and byte vectors have there; for types of
    /// your own see [`Features::key_bytes`]. Keys that are very long are not remembered. Beside this there are: eight
    /// kibibytes for each thread that uses the cache; the thread's stack; your [`Features`]; while a round works, a copy
    /// of the key at hand; while it is saved or restored, what is written or read.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn memory(mut self, bytes: usize) -> Self {
        self.settings.memory = bytes;
        self
    }

    /// How far it looks ahead, a second by default. A value is renewed when it is so close to its end, or in the last
    /// eighth of its life if that is shorter. A key follows another one if it is asked for so soon after it.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.settings.horizon = horizon;
        self
    }

    /// The share of its loads that have to be of use, 0.3 by default. A model, or a class of keys, that falls below it
    /// is stopped for a minute, and longer each time; then it may start a few loads again.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn precision_floor(mut self, floor: f64) -> Self {
        self.settings.precision_floor = floor;
        self
    }

    /// Whether values that are about to end are renewed. On by default.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn reuse(mut self, on: bool) -> Self {
        self.settings.reuse = on;
        self
    }

    /// Whether keys are loaded that follow others. On by default.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn successors(mut self, on: bool) -> Self {
        self.settings.successors = on;
        self
    }

    /// What the user knows of keys.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn features(mut self, features: impl Features<K> + 'static) -> Self {
        self.features = Box::new(features);
        self
    }

    /// It starts no load while the cache has `loads` under way, 16 by default: demand loads go first.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn max_running(mut self, loads: usize) -> Self {
        self.settings.max_running = loads;
        self
    }

    /// The share of one processor that its thread takes at most, without the loads; 0.02 by default.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn cpu_share(mut self, share: f64) -> Self {
        self.settings.cpu_share = share;
        self
    }

    /// The time since 1970, in the time zone in which days begin, at the moment at which the predictor is built; the system's, in UTC, by
    /// default. For caches with a manual clock, and for those whose days begin elsewhere.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn unix_time(mut self, now: Duration) -> Self {
        self.settings.unix_time = Some(now);
        self
    }

    /// Goes on from what [`Predictor::save_file`] has written, in the models that are on: where they had
    /// been right, they start loads at once. Needs feature `persist`.
    ///
    /// # Progress
    ///
    /// **Blocking**: reads the file.
    ///
    /// # Errors
    ///
    /// If there is no such file, or it is foreign, newer, of another type of keys, truncated or changed. Nothing is
    /// taken over then; begin without it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("clockhand-predict-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("learned");
    /// use clockhand::Cache;
    /// use clockhand::predict::{Budget, Predictor};
    ///
    /// let quotes = Cache::new(100).loading(|key: &u32| Ok::<_, String>(*key));
    /// let mut builder = Predictor::builder(&quotes).budget(Budget::per_second(10.0));
    /// if path.exists() {
    ///     builder = builder.restore_file(&path)?;
    /// }
    /// let predictor = builder.start()?;
    /// predictor.save_file(&path)?;
    /// # drop(predictor);
    /// # let builder = Predictor::builder(&quotes).budget(Budget::per_second(10.0));
    /// # assert!(builder.restore_file(&path)?.build().is_ok());
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "persist")]
    pub fn restore_file(self, path: impl AsRef<std::path::Path>) -> Result<Self, PersistError> {
        self.restore_from(std::io::BufReader::new(std::fs::File::open(path)?))
    }

    /// As [`restore_file`](Self::restore_file), from what [`Predictor::save_to`] has written. Needs feature `persist`.
    ///
    /// # Progress
    ///
    /// **Blocking**: reads all that was written.
    ///
    /// # Errors
    ///
    /// As [`restore_file`](Self::restore_file).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    /// use clockhand::predict::{Budget, Predictor};
    ///
    /// let quotes = Cache::new(100).loading(|key: &u32| Ok::<_, String>(*key));
    /// let builder = || Predictor::builder(&quotes).budget(Budget::per_second(10.0)).save_keys();
    /// let mut bytes = Vec::new();
    /// let predictor = builder().start()?;
    /// predictor.save_to(&mut bytes)?;
    /// predictor.stop();
    /// let predictor = builder().restore_from(&*bytes)?.start()?;
    /// # drop(predictor);
    /// assert!(builder().restore_from(&bytes[1..]).is_err());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "persist")]
    pub fn restore_from(mut self, from: impl std::io::Read) -> Result<Self, PersistError> {
        let saved = Saved::read(from, std::any::type_name::<K>())?;
        let keys = match saved.keys.zip(self.codec) {
            Some((keys, codec)) => Some(keys.decode(codec).ok_or(PersistError::Corrupt { at: 0 })?),
            None => None,
        };
        self.saved = Some((saved.models, keys));
        Ok(self)
    }

    /// Has what is known of single keys saved with the models, and restored by the calls of
    /// [`restore_file`](Self::restore_file) that follow: in which order they were missed, how often and when they were
    /// asked for. Keys that were about to be asked for are then loaded after a restart, before they are. Without this,
    /// keys in a file are passed over. Needs feature `persist`.
    ///
    /// # Examples
    ///
    /// See [`restore_from`](Self::restore_from).
    #[cfg(feature = "persist")]
    pub fn save_keys(mut self) -> Self
    where
        K: serde::Serialize + serde::de::DeserializeOwned,
    {
        self.codec = Some(KeyForm::new());
        self
    }

    /// Starts it, with a thread named `clockhand-pred`. Its loads run on the
    /// [executor](LoadingCache::executor) of the loading cache.
    ///
    /// # Progress
    ///
    /// **Blocking**: starts a thread.
    ///
    /// # Errors
    ///
    /// If a setting is not sound, the cache has a predictor already, or the thread could not be started.
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn start(self) -> Result<Predictor, PredictError> {
        let (cpu_share, run_job) = (self.settings.cpu_share, self.jobs.threaded);
        self.make(run_job)?.start(cpu_share).map_err(PredictError::Thread)
    }

    /// Makes one without a thread, for tests and simulations: it works only when
    /// [`step`](Predictor::step) is called, and runs its loads there; those of an async loader are tasks in any case. With a manual clock, a hasher that is the same in each run,
    /// and [`unix_time`](Self::unix_time), it does the same for the same reads.
    ///
    /// # Progress
    ///
    /// **Blocking**: allocates its memory.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    ///
    /// # Examples
    ///
    /// See [`PredictorBuilder`].
    pub fn build(self) -> Result<Predictor, PredictError> {
        let run_job = self.jobs.stepped;
        self.make(run_job)
    }

    fn make(self, run_job: RunJob<K, V, L, S>) -> Result<Predictor, PredictError> {
        self.settings.check()?;
        #[cfg(feature = "async")]
        if self.jobs.wants_spawner && !self.loading.has_spawner() {
            return Err(PredictError::NoSpawner);
        }
        let bytes = self.settings.memory;
        let shares =
            Rounds::shares(&self.loading, &self.settings).ok_or(PredictError::Memory { bytes })?;
        if !self.loading.cache().engine().claim_predictor() {
            return Err(PredictError::AlreadyRunning);
        }
        let view = KeyView::new(self.features);
        #[cfg_attr(not(feature = "persist"), allow(unused_mut, reason = "nothing is restored"))]
        let mut rounds = Rounds::new(&self.loading, (self.settings, shares, view), run_job);
        #[cfg(feature = "persist")]
        {
            rounds.codec = self.codec;
            if let Some((models, keys)) = self.saved {
                rounds.restore(models);
                keys.into_iter().for_each(|keys| rounds.restore_keys(keys));
            }
        }
        Ok(Predictor::new(rounds))
    }
}

impl<K, V, L, S> fmt::Debug for PredictorBuilder<K, V, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PredictorBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
