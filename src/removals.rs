//! A removal listener that passes on what it is told: to a thread, or to a task.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::outcome::RemovalCause;
use crate::sync::{Mutex, Sleep, lock, wake_quietly};

/// How long a thread sleeps before it looks again, unless it is woken.
const LONG: Duration = Duration::from_secs(3600);

/// What left a cache, and why. From [`removal_queue`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(alias = "RemovalNotification")]
#[non_exhaustive]
pub struct Removal<K, V> {
    /// The key.
    pub key: K,
    /// The value that it had.
    pub value: V,
    /// Why it left.
    pub cause: RemovalCause,
}

/// What has left a cache and waits to be looked at. From [`removal_queue`].
pub struct Removals<K, V>(Arc<Queue<K, V>>);

struct Queue<K, V> {
    bound: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    waiting: VecDeque<Removal<K, V>>,
    /// Of the thread or the task that waits.
    waker: Option<Waker>,
    lost: u64,
    /// Whether the listener is gone.
    closed: bool,
    /// Whether no receiver is left.
    unheard: bool,
}

/// The listener's end. When it is dropped, the queue is closed.
struct Listener<K, V>(Arc<Queue<K, V>>);

/// Returns a removal listener that only passes on what it is told, and the end where that is received: by a thread of
/// your own, or by a task. So what is to be done there may take time, which a listener must not, as it runs in the
/// midst of other calls.
///
/// The queue holds clones of key and value, `bound` removals at most, in the order in which the listener was told:
/// two removals by different threads come in any order. Where it is full, a removal is lost, and counted:
/// [`Removals::lost`]. What it holds is not part of the cache, so its bound is all there is to its memory.
///
/// When the last handle of the cache is dropped, the queue ends after what it still holds. When the receiving end is
/// dropped, the listener does nothing more.
///
/// # Progress
///
/// Wait-free. The listener takes a lock that is held for a few instructions, and never waits for the receiver.
///
/// # Examples
///
/// A thread:
///
/// ```
/// use clockhand::{Cache, RemovalCause};
///
/// let (listener, removals) = clockhand::removal_queue(1_000);
/// let pages: Cache<u64, String> = Cache::builder().capacity(1).removal_listener(listener).build()?;
/// let writer = std::thread::spawn(move || {
///     let evicted = removals.into_iter().filter(|removal| removal.cause.was_evicted());
///     evicted.map(|page| page.value).collect::<Vec<String>>() // or write them to a disk
/// });
/// pages.insert(1, "a dirty page".to_string());
/// pages.insert(2, "another one".to_string());
/// drop(pages);
/// assert_eq!(writer.join().unwrap().len(), 1);
/// # Ok::<(), clockhand::BuildError>(())
/// ```
///
/// A task, on any runtime, with feature `async`: `while let Some(removal) = removals.recv_async().await { .. }`. And
/// only some of them: a listener is a function.
///
/// ```
/// use clockhand::{Cache, RemovalCause};
///
/// let (tell, mut removals) = clockhand::removal_queue(1_000);
/// let cache = Cache::builder()
///     .capacity(10)
///     .removal_listener(move |key: &u64, value: &u64, cause| {
///         if cause == RemovalCause::Expired {
///             tell(key, value, cause);
///         }
///     })
///     .build()?;
/// cache.insert(1, 1);
/// cache.invalidate(&1);
/// assert_eq!(removals.try_recv(), None);
/// # Ok::<(), clockhand::BuildError>(())
/// ```
#[doc(alias("eviction_listener", "async_eviction_listener", "RemovalListeners"))]
pub fn removal_queue<K, V>(
    bound: usize,
) -> (impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static, Removals<K, V>)
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    let (waiting, waker) = (VecDeque::new(), None);
    let state = State { waiting, waker, lost: 0, closed: false, unheard: false };
    let queue = Arc::new(Queue { bound, state: Mutex::new(state) });
    let listener = Listener(Arc::clone(&queue));
    (move |key: &K, value: &V, cause| listener.send(key, value, cause), Removals(queue))
}

impl<K: Clone, V: Clone> Listener<K, V> {
    fn send(&self, key: &K, value: &V, cause: RemovalCause) {
        let Queue { bound, state } = &*self.0;
        let is_wanted = |state: &mut State<K, V>| {
            let is_full = state.waiting.len() >= *bound;
            state.lost += u64::from(is_full && !state.unheard);
            !is_full && !state.unheard
        };
        // Without a clone in vain; and a clone is the user's code, so the lock is not held meanwhile.
        if !is_wanted(&mut lock(state)) {
            return;
        }
        let removal = Removal { key: key.clone(), value: value.clone(), cause };
        let mut state = lock(state);
        let refused = if is_wanted(&mut state) {
            state.waiting.push_back(removal);
            None
        } else {
            Some(removal)
        };
        let waker = state.waker.take();
        drop(state);
        // Neither a waker nor a destructor is called with the lock.
        wake_quietly(waker);
        drop(refused);
    }
}

impl<K, V> Drop for Listener<K, V> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        wake_quietly(waker);
    }
}

