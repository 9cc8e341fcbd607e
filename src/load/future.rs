//! Waiting as a task.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::blocking::{Wish, settle, told};
use super::bulk::{Sorted, first};
use super::executor::{BoxFuture, Executor};
use super::flight::{Flight, Kind, News, Outcome, Seat};
use super::lead::{Lead, Start, start};
use super::{AsyncLoader, LoadError, Loaded, Loading, Source, now, patience, watch};
use crate::cache::Cache;
use crate::engine::Fare;

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// The value of a key, loaded by a future if it is not there.
    ///
    /// As [`get_or_load`](Self::get_or_load), and tasks and threads may wait for the same load. The
    /// future is not polled unless it has to load.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it takes nobody with it. Dropped while it loads, the caller that has
    /// waited longest loads in its place. A task that loads and is not polled, for half a second after
    /// it was woken or for five seconds in any case, is relieved in the same way, and its value goes
    /// to its own caller only; each further one gets twice the time.
    ///
    /// # Progress
    ///
    /// A hit is ready at once: nothing is allocated or locked. A miss polls the future, or waits for
    /// another caller.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::future::Future;
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let mut future = std::pin::pin!(future);
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     loop {
    /// #         if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut context) { return done; }
    /// #     }
    /// # }
    /// use clockhand::Cache;
    ///
    /// # block_on(async {
    /// let cache = Cache::new(1_000);
    /// let value = cache.get_or_load_async("key", async { "value" }).await;
    /// assert_eq!((value, cache.get("key")), ("value", Some("value")));
    /// # });
    /// ```
    pub async fn get_or_load_async(&self, key: K, load: impl Future<Output = V>) -> V {
        let load = async { Ok::<V, Infallible>(load.await) };
        match self.try_get_or_load_async(key, load).await {
            Ok(value) => value,
            Err(error) => panic!("get_or_load_async: {error}"),
        }
    }

    /// The value of a key, loaded if it is not there, by a future that may fail.
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async) and
    /// [`try_get_or_load`](Self::try_get_or_load). A task that waits for itself is not told.
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] with the future's error, or that of the load that was joined.
    pub async fn try_get_or_load_async<E>(
        &self,
        key: K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        match self.get(&key) {
            Some(value) => Ok(value),
            None => {
                let loaded = self.load_missing_async(&key, Wish::default(), load).await;
                loaded.map(|loaded| loaded.value)
            }
        }
    }

    /// Joins the load of a key, or is the leader of a new one.
    pub(super) async fn load_missing_async<E>(
        &self,
        key: &K,
        wish: Wish,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        let lead = loop {
            match start(self, key, Fare::Load, Kind::Task, 0) {
                Start::Live(value) => return Ok(Loaded::new(value, Source::Hit)),
                Start::Lead(lead) => break lead,
                Start::Nothing => {}
                Start::Join(flight) => match self.join(key, flight).await {
                    Ended::Promoted(lead) => break lead,
                    Ended::Over(outcome) => {
                        if let Some(result) = outcome.and_then(|outcome| told(&outcome, wish)) {
                            return result;
                        }
                    }
                },
            }
        };
        let loaded = Leading::new(&lead, pin!(load)).await;
        settle(lead, loaded, wish)
    }

    /// Waits for a flight.
    async fn join(&self, key: &K, flight: Arc<Flight<V>>) -> Ended<K, V, S> {
        watch::watch(&flight);
        let mut waiting = Waiting { cache: self, key, flight, seat: None };
        std::future::poll_fn(|context| waiting.poll(context)).await
    }
}

/// How waiting ended.
enum Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    Over(Option<Arc<Outcome<V>>>),
    Promoted(Lead<K, V, S>),
}

/// A waiter. Dropped, it leaves.
struct Waiting<'c, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    cache: &'c Cache<K, V, S>,
    key: &'c K,
    flight: Arc<Flight<V>>,
    seat: Option<Seat>,
}

impl<K, V, S> Waiting<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn poll(&mut self, context: &Context<'_>) -> Poll<Ended<K, V, S>> {
        let seat = match self.seat {
            Some(seat) => seat,
            None => match self.flight.join(Kind::Task, context.waker().clone()) {
                None => return Poll::Ready(Ended::Over(None)),
                Some(seat) => *self.seat.insert(seat),
            },
        };
        match self.flight.poll(seat, context.waker(), now(), patience()) {
            News::Wait => Poll::Pending,
            News::Over(outcome) => {
                self.seat = None;
                Poll::Ready(Ended::Over(outcome))
            }
            News::Promoted => {
                let flight = Arc::clone(&self.flight);
                let lead = Lead::promoted(self.cache, self.key, flight, seat);
                // From here on the lead gives the flight up.
                self.seat = None;
                Poll::Ready(Ended::Promoted(lead))
            }
        }
    }
}

