//! The model *Successors*: what is asked for soon after a key.
//!
//! Keys that were missed are logged, and so are those whose first hit would have been a miss if they had not been
//! loaded ahead. When a key occurs again, those that followed its last occurrences are its successors. That is the
//! association of Mithril (Yang et al., SoCC 2017) with the history of a global history buffer (Nesbit and Smith,
//! HPCA 2004) in the place of its mining table. How likely each successor is, the model learns by
//! outcome: from how many of how many occurrences it followed, how closely, and whether the key's successors came true before. A
//! successor whose value is not loaded is watched all the same, as a miss tells of it.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::time::Duration;

use super::candidate::{Candidate, CandidateQueue, Model};
use super::gate::{Gates, ModelState};
use super::hashes::HashOfHash;
use super::history::{Before, History};
use super::key_view::KeyView;
use super::outcomes::Outcomes;
use super::reuse::CacheView;
use super::trust::{Cell, LOOKAHEAD, Likelihoods};
use crate::sync::seeded;

/// Outcomes before it starts loads.
const MIN_OUTCOMES: f32 = 32.0;
/// Successors of one occurrence that are watched.
const MAX_WATCHED: usize = 8;
/// Places for those that are watched, of which a little less than half are used. They are powers of two.
const MAX_PLACES: usize = 8192;
const MIN_PLACES: usize = 64;
/// The part of the memory that is for them.
const WATCHED_PART: usize = 8;

/// How many in a row that had to make room before they were asked for do not count as wrong.
const MAX_EXCUSES: u32 = 64;
/// How often the window of a successor is opened again that was loaded, and may still be asked for.
const MAX_EXTENSIONS: u8 = 3;
/// Misses in which a successor has to be asked for, at least.
const MIN_WINDOW: u64 = 4;

/// A successor that is watched.
#[derive(Debug, Clone, Copy)]
struct Expected {
    /// The key that it was first a successor of, and how. Those that come after it in the same sequence are no
    /// evidence of their own: if it does not come true, they would all be blamed for one miss.
    reason: (Cell, u64),
    class: usize,
    /// When it began to be watched, as a number.
    number: u64,
    window: Window,
    wanted: bool,
    loaded: bool,
    extensions: u8,
}

/// A key that followed another one: at which event, how closely, and after how many of its occurrences.
#[derive(Debug)]
struct HistoryMatch<'h, K> {
    key: &'h K,
    event: u64,
    /// The occurrence of the other one after which it was found last.
    of: u64,
    support: usize,
    distance: usize,
}

/// Until when a successor has to be asked for: until a time, and until enough keys were missed that it would have been
/// evicted.
#[derive(Debug, Clone, Copy)]
struct Window {
    until: Duration,
    until_event: u64,
}

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<HashOfHash>>;

#[derive(Debug)]
pub(super) struct Successors<K> {
    pub(super) history: History<K>,
    pub(super) likelihoods: Likelihoods,
    pub(super) gates: Gates,
    pub(super) outcomes: Outcomes,
    expected: ByHash<Expected>,
    /// Those that are watched, the oldest first, and when each began to be.
    queue: VecDeque<(u64, u64)>,
    max_watched: usize,
    places: usize,
    watched: u64,
    /// How many more that had to make room too early do not count.
    excuses: u32,
    /// Those of them whose value was loaded.
    pub(super) loaded: u64,
    horizon: Duration,
    /// What it has done, in steps.
    pub(super) steps: u64,
}

/// The bytes of a place in a map of those that are watched, and of half a place in the queue.
const EACH_PLACE: usize = size_of::<(u64, Expected)>() + 1 + size_of::<(u64, u64)>() / 2;
/// What a map has at its end.
const END_OF_MAP: usize = 64;

