//! The order in which ids were completed: a ring of as many cells as ids may be remembered.
//!
//! A completion takes the next place, and puts its hash into the place's cell. What it takes out in
//! exchange was completed a round earlier and is the oldest: it has to go. So there is neither a
//! count to compare with a limit, nor a list, nor a sort, and every completion pays for itself.
//!
//! ```text
//!   63                                        16 15      0
//!   +-------------------------------------------+---------+
//!   | hash, 48 bits                             | lap     |   zero: empty
//!   +-------------------------------------------+---------+
//! ```
//!
//! The *lap* says in which round the hash came in. A completion that was stopped between its place and its
//! cell, for a round or more, finds a later lap there: then it is the oldest itself. (It would have to sleep
//! for 2^15 rounds to be deceived.)
//!
//! # Invariants
//!
//! - **A1** A hash that was put into a cell is taken out of it once, by a completion of a later lap there,
//!   and whoever takes it out forgets the record of that place, if it is still there. So no more records
//!   are DONE than there are cells, but for those whose completion is under way.
//! - **A2** A cell's `due` is a hint, for those who look for what has expired without asking the
//!   cache: the record's word decides.

use std::sync::OnceLock;

use super::word::Until;
use crate::sync::{AtomicU64, CachePadded, Ordering, Relaxed, seeded};
use crate::time::{Deadline, Moment};

/// Cells that are allocated together, when the first of them is used.
const SEGMENT: u64 = if cfg!(clockhand_loom) { 2 } else { 1 << 12 };
/// Cells in a cache line. Places that follow each other lie that far apart, so that threads that
/// complete at the same time write to different lines.
const STRIDE: u64 = if cfg!(clockhand_loom) { 1 } else { 4 };
/// The most cells that a ring can have.
pub(super) const MOST: u64 = 1 << 32;

/// A hash that stands for a record, with its lap, or zero.
#[derive(Debug)]
struct Cell {
    word: AtomicU64,
    due: Relaxed<AtomicU64>,
}

/// A hash in a cell, and when it came there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oldest {
    pub(super) hash: u64,
    pub(super) cell: u64,
    pub(super) lap: u16,
}

/// What putting a hash into the ring came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there; what was there has to go.
    Placed(Option<Oldest>),
    /// It has to go itself: the cell holds what was completed later.
    Late,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Ring {
    cells: u64,
    segments: Box<[OnceLock<Box<[Cell]>>]>,
    /// The next place.
    tail: CachePadded<Relaxed<AtomicU64>>,
    /// From where on to look for what has expired; a hint.
    head: CachePadded<Relaxed<AtomicU64>>,
}

const LAP_BITS: u32 = u16::BITS;

/// The part of a hash that stands for a record; never zero.
pub(super) fn token(hash: u64) -> u64 {
    (hash >> LAP_BITS).max(1)
}

/// Whether lap `a` is later than lap `b`; laps begin anew after 2^16.
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
        size_of_val::<[_]>(&self.segments) + used * SEGMENT as usize * size_of::<Cell>()
    }

    /// The next place; nobody else gets it.
    pub(super) fn take_place(&self) -> u64 {
        self.tail.add(1)
    }

    /// In which round a place comes.
    pub(super) fn lap(&self, place: u64) -> u16 {
        (place / self.cells) as u16
    }

    /// Puts a hash into the cell of a place, and takes out what was there.
    ///
    /// # Progress
    ///
    /// Lock-free: an attempt fails where a completion a round away took effect.
    pub(super) fn put(&self, place: u64, hash: u64, until: Until) -> Put {
        let (number, lap) = (place % self.cells, self.lap(place));
        let cell = self.at_or_new(number);
        let due = until.deadline().to_word();
        // ORDERING D-c: Acquire: what comes out of the cell; pairs with the exchange.
        let mut seen = cell.word.load(Ordering::Acquire);
        loop {
            let late = seen != 0 && is_later(seen as u16, lap);
            if late && !seeded("dedup-ring-takes-the-later") {
                return Put::Late;
            }
            let own = hash << LAP_BITS | u64::from(lap);
            if seeded("dedup-ring-by-store") {
                cell.word.store(own, Ordering::Release);
                break;
            }
            // ORDERING D-c: AcqRel. Release: whoever takes the hash out finds the record, with its
            // place. Acquire: the same for the one that comes out.
            match cell.word.compare_exchange(seen, own, exchange(), Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        cell.due.set(due);
        Put::Placed(Oldest::of(seen, number))
    }

    /// The first place at which every cell that is in use now was put into again.
    pub(super) fn round_end(&self) -> u64 {
        self.tail.get().saturating_add(self.cells)
    }

    /// The places whose cells are in use, the oldest first.
    pub(super) fn places(&self) -> std::ops::Range<u64> {
        let tail = self.tail.get();
        tail.saturating_sub(self.cells)..tail
    }

    /// What is in the cell of a place.
    pub(super) fn look(&self, place: u64) -> Option<Oldest> {
        let number = place % self.cells;
        // ORDERING D-c: Acquire: pairs with `put`.
        Oldest::of(self.at(number)?.word.load(Ordering::Acquire), number)
    }

    /// The same, if it is due by the hint. Says so once for each hint, so a cell is not looked at
    /// again and again.
    pub(super) fn take_due(&self, place: u64, now: Moment) -> Option<Oldest> {
        let cell = self.at(place % self.cells)?;
        let due = cell.due.get();
        let looked_at = Deadline::NEVER.to_word();
        if !Deadline::from_word(due).is_passed(now) || !cell.due.try_set(due, looked_at) {
            return None;
        }
        self.look(place)
    }

    /// The next place whose cell is due or was looked at, if the one at the head is such; moves the
    /// head.
    pub(super) fn next_due(&self, now: Moment) -> Option<u64> {
        let (head, oldest) = (self.head.get(), self.places());
        let place = head.max(oldest.start);
        if place >= oldest.end {
            return None;
        }
        let due = Deadline::from_word(self.at(place % self.cells)?.due.get());
        let over = due == Deadline::NEVER || due.is_passed(now);
        (over && self.head.try_set(head, place + 1)).then_some(place)
    }

    fn at(&self, number: u64) -> Option<&Cell> {
        let segment = self.segments[(number / SEGMENT) as usize].get()?;
        Some(&segment[spread(number % SEGMENT)])
    }

    fn at_or_new(&self, number: u64) -> &Cell {
        let segment = &self.segments[(number / SEGMENT) as usize];
        if segment.get().is_none() {
            let cell =
                |_| Cell { word: AtomicU64::new(0), due: Relaxed::<AtomicU64>::new(u64::MAX) };
            // Allocated beforehand: another thread waits for the store only.
            let _ = segment.set((0..SEGMENT).map(cell).collect());
        }
        self.at(number).expect("the segment was set just now, here or elsewhere")
    }
}

impl Oldest {
    fn of(word: u64, cell: u64) -> Option<Self> {
        (word != 0).then_some(Self { hash: word >> LAP_BITS, cell, lap: word as u16 })
    }
}

/// Where a cell lies in its segment: neighbours in number lie in different lines.
fn spread(number: u64) -> usize {
    (number % (SEGMENT / STRIDE) * STRIDE + number / (SEGMENT / STRIDE)) as usize
}

fn exchange() -> Ordering {
    if seeded("dedup-ring-relaxed") { Ordering::Relaxed } else { Ordering::AcqRel }
}