impl<K, V, S> Drop for Waiting<'_, K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        if let Some(seat) = self.seat
            && self.flight.leave(seat, now())
        {
            self.cache.engine().disembark(self.key, &(Arc::clone(&self.flight) as _));
        }
    }
}

/// A load that is polled by its leader, which gives signs of life.
struct Leading<'p, F, V> {
    load: Pin<&'p mut F>,
    pulse: Arc<Beat<V>>,
    waker: Option<(Waker, Waker)>,
}

/// Notes that the leader was woken.
struct Beat<V> {
    flight: Weak<Flight<V>>,
    seat: Seat,
}

struct BeatWaker<V> {
    beat: Arc<Beat<V>>,
    task: Waker,
}

impl<'p, F, V: Send + Sync + 'static> Leading<'p, F, V> {
    fn new<K, S>(lead: &Lead<K, V, S>, load: Pin<&'p mut F>) -> Self
    where
        K: Hash + Eq + Clone + Send + Sync + 'static,
        V: Clone,
        S: BuildHasher,
    {
        let flight = Arc::downgrade(&lead.flight);
        Self { load, pulse: Arc::new(Beat { flight, seat: lead.seat }), waker: None }
    }

    /// A waker that tells the flight and then the task.
    fn waker(&mut self, task: &Waker) -> &Waker {
        let known = self.waker.take().filter(|(known, _)| known.will_wake(task));
        let (_, own) = self.waker.insert(known.unwrap_or_else(|| {
            let beat = BeatWaker { beat: Arc::clone(&self.pulse), task: task.clone() };
            (task.clone(), Waker::from(Arc::new(beat)))
        }));
        own
    }
}

impl<F: Future, V: Send + Sync + 'static> Future for Leading<'_, F, V> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if let Some(flight) = this.pulse.flight.upgrade() {
            flight.polled(this.pulse.seat, now());
        }
        let waker = this.waker(context.waker()).clone();
        this.load.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl<V: Send + Sync + 'static> Wake for BeatWaker<V> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(flight) = self.beat.flight.upgrade() {
            flight.woken(self.beat.seat, now());
        }
        self.task.wake_by_ref();
    }
}

