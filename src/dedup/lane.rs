//! The partitions of a tracker: what is known of each, under a lock of its own.
//!
//! # Generations
//!
//! A partition that is assigned, revoked or forgotten begins anew: whatever was in progress belongs to an older
//! *generation*, and its tickets are fenced, which means that they change nothing. A seek fences the tickets at or
//! after its offset. What a claim is known by is its number; the generation says only whether a ticket that finds
//! its claim gone was fenced, or late.
//!
//! A lane that was forgotten is *gone* for ever: whoever still has it looks its partition up again.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use equivalent::Equivalent;

use super::offset_ticket::OffsetTicket;
use super::saves::Saves;
use super::set::END;
use super::span::{Claimed, Held, NOWHERE, Pending, Span};
use super::tally::{Event, Tally};
use super::ticket::Claim;
use super::wait::{Awaited, Known};
use super::waiters::Waiters;
use crate::cache::Cache;
use crate::error::InsertErrorKind;
use crate::hash::spread;
use crate::health::{DedupCounts, Monitor};
use crate::sync::{Mutex, MutexGuard, lock, seeded, unique};
use crate::time::{Clock, Moment};

/// The map's own bound, which is never reached.
const ROOM: u64 = 1 << 40;

/// What the partitions of a tracker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) lease: Duration,
    pub(super) clock: Clock,
    pub(super) enabled: bool,
    pub(super) in_order: bool,
    pub(super) tally: Tally,
    pub(super) waiters: Arc<Waiters>,
    pub(super) saves: Saves,
    pub(super) monitor: Monitor<DedupCounts>,
}

/// A partition.
#[derive(Debug)]
pub(super) struct Lane {
    shared: Arc<Shared>,
    /// Like no other lane's.
    token: u64,
    topic: Arc<str>,
    number: i32,
    state: Mutex<State>,
}

/// Whether a partition is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Standing {
    #[default]
    Reported,
    /// It was assigned, and nobody knows where it begins: not where those claim who still have records from before.
    AwaitsPoll,
    /// It is another consumer's now, whatever workers do that are late.
    Revoked,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    next_number: u64,
    standing: Standing,
    /// It was forgotten.
    gone: bool,
    /// Nothing before it was assigned, polled or claimed.
    span: Option<Span>,
}

impl State {
    /// Begins anew; the claims that end with this.
    fn begin(&mut self, span: Option<Span>, standing: Standing) -> Vec<(u64, Held)> {
        self.generation += 1;
        self.standing = standing;
        std::mem::replace(&mut self.span, span).map_or(Vec::new(), Span::into_held)
    }

    /// Whether there is something that workers may have records of.
    fn was_there(&self) -> bool {
        self.span.is_some() || self.standing != Standing::Reported
    }

    /// Something was polled, beginning at this offset: it is this consumer's. The claims that end with this.
    fn take_up(&mut self, first: u64) -> Vec<(u64, Held)> {
        match std::mem::take(&mut self.standing) {
            Standing::Reported => Vec::new(),
            Standing::Revoked => self.begin(None, Standing::Reported),
            Standing::AwaitsPoll => {
                if let Some(span) = &mut self.span {
                    // What lies between what was claimed already and where it begins is not there.
                    span.position = span.first.min(first);
                }
                Vec::new()
            }
        }
    }

    /// What is known of a partition that is reported.
    fn reported(&self) -> Option<&Span> {
        self.span.as_ref().filter(|_| self.standing == Standing::Reported)
    }
}

/// What an offset's ticket knows its claim by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grasp {
    number: u64,
    generation: u64,
}

/// Of which generation of which lane the part of a poll is that was told first. What begins anew in the middle of a
/// poll ends it: the rest was polled by who had the partition before, and what it says of gaps is not so any more.
#[derive(Debug, Default)]
pub(super) struct Poll(Option<(u64, u64)>);

impl Poll {
    /// Whether this is a part of the same poll.
    fn goes_on(&mut self, token: u64, generation: u64) -> bool {
        *self.0.get_or_insert((token, generation)) == (token, generation)
    }
}

/// An offset as the span counts them; nothing if it is negative.
fn place(offset: i64) -> Option<u64> {
    u64::try_from(offset).ok()
}

