//! How likely a successor is, by what is known of it: learned by outcome.

use super::history::OCCURRENCES;

/// How many events behind a key are looked at.
pub(super) const LOOKAHEAD: usize = 16;

/// Whether the predictions of a key came true lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Trust(i8);

const MAX_TRUST: i8 = 3;

impl Trust {
    pub(super) fn learn(&mut self, right: bool) {
        let step = if right { 1 } else { -1 };
        self.0 = (self.0 + step).clamp(-MAX_TRUST, MAX_TRUST);
    }

    /// Whether it can be gone on from.
    #[cfg(feature = "persist")]
    pub(super) fn is_sound(self) -> bool {
        (-MAX_TRUST..=MAX_TRUST).contains(&self.0)
    }

    fn grade(self) -> usize {
        (self.0 + MAX_TRUST) as usize
    }
}

const GRADES: usize = 2 * MAX_TRUST as usize + 1;
/// Next, or up to three, seven, fifteen further on.
const DISTANCES: usize = 4;
const CELLS: usize = OCCURRENCES * OCCURRENCES * DISTANCES * GRADES;

/// What is known of a successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell(usize);

impl Cell {
    /// It followed `support` of `occurrences` of a key, the last time at `distance`, which is one or more.
    pub(super) fn new(
        (support, occurrences): (usize, usize),
        distance: usize,
        trust: Trust,
    ) -> Self {
        let support = support.clamp(1, OCCURRENCES) - 1;
        let occurrences = occurrences.clamp(1, OCCURRENCES) - 1;
        let distance = (distance.max(1).ilog2() as usize).min(DISTANCES - 1);
        Self(
            ((support * OCCURRENCES + occurrences) * DISTANCES + distance) * GRADES + trust.grade(),
        )
    }
}

/// Outcomes that halve what earlier ones weigh are about 0.7 of this.
const MEMORY: f32 = 256.0;
/// A cell starts as if this many successors had not followed.
const DOUBT: f32 = 4.0;

/// How often successors of each kind came true.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "persist", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Likelihoods {
    cells: Vec<(f32, f32)>,
}

impl Likelihoods {
    /// The bytes that they have on the heap.
    pub(super) const HEAP: usize = CELLS * size_of::<(f32, f32)>();

    pub(super) fn new() -> Self {
        Self { cells: vec![(0.0, 0.0); CELLS] }
    }

    pub(super) fn of(&self, cell: Cell) -> f64 {
        let (right, all) = self.cells[cell.0];
        f64::from(right / (all + DOUBT))
    }

    pub(super) fn learn(&mut self, cell: Cell, right: bool) {
        let (rights, all) = &mut self.cells[cell.0];
        let kept = 1.0 - 1.0 / MEMORY;
        *rights = *rights * kept + f32::from(u8::from(right));
        *all = *all * kept + 1.0;
    }

    /// Outcomes that are remembered.
    pub(super) fn outcomes(&self) -> f32 {
        self.cells.iter().map(|(_, all)| all).sum()
    }

    /// Whether they can be gone on from.
    #[cfg(feature = "persist")]
    pub(super) fn is_sound(&self) -> bool {
        let sound =
            |&(right, all): &(f32, f32)| right >= 0.0 && right <= all && all <= MEMORY + 1.0;
        self.cells.len() == CELLS && self.cells.iter().all(sound)
    }
}
