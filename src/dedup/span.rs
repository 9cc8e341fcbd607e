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
//! An offset is *resolved* if nothing is left to do for it: it was processed, or it is *absent*,
//! which means that the log has no such record. It is *open* if it was claimed and is not done. The
//! watermark is `low`, or the first open offset if that is smaller.
//!
//! # Invariants
//!
//! - **O1** floor <= first <= low.
//! - **O2** All offsets from `first` up to `low` are resolved, except those in `open`.
//! - **O3** Offsets in `open` are in none of the sets, except `absent` below `low`, where they may have
//!   been blurred: they exist all the same. Offsets in `unknown` are not in `resolved`, and lie between
//!   `low` and `frontier`.
//! - **O4** Offsets in `absent` at or above `low` are also in `resolved`. Below `low`, offsets that are
//!   neither in `absent` nor open were processed.
//! - **O5** `low` is not in `resolved`, and nothing below it is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::set::{END, OffsetSet};
use super::wait::Status;
use crate::sync::seeded;
use crate::time::{Deadline, Moment};

/// Limit on the pieces of `absent` below the watermark. If there are more, the oldest are merged:
/// offsets that were done there may be processed again, and none is lost.
const MAX_ABSENT_PIECES: usize = 1 << 14;

/// How many times of polls are kept before those are removed that are not needed.
const MIN_POLLS: usize = 16;

/// The position before the first poll: that tells nothing about the offsets before it.
pub(super) const UNKNOWN_POSITION: u64 = u64::MAX;

/// A claim that has not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct OffsetClaim {
    /// Identifies the claim.
    pub(super) number: u64,
    pub(super) until: Deadline,
    /// Whether callers wait for its end.
    pub(super) has_waiters: bool,
}

/// An offset that is not done, and was claimed, or was delivered although it had been folded.
#[derive(Debug, Clone, Copy)]
struct OpenOffset {
    since: Moment,
    /// Whether it was ever claimed.
    claimed: bool,
    /// `None` if the claim was given back.
    claim: Option<OffsetClaim>,
}

/// The result of claiming an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimOutcome {
    Done,
    InProgress,
    New {
        /// Whether the lease of an earlier claim had run out.
        taken_over: bool,
        /// Whether the offset had been folded as absent.
        was_absent: bool,
    },
}

/// An offset that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) offset: u64,
    pub(super) since: Moment,
    pub(super) claimed: bool,
}

/// What is known of a partition's offsets.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// All offsets below it were processed before.
    pub(super) floor: u64,
    /// Between `floor` and this nothing is known.
    pub(super) first: u64,
    pub(super) low: u64,
    /// Below it is known which offsets exist, except those in `unknown`.
    pub(super) frontier: u64,
    /// One more than the offset that was polled last, or [`UNKNOWN_POSITION`].
    pub(super) position: u64,
    pub(super) resolved: OffsetSet,
    pub(super) absent: OffsetSet,
    pub(super) unknown: OffsetSet,
    open: BTreeMap<u64, OpenOffset>,
    /// The time of the poll of all offsets from the key on; valid for pending offsets.
    polls: BTreeMap<u64, Moment>,
    /// How many of these were needed when the others were removed last.
    polls_needed: usize,
    /// Since when the watermark has been where it is, with something behind it.
    stalled: Moment,
}

impl Span {
    /// Begins at `start`, of which nothing is known yet. All offsets below `floor` were processed.
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

    /// Begins at `start`, below which no offset is expected. One that comes nevertheless is new.
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

    /// Whether an offset that is not open is resolved.
    fn is_resolved(&self, offset: u64) -> bool {
        (self.first..self.low).contains(&offset) || self.resolved.contains(offset)
    }