/// An offset as its user knows it. The end of everything cannot be said, and becomes the last offset.
pub(super) fn offset(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// Every method that answers `None` for a lane that is gone has changed nothing then.
impl Lane {
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn number(&self) -> i32 {
        self.number
    }

    fn count(&self, event: Event) {
        self.shared.tally.count(event);
    }

    /// No user code runs under the lock, and nothing that panics but the allocator.
    fn lock(&self) -> Option<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        (!state.gone).then_some(state)
    }

    fn now(&self) -> Moment {
        self.shared.clock.now()
    }

    fn key(&self, place: u64) -> u64 {
        spread(self.token.rotate_left(32) ^ place)
    }

    /// Tells those who wait that claims have ended.
    fn tell(&self, ended: impl IntoIterator<Item = (u64, Held)>) {
        let joined = ended.into_iter().filter(|(_, held)| held.joined);
        joined.for_each(|(place, _)| self.shared.waiters.wake(self.key(place)));
    }

    pub(super) fn claim(self: &Arc<Self>, offset: i64) -> Option<Claim<OffsetTicket>> {
        let Some(place) = place(offset).filter(|_| self.shared.enabled) else {
            return Some(self.let_through(offset));
        };
        let mut state = self.lock()?;
        // Read under the lock, so that times follow the order of the calls.
        let now = self.now();
        let (number, generation) = (state.next_number, state.generation);
        state.next_number += 1;
        let in_order = self.shared.in_order;
        let span = state.span.get_or_insert_with(|| {
            let mut span = Span::new(place, 0, now);
            // Of claims in any order, nothing follows for what is polled later.
            span.position = if in_order { place } else { NOWHERE };
            span
        });
        let mut was_absent = false;
        if in_order {
            was_absent = span.polled(place, now);
            span.advance(now);
        }
        let claimed = span.claim(place, number, now.after(self.shared.lease), now);
        drop(state);
        if was_absent {
            self.count(Event::Unfolded);
        }
        Some(match claimed {
            Claimed::Done => {
                self.count(Event::Duplicate);
                Claim::Done
            }
            Claimed::InProgress => {
                self.count(Event::InProgress);
                Claim::InProgress
            }
            Claimed::New { taken_over, was_absent } => {
                self.count(Event::New);
                for (is, event) in
                    [(taken_over, Event::LeaseExpired), (was_absent, Event::Unfolded)]
                {
                    if is {
                        self.count(event);
                    }
                }
                let grasp = Some(Grasp { number, generation });
                Claim::New(OffsetTicket::new(Arc::clone(self), offset, grasp))
            }
        })
    }

    /// Grants a claim that leaves no trace.
    fn let_through(self: &Arc<Self>, offset: i64) -> Claim<OffsetTicket> {
        self.count(Event::New);
        self.count(Event::Untracked);
        if offset < 0 {
            self.count(Event::Invalid);
        }
        Claim::New(OffsetTicket::new(Arc::clone(self), offset, None))
    }

    /// Ends a claim; whether it was still the ticket's own.
    fn end(
        &self,
        offset: i64,
        grasp: Grasp,
        how: Event,
        end: impl FnOnce(&mut Span, u64, Moment) -> Option<Held>,
    ) -> bool {
        let Some(place) = place(offset) else { return false };
        let (fenced, ended) = match self.lock() {
            Some(mut state) => {
                let now = self.now();
                let ended = state.span.as_mut().and_then(|span| end(span, place, now));
                (state.generation != grasp.generation, ended)
            }
            None => (true, None),
        };
        self.count(match ended {
            Some(_) => how,
            None if fenced => Event::Fenced,
            None => Event::Late,
        });
        if ended.is_none() && matches!(how, Event::Added) {
            self.count(Event::Overtaken);
        }
        self.tell(ended.map(|held| (place, held)));
        ended.is_some()
    }

    pub(super) fn complete(&self, offset: i64, grasp: Grasp) -> bool {
        self.end(offset, grasp, Event::Added, |span, place, now| {
            span.complete(place, grasp.number, now)
        })
    }

    pub(super) fn abandon(&self, offset: i64, grasp: Grasp) {
        self.end(offset, grasp, Event::Abandoned, |span, place, _| {
            span.abandon(place, grasp.number)
        });
    }

    pub(super) fn extend(&self, offset: i64, grasp: Grasp, by: Duration) -> bool {
        let (Some(place), Some(mut state)) = (place(offset), self.lock()) else { return false };
        let until = self.now().after(by);
        state.span.as_mut().is_some_and(|span| span.extend(place, grasp.number, until))
    }

    /// A part of a poll.
    pub(super) fn polled(&self, offsets: &[i64], poll: &mut Poll) -> Option<()> {
        if !self.shared.enabled {
            return Some(());
        }
        let mut state = self.lock()?;
        let now = self.now();
        let invalid = offsets.iter().filter(|&&offset| offset < 0).count();
        self.shared.tally.add(Event::Invalid, invalid as u64);
        let Some(first) = offsets.iter().copied().find_map(place) else { return Some(()) };
        let ended = if poll.0.is_none() { state.take_up(first) } else { Vec::new() };
        if !poll.goes_on(self.token, state.generation) {
            return Some(());
        }
        let mut unfolded = 0;
        for place in offsets.iter().copied().filter_map(place) {
            let span = state.span.get_or_insert_with(|| Span::new(place, 0, now));
            unfolded += u64::from(span.polled(place, now));
        }
        if let Some(span) = &mut state.span {
            span.advance(now);
        }
        drop(state);
        self.shared.tally.add(Event::Unfolded, unfolded);
        self.tell(ended);
        Some(())
    }

    pub(super) fn skip_to(&self, offset: i64) -> Option<()> {
        let Some(place) = place(offset).filter(|_| self.shared.enabled) else { return Some(()) };
        let mut state = self.lock()?;
        let now = self.now();
        state.span.get_or_insert_with(|| Span::beginning_at(place, now)).skip_to(place, now);
        Some(())
    }

    /// How a partition stands that begins anew, and nobody says where.
    fn without_start(&self, state: &State) -> Standing {
        let late_claims = state.was_there() && !self.shared.in_order;
        if late_claims && !seeded("offsets-begins-where-claimed") {
            Standing::AwaitsPoll
        } else {
            Standing::Reported
        }
    }

    pub(super) fn assign(&self, start: i64) -> Option<()> {
        let mut state = self.lock()?;
        let now = self.now();
        let place = place(start).filter(|_| self.shared.enabled);
        let standing =
            if place.is_none() { self.without_start(&state) } else { Standing::Reported };
        if seeded("offsets-assigned-goes-on") && state.span.is_some() {
            return Some(());
        }
        let ended = state.begin(place.map(|place| Span::new(place, place, now)), standing);
        drop(state);
        self.tell(ended);
        Some(())
    }

    /// The last committable; nothing within if there is none.
    pub(super) fn revoke(&self) -> Option<Option<i64>> {
        let mut state = self.lock()?;
        let last = state.reported().map(|span| offset(span.committable()));
        let reports = seeded("offsets-revoked-is-reported");
        let standing = if reports { Standing::Reported } else { Standing::Revoked };
        let ended = state.begin(None, standing);
        drop(state);
        self.tell(ended);
        Some(last)
    }

    pub(super) fn seek(&self, offset: i64) -> Option<()> {
        if !self.shared.enabled {
            return Some(());
        }
        let mut state = self.lock()?;
        let now = self.now();
        let place = place(offset);
        // Where it begins is known now.
        let begins = state.standing == Standing::AwaitsPoll && place.is_some();
        let standing = match state.standing {
            Standing::AwaitsPoll if begins => Standing::Reported,
            Standing::Reported if place.is_none() => self.without_start(&state),
            standing => standing,
        };
        let ended = match (place, &mut state.span) {
            (Some(place), Some(span)) if !begins => {
                let ended = span.seek(place, now);
                state.generation += 1;
                ended
            }
            (place, _) => state.begin(place.map(|place| Span::beginning_at(place, now)), standing),
        };
        drop(state);
        self.tell(ended);
        Some(())
    }

    /// Adds what a snapshot knows.
    pub(super) fn restore(&self, other: &Span) -> Option<()> {
        if !self.shared.enabled {
            return Some(());
        }
        let mut state = self.lock()?;
        let now = self.now();
        if state.standing == Standing::Revoked {
            return Some(());
        }
        match &mut state.span {
            Some(span) => span.merge(other, now),
            None => state.span = Some(other.clone()),
        }
        Some(())
    }

    /// Makes the lane gone; whether there was something to forget.
    fn forget(&self) -> bool {
        let Some(mut state) = self.lock() else { return false };
        let was_there = state.was_there();
        let ended = state.begin(None, Standing::Reported);
        state.gone = true;
        drop(state);
        self.tell(ended);
        was_there
    }

    /// What is known of a partition that is reported.
    pub(super) fn reported<R>(&self, f: impl FnOnce(&Span) -> R) -> Option<R> {
        self.lock()?.reported().map(f)
    }

    pub(super) fn committable(&self) -> Option<i64> {
        self.reported(|span| offset(span.committable()))
    }

    /// What `f` finds pending, with the moment at which it looked.
    pub(super) fn pending<R>(&self, f: impl FnOnce(&Span, Moment) -> R) -> Option<(R, Moment)> {
        let now = self.now();
        self.reported(|span| (f(span, now), now))
    }

    pub(super) fn is_processed(&self, offset: i64) -> bool {
        let done = self.known(offset) == Known::Done;
        self.count(if done { Event::Duplicate } else { Event::Unknown });
        done
    }

    fn known(&self, offset: i64) -> Known {
        let (Some(place), Some(state)) = (place(offset), self.lock()) else { return Known::Open };
        let now = self.now();
        state.span.as_ref().map_or(Known::Open, |span| span.known(place, now))
    }
}

