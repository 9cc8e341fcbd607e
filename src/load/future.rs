//! Waiting as a task.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::bulk::{Batch, each, some, told};
use super::driven::Attendant;
use super::executor::{BoxFuture, Executor};
use super::flight::{Kind, News, Seat};
use super::lead::{Lead, Start, begin, begin_jobs, start};
use super::run::{Alarm, Run};
use super::turn::{Ended, Turn, Wish, alone, settle};
use super::{AsyncLoader, LoadError, LoadSource, Loaded, LoadingCache, cycle, now, watch};
use crate::cache::Cache;
use crate::engine::Fare;
use crate::sync::quietly;
use crate::time::nanos;

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
    /// waited longest loads in its place. So it is when a task that loads was woken and is not polled for
    /// half a second, or as [`LoadPolicy`](crate::LoadPolicy) says; that task goes on, and the first value
    /// that arrives goes to all. One that nothing has woken is left alone, however long it takes.
    ///
    /// # Panics
    ///
    /// If the future asks for its own key, or for one whose load waits for it:
    /// [`try_get_or_load_async`](Self::try_get_or_load_async) makes that an error. It is seen where the
    /// future itself asks, not where it waits for another task or thread that does.
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
    /// [`try_get_or_load`](Self::try_get_or_load).
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] with the future's error, or that of the load that was joined;
    /// [`LoadError::Cycle`] instead of waiting for itself, over other loads or not.
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
        match turn_async(self, key, Fare::Load, wish).await {
            Turn::Told(loaded) => loaded,
            Turn::Alone | Turn::Absent => alone(self, self.engine().elapsed(), load.await),
            Turn::Lead(lead) => {
                let loaded = Leading::new(lead.begin(Kind::Task), pin!(load)).await;
                settle(lead, loaded, wish)
            }
        }
    }
}

/// As `turn`, for a task.
async fn turn_async<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    fare: Fare,
    wish: Wish,
) -> Turn<K, V, S, E>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    loop {
        match start(cache, key, fare, Kind::Task, |rest| wish.failure::<E>(rest).is_some()) {
            Start::Live(value) => return Turn::Told(Ok(Loaded::new(value, LoadSource::Hit))),
            Start::Lead(lead) => return Turn::Lead(lead),
            Start::Nothing => return Turn::Alone,
            Start::Failed(rest) => {
                let failure = wish.failure::<E>(&rest);
                if let Some(turn) = failure.and_then(|failure| wish.answer(cache, key, failure)) {
                    return turn;
                }
            }
            Start::Join(lead) => {
                if let Some(turn) = join(lead, wish.until).await.turn(cache, key, wish) {
                    return turn;
                }
            }
        }
    }
}

/// Waits for a flight.
async fn join<K, V, S>(lead: Lead<K, V, S>, until: Option<Instant>) -> Ended<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    let until = until
        .map(|until| now().saturating_add(nanos(until.saturating_duration_since(Instant::now()))));
    let mut waiting = Waiting { lead: Some(lead), seat: None, edge: None, until };
    std::future::poll_fn(|context| waiting.poll(context)).await
}

/// A waiter. Dropped, it leaves.
struct Waiting<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Until it is promoted.
    lead: Option<Lead<K, V, S>>,
    seat: Option<Seat>,
    edge: Option<cycle::Waiting>,
    /// When it gives up.
    until: Option<u64>,
}

impl<K, V, S> Waiting<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn poll(&mut self, context: &Context<'_>) -> Poll<Ended<K, V, S>> {
        let Some(lead) = &self.lead else { return Poll::Pending };
        let seat = match self.seat {
            Some(seat) => seat,
            None => {
                self.edge = cycle::Waiting::begin(Arc::clone(&lead.flight) as _, false);
                if self.edge.is_none() {
                    return Poll::Ready(Ended::Cycle);
                }
                let seat = lead.flight.join(Kind::Task, context.waker().clone());
                let Some(seat) = seat else { return Poll::Ready(Ended::Over(None)) };
                self.seat = Some(seat);
                lead.cache.engine().count_load(|loads| &loads.joined);
                watch::watch(&lead.flight);
                if let Some(until) = self.until {
                    watch::rouse_at(&lead.flight, seat, until);
                }
                seat
            }
        };
        match lead.flight.poll(seat, context.waker(), now()) {
            News::Wait if self.until.is_some_and(|until| until <= now()) => {
                self.leave();
                Poll::Ready(Ended::TimedOut)
            }
            News::Wait => Poll::Pending,
            News::Over(outcome) => {
                self.seat = None;
                Poll::Ready(Ended::Over(outcome))
            }
            News::Promoted => {
                // From here on the lead gives the flight up.
                self.seat = None;
                self.edge = None;
                let lead = self.lead.take().expect("it was there just now");
                Poll::Ready(Ended::Promoted(lead.promote(seat)))
            }
        }
    }
}

impl<K, V, S> Waiting<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn leave(&mut self) {
        if let (Some(lead), Some(seat)) = (&self.lead, self.seat.take())
            && lead.flight.leave(seat, now())
        {
            lead.clear_away();
        }
    }
}

