//! A set of offsets that takes little memory both where offsets are dense and where they are
//! sparse.
//!
//! ```text
//!   0         512        1024       1536                                   2^63
//!   |  nothing |  512 bits |  nothing |  all, up to the end of some chunk ... |
//! ```
//!
//! Offsets are divided into chunks of 512. A chunk with some of its offsets in the set has a bit
//! for each; consecutive full chunks are one container; an empty chunk takes nothing. So a run of 2^62
//! offsets costs as much as one offset, and a million single ones cost about a bit and a half for
//! each offset of their range.
//!
//! # Invariants
//!
//! - **S1** Containers do not overlap.
//! - **S2** A container of bits has at least one bit set, and not all.
//! - **S3** No two containers of full chunks are adjacent.

use std::collections::BTreeMap;
use std::ops::Range;

use super::ident::SnapshotId;

/// One more than the largest offset.
pub(super) const END: u64 = 1 << 63;

const WORDS: usize = 8;
const SHIFT: u32 = 9;
const CHUNK: u64 = 1 << SHIFT;
const _: () = assert!(CHUNK == WORDS as u64 * u64::BITS as u64, "a chunk is its words");

type Bits = [u64; WORDS];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Container {
    /// Some offsets of one chunk.
    Some(Box<Bits>),
    /// All offsets up to this chunk.
    All { end: u64 },
}

/// The set. Ranges must not go beyond [`END`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct OffsetSet {
    /// By the number of the first chunk.
    containers: BTreeMap<u64, Container>,
}

/// The bits of a chunk in a range of its offsets, word by word.
fn mask(range: &Range<u64>) -> Bits {
    let below = |end: u64, word: usize| {
        let in_word = end.saturating_sub(word as u64 * 64).min(64);
        if in_word == 64 { u64::MAX } else { (1 << in_word) - 1 }
    };
    std::array::from_fn(|word| below(range.end, word) & !below(range.start, word))
}

/// Returns the first bit from `from` on that is set, or is not.
fn find(bits: &Bits, from: u64, set: bool) -> Option<u64> {
    let first = (from / 64) as usize;
    (first..WORDS).find_map(|word| {
        let wanted = if set { bits[word] } else { !bits[word] };
        let shift = if word == first { from % 64 } else { 0 };
        let left = wanted >> shift << shift;
        (left != 0).then(|| word as u64 * 64 + u64::from(left.trailing_zeros()))
    })
}

/// Splits a range into the part within the first chunk, whole chunks by their numbers, and the part
/// within the last chunk. An empty part is `None`.
fn parts(range: Range<u64>) -> (Option<Range<u64>>, Range<u64>, Option<Range<u64>>) {
    let (first, last) = (range.start.div_ceil(CHUNK), range.end >> SHIFT);
    if first > last {
        return (Some(range), 0..0, None);
    }
    let head = range.start..first << SHIFT;
    let tail = last << SHIFT..range.end;
    let some = |part: Range<u64>| (!part.is_empty()).then_some(part);
    (some(head), first..last, some(tail))
}

impl OffsetSet {
    pub(super) fn is_empty(&self) -> bool {
        self.containers.is_empty()
    }

    /// Returns the container that has this chunk, and its first chunk.
    fn container(&self, chunk: u64) -> Option<(u64, &Container)> {
        let (&start, container) = self.containers.range(..=chunk).next_back()?;
        let has = match container {
            Container::Some(_) => start == chunk,
            Container::All { end } => chunk < *end,
        };
        has.then_some((start, container))
    }

    pub(super) fn contains(&self, offset: u64) -> bool {
        let within = offset % CHUNK;
        self.container(offset >> SHIFT).is_some_and(|(_, container)| match container {
            Container::Some(bits) => bits[(within / 64) as usize] >> (within % 64) & 1 != 0,
            Container::All { .. } => true,
        })
    }

    /// Returns the first offset from `from` on that is not in the set.
    ///
    /// Ends: every round except the last passes a container.
    pub(super) fn end_of_run(&self, from: u64) -> u64 {
        let mut offset = from;
        while let Some((start, container)) = self.container(offset >> SHIFT) {
            match container {
                Container::All { end } => offset = end << SHIFT,
                Container::Some(bits) => match find(bits, offset % CHUNK, false) {
                    Some(bit) => return (start << SHIFT) + bit,
                    None => offset = (start + 1) << SHIFT,
                },
            }
        }
        offset
    }

