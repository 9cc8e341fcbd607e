//! The settings of a cache that fills itself, against each other: every combination of them for one
//! handle, beside a second handle with others, in random histories of reads, writes, expiry, eviction
//! and failures, for threads and for tasks. A model of one key says what each call returns, how often
//! the source is asked, and which renewals begin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support;
use clockhand::load::{BoxFuture, Job};
use clockhand::{AsyncLoader, Cache, Clock, LoadSource, Loader, LoadingCache, ManualClock};
use futures_executor::block_on;

/// The unit of time. Long, as the pause after a renewal that has failed passes in real time, too.
const HOUR: Duration = Duration::from_secs(3600);
const LIFE: u64 = 10;
const KEY: u64 = 1;
const JITTER: f64 = 0.3;

/// Settings of a handle, in hours.
#[derive(Debug, Clone, Copy, Default)]
struct Settings {
    refresh_after: Option<u64>,
    stale_if_error: Option<u64>,
    stale_while_revalidate: Option<u64>,
    negative_ttl: Option<u64>,
    jitter: bool,
}

impl Settings {
    /// Each bit of `choice` is a setting.
    fn chosen(choice: u32) -> Self {
        let bit = |nth: u32, hours: u64| (choice >> nth & 1 == 1).then_some(hours);
        Self {
            refresh_after: bit(0, 4),
            stale_if_error: bit(1, 12),
            stale_while_revalidate: bit(2, 5),
            negative_ttl: bit(3, 7),
            jitter: choice >> 4 & 1 == 1,
        }
    }

    fn of_another(choice: u32) -> Self {
        match choice {
            0 => Self::default(),
            1 => Self { stale_if_error: Some(2), negative_ttl: Some(6), ..Self::default() },
            _ => Self {
                refresh_after: Some(6),
                stale_if_error: Some(30),
                stale_while_revalidate: Some(1),
                negative_ttl: Some(1),
                jitter: false,
            },
        }
    }

    fn apply<L>(self, mut loading: LoadingCache<u64, u64, L>) -> LoadingCache<u64, u64, L> {
        let hours = |hours: u64| HOUR * hours as u32;
        if let Some(age) = self.refresh_after {
            loading = loading.refresh_after(hours(age));
        }
        if let Some(grace) = self.stale_if_error {
            loading = loading.stale_if_error(hours(grace));
        }
        if let Some(grace) = self.stale_while_revalidate {
            loading = loading.stale_while_revalidate(hours(grace));
        }
        if let Some(lifetime) = self.negative_ttl {
            loading = loading.negative_ttl(hours(lifetime));
        }
        if self.jitter { loading.jitter(JITTER) } else { loading }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Up,
    Down,
    /// There is no such key: an error for one key, no value among many.
    Missing,
}

/// Where values come from. Each has a number of its own.
struct Source {
    state: Mutex<State>,
    asked: AtomicU64,
}

impl Source {
    fn ask(&self) -> Result<Option<u64>, String> {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        match *self.state.lock().unwrap() {
            State::Up => Ok(Some(nth)),
            State::Down => Err("down".to_string()),
            State::Missing => Ok(None),
        }
    }

    fn load(&self) -> Result<u64, String> {
        self.ask()?.ok_or_else(|| "missing".to_string())
    }
}

#[derive(Clone)]
struct FromSource(Arc<Source>);

impl Loader<u64, u64> for FromSource {
    type Error = String;
    fn load(&self, _: &u64) -> Result<u64, String> {
        self.0.load()
    }
    fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
        assert_eq!(keys, [KEY]);
        Ok(vec![self.0.ask()?])
    }
}

#[derive(Clone)]
struct FromSourceAsync(Arc<Source>);

impl AsyncLoader<u64, u64> for FromSourceAsync {
    type Error = String;
    async fn load(&self, _: &u64) -> Result<u64, String> {
        self.0.load()
    }
    async fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, String> {
        assert_eq!(keys, [KEY]);
        Ok(vec![self.0.ask()?])
    }
}

