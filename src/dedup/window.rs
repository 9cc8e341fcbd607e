//! Which offsets of a partition are done: a low watermark, and a bitmap of what is done above it.
//!
//! ```text
//!   0 ............ low ...................................... u64::MAX
//!   |  all done     |  chunks of 512 bits, only those that have one  |
//! ```
//!
//! An offset that is done at the watermark moves it over everything done behind it, and chunks that it
//! leaves are dropped. So memory goes with the gaps: a chunk for every 512 offsets among which one is
//! done above the watermark, wherever it is. When the last offset is done with all before it, the
//! watermark would have to be 2^64: the window is *full* then.

use std::collections::BTreeMap;

/// Words of a chunk.
pub(super) const CHUNK_WORDS: usize = 8;
const CHUNK_SHIFT: u32 = 9;
const CHUNK_BITS: u64 = 1 << CHUNK_SHIFT;
const _: () = assert!(CHUNK_BITS == CHUNK_WORDS as u64 * u64::BITS as u64, "a chunk is its words");

type Chunk = [u64; CHUNK_WORDS];

/// The done offsets of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window {
    low: u64,
    full: bool,
    chunks: BTreeMap<u64, Box<Chunk>>,
}

/// Where the bit of an offset is: chunk, word, bit.
fn at(offset: u64) -> (u64, usize, u64) {
    let within = offset % CHUNK_BITS;
    (offset >> CHUNK_SHIFT, (within / 64) as usize, 1 << (within % 64))
}

/// How many bits are set from this one on, without a gap, up to the end of the chunk.
fn run(chunk: &Chunk, from: u64) -> u64 {
    let mut next = from;
    while next < CHUNK_BITS {
        let word = chunk[(next / 64) as usize] >> (next % 64);
        let ones = u64::from(word.trailing_ones());
        next += ones;
        if !next.is_multiple_of(64) || ones == 0 {
            break;
        }
    }
    next - from
}

impl Window {
    /// Everything below `low` is done.
    pub(super) fn new(low: u64) -> Self {
        Self { low, ..Self::default() }
    }

    /// The first offset that is not done; meaningless if the window is full.
    pub(super) fn low(&self) -> u64 {
        self.low
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Everything is done.
    pub(super) fn fill(&mut self) {
        (self.low, self.full) = (u64::MAX, true);
        self.chunks.clear();
    }

    pub(super) fn is_done(&self, offset: u64) -> bool {
        let (number, word, bit) = at(offset);
        let in_chunk = || self.chunks.get(&number).is_some_and(|chunk| chunk[word] & bit != 0);
        self.full || offset < self.low || in_chunk()
    }

    /// Makes an offset done; whether it was not.
    pub(super) fn mark(&mut self, offset: u64) -> bool {
        if self.is_done(offset) {
            return false;
        }
        let (number, word, bit) = at(offset);
        self.chunks.entry(number).or_default()[word] |= bit;
        if offset == self.low {
            self.fold();
        }
        true
    }

    /// Everything below `low` is done from now on.
    pub(super) fn raise(&mut self, low: u64) {
        if low > self.low {
            self.low = low;
            self.chunks = self.chunks.split_off(&(low >> CHUNK_SHIFT));
            self.fold();
        }
    }

    /// Takes over what another window knows.
    pub(super) fn merge(&mut self, other: &Self) {
        if other.full {
            self.fill();
            return;
        }
        self.raise(other.low);
        for (number, words) in other.chunks() {
            // A chunk of a window is not empty.
            let _ = self.merge_chunk(number, words);
        }
    }

    /// Takes over a chunk; nothing if there is none of that number.
    pub(super) fn merge_chunk(&mut self, number: u64, words: &Chunk) -> Option<()> {
        if number > u64::MAX >> CHUNK_SHIFT {
            return None;
        }
        let is_blank = words.iter().all(|word| *word == 0);
        if !self.full && !is_blank && number >= self.low >> CHUNK_SHIFT {
            let chunk = self.chunks.entry(number).or_default();
            chunk.iter_mut().zip(words).for_each(|(word, other)| *word |= other);
            self.fold();
        }
        Some(())
    }

    /// Moves the watermark over what is done.
    ///
    /// Ends: every round but the last drops a chunk.
    fn fold(&mut self) {
        loop {
            let (number, from) = (self.low >> CHUNK_SHIFT, self.low % CHUNK_BITS);
            let Some(chunk) = self.chunks.get(&number) else { return };
            let run = run(chunk, from);
            match self.low.checked_add(run) {
                None => {
                    self.fill();
                    return;
                }
                Some(low) => self.low = low,
            }
            if from + run < CHUNK_BITS {
                // Bits below the watermark would keep a chunk that has none above it.
                self.drop_blank(number);
                return;
            }
            self.chunks.remove(&number);
        }
    }

    /// Drops the chunk of the watermark if nothing is done there above it.
    fn drop_blank(&mut self, number: u64) {
        let from = self.low % CHUNK_BITS;
        let has_above = self.chunks.get(&number).is_some_and(|chunk| {
            let (first, shift) = ((from / 64) as usize, from % 64);
            chunk[first] >> shift != 0 || chunk[first + 1..].iter().any(|word| *word != 0)
        });
        if !has_above {
            self.chunks.remove(&number);
        }
    }

    /// The chunks above the watermark.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (u64, &Chunk)> {
        self.chunks.iter().map(|(&number, chunk)| (number, &**chunk))
    }

    /// Offsets that are done above the watermark.
    pub(super) fn above(&self) -> u64 {
        let ones =
            |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let all: u64 = self.chunks.values().map(|chunk| ones(&chunk[..])).sum();
        let Some(chunk) = self.chunks.get(&(self.low >> CHUNK_SHIFT)) else { return all };
        let (_, word, bit) = at(self.low);
        all - ones(&chunk[..word]) - u64::from((chunk[word] & (bit - 1)).count_ones())
    }

    /// Bytes of the bitmap, about.
    pub(super) fn bytes(&self) -> usize {
        // A chunk, its key and its pointer; the tree's nodes are half full at least.
        self.chunks.len() * (size_of::<Chunk>() + 2 * (size_of::<u64>() + size_of::<usize>()))
    }
}