    /// Returns the first offset from `from` on that is in the set.
    pub(super) fn next(&self, from: u64) -> Option<u64> {
        let chunk = from >> SHIFT;
        if let Some((start, container)) = self.container(chunk) {
            match container {
                Container::All { .. } => return Some(from),
                Container::Some(bits) => {
                    if let Some(bit) = find(bits, from % CHUNK, true) {
                        return Some((start << SHIFT) + bit);
                    }
                }
            }
        }
        let (start, container) = self.containers.range(chunk + 1..).next()?;
        let bit = match container {
            Container::All { .. } => 0,
            // S2: it has one.
            Container::Some(bits) => find(bits, 0, true)?,
        };
        Some((start << SHIFT) + bit)
    }

    /// The offsets of a range that are in the set, in runs.
    pub(super) fn runs(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut from = range.start;
        std::iter::from_fn(move || {
            let start = self.next(from).filter(|&start| start < range.end)?;
            from = self.end_of_run(start).min(range.end);
            Some(start..from)
        })
    }

    /// The offsets of a range that are not in the set, in runs.
    pub(super) fn gaps(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut from = range.start;
        std::iter::from_fn(move || {
            let start = self.end_of_run(from);
            if start >= range.end {
                return None;
            }
            from = self.next(start).map_or(range.end, |end| end.min(range.end));
            Some(start..from)
        })
    }

    /// The number of offsets in the set from `from` on.
    pub(super) fn count_from(&self, from: u64) -> u64 {
        self.runs(from..END).map(|run| run.end - run.start).sum()
    }

    /// One more than the last offset; zero if there is none.
    pub(super) fn end(&self) -> u64 {
        let Some((&start, container)) = self.containers.last_key_value() else { return 0 };
        match container {
            Container::All { end } => end << SHIFT,
            Container::Some(bits) => {
                let word = (0..WORDS).rev().find(|&word| bits[word] != 0).unwrap_or(0);
                (start << SHIFT) + word as u64 * 64 + u64::from(64 - bits[word].leading_zeros())
            }
        }
    }

    pub(super) fn insert(&mut self, offset: u64) {
        self.insert_run(offset..offset + 1);
    }

    pub(super) fn remove(&mut self, offset: u64) {
        self.remove_run(offset..offset + 1);
    }

    pub(super) fn insert_run(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let (head, whole, tail) = parts(run);
        head.into_iter().chain(tail).for_each(|part| self.insert_part(part));
        if !whole.is_empty() {
            self.insert_chunks(whole);
        }
    }

    /// Inserts a part of one chunk.
    fn insert_part(&mut self, part: Range<u64>) {
        let chunk = part.start >> SHIFT;
        let base = chunk << SHIFT;
        self.insert_bits(chunk, mask(&(part.start - base..part.end - base)));
    }

    /// Inserts some offsets of a chunk, at least one.
    fn insert_bits(&mut self, chunk: u64, added: Bits) {
        if matches!(self.container(chunk), Some((_, Container::All { .. }))) {
            return;
        }
        let new = || Container::Some(Box::default());
        let Container::Some(bits) = self.containers.entry(chunk).or_insert_with(new) else {
            return;
        };
        bits.iter_mut().zip(added).for_each(|(word, added)| *word |= added);
        if bits.iter().all(|&word| word == u64::MAX) {
            self.insert_chunks(chunk..chunk + 1);
        }
    }

    fn insert_chunks(&mut self, chunks: Range<u64>) {
        let Range { mut start, mut end } = chunks;
        if let Some((&before, &Container::All { end: its_end })) =
            self.containers.range(..start).next_back()
            && its_end >= start
        {
            (start, end) = (before, end.max(its_end));
        }
        // Ends: every round removes a container.
        while let Some((&at, container)) = self.containers.range(start..=end).next() {
            match *container {
                Container::Some(_) if at == end => break,
                Container::Some(_) => {}
                Container::All { end: its_end } => end = end.max(its_end),
            }
            self.containers.remove(&at);
        }
        self.containers.insert(start, Container::All { end });
    }

