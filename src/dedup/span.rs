//! What is known of a partition's offsets.
//!
//! ```text
//!            floor     first      low                     frontier
//!   0 --------|----------|---------|--------------------------|-------------- 2^63
//!    processed   nothing   done, or   `resolved` are done or     nothing is
//!    before      is known  `absent`   `absent`, others exist     known but
//!                                     (but for `unknown`)        `resolved`
//! ```
//!
//! An offset is *resolved* when nothing is left to do for it: it was processed, or it is *absent*, which means
//! that the log has no such record. It is *open* when it was claimed and is not done. The watermark is `low`, or
//! the first open offset if that is smaller.
//!
//! # Invariants
//!
//! - **O1** floor <= first <= low.
//! - **O2** Nothing between `first` and `low` is unresolved, but what is in `open`.
//! - **O3** What is in `open` is in none of the sets, but for `absent` below `low`, where it may have been blurred: it
//!   exists all the same. What is in `unknown` is not in `resolved`, and lies between `low` and `frontier`.
//! - **O4** What is in `absent` at or above `low` is in `resolved`, too. Below `low`, what is neither in `absent`
//!   nor open was processed.
//! - **O5** `low` is not in `resolved`, and nothing below it is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::set::{END, OffsetSet};
use super::wait::Known;
use crate::sync::seeded;
use crate::time::{Deadline, Moment};

/// Pieces of the memory of what is absent, at most, below the watermark. If there are more, the oldest become
/// one: what was done there may be processed again, and nothing is lost.
const MOST_PIECES: usize = 1 << 14;

/// Times of polls that are kept, at least, before those are looked for that are not needed.
const FEW_POLLS: usize = 16;

/// The position of who has not polled: nothing follows from what is polled first.
pub(super) const NOWHERE: u64 = u64::MAX;

/// A claim that nobody has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// By which its ticket knows it.
    pub(super) number: u64,
    pub(super) until: Deadline,
    /// Somebody waits to be told of its end.
    pub(super) joined: bool,
}

/// An offset that was claimed, or came after all, and is not done.
#[derive(Debug, Clone, Copy)]
struct Open {
    since: Moment,
    /// It was claimed, now or earlier.
    claimed: bool,
    /// Nothing if the claim was given back.
    held: Option<Held>,
}

/// What a claim of an offset comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claimed {
    Done,
    InProgress,
    New {
        /// The lease of another's claim had run out.
        taken_over: bool,
        /// It had been taken for absent.
        was_absent: bool,
    },
}

/// What holds the watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) offset: u64,
    pub(super) since: Moment,
    pub(super) claimed: bool,
}

/// What is known.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// Below it everything was processed before.
    pub(super) floor: u64,
    /// Between it and `floor` nothing is known.
    pub(super) first: u64,
    pub(super) low: u64,
    /// Below it is known what exists, but for `unknown`.
    pub(super) frontier: u64,
    /// One more than the offset that was polled last, or [`NOWHERE`].
    pub(super) position: u64,
    pub(super) resolved: OffsetSet,
    pub(super) absent: OffsetSet,
    pub(super) unknown: OffsetSet,
    open: BTreeMap<u64, Open>,
    /// When what lies from an offset on was polled: right for what is pending.
    polls: BTreeMap<u64, Moment>,
    /// How many of these were needed when they were looked through.
    polls_needed: usize,
    /// Since when the watermark has been where it is, with something behind it.
    stalled: Moment,
}

impl Span {
    /// Begins at an offset, of which nothing is known yet; everything below `floor` was processed.
    pub(super) fn new(start: u64, floor: u64, now: Moment) -> Self {
        Self {
            floor,
            first: start,
            low: start,
            frontier: start,
            position: start,
            resolved: OffsetSet::default(),
            absent: OffsetSet::default(),
            unknown: OffsetSet::default(),
            open: BTreeMap::new(),
            polls: BTreeMap::new(),
            polls_needed: 0,
            stalled: now,
        }
    }

    /// Begins at an offset below which nothing will come; what does so all the same is new.
    pub(super) fn beginning_at(start: u64, now: Moment) -> Self {
        let mut span = Self::new(start, 0, now);
        span.first = 0;
        span.absent.insert_run(0..start);
        span
    }

