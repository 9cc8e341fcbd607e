//! One round of the predictor: it takes the evidence, learns, decides, and starts loads.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::breaker::Breaker;
use super::budget::TokenBucket;
#[cfg(feature = "persist")]
use super::calendar::Calendar;
use super::candidate::{Candidate, CandidateQueue, Model};
use super::ends::{Ends, LoadEnd};
use super::job::RunJob;
use super::key_view::KeyView;
use super::memory::{MAX_LOADS, MemoryBudget};
use super::reuse::{CacheView, Reuse};
#[cfg(feature = "persist")]
use super::saved::{Saved, SavedModels};
#[cfg(feature = "persist")]
use super::saved_keys::{KeyForm, KeyWriter, KnownKeys, SavedKeys};
use super::settings::PredictSettings;
use super::stats::{ModelStats, PredictorStats};
use super::successors::Successors;
use crate::cache::Cache;
use crate::engine::{LoadCounts, Presence};
use crate::evidence::ReadEvent;
use crate::load::{LoadingCache, PredictedLoad, WeakLoadingCache};
#[cfg(feature = "persist")]
use crate::persist::PersistError;
use crate::sync::seeded;

const MONTH: Duration = Duration::from_secs(31 * 86_400);
/// Loads that one job runs, one after another or by one query.
const MAX_PER_JOB: usize = 32;
/// Jobs that are under way at a time.
const MAX_JOBS: usize = MAX_LOADS / MAX_PER_JOB;

/// All that the rounds work on.
pub(super) struct Rounds<K, V, L, S> {
    loading: WeakLoadingCache<K, V, L, S>,
    settings: PredictSettings,
    shares: MemoryBudget,
    view: KeyView<K>,
    #[cfg(feature = "persist")]
    calendar: Calendar,
    /// How keys are saved, if they are.
    #[cfg(feature = "persist")]
    pub(super) codec: Option<KeyForm<K>>,
    pub(super) reuse: Option<Reuse<K>>,
    pub(super) successors: Option<Successors<K>>,
    bucket: TokenBucket,
    breaker: Breaker,
    ends: Arc<Ends>,
    run_job: RunJob<K, V, L, S>,
    /// Loads that it has started, of which it knows that they called the loader.
    started: u64,
    overran: Option<Duration>,
    /// Which thread is heard first in the next round.
    next_thread: usize,
    /// Room for what a round is told, and for what it wants.
    events: Vec<ReadEvent>,
    wanted: CandidateQueue<K>,
    /// Loads that are under way, and the bytes that their keys have on the heap.
    running: usize,
    heap_of_running: usize,
    told: u64,
    reads: u64,
    stats: PredictorStats,
}

/// The time since the cache was built, and a month before: what was saved may have happened before.
fn now<K, V, S>(cache: &Cache<K, V, S>) -> Duration {
    let unsteady =
        seeded("predict-unsteady-time").then(|| UNIX_EPOCH.elapsed().unwrap_or_default());
    let off =
        unsteady.map_or(Duration::ZERO, |now| Duration::from_nanos(now.subsec_nanos().into()) * 64);
    MONTH.saturating_add(cache.engine().elapsed()).saturating_add(off)
}

/// The cache, as the models see it.
struct CacheState<'c, K, V, S> {
    cache: &'c Cache<K, V, S>,
    overran: Option<Duration>,
}

impl<K, V, S> CacheView<K> for CacheState<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    fn presence(&self, hash: u64) -> Option<Presence> {
        self.cache.engine().presence(hash)
    }

    fn key(&self, hash: u64) -> Option<K> {
        self.cache.engine().key_of_hash(hash)
    }

    fn hash(&self, key: &K) -> u64 {
        self.cache.engine().hash_of(key)
    }

    fn prefetch_room(&self) -> u64 {
        self.cache.engine().prefetch_room()
    }

    fn note_prefetched(&self, asked: bool) {
        self.cache.engine().note_prefetched(asked);
    }

    fn overran_since(&self, then: Duration) -> bool {
        self.overran.is_some_and(|overran| overran >= then)
    }
}

