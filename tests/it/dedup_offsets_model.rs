//! The tracker against a plain model of one partition: what is known of each offset, one by one.

use std::sync::Mutex;
use std::time::Duration;

use crate::support;
use clockhand::dedup::{Claim, OffsetTicket, OffsetTracker};
use clockhand::{Clock, ManualClock};
use proptest::prelude::*;

const LEASE: Duration = Duration::from_secs(10);
/// Offsets of the model, and after how many of them the others begin, far away.
const OFFSETS: usize = 24;
const NEAR: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Unknown,
    /// Polled, or claimed once.
    Exists,
    Absent,
    Done,
}

/// A claim that was given back has no ticket.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Open {
    claimed: bool,
    /// The number of its ticket, and the end of its lease.
    held: Option<(usize, u64)>,
}

/// What must be known of a partition. Between the near offsets and the far ones is a gap, which counts as one offset.
#[derive(Debug, Clone)]
struct Model {
    known: bool,
    revoked: bool,
    awaits_poll: bool,
    floor: usize,
    first: usize,
    frontier: usize,
    position: Option<usize>,
    places: [Place; OFFSETS],
    open: [Option<Open>; OFFSETS],
}

impl Model {
    fn new() -> Self {
        Self {
            known: false,
            revoked: false,
            awaits_poll: false,
            floor: 0,
            first: 0,
            frontier: 0,
            position: None,
            places: [Place::Unknown; OFFSETS],
            open: [None; OFFSETS],
        }
    }

    fn begin(&mut self, start: usize, polls: bool) {
        let position = polls.then_some(start);
        let Self { revoked, awaits_poll, .. } = *self;
        let new = Self { revoked, awaits_poll, ..Self::new() };
        *self = Self { known: true, first: start, frontier: start, position, ..new };
    }

    /// Nothing will come from below.
    fn begin_at(&mut self, start: usize) {
        self.begin(start, true);
        self.first = 0;
        self.places[..start].fill(Place::Absent);
    }

    fn is_reported(&self) -> bool {
        self.known && !self.revoked && !self.awaits_poll
    }

    fn was_there(&self) -> bool {
        self.known || self.revoked || self.awaits_poll
    }

    fn is_resolved(&self, at: usize) -> bool {
        self.open[at].is_none() && matches!(self.places[at], Place::Absent | Place::Done)
    }

    fn is_done(&self, at: usize) -> bool {
        let done = self.open[at].is_none() && self.places[at] == Place::Done;
        self.known && (at < self.floor || at >= self.first && done)
    }

    fn committable(&self) -> Option<usize> {
        let low = (self.first..OFFSETS).find(|&at| !self.is_resolved(at)).unwrap_or(OFFSETS);
        self.is_reported().then_some(low.max(self.floor))
    }

    /// One more than the last offset of which something is known.
    fn end(&self) -> usize {
        let something = |at: &usize| self.open[*at].is_some() || self.places[*at] != Place::Unknown;
        let last = (self.first..OFFSETS).rev().find(something);
        self.frontier.max(last.map_or(0, |last| last + 1))
    }

    fn pending(&self) -> Vec<usize> {
        let mut all = Vec::new();
        if !self.is_reported() {
            return all;
        }
        let unknown = |at: usize| self.places[at] == Place::Unknown && self.open[at].is_none();
        for at in (self.first..self.end()).filter(|&at| !self.is_resolved(at)) {
            if !unknown(at) || at == self.first || !unknown(at - 1) {
                all.push(at);
            }
        }
        all
    }

    fn fold(&mut self, range: std::ops::Range<usize>, what: impl Fn(Place) -> bool) {
        for at in range {
            if self.open[at].is_none() && what(self.places[at]) {
                self.places[at] = Place::Absent;
            }
        }
    }