    /// The offset below which nothing is left to do.
    pub(super) fn committable(&self) -> u64 {
        let first_open = self.open.first_key_value().map_or(END, |(&offset, _)| offset);
        self.low.min(first_open).max(self.floor)
    }

    /// Whether nothing is left to do for an offset that is not open.
    fn is_resolved(&self, offset: u64) -> bool {
        (self.first..self.low).contains(&offset) || self.resolved.contains(offset)
    }

    pub(super) fn known(&self, offset: u64, now: Moment) -> Known {
        if offset < self.floor {
            return Known::Done;
        }
        match self.open.get(&offset) {
            Some(Open { held: Some(held), .. }) if !held.until.is_passed(now) => {
                Known::InProgress(held.until)
            }
            Some(_) => Known::Open,
            None if self.is_resolved(offset) && !self.absent.contains(offset) => Known::Done,
            None => Known::Open,
        }
    }

    /// Claims an offset for the ticket of this number.
    pub(super) fn claim(
        &mut self,
        offset: u64,
        number: u64,
        until: Deadline,
        now: Moment,
    ) -> Claimed {
        let joined = match self.open.get(&offset).and_then(|open| open.held) {
            Some(held) if !held.until.is_passed(now) => return Claimed::InProgress,
            Some(held) => Some(held.joined),
            None if self.known(offset, now) == Known::Done => return Claimed::Done,
            None => None,
        };
        let was_absent = self.reveal(offset, now);
        let since = self.polled_at(offset).unwrap_or(now);
        let fresh = Open { since, claimed: true, held: None };
        let open = self.open.entry(offset).or_insert(fresh);
        open.claimed = true;
        open.held = Some(Held { number, until, joined: joined.unwrap_or(false) });
        Claimed::New { taken_over: joined.is_some(), was_absent }
    }

    /// Makes sure that an offset counts as one that exists; whether it had been taken for absent.
    fn reveal(&mut self, offset: u64, now: Moment) -> bool {
        if offset < self.first {
            self.rewind(offset, now);
        }
        if offset > self.low && self.open.is_empty() && self.resolved.is_empty() {
            self.stalled = now;
        }
        self.unknown.remove(offset);
        let was_absent = self.absent.contains(offset) && !self.open.contains_key(&offset);
        if was_absent {
            self.absent.remove(offset);
            self.resolved.remove(offset);
        }
        was_absent
    }

    /// Begins earlier than was thought: what lies between is unknown, and what is known stays so.
    fn rewind(&mut self, offset: u64, now: Moment) {
        self.resolved.insert_run(self.first..self.low);
        for &open in self.open.range(..self.low).map(|(offset, _)| offset) {
            self.resolved.remove(open);
            self.absent.remove(open);
        }
        self.unknown.insert_run(offset..self.first);
        // What was blurred may reach there.
        self.absent.remove_run(offset..self.first);
        (self.first, self.low, self.stalled) = (offset, offset, now);
    }

    /// When an offset was polled; nothing if it was not.
    fn polled_at(&self, offset: u64) -> Option<Moment> {
        let poll = || self.polls.range(..=offset).next_back().map(|(_, &at)| at);
        self.is_polled(offset).then(poll).flatten()
    }

    fn is_polled(&self, offset: u64) -> bool {
        (self.first..self.frontier).contains(&offset) && !self.unknown.contains(offset)
    }

    /// The claim of the ticket of this number, if it is still its own.
    fn held(&mut self, offset: u64, number: u64) -> Option<&mut Held> {
        let held = self.open.get_mut(&offset)?.held.as_mut()?;
        (held.number == number).then_some(held)
    }

    /// Makes an offset done; nothing if the claim is no longer that of this number.
    pub(super) fn complete(&mut self, offset: u64, number: u64, now: Moment) -> Option<Held> {
        let held = *self.held(offset, number)?;
        self.open.remove(&offset);
        if offset == self.low && self.resolved.is_empty() {
            self.low += 1;
            self.stalled = now;
            self.forget_below();
        } else if offset >= self.low {
            self.resolved.insert(offset);
            self.advance(now);
        } else {
            // It may have been blurred.
            self.absent.remove(offset);
        }
        Some(held)
    }