impl<K, V, L, S> Rounds<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    pub(super) fn new(
        loading: &LoadingCache<K, V, L, S>,
        (settings, shares, view): (PredictSettings, MemoryBudget, KeyView<K>),
        run_job: RunJob<K, V, L, S>,
    ) -> Self {
        let engine = loading.cache().engine();
        let (now, counts) = (now(loading.cache()), engine.load_counts());
        let has_reuse = Self::has_reuse(loading, &settings);
        let budget = (shares.model, settings.precision_floor);
        let calendar = settings.calendar(now);
        let reuse = has_reuse.then(|| Reuse::new(budget, (calendar, settings.horizon)));
        let successors = settings.successors.then(|| Successors::new(budget, settings.horizon));
        let bucket = TokenBucket::new(settings.budget, now, counts.started);
        engine.register_thread();
        let mut next_thread = 0;
        engine.collect_evidence(&mut next_thread, usize::MAX, |_| ());
        Self {
            loading: WeakLoadingCache::new(loading),
            settings,
            shares,
            view,
            #[cfg(feature = "persist")]
            calendar,
            #[cfg(feature = "persist")]
            codec: None,
            reuse,
            successors,
            bucket,
            breaker: Breaker::default(),
            ends: Arc::new(Ends::default()),
            run_job,
            started: 0,
            overran: None,
            next_thread,
            events: Vec::with_capacity(shares.reads),
            wanted: CandidateQueue::new(shares.loads, shares.heap_of_loads / 2),
            running: 0,
            heap_of_running: 0,
            told: 0,
            reads: engine.reads(),
            stats: PredictorStats { running: true, ..PredictorStats::default() },
        }
    }

    /// How the memory is divided; `None` if that is too little.
    pub(super) fn shares(
        loading: &LoadingCache<K, V, L, S>,
        settings: &PredictSettings,
    ) -> Option<MemoryBudget> {
        let has_reuse = Self::has_reuse(loading, settings);
        let models = usize::from(has_reuse) + usize::from(settings.successors);
        let shares = MemoryBudget::of::<K>(settings.memory, models, size_of::<Self>())?;
        let least_of_reuse = if has_reuse { Reuse::<K>::LEAST } else { 0 };
        let least_of_successors = if settings.successors { Successors::<K>::LEAST } else { 0 };
        (shares.model >= least_of_reuse.max(least_of_successors)).then_some(shares)
    }

    /// Where no value ends, there is nothing for Reuse to renew.
    fn has_reuse(loading: &LoadingCache<K, V, L, S>, settings: &PredictSettings) -> bool {
        let may_end = loading.cache().engine().values_may_end();
        settings.reuse && (may_end || !settings.successors)
    }

    /// Does a round; `None` if the cache is gone.
    pub(super) fn round(&mut self, paused: bool) -> Option<PredictorStats> {
        let Some(loading) = self.loading.upgrade() else {
            self.stats.running = false;
            return None;
        };
        let engine = loading.cache().engine();
        let now = now(loading.cache());
        self.take_ends(&loading, now);
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        if engine
            .collect_evidence(&mut self.next_thread, self.shares.reads, |event| events.push(event))
        {
            self.overran = Some(now);
        }
        self.told += events.len() as u64;
        self.learn(&loading, &events, now);
        self.events = events;
        self.stats.loads_held_back += std::mem::take(&mut self.wanted.held_back);
        let mut wanted = self.wanted.take();
        let counts = engine.load_counts();
        let given_up = if seeded("predict-given-up-is-failed") { 0 } else { counts.given_up };
        let demand = counts.started.saturating_sub(given_up + self.started);
        self.bucket.refill(now, demand);
        let failed = counts.failed.saturating_sub(given_up);
        self.breaker.look(counts.succeeded + failed, failed, now);
        if paused && !seeded("predict-pause-ignored") {
            wanted.clear();
        }
        self.start(&loading, wanted, &counts, now);
        self.stats.rounds += 1;
        self.note_stats(&loading, now, paused);
        Some(self.stats.clone())
    }

    fn learn(&mut self, loading: &LoadingCache<K, V, L, S>, events: &[ReadEvent], now: Duration) {
        let cache = CacheState { cache: loading.cache(), overran: self.overran };
        let (view, wanted) = (&mut self.view, &mut self.wanted);
        for event in events {
            if let Some(reuse) = &mut self.reuse {
                reuse.note_use((event.hash(), event.is_miss()), now, view, &cache);
            }
            if let Some(successors) = &mut self.successors {
                let read = (event.hash(), event.is_miss());
                successors.note_read(read, now, view, &cache, wanted);
            }
        }
        if let Some(reuse) = &mut self.reuse {
            reuse.look(now, view, &cache, wanted);
        }
        if let Some(successors) = &mut self.successors {
            successors.look(now, &cache);
        }
    }

    /// Starts the loads that may be started, those first that gain most.
    fn start(
        &mut self,
        loading: &LoadingCache<K, V, L, S>,
        wanted: Vec<Candidate<K>>,
        counts: &LoadCounts,
        now: Duration,
    ) {
        let mut left = self.allowance(counts, now);
        let mut room = loading.cache().engine().prefetch_room();
        room = room.saturating_sub(self.successors.as_ref().map_or(0, |model| model.loaded));
        let mut heap_of_loads = self.heap_of_running;
        let mut chosen: Vec<Candidate<K>> = Vec::with_capacity(wanted.len().min(left));
        for candidate in wanted {
            let twice = chosen.iter().any(|other| other.hash == candidate.hash);
            let fits = candidate.model == Model::Reuse || room > 0;
            let heap = heap_of_loads + candidate.heap;
            let has_memory = heap <= self.shares.heap_of_loads / 2;
            if !twice && fits && has_memory && left > 0 && self.bucket.take() {
                left -= 1;
                heap_of_loads = heap;
                room -= u64::from(candidate.model == Model::Successors);
                chosen.push(candidate);
                continue;
            }
            self.stats.loads_held_back += 1;
            if let (Model::Reuse, Some(reuse)) = (candidate.model, &mut self.reuse) {
                reuse.put_off(candidate.hash, now);
            }
        }
        if chosen.is_empty() {
            return;
        }
        self.breaker.begin(now);
        while !chosen.is_empty() {
            let job = chosen.drain(..chosen.len().min(MAX_PER_JOB)).collect();
            self.run(job);
        }
        // Of those that ran at once.
        self.take_ends(loading, now);
    }

    /// How many loads may be started now, whatever the budget: demand loads go first.
    fn allowance(&self, counts: &LoadCounts, now: Duration) -> usize {
        let running = usize::try_from(counts.running()).unwrap_or(usize::MAX);
        let own = self.ends.under_way();
        let most =
            if seeded("predict-demand-waits") { usize::MAX } else { self.settings.max_running };
        if running >= most || own >= MAX_JOBS {
            return 0;
        }
        let jobs = (MAX_JOBS - own) * MAX_PER_JOB;
        self.breaker.allowance(now).min(jobs).min(self.shares.loads.saturating_sub(self.running))
    }

    fn run(&mut self, chosen: Vec<Candidate<K>>) {
        // What is counted here is counted out by the ends of the job, which come in any case.
        self.running += chosen.len();
        self.heap_of_running += chosen.iter().map(|it| it.heap).sum::<usize>();
        let ends = chosen.iter().map(|it| LoadEnd::new(it.model, it.hash, it.heap)).collect();
        let keys = chosen.into_iter().map(|it| (it.key, it.renews)).collect();
        let (loading, ends) = (self.loading.clone(), self.ends.begin(ends));
        // A user's executor may panic, and a key while its load ends.
        self.view.guard(|| (self.run_job)(loading, keys, ends));
    }

    /// Learns what became of loads.
    fn take_ends(&mut self, loading: &LoadingCache<K, V, L, S>, now: Duration) {
        let cache = CacheState { cache: loading.cache(), overran: self.overran };
        for end in self.ends.take() {
            self.running -= 1;
            self.heap_of_running -= end.heap;
            let result = match end.end {
                PredictedLoad::Loaded => Some(true),
                PredictedLoad::Failed => Some(false),
                PredictedLoad::NotNeeded => None,
            };
            self.breaker.end(result, now);
            match result {
                None => self.bucket.give(),
                Some(loaded) => {
                    self.started += 1;
                    self.stats.loads += 1;
                    self.stats.loads_failed += u64::from(!loaded);
                }
            }
            let loaded = result == Some(true);
            match (end.model, &mut self.reuse, &mut self.successors) {
                (Model::Reuse, Some(reuse), _) => reuse.note_load(end.hash, loaded, now, &cache),
                (Model::Successors, _, Some(model)) => model.note_load(end.hash, loaded),
                _ => {}
            }
        }
    }

    /// What was learned.
    #[cfg(feature = "persist")]
    pub(super) fn saved(&self) -> Result<Saved, PersistError> {
        Ok(Saved { models: self.saved_models(), keys: self.saved_keys()? })
    }

    /// What is known of single keys, if that is to be saved and the cache is there.
    #[cfg(feature = "persist")]
    fn saved_keys(&self) -> Result<Option<SavedKeys>, PersistError> {
        let Some((codec, loading)) = self.codec.zip(self.loading.upgrade()) else {
            return Ok(None);
        };
        let now = now(loading.cache());
        let mut writer = KeyWriter::new(codec, self.calendar.unix_millis(now));
        if let Some(reuse) = &self.reuse {
            reuse.save_keys(now, &mut writer)?;
        }
        for history in self.successors.iter().map(|model| &model.history) {
            for (number, key) in history.events() {
                let hash = loading.cache().engine().hash_of(key);
                writer.missed(hash, key)?;
                let trust = history.trust_at(number, hash);
                trust.map_or(Ok(()), |trust| writer.trust(hash, key, trust))?;
            }
        }
        Ok(Some(writer.finish()))
    }

    /// What the models have learned of all keys.
    #[cfg(feature = "persist")]
    fn saved_models(&self) -> SavedModels {
        SavedModels {
            keys: std::any::type_name::<K>().to_string(),
            regression: self
                .reuse
                .as_ref()
                .map(|reuse| (reuse.regression.clone(), reuse.gates.shadow())),
            likelihoods: self
                .successors
                .as_ref()
                .map(|model| (model.likelihoods.clone(), model.gates.shadow())),
        }
    }

    /// Goes on from what was learned before, in the models that are on.
    #[cfg(feature = "persist")]
    pub(super) fn restore(&mut self, saved: SavedModels) {
        if let (Some(reuse), Some((regression, shadow))) = (&mut self.reuse, saved.regression) {
            reuse.regression = regression;
            reuse.gates.restore(shadow);
        }
        if let (Some(model), Some((learned, shadow))) = (&mut self.successors, saved.likelihoods) {
            model.likelihoods = learned;
            model.gates.restore(shadow);
        }
    }

    /// Goes on from what was known of single keys, in the models that are on.
    #[cfg(feature = "persist")]
    pub(super) fn restore_keys(&mut self, saved: KnownKeys<K>) {
        let Some(loading) = self.loading.upgrade() else { return };
        let (engine, now) = (loading.cache().engine(), now(loading.cache()));
        let ago = self.calendar.unix_millis(now).saturating_sub(saved.saved_at);
        let ago = Duration::from_millis(ago);
        if let Some(reuse) = &mut self.reuse {
            for (key, known) in saved.known {
                let hash = engine.hash_of(&key);
                reuse.restore_key((hash, key), (known, ago), now, &mut self.view);
            }
        }
        let Some(model) = &mut self.successors else { return };
        for key in saved.log {
            let heap = self.view.heap_of(&key);
            model.history.note((engine.hash_of(&key), key), heap);
        }
        for (key, trust) in saved.trust {
            if let Some(row) = model.history.row(engine.hash_of(&key)) {
                row.trust = trust;
            }
        }
    }

    fn note_stats(&mut self, loading: &LoadingCache<K, V, L, S>, now: Duration, paused: bool) {
        let reads = loading.cache().engine().reads().saturating_sub(self.reads);
        let stats = &mut self.stats;
        stats.running = !paused;
        stats.evidence = self.told;
        stats.evidence_dropped = reads.saturating_sub(self.told);
        stats.breaker = self.breaker.state(now);
        stats.tokens = self.bucket.tokens();
        stats.panics = self.view.panics();
        (stats.memory, stats.keys, stats.steps) = (self.shares.own, 0, 0);
        if let Some(reuse) = &self.reuse {
            stats.memory += reuse.bytes();
            stats.keys += reuse.keys.len();
            stats.steps += reuse.steps;
            stats.reuse = model_stats(reuse.state(now), &reuse.gates, &reuse.outcomes, now);
        }
        if let Some(model) = &self.successors {
            stats.memory += model.bytes();
            stats.keys += model.history.len();
            stats.steps += model.steps;
            stats.successors = model_stats(model.state(now), &model.gates, &model.outcomes, now);
        }
    }
}

fn model_stats(
    state: super::gate::ModelState,
    gates: &super::gate::Gates,
    outcomes: &super::outcomes::Outcomes,
    now: Duration,
) -> ModelStats {
    ModelStats {
        state,
        stopped_classes: gates.stopped_classes(now),
        judged: outcomes.judged,
        loads: outcomes.loads,
        useful: outcomes.useful,
        wasted: outcomes.wasted,
        missed: outcomes.missed,
        unknown: outcomes.unknown,
        precision: outcomes.precision(),
        recall: outcomes.recall(),
        recent_precision: gates.precision(),
    }
}

impl<K, V, L, S> Drop for Rounds<K, V, L, S> {
    fn drop(&mut self) {
        self.loading.release_predictor();
    }
}
