//! How often a key was heard of lately.
//!
//! A count-min sketch (G. Cormode and S. Muthukrishnan, *J. Algorithms* 55, 2005) with four rows of
//! four-bit counters, four counters in each row for each entry of the cache. The four counters of a
//! key lie in one block of 64 bytes, so it costs one cache miss. After a period all counters are
//! halved: each block keeps the number of the period in which it was last touched, and is halved as
//! often as periods have passed when it is touched again.
//!
//! Two threads that count in one word at the same time may lose one of the counts.

use super::arrivals::KNOWN;
use super::scale::Scale;
use crate::sync::{AtomicU64, Relaxed, prefetch};

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
const PERIOD: u64 = 10;
/// Blocks at least: in a small one, keys that share counters by chance would decide too often.
const FEWEST: usize = 128;

#[derive(Debug)]
pub(super) struct Sketch {
    blocks: Box<[Block]>,
    period: Scale,
}

#[derive(Debug)]
#[repr(align(64))]
struct Block([Relaxed<AtomicU64>; WORDS]);

impl Sketch {
    pub(super) fn new(entries: usize) -> Self {
        let block = || Block(std::array::from_fn(|_| Relaxed::<AtomicU64>::new(0)));
        let blocks = (0..entries.div_ceil(ENTRIES).max(FEWEST)).map(|_| block()).collect();
        Self { blocks, period: Scale::new(PERIOD.saturating_mul(entries.max(1) as u64)) }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.blocks)
    }

    /// Counts a key, at a time that is counted in misses.
    #[inline]
    pub(super) fn hear(&self, hash: u64, now: u64) {
        let block = self.block(hash, now);
        let counters = Counters::of(hash);
        for row in 0..ROWS {
            let (word, shift) = counters.of_row(row);
            let word = &block.0[word];
            let bits = word.get();
            if bits >> shift & COUNTER < COUNTER {
                word.set(bits + (1 << shift));
            }
        }
    }

    /// How often a key was counted, at most.
    #[inline]
    pub(super) fn estimate(&self, hash: u64, now: u64) -> u64 {
        let block = self.block(hash, now);
        let counters = Counters::of(hash);
        let mut least = COUNTER;
        for row in 0..ROWS {
            let (word, shift) = counters.of_row(row);
            least = least.min(block.0[word].get() >> shift & COUNTER);
        }
        least
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(self.block_of(hash));
    }

    #[inline]
    fn block_of(&self, hash: u64) -> &Block {
        let mixed = (hash & KNOWN).wrapping_mul(0xd6e8_feb8_6659_fd93);
        let nth = (u128::from(mixed) * self.blocks.len() as u128) >> 64;
        &self.blocks[nth as usize]
    }

    /// The block of a key, halved as often as it is due.
    #[inline]
    fn block(&self, hash: u64, now: u64) -> &Block {
        let block = self.block_of(hash);
        let period = self.period.steps(now) & COUNTER;
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

/// Which counters of its block a key has: one in each row.
#[derive(Clone, Copy)]
struct Counters(u64);

impl Counters {
    #[inline]
    fn of(hash: u64) -> Self {
        Self((hash ^ hash >> 32).wrapping_mul(0x9fb2_1c65_1e98_df25) >> 32)
    }

    /// The word, and how far up in it.
    #[inline]
    fn of_row(self, row: usize) -> (usize, u64) {
        let drawn = self.0 >> (row as u32 * PER_ROW.trailing_zeros());
        let (mut nth, word) = (drawn % PER_WORD, drawn / PER_WORD % WORDS_PER_ROW as u64);
        let word = row * WORDS_PER_ROW + word as usize;
        if word == WORDS - 1 && nth == PER_WORD - 1 {
            // Taken by the period.
            nth = 0;
        }
        (word, nth * 4)
    }
}