    /// Gives a claim back; nothing if it is no longer that of this number.
    pub(super) fn abandon(&mut self, offset: u64, number: u64) -> Option<Held> {
        let held = *self.held(offset, number)?;
        if seeded("offsets-given-back-is-done") {
            self.open.remove(&offset);
            self.resolved.insert_run(offset.max(self.low)..offset + 1);
        }
        if let Some(open) = self.open.get_mut(&offset) {
            open.held = None;
        }
        Some(held)
    }

    /// Lets a claim run until then, if that is later. False if it is no longer that of this number.
    pub(super) fn extend(&mut self, offset: u64, number: u64, until: Deadline) -> bool {
        let held = self.held(offset, number);
        held.map(|held| held.until = held.until.max(until)).is_some()
    }

    /// Has whoever ends the claim of an offset tell of it. False if there is none that runs.
    pub(super) fn join(&mut self, offset: u64, now: Moment) -> bool {
        let held = self.open.get_mut(&offset).and_then(|open| open.held.as_mut());
        let held = held.filter(|held| !held.until.is_passed(now));
        held.map(|held| held.joined = true).is_some()
    }

    /// An offset was polled: it exists, and what lies between it and the one before does not. Whether it had
    /// been taken for absent.
    pub(super) fn polled(&mut self, offset: u64, now: Moment) -> bool {
        if offset < self.floor {
            self.position = self.floor;
            return false;
        }
        if offset > self.position && !seeded("offsets-poll-folds-nothing") {
            self.fold_unknown(self.position..offset);
        }
        self.position = offset + 1;
        let ahead = offset >= self.frontier;
        let is_new = ahead || offset < self.first || self.unknown.contains(offset);
        let was_absent = self.reveal(offset, now);
        if was_absent && offset < self.low {
            self.open.insert(offset, Open { since: now, claimed: false, held: None });
        }
        if ahead {
            self.pass_by(offset);
            self.frontier = offset + 1;
        }
        if is_new || was_absent {
            self.note_poll(offset, now);
        }
        was_absent
    }

    /// Moves the frontier to an offset; what lies between is as unknown as before.
    fn pass_by(&mut self, offset: u64) {
        let passed = self.frontier.max(self.low)..offset;
        let gaps: Vec<_> = self.resolved.gaps(passed.clone()).collect();
        gaps.into_iter().for_each(|gap| self.unknown.insert_run(gap));
        if !passed.is_empty() {
            for &open in self.open.range(passed).map(|(offset, _)| offset) {
                self.unknown.remove(open);
            }
        }
        self.frontier = self.frontier.max(offset);
    }

    /// Remembers when an offset was polled.
    fn note_poll(&mut self, offset: u64, now: Moment) {
        let next = offset + 1;
        let before = self.polls.range(..=offset).next_back().map(|(_, &at)| at);
        if before == Some(now) {
            return;
        }
        self.polls.insert(offset, now);
        // What lies behind it was polled when it was.
        if let Some(before) = before.filter(|_| next < self.frontier) {
            self.polls.entry(next).or_insert(before);
        }
        if self.polls.len() > 2 * self.polls_needed.max(FEW_POLLS) {
            self.forget_polls();
        }
    }

    /// Forgets when that was polled of which nothing is pending.
    fn forget_polls(&mut self) {
        let ends: Vec<u64> = self.polls.keys().skip(1).copied().chain([END]).collect();
        let (resolved, low, mut ends) = (&self.resolved, self.low, ends.into_iter());
        self.polls.retain(|&start, _| {
            let end = ends.next().unwrap_or(END);
            resolved.end_of_run(start.max(low)) < end
        });
        self.polls_needed = self.polls.len();
    }

    /// What is unknown there does not exist.
    fn fold_unknown(&mut self, range: Range<u64>) {
        let unknown: Vec<_> = self.unknown.runs(range.clone()).collect();
        for run in unknown {
            self.unknown.remove_run(run.clone());
            self.fold(run);
        }
        if range.end > self.frontier {
            self.fold(range.start.max(self.frontier)..range.end);
            self.frontier = range.end;
        }
    }

