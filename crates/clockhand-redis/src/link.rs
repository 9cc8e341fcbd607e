//! What an instance and its connection share: how they stand, and what is done when a message comes or the connection is
//! lost.
//!
//! Messages, replies, losses and new connections are all handled on the tier's thread, one after the other. So whatever is
//! looked at and acted upon there without waiting in between is one step for the others.
//!
//! # Invariants
//!
//! - **R1** While the connection is up, the first tier has no entry that the server could change without a message that
//!   this connection will carry. It is empty when the connection comes up, which is after the server tracks keys for it;
//!   and it gets only what the server had when it answered on this connection.
//! - **R2** A message is acted upon before any reply that came after it is given to any caller: the client calls us for it as
//!   it reads.
//! - **R3** An entry comes in by a load that began before the server was asked, and a message for its key detaches that
//!   load; or by `insert`, on this thread, if no message came since the server was asked.
//! - **R4** The server does not tell an instance of its own writes. So a write of a key ends with the removal of the key
//!   from the first tier, or with the value that was written; two writes of a key by one instance take turns; and a write
//!   whose end is not known is waited for until the server would refuse it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use clockhand::tier::FirstTier;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::breaker::Breaker;
use crate::error::TierError;
use crate::gate::Gate;
use crate::names::Names;
use crate::repairs::Repairs;
use crate::scripts::Scripts;
use crate::server_clock::ServerClock;
use crate::settings::Settings;
use crate::stats::Counts;
use crate::token::Tokens;

/// Writes of so many groups of keys go side by side.
const STRIPES: usize = 256;
/// Groups of keys and tags whose messages are noted.
const WATCHED: usize = 4096;
/// What a message is about.
const KEYS: u8 = 0;
const TAGS: u8 = 1;

pub(crate) struct Link {
    pub(crate) settings: Settings,
    pub(crate) scripts: Scripts,
    pub(crate) names: Names,
    pub(crate) tokens: Tokens,
    pub(crate) clock: ServerClock,
    pub(crate) breaker: Breaker,
    pub(crate) repairs: Repairs,
    pub(crate) counts: Counts,
    pub(crate) gate: Arc<Gate>,
    pub(crate) handle: Handle,
    pub(crate) in_flight: AtomicUsize,
    /// What is done later for claims.
    pub(crate) unsettled: AtomicUsize,
    pub(crate) stripes: Vec<tokio::sync::Mutex<()>>,
    /// The number of the latest message for each group of keys, and of tags.
    changes: Vec<AtomicU64>,
    /// The number of the latest message that concerned all keys.
    all_changed: AtomicU64,
    /// The number of the latest message.
    latest: AtomicU64,
    connection: Mutex<Connection>,
    generation: Mutex<Generation>,
    first: OnceLock<Weak<dyn FirstTier>>,
    /// For the tier's main task: the connection was lost, the generation has to be asked for, there are repairs.
    pub(crate) attention: Notify,
    /// For operations: there is a generation.
    pub(crate) generation_known: Notify,
}

pub(crate) struct Connection {
    /// The connection that is up.
    current: Option<MultiplexedConnection>,
    /// Which one it is, or is going to be: what comes from earlier ones is ignored.
    epoch: u64,
    /// How often it has come up or was lost.
    turns: u64,
    /// Whether it is coming up: what comes into the first tier now would not be seen by those who empty it.
    comes_up: bool,
    since: Instant,
    last_error: Option<TierError>,
    run_id: Vec<u8>,
}

#[derive(Default)]
struct Generation {
    current: Option<[u8; 8]>,
    /// How often it was told to have changed.
    told: u64,
}

/// A moment between two messages.
#[derive(Clone, Copy)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) is_up: bool,
    pub(crate) since: Duration,
    pub(crate) last_error: Option<TierError>,
}

