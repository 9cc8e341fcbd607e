//! The operations, as they run on the tier's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clockhand::tier::{CacheUpdate, Put};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, ScriptInvocation, Value};
use tokio::time::{sleep, sleep_until, timeout_at};

use crate::envelope::ENVELOPE_OVERHEAD;
use crate::error::TierError;
use crate::link::{Link, Mark};
use crate::scripts::{self, status};
use crate::token::random;

/// The first and the longest pause between two looks of a load that waits for another instance's.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// What an envelope and its tags can have beside the payload.
const LONGEST_ENVELOPE: usize = ENVELOPE_OVERHEAD + u16::MAX as usize;
/// The most bytes of values in one answer for many keys.
const LARGEST_ANSWER: usize = 8 << 20;
/// What that answer says instead of milliseconds.
const OVERSIZED: i64 = -3;
const NO_ROOM: i64 = -4;
/// How often tags are asked for that are new.
const TAGS_ASKED: u32 = 4;
/// With less time left, nothing is done once more.
const SHORTEST_TRY: Duration = Duration::from_millis(5);
/// The shortest life of a tag.
const SHORTEST_TAG: Duration = Duration::from_secs(24 * 3600);

/// What a script has answered.
pub(crate) struct Answer {
    /// The server's time.
    pub(crate) micros: u64,
    pub(crate) status: i64,
    pub(crate) rest: Vec<Value>,
    pub(crate) sent: Instant,
    pub(crate) arrived: Instant,
}

pub(crate) fn answer_of(values: Vec<Value>, sent: Instant) -> Result<Answer, TierError> {
    let arrived = Instant::now();
    let mut values = values.into_iter();
    match (values.next(), values.next()) {
        (Some(Value::Int(micros)), Some(Value::Int(status))) => {
            let micros = u64::try_from(micros).unwrap_or(0);
            Ok(Answer { micros, status, rest: values.collect(), sent, arrived })
        }
        _ => Err(TierError::Server("ERR".to_string())),
    }
}

/// What was found for a key, and the moment before that was asked.
pub(crate) enum Answered {
    /// A value in its envelope, and until when it may be served.
    Value(Vec<u8>, Instant, Mark),
    /// None. The token under which a value may be stored, if there is one, whether it is the caller's own, and the stamps of
    /// the load's tags.
    Miss { token: Vec<u8>, is_own: bool, stamps: Vec<[u8; 8]>, mark: Mark },
}

/// A write of a user.
pub(crate) enum Write {
    /// The value in its envelope, how long it lives, and what puts it into the first tier.
    Insert(Vec<u8>, Duration, CacheUpdate),
    /// The same for a value with tags, whose stamps were asked for after this moment.
    InsertTagged(Vec<u8>, Duration, CacheUpdate, Vec<String>, Mark),
    Remove,
}

/// How a look-up is done.
pub(crate) struct LookUp {
    /// The token to leave if there is no value; empty: none.
    pub(crate) token: Vec<u8>,
    /// Whether a value that is there is disregarded.
    pub(crate) disregard: bool,
    /// The tags that a value is going to have.
    pub(crate) tags: Vec<String>,
    /// How long a value that is there has to live to be taken.
    pub(crate) least: Duration,
}

impl Link {
    /// Runs an operation on the tier's thread, to its end: also if the caller does not wait for it any more.
    ///
    /// An error means that it did not begin, or that the thread has ended.
    pub(crate) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        operation: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TierError> {
        let slot = Slot::take(self)?;
        let running = self.handle.spawn(async move {
            let _slot = slot;
            operation.await
        });
        running.await.map_err(|_| TierError::Disconnected)
    }