impl<K: Clone + Eq + 'static> Successors<K> {
    /// The fewest bytes that it takes beside itself.
    pub(super) const LEAST: usize =
        Likelihoods::HEAP + MIN_PLACES * EACH_PLACE + END_OF_MAP + History::<K>::LEAST;

    pub(super) fn new((bytes, floor): (usize, f64), horizon: Duration) -> Self {
        let places = (bytes / WATCHED_PART / EACH_PLACE).clamp(MIN_PLACES, MAX_PLACES);
        let places = (places / 2 + 1).next_power_of_two();
        // A map uses seven eighths of its places, and grows where more than half of them were used when it is full of what
        // was removed.
        let room = places / 8 * 7;
        let max_watched = room / 2 - 1;
        let own = Likelihoods::HEAP + places * EACH_PLACE + END_OF_MAP;
        Self {
            history: History::new(bytes.saturating_sub(own)),
            likelihoods: Likelihoods::new(),
            gates: Gates::new(floor),
            outcomes: Outcomes::default(),
            expected: ByHash::with_capacity_and_hasher(room, BuildHasherDefault::default()),
            queue: VecDeque::with_capacity(places / 2),
            max_watched,
            places,
            watched: 0,
            excuses: MAX_EXCUSES,
            loaded: 0,
            horizon,
            steps: 0,
        }
    }

    pub(super) fn state(&self, now: Duration) -> ModelState {
        if self.likelihoods.outcomes() < MIN_OUTCOMES {
            ModelState::Learning
        } else {
            self.gates.state(now)
        }
    }

    /// A key was missed, or hit. Wants the successors loaded that should be.
    pub(super) fn note_read(
        &mut self,
        (hash, missed): (u64, bool),
        now: Duration,
        view: &mut KeyView<K>,
        cache: &impl CacheView<K>,
        wanted: &mut CandidateQueue<K>,
    ) {
        self.steps += 1;
        let is_told = |expected: &Expected| missed || expected.loaded;
        if self.expected.get(&hash).is_some_and(is_told) {
            if let Some(expected) = self.expected.remove(&hash) {
                // Loaded and missed: it came too late, or had to make room before it was asked for.
                self.settle(&expected, (true, !missed), now, cache);
            }
        } else if !missed {
            return;
        }
        let Some(key) = view.guard(|| cache.key(hash)).flatten() else { return };
        let heap = view.heap_of(&key);
        let note = || self.history.note((hash, key), heap);
        let Some(before) = view.guard(note) else { return };
        let Some(successors) = view.guard(|| self.successors(&before)) else { return };
        self.follow((hash, successors), now, view, cache, wanted);
    }

    /// Watches what followed a key before.
    fn follow(
        &mut self,
        (hash, successors): (u64, Vec<(u64, Cell)>),
        now: Duration,
        view: &mut KeyView<K>,
        cache: &impl CacheView<K>,
        wanted: &mut CandidateQueue<K>,
    ) {
        for (event, cell) in successors {
            self.steps += 1;
            let key = view.guard(|| self.history.event(event).cloned()).flatten();
            let Some(key) = key else { continue };
            let Some(successor) = view.guard(|| cache.hash(&key)) else { continue };
            if cache
                .presence(successor)
                .is_some_and(|presence| presence.live || presence.being_loaded)
            {
                continue;
            }
            let class = view.class(&key);
            let is_loaded = self.expect(successor, (cell, hash, class), now, cache);
            let gain = view.gain(&key, self.likelihoods.of(cell));
            if gain <= 0.0 || is_loaded {
                continue;
            }
            if let Some(expected) = self.expected.get_mut(&successor) {
                expected.wanted = true;
            }
            if self.state(now) != ModelState::Learning && self.gates.admit(class, now) {
                let (model, hash, heap) = (Model::Successors, successor, view.heap_of(&key));
                // Those for which there is no room are wanted the next time that their key is missed.
                drop(wanted.push(Candidate { model, hash, key, heap, gain, renews: false }));
            }
        }
    }

    /// What followed the key of the last event at its occurrences before, the likeliest first: the events.
    fn successors(&self, before: &Before) -> Vec<(u64, Cell)> {
        let Some(own) = self.history.event(self.history.last()) else { return Vec::new() };
        let occurrences: Vec<u64> =
            before.at.into_iter().filter(|&at| self.history.event(at).is_some()).collect();
        let mut found: Vec<HistoryMatch<'_, K>> = Vec::new();
        for &at in &occurrences {
            for distance in 1..=LOOKAHEAD {
                let event = at + distance as u64;
                let Some(key) = self.history.event(event).filter(|key| *key != own) else {
                    // What comes after the key itself is a successor of a later occurrence.
                    break;
                };
                match found.iter_mut().find(|other| other.key == key) {
                    Some(other) if other.of == at => {}
                    Some(other) => (other.of, other.support) = (at, other.support + 1),
                    None => found.push(HistoryMatch { key, event, of: at, support: 1, distance }),
                }
            }
        }
        let cell = |found: &HistoryMatch<'_, K>| {
            Cell::new((found.support, occurrences.len()), found.distance, before.trust)
        };
        let ranked = found.iter().map(|found| (self.likelihoods.of(cell(found)), found));
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        ranked.truncate(MAX_WATCHED);
        ranked.into_iter().map(|(_, found)| (found.event, cell(found))).collect()
    }

    /// Watches a successor, unless that is so; whether it was loaded already.
    fn expect(
        &mut self,
        successor: u64,
        (cell, of, class): (Cell, u64, usize),
        now: Duration,
        cache: &impl CacheView<K>,
    ) -> bool {
        if let Some(expected) = self.expected.get(&successor) {
            return expected.loaded;
        }
        while self.queue.len() >= self.max_watched {
            self.give_up_oldest(now, cache);
        }
        self.outcomes.judged += 1;
        let (reason, window) = ((cell, of), self.window(now, cache));
        let (number, wanted, loaded, extensions) = (0, false, false, 0);
        let expected = Expected { reason, class, number, window, wanted, loaded, extensions };
        self.watch(successor, expected);
        false
    }

    fn window(&self, now: Duration, cache: &impl CacheView<K>) -> Window {
        let misses = cache.prefetch_room().max(MIN_WINDOW);
        let until_event = self.history.last().saturating_add(misses);
        Window { until: now.saturating_add(self.horizon), until_event }
    }

    fn watch(&mut self, successor: u64, mut expected: Expected) {
        self.watched += 1;
        expected.number = self.watched;
        self.expected.insert(successor, expected);
        self.queue.push_back((successor, self.watched));
    }

    /// Gives up those that were not asked for in time.
    pub(super) fn look(&mut self, now: Duration, cache: &impl CacheView<K>) {
        while let Some(&(hash, number)) = self.queue.front() {
            let last = self.history.last();
            let is_open = |expected: &&Expected| {
                let window = expected.window;
                expected.number == number && now < window.until && last <= window.until_event
            };
            if self.expected.get(&hash).is_some_and(|expected| is_open(&expected)) {
                return;
            }
            self.give_up_oldest(now, cache);
        }
    }

    fn give_up_oldest(&mut self, now: Duration, cache: &impl CacheView<K>) {
        let Some((hash, number)) = self.queue.pop_front() else { return };
        self.steps += 1;
        if self.expected.get(&hash).is_none_or(|expected| expected.number != number) {
            return;
        }
        let Some(expected) = self.expected.remove(&hash) else { return };
        let presence =
            cache.presence(hash).filter(|presence| presence.predicted && expected.loaded);
        let is_there = presence.is_some_and(|presence| presence.live);
        // A hit may not have been told.
        let read = presence.is_some_and(|presence| presence.reads > 0);
        if is_there && !read && expected.extensions < MAX_EXTENSIONS {
            let window = self.window(now, cache);
            let extensions = expected.extensions + 1;
            let mut again = expected;
            (again.window, again.extensions) = (window, extensions);
            self.watch(hash, again);
            return;
        }
        self.settle(&expected, (read, true), now, cache);
    }

    /// A successor was loaded, or was not.
    pub(super) fn note_load(&mut self, hash: u64, loaded: bool) {
        if !loaded {
            return;
        }
        self.outcomes.loads += 1;
        if let Some(expected) = self.expected.get_mut(&hash) {
            self.loaded += u64::from(!expected.loaded);
            expected.loaded = true;
        }
    }

    /// Whether a successor was asked for, and whether it was still there if it was loaded.
    fn settle(
        &mut self,
        expected: &Expected,
        (asked, in_time): (bool, bool),
        now: Duration,
        cache: &impl CacheView<K>,
    ) {
        let asked = asked != seeded("predict-outcome-inverted");
        let (cell, of) = expected.reason;
        self.likelihoods.learn(cell, asked);
        if let Some(row) = self.history.row(of) {
            row.trust.learn(asked);
        }
        let useful = asked && (in_time || !expected.loaded);
        self.outcomes.note(expected.loaded, useful);
        if expected.wanted {
            self.gates.learn_wanted(expected.class, asked);
        }
        if expected.loaded {
            self.loaded -= 1;
            cache.note_prefetched(asked);
            self.learn(expected.class, (asked, useful), now);
        }
    }

    /// Has the gates learn. One that had to make room before it was asked for was right, and there is more room the
    /// next time: some of those count as if they had not been.
    fn learn(&mut self, class: usize, (asked, useful): (bool, bool), now: Duration) {
        if useful {
            self.excuses = (self.excuses + 1).min(MAX_EXCUSES);
        } else if asked && self.excuses > 0 {
            self.excuses -= 1;
            return;
        }
        self.gates.learn(class, useful, now);
    }

    /// The bytes that it takes beside itself, at most.
    pub(super) fn bytes(&self) -> usize {
        let watched = self.places * EACH_PLACE + END_OF_MAP;
        self.history.bytes() + watched + Likelihoods::HEAP
    }
}