    /// What is unresolved there, and not open, does not exist.
    fn fold(&mut self, range: Range<u64>) {
        let range = range.start.max(self.low)..range.end;
        let gaps: Vec<_> = self.resolved.gaps(range.clone()).collect();
        for gap in gaps {
            self.absent.insert_run(gap.clone());
            self.resolved.insert_run(gap);
        }
        if range.start < range.end {
            for &open in self.open.range(range).map(|(offset, _)| offset) {
                self.absent.remove(open);
                self.resolved.remove(open);
            }
        }
    }

    /// What lies below and was never claimed does not exist.
    pub(super) fn skip_to(&mut self, offset: u64, now: Moment) {
        let never_claimed = self.open.range(..offset).filter(|(_, open)| !open.claimed);
        let never_claimed: Vec<_> = never_claimed.map(|(&offset, _)| offset).collect();
        for offset in never_claimed {
            self.open.remove(&offset);
            self.absent.insert(offset);
        }
        self.fold(self.low..offset);
        self.unknown.remove_run(0..offset);
        self.frontier = self.frontier.max(offset);
        self.advance(now);
    }

    /// Goes on from an offset: nothing is known at or after it. The claims that end with this.
    pub(super) fn seek(&mut self, offset: u64, now: Moment) -> Vec<(u64, Held)> {
        let ended = self.open.split_off(&offset);
        self.skip_to(offset, now);
        for set in [&mut self.resolved, &mut self.absent, &mut self.unknown] {
            set.remove_run(offset..END);
        }
        drop(self.polls.split_off(&offset));
        self.floor = self.floor.min(offset);
        self.first = self.first.min(offset);
        self.low = self.low.min(offset);
        (self.frontier, self.position, self.stalled) = (offset, offset, now);
        held(ended).collect()
    }

    /// Moves the watermark over what is resolved.
    pub(super) fn advance(&mut self, now: Moment) {
        let low = self.resolved.end_of_run(self.low);
        if low > self.low {
            (self.low, self.stalled) = (low, now);
            self.resolved.remove_run(0..low);
            self.unknown.remove_run(0..low);
            self.forget_below();
        }
    }

    /// Forgets what the watermark has passed, apart from what is absent there.
    fn forget_below(&mut self) {
        self.absent.blur(MOST_PIECES, self.low);
        if self.low >= self.frontier {
            self.polls.clear();
        }
        while self.polls.keys().nth(1).is_some_and(|&second| second <= self.low) {
            self.polls.pop_first();
        }
    }

    /// One more than the last offset of which something is known.
    pub(super) fn end(&self) -> u64 {
        let open = self.open.last_key_value().map_or(0, |(&offset, _)| offset + 1);
        self.frontier.max(self.low).max(self.resolved.end()).max(open)
    }

    fn pending_at(&self, offset: u64, now: Moment) -> Pending {
        let open = self.open.get(&offset);
        let since =
            open.map(|open| open.since).or_else(|| self.polled_at(offset)).unwrap_or(self.stalled);
        let lease = open.and_then(|open| open.held);
        Pending { offset, since, claimed: lease.is_some_and(|held| !held.until.is_passed(now)) }
    }

    /// What is not done, in order, until `visit` says that it is enough: what exists, and the first offset of
    /// each gap of which nothing is known.
    fn for_each_pending(&self, now: Moment, mut visit: impl FnMut(Pending) -> bool) {
        let below = self.open.range(..self.low).map(|(&offset, _)| offset..offset + 1);
        for run in below.chain(self.resolved.gaps(self.low..self.end())) {
            let mut offset = run.start;
            while offset < run.end {
                if !visit(self.pending_at(offset, now)) {
                    return;
                }
                offset = self.after_pending(offset).min(run.end);
            }
        }
    }

    /// Where to look after an offset that is pending.
    fn after_pending(&self, offset: u64) -> u64 {
        let next = offset + 1;
        if self.open.contains_key(&offset) || self.is_polled(offset) {
            return next;
        }
        let open = self.open.range(next..).next().map_or(END, |(&open, _)| open);
        let polled = self.unknown.end_of_run(next);
        open.min(if polled < self.frontier { polled } else { END })
    }

    pub(super) fn pending(&self, now: Moment) -> Vec<Pending> {
        let mut all = Vec::new();
        self.for_each_pending(now, |pending| {
            all.push(pending);
            true
        });
        all
    }

    pub(super) fn oldest_pending(&self, now: Moment) -> Option<Pending> {
        let mut oldest = None;
        self.for_each_pending(now, |pending| {
            oldest = Some(pending);
            false
        });
        oldest
    }

