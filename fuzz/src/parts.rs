//! Keys, values, hashers and rules that notice what is done to them.

use std::borrow::Borrow;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clockhand::{Cache, Expiry, RemovalCause};

/// The cache under test.
pub(crate) type Subject = Cache<Key, Value, Hash8>;

/// A key that lives on the heap, so that a read of a freed one is seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Box<u8>);

impl Key {
    pub(crate) fn new(key: u8) -> Self {
        Self(Box::new(key))
    }

    pub(crate) fn number(&self) -> u8 {
        *self.0
    }
}

impl Borrow<u8> for Key {
    fn borrow(&self) -> &u8 {
        &self.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// A value that is like no other, counts its copies, and tells when it is read after its end.
#[derive(Debug)]
pub(crate) struct Value {
    id: u64,
    /// The same, while the value lives.
    seal: u64,
    weight: u64,
    alive: Arc<AtomicUsize>,
}

impl Value {
    pub(crate) fn new(id: u64, weight: u64, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { id, seal: id, weight, alive: Arc::clone(alive) }
    }

    pub(crate) fn id(&self) -> u64 {
        assert_eq!(self.id, self.seal, "a value that is gone");
        self.id
    }

    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        Self::new(self.id(), self.weight, &self.alive)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        assert_eq!(self.id, self.seal, "a value that is dropped twice");
        self.seal = !self.id;
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A hasher with so many values, as a power of two up to 2^8; above, it is a good one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash8(pub(crate) u32);

impl BuildHasher for Hash8 {
    type Hasher = Narrow;
    fn build_hasher(&self) -> Narrow {
        Narrow { full: DefaultHasher::new(), bits: self.0 }
    }
}

#[derive(Debug)]
pub(crate) struct Narrow {
    full: DefaultHasher,
    bits: u32,
}

impl Hasher for Narrow {
    fn finish(&self) -> u64 {
        let full = self.full.finish();
        if self.bits > 8 { full } else { full & ((1 << self.bits) - 1) }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.full.write(bytes);
    }
}

/// What the removal listener was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) key: u8,
    pub(crate) id: u64,
    pub(crate) cause: RemovalCause,
}

/// Where the listener writes.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: Mutex<Vec<Event>>,
    /// Lets the listener look into the cache; taken out before the cache is dropped.
    pub(crate) subject: Mutex<Option<Subject>>,
}

impl Log {
    /// The listener: notes the event, and that the value can no longer be read.
    pub(crate) fn note(&self, key: &Key, value: &Value, cause: RemovalCause) {
        let event = Event { key: key.number(), id: value.id(), cause };
        if let Some(subject) = &*self.subject.lock().unwrap_or_else(PoisonError::into_inner) {
            let seen = subject.peek(&event.key).map(|value| value.id());
            assert_ne!(seen, Some(event.id), "{event:?} can still be read");
        }
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// What was noted since the last call.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What an expiry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What is left; for a new entry, no deadline.
    Keep,
    Never,
    After(Duration),
}

impl Wish {
    pub(crate) fn of(self, left: Option<Duration>) -> Option<Duration> {
        match self {
            Self::Keep => left,
            Self::Never => None,
            Self::After(duration) => Some(duration),
        }
    }
}

/// An expiry that always answers the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wishes {
    pub(crate) create: Wish,
    pub(crate) read: Wish,
    pub(crate) update: Wish,
}

impl Expiry<Key, Value> for Wishes {
    fn expire_after_create(&self, _: &Key, _: &Value, _: Instant) -> Option<Duration> {
        self.create.of(None)
    }

    fn expire_after_read(
        &self,
        _: &Key,
        _: &Value,
        read_at: Instant,
        left: Option<Duration>,
        modified_at: Instant,
    ) -> Option<Duration> {
        assert!(modified_at <= read_at);
        self.read.of(left)
    }

    fn expire_after_update(
        &self,
        _: &Key,
        _: &Value,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        self.update.of(left)
    }
}
