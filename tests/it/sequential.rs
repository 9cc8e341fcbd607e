//! Property tests: random sequences of all operations against a model that is a `HashMap`. Which
//! entry is evicted is the cache's own affair, so the model takes evictions from the listener; all
//! else it knows itself: answers, contents, causes, counters, usage.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{self, Constant, size};
use clockhand::{
    Cache, Clock, Compute, Computed, Expiry, InsertError, InsertErrorKind, Inserted, ManualClock,
    RemovalCause, Stats,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// A value: what it weighs, and a tag that tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Value {
    weight: u64,
    tag: u32,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Insert(u8, Value),
    TryInsert(u8, Value),
    InsertIfAbsent(u8, Value),
    ComputeKeep(u8),
    ComputePut(u8, Value),
    ComputeRemove(u8),
    Remove(u8),
    Invalidate(u8),
    /// Removes what has an even tag.
    RemoveIfEven(u8),
    Get(u8),
    Peek(u8),
    PinnedGet(u8),
    ReaderGet(u8),
    /// Keeps what has an even tag.
    RetainEven,
    InvalidateAll,
    SetCapacity(u64),
    Advance(u64),
    Expire,
    Maintain(usize),
    Scan,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    capacity: u64,
    live: Option<u64>,
    idle: Option<u64>,
    /// Whether an `Expiry` gives each value so many milliseconds as its tag says.
    by_tag: bool,
    constant_hash: bool,
}

fn value() -> impl Strategy<Value = Value> {
    let weight = prop_oneof![4 => 1..20_u64, 1 => Just(0), 1 => 20..150_u64];
    (weight, 0..40_u32).prop_map(|(weight, tag)| Value { weight, tag })
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..24_u8;
    let put = || (key(), value());
    prop_oneof![
        6 => put().prop_map(|(k, v)| Op::Insert(k, v)),
        3 => put().prop_map(|(k, v)| Op::TryInsert(k, v)),
        3 => put().prop_map(|(k, v)| Op::InsertIfAbsent(k, v)),
        1 => key().prop_map(Op::ComputeKeep),
        3 => put().prop_map(|(k, v)| Op::ComputePut(k, v)),
        2 => key().prop_map(Op::ComputeRemove),
        2 => key().prop_map(Op::Remove),
        2 => key().prop_map(Op::Invalidate),
        2 => key().prop_map(Op::RemoveIfEven),
        3 => key().prop_map(Op::Get),
        1 => key().prop_map(Op::Peek),
        1 => key().prop_map(Op::PinnedGet),
        2 => key().prop_map(Op::ReaderGet),
        1 => Just(Op::RetainEven),
        1 => Just(Op::InvalidateAll),
        1 => (0..200_u64).prop_map(Op::SetCapacity),
        3 => (0..12_u64).prop_map(Op::Advance),
        1 => Just(Op::Expire),
        1 => (0..50_usize).prop_map(Op::Maintain),
        1 => Just(Op::Scan),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let millis = || proptest::option::of(0..40_u64);
    (1..200_u64, millis(), millis(), any::<bool>(), any::<bool>()).prop_map(
        |(capacity, live, idle, by_tag, constant_hash)| {
            // Both at once is tested in `expiry.rs`.
            let live = live.filter(|_| !by_tag);
            Plan { capacity, live, idle, by_tag, constant_hash }
        },
    )
}

/// Each value lives so many milliseconds as its tag says, for ever if that is zero; a read gives it
/// the same again if the tag is a multiple of three, an update always does.
struct ByTag;

fn life(value: &Value) -> Option<Duration> {
    (value.tag > 0).then(|| Duration::from_millis(value.tag.into()))
}

impl Expiry<u8, Value> for ByTag {
    fn expire_after_create(&self, _: &u8, value: &Value, _: Instant) -> Option<Duration> {
        life(value)
    }
    fn expire_after_read(
        &self,
        _: &u8,
        value: &Value,
        _: Instant,
        left: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        if value.tag.is_multiple_of(3) { life(value) } else { left }
    }
    fn expire_after_update(
        &self,
        _: &u8,
        value: &Value,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        life(value)
    }
}

/// An entry that is in the cache, live or expired, and its deadlines in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Resident {
    value: Value,
    deadline: Option<u64>,
    idle_deadline: Option<u64>,
}

/// What the model counts, too.
fn counts(stats: &Stats) -> [u64; 8] {
    [
        stats.hits,
        stats.misses,
        stats.insertions,
        stats.replacements,
        stats.evictions,
        stats.expirations,
        stats.invalidations,
        stats.refusals,
    ]
}

