//! The order in which keys were missed: a log, and where each key is in it.
//!
//! A key's row has the positions of its last few occurrences. What followed there is what may follow again. Both are
//! rings or sets of fixed size: the log forgets what is oldest, a set of rows the key that occurred least lately.

use super::trust::Trust;

const WAYS: usize = 8;
/// Occurrences of a key that are remembered.
pub(super) const OCCURRENCES: usize = 3;

#[derive(Debug, Clone)]
struct Logged<K> {
    hash: u64,
    key: K,
}

/// Where a key occurred, the last time first; numbers of events, one for the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    hash: u64,
    pub(super) at: [u64; OCCURRENCES],
    pub(super) trust: Trust,
}

#[derive(Debug)]
pub(super) struct History<K> {
    log: Box<[Option<Logged<K>>]>,
    rows: Box<[Row]>,
    /// The number of the last event.
    last: u64,
}

impl<K> History<K> {
    /// As large as `bytes` allow for: as many rows as events.
    pub(super) fn new(bytes: usize) -> Self {
        let each = size_of::<Option<Logged<K>>>() + size_of::<Row>();
        let sets = (bytes / each / WAYS).max(1);
        let log = (0..sets * WAYS).map(|_| None).collect();
        Self { log, rows: vec![Row::default(); sets * WAYS].into(), last: 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.log) + size_of_val(&*self.rows)
    }

    /// The number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The events that are remembered.
    pub(super) fn len(&self) -> usize {
        self.log.len().min(usize::try_from(self.last).unwrap_or(usize::MAX))
    }

    /// The key of an event, if that is remembered.
    pub(super) fn event(&self, number: u64) -> Option<(u64, &K)> {
        if number == 0 || number > self.last || self.last - number >= self.log.len() as u64 {
            return None;
        }
        let logged = self.log[(number % self.log.len() as u64) as usize].as_ref()?;
        Some((logged.hash, &logged.key))
    }

    pub(super) fn row(&mut self, hash: u64) -> Option<&mut Row> {
        let set = self.set(hash);
        self.rows[set].iter_mut().find(|row| row.at[0] != 0 && row.hash == hash)
    }

    fn set(&self, hash: u64) -> std::ops::Range<usize> {
        let sets = (self.rows.len() / WAYS) as u128;
        let first = ((u128::from(hash) * sets) >> 64) as usize * WAYS;
        first..first + WAYS
    }

    /// A key has occurred. Returns where it did before, and whether it is to be trusted.
    pub(super) fn note(&mut self, hash: u64, key: K) -> Row {
        self.last += 1;
        let place = (self.last % self.log.len() as u64) as usize;
        self.log[place] = Some(Logged { hash, key });
        let last = self.last;
        if let Some(row) = self.row(hash) {
            let before = row.clone();
            row.at.copy_within(..OCCURRENCES - 1, 1);
            row.at[0] = last;
            return before;
        }
        let set = self.set(hash);
        if let Some(row) = self.rows[set].iter_mut().min_by_key(|row| row.at[0]) {
            *row = Row { hash, at: [0; OCCURRENCES], trust: Trust::default() };
            row.at[0] = last;
        }
        Row::default()
    }
}
