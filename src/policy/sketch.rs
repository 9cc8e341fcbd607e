//! How often a key was heard of lately.
//!
//! A count-min sketch (G. Cormode and S. Muthukrishnan, *J. Algorithms* 55, 2005) with four rows of
//! four-bit counters, four counters in each row for each entry of the cache. The four counters of a
//! key lie in one block of 64 bytes, so it costs one cache miss. After a period all counters are
//! halved: each block keeps the number of the period in which it was last touched, and is halved as
//! often as periods have passed when it is touched again.
//!
//! Two threads that count in one word at the same time may lose one of the counts.

use crate::sync::{AtomicU64, Relaxed};

const ROWS: usize = 4;
const WORDS: usize = 8;
/// Words in each row of a block, and counters in a word.
const WORDS_PER_ROW: usize = WORDS / ROWS;
const PER_WORD: u64 = 16;
const PER_ROW: u64 = WORDS_PER_ROW as u64 * PER_WORD;
/// Entries that one block is for.
const ENTRIES: usize = (PER_ROW / 4) as usize;
const COUNTER: u64 = 0xf;
/// The highest counter of the last row holds the period.
const PERIOD_SHIFT: u32 = 60;
/// All bits but the lowest of each counter, moved down by one.
const HALVES: u64 = 0x7777_7777_7777_7777;
/// Misses in a period, for each entry of the cache.
const PERIOD: u64 = 20;

#[derive(Debug)]
pub(super) struct Sketch {
    blocks: Box<[Block]>,
    period: u64,
}

#[derive(Debug)]
#[repr(align(64))]
struct Block([Relaxed<AtomicU64>; WORDS]);

impl Sketch {
    pub(super) fn new(entries: usize) -> Self {
        let block = || Block(std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)));
        let blocks = (0..entries.div_ceil(ENTRIES).max(1)).map(|_| block()).collect();
        Self { blocks, period: PERIOD.saturating_mul(entries.max(1) as u64) }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks)
    }

    /// Counts a key, at a time that is counted in misses.
    pub(super) fn hear(&self, hash: u64, now: u64) {
        let block = self.block(hash, now);
        for (word, shift) in counters(hash) {
            let word = &block.0[word];
            let bits = word.get();
            if bits >> shift & COUNTER < COUNTER {
                word.set(bits + (1 << shift));
            }
        }
    }

    /// How often a key was counted, at most.
    pub(super) fn estimate(&self, hash: u64, now: u64) -> u64 {
        let block = self.block(hash, now);
        let counts = counters(hash).map(|(word, shift)| block.0[word].get() >> shift & COUNTER);
        counts.into_iter().min().unwrap_or(0)
    }

    /// The block of a key, halved as often as it is due.
    fn block(&self, hash: u64, now: u64) -> &Block {
        let mixed = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let nth = (u128::from(mixed) * self.blocks.len() as u128) >> 64;
        let block = &self.blocks[nth as usize];
        let period = (now / self.period) & COUNTER;
        let missed = period.wrapping_sub(block.0[WORDS - 1].get() >> PERIOD_SHIFT) & COUNTER;
        if missed != 0 {
            block.halve(missed, period);
        }
        block
    }
}

impl Block {
    #[cold]
    fn halve(&self, times: u64, period: u64) {
        for (nth, word) in self.0.iter().enumerate() {
            let mut bits = word.get();
            if nth == WORDS - 1 {
                bits &= !(COUNTER << PERIOD_SHIFT);
            }
            for _ in 0..times.min(4) {
                bits = bits >> 1 & HALVES;
            }
            if nth == WORDS - 1 {
                bits |= period << PERIOD_SHIFT;
            }
            word.set(bits);
        }
    }
}

/// The counters of a key in its block: which word, and how far up.
fn counters(hash: u64) -> [(usize, u64); ROWS] {
    let mut bits = (hash ^ hash >> 32).wrapping_mul(0x9fb2_1c65_1e98_df25);
    bits ^= bits >> 28;
    std::array::from_fn(|row| {
        let drawn = bits >> (row * 12) & 0xfff;
        // The last counter of the last row is taken by the period.
        let range = if row == ROWS - 1 { PER_ROW - 1 } else { PER_ROW };
        let nth = (drawn * range) >> 12;
        (row * WORDS_PER_ROW + (nth / PER_WORD) as usize, nth % PER_WORD * 4)
    })
}
