//! The queue of writes that do not wait: one place for each key, in the order in which keys came.
//!
//! A key is *queued* or is *being written*. A value that comes while the older one is being written waits in the same place, and
//! is queued when that has ended. What removes a key waits until its write has ended: so no older value is written after that.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::behind::QueueStats;

/// The shortest and the longest pause before a write is tried again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

pub(crate) struct Queue<K, V> {
    capacity: usize,
    /// How many keys there are: nothing is locked by reads while there is none.
    count: AtomicUsize,
    state: Mutex<State<K, V>>,
    /// For the writer: there is something to write, or no handle is left.
    due: Notify,
    /// For those that wait for the end of writes.
    ended: Notify,
}

struct State<K, V> {
    entries: HashMap<Vec<u8>, Entry<K, V>>,
    /// The keys that are queued, with the moment before which they are not written.
    order: VecDeque<(Vec<u8>, u64)>,
    next: u64,
    is_closed: bool,
    stats: QueueStats,
}

struct Entry<K, V> {
    write: Write<K, V>,
    /// The number of its value.
    number: u64,
    /// The number of the value that is being written.
    writing: Option<u64>,
    /// It was removed while it was being written.
    is_removed: bool,
    not_before: Instant,
    pause: Duration,
}

impl<K, V> Entry<K, V> {
    /// Whether no value is being written that came before this number.
    fn is_past(&self, number: u64) -> bool {
        self.writing.is_none_or(|writing| writing >= number)
    }
}

/// A value that is to be written.
pub(crate) struct Write<K, V> {
    pub(crate) key: Arc<K>,
    pub(crate) value: Arc<V>,
    pub(crate) encoded: Arc<[u8]>,
    pub(crate) until: Instant,
}

impl<K, V> Clone for Write<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: Arc::clone(&self.key),
            value: Arc::clone(&self.value),
            encoded: Arc::clone(&self.encoded),
            until: self.until,
        }
    }
}

/// How an attempt to write has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Written,
    /// It is tried again.
    Failed,
    /// It would be in vain to try again.
    Hopeless,
}

/// Values that are being written. Dropped, what has not ended has failed.
pub(crate) struct Taken<'q, K, V> {
    queue: &'q Queue<K, V>,
    /// What has ended is gone.
    pub(crate) writes: Vec<Option<Due<K, V>>>,
}

/// A value that is being written: its key, its number and itself.
pub(crate) type Due<K, V> = (Vec<u8>, u64, Write<K, V>);

impl<K, V> Queue<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            entries: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            is_closed: false,
            stats: QueueStats::default(),
        };
        Self {
            capacity,
            count: AtomicUsize::new(0),
            state: Mutex::new(state),
            due: Notify::new(),
            ended: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, f: impl FnOnce(&mut State<K, V>) -> R) -> R {
        let mut state = self.lock();
        let answer = f(&mut state);
        // ORDERING: Release: a read that was told of the value by other means finds it; partner is the load in `is_empty`.
        self.count.store(state.entries.len(), Ordering::Release);
        answer
    }

    pub(crate) fn is_empty(&self) -> bool {
        // ORDERING: Acquire: partner is the store in `with`.
        self.count.load(Ordering::Acquire) == 0
    }

    /// Queues a value, in the place of an older one of its key if there is one. False if there is no room.
    pub(crate) fn push(&self, key: Vec<u8>, write: Write<K, V>) -> bool {
        let (capacity, now) = (self.capacity, Instant::now());
        let (is_queued, replaced) = self.with(|state| {
            let number = state.next;
            if let Some(entry) = state.entries.get_mut(&key) {
                state.next += 1;
                // Removed, and not gone yet: nothing is replaced.
                state.stats.replaced += u64::from(!entry.is_removed);
                entry.number = number;
                entry.is_removed = false;
                return (true, Some(std::mem::replace(&mut entry.write, write)));
            }
            if state.entries.len() >= capacity {
                state.stats.refused += 1;
                return (false, Some(write));
            }
            state.next += 1;
            state.order.push_back((key.clone(), number));
            let entry = Entry {
                write,
                number,
                writing: None,
                is_removed: false,
                not_before: now,
                pause: PAUSES.0,
            };
            state.entries.insert(key, entry);
            (true, None)
        });
        self.due.notify_one();
        // Outside of the lock: that runs the user's code.
        drop(replaced);
        is_queued
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<V>> {
        let state = self.lock();
        let entry = state.entries.get(key).filter(|entry| !entry.is_removed)?;
        (entry.write.until > Instant::now()).then(|| Arc::clone(&entry.write.value))
    }

    /// Removes a key, and waits for the end of its write.
    pub(crate) async fn remove(&self, key: &[u8]) {
        let (removed, next) = self.with(|state| (state.remove(key), state.next));
        drop(removed);
        self.ended_for(|state| state.entries.get(key).is_none_or(|entry| entry.is_past(next)))
            .await;
    }

    /// Removes all keys, and waits for the end of their writes.
    pub(crate) async fn remove_all(&self) {
        let (removed, next) = self.with(|state| {
            let keys: Vec<Vec<u8>> = state.entries.keys().cloned().collect();
            (keys.iter().map(|key| state.remove(key)).collect::<Vec<_>>(), state.next)
        });
        drop(removed);
        self.ended_for(|state| state.entries.values().all(|entry| entry.is_past(next))).await;
    }

    /// Waits until every value that is there now is written, replaced or given up.
    pub(crate) async fn flushed(&self) {
        let last = self.lock().next;
        self.ended_for(|state| state.entries.values().all(|entry| entry.number >= last)).await;
    }

    /// Waits until something is so, looking whenever a write has ended.
    async fn ended_for(&self, is_so: impl Fn(&State<K, V>) -> bool) {
        loop {
            let mut ended = pin!(self.ended.notified());
            // From here on it hears of ends: before it looks.
            ended.as_mut().enable();
            if is_so(&self.lock()) {
                return;
            }
            ended.await;
        }
    }

    /// No handle is left: what fails from now on is given up.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.due.notify_one();
    }

    pub(crate) fn stats(&self) -> QueueStats {
        let state = self.lock();
        QueueStats { queued: state.entries.len(), ..state.stats }
    }

    /// Up to so many values that are due, as soon as there are any. `None` when no handle is left and all is written.
    pub(crate) async fn take(&self, most: usize) -> Option<Taken<'_, K, V>> {
        loop {
            let (taken, next) = self.with(|state| state.take(most, Instant::now()));
            if !taken.is_empty() {
                return Some(Taken { queue: self, writes: taken.into_iter().map(Some).collect() });
            }
            match next {
                Next::Ended => return None,
                Next::Told => self.due.notified().await,
                Next::At(moment) => {
                    let told = tokio::time::timeout_at(moment.into(), self.due.notified());
                    let _ = told.await;
                }
            }
        }
    }
}

