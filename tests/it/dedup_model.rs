//! What is remembered of ids is, step by step, what a model remembers that knows each id by itself: the capacity is
//! used to the full, nothing goes before its time while there is room, and who has to go is who came first, those that
//! were restored before all others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support;
use clockhand::dedup::{Deduplicator, Ticket};
use clockhand::{Clock, ManualClock};
use proptest::prelude::*;

/// Times are in microseconds. No two steps are at the same time, nor half a step apart.
const SECOND: u64 = 1_000_000;
const STEP: u64 = 2;
const LEASE: u64 = 10 * SECOND;
const TTL: u64 = 30 * SECOND;
const IDS: u64 = 24;

/// What is known of an id that is done.
#[derive(Debug, Clone, Copy)]
struct Done {
    due: u64,
    restored: bool,
    /// The order in which ids came to be done.
    number: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Claim(u64),
    Complete(usize),
    Drop(usize),
    /// Its holder never comes back.
    Leak(usize),
    Extend(usize, u64),
    Mark(u64),
    Forget(u64),
    Advance(u64),
    Clean,
    /// What another one knows, which has done these ids so long ago.
    Restore(Vec<u64>, u64),
    /// A crash, and a new one that knows what the snapshot has.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let restore = (prop::collection::vec(0..IDS, 0..12), 0..35_u64);
    prop_oneof![
        6 => (0..IDS).prop_map(Step::Claim),
        5 => (0..6_usize).prop_map(Step::Complete),
        1 => (0..6_usize).prop_map(Step::Drop),
        1 => (0..6_usize).prop_map(Step::Leak),
        1 => ((0..6_usize), 0..20_u64).prop_map(|(nth, by)| Step::Extend(nth, by)),
        12 => (0..IDS).prop_map(Step::Mark),
        4 => (0..IDS).prop_map(Step::Forget),
        4 => (0..7_u64).prop_map(Step::Advance),
        1 => Just(Step::Advance(31)),
        1 => Just(Step::Clean),
        2 => restore.prop_map(|(ids, age)| Step::Restore(ids, age)),
        1 => Just(Step::Restart),
    ]
}

/// Both beside each other, and the tickets that are out.
struct Pair {
    seen: Deduplicator<u64>,
    capacity: u64,
    clock: Clock,
    manual: ManualClock,
    now: u64,
    done: BTreeMap<u64, Done>,
    /// The number of the claim, and the end of its lease.
    claims: BTreeMap<u64, (u64, u64)>,
    tickets: Vec<(u64, Ticket<u64>)>,
    leaked: Vec<Ticket<u64>>,
    number: u64,
    forgotten_early: u64,
}

fn build(clock: &Clock, capacity: u64) -> Deduplicator<u64> {
    let builder = Deduplicator::builder().capacity(capacity).clock(clock.clone());
    let builder = builder.lease(Duration::from_micros(LEASE)).ttl(Duration::from_micros(TTL));
    builder.cleanup_interval(Duration::from_secs(1 << 40)).build().expect("the settings agree")
}