type Told = Arc<Mutex<Vec<(u8, Value, RemovalCause)>>>;

struct Model {
    plan: Plan,
    now: u64,
    capacity: u64,
    entries: HashMap<u8, Resident>,
    stats: Stats,
    told: Told,
    /// What the listener must be told of the present operation, beside what makes room.
    expected: Vec<(u8, Value, RemovalCause)>,
}

impl Model {
    fn deadline(&self, value: &Value) -> Option<u64> {
        let own = if self.plan.by_tag { life(value).map(|l| l.as_millis() as u64) } else { None };
        own.or(self.plan.live).map(|life| self.now + life)
    }

    fn is_live(&self, resident: &Resident) -> bool {
        let ahead = |deadline: Option<u64>| deadline.is_none_or(|deadline| deadline > self.now);
        ahead(resident.deadline) && ahead(resident.idle_deadline)
    }

    fn live(&self, key: u8) -> Option<Value> {
        let resident = self.entries.get(&key)?;
        self.is_live(resident).then_some(resident.value)
    }

    fn charged(&self) -> u64 {
        self.entries.values().map(|resident| resident.value.weight).sum()
    }

    /// A read that counts and touches.
    fn read(&mut self, key: u8) -> Option<Value> {
        let Some(value) = self.live(key) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        self.note_use(key);
        Some(value)
    }

    /// A use that nobody counts.
    fn note_use(&mut self, key: u8) {
        let Some(value) = self.live(key) else { return };
        let again = self.deadline(&value);
        let (now, plan) = (self.now, self.plan);
        let resident = self.entries.get_mut(&key).expect("it is live");
        resident.idle_deadline = plan.idle.map(|idle| now + idle);
        if plan.by_tag && value.tag.is_multiple_of(3) {
            resident.deadline = again;
        }
    }

    fn expect(&mut self, key: u8, value: Value, cause: RemovalCause) {
        self.expected.push((key, value, cause));
    }

    /// Takes an entry out, by the hand of the caller or because it has expired.
    fn take(&mut self, key: u8) {
        let Some(resident) = self.entries.get(&key).copied() else { return };
        let cause = match self.is_live(&resident) {
            true => RemovalCause::Invalidated,
            false => RemovalCause::Expired,
        };
        self.expect(key, resident.value, cause);
    }

    /// An entry came in; what was there was replaced, or has expired, or had to make room.
    fn put(&mut self, key: u8, value: Value) -> Inserted {
        if let Some(old) = self.entries.get(&key).copied() {
            let live = self.is_live(&old);
            let cause = if live { RemovalCause::Replaced } else { RemovalCause::Expired };
            self.expect(key, old.value, cause);
        }
        let deadline = self.deadline(&value);
        let idle_deadline = self.plan.idle.map(|idle| self.now + idle);
        let replacements = self.stats.replacements;
        self.settle(Some((key, Resident { value, deadline, idle_deadline })));
        self.expected.retain(|expected| expected.0 != key);
        if self.stats.replacements > replacements {
            return Inserted::Replaced;
        }
        self.stats.insertions += 1;
        Inserted::New
    }

    fn never_fits(&self, value: Value) -> Option<InsertErrorKind> {
        let (charge, capacity) = (value.weight, self.capacity);
        (charge > capacity || capacity == 0)
            .then_some(InsertErrorKind::TooLarge { charge, capacity })
    }

    /// Compares what the listener was told with what was expected. What made room, and what had
    /// expired and was passed by, is taken over; all else must agree. An entry that has come in
    /// takes the place of an older one, and may have expired and left since.
    fn settle(&mut self, mut new: Option<(u8, Resident)>) {
        let told: Vec<_> = std::mem::take(&mut *self.told.lock().expect("not poisoned"));
        for news in told {
            let (key, value, cause) = news;
            let expected = self.expected.iter().position(|expected| *expected == news);
            if let Some(nth) = expected {
                self.expected.remove(nth);
            }
            self.count(cause);
            if cause == RemovalCause::Refused {
                assert!(expected.is_some(), "an unexpected {news:?}");
                continue;
            }
            if !self.entries.contains_key(&key) {
                self.entries.extend(new.take());
            }
            let resident = self.entries.remove(&key).expect("only what is there can leave");
            assert_eq!(resident.value, value, "{news:?}");
            match cause {
                RemovalCause::Evicted => assert!(self.is_live(&resident), "{news:?}"),
                RemovalCause::Expired => assert!(!self.is_live(&resident), "{news:?}"),
                _ => assert!(expected.is_some(), "an unexpected {news:?}"),
            }
        }
        self.entries.extend(new);
    }