    pub(super) fn status(&self, offset: u64, now: Moment) -> Status {
        if offset < self.floor {
            return Status::Done;
        }
        match self.open.get(&offset) {
            Some(OpenOffset { claim: Some(claim), .. }) if !claim.until.is_passed(now) => {
                Status::InProgress(claim.until)
            }
            Some(_) => Status::Open,
            None if self.is_resolved(offset) && !self.absent.contains(offset) => Status::Done,
            None => Status::Open,
        }
    }

    /// Claims an offset for the ticket with this `number`.
    pub(super) fn claim(
        &mut self,
        offset: u64,
        number: u64,
        until: Deadline,
        now: Moment,
    ) -> ClaimOutcome {
        // The open offsets first: below `low` an offset counts as done only if it is not open (O2).
        let has_waiters = match self.open.get(&offset).and_then(|open| open.claim) {
            Some(claim) if !claim.until.is_passed(now) => return ClaimOutcome::InProgress,
            Some(claim) => Some(claim.has_waiters),
            None if self.status(offset, now) == Status::Done => return ClaimOutcome::Done,
            None => None,
        };
        // Nothing but a record makes a worker claim an offset. So it exists, whatever was concluded from gaps, and is in
        // no set any more before it is open (O3).
        let was_absent = self.reveal(offset, now);
        let since = self.polled_at(offset).unwrap_or(now);
        let fresh = OpenOffset { since, claimed: true, claim: None };
        let open = self.open.entry(offset).or_insert(fresh);
        open.claimed = true;
        // Callers that wait for the claim that is taken over wait for the end of this one.
        open.claim = Some(OffsetClaim { number, until, has_waiters: has_waiters.unwrap_or(false) });
        ClaimOutcome::New { taken_over: has_waiters.is_some(), was_absent }
    }

    /// Notes that an offset exists. Returns whether it had been folded as absent.
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

    /// Moves the beginning back to `offset`. The offsets between are unknown; what is known stays.
    fn rewind(&mut self, offset: u64, now: Moment) {
        // What lay below `low` was resolved without being listed. It is above `low` from now on, so it is listed (O5),
        // those offsets apart that are open.
        self.resolved.insert_run(self.first..self.low);
        for &open in self.open.range(..self.low).map(|(offset, _)| offset) {
            self.resolved.remove(open);
            self.absent.remove(open);
        }
        self.unknown.insert_run(offset..self.first);
        // A blurred piece may extend into that range.
        self.absent.remove_run(offset..self.first);
        (self.first, self.low, self.stalled) = (offset, offset, now);
    }

    /// When an offset was polled. Returns `None` if it was not.
    fn polled_at(&self, offset: u64) -> Option<Moment> {
        let poll = || self.polls.range(..=offset).next_back().map(|(_, &at)| at);
        self.is_polled(offset).then(poll).flatten()
    }

    fn is_polled(&self, offset: u64) -> bool {
        (self.first..self.frontier).contains(&offset) && !self.unknown.contains(offset)
    }

    /// Returns the claim of the ticket with this `number`, if that still has it.
    fn own_claim(&mut self, offset: u64, number: u64) -> Option<&mut OffsetClaim> {
        let claim = self.open.get_mut(&offset)?.claim.as_mut()?;
        (claim.number == number).then_some(claim)
    }

    /// Completes a claim: its offset is done. Returns `None` if the ticket has lost the claim.
    pub(super) fn complete(
        &mut self,
        offset: u64,
        number: u64,
        now: Moment,
    ) -> Option<OffsetClaim> {
        let claim = *self.own_claim(offset, number)?;
        self.open.remove(&offset);
        if offset == self.low && self.resolved.is_empty() {
            // In order, as most are: the watermark moves, and no set changes.
            self.low += 1;
            self.stalled = now;
            self.forget_below();
        } else if offset >= self.low {
            self.resolved.insert(offset);
            self.advance(now);
        } else {
            // It may be in a blurred piece.
            self.absent.remove(offset);
        }
        Some(claim)
    }

