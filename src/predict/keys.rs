//! What is known of keys: a table of fixed size, in sets of eight.
//!
//! A new key takes the place of the one in its set that was asked for least lately, among those that were asked for
//! once if there are such: so keys that come by once do not displace those that come back.

use std::time::Duration;

use super::agenda::Agenda;
use super::calendar::{Calendar, DayProfile};
use super::inputs::Inputs;
use super::memory::heap_share;
#[cfg(feature = "persist")]
use super::saved_keys::SavedKnown;
use crate::narrow::{in_memory, low64};

const WAYS: usize = 8;

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Known<K> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) class: usize,
    /// Bytes that the key has on the heap.
    pub(super) heap: usize,
    pub(super) first_use: Duration,
    pub(super) last_use: Duration,
    pub(super) learned: KeyStats,
    /// When it is looked at next, by the agenda.
    pub(super) due: Option<Duration>,
    /// Whether it had no value when that was set: a value that it gets meanwhile may end before.
    pub(super) dormant: bool,
    pub(super) judged: Option<Box<Judgement>>,
}

/// What was learned of a key, apart from when it was used.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct KeyStats {
    /// Seconds between two uses, as a moving average; zero if there was only one use.
    pub(super) mean_gap: f32,
    /// How far they are from that, on average.
    pub(super) gap_deviation: f32,
    /// Uses; faded by gaps.
    pub(super) uses: f32,
    /// How often it was asked for in a next lifetime, from -1 to 1, and whether it was the last time.
    pub(super) habit: f32,
    pub(super) last_outcome: f32,
    pub(super) days: DayProfile,
    /// How long its value lived that was seen last.
    pub(super) lifetime: Duration,
    /// Whether its values end at a time that does not depend on when they are loaded: loaded ahead, one ends as the
    /// one before.
    pub(super) ends_anyway: bool,
}

/// A prediction whose outcome is not known yet.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) inputs: Inputs,
    /// It was right that the key is asked for if it is asked for between these.
    pub(super) from: Duration,
    pub(super) until: Duration,
    /// Whether it was to be loaded.
    pub(super) wanted: bool,
    /// Whether its value was loaded for that, and how often it had been read then.
    pub(super) loaded: Option<u8>,
}

/// How much of a moving average is new.
const NEW: f32 = 0.25;

impl<K> Known<K> {
    pub(super) fn new(hash: u64, key: K, class: usize, heap: usize, now: Duration) -> Self {
        Self {
            hash,
            key,
            class,
            heap,
            first_use: now,
            last_use: now,
            learned: KeyStats::default(),
            due: None,
            dormant: false,
            judged: None,
        }
    }

    /// The key was asked for. Several uses in one round are one.
    pub(super) fn note_use(&mut self, calendar: &Calendar, now: Duration) {
        let gap = now.saturating_sub(self.last_use).as_secs_f32();
        let learned = &mut self.learned;
        if learned.uses > 0.0 && gap == 0.0 {
            return;
        }
        if learned.uses > 0.0 {
            if learned.mean_gap == 0.0 {
                learned.mean_gap = gap;
            } else {
                let off = (gap - learned.mean_gap).abs();
                learned.gap_deviation += NEW * (off - learned.gap_deviation);
                learned.mean_gap += NEW * (gap - learned.mean_gap);
            }
        }
        learned.uses = learned.uses * 0.98 + 1.0;
        learned.days.note(calendar, now);
        self.last_use = self.last_use.max(now);
    }

    /// Whether it was asked for in the lifetime of which that was predicted.
    pub(super) fn note_outcome(&mut self, asked: bool) {
        let outcome = if asked { 1.0 } else { -1.0 };
        self.learned.habit += NEW * (outcome - self.learned.habit);
        self.learned.last_outcome = outcome;
    }
}

#[cfg(feature = "persist")]
impl<K> Known<K> {
    pub(super) fn saved(&self, now: Duration) -> SavedKnown {
        SavedKnown {
            since_first_use: now.saturating_sub(self.first_use),
            since_last_use: now.saturating_sub(self.last_use),
            learned: self.learned,
        }
    }

    /// Goes on from what was saved `ago`.
    pub(super) fn restore(&mut self, saved: SavedKnown, ago: Duration, now: Duration) {
        let then = |since: Duration| now.saturating_sub(since).saturating_sub(ago);
        (self.first_use, self.last_use) = (then(saved.since_first_use), then(saved.since_last_use));
        self.learned = saved.learned;
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct KeyTable<K> {
    places: Box<[Option<Known<K>>]>,
    len: usize,
    /// Bytes that keys have on the heap, and how many there may be.
    heap: usize,
    max_heap: usize,
}

/// The bytes of a key in the table and in the agenda, with its judgement.
const fn bytes_per_key<K>() -> usize {
    size_of::<Option<Known<K>>>() + size_of::<Judgement>() + Agenda::BYTES_PER_KEY
}

impl<K> KeyTable<K> {
    /// The fewest bytes that it takes.
    pub(super) const LEAST: usize = 2 * WAYS * bytes_per_key::<K>();

    /// As large as `bytes` allow for; at least one set.
    pub(super) fn new(bytes: usize) -> Self {
        let max_heap = heap_share::<K>(bytes, 8);
        let sets = ((bytes - max_heap) / (WAYS * bytes_per_key::<K>())).max(1);
        let places = (0..sets * WAYS).map(|_| None).collect();
        Self { places, len: 0, heap: 0, max_heap }
    }

    /// Keys for which there is room.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    #[cfg(feature = "persist")]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Known<K>> {
        self.places.iter().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes that it takes, at most.
    pub(super) fn bytes(&self) -> usize {
        self.places.len() * bytes_per_key::<K>() + self.max_heap
    }

    fn set(&self, hash: u64) -> std::ops::Range<usize> {
        let sets = (self.places.len() / WAYS) as u128;
        let first = in_memory(low64((u128::from(hash) * sets) >> 64)) * WAYS;
        first..first + WAYS
    }

    pub(super) fn get(&mut self, hash: u64) -> Option<&mut Known<K>> {
        let set = self.set(hash);
        self.places[set].iter_mut().flatten().find(|known| known.hash == hash)
    }

    /// Puts a key in that is not there. Those in its set make room, and go first where keys are too long.
    pub(super) fn insert(&mut self, known: Known<K>) -> Option<&mut Known<K>> {
        let set = self.set(known.hash);
        if known.heap > self.max_heap {
            return None;
        }
        for place in set.clone() {
            if self.heap + known.heap > self.max_heap {
                self.take(place);
            }
        }
        if self.heap + known.heap > self.max_heap {
            return None;
        }
        let rank = |place: &usize| {
            self.places[*place].as_ref().map(|known| (known.learned.uses > 1.0, known.last_use))
        };
        let place = set.min_by_key(rank)?;
        self.take(place);
        self.heap += known.heap;
        self.len += 1;
        Some(self.places[place].insert(known))
    }

    fn take(&mut self, place: usize) {
        if let Some(known) = self.places[place].take() {
            self.len -= 1;
            self.heap -= known.heap;
        }
    }
}