impl<K, V> Removals<K, V> {
    /// Takes the next removal, and leaves `waker` to be called if there is none.
    fn poll(&mut self, waker: &Waker) -> Poll<Option<Removal<K, V>>> {
        let mut state = lock(&self.0.state);
        match state.waiting.pop_front() {
            None if !state.closed => {
                let known = state.waker.as_ref().is_some_and(|known| known.will_wake(waker));
                let before = if known { None } else { state.waker.replace(waker.clone()) };
                drop(state);
                drop(before);
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    /// The next removal, if there is one now.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, RemovalCause};
    ///
    /// let (listener, mut removals) = clockhand::removal_queue(100);
    /// let cache: Cache<u64, u64> = Cache::builder().capacity(10).removal_listener(listener).build()?;
    /// cache.insert(1, 10);
    /// cache.invalidate(&1);
    /// let removal = removals.try_recv().expect("it was told before the call returned");
    /// assert_eq!((removal.key, removal.value), (1, 10));
    /// assert_eq!(removal.cause, RemovalCause::Invalidated);
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn try_recv(&mut self) -> Option<Removal<K, V>> {
        lock(&self.0.state).waiting.pop_front()
    }

    /// Waits for the next removal; `None` when the cache is gone.
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for a removal.
    ///
    /// # Examples
    ///
    /// See [`removal_queue`], where the iterator calls it.
    pub fn recv(&mut self) -> Option<Removal<K, V>> {
        let sleep = Sleep::new();
        let waker = sleep.waker();
        loop {
            match self.poll(&waker) {
                Poll::Ready(next) => return next,
                Poll::Pending => sleep.rest(LONG),
            }
        }
    }

    /// Waits for the next removal for `timeout` at most; `None` if there is none, or when the cache is gone
    /// ([`is_closed`](Self::is_closed)).
    ///
    /// # Progress
    ///
    /// **Blocking**: waits for a removal.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use clockhand::Cache;
    ///
    /// let (listener, mut removals) = clockhand::removal_queue(100);
    /// let cache: Cache<u64, u64> = Cache::builder().capacity(10).removal_listener(listener).build()?;
    /// assert_eq!(removals.recv_timeout(Duration::from_millis(1)), None);
    /// assert!(!removals.is_closed());
    /// drop(cache);
    /// assert!(removals.is_closed());
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Removal<K, V>> {
        let (sleep, until) = (Sleep::new(), Instant::now().checked_add(timeout));
        let waker = sleep.waker();
        loop {
            if let Poll::Ready(next) = self.poll(&waker) {
                return next;
            }
            let left = until.map_or(LONG, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            sleep.rest(left);
        }
    }

    /// Waits for the next removal as a task; `None` when the cache is gone.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped has taken nothing.
    ///
    /// # Progress
    ///
    /// Ready at once if there is one. Takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// use clockhand::Cache;
    ///
    /// let (listener, mut removals) = clockhand::removal_queue(100);
    /// let builder = Cache::builder().capacity(10).removal_listener(listener);
    /// let cache: Cache<u64, u64> = builder.build()?;
    /// cache.insert(1, 10);
    /// cache.clear();
    /// drop(cache);
    /// let mut values = Vec::new();
    /// while let Some(removal) = removals.recv_async().await {
    ///     values.push(removal.value);
    /// }
    /// assert_eq!(values, [10]);
    /// # Ok::<(), clockhand::BuildError>(())
    /// # }).unwrap();
    /// ```
    #[cfg(feature = "async")]
    pub async fn recv_async(&mut self) -> Option<Removal<K, V>> {
        std::future::poll_fn(|context| self.poll(context.waker())).await
    }

    /// How many removals were lost, as the queue was full.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::Cache;
    ///
    /// let (listener, removals) = clockhand::removal_queue(2);
    /// let cache: Cache<u64, u64> = Cache::builder().capacity(10).removal_listener(listener).build()?;
    /// (0..5).for_each(|key| cache.insert(key, key));
    /// cache.clear();
    /// assert_eq!((removals.len(), removals.lost()), (2, 3));
    /// # Ok::<(), clockhand::BuildError>(())
    /// ```
    pub fn lost(&self) -> u64 {
        lock(&self.0.state).lost
    }

    /// How many wait to be received.
    ///
    /// # Progress
    ///
    /// **Blocking**: takes a lock that is held for a few instructions.
    ///
    /// # Examples
    ///
    /// See [`lost`](Self::lost).
    pub fn len(&self) -> usize {
        lock(&self.0.state).waiting.len()
    }

    /// Whether none waits to be received.
    ///
    /// # Progress
    ///
    /// As [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// let (_listener, removals) = clockhand::removal_queue::<u64, u64>(2);
    /// assert!(removals.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the cache is gone: no more than those that wait will come.
    ///
    /// # Progress
    ///
    /// As [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// See [`recv_timeout`](Self::recv_timeout).
    pub fn is_closed(&self) -> bool {
        lock(&self.0.state).closed
    }
}

/// Waits for one removal after the other, until the cache is gone.
impl<K, V> Iterator for Removals<K, V> {
    type Item = Removal<K, V>;

    fn next(&mut self) -> Option<Removal<K, V>> {
        self.recv()
    }
}

impl<K, V> Drop for Removals<K, V> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.unheard = true;
        let (waiting, waker) = (std::mem::take(&mut state.waiting), state.waker.take());
        drop(state);
        // Without the lock: values may do anything.
        drop(waiting);
        drop(waker);
    }
}

impl<K, V> fmt::Debug for Removals<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0.state);
        let (waiting, lost, closed) = (state.waiting.len(), state.lost, state.closed);
        drop(state);
        f.debug_struct("Removals")
            .field("waiting", &waiting)
            .field("lost", &lost)
            .field("closed", &closed)
            .finish_non_exhaustive()
    }
}