    /// It exists; whether it was absent.
    fn reveal(&mut self, at: usize) -> bool {
        self.first = self.first.min(at);
        let was_absent = self.places[at] == Place::Absent;
        if self.places[at] != Place::Done {
            self.places[at] = Place::Exists;
        }
        was_absent
    }

    fn polled(&mut self, at: usize) {
        if !self.known {
            self.begin(at, true);
        }
        if at < self.floor {
            self.position = Some(self.floor);
            return;
        }
        if let Some(position) = self.position.filter(|&position| position < at) {
            self.fold(position.max(self.first)..at, |place| place == Place::Unknown);
        }
        self.reveal(at);
        self.frontier = self.frontier.max(at + 1);
        self.position = Some(at + 1);
    }

    fn skip_to(&mut self, at: usize) {
        if !self.known {
            self.begin_at(at);
        }
        for below in self.first..at {
            if self.open[below].is_some_and(|open| !open.claimed) {
                self.open[below] = None;
            }
        }
        self.fold(self.first..at, |place| place != Place::Done);
        self.frontier = self.frontier.max(at);
    }

    fn seek(&mut self, at: usize) {
        if !self.known || self.awaits_poll {
            self.awaits_poll = false;
            self.begin_at(at);
            return;
        }
        self.skip_to(at);
        self.places[at..].fill(Place::Unknown);
        self.open[at..].fill(None);
        self.floor = self.floor.min(at);
        self.first = self.first.min(at);
        (self.frontier, self.position) = (at, Some(at));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Claim(usize),
    Complete(usize),
    Abandon(usize),
    Leak(usize),
    Extend(usize, u64),
    Advance(u64),
    Poll(Vec<usize>),
    Skip(usize),
    Seek(usize),
    SeekAnywhere,
    Assign(usize),
    AssignAnywhere,
    Revoke,
    Forget,
    Restart,
}

/// Any offset but the gap.
fn at() -> impl Strategy<Value = usize> {
    (0..OFFSETS).prop_map(|at| if at == NEAR { 0 } else { at })
}

fn step() -> impl Strategy<Value = Step> {
    let poll = (at(), prop::collection::vec(0..4_usize, 0..6)).prop_map(|(from, steps)| {
        let ascending = steps.iter().scan(from, |at, step| {
            *at += step;
            Some(*at)
        });
        ascending.filter(|&at| at < OFFSETS && at != NEAR).collect()
    });
    prop_oneof![
        12 => at().prop_map(Step::Claim),
        8 => (0..8_usize).prop_map(Step::Complete),
        3 => (0..8_usize).prop_map(Step::Abandon),
        1 => (0..8_usize).prop_map(Step::Leak),
        1 => ((0..8_usize), 0..20_u64).prop_map(|(nth, by)| Step::Extend(nth, by)),
        3 => (0..12_u64).prop_map(Step::Advance),
        6 => poll.prop_map(Step::Poll),
        2 => at().prop_map(Step::Skip),
        2 => at().prop_map(Step::Seek),
        1 => Just(Step::SeekAnywhere),
        1 => at().prop_map(Step::Assign),
        1 => Just(Step::AssignAnywhere),
        1 => Just(Step::Revoke),
        1 => Just(Step::Forget),
        2 => Just(Step::Restart),
    ]
}

/// Tickets nobody comes back for. A ticket keeps its tracker: they stay where a checker of leaks sees them.
static LEAKED: Mutex<Vec<OffsetTicket>> = Mutex::new(Vec::new());

/// Both beside each other, and the tickets that are out.
struct Pair {
    tracker: OffsetTracker,
    in_order: bool,
    clock: Clock,
    manual: ManualClock,
    now: u64,
    base: i64,
    model: Model,
    tickets: Vec<(usize, usize, OffsetTicket)>,
    number: usize,
}

impl Pair {
    fn new(in_order: bool, base: i64) -> Self {
        let (clock, manual) = Clock::manual();
        let tracker = Self::build(&clock, in_order);
        let (model, tickets) = (Model::new(), Vec::new());
        Self { tracker, in_order, clock, manual, now: 0, base, model, tickets, number: 0 }
    }