    /// Gives a claim back. Returns `None` if the ticket has lost the claim.
    pub(super) fn abandon(&mut self, offset: u64, number: u64) -> Option<OffsetClaim> {
        let claim = *self.own_claim(offset, number)?;
        if seeded("offsets-given-back-is-done") {
            self.open.remove(&offset);
            self.resolved.insert_run(offset.max(self.low)..offset + 1);
        }
        // It stays open, and so holds the watermark back until it is claimed again and done.
        if let Some(open) = self.open.get_mut(&offset) {
            open.claim = None;
        }
        Some(claim)
    }

    /// Extends a claim to `until`, if that is later. Returns false if the ticket has lost the
    /// claim.
    pub(super) fn extend(&mut self, offset: u64, number: u64, until: Deadline) -> bool {
        let claim = self.own_claim(offset, number);
        claim.map(|claim| claim.until = claim.until.max(until)).is_some()
    }

    /// Has the end of the claim of an offset wake its waiters. Returns false if there is no claim,
    /// or its lease ran out.
    pub(super) fn join(&mut self, offset: u64, now: Moment) -> bool {
        let claim = self.open.get_mut(&offset).and_then(|open| open.claim.as_mut());
        let claim = claim.filter(|claim| !claim.until.is_passed(now));
        claim.map(|claim| claim.has_waiters = true).is_some()
    }

    /// Notes that an offset was polled: it exists, and no offset between it and the last one polled
    /// does. Returns whether it had been folded as absent.
    pub(super) fn polled(&mut self, offset: u64, now: Moment) -> bool {
        if offset < self.floor {
            self.position = self.floor;
            return false;
        }
        // Before this offset is revealed: a poll returns records in order, so the log has none between the last one
        // polled and this one.
        if offset > self.position && !seeded("offsets-poll-folds-nothing") {
            self.fold_unknown(self.position..offset);
        }
        self.position = offset + 1;
        let ahead = offset >= self.frontier;
        let is_new = ahead || offset < self.first || self.unknown.contains(offset);
        let was_absent = self.reveal(offset, now);
        // Below the watermark, an offset that is neither absent nor open counts as processed (O4).
        if was_absent && offset < self.low {
            self.open.insert(offset, OpenOffset { since: now, claimed: false, claim: None });
        }
        if ahead {
            self.advance_frontier(offset);
            self.frontier = offset + 1;
        }
        if is_new || was_absent {
            self.note_poll(offset, now);
        }
        was_absent
    }

    /// Moves the frontier to `offset`. The offsets between stay unknown.
    fn advance_frontier(&mut self, offset: u64) {
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
        // The offsets after it keep the time of their own poll.
        if let Some(before) = before.filter(|_| next < self.frontier) {
            self.polls.entry(next).or_insert(before);
        }
        if self.polls.len() > 2 * self.polls_needed.max(MIN_POLLS) {
            self.forget_polls();
        }
    }

    /// Removes the times of polls of which no offset is pending.
    fn forget_polls(&mut self) {
        let ends: Vec<u64> = self.polls.keys().skip(1).copied().chain([END]).collect();
        let (resolved, low, mut ends) = (&self.resolved, self.low, ends.into_iter());
        self.polls.retain(|&start, _| {
            let end = ends.next().unwrap_or(END);
            resolved.end_of_run(start.max(low)) < end
        });
        self.polls_needed = self.polls.len();
    }

    /// Notes that the unknown offsets in `range` do not exist.
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

    /// Notes that the offsets in `range` that are neither resolved nor open do not exist.
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

    /// Notes that the offsets below `offset` that were never claimed do not exist.
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

    /// Goes on from `offset`: nothing is known from there on. Returns the claims that this ends.
    pub(super) fn seek(&mut self, offset: u64, now: Moment) -> Vec<(u64, OffsetClaim)> {
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
        claim(ended).collect()
    }