/// An offset, to be waited for.
#[derive(Debug)]
pub(super) struct AwaitedOffset {
    pub(super) lane: Arc<Lane>,
    pub(super) offset: i64,
}

impl Awaited for AwaitedOffset {
    fn known(&self) -> Known {
        self.lane.known(self.offset)
    }

    fn key(&self) -> u64 {
        self.lane.key(place(self.offset).unwrap_or(END))
    }

    fn waiters(&self) -> &Arc<Waiters> {
        &self.lane.shared.waiters
    }

    fn join(&self) -> bool {
        let (Some(place), Some(mut state)) = (place(self.offset), self.lane.lock()) else {
            return false;
        };
        let now = self.lane.now();
        state.span.as_mut().is_some_and(|span| span.join(place, now))
    }
}

/// Topic and number of a partition.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name {
    topic: Arc<str>,
    number: i32,
}

/// The same, borrowed.
struct NameRef<'a> {
    topic: &'a str,
    number: i32,
}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As `Name` does.
        self.topic.hash(state);
        self.number.hash(state);
    }
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        *name.topic == *self.topic && name.number == self.number
    }
}

/// All partitions of a tracker.
pub(super) struct Lanes {
    pub(super) shared: Arc<Shared>,
    map: Cache<Name, Arc<Lane>>,
}