impl<K, V, S> Drop for Waiting<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        // A panic of a waker, or of what looking for the key calls, stays here: it may be on the way
        // already.
        quietly(|| self.leave());
    }
}

/// A load that is polled by the leader of its flights, which gives signs of life.
struct Leading<'p, F> {
    load: Pin<&'p mut F>,
    run: Arc<Run>,
    /// The task's, and the one that is made of it.
    waker: Option<(Waker, Waker)>,
}

/// Polls a future until it is done or panics, which was reported by the panic hook.
async fn caught<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match quietly(|| future.as_mut().poll(context)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    })
    .await
}

impl<'p, F> Leading<'p, F> {
    fn new(run: Arc<Run>, load: Pin<&'p mut F>) -> Self {
        Self { load, run, waker: None }
    }
}

impl<F: Future> Future for Leading<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let task = context.waker();
        let known = this.waker.take().filter(|(known, _)| known.will_wake(task));
        let (_, own) =
            this.waker.insert(known.unwrap_or_else(|| {
                (task.clone(), Waker::from(Alarm::new(&this.run, task.clone())))
            }));
        let mut context = Context::from_waker(own);
        this.run.poll(now, || this.load.as_mut().poll(&mut context))
    }
}

impl<K, V, L, S> LoadingCache<K, V, L, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    L: AsyncLoader<K, V> + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Renews values as tasks of the user's runtime: the function is called with a future by the task
    /// that reads, and should spawn it.
    ///
    /// Without it, the calls of this handle and its clones carry a renewal on: the one that starts it polls it
    /// once, and whenever it was woken the next call does, whatever key that asks for. None waits for
    /// it, unless it wants that very value and there is no other. Where nobody reads, nothing is renewed; what
    /// is not done within [`renewal_limit`](crate::LoadPolicy::renewal_limit) is given up.
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
        self.drive();
        if let Some((value, due)) = self.glance(key) {
            if due {
                self.refresh_soon_async(key);
            }
            return Ok(Loaded::new(value, LoadSource::Hit));
        }
        if let Some((stale, due)) = self.stale(key) {
            if due {
                let lead = self.begin_reload(key, Fare::Load);
                self.renew_soon_async(lead.into_iter().collect());
            }
            return Ok(stale);
        }
        let load = async { self.loader.load(key).await };
        self.attend(self.cache.load_missing_async(key, self.rules.wish(), load)).await
    }

    /// Starts a reload in the background, unless one is under way.
    #[cold]
    fn refresh_soon_async(&self, key: &K) {
        let lead = self.rules.aged().and_then(|aged| self.begin_reload(key, aged));
        self.renew_soon_async(lead.into_iter().collect());
    }

    /// Renews values in the background, by one query if they are several.
    fn renew_soon_async(&self, leads: Vec<Lead<K, V, S>>) {
        if leads.is_empty() {
            return;
        }
        let mut own = self.clone();
        // Or it would keep itself.
        own.rules.driven = None;
        let future = self.rules.executor.spawn_future(Box::pin(async move {
            // A failure has been told to those that wait, and the value stays.
            let [leads, _] = begin_jobs(leads, Kind::Task);
            own.renew_async(leads).await;
        }));
        if let (Some(future), Some(driven)) = (future, &self.rules.driven) {
            let limit = self.cache.engine().load_policy().renewal_limit;
            driven.spawn(future, nanos(limit));
        }
    }

    /// Waits for a load, and carries renewals on meanwhile.
    async fn attend<T>(&self, load: impl Future<Output = T>) -> T {
        let mut load = pin!(load);
        let attendant = self.rules.driven.as_ref().map(Attendant::new);
        std::future::poll_fn(|context| {
            attendant.as_ref().inspect(|attendant| attendant.drive());
            let polled = load.as_mut().poll(context);
            if let (Poll::Pending, Some(attendant)) = (&polled, &attendant) {
                attendant.attend(context.waker());
            }
            polled
        })
        .await
    }

    fn drive(&self) {
        if let Some(driven) = &self.rules.driven {
            driven.drive();
        }
    }

    /// As `renew`.
    async fn renew_async(&self, leads: Vec<Lead<K, V, S>>) {
        let wish = Wish { absent: true, ..self.rules.fresh() };
        let keys: Vec<K> = leads.iter().map(|lead| lead.key.clone()).collect();
        let loaded = match keys.len() {
            0 | 1 => None,
            _ => self.query_async(&keys, begin(&leads, Kind::Task)).await,
        };
        let mut loaded = loaded.map(each);
        if loaded.is_none() {
            leads.iter().skip(1).for_each(Lead::put_off);
        }
        for (lead, key) in leads.into_iter().zip(&keys) {
            match &mut loaded {
                Some(loaded) => drop(self.land_one::<L::Error>((key, Some(lead)), loaded(), wish)),
                None if lead.resume(Kind::Task) => {
                    drop(caught(pin!(self.reload_async(lead))).await);
                }
                // Somebody has taken over.
                None => {}
            }
        }
    }

    /// Asks for many keys at once, as the leader of their loads; nothing if the loader cannot do that.
    async fn query_async(
        &self,
        keys: &[K],
        run: Arc<Run>,
    ) -> Option<Result<Vec<Option<V>>, L::Error>> {
        // The default declines when it is called, and any other has not begun.
        let load = pin!(run.enter(|| self.ask_many(keys, || self.loader.load_many(keys)))?);
        Some(Leading::new(run, load).await)
    }

    async fn reload_async(&self, lead: Lead<K, V, S>) -> Result<Loaded<V>, LoadError<L::Error>> {
        let (key, run) = (lead.key.clone(), lead.begin(Kind::Task));
        let loaded = match lead.old.clone() {
            Some(old) => Leading::new(run, pin!(self.loader.reload(&key, &old))).await,
            None => Leading::new(run, pin!(self.loader.load(&key))).await,
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
        let turn = turn_async(&self.cache, key, Fare::Renew, self.rules.fresh());
        let loaded = match self.attend(turn).await {
            Turn::Told(loaded) => loaded,
            Turn::Lead(lead) => self.reload_async(lead).await,
            Turn::Alone | Turn::Absent => self.load_anew_async(key).await,
        };
        loaded.map(|loaded| loaded.value)
    }

    /// As `load_anew`.
    async fn load_anew_async(&self, key: &K) -> Result<Loaded<V>, LoadError<L::Error>> {
        let load = async { self.loader.load(key).await };
        let loaded = self.cache.load_missing_async(key, self.rules.fresh(), load).await?;
        if loaded.source == LoadSource::Hit {
            let begun = self.cache.engine().elapsed();
            alone(&self.cache, begun, self.loader.load(key).await)
        } else {
            Ok(loaded)
        }
    }

    /// The values of several keys, in their order: as
    /// [`get_many`](LoadingCache::get_many), by [`AsyncLoader::load_many`].
    ///
    /// # Errors
    ///
    /// The first key's that has one, also if that is remembered. All others are loaded nevertheless:
    /// what was there, or has been loaded, stays in the cache.
    pub async fn get_many_async(&self, keys: &[K]) -> Result<Vec<Option<V>>, LoadError<L::Error>> {
        self.drive();
        let room = self.cache.engine().batch_of_loads(keys.len());
        let mut batch = self.sort(keys, Kind::Task);
        self.renew_soon_async(std::mem::take(&mut batch.due));
        if !batch.wanted.is_empty() {
            self.load_wanted_async(keys, &mut batch).await;
        }
        drop(room);
        let wish = self.rules.many();
        for place in std::mem::take(&mut batch.joined) {
            let loaded = self.attend(self.get_one_async(&keys[place], wish)).await;
            batch.note(place, loaded);
        }
        batch.finish()
    }

    /// As `load_wanted`.
    async fn load_wanted_async(&self, keys: &[K], batch: &mut Batch<K, V, S, L::Error>) {
        let wanted = batch.keys(keys);
        let leads = batch.wanted.iter().filter_map(|(_, lead)| lead.as_ref());
        let run = begin(leads, Kind::Task);
        match self.query_async(&wanted, Arc::clone(&run)).await {
            Some(loaded) => self.land_all(keys, batch, loaded),
            None => {
                for (place, lead) in batch.put_off() {
                    match lead {
                        Some(lead) if !lead.resume(Kind::Task) => batch.joined.push(place),
                        lead => {
                            let load = self.load_one_async(&keys[place], lead, Arc::clone(&run));
                            let loaded = load.await;
                            batch.note(place, some(loaded));
                        }
                    }
                }
            }
        }
    }

    /// Loads a key by itself.
    async fn load_one_async(
        &self,
        key: &K,
        lead: Option<Lead<K, V, S>>,
        run: Arc<Run>,
    ) -> Result<Loaded<V>, LoadError<L::Error>> {
        let begun = self.cache.engine().elapsed();
        let loaded = Leading::new(run, pin!(self.loader.load(key))).await;
        match lead {
            Some(lead) => settle(lead, loaded, self.rules.wish()),
            None => alone(&self.cache, begun, loaded),
        }
    }

    /// As `get_one`.
    async fn get_one_async(&self, key: &K, wish: Wish) -> Result<Option<V>, LoadError<L::Error>> {
        let lead = match turn_async(&self.cache, key, Fare::Load, wish).await {
            Turn::Lead(lead) => Some(lead),
            Turn::Alone => None,
            turn => return told(turn).unwrap_or(Ok(None)),
        };
        let keys = std::slice::from_ref(key);
        let run = begin(&lead, Kind::Task);
        match self.query_async(keys, Arc::clone(&run)).await {
            Some(loaded) => self.land_one((key, lead), each(loaded)(), wish),
            None => some(self.load_one_async(key, lead, run).await),
        }
    }

    /// Loads the keys that are missing, by one call of [`AsyncLoader::load_many`]; returns how many, each
    /// key counted once.
    ///
    /// # Errors
    ///
    /// As [`get_many_async`](Self::get_many_async).
    pub async fn warm_async(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<usize, LoadError<L::Error>> {
        let values = self.get_many_async(&self.missing(keys)).await?;
        Ok(values.iter().flatten().count())
    }
}