    /// As [`run`](Self::run), whatever else is under way: for what has to be done in any case. `None` if it was not.
    pub(crate) async fn spawned<T: Send + 'static>(
        self: &Arc<Self>,
        operation: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.handle.spawn(operation).await.ok()
    }

    /// Until when an operation that begins now has to have ended.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.settings.operation_timeout
    }

    /// Calls a script, unless the breaker is open, and waits for the answer until `until`.
    pub(crate) async fn call(
        self: &Arc<Self>,
        call: &ScriptInvocation<'_>,
        until: Instant,
    ) -> Result<Answer, TierError> {
        self.ask(until, async |mut connection| call.invoke_async(&mut connection).await).await
    }

    /// Asks the server, unless the breaker is open, and waits for the answer until `until`.
    async fn ask(
        self: &Arc<Self>,
        until: Instant,
        ask: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<Vec<Value>>,
    ) -> Result<Answer, TierError> {
        let (connection, epoch) = self.current()?;
        let sent = Instant::now();
        let Some(permit) = self.breaker.permit(sent) else {
            self.counts.refused.add();
            return Err(TierError::Refused);
        };
        let answer = match timeout_at(until.into(), ask(connection)).await {
            Ok(Ok(values)) => answer_of(values, sent),
            Ok(Err(error)) => Err(TierError::of(&error)),
            Err(_) => Err(TierError::TimedOut),
        };
        match &answer {
            Ok(answer) => {
                self.clock.note(answer.micros, answer.sent, answer.arrived);
                permit.succeeded();
            }
            Err(error) => {
                if *error == TierError::TimedOut {
                    self.counts.timeouts.add();
                }
                if !error.is_failure() {
                    permit.succeeded();
                } else if permit.failed(Instant::now()) {
                    self.counts.breaker_opened.add();
                }
                if error.ends_connection() {
                    self.down(epoch, error.clone());
                }
            }
        }
        answer
    }

    /// The generation, as soon as it is known.
    pub(crate) async fn known_generation(&self, until: Instant) -> Result<[u8; 8], TierError> {
        loop {
            let known = self.generation_known.notified();
            if let Some(generation) = self.generation() {
                return Ok(generation);
            }
            self.current()?;
            timeout_at(until.into(), known).await.map_err(|_| TierError::TimedOut)?;
        }
    }

    /// Looks a key up.
    pub(crate) async fn look_up(
        self: &Arc<Self>,
        key: &[u8],
        look: &LookUp,
        until: Instant,
    ) -> Result<Answered, TierError> {
        // A write of this key has failed: what the server has may be older.
        if self.repairs.concerns(key) {
            return Err(TierError::Refused);
        }
        let generation = self.known_generation(until).await?;
        // The server tells this instance, too, of tags that are new. That must not come while it loads: so it asks again.
        for _ in 0..TAGS_ASKED {
            let (found, new) = self.look_up_once(key, look, &generation, until).await?;
            if new == 0 {
                return Ok(found);
            }
        }
        // They are removed as fast as they are made.
        Err(TierError::Refused)
    }

    /// Looks a key up; returns how many of the load's tags are new as well.
    async fn look_up_once(
        self: &Arc<Self>,
        key: &[u8],
        look: &LookUp,
        generation: &[u8; 8],
        until: Instant,
    ) -> Result<(Answered, i64), TierError> {
        let mark = self.mark();
        let mut call = self.scripts.get.prepare_invoke();
        call.key(self.names.value(key)).key(self.names.marker(key));
        call.arg(&generation[..]).arg(&look.token[..]);
        call.arg(millis(self.settings.longest_load)).arg(millis(self.settings.linger + look.least));
        call.arg(self.settings.max_value_bytes + LONGEST_ENVELOPE);
        call.arg(u8::from(look.disregard)).arg(self.names.tags()).arg(millis(self.tag_life()));
        for tag in &look.tags {
            call.arg(tag).arg(&random()[..]);
        }
        let answer = self.call(&call, until).await?;
        if answer.status == status::TOO_LARGE {
            self.counts.too_large.add();
        }
        let mut rest = answer.rest.into_iter();
        match (answer.status, rest.next(), rest.next()) {
            (status::DONE, Some(Value::BulkString(value)), Some(Value::Int(left))) => {
                Ok((Answered::Value(value, self.ends(answer.sent, left), mark), 0))
            }
            (
                status::MISS | status::TOO_LARGE,
                Some(Value::BulkString(token)),
                Some(Value::Int(own)),
            ) => {
                let Some(Value::Int(new)) = rest.next() else { return Err(unreadable()) };
                let stamps = rest.filter_map(|stamp| stamp_of(&stamp)).collect();
                Ok((Answered::Miss { token, is_own: own == 1, stamps, mark }, new))
            }
            _ => Err(unreadable()),
        }
    }

    /// Looks keys up that no load is going to store, in one round trip. `None`: it did not fit into the answer.
    pub(crate) async fn look_up_many(
        self: &Arc<Self>,
        keys: &[Vec<u8>],
        until: Instant,
    ) -> Vec<Result<Option<Answered>, TierError>> {
        // A write of a key has failed: what the server has may be older.
        let is_due: Vec<bool> = keys.iter().map(|key| self.repairs.concerns(key)).collect();
        let asked: Vec<&Vec<u8>> =
            keys.iter().zip(&is_due).filter(|(_, is_due)| !**is_due).map(|(key, _)| key).collect();
        let answered = match asked.is_empty() {
            true => Ok(Vec::new()),
            false => self.ask_many(&asked, until).await,
        };
        let mut answered = answered.map(Vec::into_iter);
        let answers = is_due.into_iter().map(|is_due| match &mut answered {
            _ if is_due => Err(TierError::Refused),
            Ok(answers) => answers.next().ok_or_else(unreadable),
            Err(error) => Err(error.clone()),
        });
        answers.collect()
    }

    async fn ask_many(
        self: &Arc<Self>,
        keys: &[&Vec<u8>],
        until: Instant,
    ) -> Result<Vec<Option<Answered>>, TierError> {
        let generation = self.known_generation(until).await?;
        let mark = self.mark();
        let mut call = self.scripts.get_many.prepare_invoke();
        for key in keys {
            call.key(self.names.value(key));
        }
        call.arg(&generation[..]).arg(millis(self.settings.linger));
        call.arg(self.settings.max_value_bytes + LONGEST_ENVELOPE);
        call.arg(self.names.tags()).arg(LARGEST_ANSWER);
        let answer = self.call(&call, until).await?;
        let (sent, mut rest) = (answer.sent, answer.rest.into_iter());
        let mut answers = Vec::with_capacity(keys.len());
        while let (Some(value), Some(left)) = (rest.next(), rest.next()) {
            let (Value::BulkString(value), Value::Int(left)) = (value, left) else {
                return Err(unreadable());
            };
            answers.push(match left {
                NO_ROOM => None,
                _ if value.is_empty() => {
                    if left == OVERSIZED {
                        self.counts.too_large.add();
                    }
                    Some(Answered::Miss {
                        token: Vec::new(),
                        is_own: false,
                        stamps: Vec::new(),
                        mark,
                    })
                }
                _ => Some(Answered::Value(value, self.ends(sent, left), mark)),
            });
        }
        Ok(answers)
    }

    /// Until when a value may be served of which the server has said that so many milliseconds are left, after it was asked.
    fn ends(&self, sent: Instant, left: i64) -> Instant {
        let left = match u64::try_from(left) {
            Ok(left) => Duration::from_millis(left).saturating_sub(self.settings.linger),
            Err(_) => self.settings.time_to_live,
        };
        later(sent, left)
    }

    /// How long a tag lives: longer than what has it. When it ends, what has it ends as well.
    fn tag_life(&self) -> Duration {
        self.settings.time_to_live * 8 + SHORTEST_TAG
    }

    /// Stores the value of a load that has this token.
    pub(crate) async fn put(
        self: &Arc<Self>,
        key: &[u8],
        value: &[u8],
        ttl: Duration,
        token: &[u8],
    ) -> Result<Put, TierError> {
        let answer = self.store(key, (value, ttl), token, self.until()).await;
        match self.written(answer) {
            Ok(sent) => {
                self.counts.puts.add();
                Ok(Put::Stored(later(sent, ttl)))
            }
            Err(Refusal::Fenced) => {
                self.counts.fenced.add();
                Ok(Put::Overtaken)
            }
            Err(Refusal::Error(error)) => Err(error),
        }
    }

    /// Stores a value; with an empty token whatever was written before.
    async fn store(
        self: &Arc<Self>,
        key: &[u8],
        value: (&[u8], Duration),
        token: &[u8],
        until: Instant,
    ) -> Result<Answer, TierError> {
        let answer = self.store_once(key, value, token, until).await;
        match self.is_too_soon(&answer, until) {
            true => self.store_once(key, value, token, until).await,
            false => answer,
        }
    }

    /// Whether the server says that the deadline is over, and it is not: its clock was set forward. That is known by its
    /// answer, and what was too late has changed nothing, so it is done once more.
    pub(crate) fn is_too_soon(&self, answer: &Result<Answer, TierError>, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        left >= SHORTEST_TRY && answer.as_ref().is_ok_and(|answer| answer.status == status::LATE)
    }

    async fn store_once(
        self: &Arc<Self>,
        key: &[u8],
        (value, ttl): (&[u8], Duration),
        token: &[u8],
        until: Instant,
    ) -> Result<Answer, TierError> {
        let (name, marker) = (self.names.value(key), self.names.marker(key));
        let (deadline, ttl) = (self.deadline(until)?, millis(ttl + self.settings.linger));
        let stores = scripts::store((&name, &marker), value, ttl, deadline, token);
        let ask = async |mut connection: MultiplexedConnection| {
            let answers: Vec<Value> = stores.query_async(&mut connection).await?;
            Ok(match answers.into_iter().next() {
                Some(Value::Array(before)) => before,
                _ => Vec::new(),
            })
        };
        self.ask(until, ask).await
    }

    /// Until when, by the server's clock, a write may take effect.
    pub(crate) fn deadline(&self, until: Instant) -> Result<u64, TierError> {
        self.clock.deadline(Instant::now(), until).ok_or(TierError::Disconnected)
    }

    /// When a write that was done was sent; or why it was not done.
    fn written(&self, answer: Result<Answer, TierError>) -> Result<Instant, Refusal> {
        let answer = answer.map_err(Refusal::Error)?;
        match (answer.status, answer.rest.first()) {
            (status::DONE, _) => Ok(answer.sent),
            (status::FENCED, _) => Err(Refusal::Fenced),
            (status::LATE, _) => Err(Refusal::Error(TierError::TimedOut)),
            (_, Some(Value::BulkString(text))) => {
                let text = String::from_utf8_lossy(text);
                let code = text.trim_start_matches('-').split(' ').next().unwrap_or_default();
                Err(Refusal::Error(TierError::of_code(code)))
            }
            _ => Err(Refusal::Error(TierError::Server("ERR".to_string()))),
        }
    }

    /// Does a user's write, and sees to it that the first tier agrees with what has become of it (R4).
    pub(crate) async fn write(
        self: Arc<Self>,
        key: Vec<u8>,
        write: Write,
        until: Instant,
    ) -> Result<(), TierError> {
        let result = match timeout_at(until.into(), self.stripe(&key).lock()).await {
            Err(_) => Err(TierError::TimedOut),
            Ok(_turn) => {
                let (now, number) = (self.mark(), self.repairs.number(&key));
                let (insert, update, tags, mark) = match write {
                    Write::Insert(value, ttl, update) => {
                        (Some((value, ttl)), Some((ttl, update)), Vec::new(), now)
                    }
                    Write::InsertTagged(value, ttl, update, tags, mark) => {
                        (Some((value, ttl)), Some((ttl, update)), tags, mark)
                    }
                    Write::Remove => (None, None, Vec::new(), now),
                };
                let result = self.send_write(&key, insert.as_ref(), until).await;
                if result == Err(TierError::OutOfMemory) {
                    // The value cannot be stored: the older one must not stay.
                    let _ = self.send_write(&key, None, until).await;
                }
                if matches!(result, Err(TierError::TimedOut | TierError::Lost)) {
                    // It may have been done, or be done yet, until then.
                    sleep_until(until.into()).await;
                }
                let is_unchanged = self.is_unchanged(mark, &key, tags.iter().map(|tag| &tag[..]));
                self.settle(&key, &result, number, update.filter(|_| is_unchanged));
                result
            }
        };
        if result.is_err() {
            self.failed_write(&key);
        }
        result.map(drop)
    }

    /// Sends a write; returns when that was.
    async fn send_write(
        self: &Arc<Self>,
        key: &[u8],
        insert: Option<&(Vec<u8>, Duration)>,
        until: Instant,
    ) -> Result<Instant, TierError> {
        let answer = match insert {
            Some((value, ttl)) => self.store(key, (value, *ttl), &[], until).await,
            None => self.remove([&self.names.value(key), &self.names.marker(key)], until).await,
        };
        self.written(answer).map_err(|refusal| match refusal {
            Refusal::Error(error) => error,
            Refusal::Fenced => TierError::Server("ERR".to_string()),
        })
    }

    /// Brings the first tier in line with a write that has ended. `update` is there if nothing was told about the key since
    /// the write was sent.
    fn settle(
        &self,
        key: &[u8],
        result: &Result<Instant, TierError>,
        number: Option<u64>,
        update: Option<(Duration, CacheUpdate)>,
    ) {
        if let Ok(sent) = result {
            if let Some(number) = number {
                self.repairs.done(key, number);
            }
            if let Some((ttl, update)) = update {
                return update.until(later(*sent, ttl));
            }
        }
        self.invalidate_first(key);
    }

    pub(crate) fn failed_write(&self, key: &[u8]) {
        self.counts.failed_writes.add();
        if self.repairs.add(key) {
            self.counts.overflows.add();
        }
        self.invalidate_first(key);
    }

    /// Removes the key of a write that has failed.
    pub(crate) async fn repair_key(
        self: &Arc<Self>,
        key: &[u8],
        number: u64,
    ) -> Result<(), TierError> {
        let until = self.until();
        let lock = timeout_at(until.into(), self.stripe(key).lock()).await;
        let _turn = lock.map_err(|_| TierError::TimedOut)?;
        if self.repairs.number(key) != Some(number) {
            return Ok(());
        }
        self.send_write(key, None, until).await?;
        self.repairs.done(key, number);
        self.counts.repaired.add();
        self.invalidate_first(key);
        Ok(())
    }

    /// Removes two names.
    async fn remove(
        self: &Arc<Self>,
        names: [&[u8]; 2],
        until: Instant,
    ) -> Result<Answer, TierError> {
        let answer = self.remove_once(names, until).await;
        match self.is_too_soon(&answer, until) {
            true => self.remove_once(names, until).await,
            false => answer,
        }
    }

    async fn remove_once(
        self: &Arc<Self>,
        [name, other]: [&[u8]; 2],
        until: Instant,
    ) -> Result<Answer, TierError> {
        let mut call = self.scripts.remove.prepare_invoke();
        call.key(name).key(other).arg(self.deadline(until)?);
        self.call(&call, until).await
    }

    /// Makes a tag unknown: what has its stamp is not valid any more.
    pub(crate) async fn remove_tag(
        self: &Arc<Self>,
        tag: &str,
        until: Instant,
    ) -> Result<(), TierError> {
        let name = [self.names.tags(), tag.as_bytes()].concat();
        let answer = self.remove([&name, &name], until).await;
        match self.written(answer) {
            Ok(_) => Ok(()),
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Fenced) => Err(unreadable()),
        }
    }

    /// As [`remove_tag`](Self::remove_tag), for a user: what did not succeed is done later, for everything.
    pub(crate) async fn remove_tag_for_user(
        self: &Arc<Self>,
        tag: &str,
        until: Instant,
    ) -> Result<(), TierError> {
        let removed = self.remove_tag(tag, until).await;
        if matches!(removed, Err(TierError::TimedOut | TierError::Lost)) {
            sleep_until(until.into()).await;
        }
        if removed.is_err() {
            self.failed_advance();
        }
        self.tag_changed(tag.as_bytes());
        removed
    }

    /// Begins a new generation: nothing that was stored before is valid.
    pub(crate) async fn advance(self: &Arc<Self>, until: Instant) -> Result<(), TierError> {
        let (asked, made) = (self.generation_told(), random());
        let mut answer = self.advance_once(made, until).await;
        if self.is_too_soon(&answer, until) {
            answer = self.advance_once(made, until).await;
        }
        match self.written(answer) {
            Ok(_) => {
                self.adopt_own(asked, made);
                Ok(())
            }
            Err(Refusal::Error(error)) => Err(error),
            Err(Refusal::Fenced) => Err(TierError::Server("ERR".to_string())),
        }
    }

    async fn advance_once(
        self: &Arc<Self>,
        made: [u8; 8],
        until: Instant,
    ) -> Result<Answer, TierError> {
        let mut call = self.scripts.advance.prepare_invoke();
        call.key(self.names.generation()).arg(self.deadline(until)?);
        call.arg(self.run_id()).arg(&made[..]);
        self.call(&call, until).await
    }

    /// As [`advance`](Self::advance), for a user: what did not succeed is done later.
    pub(crate) async fn advance_for_user(
        self: &Arc<Self>,
        until: Instant,
    ) -> Result<(), TierError> {
        let advanced = self.advance(until).await;
        if matches!(advanced, Err(TierError::TimedOut | TierError::Lost)) {
            // It may have been done, or be done yet, until then.
            sleep_until(until.into()).await;
        }
        if advanced.is_err() {
            self.failed_advance();
            self.empty_first();
        }
        advanced
    }

    pub(crate) fn failed_advance(&self) {
        self.counts.failed_writes.add();
        self.repairs.add_everything();
    }

    /// As [`look_up`](Self::look_up), and waits for the lease of another instance if that is wanted.
    pub(crate) async fn look_up_leased(
        self: &Arc<Self>,
        key: &[u8],
        look: LookUp,
        until: Instant,
    ) -> Result<Answered, TierError> {
        let mut found = self.look_up(key, &look, until).await?;
        let Some(wait) = self.settings.lease.filter(|_| !look.token.is_empty()) else {
            return Ok(found);
        };
        let (end, mut pause) = (Instant::now() + wait, FIRST_LOOK);
        while matches!(&found, Answered::Miss { token, is_own: false, .. } if !token.is_empty()) {
            if pause == FIRST_LOOK {
                self.counts.lease_waits.add();
            }
            if Instant::now() + pause >= end {
                self.counts.lease_timeouts.add();
                break;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
            found = self.look_up(key, &look, self.until()).await?;
        }
        Ok(found)
    }

    /// Waits for an answer that follows all messages that the server has sent before it was asked (R2).
    pub(crate) async fn sync(self: &Arc<Self>, until: Instant) -> Result<(), TierError> {
        let (mut connection, epoch) = self.current()?;
        let asked = redis::cmd("PING");
        let answered = timeout_at(until.into(), asked.query_async::<Value>(&mut connection)).await;
        answered.map_err(|_| TierError::TimedOut)?.map_err(|error| TierError::of(&error))?;
        if self.is_up(epoch) { Ok(()) } else { Err(TierError::Lost) }
    }

    /// Gives a lease back whose load has failed.
    pub(crate) async fn release(
        self: &Arc<Self>,
        key: &[u8],
        token: &[u8],
    ) -> Result<(), TierError> {
        let mut call = self.scripts.release.prepare_invoke();
        call.key(self.names.marker(key)).arg(token);
        self.call(&call, self.until()).await.map(drop)
    }
}

/// An answer that no script of ours gives.
fn unreadable() -> TierError {
    TierError::Server("ERR".to_string())
}

fn stamp_of(value: &Value) -> Option<[u8; 8]> {
    match value {
        Value::BulkString(bytes) => bytes.as_slice().try_into().ok(),
        _ => None,
    }
}

enum Refusal {
    Fenced,
    Error(TierError),
}

/// A place among the operations that are under way.
struct Slot(Arc<Link>);

impl Slot {
    fn take(link: &Arc<Link>) -> Result<Self, TierError> {
        // ORDERING: Relaxed: a count that orders nothing.
        let before = link.in_flight.fetch_add(1, Ordering::Relaxed);
        let slot = Self(Arc::clone(link));
        if before >= link.settings.max_in_flight {
            link.counts.refused.add();
            return Err(TierError::Refused);
        }
        Ok(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // ORDERING: Relaxed: a count that orders nothing.
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(crate) fn later(moment: Instant, by: Duration) -> Instant {
    moment.checked_add(by).unwrap_or(moment)
}

/// Whole milliseconds, of which there is at least one.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}