impl Link {
    pub(crate) fn new(settings: Settings, handle: Handle) -> Self {
        let connection = Connection {
            current: None,
            epoch: 0,
            turns: 0,
            comes_up: false,
            since: Instant::now(),
            last_error: None,
            run_id: Vec::new(),
        };
        Self {
            scripts: Scripts::new(),
            names: Names::new(&settings.key_prefix),
            tokens: Tokens::new(),
            clock: ServerClock::default(),
            breaker: Breaker::new(settings.breaker.0, settings.breaker.1),
            repairs: Repairs::new(settings.repairs),
            counts: Counts::default(),
            gate: Arc::new(Gate::new()),
            handle,
            in_flight: AtomicUsize::new(0),
            unsettled: AtomicUsize::new(0),
            stripes: (0..STRIPES).map(|_| tokio::sync::Mutex::default()).collect(),
            changes: (0..WATCHED).map(|_| AtomicU64::new(0)).collect(),
            all_changed: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            connection: Mutex::new(connection),
            generation: Mutex::default(),
            first: OnceLock::new(),
            attention: Notify::new(),
            generation_known: Notify::new(),
            settings,
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generation_lock(&self) -> MutexGuard<'_, Generation> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a first tier before this one. False if there is one.
    pub(crate) fn attach(&self, first: Weak<dyn FirstTier>) -> bool {
        self.first.set(first).is_ok()
    }

    /// Begins a new connection, whose number it returns.
    pub(crate) fn next_epoch(&self) -> u64 {
        let mut connection = self.connection();
        connection.epoch += 1;
        connection.epoch
    }

    /// The connection that is up, and its number.
    pub(crate) fn current(&self) -> Result<(MultiplexedConnection, u64), TierError> {
        let connection = self.connection();
        let current = connection.current.clone().ok_or(TierError::Disconnected)?;
        Ok((current, connection.epoch))
    }

    pub(crate) fn is_up(&self, epoch: u64) -> bool {
        let connection = self.connection();
        connection.epoch == epoch && connection.current.is_some()
    }

    pub(crate) fn run_id(&self) -> Vec<u8> {
        self.connection().run_id.clone()
    }

    pub(crate) fn standing(&self) -> Standing {
        let connection = self.connection();
        Standing {
            is_up: connection.current.is_some(),
            since: connection.since.elapsed(),
            last_error: connection.last_error.clone(),
        }
    }

    /// How long a value may be kept that the server has not. The caller has a load under way: it is detached if the
    /// connection comes up after that.
    pub(crate) fn kept_alone(&self) -> Duration {
        let connection = self.connection();
        let is_alone = connection.current.is_none() && !connection.comes_up;
        if is_alone { self.settings.max_staleness } else { Duration::ZERO }
    }

    /// Notes why a connection could not be set up.
    pub(crate) fn not_connected(&self, error: TierError) {
        self.connection().last_error = Some(error);
    }

    /// The connection is set up, and the server tracks keys for it. Empties the first tier (R1).
    pub(crate) fn up(&self, epoch: u64, current: MultiplexedConnection, run_id: Vec<u8>) {
        let mut connection = self.connection();
        if connection.epoch != epoch {
            return;
        }
        connection.comes_up = true;
        drop(connection);
        self.gate.close_at(None);
        self.empty_first();
        let mut connection = self.connection();
        connection.comes_up = false;
        connection.current = Some(current);
        connection.turns += 1;
        connection.since = Instant::now();
        connection.last_error = None;
        connection.run_id = run_id;
        drop(connection);
        self.breaker.reset();
        self.counts.connects.add();
        self.gate.open();
    }

    /// The connection of this number is lost: from now on messages may be missed.
    pub(crate) fn down(self: &Arc<Self>, epoch: u64, error: TierError) {
        let mut connection = self.connection();
        if connection.epoch != epoch {
            return;
        }
        // What comes from it later is ignored, and so is the end of an attempt to set it up.
        connection.epoch += 1;
        connection.last_error = Some(error);
        let was_up = connection.current.take().is_some();
        if was_up {
            connection.turns += 1;
            connection.since = Instant::now();
        }
        let turn = connection.turns;
        drop(connection);
        self.attention.notify_one();
        if was_up {
            self.counts.disconnects.add();
            self.forget_generation();
            self.let_go_of_first(turn);
        }
    }

    /// From now on messages are missed: the first tier is emptied, now or when `max_staleness` is over.
    fn let_go_of_first(self: &Arc<Self>, turn: u64) {
        let staleness = self.settings.max_staleness;
        if staleness.is_zero() {
            self.gate.close_at(None);
            self.empty_first();
            self.gate.open();
            return;
        }
        let until = Instant::now() + staleness;
        self.gate.close_at(Some(until));
        let link = Arc::downgrade(self);
        self.handle.spawn(async move {
            tokio::time::sleep_until(until.into()).await;
            let Some(link) = link.upgrade() else { return };
            if link.connection().turns == turn {
                link.gate.close_at(None);
                link.empty_first();
                link.gate.open();
            }
        });
    }

    /// A message or the end of the connection of this number.
    pub(crate) fn hear(self: &Arc<Self>, epoch: u64, message: PushInfo) {
        match message.kind {
            PushKind::Disconnection => self.down(epoch, TierError::Lost),
            PushKind::Invalidate => match message.data.into_iter().next() {
                Some(Value::Array(names)) => names.iter().for_each(|name| self.invalidate(name)),
                // Without keys: all of them.
                _ => self.flush(),
            },
            _ => {}
        }
    }

    fn invalidate(&self, name: &Value) {
        let Value::BulkString(name) = name else { return self.flush() };
        if name == self.names.generation() {
            return self.flush();
        }
        if let Some(tag) = self.names.tag(name) {
            self.counts.invalidations.add();
            return self.tag_changed(tag);
        }
        let Some(key) = self.names.key(name) else { return self.counts.foreign_messages.add() };
        self.counts.invalidations.add();
        self.note_change(KEYS, key);
        if !self.invalidate_first(key) {
            self.counts.foreign_messages.add();
        }
    }

    /// What has this tag is not valid any more.
    pub(crate) fn tag_changed(&self, tag: &[u8]) {
        self.note_change(TAGS, tag);
        if let Some(first) = self.first.get().and_then(Weak::upgrade) {
            first.invalidate_tag(tag);
        }
    }

    /// A number for a message. This and the rest are written and read on the tier's thread.
    fn next_message(&self) -> u64 {
        // ORDERING: Relaxed: one thread.
        self.latest.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn note_change(&self, what: u8, name: &[u8]) {
        let nth = self.next_message();
        // ORDERING: Relaxed: one thread.
        self.changes[group((what, name), WATCHED)].store(nth, Ordering::Relaxed);
    }

    /// The generation has changed, or the server was emptied.
    fn flush(&self) {
        self.counts.flushes.add();
        self.forget_generation();
        self.empty_first();
        self.attention.notify_one();
    }

    /// Removes a key from the first tier; false if these bytes are no key.
    pub(crate) fn invalidate_first(&self, key: &[u8]) -> bool {
        self.first.get().and_then(Weak::upgrade).is_none_or(|first| first.invalidate(key))
    }

    /// Removes all keys from the first tier.
    pub(crate) fn empty_first(&self) {
        let nth = self.next_message();
        // ORDERING: Relaxed: one thread.
        self.all_changed.store(nth, Ordering::Relaxed);
        if let Some(first) = self.first.get().and_then(Weak::upgrade) {
            first.invalidate_all();
        }
    }

    /// This moment. On the tier's thread.
    pub(crate) fn mark(&self) -> Mark {
        // ORDERING: Relaxed: one thread.
        Mark(self.latest.load(Ordering::Relaxed))
    }

    /// Whether nothing was told since `mark` that concerns a key with these tags. On the tier's thread.
    pub(crate) fn is_unchanged<'t>(
        &self,
        mark: Mark,
        key: &[u8],
        tags: impl IntoIterator<Item = &'t str>,
    ) -> bool {
        let is_older = |what: u8, name: &[u8]| {
            // ORDERING: Relaxed: one thread.
            self.changes[group((what, name), WATCHED)].load(Ordering::Relaxed) <= mark.0
        };
        // ORDERING: Relaxed: one thread.
        self.all_changed.load(Ordering::Relaxed) <= mark.0
            && is_older(KEYS, key)
            && tags.into_iter().all(|tag| is_older(TAGS, tag.as_bytes()))
    }

    pub(crate) fn stripe(&self, key: &[u8]) -> &tokio::sync::Mutex<()> {
        &self.stripes[group((KEYS, key), STRIPES)]
    }

    /// The generation, if it is known.
    pub(crate) fn generation(&self) -> Option<[u8; 8]> {
        self.generation_lock().current
    }

    /// How often the generation was told to have changed.
    pub(crate) fn generation_told(&self) -> u64 {
        self.generation_lock().told
    }

    fn forget_generation(&self) {
        let mut generation = self.generation_lock();
        generation.told += 1;
        generation.current = None;
    }

    /// Takes what the server has answered for the generation, unless it was told to have changed since it was asked.
    pub(crate) fn adopt(&self, asked: u64, answered: [u8; 8]) -> bool {
        let mut generation = self.generation_lock();
        if generation.told != asked {
            return false;
        }
        generation.current = Some(answered);
        drop(generation);
        self.generation_known.notify_waiters();
        true
    }

    /// As [`adopt`](Self::adopt), for a generation of our own making: nothing of the one before is valid.
    pub(crate) fn adopt_own(&self, asked: u64, made: [u8; 8]) {
        if !self.adopt(asked, made) {
            self.forget_generation();
            self.attention.notify_one();
        }
        self.empty_first();
    }
}

fn group(name: (u8, &[u8]), groups: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() as usize % groups
}
