//! The order in which ids were completed: a ring with one cell for each id that may be remembered.
//!
//! A completion takes the next position, and exchanges the hash in that position's cell for its
//! own. The hash that it takes out was completed one round earlier and is the oldest: its id is
//! forgotten. So there is no count to compare with a limit, no list and no sort, and the cost of
//! forgetting is spread over the completions.
//!
//! ```text
//!   63                                        16 15      0
//!   +-------------------------------------------+---------+
//!   | hash, 48 bits                             | lap     |   zero: empty
//!   +-------------------------------------------+---------+
//! ```
//!
//! The *lap* is the number of the round in which the hash was put in. A completion that was stopped
//! after it took its position, for a round or more, finds a later lap in its cell: then its own id
//! is the oldest. (Laps wrap around: it would have to sleep for 2^15 rounds to find a wrong
//! answer.)
//!
//! # Invariants
//!
//! - **A1** A hash that was put into a cell is taken out of it once, by a completion of a later lap, and
//!   the thread that takes it out forgets the record of that position, if it is still there. So at most
//!   as many records are DONE as there are cells, except those whose completion is under way.
//! - **A2** A cell's `due` is a hint, by which expired ids are found without a look into the cache. The
//!   record's word decides.

use std::sync::OnceLock;

use super::claim_word::ClaimDeadline;
use crate::narrow::{in_memory, low16};
use crate::sync::{AtomicU64, CachePadded, Ordering, Relaxed, relaxed_if_seeded, seeded};
use crate::time::{Deadline, Moment};

/// How many cells are allocated together, when the first of them is used.
const SEGMENT: u64 = if cfg!(clockhand_loom) { 2 } else { 1 << 12 };
/// How many cells a cache line has. Consecutive positions are that far apart, so that threads that
/// complete concurrently write to different lines.
const STRIDE: u64 = if cfg!(clockhand_loom) { 1 } else { 4 };
/// Limit on the cells of a ring.
pub(super) const MAX_CELLS: u64 = 1 << 32;

/// The hash of a record, with its lap, or zero.
#[derive(Debug)]
struct Cell {
    word: AtomicU64,
    due: Relaxed<AtomicU64>,
}

/// A hash in a cell, and the lap in which it was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RingEntry {
    pub(super) hash: u64,
    pub(super) cell: u64,
    pub(super) lap: u16,
}

/// The result of putting a hash into the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PutOutcome {
    /// It is in its cell; the id of the hash that was there is to be forgotten.
    Stored(Option<RingEntry>),
    /// Its own id is to be forgotten: the cell holds one that was completed later.
    Late,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Ring {
    cells: u64,
    segments: Box<[OnceLock<Box<[Cell]>>]>,
    /// The next position.
    tail: CachePadded<Relaxed<AtomicU64>>,
    /// The position from which on to look for expired ids; a hint.
    head: CachePadded<Relaxed<AtomicU64>>,
}

const LAP_BITS: u32 = u16::BITS;

/// The part of an id's hash that is stored in a cell; never zero.
pub(super) fn hash_part(hash: u64) -> u64 {
    (hash >> LAP_BITS).max(1)
}

/// Whether lap `a` is later than lap `b`; laps wrap around after 2^16.
fn is_later(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 1 << (LAP_BITS - 1)
}

