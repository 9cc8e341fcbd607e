//! The order in which keys were missed: a log, and where each key is in it.
//!
//! A key's row has the positions of its last few occurrences. What followed there is what may follow again. Both are
//! rings or sets of fixed size: the log forgets what is oldest, a set of rows the key that occurred least lately.

use super::trust::Trust;
use crate::narrow::{in_memory, low32, low64};

const WAYS: usize = 8;
/// Occurrences of a key that are remembered.
pub(super) const OCCURRENCES: usize = 3;

#[derive(Debug, Clone)]
struct Logged<K> {
    hash: u64,
    key: K,
}

/// What is known of a key. Numbers and hashes are kept by halves: one that is taken for another is a wrong prediction,
/// and no more.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// The lower half of its hash; the upper one tells the set.
    hash: u32,
    /// Where it occurred, the last time first; zero for nowhere.
    at: [u32; OCCURRENCES],
    pub(super) trust: Trust,
}

/// Where a key occurred before, the last time first, as numbers of events; and whether it is to be trusted.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) at: [u64; OCCURRENCES],
    pub(super) trust: Trust,
}

#[derive(Debug)]
pub(super) struct History<K> {
    /// A ring, once it is full.
    log: Vec<Logged<K>>,
    places: usize,
    rows: Box<[Row]>,
    /// The number of the last event; one for the first.
    last: u64,
}

impl<K> History<K> {
    /// As large as `bytes` allow for: as many rows as events.
    pub(super) fn new(bytes: usize) -> Self {
        let each = size_of::<Logged<K>>() + size_of::<Row>();
        let places = (bytes / each / WAYS).max(1) * WAYS;
        let rows = vec![Row::default(); places].into();
        Self { log: Vec::with_capacity(places), places, rows, last: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        self.places * size_of::<Logged<K>>() + size_of_val(&*self.rows)
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The events that are remembered.
    pub(super) fn len(&self) -> usize {
        self.log.len()
    }

    /// The key of an event, if that is remembered.
    pub(super) fn event(&self, number: u64) -> Option<(u64, &K)> {
        if number == 0 || number > self.last || self.last - number >= self.places as u64 {
            return None;
        }
        let logged = self.log.get(self.place(number))?;
        Some((logged.hash, &logged.key))
    }

    /// All events that are remembered, the oldest first; with the last one of a key, whether that is to be trusted.
    #[cfg(feature = "persist")]
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &K, Option<Trust>)> {
        let first = self.last + 1 - self.log.len() as u64;
        (first..=self.last).filter_map(|number| {
            let (hash, key) = self.event(number)?;
            let row = self.rows[self.set(hash)]
                .iter()
                .find(|row| row.at[0] == low32(number) && row.hash == low32(hash));
            Some((hash, key, row.map(|row| row.trust)))
        })
    }

    fn place(&self, number: u64) -> usize {
        in_memory((number - 1) % self.places as u64)
    }

    pub(super) fn row(&mut self, hash: u64) -> Option<&mut Row> {
        let set = self.set(hash);
        self.rows[set].iter_mut().find(|row| row.at[0] != 0 && row.hash == low32(hash))
    }

    fn set(&self, hash: u64) -> std::ops::Range<usize> {
        let sets = (self.rows.len() / WAYS) as u128;
        let first = in_memory(low64((u128::from(hash) * sets) >> 64)) * WAYS;
        first..first + WAYS
    }

    /// A key has occurred. Returns where it did before.
    pub(super) fn note(&mut self, hash: u64, key: K) -> Before {
        self.last += 1;
        let (place, logged) = (self.place(self.last), Logged { hash, key });
        match self.log.get_mut(place) {
            Some(old) => *old = logged,
            None => self.log.push(logged),
        }
        let last = self.last;
        let age = move |at: u32| u64::from(low32(last).wrapping_sub(at));
        if let Some(row) = self.row(hash) {
            let number = |at| if at == 0 { 0 } else { last.saturating_sub(age(at)) };
            let before = Before { at: row.at.map(number), trust: row.trust };
            row.at.copy_within(..OCCURRENCES - 1, 1);
            row.at[0] = low32(last);
            return before;
        }
        let set = self.set(hash);
        let is_oldest = |row: &&mut Row| (row.at[0] == 0, age(row.at[0]));
        if let Some(row) = self.rows[set].iter_mut().max_by_key(is_oldest) {
            *row = Row { hash: low32(hash), ..Row::default() };
            row.at[0] = low32(last);
        }
        Before::default()
    }
}
