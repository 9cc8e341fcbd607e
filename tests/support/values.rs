//! Keys, values and hashers with an eye on them.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering};

/// A value that knows its weight, and counts as alive until it is dropped.
#[derive(Debug)]
pub(crate) struct Weighty {
    pub(crate) weight: u64,
    alive: Arc<AtomicI64>,
}

impl Weighty {
    pub(crate) fn new(weight: u64, alive: &Arc<AtomicI64>) -> Self {
        alive.fetch_add(weight.cast_signed(), Ordering::SeqCst);
        Self { weight, alive: Arc::clone(alive) }
    }
}

impl Drop for Weighty {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.weight.cast_signed(), Ordering::SeqCst);
    }
}

/// Counts how often each of its people was dropped, and remembers if one was dropped by a thread
/// that was only to read.
pub(crate) struct Census {
    dropped: Vec<AtomicU8>,
    born: AtomicUsize,
    by_reader: AtomicBool,
}

/// A value with a number of its own.
pub(crate) struct Person {
    pub(crate) id: usize,
    pub(crate) key: u64,
    census: Arc<Census>,
}

impl Census {
    /// A census for at most so many.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let dropped = (0..most).map(|_| AtomicU8::new(0)).collect();
        Arc::new(Self { dropped, born: AtomicUsize::new(0), by_reader: AtomicBool::new(false) })
    }

    /// A new value for a key.
    pub(crate) fn person(self: &Arc<Self>, key: u64) -> Person {
        let id = self.born.fetch_add(1, Ordering::Relaxed);
        assert!(id < self.dropped.len(), "a census for more people is needed");
        Person { id, key, census: Arc::clone(self) }
    }

    pub(crate) fn born(&self) -> usize {
        self.born.load(Ordering::SeqCst)
    }

    /// How many are dropped.
    pub(crate) fn dead(&self) -> usize {
        let dropped = &self.dropped[..self.born()];
        dropped.iter().filter(|count| count.load(Ordering::SeqCst) > 0).count()
    }

    /// Panics unless everybody was dropped exactly once.
    pub(crate) fn assert_all_dropped_once(&self) {
        for (id, count) in self.dropped[..self.born()].iter().enumerate() {
            assert_eq!(count.load(Ordering::SeqCst), 1, "drops of value {id} of {}", self.born());
        }
    }

    /// Whether a value was dropped inside of [`read_only`].
    pub(crate) fn was_dropped_by_a_reader(&self) -> bool {
        self.by_reader.load(Ordering::SeqCst)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let before = self.census.dropped[self.id].fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "value {} was dropped before", self.id);
        if on_reading_thread() {
            self.census.by_reader.store(true, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value {} of key {}", self.id, self.key)
    }
}

thread_local! {
    static READS_ONLY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` on this thread, which from now on only reads: nothing of the user's may run here but
/// what `body` calls itself.
pub(crate) fn read_only<R>(body: impl FnOnce() -> R) -> R {
    READS_ONLY.set(true);
    let result = body();
    READS_ONLY.set(false);
    result
}

/// Whether the calling thread is inside of [`read_only`].
pub(crate) fn on_reading_thread() -> bool {
    READS_ONLY.get()
}

/// Hashes everything to the same.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Constant;

/// Hashes a number to itself.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Identity(u64);

impl BuildHasher for Constant {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Constant {
    fn write(&mut self, _: &[u8]) {}
    fn finish(&self) -> u64 {
        7
    }
}

impl BuildHasher for Identity {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Identity {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes.iter().rev() {
            self.0 = self.0 << 8 | u64::from(byte);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
