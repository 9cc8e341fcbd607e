//! Waiting as a task.

use std::convert::Infallible;
use std::future::Future;
use std::hash::{BuildHasher, Hash};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::flight::{Kind, News, Seat};
use super::lead::{Lead, Start, start};
use super::run::{Alarm, Run};
use super::turn::{Ended, Turn, Wish, settle};
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
        let key = NoAbort::new(key);
        let loaded = NoAbort::new(match self.get(&*key) {
            Some(value) => Ok(value),
            None => {
                let loaded = self.load_missing_async(&key, Wish::default(), load).await;
                loaded.map(|loaded| loaded.value)
            }
        });
        drop(key);
        loaded.into_inner()
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
        match turn(self, key, LoadKind::Load, wish).await {
            Turn::Told(loaded) => loaded,
            Turn::Alone | Turn::Absent => load_alone(self, key, wish, load).await,
            Turn::Lead(lead) => {
                let loaded = Leading::new(lead.begin(Kind::Task), pin!(load)).await;
                settle(lead, loaded, wish)
            }
        }
    }
}

/// As `alone::load`, for a task.
pub(super) async fn load_alone<K, V, S, E>(
    cache: &Cache<K, V, S>,
    key: &K,
    wish: Wish,
    load: impl Future<Output = Result<V, E>>,
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
    let value = NoAbort::new(Leading::new(run, pin!(load)).await);
    alone::loaded(cache, (key, wish), begun, value.into_inner())
}

/// As `turn`, for a task.
pub(super) async fn turn<K, V, S, E>(
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
        match start(cache, key, fare, Kind::Task, |rest| wish.failure::<E>(rest).is_some()) {
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
    let mut waiting = Waiting { lead: Some(lead), seat: None, edge: None, until, timer: None };
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
    /// When it gives up, and what wakes it then.
    until: Option<u64>,
    timer: Option<watch::Timer>,
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
                self.timer = self.until.map(|until| watch::rouse_at(&lead.flight, seat, until));
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
                Poll::Ready(Ended::Over(outcome.map(NoAbort::new)))
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
pub(super) struct Leading<'p, F> {
    load: Pin<&'p mut F>,
    run: Arc<Run>,
    /// The task's, and the one that is made of it.
    waker: Option<(Waker, Waker)>,
}

impl<'p, F> Leading<'p, F> {
    pub(super) fn new(run: Arc<Run>, load: Pin<&'p mut F>) -> Self {
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