/// What a call returns: a value and where it came from, no value, or an error.
type Answer = Result<Option<(u64, Option<LoadSource>)>, String>;

/// A handle, for threads or for tasks.
trait Handle {
    fn get(&self) -> Answer;
    fn get_many(&self) -> Answer;
    fn refresh(&self) -> Answer;
}

type Error = clockhand::LoadError<String>;

fn sourced(loaded: Result<clockhand::Loaded<u64>, Error>) -> Answer {
    loaded.map(|loaded| Some((loaded.value, Some(loaded.source)))).map_err(words)
}

fn one_of_many(values: Result<Vec<Option<u64>>, Error>) -> Answer {
    values.map(|values| values[0].map(|value| (value, None))).map_err(words)
}

fn words(error: Error) -> String {
    error.error().expect("an error of the source").clone()
}

impl Handle for LoadingCache<u64, u64, FromSource> {
    fn get(&self) -> Answer {
        sourced(self.get_with_source(&KEY))
    }
    fn get_many(&self) -> Answer {
        one_of_many(self.get_many(&[KEY, KEY][..1]))
    }
    fn refresh(&self) -> Answer {
        self.refresh(&KEY).map(|value| Some((value, None))).map_err(words)
    }
}

impl Handle for LoadingCache<u64, u64, FromSourceAsync> {
    fn get(&self) -> Answer {
        sourced(block_on(self.get_with_source_async(&KEY)))
    }
    fn get_many(&self) -> Answer {
        one_of_many(block_on(self.get_many_async(&[KEY])))
    }
    fn refresh(&self) -> Answer {
        block_on(self.refresh_async(&KEY)).map(|value| Some((value, None))).map_err(words)
    }
}

enum Work {
    Job(Job),
    Future(BoxFuture),
}

/// Renewals that the test runs when it likes.
type Later = Arc<Mutex<Vec<Work>>>;

