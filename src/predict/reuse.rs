//! The model *Reuse*: whether a key whose value is about to end is asked for again within its next lifetime.
//!
//! A key that was asked for is looked at when its value is about to end. The regression says how likely it is that the
//! key is asked for between that end and that of the value that a load would bring now. Whether the value is renewed
//! or not, it is seen later if that was so, as a hit or as a miss: the model learns from both alike, so it needs
//! no trials, and also learns while it is stopped.
//!
//! | outcome | asked for | not asked for |
//! |---|---|---|
//! | renewed | useful: a thread would have waited | wasted |
//! | left alone | missed | - |

use std::time::Duration;

use super::agenda::Agenda;
use super::calendar::Calendar;
use super::candidate::{Candidate, CandidateQueue, Model};
use super::gate::{Gates, ModelState};
use super::inputs::inputs;
use super::key_view::KeyView;
use super::keys::{Judgement, KeyTable, Known};
use super::outcomes::Outcomes;
use super::regression::Regression;
#[cfg(feature = "persist")]
use super::saved_keys::{KeyWriter, SavedKnown};
use crate::engine::Presence;
#[cfg(feature = "persist")]
use crate::persist::PersistError;
use crate::sync::seeded;

/// Outcomes before it starts loads.
const MIN_OUTCOMES: u64 = 32;
/// Keys that are looked at in one round.
const MAX_LOOKS: usize = 4096;
/// After how long a value is looked for that is being loaded.
const WAIT: Duration = Duration::from_millis(20);
/// How long after its end a value is loaded that would end then anyway.
const JUST_AFTER: Duration = Duration::from_millis(1);
/// How often a key without a value is looked at, at most.
const MIN_DORMANT: Duration = Duration::from_secs(60);
/// A key whose habit is below this was not asked for in about a dozen lifetimes.
const MIN_HABIT: f32 = -0.95;
/// For how long such a key is looked at after its last use: a weekend, and a day.
const MAX_DORMANT: Duration = Duration::from_secs(4 * 86_400);
/// A value is renewed no earlier than in the last so many parts of its life.
const LIFE_PARTS: u32 = 8;

/// What the model sees of the cache.
pub(super) trait CacheView<K> {
    fn presence(&self, hash: u64) -> Option<Presence>;
    /// A clone of the key that has a hash. Runs its code, as `hash` does.
    fn key(&self, hash: u64) -> Option<K>;
    fn hash(&self, key: &K) -> u64;
    /// How many keys that are loaded ahead have room, and may not displace one another before they are asked for.
    fn prefetch_room(&self) -> u64;
    /// Whether a key that was loaded ahead was asked for, in time or not.
    fn note_prefetched(&self, asked: bool);
    /// Whether hits may not have been told since then.
    fn overran_since(&self, then: Duration) -> bool;
}

#[derive(Debug)]
pub(super) struct Reuse<K> {
    pub(super) keys: KeyTable<K>,
    agenda: Agenda,
    pub(super) regression: Regression,
    pub(super) gates: Gates,
    pub(super) outcomes: Outcomes,
    calendar: Calendar,
    horizon: Duration,
    /// What it has done, in steps.
    pub(super) steps: u64,
}