    fn build(clock: &Clock, in_order: bool) -> OffsetTracker {
        let builder = OffsetTracker::builder().lease(LEASE).in_order(in_order);
        builder.clock(clock.clone()).build().expect("the settings agree")
    }

    fn offset(&self, at: usize) -> i64 {
        // The far ones end where the offsets do.
        if at <= NEAR { self.base + at as i64 } else { i64::MAX - (OFFSETS - 1 - at) as i64 }
    }

    fn claim(&mut self, at: usize) {
        let claim = self.tracker.claim("t", 0, self.offset(at));
        let model = &mut self.model;
        if self.in_order {
            model.polled(at);
        } else if !model.known {
            model.begin(at, false);
        }
        if at < model.floor || model.is_done(at) {
            assert!(claim.is_done(), "{claim:?}");
            return;
        }
        if model.open[at].is_some_and(|open| open.held.is_some_and(|(_, until)| until > self.now)) {
            assert!(claim.is_in_progress(), "{claim:?}");
            return;
        }
        let Claim::New(ticket) = claim else { panic!("{claim:?}") };
        model.reveal(at);
        let held = Some((self.number, self.now + LEASE.as_secs()));
        model.open[at] = Some(Open { claimed: true, held });
        self.tickets.push((at, self.number, ticket));
        self.number += 1;
    }

    /// The ticket, and whether its claim is its own.
    fn take(&mut self, nth: usize) -> Option<(usize, OffsetTicket, bool)> {
        if nth >= self.tickets.len() {
            return None;
        }
        let (at, number, ticket) = self.tickets.swap_remove(nth);
        let open = self.model.open[at];
        let own = open.is_some_and(|open| open.held.is_some_and(|(its, _)| its == number));
        Some((at, ticket, own))
    }

    fn extend(&mut self, nth: usize, by: u64) {
        let Some((at, number, ticket)) = self.tickets.get_mut(nth) else { return };
        let extended = ticket.extend(Duration::from_secs(by));
        let held = self.model.open[*at].as_mut().and_then(|open| open.held.as_mut());
        let held = held.filter(|(its, _)| its == number);
        assert_eq!(extended, held.is_some());
        if let Some((_, until)) = held {
            *until = (*until).max(self.now + by);
        }
    }