impl<K, V, L, S> Loading<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Renews values as tasks of the user's runtime: the function is called with a future by the task
    /// that reads, and should spawn it. Without it, threads wait for the futures, which those of a
    /// runtime may not like.
    pub fn spawner(mut self, spawn: impl Fn(BoxFuture) + Send + Sync + 'static) -> Self {
        self.rules.executor = Executor::Tasks(Arc::new(spawn));
        self
    }

    /// The value of a key, loaded if it is not there.
    ///
    /// # Errors
    ///
    /// The loader's, of this call or of the one that it has joined.
    ///
    /// # Cancel safety
    ///
    /// As [`Cache::get_or_load_async`].
    ///
    /// # Progress
    ///
    /// A hit is ready at once, and costs what [`Cache::get`] costs.
    pub async fn get_async(&self, key: &K) -> Result<V, LoadError<L::Error>> {
        self.get_with_source_async(key).await.map(|loaded| loaded.value)
    }

    /// As [`get_async`](Self::get_async), and says where the value came from.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn get_with_source_async(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        if let Some((value, due)) = self.glance(key) {
            if due {
                self.refresh_soon_async(key);
            }
            return Ok(Loaded::new(value, Source::Hit));
        }
        if let Some(error) = self.remembered(key) {
            return Err(error);
        }
        let load = self.loader.load(key);
        let loaded = self.cache.load_missing_async(key, self.rules.wish(), load).await;
        self.remember(key, loaded)
    }

    /// Starts a reload in the background, unless one is under way: by the spawner, or a thread of the
    /// executor that waits for it.
    #[cold]
    fn refresh_soon_async(&self, key: &K) {
        let Some(lead) = self.begin_reload(key) else { return };
        let own = self.clone();
        self.rules.executor.spawn_future(Box::pin(async move {
            if lead.flight.polled(lead.seat, now()) {
                // A failure has been told to those that wait, and the value stays.
                let _ = own.reload_async(lead).await;
            }
        }));
    }

    async fn reload_async(&self, lead: Lead<K, V, S>) -> Result<Loaded<V>, LoadError<L::Error>> {
        let key = lead.key.clone();
        let loaded = match lead.old.clone() {
            Some(old) => Leading::new(&lead, pin!(self.loader.reload(&key, &old))).await,
            None => Leading::new(&lead, pin!(self.loader.load(&key))).await,
        };
        settle(lead, loaded, self.rules.fresh())
    }

    /// Loads the value of a key anew, whether it is there or not, and waits for it. If a load of the
    /// key is under way, joins that.
    ///
    /// # Errors
    ///
    /// As [`get_async`](Self::get_async); a value that is there stays.
    pub async fn refresh_async(&self, key: &K) -> Result<V, LoadError<L::Error>> {
        loop {
            let loaded = match start(&self.cache, key, Fare::Renew, Kind::Task, 0) {
                Start::Lead(lead) => self.reload_async(lead).await,
                Start::Nothing | Start::Live(_) => {
                    let load = self.loader.load(key);
                    self.cache.load_missing_async(key, self.rules.fresh(), load).await
                }
                Start::Join(flight) => match self.cache.join(key, flight).await {
                    Ended::Promoted(lead) => self.reload_async(lead).await,
                    Ended::Over(outcome) => {
                        match outcome.and_then(|outcome| told(&outcome, self.rules.fresh())) {
                            Some(loaded) => loaded,
                            None => continue,
                        }
                    }
                },
            };
            return loaded.map(|loaded| loaded.value);
        }
    }

    /// The values of several keys, in their order. Those that are missing and that nobody loads yet are
    /// loaded by one call of [`AsyncLoader::load_many`]; for those that others load, their loads are
    /// joined. A key that the loader has no value for is `None`.
    ///
    /// # Errors
    ///
    /// The loader's; what was there, or has been loaded, stays in the cache.
    pub async fn get_many_async(&self, keys: &[K]) -> Result<Vec<Option<V>>, LoadError<L::Error>> {
        let mut sorted = self.sort(keys, Kind::Task);
        if !sorted.leads.is_empty() {
            let wanted: Vec<K> = sorted.leads.iter().map(|(_, lead)| lead.key.clone()).collect();
            let loaded = self.loader.load_many(&wanted).await;
            self.land_all(&mut sorted, loaded)?;
        }
        for place in std::mem::take(&mut sorted.joined) {
            sorted.values[place] = match first(keys, place) {
                Some(first) => sorted.values[first].clone(),
                None => self.get_one_async(&keys[place]).await?,
            };
        }
        sorted.due.into_iter().for_each(|place| self.refresh_soon_async(&keys[place]));
        Ok(sorted.values)
    }

    /// As `get_one`.
    async fn get_one_async(&self, key: &K) -> Result<Option<V>, LoadError<L::Error>> {
        loop {
            let lead = match start(&self.cache, key, Fare::Load, Kind::Task, 0) {
                Start::Live(value) => return Ok(Some(value)),
                Start::Lead(lead) => lead,
                Start::Nothing => continue,
                Start::Join(flight) => match self.cache.join(key, flight).await {
                    Ended::Promoted(lead) => lead,
                    Ended::Over(outcome) => {
                        let wish = self.rules.wish();
                        match outcome.and_then(|outcome| told(&outcome, wish)) {
                            Some(loaded) => return loaded.map(|loaded| Some(loaded.value)),
                            None => continue,
                        }
                    }
                },
            };
            let load = pin!(self.loader.load_many(std::slice::from_ref(key)));
            let loaded = Leading::new(&lead, load).await;
            let mut sorted = Sorted::one(lead);
            self.land_all(&mut sorted, loaded)?;
            return Ok(sorted.values.pop().flatten());
        }
    }

    /// Loads the keys that are missing, by one call of [`AsyncLoader::load_many`]; returns how many.
    ///
    /// # Errors
    ///
    /// As [`get_many_async`](Self::get_many_async).
    pub async fn warm_async(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<usize, LoadError<L::Error>> {
        let missing: Vec<K> =
            keys.into_iter().filter(|key| !self.cache.contains_key(key)).collect();
        let values = self.get_many_async(&missing).await?;
        Ok(values.iter().flatten().count())
    }
}