impl Lanes {
    pub(super) fn new(shared: Shared) -> Self {
        let map = Cache::builder().forgetful().capacity(ROOM).expected_entries(0).build();
        Self { shared: Arc::new(shared), map: map.expect("a capacity alone is no contradiction") }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn find(&self, topic: &str, number: i32) -> Option<Arc<Lane>> {
        self.map.look(&NameRef { topic, number }, |_, lane| Arc::clone(lane))
    }

    /// The lane of a partition, which is made if it is new.
    ///
    /// Ends: each round but the last saw another thread put the lane in, and then found it forgotten.
    pub(super) fn get(&self, topic: &str, number: i32) -> Arc<Lane> {
        loop {
            if let Some(lane) = self.find(topic, number) {
                return lane;
            }
            let topic: Arc<str> = Arc::from(topic);
            let lane = Arc::new(Lane {
                shared: Arc::clone(&self.shared),
                token: unique(),
                topic: Arc::clone(&topic),
                number,
                state: Mutex::default(),
            });
            match self.map.insert_if_absent(Name { topic, number }, Arc::clone(&lane)) {
                Ok(()) => return lane,
                Err(error) if error.kind == InsertErrorKind::Occupied => {}
                Err(error) => unreachable!("the map has room for more than fits: {error}"),
            }
        }
    }

    /// Asks the lane of a partition, which is made if it is new or gone.
    ///
    /// Ends: each round but the last found a lane that was forgotten meanwhile.
    pub(super) fn ask<R>(
        &self,
        topic: &str,
        number: i32,
        mut f: impl FnMut(&Arc<Lane>) -> Option<R>,
    ) -> R {
        loop {
            let lane = self.get(topic, number);
            match f(&lane) {
                Some(answer) => return answer,
                None => self.remove(&lane),
            }
        }
    }

    /// Forgets a partition; whether something was known of it.
    pub(super) fn forget(&self, topic: &str, number: i32) -> bool {
        let Some(lane) = self.find(topic, number) else { return false };
        let was_there = lane.forget();
        self.remove(&lane);
        was_there
    }

    /// Removes a lane that is gone. Anybody may.
    fn remove(&self, gone: &Arc<Lane>) {
        let name = NameRef { topic: &gone.topic, number: gone.number };
        self.map.remove_if(&name, |lane| Arc::ptr_eq(lane, gone));
    }

    /// Calls `f` for each partition. Nothing is held meanwhile but a pin of the map.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Arc<Lane>)) {
        self.map.for_each(|_, lane| f(lane));
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What is pending, for users.
pub(super) fn told(pending: Pending, now: Moment) -> (i64, Duration, bool) {
    (offset(pending.offset), now.since(pending.since), pending.claimed)
}
