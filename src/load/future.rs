//! Waiting as a task.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use equivalent::Equivalent;

use super::caller::Caller;
use super::flight::{CallerId, FlightPoll, Runner};
use super::fresh::{Answer, Fresh};
use super::next::{LoadOptions, Next, finish_load, next_or_join};
use super::run::{Run, RunWaker};
use super::{LoadError, LoadSource, Loaded, alone, cycle, now, watch};
use crate::cache::Cache;
use crate::engine::LoadKind;
use crate::sync::{NoAbort, quietly};
use crate::time::nanos;

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Returns the value of `key`, loaded by a future if it is not there.
    ///
    /// As [`get_or_load`](Self::get_or_load), and tasks and threads may wait for the same load. `load`
    /// is called on a miss only, by the caller that loads. Its future owns what it needs of the key.
    ///
    /// # Cancel safety
    ///
    /// Dropping the returned future while it waits affects no other caller. If it is dropped while
    /// it loads, the caller that has waited longest loads instead. The same happens if a task that
    /// loads was woken and is not polled for half a second, or as [`LoadPolicy`](crate::LoadPolicy)
    /// says; that task goes on, and the first value to arrive goes to all. A task that was not
    /// woken is left alone, however long it takes.
    ///
    /// # Panics
    ///
    /// If `load` asks for its own key, or for one whose load waits for it:
    /// [`try_get_or_load_async`](Self::try_get_or_load_async) returns an error instead. This is
    /// detected if `load` itself asks, not if it waits for another task or thread that does.
    ///
    /// # Progress
    ///
    /// A hit is ready at once: nothing is allocated or locked. A miss polls the future, or waits
    /// for another caller.
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
    /// let value = cache.get_or_load_async("key", |_| async { "value" }).await;
    /// assert_eq!((value, cache.get("key")), ("value", Some("value")));
    /// # });
    /// ```
    #[doc(alias = "get_with")]
    #[doc(alias = "get_or_insert_async")]
    pub async fn get_or_load_async<A, F, Fut>(&self, key: K, load: impl FnOnce(&K) -> Fut) -> V
    where
        Fut: Future<Output = A>,
        A: Answer<V, F, Error = Infallible>,
    {
        let key = NoAbort::new(key);
        let load = async { load(&key).await.into_fresh() };
        match self.load_by_ref_async(&*key, LoadOptions::default, load).await {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("get_or_load_async: {error}"),
        }
    }

    /// Returns the value of `key`, loaded if it is not there, by a future that may fail.
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async) and
    /// [`try_get_or_load`](Self::try_get_or_load).
    ///
    /// # Errors
    ///
    /// [`LoadError::Failed`] with the error of `load`, or of the load that was joined;
    /// [`LoadError::Cycle`] if it would wait for itself, directly or over other loads.
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Progress
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// let cache: clockhand::Cache<&str, i32> = clockhand::Cache::new(100);
    /// let parse = |text: &&str| std::future::ready(text.parse::<i32>());
    /// assert_eq!(cache.try_get_or_load_async("12", parse).await, Ok(12));
    /// assert!(cache.try_get_or_load_async("twelve", parse).await.is_err());
    /// # });
    /// ```
    #[doc(alias = "try_get_with")]
    #[doc(alias = "get_or_insert_async")]
    pub async fn try_get_or_load_async<E, Fut>(
        &self,
        key: K,
        load: impl FnOnce(&K) -> Fut,
    ) -> Result<V, LoadError<E>>
    where
        Fut: Future<Output = Result<V, E>>,
        E: Send + Sync + 'static,
    {
        let key = NoAbort::new(key);
        let load = async { load(&key).await.map(Fresh::new) };
        let loaded = self.load_by_ref_async(&*key, LoadOptions::default, load).await;
        loaded.map(|loaded| loaded.value)
    }

    /// As [`get_or_load_async`](Self::get_or_load_async), for a key that is borrowed: it is cloned on a miss only.
    ///
    /// # Panics
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Progress
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// use clockhand::Cache;
    ///
    /// let lengths: Cache<String, usize> = Cache::new(100);
    /// let load = |word: &str| {
    ///     let word = word.to_string();
    ///     async move { word.len() }
    /// };
    /// assert_eq!(lengths.get_or_load_by_ref_async("four", load).await, 4);
    /// # });
    /// ```
    #[doc(alias = "get_with_by_ref")]
    pub async fn get_or_load_by_ref_async<Q, A, F, Fut>(
        &self,
        key: &Q,
        load: impl FnOnce(&Q) -> Fut,
    ) -> V
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        Fut: Future<Output = A>,
        A: Answer<V, F, Error = Infallible>,
    {
        let load = async { load(key).await.into_fresh() };
        match self.load_by_ref_async(key, LoadOptions::default, load).await {
            Ok(loaded) => loaded.value,
            Err(error) => panic!("get_or_load_by_ref_async: {error}"),
        }
    }

    /// As [`try_get_or_load_async`](Self::try_get_or_load_async), for a key that is borrowed: it is cloned on a miss
    /// only.
    ///
    /// # Errors
    ///
    /// As [`try_get_or_load_async`](Self::try_get_or_load_async).
    ///
    /// # Cancel safety
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Progress
    ///
    /// As [`get_or_load_async`](Self::get_or_load_async).
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// use clockhand::Cache;
    ///
    /// let numbers: Cache<String, i32> = Cache::new(100);
    /// let parse = |text: &str| std::future::ready(text.parse::<i32>());
    /// assert_eq!(numbers.try_get_or_load_by_ref_async("12", parse).await, Ok(12));
    /// assert!(numbers.try_get_or_load_by_ref_async("twelve", parse).await.is_err());
    /// # });
    /// ```
    #[doc(alias = "try_get_with_by_ref")]
    pub async fn try_get_or_load_by_ref_async<Q, E, Fut>(
        &self,
        key: &Q,
        load: impl FnOnce(&Q) -> Fut,
    ) -> Result<V, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        Fut: Future<Output = Result<V, E>>,
        E: Send + Sync + 'static,
    {
        let load = async { load(key).await.map(Fresh::new) };
        let loaded = self.load_by_ref_async(key, LoadOptions::default, load).await;
        loaded.map(|loaded| loaded.value)
    }

    /// As `load_by_ref`, for a task.
    pub(super) async fn load_by_ref_async<Q, E>(
        &self,
        key: &Q,
        options: impl FnOnce() -> LoadOptions,
        load: impl Future<Output = Result<Fresh<V>, E>>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
        E: Send + Sync + 'static,
    {
        if let Some(value) = self.get(key) {
            return Ok(Loaded::new(value, LoadSource::Hit));
        }
        let own = NoAbort::new(key.to_owned());
        let loaded = NoAbort::new(self.load_missing_async(&own, options(), load).await);
        drop(own);
        loaded.into_inner()
    }

    /// Joins the load of `key`, or leads a new one.
    pub(super) async fn load_missing_async<E>(
        &self,
        key: &K,
        options: LoadOptions,
        load: impl Future<Output = Result<Fresh<V>, E>>,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        E: Send + Sync + 'static,
    {
        match join_or_lead(self, key, LoadKind::Load, options).await {
            Next::Done(loaded) => loaded,
            Next::LoadAlone | Next::Absent => load_alone(self, key, options, load).await,
            Next::Lead(leader) => {
                let loaded = LeaderFuture::new(leader.start_run(Runner::Task), pin!(load)).await;
                let (loaded, options) = options.with_terms(self, loaded);
                finish_load(leader, loaded, options)
            }
        }
    }
}

/// As `alone::load`, for a task.
pub(super) async fn load_alone<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    options: LoadOptions,
    load: impl Future<Output = Result<Fresh<V>, E>>,
) -> Result<Loaded<V>, LoadError<E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    if alone::is_inside(cache, key) {
        return Err(LoadError::Cycle);
    }
    let (begun, run) = (cache.engine().elapsed(), Arc::new(alone::run(cache, [key])));
    let value = LeaderFuture::new(run, pin!(load)).await;
    let value = NoAbort::new(value.map(Fresh::into_value));
    alone::loaded(cache, (key, options), begun, value.into_inner())
}

