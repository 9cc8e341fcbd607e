//! The order in which ids were completed: a ring of as many cells as ids may be remembered.
//!
//! A completion takes the next place, and puts its hash into the place's cell. What it takes out in
//! exchange was completed a round earlier and is the oldest: it has to go. So there is neither a
//! count to compare with a limit, nor a list, nor a sort, and every completion pays for itself.
//!
//! # Invariants
//!
//! - **A1** A hash that was put into a cell is taken out of it once, by the next completion there, and
//!   whoever takes it out forgets the record of that hash and cell, if it is still there. So no more
//!   records are DONE than there are cells, but for those whose completion is under way.
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

/// A hash that stands for a record, or zero.
#[derive(Debug)]
struct Cell {
    hash: AtomicU64,
    due: Relaxed<AtomicU64>,
}

/// A hash taken out of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Oldest {
    pub(super) hash: u64,
    pub(super) cell: u64,
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

/// No hash is zero.
pub(super) fn token(hash: u64) -> u64 {
    hash.max(1)
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

    /// Puts a hash into the cell of a place, and takes out what was there.
    pub(super) fn put(&self, place: u64, hash: u64, until: Until) -> Option<Oldest> {
        let number = place % self.cells;
        let cell = self.at_or_new(number);
        cell.due.set(until.deadline().to_word());
        // ORDERING: AcqRel. Release: whoever takes the hash out finds the record, with its place.
        // Acquire: the same for the one that comes out.
        let before = if seeded("dedup-ring-by-store") {
            let before = cell.hash.load(Ordering::Acquire);
            cell.hash.store(token(hash), Ordering::Release);
            before
        } else {
            cell.hash.swap(token(hash), exchange())
        };
        (before != 0).then_some(Oldest { hash: before, cell: number })
    }

    /// The places whose cells are in use, the oldest first.
    pub(super) fn places(&self) -> std::ops::Range<u64> {
        let tail = self.tail.get();
        tail.saturating_sub(self.cells)..tail
    }

    /// What is in the cell of a place.
    pub(super) fn look(&self, place: u64) -> Option<Oldest> {
        let number = place % self.cells;
        // ORDERING: Acquire: pairs with `put`.
        let hash = self.at(number)?.hash.load(Ordering::Acquire);
        (hash != 0).then_some(Oldest { hash, cell: number })
    }

    /// The same, if it is due by the hint. Says so once for each hint, so a cell is not looked at
    /// again and again.
    pub(super) fn take_due(&self, place: u64, now: Moment) -> Option<Oldest> {
        let cell = self.at(place % self.cells)?;
        let due = cell.due.get();
        if !Deadline::from_word(due).is_passed(now) || !cell.due.try_set(due, u64::MAX) {
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
                |_| Cell { hash: AtomicU64::new(0), due: Relaxed::<AtomicU64>::new(u64::MAX) };
            // Allocated beforehand: another thread waits for the store only.
            let _ = segment.set((0..SEGMENT).map(cell).collect());
        }
        self.at(number).expect("the segment was set just now, here or elsewhere")
    }
}

/// Where a cell lies in its segment: neighbours in number lie in different lines.
fn spread(number: u64) -> usize {
    (number % (SEGMENT / STRIDE) * STRIDE + number / (SEGMENT / STRIDE)) as usize
}

fn exchange() -> Ordering {
    if seeded("dedup-ring-relaxed") { Ordering::Relaxed } else { Ordering::AcqRel }
}