impl<K: Clone + 'static> Reuse<K> {
    /// The fewest bytes that it takes beside itself.
    pub(super) const LEAST: usize = Regression::HEAP + KeyTable::<K>::LEAST;

    pub(super) fn new(
        (bytes, floor): (usize, f64),
        (calendar, horizon): (Calendar, Duration),
    ) -> Self {
        let keys = KeyTable::new(bytes.saturating_sub(Regression::HEAP));
        Self {
            agenda: Agenda::for_keys(keys.places()),
            keys,
            regression: Regression::new(),
            gates: Gates::new(floor),
            outcomes: Outcomes::default(),
            calendar,
            horizon,
            steps: 0,
        }
    }

    /// The bytes that it takes beside itself, at most.
    pub(super) fn bytes(&self) -> usize {
        self.keys.bytes() + Regression::HEAP
    }

    pub(super) fn state(&self, now: Duration) -> ModelState {
        if self.regression.outcomes() < MIN_OUTCOMES {
            ModelState::Learning
        } else {
            self.gates.state(now)
        }
    }

    /// A key was asked for.
    pub(super) fn note_use(
        &mut self,
        (hash, missed): (u64, bool),
        now: Duration,
        view: &mut KeyView<K>,
        cache: &impl CacheView<K>,
    ) {
        self.steps += 1;
        if self.keys.get(hash).is_none() {
            let Some(key) = view.guard(|| cache.key(hash)).flatten() else { return };
            let (class, heap) = (view.class(&key), view.heap_of(&key));
            let known = Known::new(hash, key, class, heap, now);
            view.guard(|| _ = self.keys.insert(known));
        }
        let Some(known) = self.keys.get(hash) else { return };
        known.note_use(&self.calendar, now);
        let (was_idle, was_dormant) = (known.due.is_none(), known.dormant);
        let in_time = |judged: &Judgement| judged.from <= now && now <= judged.until;
        if known.judged.as_deref().is_some_and(in_time) {
            self.settle(hash, Some(true), now);
        }
        // The value that it is to be looked at for has been replaced, or came when it had none: this one may end before.
        let is_another = (missed || was_dormant) && !seeded("predict-sleeps-on");
        if was_idle || is_another {
            self.schedule(hash, now, cache);
        }
    }

    /// Has a key looked at when its value is about to end.
    fn schedule(&mut self, hash: u64, now: Duration, cache: &impl CacheView<K>) {
        match cache.presence(hash) {
            Some(presence) if presence.live => self.enter_before_end(hash, now, &presence),
            Some(presence) if presence.being_loaded => self.enter(hash, now.saturating_add(WAIT)),
            _ => {}
        }
    }

    /// Has a key looked at when its value, which is there, is about to end; or just after that, if it would end then
    /// anyway.
    fn enter_before_end(&mut self, hash: u64, now: Duration, presence: &Presence) {
        let Some(left) = presence.time_left else { return };
        let lifetime = lifetime(presence, left);
        let lead = lead(lifetime, self.horizon);
        let Some(known) = self.keys.get(hash) else { return };
        known.learned.lifetime = lifetime;
        let until =
            if known.learned.ends_anyway { left + JUST_AFTER } else { left.saturating_sub(lead) };
        self.enter(hash, now.saturating_add(until));
    }

    fn enter(&mut self, hash: u64, at: Duration) {
        // Those of keys that were displaced, or entered anew, are as many as there are keys by then.
        if self.agenda.is_full() {
            let keys = &mut self.keys;
            self.agenda
                .retain(|at, hash| keys.get(hash).is_some_and(|known| known.due == Some(at)));
        }
        let Some(known) = self.keys.get(hash) else { return };
        known.dormant = false;
        if known.due == Some(at) {
            return;
        }
        known.due = Some(at);
        self.agenda.enter(at, hash);
    }

    /// Looks at the keys that are due, and wants those loaded that should be renewed.
    pub(super) fn look(
        &mut self,
        now: Duration,
        view: &mut KeyView<K>,
        cache: &impl CacheView<K>,
        wanted: &mut CandidateQueue<K>,
    ) {
        for _ in 0..MAX_LOOKS {
            let Some((at, hash)) = self.agenda.next(now) else { break };
            self.steps += 1;
            match self.keys.get(hash) {
                Some(known) if known.due == Some(at) => known.due = None,
                _ => continue,
            }
            let candidate = self.look_at(hash, now, view, cache);
            let held_back = candidate.and_then(|candidate| wanted.push(candidate));
            if let Some(candidate) = held_back.filter(|it| it.model == Model::Reuse) {
                self.put_off(candidate.hash, now);
            }
        }
    }

    fn look_at(
        &mut self,
        hash: u64,
        now: Duration,
        view: &mut KeyView<K>,
        cache: &impl CacheView<K>,
    ) -> Option<Candidate<K>> {
        let known = self.keys.get(hash)?;
        let judged = known.judged.as_deref();
        if let Some(judged) = judged.filter(|judged| now >= judged.from) {
            if judged.loaded.is_none() && now < judged.until {
                let until = judged.until;
                self.enter(hash, until);
                return None;
            }
            // That of a value that was loaded may still be open for a moment: the next one begins where it ends.
            let outcome = unasked(judged, cache.presence(hash), cache);
            self.settle(hash, outcome, now);
        }
        let Some(presence) = cache.presence(hash).filter(|it| it.live || it.being_loaded) else {
            return self.look_at_dormant(hash, now, view);
        };
        if presence.being_loaded {
            self.enter(hash, now.saturating_add(WAIT));
            return None;
        }
        let left = presence.time_left?;
        let lifetime = lifetime(&presence, left);
        let ends_anyway = self.keys.get(hash).is_some_and(|known| known.learned.ends_anyway);
        if ends_anyway || left > lead(lifetime, self.horizon) {
            self.enter_before_end(hash, now, &presence);
            return None;
        }
        self.judge(hash, (now, left, lifetime), view)
    }

    /// Judges a key that has no value, if it may be worth one: its values end anyway, or it was asked for at this time
    /// of an earlier day.
    fn look_at_dormant(
        &mut self,
        hash: u64,
        now: Duration,
        view: &mut KeyView<K>,
    ) -> Option<Candidate<K>> {
        let known = self.keys.get(hash)?;
        let lifetime = known.learned.lifetime;
        if lifetime.is_zero() || now.saturating_sub(known.last_use) > MAX_DORMANT {
            return None;
        }
        let then = now.saturating_add(lifetime / 2);
        let is_habit = known.learned.ends_anyway && known.learned.habit > MIN_HABIT;
        if is_habit || known.learned.days.expects(&self.calendar, then) > 0.0 {
            return self.judge(hash, (now, Duration::ZERO, lifetime), view);
        }
        self.enter(hash, now.saturating_add(lifetime.max(MIN_DORMANT)));
        if let Some(known) = self.keys.get(hash) {
            known.dormant = true;
        }
        None
    }

    /// Judges a key whose value ends in `left`.
    fn judge(
        &mut self,
        hash: u64,
        (now, left, lifetime): (Duration, Duration, Duration),
        view: &mut KeyView<K>,
    ) -> Option<Candidate<K>> {
        let known = self.keys.get(hash)?;
        let features = view.features(&known.key);
        let inputs = inputs(known, (now, left, lifetime), &self.calendar, features);
        let (class, key, heap) = (known.class, view.guard(|| known.key.clone())?, known.heap);
        let (from, until) = (now.saturating_add(left), now.saturating_add(lifetime));
        let probability = self.regression.probability(class, &inputs);
        let gain = view.gain(&key, probability);
        let wanted = gain > 0.0;
        let judgement = Box::new(Judgement { inputs, from, until, wanted, loaded: None });
        // One that was put off is judged anew.
        self.outcomes.judged += u64::from(known.judged.replace(judgement).is_none());
        self.enter(hash, until);
        let may = wanted && self.state(now) != ModelState::Learning;
        (may && self.gates.admit(class, now)).then_some(Candidate {
            model: Model::Reuse,
            hash,
            key,
            heap,
            gain,
            renews: true,
        })
    }

    /// There was no budget for a load: the key is looked at again while there is time.
    pub(super) fn put_off(&mut self, hash: u64, now: Duration) {
        let Some(known) = self.keys.get(hash) else { return };
        let end = known.judged.as_deref().map_or(now, |judged| judged.from);
        let left = end.saturating_sub(now) / 4;
        if !left.is_zero() {
            self.enter(hash, now.saturating_add(left));
        }
    }

    /// A value was renewed, or was not.
    pub(super) fn note_load(
        &mut self,
        hash: u64,
        loaded: bool,
        now: Duration,
        cache: &impl CacheView<K>,
    ) {
        let Some(known) = self.keys.get(hash) else { return };
        if !loaded {
            return;
        }
        self.outcomes.loads += 1;
        let Some(presence) = cache.presence(hash) else { return };
        let Some(judged) = known.judged.as_deref_mut() else { return };
        let end = now.saturating_add(presence.time_left.unwrap_or(Duration::MAX));
        // It should have won most of a lifetime.
        let won = end.saturating_sub(judged.from);
        known.learned.ends_anyway = if now >= judged.from {
            // Loaded after the end; the next one may be loaded before it if this one lives as long as others.
            known.learned.ends_anyway
        } else {
            won < judged.until.saturating_sub(judged.from) / 4
        };
        let in_vain = known.learned.ends_anyway && now < judged.from;
        if !in_vain {
            judged.loaded = Some(presence.reads);
        }
        self.enter_before_end(hash, now, &presence);
    }

    /// Writes what is known of keys.
    #[cfg(feature = "persist")]
    pub(super) fn save_keys(
        &self,
        now: Duration,
        writer: &mut KeyWriter<K>,
    ) -> Result<(), PersistError> {
        let mut known = self.keys.iter();
        known.try_for_each(|known| writer.known(known.hash, &known.key, known.saved(now)))
    }

    /// Goes on from what was saved `ago` of a key, and looks at it at once: it may be worth a value now.
    #[cfg(feature = "persist")]
    pub(super) fn restore_key(
        &mut self,
        (hash, key): (u64, K),
        (saved, ago): (SavedKnown, Duration),
        now: Duration,
        view: &mut KeyView<K>,
    ) {
        let (class, heap) = (view.class(&key), view.heap_of(&key));
        let mut known = Known::new(hash, key, class, heap, now);
        known.restore(saved, ago, now);
        if self.keys.get(hash).is_none() && self.keys.insert(known).is_some() {
            self.enter(hash, now);
        }
    }

    /// It is known whether a key was asked for, or will never be.
    fn settle(&mut self, hash: u64, asked: Option<bool>, now: Duration) {
        let Some(known) = self.keys.get(hash) else { return };
        let Some(judged) = known.judged.take() else { return };
        let (class, loaded) = (known.class, judged.loaded.is_some());
        let Some(asked) = asked else {
            self.outcomes.unknown += 1;
            return;
        };
        let asked = asked != seeded("predict-outcome-inverted");
        known.note_outcome(asked);
        self.regression.learn(class, &judged.inputs, asked);
        self.outcomes.note(loaded, asked);
        if judged.wanted {
            self.gates.learn_wanted(class, asked);
        }
        if loaded {
            self.gates.learn(class, asked, now);
        }
    }
}

/// Whether a key was asked for that was not seen to be. `None` if that cannot be told.
fn unasked<K>(
    judged: &Judgement,
    presence: Option<Presence>,
    cache: &impl CacheView<K>,
) -> Option<bool> {
    let Some(reads) = judged.loaded.filter(|_| cache.overran_since(judged.from)) else {
        // Misses are told also where hits are not.
        return Some(false);
    };
    match presence {
        Some(presence) if presence.reads > reads => Some(true),
        Some(presence) if presence.reads == 3 => None,
        _ => Some(false),
    }
}

/// How long a value lives in all.
fn lifetime(presence: &Presence, left: Duration) -> Duration {
    presence.age.saturating_add(left)
}

/// How long before its end a value is renewed.
fn lead(lifetime: Duration, horizon: Duration) -> Duration {
    horizon.min(lifetime / LIFE_PARTS)
}