    /// Moves the watermark over resolved offsets.
    pub(super) fn advance(&mut self, now: Moment) {
        let low = self.resolved.end_of_run(self.low);
        if low > self.low {
            (self.low, self.stalled) = (low, now);
            self.resolved.remove_run(0..low);
            self.unknown.remove_run(0..low);
            self.forget_below();
        }
    }

    /// Forgets what the watermark has passed, except absent offsets.
    fn forget_below(&mut self) {
        self.absent.blur(MAX_ABSENT_PIECES, self.low);
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
        let lease = open.and_then(|open| open.claim);
        Pending { offset, since, claimed: lease.is_some_and(|claim| !claim.until.is_passed(now)) }
    }

    /// Calls `visit` for the offsets that are not done, in order, until it returns false: those
    /// that exist, and the first offset of each gap of which nothing is known.
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

    /// Where the search goes on after a pending offset.
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

    /// The number of claims whose lease has not run out.
    pub(super) fn in_progress(&self, now: Moment) -> u64 {
        let claim = self.open.values().filter_map(|open| open.claim);
        claim.filter(|claim| !claim.until.is_passed(now)).count() as u64
    }

    /// The number of offsets above the watermark that are done.
    pub(super) fn done_above(&self) -> u64 {
        let absent = self.absent.count_from(self.low);
        self.resolved.count_from(self.low).saturating_sub(absent)
    }

    pub(super) fn bytes(&self) -> usize {
        let sets: usize =
            [&self.resolved, &self.absent, &self.unknown].map(OffsetSet::bytes).iter().sum();
        // The tree's nodes are at least half full.
        sets + self.polls.len() * 2 * size_of::<(u64, Moment)>()
    }

    /// What survives a restart: the offsets that are done, and those that are absent. Offsets that
    /// exist and are not done may be compacted away before the consumer reads them again, so they
    /// are unknown.
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

    /// Makes the sets agree with the offsets, after they were read from a snapshot.
    pub(super) fn normalize(&mut self, now: Moment) {
        for set in [&mut self.resolved, &mut self.unknown] {
            set.remove_run(0..self.low);
        }
        self.unknown.remove_run(self.frontier..END);
        let absent: Vec<_> = self.absent.runs(self.low..END).collect();
        absent.into_iter().for_each(|run| self.resolved.insert_run(run));
        self.advance(now);
        // The consumer goes on there, or at a smaller offset.
        self.position = self.low;
    }

    /// Returns all claims.
    pub(super) fn into_held(self) -> Vec<(u64, OffsetClaim)> {
        claim(self.open).collect()
    }

    /// The offsets from `first` on that were processed.
    fn done(&self) -> OffsetSet {
        let mut done = self.resolved.clone();
        done.insert_run(self.first..self.low);
        self.absent.runs(0..END).for_each(|run| done.remove_run(run));
        self.open.keys().for_each(|&offset| done.remove(offset));
        done
    }

    /// Adds what is known in `other`. Claims in progress stay, and the watermark does not go back.
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
            self.advance_frontier(run.start);
            self.fold(run.clone());
            self.frontier = run.end;
        }
        self.advance(now);
    }

    fn merge_done(&mut self, run: Range<u64>) {
        let open =
            self.open.range(run.clone()).map(|(&offset, open)| (offset, open.claim.is_some()));
        let (claim, given_back): (Vec<_>, Vec<_>) = open.partition(|&(_, claim)| claim);
        self.absent.remove_run(run.clone());
        self.unknown.remove_run(run.clone());
        self.resolved.insert_run(run.start.max(self.low)..run.end.max(self.low));
        // These are left to their tickets.
        claim.into_iter().for_each(|(offset, _)| self.resolved.remove(offset));
        for (offset, _) in given_back {
            self.open.remove(&offset);
        }
    }
}

/// The claims of open offsets.
fn claim(open: BTreeMap<u64, OpenOffset>) -> impl Iterator<Item = (u64, OffsetClaim)> {
    open.into_iter().filter_map(|(offset, open)| Some((offset, open.claim?)))
}