/// When there may be something to write.
enum Next {
    Ended,
    Told,
    At(Instant),
}

impl<K, V> State<K, V> {
    /// What was removed, unless it is being written.
    fn remove(&mut self, key: &[u8]) -> Option<Entry<K, V>> {
        let entry = self.entries.get_mut(key)?;
        if entry.writing.is_some() {
            entry.is_removed = true;
            return None;
        }
        self.order.retain(|(other, _)| other != key);
        self.entries.remove(key)
    }

    /// Values that are due; if there is none, when there may be one.
    fn take(&mut self, most: usize, now: Instant) -> (Vec<Due<K, V>>, Next) {
        let (mut taken, mut left) = (Vec::new(), VecDeque::new());
        let mut first: Option<Instant> = None;
        while let Some((key, place)) = self.order.pop_front() {
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            if taken.len() < most && entry.not_before <= now {
                entry.writing = Some(entry.number);
                taken.push((key, entry.number, entry.write.clone()));
                if taken.len() == most {
                    break;
                }
            } else {
                first = Some(first.map_or(entry.not_before, |first| first.min(entry.not_before)));
                left.push_back((key, place));
            }
        }
        // Those that are not due yet stay in front.
        while let Some(waits) = left.pop_back() {
            self.order.push_front(waits);
        }
        let next = match first {
            Some(moment) => Next::At(moment),
            None if self.is_closed && self.entries.is_empty() => Next::Ended,
            None => Next::Told,
        };
        (taken, next)
    }

    /// Returns what is gone.
    fn end(
        &mut self,
        key: Vec<u8>,
        number: u64,
        ended: Ended,
        now: Instant,
    ) -> Option<Entry<K, V>> {
        let is_closed = self.is_closed;
        let entry = self.entries.get_mut(&key)?;
        entry.writing = None;
        match ended {
            Ended::Written => self.stats.written += 1,
            Ended::Failed | Ended::Hopeless => self.stats.failed += 1,
        }
        if entry.is_removed {
            return self.entries.remove(&key);
        }
        if entry.number == number {
            let is_over = entry.write.until <= now || is_closed || ended == Ended::Hopeless;
            if ended == Ended::Written || is_over {
                self.stats.lost += u64::from(ended != Ended::Written);
                return self.entries.remove(&key);
            }
            entry.not_before = now + entry.pause;
            entry.pause = (entry.pause * 2).min(PAUSES.1);
        } else {
            // A newer value waits.
            (entry.not_before, entry.pause) = (now, PAUSES.0);
        }
        self.order.push_back((key, number));
        None
    }
}

impl<K, V> Taken<'_, K, V> {
    pub(crate) fn end(&mut self, nth: usize, ended: Ended) {
        let Some((key, number, write)) = self.writes.get_mut(nth).and_then(Option::take) else {
            return;
        };
        let gone = self.queue.with(|state| state.end(key, number, ended, Instant::now()));
        drop((gone, write));
        self.queue.ended.notify_waiters();
    }
}

impl<K, V> Drop for Taken<'_, K, V> {
    fn drop(&mut self) {
        for nth in 0..self.writes.len() {
            self.end(nth, Ended::Failed);
        }
    }
}

#[cfg(test)]
mod tests;