fn post<T>(later: &Later, work: fn(T) -> Work) -> impl Fn(T) + Send + Sync + use<T> {
    let later = Arc::downgrade(later);
    move |job| {
        if let Some(later) = later.upgrade() {
            later.lock().unwrap().push(work(job));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    Error(&'static str),
    Absent,
}

/// A failure that is remembered.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    cause: Cause,
    at: u64,
    until: u64,
}

/// A value, with or without a ticket.
#[derive(Debug, Clone, Copy)]
struct Value {
    value: u64,
    written: u64,
    /// When it expires at the latest; exact where there was no jitter, or once it has expired.
    expires: u64,
    exact: bool,
    /// Whether it has a ticket of a load that has failed at this moment: it is not renewed at once.
    failed: Option<u64>,
}

/// A renewal that waits to be run.
#[derive(Debug, Clone, Copy)]
struct Posted {
    by: usize,
    /// Whether nothing has happened to the key since.
    attached: bool,
    /// Whether a caller has taken the load over.
    taken: bool,
}

/// What the cache should be like.
#[derive(Debug)]
struct Model {
    settings: [Settings; 2],
    now: u64,
    value: Option<Value>,
    remembered: Option<Remembered>,
    posted: Vec<Posted>,
    state: State,
    asked: u64,
}

impl Model {
    fn is_live(&self) -> bool {
        self.value.is_some_and(|value| self.now < value.expires)
    }

    /// The value, if it has not been expired for so long.
    fn within(&self, grace: Option<u64>) -> Option<u64> {
        let (value, grace) = (self.value?, grace?);
        (self.now < value.expires + grace).then_some(value.value)
    }

    fn is_under_way(&self) -> bool {
        self.posted.iter().any(|job| job.attached && !job.taken)
    }

    fn remembers(&self, by: usize) -> Option<Cause> {
        let (remembered, lifetime) = (self.remembered?, self.settings[by].negative_ttl?);
        (self.now < remembered.until.min(remembered.at + lifetime)).then_some(remembered.cause)
    }

    /// Whatever was there is gone, with all that was to replace it.
    fn detach(&mut self) {
        self.remembered = None;
        self.posted.iter_mut().for_each(|job| job.attached = false);
    }

    fn put(&mut self, value: u64, exact: bool) {
        self.detach();
        let (written, expires) = (self.now, self.now + LIFE);
        self.value = Some(Value { value, written, expires, exact, failed: None });
    }

    /// A load that was not overtaken has failed.
    fn fail(&mut self, by: usize, cause: Cause) {
        if cause == Cause::Absent {
            // With the value goes the ticket.
            if self.value.take().is_some() {
                self.remembered = None;
                return;
            }
        }
        let before = self.remembered.filter(|before| self.now < before.until);
        self.remembered = match self.settings[by].negative_ttl {
            Some(lifetime) => {
                let until = before.map_or(0, |before| before.until).max(self.now + lifetime);
                Some(Remembered { cause, at: self.now, until })
            }
            None => before,
        };
        if let Some(value) = &mut self.value {
            value.failed = Some(self.now);
        }
    }

    /// Asks the source.
    fn ask(&mut self, many: bool) -> Result<u64, Cause> {
        self.asked += 1;
        match self.state {
            State::Up => Ok(self.asked),
            State::Down => Err(Cause::Error("down")),
            State::Missing if many => Err(Cause::Absent),
            State::Missing => Err(Cause::Error("missing")),
        }
    }

    /// A caller loads, with everybody else's load of the key taken over.
    fn load(&mut self, by: usize, many: bool, stale: Option<u64>) -> Answer {
        let holds = self.is_under_way() || self.remembered.is_some_and(|r| self.now < r.until);
        let graces = self.settings.map(|s| s.stale_if_error.max(s.stale_while_revalidate));
        if !holds && self.within(Some(graces[0].max(graces[1]).unwrap_or(0))).is_none() {
            // Of no use to anybody: swept away.
            self.value = None;
        }
        self.posted.iter_mut().for_each(|job| job.taken |= job.attached);
        match self.ask(many) {
            Ok(value) => {
                self.put(value, !self.settings[by].jitter);
                Ok(Some((value, Some(LoadSource::Loaded))))
            }
            Err(cause) => {
                let old = self.within(stale).filter(|_| cause != Cause::Absent);
                self.fail(by, cause);
                match (old, cause) {
                    (Some(old), _) => Ok(Some((old, Some(LoadSource::Stale)))),
                    (None, Cause::Absent) => Ok(None),
                    (None, Cause::Error(error)) => Err(error.to_string()),
                }
            }
        }
    }

    /// Whether a read begins a renewal; nothing if both will do.
    fn begins(&self, by: usize) -> Option<bool> {
        let Some(value) = self.value else { return Some(false) };
        if self.is_under_way() || self.remembers(by).is_some() {
            return Some(false);
        }
        if !self.is_live() {
            return Some(self.within(self.settings[by].stale_while_revalidate).is_some());
        }
        let Some(after) = self.settings[by].refresh_after else { return Some(false) };
        let age = (self.now - value.written) as f64;
        let first = after as f64 * if self.settings[by].jitter { 1.0 - JITTER } else { 1.0 };
        match age {
            _ if value.failed == Some(self.now) => Some(false),
            age if age >= after as f64 && value.exact => Some(true),
            age if age < first.min(after as f64 * (1.0 - JITTER)) => Some(false),
            age if age < after as f64 && value.exact && !self.settings[by].jitter => Some(false),
            _ => None,
        }
    }

    fn read(&mut self, by: usize, many: bool) -> Answer {
        let settings = self.settings[by];
        if let Some(value) = self.value.filter(|_| self.is_live()) {
            return Ok(Some((value.value, Some(LoadSource::Hit))));
        }
        if let Some(stale) = self.within(settings.stale_while_revalidate) {
            return Ok(Some((stale, Some(LoadSource::Stale))));
        }
        if !self.is_under_way() {
            match self.remembers(by) {
                Some(Cause::Absent) if many => return Ok(None),
                Some(Cause::Error(error)) => {
                    let stale = self.within(settings.stale_if_error);
                    let stale = stale.map(|old| Some((old, Some(LoadSource::Stale))));
                    return stale.ok_or_else(|| error.to_string());
                }
                _ => {}
            }
        }
        self.load(by, many, settings.stale_if_error)
    }

    fn run(&mut self, nth: usize) {
        let job = self.posted.remove(nth);
        // Nor is one begun whose key has changed.
        if job.taken || !job.attached {
            return;
        }
        match self.ask(false) {
            Ok(value) => self.put(value, !self.settings[job.by].jitter),
            Err(cause) => self.fail(job.by, cause),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Get(usize),
    GetMany(usize),
    Refresh(usize),
    Run,
    Wait(u64),
    Turn(State),
    Insert,
    InsertIfAbsent,
    Remove,
    Invalidate,
    InvalidateAll,
    Retain,
    RemoveExpired,
    Evict,
}

fn step(random: &mut support::Random) -> Step {
    let by = random.below(2) as usize;
    match random.below(24) {
        0..5 => Step::Get(by),
        5..8 => Step::GetMany(by),
        8 => Step::Refresh(by),
        9..11 => Step::Run,
        11..16 => Step::Wait(1 + random.below(4)),
        16 => Step::Turn(State::Up),
        17 => Step::Turn(State::Missing),
        18 => [Step::Insert, Step::InsertIfAbsent][by],
        19 => [Step::Remove, Step::Invalidate][by],
        20 => [Step::InvalidateAll, Step::Retain][by],
        21 => Step::RemoveExpired,
        22 => Step::Evict,
        _ => Step::Turn(State::Down),
    }
}

/// A cache and its model.
struct Rig {
    cache: Cache<u64, u64>,
    manual: ManualClock,
    source: Arc<Source>,
    handles: [Box<dyn Handle>; 2],
    later: Later,
    model: Model,
    inserted: u64,
}

impl Rig {
    fn new(settings: [Settings; 2], tasks: bool) -> Self {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(100).clock(clock);
        let cache = builder.time_to_live(HOUR * LIFE as u32).build().unwrap();
        let source = Arc::new(Source { state: Mutex::new(State::Up), asked: AtomicU64::new(0) });
        let later = Later::default();
        let handles = settings.map(|settings| -> Box<dyn Handle> {
            if tasks {
                let loading = settings.apply(cache.loading(FromSourceAsync(Arc::clone(&source))));
                Box::new(loading.spawner(post(&later, Work::Future)))
            } else {
                let loading = settings.apply(cache.loading(FromSource(Arc::clone(&source))));
                Box::new(loading.executor(post(&later, Work::Job)))
            }
        });
        let model = Model {
            settings,
            now: 0,
            value: None,
            remembered: None,
            posted: Vec::new(),
            state: State::Up,
            asked: 0,
        };
        Self { cache, manual, source, handles, later, model, inserted: 1_000_000 }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Get(by) => self.read(by, false),
            Step::GetMany(by) => self.read(by, true),
            Step::Refresh(by) => {
                let wanted = self.model.load(by, false, None);
                let found = self.handles[by].refresh();
                assert_eq!(found.map(valued), wanted.map(valued));
            }
            Step::Run => {
                let works = std::mem::take(&mut *self.later.lock().unwrap());
                assert_eq!(works.len(), self.model.posted.len(), "renewals that have begun");
                for work in works {
                    self.model.run(0);
                    match work {
                        Work::Job(job) => job(),
                        Work::Future(future) => block_on(future),
                    }
                }
            }
            Step::Wait(hours) => (0..hours).for_each(|_| self.wait()),
            Step::Turn(state) => {
                *self.source.state.lock().unwrap() = state;
                self.model.state = state;
            }
            _ => self.write(step),
        }
        assert_eq!(self.source.asked.load(Ordering::SeqCst), self.model.asked, "queries");
        let live = self.model.value.filter(|_| self.model.is_live()).map(|value| value.value);
        assert_eq!(self.cache.get(&KEY), live, "what the cache has");
    }

    fn write(&mut self, step: Step) {
        self.inserted += 1;
        let (cache, inserted) = (&self.cache, self.inserted);
        match step {
            Step::Insert => cache.insert(KEY, inserted),
            Step::InsertIfAbsent => drop(cache.insert_if_absent(KEY, inserted)),
            Step::Remove => drop(cache.remove(&KEY)),
            Step::Invalidate => drop(cache.invalidate(&KEY)),
            Step::InvalidateAll => cache.invalidate_all(),
            Step::Retain => cache.retain(|_, _| false),
            Step::RemoveExpired => support::ignore(cache.remove_expired()),
            Step::Evict => {
                cache.set_capacity(0);
                cache.set_capacity(100);
            }
            _ => unreachable!("not a write"),
        }
        let model = &mut self.model;
        match step {
            Step::Insert => model.put(inserted, true),
            Step::InsertIfAbsent if model.is_live() => {}
            Step::InsertIfAbsent => model.put(inserted, true),
            Step::RemoveExpired => {}
            // With a value goes what is known of the load that could not replace it.
            Step::Evict => {
                if model.value.take().is_some() {
                    model.detach();
                }
            }
            _ => {
                model.value = None;
                model.detach();
            }
        }
    }

    fn read(&mut self, by: usize, many: bool) {
        let begins = self.model.begins(by);
        let wanted = self.model.read(by, many);
        let before = self.later.lock().unwrap().len();
        let found = if many { self.handles[by].get_many() } else { self.handles[by].get() };
        match many {
            true => assert_eq!(found.map(valued), wanted.map(valued)),
            false => assert_eq!(found, wanted),
        }
        let begun = self.later.lock().unwrap().len() - before;
        assert!(begun <= 1, "one renewal at a time");
        if let Some(begins) = begins {
            assert_eq!(begun == 1, begins, "whether a renewal begins");
        }
        if begun == 1 {
            self.model.posted.push(Posted { by, attached: true, taken: false });
        }
    }

    /// Lets an hour go by, and looks when a value has expired whose life was shortened.
    fn wait(&mut self) {
        self.manual.advance(HOUR);
        self.model.now += 1;
        let (now, live) = (self.model.now, self.cache.contains_key(&KEY));
        if let Some(value) = &mut self.model.value
            && !value.exact
        {
            let earliest = value.written + (LIFE as f64 * (1.0 - JITTER)) as u64;
            if !live && now < value.expires {
                assert!(now >= earliest, "it lives for seven hours at least");
                value.expires = now;
            }
        }
    }
}

fn valued(answer: Option<(u64, Option<LoadSource>)>) -> Option<u64> {
    answer.map(|(value, _)| value)
}

/// Tells what has happened if the test fails.
struct Story(String, Vec<Step>);

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {:?}", self.0, self.1);
        }
    }
}

fn histories(tasks: bool) {
    for choice in 0..32 {
        for other in 0..3 {
            let settings = [Settings::chosen(choice), Settings::of_another(other)];
            for seed in 0..support::size(4, 200) as u64 {
                let mut random = support::Random::new(seed << 16 | u64::from(choice << 8 | other));
                let mut rig = Rig::new(settings, tasks);
                let mut story = Story(format!("{settings:?}, seed {seed}"), Vec::new());
                for _ in 0..60 {
                    let step = step(&mut random);
                    story.1.push(step);
                    rig.take(step);
                }
                support::validate(&rig.cache);
            }
        }
    }
}

#[test]
fn settings_against_each_other_for_threads() {
    histories(false);
}

#[test]
fn settings_against_each_other_for_tasks() {
    histories(true);
}