    fn count(&mut self, cause: RemovalCause) {
        match cause {
            RemovalCause::Replaced => self.stats.replacements += 1,
            RemovalCause::Invalidated => self.stats.invalidations += 1,
            RemovalCause::Evicted => self.stats.evictions += 1,
            RemovalCause::Expired => self.stats.expirations += 1,
            _ => {}
        }
    }

    /// All that was expected has been told.
    fn finish(&mut self) {
        self.settle(None);
        assert_eq!(self.expected, [], "the listener was not told");
    }
}

struct Pair<S> {
    cache: Cache<u8, Value, S>,
    manual: ManualClock,
    model: Model,
}

impl<S: BuildHasher + Send + Sync + 'static> Pair<S> {
    fn new(plan: Plan, hasher: S) -> Self {
        let (clock, manual) = Clock::manual();
        let told = Told::default();
        let listener = Arc::clone(&told);
        let millis = Duration::from_millis;
        let mut builder = Cache::builder()
            .capacity(plan.capacity)
            .retired_capacity(1 << 20)
            .expected_entries(1)
            .weigher(|_, value: &Value| value.weight)
            .removal_listener(move |&key, &value, cause| {
                listener.lock().expect("not poisoned").push((key, value, cause));
            })
            .clock(clock);
        if let Some(live) = plan.live {
            builder = builder.time_to_live(millis(live));
        }
        if let Some(idle) = plan.idle {
            builder = builder.time_to_idle(millis(idle));
        }
        if plan.by_tag {
            builder = builder.expiry(ByTag);
        }
        let cache = builder.hasher(hasher).build().expect("sound");
        let (entries, stats) = (HashMap::new(), Stats::default());
        let capacity = plan.capacity;
        let model = Model { plan, now: 0, capacity, entries, stats, told, expected: Vec::new() };
        Self { cache, manual, model }
    }

    fn apply(&mut self, op: Op) {
        let (cache, model) = (&self.cache, &mut self.model);
        match op {
            Op::Insert(key, value) => {
                cache.insert(key, value);
                if model.never_fits(value).is_some() {
                    model.stats.refusals += 1;
                    model.take(key);
                    model.expect(key, value, RemovalCause::Refused);
                } else {
                    model.put(key, value);
                }
            }
            Op::TryInsert(key, value) => {
                let answer = cache.try_insert(key, value);
                self.assert_inserted(key, value, answer);
            }
            Op::InsertIfAbsent(key, value) => {
                let answer = cache.insert_if_absent(key, value);
                if model.live(key).is_some() {
                    let error = answer.expect_err("it is there");
                    assert_eq!((error.kind, error.value), (InsertErrorKind::Occupied, value));
                    model.note_use(key);
                } else {
                    self.assert_inserted(key, value, answer.map(|()| Inserted::New));
                }
            }
            Op::ComputeKeep(key) => {
                let before = model.live(key);
                let answer = cache.compute(key, |seen| {
                    assert_eq!(seen.copied(), before);
                    Compute::Keep
                });
                assert_eq!(answer == Computed::Kept, before.is_some());
                model.note_use(key);
            }
            Op::ComputePut(key, value) => self.compute_put(key, value),
            Op::ComputeRemove(key) => {
                let there = model.live(key).is_some();
                assert_eq!(cache.compute(key, |_| Compute::Remove) == Computed::Removed, there);
                if there {
                    model.take(key);
                }
            }
            Op::Remove(key) => {
                assert_eq!(cache.remove(&key), model.live(key));
                model.take(key);
            }
            Op::Invalidate(key) => {
                assert_eq!(cache.invalidate(&key), model.live(key).is_some());
                model.take(key);
            }
            Op::RemoveIfEven(key) => {
                let even = |value: &Value| value.tag.is_multiple_of(2);
                let live = model.live(key);
                assert_eq!(cache.remove_if(&key, even), live.as_ref().is_some_and(even));
                if live.as_ref().is_none_or(even) {
                    model.take(key);
                }
            }
            Op::Get(key) => assert_eq!(cache.get(&key), model.read(key)),
            Op::PinnedGet(key) => assert_eq!(cache.pin().get(&key).copied(), model.read(key)),
            Op::ReaderGet(key) => assert_eq!(cache.reader().get(&key).copied(), model.read(key)),
            Op::Peek(key) => assert_eq!(cache.peek(&key), model.live(key)),
            Op::RetainEven => {
                cache.retain(|_, value| value.tag % 2 == 0);
                let (expired, odd): (Vec<u8>, Vec<u8>) = (model.expired(), model.odd());
                expired.into_iter().chain(odd).for_each(|key| model.take(key));
            }
            Op::InvalidateAll => {
                cache.invalidate_all();
                let all: Vec<u8> = model.entries.keys().copied().collect();
                all.into_iter().for_each(|key| model.take(key));
            }
            Op::SetCapacity(capacity) => {
                cache.set_capacity(capacity);
                model.capacity = capacity;
            }
            Op::Advance(millis) => {
                self.manual.advance(Duration::from_millis(millis));
                model.now += millis;
            }
            Op::Expire => {
                let expired = model.expired();
                assert_eq!(cache.remove_expired(), expired.len());
                expired.into_iter().for_each(|key| model.take(key));
            }
            Op::Maintain(budget) => {
                let done = cache.maintain(budget);
                assert!(done.freed <= budget, "{done:?}");
            }
            Op::Scan => self.scan(),
        }
        self.check();
    }

    fn assert_inserted(
        &mut self,
        key: u8,
        value: Value,
        answer: Result<Inserted, InsertError<u8, Value>>,
    ) {
        if let Some(kind) = self.model.never_fits(value) {
            let error = answer.expect_err("it never fits");
            assert_eq!((error.kind, error.key, error.value), (kind, key, value));
            self.model.stats.refusals += 1;
            return;
        }
        let inserted = answer.expect("nobody reads, so there is room");
        assert_eq!(inserted, self.model.put(key, value));
    }

    fn compute_put(&mut self, key: u8, value: Value) {
        let before = self.model.live(key);
        let mut seen = None;
        let answer = self.cache.compute(key, |old| {
            seen.get_or_insert(old.copied());
            Compute::Put(value)
        });
        assert_eq!(seen, Some(before));
        if let Some(kind) = self.model.never_fits(value) {
            assert_eq!(answer, Computed::Refused { kind, value });
            self.model.stats.refusals += 1;
            return;
        }
        let expected = match self.model.put(key, value) {
            Inserted::New => Computed::Inserted,
            Inserted::Replaced => Computed::Replaced,
            other => panic!("{other:?}"),
        };
        assert_eq!(answer, expected);
    }

    fn scan(&self) {
        let model = &self.model;
        let mut there: Vec<(u8, Value)> = self.cache.snapshot();
        let mut visited = Vec::new();
        self.cache.for_each(|&key, &value| visited.push((key, value)));
        let mut expected: Vec<_> =
            model.entries.keys().filter_map(|&key| Some((key, model.live(key)?))).collect();
        for list in [&mut there, &mut visited, &mut expected] {
            list.sort_unstable_by_key(|&(key, _)| key);
        }
        assert_eq!(there, expected);
        assert_eq!(visited, expected);
    }

    /// What must agree after every operation.
    fn check(&mut self) {
        self.model.finish();
        let (usage, model) = (self.cache.usage(), &self.model);
        assert_eq!(usage.charged, model.charged());
        assert_eq!(usage.entries, model.entries.len());
        assert_eq!((usage.capacity, self.cache.capacity()), (model.capacity, model.capacity));
        assert_eq!(counts(&self.cache.stats()), counts(&model.stats));
        support::validate(&self.cache);
    }
}

impl Model {
    fn expired(&self) -> Vec<u8> {
        self.entries.iter().filter(|(_, r)| !self.is_live(r)).map(|(&key, _)| key).collect()
    }

    fn odd(&self) -> Vec<u8> {
        let odd = |r: &Resident| self.is_live(r) && r.value.tag % 2 == 1;
        self.entries.iter().filter(|(_, r)| odd(r)).map(|(&key, _)| key).collect()
    }
}

fn run<S: BuildHasher + Send + Sync + 'static>(plan: Plan, ops: &[Op], hasher: S) {
    let mut pair = Pair::new(plan, hasher);
    ops.iter().for_each(|&op| pair.apply(op));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: size(300, 20_000) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_cache_behaves_as_its_model(plan in plan(), ops in vec(op(), 1..120)) {
        match plan.constant_hash {
            true => run(plan, &ops, Constant),
            false => run(plan, &ops, RandomState::new()),
        }
    }
}