/// As `blocking::join_or_lead`, for a task.
pub(super) async fn join_or_lead<K, V, S, E>(
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
        match next_or_join(cache, key, (kind, Runner::Task), &options) {
            Ok(next) => return next,
            Err(caller) => {
                if let Some(next) = wait(caller, &options).await {
                    return next;
                }
            }
        }
    }
}

/// As `blocking::wait`, for a task.
async fn wait<K, V, S, E>(
    caller: Caller<K, V, S>,
    options: &LoadOptions,
) -> Option<Next<K, V, S, E>>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
    E: Send + Sync + 'static,
{
    let until = options
        .until
        .map(|until| now().saturating_add(nanos(until.saturating_duration_since(Instant::now()))));
    let mut waiter = Waiter { caller: Some(caller), id: None, edge: None, until, timer: None };
    std::future::poll_fn(|context| waiter.poll(context, options)).await
}

/// A caller that waits for a flight. If it is dropped, it leaves the flight.
struct Waiter<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// `None` once the wait is over.
    caller: Option<Caller<K, V, S>>,
    /// Set while it is in the flight.
    id: Option<CallerId>,
    edge: Option<cycle::WaitEdge>,
    /// When it stops waiting, and the timer that wakes it then.
    until: Option<u64>,
    timer: Option<watch::Timer>,
}