    /// Claims whose leases run.
    pub(super) fn in_progress(&self, now: Moment) -> u64 {
        let held = self.open.values().filter_map(|open| open.held);
        held.filter(|held| !held.until.is_passed(now)).count() as u64
    }

    /// Offsets that are done above the watermark.
    pub(super) fn done_above(&self) -> u64 {
        let absent = self.absent.count_from(self.low);
        self.resolved.count_from(self.low).saturating_sub(absent)
    }

    pub(super) fn bytes(&self) -> usize {
        let sets: usize =
            [&self.resolved, &self.absent, &self.unknown].map(OffsetSet::bytes).iter().sum();
        // The tree's nodes are half full at least.
        sets + self.polls.len() * 2 * size_of::<(u64, Moment)>()
    }

    /// What survives a restart: what was done, and what is absent. What exists and is not done may be compacted away
    /// until the consumer comes by again, so it is unknown.
    pub(super) fn remembered(&self) -> Self {
        let mut span = self.clone();
        if let Some((first, _)) = span.open.first_key_value()
            && *first < span.low
        {
            span.resolved.insert_run(*first..span.low);
            span.low = *first;
        }
        for open in std::mem::take(&mut span.open).into_keys() {
            span.resolved.remove(open);
            span.absent.remove(open);
            if seeded("offsets-snapshot-completes") {
                span.resolved.insert(open);
            }
        }
        if seeded("offsets-snapshot-keeps-pending") {
            return span;
        }
        let gaps: Vec<_> = span.resolved.gaps(span.low..span.frontier).collect();
        gaps.into_iter().for_each(|gap| span.unknown.insert_run(gap));
        span
    }

    /// Makes the sets agree with the offsets, whatever was read from a snapshot.
    pub(super) fn settle(&mut self, now: Moment) {
        for set in [&mut self.resolved, &mut self.unknown] {
            set.remove_run(0..self.low);
        }
        self.unknown.remove_run(self.frontier..END);
        let absent: Vec<_> = self.absent.runs(self.low..END).collect();
        absent.into_iter().for_each(|run| self.resolved.insert_run(run));
        self.advance(now);
        // The consumer goes on there, or before.
        self.position = self.low;
    }

    /// Every claim there is.
    pub(super) fn into_held(self) -> Vec<(u64, Held)> {
        held(self.open).collect()
    }

    /// What was processed, at or after `first`.
    fn done(&self) -> OffsetSet {
        let mut done = self.resolved.clone();
        done.insert_run(self.first..self.low);
        self.absent.runs(0..END).for_each(|run| done.remove_run(run));
        self.open.keys().for_each(|&offset| done.remove(offset));
        done
    }

    /// Adds what another one knows. What is in progress here stays so, and the watermark does not go back.
    pub(super) fn merge(&mut self, other: &Self, now: Moment) {
        let done = other.done();
        let from = other.first.max(self.floor);
        if from < self.first {
            self.absent.insert_run(from..self.first);
            self.first = from;
        }
        for run in done.runs(self.first..END) {
            self.merge_done(run);
        }
        let absent: Vec<_> = other.absent.runs(self.frontier..END).collect();
        for run in absent {
            self.pass_by(run.start);
            self.fold(run.clone());
            self.frontier = run.end;
        }
        self.advance(now);
    }

    fn merge_done(&mut self, run: Range<u64>) {
        let open =
            self.open.range(run.clone()).map(|(&offset, open)| (offset, open.held.is_some()));
        let (held, given_back): (Vec<_>, Vec<_>) = open.partition(|&(_, held)| held);
        self.absent.remove_run(run.clone());
        self.unknown.remove_run(run.clone());
        self.resolved.insert_run(run.start.max(self.low)..run.end.max(self.low));
        // Left to its ticket.
        held.into_iter().for_each(|(offset, _)| self.resolved.remove(offset));
        for (offset, _) in given_back {
            self.open.remove(&offset);
        }
    }
}

/// The claims among what is open.
fn held(open: BTreeMap<u64, Open>) -> impl Iterator<Item = (u64, Held)> {
    open.into_iter().filter_map(|(offset, open)| Some((offset, open.held?)))
}