impl Ring {
    pub(super) fn new(cells: u64) -> Self {
        Self {
            cells,
            segments: (0..cells.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect(),
            tail: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            head: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
        }
    }

    pub(super) fn cells(&self) -> u64 {
        self.cells
    }

    pub(super) fn bytes(&self) -> usize {
        let used = self.segments.iter().filter(|segment| segment.get().is_some()).count();
        size_of_val::<[_]>(&self.segments) + used * in_memory(SEGMENT) * size_of::<Cell>()
    }

    /// Takes the next position, which no other completion gets.
    pub(super) fn take_position(&self) -> u64 {
        self.tail.add(1)
    }

    /// The round of a position.
    pub(super) fn lap(&self, position: u64) -> u16 {
        low16(position / self.cells)
    }

    /// Puts a hash into the cell of a position, and takes out the one that was there.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails only if a completion of another round has changed the cell.
    pub(super) fn put(&self, position: u64, hash: u64, until: ClaimDeadline) -> PutOutcome {
        let (number, lap) = (position % self.cells, self.lap(position));
        let cell = self.at_or_new(number);
        let due = until.deadline().to_word();
        // ORDERING D-c: Acquire: for the hash that is taken out; pairs with the exchange below.
        let mut seen = cell.word.load(Ordering::Acquire);
        loop {
            let late = seen != 0 && is_later(low16(seen), lap);
            if late && !seeded("dedup-ring-takes-the-later") {
                return PutOutcome::Late;
            }
            let own = hash << LAP_BITS | u64::from(lap);
            if seeded("dedup-ring-by-store") {
                cell.word.store(own, Ordering::Release);
                break;
            }
            // ORDERING D-c: AcqRel. Release: the thread that takes this hash out finds the record, with
            // its position. Acquire: the same for the hash that is taken out here.
            match cell.word.compare_exchange(seen, own, exchange(), Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        cell.due.set(due);
        PutOutcome::Stored(RingEntry::of(seen, number))
    }

    /// The first position at which every cell that is in use now has been overwritten.
    pub(super) fn round_end(&self) -> u64 {
        self.tail.get().saturating_add(self.cells)
    }

    /// The positions whose cells are in use, oldest first.
    pub(super) fn positions(&self) -> std::ops::Range<u64> {
        let tail = self.tail.get();
        tail.saturating_sub(self.cells)..tail
    }

    /// Returns the hash in the cell of a position.
    pub(super) fn look(&self, position: u64) -> Option<RingEntry> {
        let number = position % self.cells;
        // ORDERING D-c: Acquire: pairs with `put`.
        RingEntry::of(self.at(number)?.word.load(Ordering::Acquire), number)
    }

    /// As [`look`](Self::look), if the id has expired by the cell's hint. Returns it once for each
    /// hint, so that a cell is not looked at again and again.
    pub(super) fn take_due(&self, position: u64, now: Moment) -> Option<RingEntry> {
        let cell = self.at(position % self.cells)?;
        let due = cell.due.get();
        let looked_at = Deadline::NEVER.to_word();
        if !Deadline::from_word(due).is_passed(now) || !cell.due.try_set(due, looked_at) {
            return None;
        }
        self.look(position)
    }

    /// Returns the position at the head and moves the head on, if that cell's id has expired by its
    /// hint, or was taken by [`take_due`](Self::take_due) already.
    pub(super) fn next_due(&self, now: Moment) -> Option<u64> {
        let (head, oldest) = (self.head.get(), self.positions());
        let position = head.max(oldest.start);
        if position >= oldest.end {
            return None;
        }
        let due = Deadline::from_word(self.at(position % self.cells)?.due.get());
        let over = due == Deadline::NEVER || due.is_passed(now);
        (over && self.head.try_set(head, position + 1)).then_some(position)
    }

    fn at(&self, number: u64) -> Option<&Cell> {
        let segment = self.segments[(number / SEGMENT) as usize].get()?;
        Some(&segment[cell_index(number % SEGMENT)])
    }

    fn at_or_new(&self, number: u64) -> &Cell {
        let segment = &self.segments[(number / SEGMENT) as usize];
        if segment.get().is_none() {
            let cell =
                |_| Cell { word: AtomicU64::new(0), due: Relaxed::<AtomicU64>::new(u64::MAX) };
            // Allocated first: another thread waits only until the pointer is stored.
            let _ = segment.set((0..SEGMENT).map(cell).collect());
        }
        self.at(number).expect("the segment was set just now, here or elsewhere")
    }
}

impl RingEntry {
    fn of(word: u64, cell: u64) -> Option<Self> {
        (word != 0).then_some(Self { hash: word >> LAP_BITS, cell, lap: low16(word) })
    }
}

/// The index of a cell in its segment: cells with consecutive numbers are in different cache lines.
fn cell_index(number: u64) -> usize {
    in_memory(number % (SEGMENT / STRIDE) * STRIDE + number / (SEGMENT / STRIDE))
}

fn exchange() -> Ordering {
    relaxed_if_seeded("dedup-ring-relaxed", Ordering::AcqRel)
}