impl<K, V, S> Waiter<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn poll<E: Send + Sync + 'static>(
        &mut self,
        context: &Context<'_>,
        options: &LoadOptions,
    ) -> Poll<Option<Next<K, V, S, E>>> {
        let Some(caller) = &self.caller else { return Poll::Pending };
        let id = match self.id {
            Some(id) => id,
            None => {
                self.edge = cycle::WaitEdge::begin(Arc::clone(&caller.flight) as _, false);
                if self.edge.is_none() {
                    return Poll::Ready(Some(Next::Done(Err(LoadError::Cycle))));
                }
                let id = caller.flight.join(Runner::Task, context.waker().clone());
                let Some(id) = id else { return Poll::Ready(None) };
                self.id = Some(id);
                caller.cache.engine().count_load(|loads| &loads.joined);
                watch::watch(&caller.flight);
                self.timer =
                    self.until.map(|until| watch::wake_waiter_at(&caller.flight, id, until));
                id
            }
        };
        match caller.flight.poll(id, context.waker(), now()) {
            FlightPoll::Pending if self.until.is_some_and(|until| until <= now()) => {
                self.leave();
                Poll::Ready(self.end().map(|caller| Next::timed_out(&caller, options)))
            }
            FlightPoll::Pending => Poll::Pending,
            FlightPoll::Over(outcome) => {
                self.id = None;
                let (outcome, caller) = (outcome.map(NoAbort::new), self.end());
                Poll::Ready(
                    caller.zip(outcome).and_then(|(caller, outcome)| {
                        Next::after_flight(&caller, outcome, options)
                    }),
                )
            }
            FlightPoll::Promoted => {
                // From here on the leader gives the flight up, not this.
                self.id = None;
                Poll::Ready(self.end().map(|caller| Next::promoted(caller, id)))
            }
        }
    }

    /// Ends the wait, with its edge and its timer, before user code runs.
    fn end(&mut self) -> Option<Caller<K, V, S>> {
        (self.edge, self.timer) = (None, None);
        self.caller.take()
    }

    fn leave(&mut self) {
        if let (Some(caller), Some(id)) = (&self.caller, self.id.take()) {
            caller.leave(id);
        }
    }
}

impl<K, V, S> Drop for Waiter<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    fn drop(&mut self) {
        // A panic of a waker, or of user code that looking for the key calls, stays here: the task
        // may be unwinding already.
        quietly(|| self.leave());
    }
}

/// The future of a loader, polled by the leader of its flights. It notes when it is woken and
/// polled.
pub(super) struct LeaderFuture<'p, F> {
    load: Pin<&'p mut F>,
    run: Arc<Run>,
    /// The task's waker, and the one made of it that notes the wake.
    waker: Option<(Waker, Waker)>,
}

impl<'p, F> LeaderFuture<'p, F> {
    pub(super) fn new(run: Arc<Run>, load: Pin<&'p mut F>) -> Self {
        Self { load, run, waker: None }
    }
}

impl<F: Future> Future for LeaderFuture<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let task = context.waker();
        let known = this.waker.take().filter(|(known, _)| known.will_wake(task));
        let (_, own) = this.waker.insert(known.unwrap_or_else(|| {
            (task.clone(), Waker::from(RunWaker::new(&this.run, task.clone())))
        }));
        let mut context = Context::from_waker(own);
        this.run.poll(now, || this.load.as_mut().poll(&mut context))
    }
}