    pub(super) fn remove_run(&mut self, run: Range<u64>) {
        if run.is_empty() || self.containers.is_empty() {
            return;
        }
        let (head, whole, tail) = parts(run);
        head.into_iter().chain(tail).for_each(|part| self.remove_part(part));
        if !whole.is_empty() {
            self.remove_chunks(whole);
        }
    }

    /// Removes a part of one chunk.
    fn remove_part(&mut self, part: Range<u64>) {
        let chunk = part.start >> SHIFT;
        match self.container(chunk) {
            None => return,
            Some((_, Container::Some(_))) => {}
            Some((_, Container::All { .. })) => {
                self.remove_chunks(chunk..chunk + 1);
                self.containers.insert(chunk, Container::Some(Box::new([u64::MAX; WORDS])));
            }
        }
        let base = chunk << SHIFT;
        let Some(Container::Some(bits)) = self.containers.get_mut(&chunk) else { return };
        let removed = mask(&(part.start - base..part.end - base));
        bits.iter_mut().zip(removed).for_each(|(word, removed)| *word &= !removed);
        if bits.iter().all(|&word| word == 0) {
            self.containers.remove(&chunk);
        }
    }

    fn remove_chunks(&mut self, chunks: Range<u64>) {
        let Range { start, end } = chunks;
        if let Some((&before, &Container::All { end: its_end })) =
            self.containers.range(..start).next_back()
            && its_end > start
        {
            self.containers.insert(before, Container::All { end: start });
            if its_end > end {
                self.containers.insert(end, Container::All { end: its_end });
            }
        }
        // Ends: every round removes a container.
        while let Some((&at, container)) = self.containers.range(start..end).next() {
            let rest = match *container {
                Container::All { end: its_end } if its_end > end => Some(its_end),
                _ => None,
            };
            self.containers.remove(&at);
            if let Some(its_end) = rest {
                self.containers.insert(end, Container::All { end: its_end });
            }
        }
    }

    /// Merges the first containers, including the offsets between them, until there are at most `most`
    /// containers, or the next one would not be below `offset`.
    ///
    /// Ends: every round removes a container.
    pub(super) fn blur(&mut self, most: usize, offset: u64) {
        while self.containers.len() > most {
            let mut first = self.containers.iter();
            let (Some((&start, _)), Some((&second, container))) = (first.next(), first.next())
            else {
                return;
            };
            let end = match *container {
                Container::Some(_) => second + 1,
                Container::All { end } => end,
            };
            if end > offset >> SHIFT {
                return;
            }
            self.insert_chunks(start..end);
        }
    }

    /// Approximate bytes of the set.
    pub(super) fn bytes(&self) -> usize {
        let boxed = |container: &Container| match container {
            Container::Some(_) => size_of::<Bits>(),
            Container::All { .. } => 0,
        };
        // A key and a container; the tree's nodes are at least half full.
        let node = 2 * (size_of::<u64>() + size_of::<Container>());
        self.containers.values().map(|container| boxed(container) + node).sum()
    }

    /// Appends the set to a snapshot.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        (self.containers.len() as u64).encode(out);
        for (start, container) in &self.containers {
            start.encode(out);
            match container {
                Container::Some(bits) => {
                    0_u8.encode(out);
                    bits.iter().for_each(|word| word.encode(out));
                }
                Container::All { end } => {
                    1_u8.encode(out);
                    end.encode(out);
                }
            }
        }
    }

    /// Reads a set. Returns `None` if the bytes are not a set.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut set = Self::default();
        for _ in 0..u64::decode(bytes)? {
            let start = u64::decode(bytes)?;
            match u8::decode(bytes)? {
                0 => set.decode_bits(start, bytes)?,
                1 => {
                    let end = u64::decode(bytes)?;
                    if start >= end || end > END >> SHIFT {
                        return None;
                    }
                    set.insert_chunks(start..end);
                }
                _ => return None,
            }
        }
        Some(set)
    }

    fn decode_bits(&mut self, chunk: u64, bytes: &mut &[u8]) -> Option<()> {
        let mut bits = Bits::default();
        for word in &mut bits {
            *word = u64::decode(bytes)?;
        }
        if chunk >= END >> SHIFT || bits.iter().all(|&word| word == 0) {
            return None;
        }
        self.insert_bits(chunk, bits);
        Some(())
    }
}