    fn run(&mut self, step: Step) {
        let Self { tracker, model, .. } = self;
        match step {
            Step::Claim(at) => self.claim(at),
            Step::Complete(nth) => {
                if let Some((at, ticket, own)) = self.take(nth) {
                    assert_eq!(ticket.complete(), own);
                    if own {
                        (self.model.open[at], self.model.places[at]) = (None, Place::Done);
                    }
                }
            }
            Step::Abandon(nth) => {
                if let Some((at, ticket, own)) = self.take(nth) {
                    drop(ticket);
                    if own && let Some(open) = &mut self.model.open[at] {
                        open.held = None;
                    }
                }
            }
            Step::Leak(nth) => {
                if let Some((.., ticket, _)) = self.take(nth) {
                    LEAKED.lock().expect("nobody panics with it").push(ticket);
                }
            }
            Step::Extend(nth, by) => self.extend(nth, by),
            Step::Advance(seconds) => {
                self.now += seconds;
                self.manual.advance(Duration::from_secs(seconds));
            }
            Step::Poll(all) => {
                let offsets: Vec<_> = all.iter().map(|&at| self.offset(at)).collect();
                self.tracker.polled("t", 0, offsets);
                if self.model.revoked && !all.is_empty() {
                    self.model = Model::new();
                }
                if self.model.awaits_poll && !all.is_empty() {
                    self.model.awaits_poll = false;
                    self.model.position = Some(self.model.first.min(all[0]));
                }
                all.into_iter().for_each(|at| self.model.polled(at));
            }
            Step::Skip(at) => {
                self.tracker.skip_to("t", 0, self.offset(at));
                self.model.skip_to(at);
            }
            Step::Seek(at) => {
                self.tracker.seek("t", 0, self.offset(at));
                self.model.seek(at);
            }
            Step::SeekAnywhere => {
                tracker.seek("t", 0, -1);
                let awaits_poll =
                    model.awaits_poll || !model.revoked && model.was_there() && !self.in_order;
                *model = Model { awaits_poll, revoked: model.revoked, ..Model::new() };
            }
            Step::Assign(at) => {
                self.tracker.assign("t", 0, self.offset(at));
                self.model = Model { floor: at, ..Model::new() };
                let floor = self.model.floor;
                self.model.begin(at, true);
                self.model.floor = floor;
            }
            Step::AssignAnywhere => {
                tracker.assign("t", 0, -1001);
                let awaits_poll = model.was_there() && !self.in_order;
                *model = Model { awaits_poll, ..Model::new() };
            }
            Step::Revoke => {
                let last = model.committable();
                let last = last.map(|at| self.told(at));
                assert_eq!(self.tracker.revoke("t", 0), last);
                self.model = Model { revoked: true, ..Model::new() };
            }
            Step::Forget => {
                assert_eq!(tracker.forget("t", 0), model.was_there());
                *model = Model::new();
            }
            Step::Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        let bytes = self.tracker.snapshot();
        self.tickets.clear();
        self.tracker = Self::build(&self.clock, self.in_order);
        let reported = self.model.is_reported();
        assert_eq!(self.tracker.restore(&bytes), Ok(usize::from(reported)));
        assert!(self.tracker.snapshot() == bytes, "and it is the same again");
        if !reported {
            self.model = Model::new();
        }
        // What existed may have been compacted away until the consumer comes by.
        let model = &mut self.model;
        for at in 0..OFFSETS {
            if model.open[at].take().is_some() || model.places[at] == Place::Exists {
                model.places[at] = Place::Unknown;
            }
        }
        let low = (model.first..OFFSETS).find(|&at| !model.is_resolved(at));
        model.position = model.known.then_some(low.unwrap_or(OFFSETS));
    }

    /// An offset as the tracker says it: the end of everything is the last offset.
    fn told(&self, at: usize) -> i64 {
        self.offset(at.min(OFFSETS - 1))
    }

    fn check(&self) {
        let Self { tracker, model, .. } = self;
        let committable = model.committable().map(|at| self.told(at));
        assert_eq!(tracker.committable("t", 0), committable, "committable");
        assert_eq!(tracker.committables().len(), usize::from(committable.is_some()));
        let done: Vec<_> = (0..OFFSETS).filter(|&at| model.is_done(at)).collect();
        let said = |&at: &usize| tracker.is_processed("t", 0, self.offset(at));
        assert_eq!((0..OFFSETS).filter(said).collect::<Vec<_>>(), done, "done");
        let pending: Vec<_> = model.pending().iter().map(|&at| self.offset(at)).collect();
        let said = tracker.pending("t", 0);
        let offsets: Vec<_> = said.iter().map(|pending| pending.offset).collect();
        assert_eq!(offsets, pending, "pending");
        assert_eq!(tracker.oldest_pending("t", 0), said.first().copied());
        for (pending, at) in said.iter().zip(model.pending()) {
            let runs = |(_, until): (usize, u64)| until > self.now;
            let claimed = model.open[at].and_then(|open| open.held).is_some_and(runs);
            assert_eq!(pending.claimed, claimed, "{pending:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: support::size(400, 20_000) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_partition_is_what_is_known_of_its_offsets(
        in_order: bool,
        base in prop_oneof![Just(0_i64), Just(504), Just(1 << 50), Just(i64::MAX - 1023)],
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut pair = Pair::new(in_order, base);
        for step in steps {
            pair.run(step);
            pair.check();
        }
    }
}
