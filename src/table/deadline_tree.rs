//! Where the next entries expire: a tree of the earliest deadlines.
//!
//! ```text
//!   ends of all                       [ 3 ]
//!   of each eight buckets       [ 5 ][ 3 ][ - ]
//!   of each bucket        [ 7 ][ 5 ][ 9 ] ..
//! ```
//!
//! A writer that needs room finds a bucket with an expired entry in as many steps as the tree has levels, however
//! large the table is and however few have expired; and where none has, one word says so.
//!
//! A hint. A word may be earlier than all entries below it, as they have left, or were read and live longer: the
//! thread that comes by and finds nothing there puts it right. While it does so a deadline may be added that is
//! earlier: it looks again afterwards. To lose one for good, a load would have to be reordered before a locked
//! exchange (see `summary`); the sweeps find it then.

use crate::sync::{AtomicU64, Relaxed, zeroed};

/// Words below one of the next level: a cache line of them.
const FAN_OUT: usize = 8;
/// Attempts of a read to raise a word that others change at that moment.
const MAX_ATTEMPTS: usize = 4;

/// The tree, by levels: first a word for each bucket, last a single one. A word is the complement of the earliest
/// deadline, so zero says that nothing there expires.
#[derive(Debug)]
pub(super) struct DeadlineTree {
    levels: Box<[Box<[Relaxed<AtomicU64>]>]>,
}

/// A bucket where an entry may have expired, and the word that says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct DueLeaf {
    pub(super) index: usize,
    word: u64,
}

impl DeadlineTree {
    /// Roughly.
    pub(super) const BYTES_PER_BUCKET: usize = size_of::<u64>() * (FAN_OUT + 1) / FAN_OUT;

    pub(super) fn new(buckets: usize) -> Self {
        let words = |len| zeroed(len, || Relaxed::<AtomicU64>::new(0));
        let mut levels = vec![words(buckets)];
        while levels[levels.len() - 1].len() > 1 {
            let len = levels[levels.len() - 1].len().div_ceil(FAN_OUT);
            levels.push(words(len));
        }
        Self { levels: levels.into() }
    }

    /// Notes that an entry of a bucket expires then.
    #[inline]
    pub(super) fn note(&self, index: usize, deadline: u64) {
        self.raise(index, !deadline);
    }

    #[inline]
    fn raise(&self, mut index: usize, word: u64) {
        for level in &self.levels {
            if level[index].get() >= word {
                return;
            }
            level[index].max(word);
            index /= FAN_OUT;
        }
    }

    /// Notes for a read, which waits for no thread, that an entry of a bucket expires then, earlier than it was to.
    /// If others are faster each time, that is lost.
    pub(super) fn note_wait_free(&self, mut index: usize, deadline: u64) {
        for level in &self.levels {
            let attempt = |_: &usize| {
                let word = level[index].get();
                word >= !deadline || level[index].try_set(word, !deadline)
            };
            if (0..MAX_ATTEMPTS).find(attempt).is_none() {
                return;
            }
            index /= FAN_OUT;
        }
    }

    /// A bucket where an entry may have expired by now; which of several depends on `seed`.
    #[inline(always)]
    pub(super) fn find(&self, now: u64, seed: usize) -> Option<DueLeaf> {
        let [.., root] = &*self.levels else { return None };
        if root[0].get() < !now { None } else { self.descend(now, seed) }
    }

    #[cold]
    #[inline(never)]
    fn descend(&self, now: u64, mut seed: usize) -> Option<DueLeaf> {
        let (mut index, mut level) = (0, self.levels.len() - 1);
        while level > 0 {
            let below = self.below(level, index);
            let due = |&nth: &usize| below.get(nth).is_some_and(|word| word.get() >= !now);
            match (0..FAN_OUT).map(|nth| (nth + seed) % FAN_OUT).find(due) {
                Some(nth) => (index, level) = (index * FAN_OUT + nth, level - 1),
                None => {
                    // Those who left have not told it.
                    self.lower(level, index);
                    if self.levels[self.levels.len() - 1][0].get() < !now {
                        return None;
                    }
                    (index, level) = (0, self.levels.len() - 1);
                }
            }
            seed = seed.rotate_right(FAN_OUT.trailing_zeros());
        }
        self.at(index, now)
    }

    /// A bucket, if an entry there may have expired by `now`.
    #[inline]
    pub(super) fn at(&self, index: usize, now: u64) -> Option<DueLeaf> {
        let word = self.levels[0][index].get();
        (word >= !now).then_some(DueLeaf { index, word })
    }

    fn below(&self, level: usize, index: usize) -> &[Relaxed<AtomicU64>] {
        let below = &self.levels[level - 1];
        &below[index * FAN_OUT..below.len().min((index + 1) * FAN_OUT)]
    }

    /// Puts a word right by those below it, and the ones above; one attempt.
    fn lower(&self, mut level: usize, mut index: usize) {
        while level < self.levels.len() {
            let (word, below) = (&self.levels[level][index], self.below(level, index));
            let most = || below.iter().map(Relaxed::<AtomicU64>::get).max().unwrap_or(0);
            let (before, now) = (word.get(), most());
            if now >= before || !word.try_set(before, now) {
                return;
            }
            // One may have been added below that did not see a reason to raise the word.
            let again = most();
            if again > now {
                return self.raise_from(level, index, again);
            }
            (level, index) = (level + 1, index / FAN_OUT);
        }
    }

    fn raise_from(&self, level: usize, mut index: usize, word: u64) {
        for level in &self.levels[level..] {
            level[index].max(word);
            index /= FAN_OUT;
        }
    }

    /// Notes that nothing in a bucket expires before that; whether no other thread has noted anything since. If so,
    /// the caller looks at the bucket once more.
    pub(super) fn set_earliest(&self, overdue: DueLeaf, deadline: u64) -> bool {
        let DueLeaf { index, word } = overdue;
        let right = !deadline < word && self.levels[0][index].try_set(word, !deadline);
        if right {
            self.lower(1, index / FAN_OUT);
        }
        right
    }

    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|level| size_of_val(&**level)).sum()
    }
}