impl Pair {
    fn new(capacity: u64) -> Self {
        let (clock, manual) = Clock::manual();
        let seen = build(&clock, capacity);
        let (done, claims, tickets, leaked) = Default::default();
        let (now, number, forgotten_early) = (0, 0, 0);
        Self {
            seen,
            capacity,
            clock,
            manual,
            now,
            done,
            claims,
            tickets,
            leaked,
            number,
            forgotten_early,
        }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn is_done(&self, id: u64) -> bool {
        self.done.contains_key(&id)
    }

    fn is_claimed(&self, id: u64) -> bool {
        self.claims.get(&id).is_some_and(|&(_, until)| until > self.now)
    }

    /// An id is done; what has to make room goes.
    fn add(&mut self, id: u64, due: u64, restored: bool) {
        self.claims.remove(&id);
        let number = self.next();
        self.done.insert(id, Done { due, restored, number });
        while self.done.len() as u64 > self.capacity {
            let first = |&(_, done): &(&u64, &Done)| {
                (!done.restored, if done.restored { done.due } else { 0 }, done.number)
            };
            let first = self.done.iter().min_by_key(first).map(|(&id, _)| id);
            self.done.remove(&first.expect("there are more than fit"));
            self.forgotten_early += 1;
        }
    }

    fn claim(&mut self, id: u64) {
        let claim = self.seen.claim(id);
        assert_eq!(claim.is_done(), self.is_done(id), "{id}");
        assert_eq!(claim.is_in_progress(), self.is_claimed(id), "{id}");
        if let Some(ticket) = claim.ticket() {
            let number = self.next();
            self.claims.insert(id, (number, self.now + LEASE));
            self.tickets.push((number, ticket));
        }
    }

    /// The ticket, and whether its claim is its own.
    fn take(&mut self, nth: usize) -> Option<(u64, Ticket<u64>, bool)> {
        if nth >= self.tickets.len() {
            return None;
        }
        let (number, ticket) = self.tickets.swap_remove(nth);
        let id = *ticket.id();
        let own = self.claims.get(&id).is_some_and(|&(its, _)| its == number);
        Some((id, ticket, own))
    }

    fn advance(&mut self, by: u64) {
        self.now += by;
        self.manual.advance(Duration::from_micros(by));
        let now = self.now;
        self.done.retain(|_, done| done.due > now);
    }

    fn run(&mut self, step: Step) {
        self.advance(STEP);
        match step {
            Step::Claim(id) => self.claim(id),
            Step::Complete(nth) => {
                if let Some((id, ticket, own)) = self.take(nth) {
                    assert_eq!(ticket.complete(), own, "{id}");
                    if own {
                        self.add(id, self.now + TTL, false);
                    }
                }
            }
            Step::Drop(nth) => {
                if let Some((id, ticket, own)) = self.take(nth) {
                    drop(ticket);
                    own.then(|| self.claims.remove(&id));
                }
            }
            Step::Leak(nth) => {
                let leaked = self.take(nth).map(|(_, ticket, _)| ticket);
                self.leaked.extend(leaked);
            }
            Step::Extend(nth, by) => {
                let Some((number, ticket)) = self.tickets.get_mut(nth) else { return };
                let by = by * SECOND;
                let extended = ticket.extend(Duration::from_micros(by));
                let claim = self.claims.get_mut(ticket.id()).filter(|(its, _)| its == number);
                assert_eq!(extended, claim.is_some());
                if let Some((_, until)) = claim {
                    *until = (*until).max(self.now + by);
                }
            }
            Step::Mark(id) => {
                let open = !self.is_done(id) && !self.is_claimed(id);
                assert_eq!(self.seen.mark_processed(id), open, "{id}");
                if open {
                    self.add(id, self.now + TTL, false);
                }
            }
            Step::Forget(id) => {
                assert_eq!(self.seen.forget(&id), self.done.remove(&id).is_some(), "{id}");
            }
            Step::Advance(seconds) => self.advance(seconds * SECOND),
            Step::Clean => {
                self.seen.cleanup();
                let now = self.now;
                self.claims.retain(|_, (_, until)| *until > now);
                assert_eq!(self.seen.len(), self.done.len() + self.claims.len());
            }
            Step::Restore(ids, age) => self.restore(&ids, age),
            Step::Restart => self.restart(),
        }
    }

    fn restore(&mut self, ids: &[u64], age: u64) {
        let (clock, manual) = Clock::manual();
        let other = build(&clock, IDS);
        let new: Vec<u64> = ids.iter().copied().filter(|&id| other.mark_processed(id)).collect();
        // Due at a time at which nothing is that was done here.
        let age = age * SECOND + STEP / 2;
        manual.advance(Duration::from_micros(age));
        let left = TTL.saturating_sub(age);
        let has = if left > 0 { new.len() } else { 0 };
        assert_eq!(self.seen.restore(&other.snapshot()), Ok(has));
        for id in new.into_iter().take(has) {
            if !self.is_done(id) && !self.is_claimed(id) {
                self.add(id, self.now + left, true);
            }
        }
    }

    fn restart(&mut self) {
        let bytes = self.seen.snapshot();
        self.seen = build(&self.clock, self.capacity);
        assert_eq!(self.seen.restore(&bytes), Ok(self.done.len()));
        self.tickets.clear();
        self.claims.clear();
        self.forgotten_early = 0;
        // Their time says who goes first.
        self.done.values_mut().for_each(|done| done.restored = true);
    }

    fn check(&self) {
        let done: Vec<u64> = self.done.keys().copied().collect();
        let said: Vec<u64> = (0..IDS).filter(|id| self.seen.is_processed(id)).collect();
        assert_eq!(said, done, "what is remembered");
        assert_eq!(self.seen.metrics().forgotten_early, self.forgotten_early, "forgotten early");
        assert!(self.seen.len() as u64 <= self.capacity + self.claims.len() as u64);
        assert_eq!(self.seen.metrics().in_progress, self.claims.len() as u64, "in progress");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: support::size(300, 30_000) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_remembered_is_what_a_model_remembers(
        capacity in prop_oneof![Just(1_u64), Just(2), Just(5), Just(12), Just(40)],
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let mut pair = Pair::new(capacity);
        for step in steps {
            pair.run(step);
            pair.check();
        }
    }
}
