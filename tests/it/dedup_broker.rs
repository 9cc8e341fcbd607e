//! Three consumers of a simulated broker, with everything that happens to consumers, at random. Promised is: every
//! record that exists is processed at least once; at most once while its consumer remembers it; and no commit ever
//! passes a record that was not processed (the broker looks at each).
//!
//! A schedule is one number, which a failing test prints: `CLOCKHAND_SCHEDULE=17 cargo test --test it dedup_broker::`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support;
use crate::support::Random;
use crate::support::broker::{Broker, Member, Record};
use clockhand::dedup::{Claim, OffsetTicket, OffsetTracker};
use clockhand::{Clock, ManualClock};

const TOPIC: &str = "orders";
const PARTITIONS: usize = 3;
const CONSUMERS: usize = 3;
const LEASE: Duration = Duration::from_secs(10);

/// Offsets of partitions.
type Offsets = BTreeSet<(i32, i64)>;

/// A snapshot, and what was remembered when it was taken.
struct Saved {
    bytes: Vec<u8>,
    remembered: Offsets,
}

/// A process that consumes: a tracker, a client with a position for each partition, workers.
struct Consumer {
    name: usize,
    in_order: bool,
    tracker: OffsetTracker,
    member: Member,
    positions: BTreeMap<i32, i64>,
    /// Records that were polled, and that no worker has.
    queue: VecDeque<Record>,
    working: Vec<(Record, OffsetTicket)>,
    /// Commits that are on their way.
    late: Vec<(Member, i32, i64)>,
    /// Offsets that its tracker knows to be done.
    remembered: Offsets,
    /// From before a crash, to be restored once partitions are assigned.
    recalled: Option<Saved>,
    saved: Option<Saved>,
}

impl Consumer {
    fn new(name: usize, in_order: bool, clock: &Clock, recalled: Option<Saved>) -> Self {
        let builder = OffsetTracker::builder().lease(LEASE).in_order(in_order);
        Self {
            name,
            in_order,
            tracker: builder.clock(clock.clone()).build().expect("the settings agree"),
            member: Member { name, generation: 0 },
            positions: BTreeMap::new(),
            queue: VecDeque::new(),
            working: Vec::new(),
            late: Vec::new(),
            remembered: Offsets::new(),
            recalled,
            saved: None,
        }
    }

    fn forget(&mut self, partition: i32, from: i64) {
        self.remembered.retain(|&(its, offset)| its != partition || offset < from);
    }

    /// The callback of a rebalance, for what is lost; the last commits of it.
    fn on_revoke(&mut self, lost: &[i32]) -> Vec<(Member, i32, i64)> {
        let mut commits = Vec::new();
        for &partition in lost {
            self.positions.remove(&partition);
            let last = self.tracker.revoke(TOPIC, partition);
            commits.extend(last.map(|offset| (self.member, partition, offset)));
            self.forget(partition, 0);
        }
        commits
    }

    /// The callback of a rebalance, for what is new.
    fn on_assign(&mut self, gained: &[i32], broker: &Broker) {
        for &partition in gained {
            let start = broker.committed(partition);
            self.tracker.assign(TOPIC, partition, start);
            self.positions.insert(partition, start.max(0));
            self.forget(partition, 0);
        }
    }

    /// After a crash: what the last snapshot knows, of what is assigned now.
    fn restore(&mut self, broker: &Broker, folder: Option<&Path>) {
        let Some(Saved { bytes, remembered }) = self.recalled.take() else { return };
        let restored = match folder {
            Some(folder) => self.tracker.restore_from(&snapshot_file(folder, self.name)),
            None => self.tracker.restore(&bytes),
        };
        assert!(restored.is_ok(), "{restored:?}");
        for partition in 0..broker.partitions() {
            if !self.positions.contains_key(&partition) {
                self.tracker.revoke(TOPIC, partition);
            }
        }
        let is_known = |&(partition, offset): &(i32, i64)| {
            self.positions.contains_key(&partition) && offset >= broker.committed(partition)
        };
        self.remembered.extend(remembered.into_iter().filter(is_known));
    }

    fn save(&mut self, folder: Option<&Path>) {
        if let Some(folder) = folder {
            let path = snapshot_file(folder, self.name);
            self.tracker.snapshot_to(&path).expect("it can be written");
        }
        // What is not reported is not in it: what was revoked, or awaits its first poll, whatever workers that are
        // late have done there.
        let reported =
            |&&(partition, _): &&(i32, i64)| self.tracker.committable(TOPIC, partition).is_some();
        let remembered = self.remembered.iter().filter(reported).copied().collect();
        let bytes = self.tracker.snapshot();
        self.saved = Some(Saved { bytes, remembered });
    }

    fn poll(&mut self, partition: i32, most: usize, broker: &Broker) {
        let Some(position) = self.positions.get_mut(&partition) else { return };
        let records = broker.fetch(partition, *position, most);
        let Some(last) = records.last() else { return };
        *position = last.offset + 1;
        if self.in_order {
            // Claimed as they come, by this thread.
            records.into_iter().for_each(|record| self.claim(record));
        } else {
            let offsets = records.iter().map(|record| record.offset);
            self.tracker.polled(TOPIC, partition, offsets);
            self.queue.extend(records);
        }
    }

    /// A worker asks for a record.
    fn claim(&mut self, record: Record) {
        let Record { partition, offset, .. } = record;
        // To claim in the order of delivery is to leave alone what will be delivered again.
        let delivered = self.positions.get(&partition).is_some_and(|&position| position > offset);
        if self.in_order && !delivered {
            if self.positions.contains_key(&partition) {
                self.queue.push_back(record);
            }
            return;
        }
        match self.tracker.claim(TOPIC, partition, offset) {
            Claim::New(ticket) => {
                let known = self.remembered.contains(&(partition, offset));
                assert!(!known, "{record:?} is processed again, and {} knows it", self.name);
                self.working.push((record, ticket));
            }
            Claim::Done => {}
            _ => self.queue.push_back(record),
        }
    }

    /// A worker is done with its work.
    fn finish(&mut self, nth: usize, broker: &mut Broker) {
        let (record, ticket) = self.working.swap_remove(nth);
        broker.note_processed(record);
        if ticket.complete() {
            self.remembered.insert((record.partition, record.offset));
        }
    }

    /// A worker fails, and tries again later.
    fn fail(&mut self, nth: usize) {
        let (record, ticket) = self.working.swap_remove(nth);
        drop(ticket);
        self.queue.push_back(record);
    }

    /// A worker hangs for ever. Its record is tried again later.
    fn hang(&mut self, nth: usize) {
        let (record, ticket) = self.working.swap_remove(nth);
        std::mem::forget(ticket);
        self.queue.push_back(record);
    }

    fn commits(&self) -> Vec<(Member, i32, i64)> {
        let mut all = Vec::new();
        self.tracker.for_each_committable(|topic, partition, offset| {
            assert_eq!(topic, TOPIC);
            all.push((self.member, partition, offset));
        });
        all
    }

    fn seek(&mut self, partition: i32, to: i64, broker: &mut Broker) {
        let Some(position) = self.positions.get_mut(&partition) else { return };
        let from = self.tracker.committable(TOPIC, partition).unwrap_or(0);
        *position = to;
        self.tracker.seek(TOPIC, partition, to);
        broker.waive(partition, from, to);
        self.forget(partition, to);
    }
}

fn snapshot_file(folder: &Path, name: usize) -> PathBuf {
    folder.join(format!("consumer-{name}"))
}

/// All of it, driven by one number.
struct World {
    random: Random,
    broker: Broker,
    consumers: Vec<Option<Consumer>>,
    /// What those that crashed have left behind.
    left: Vec<Option<Saved>>,
    /// Who was not told of the last rebalance yet: they go on with what they had.
    untold: BTreeSet<usize>,
    in_order: bool,
    clock: Clock,
    manual: ManualClock,
    folder: Option<PathBuf>,
}

impl World {
    fn new(schedule: u64, folder: Option<PathBuf>) -> Self {
        let mut random = Random::new(schedule);
        let (clock, manual) = Clock::manual();
        let in_order = random.one_in(4);
        let broker = Broker::new(PARTITIONS, !random.one_in(3));
        let left = (0..CONSUMERS).map(|_| None).collect();
        let consumer = |name| Some(Consumer::new(name, in_order, &clock, None));
        let consumers = (0..CONSUMERS).map(consumer).collect();
        let untold = BTreeSet::new();
        let mut world =
            Self { random, broker, consumers, left, untold, in_order, clock, manual, folder };
        world.rebalance();
        world
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.below(end as u64) as usize
    }

    fn partition(&mut self) -> i32 {
        self.below(PARTITIONS) as i32
    }

    /// Some consumer that lives.
    fn any(&mut self) -> Option<usize> {
        let name = self.below(CONSUMERS);
        self.consumers[name].is_some().then_some(name)
    }

    /// Deals the partitions out anew. Who is late is told later.
    fn rebalance(&mut self) {
        let alive: Vec<usize> =
            (0..CONSUMERS).filter(|&name| self.consumers[name].is_some()).collect();
        let mut owners = Vec::new();
        for _ in 0..PARTITIONS {
            let nth = self.below(alive.len().max(1));
            owners.push(alive.get(nth).copied());
        }
        // The losers first, so that their last commits come before the new owners begin, unless they are late.
        self.untold.extend(alive.iter().copied());
        let punctual: Vec<usize> =
            alive.iter().copied().filter(|_| !self.random.one_in(4)).collect();
        let mut commits = Vec::new();
        for &name in &punctual {
            commits.extend(self.tell_lost(name, &owners));
        }
        commits.into_iter().for_each(|commit| self.commit(commit));
        self.broker.rebalance(&owners);
        punctual.into_iter().for_each(|name| self.tell_gained(name));
    }

    fn tell_lost(&mut self, name: usize, owners: &[Option<usize>]) -> Vec<(Member, i32, i64)> {
        let Some(consumer) = &mut self.consumers[name] else { return Vec::new() };
        let has = consumer.positions.keys().copied();
        let lost: Vec<i32> = has.filter(|&p| owners[p as usize] != Some(name)).collect();
        consumer.on_revoke(&lost)
    }

    fn tell_gained(&mut self, name: usize) {
        let generation = self.broker.rebalance_generation();
        let owned: Vec<i32> = (0..PARTITIONS as i32)
            .filter(|&partition| self.broker.owner(partition) == Some(name))
            .collect();
        self.untold.remove(&name);
        let Some(consumer) = &mut self.consumers[name] else { return };
        consumer.member = Member { name, generation };
        let new = |partition: &i32| !consumer.positions.contains_key(partition);
        let gained: Vec<i32> = owned.into_iter().filter(new).collect();
        consumer.on_assign(&gained, &self.broker);
        consumer.restore(&self.broker, self.folder.as_deref());
    }

    /// A consumer that was late hears of the last rebalance; what it had, it may have lost and got back since, so it
    /// gives up everything first. Its last commits are late.
    fn tell_late(&mut self, name: usize) {
        if !self.untold.contains(&name) {
            return;
        }
        let commits = self.tell_lost(name, &[None; PARTITIONS]);
        if let Some(consumer) = &mut self.consumers[name] {
            consumer.late.extend(commits);
        }
        self.tell_gained(name);
    }

    fn commit(&mut self, (member, partition, offset): (Member, i32, i64)) {
        self.broker.commit(member, partition, offset);
    }

    fn crash(&mut self, name: usize) {
        if let Some(consumer) = self.consumers[name].take() {
            // Nothing of it goes on: its tickets end nothing that anybody sees.
            self.left[name] = consumer.saved.or(consumer.recalled);
            self.untold.remove(&name);
        }
    }

    fn start(&mut self, name: usize) {
        if self.consumers[name].is_none() {
            let saved = self.left[name].take();
            self.consumers[name] = Some(Consumer::new(name, self.in_order, &self.clock, saved));
            self.rebalance();
        }
    }

    /// A partition is deleted and made anew. Everybody is told, and drops what is left of the old one.
    fn make_anew(&mut self, partition: i32) {
        self.broker.make_anew(partition);
        for consumer in self.consumers.iter_mut().flatten() {
            consumer.queue.retain(|record| record.partition != partition);
            consumer.working.retain(|(record, _)| record.partition != partition);
            consumer.late.retain(|&(_, its, _)| its != partition);
            consumer.on_revoke(&[partition]);
            (consumer.saved, consumer.recalled) = (None, None);
        }
        self.left.iter_mut().for_each(|saved| *saved = None);
        self.rebalance();
    }

    fn produce(&mut self) {
        let (partition, records) = (self.partition(), 1 + self.random.below(8));
        let marker = !self.random.one_in(3);
        self.broker.produce(partition, records, marker);
        if self.random.one_in(20) {
            let gap = 1 << self.random.below(30);
            self.broker.skip_offsets(partition, gap);
        }
    }

    /// What a consumer does by itself.
    fn work(&mut self, name: usize, faults: bool) {
        let (dice, partition) = (self.below(16), self.partition());
        let nth = self.random.next() as usize;
        let most = 1 + self.below(10);
        let folder = self.folder.clone();
        let Some(consumer) = &mut self.consumers[name] else { return };
        let working = consumer.working.len();
        match dice {
            0..=2 => consumer.poll(partition, most, &self.broker),
            3..=6 if !consumer.queue.is_empty() => {
                let nth = nth % consumer.queue.len();
                let record = consumer.queue.remove(nth).expect("it is there");
                consumer.claim(record);
            }
            7..=10 if working > 0 => consumer.finish(nth % working, &mut self.broker),
            11 | 12 => {
                let commits = consumer.commits();
                if faults && nth.is_multiple_of(4) {
                    consumer.late.extend(commits);
                } else {
                    commits.into_iter().for_each(|commit| self.commit(commit));
                }
            }
            13 if working > 0 && faults => match nth % 5 {
                0 => consumer.hang((nth / 5) % working),
                _ => consumer.fail((nth / 5) % working),
            },
            14 if !consumer.late.is_empty() => {
                let late = consumer.late.swap_remove(nth % consumer.late.len());
                self.commit(late);
            }
            15 if faults => consumer.save(folder.as_deref()),
            _ => {}
        }
    }

    /// What happens to consumers and to the log.
    fn strike(&mut self) {
        let (partition, end) = (self.partition(), 1 + self.random.below(12));
        match self.below(12) {
            0..=2 => self.rebalance(),
            3 | 4 => {
                if let Some(name) = self.any() {
                    self.crash(name);
                    if self.random.one_in(2) {
                        self.rebalance();
                    }
                }
            }
            5 => {
                let name = self.below(CONSUMERS);
                self.start(name);
            }
            6 => self.manual.advance(Duration::from_secs(end)),
            7 => self.broker.compact(partition, end as usize),
            8 | 9 => {
                if let Some(name) = self.any() {
                    self.tell_late(name);
                }
            }
            10 => self.seek(partition),
            _ if self.random.one_in(8) => self.make_anew(partition),
            _ => {
                // The client begins anew where it has committed, and tells nobody.
                let committed = self.broker.committed(partition).max(0);
                let name = self.below(CONSUMERS);
                let untold = self.untold.contains(&name);
                let consumer = self.consumers[name].as_mut().filter(|_| !untold);
                if let Some(position) = consumer.and_then(|c| c.positions.get_mut(&partition)) {
                    *position = committed;
                }
            }
        }
    }

    fn seek(&mut self, partition: i32) {
        let end = self.broker.end(partition);
        let Some(name) = self.any() else { return };
        if self.untold.contains(&name) {
            return;
        }
        let Some(consumer) = &mut self.consumers[name] else { return };
        let Some(&position) = consumer.positions.get(&partition) else { return };
        let by = self.random.below(12) as i64;
        let to = if self.random.one_in(4) { (position + by).min(end) } else { position - by };
        consumer.seek(partition, to.max(0), &mut self.broker);
    }

    fn run(&mut self) {
        for _ in 0..300 {
            if self.random.one_in(12) {
                self.produce();
            }
            if self.random.one_in(16) {
                self.strike();
            }
            if let Some(name) = self.any() {
                self.work(name, true);
            }
        }
        self.drain();
    }

    /// No faults any more: everything is processed and committed.
    fn drain(&mut self) {
        for name in 0..CONSUMERS {
            self.start(name);
            self.tell_late(name);
        }
        self.rebalance();
        (0..CONSUMERS).for_each(|name| self.tell_late(name));
        self.manual.advance(LEASE);
        for _ in 0..40_000 {
            if self.broker.is_drained() {
                return;
            }
            if let Some(name) = self.any() {
                self.work(name, false);
            }
            if self.random.one_in(1000) {
                self.manual.advance(LEASE);
            }
        }
        let left: Vec<_> = (0..PARTITIONS as i32)
            .map(|partition| {
                let owner = self.broker.owner(partition);
                let tracker = owner.and_then(|name| self.consumers[name].as_ref());
                let oldest = tracker.and_then(|c| c.tracker.oldest_pending(TOPIC, partition));
                let unprocessed = self.broker.unprocessed(partition).next();
                let committed = self.broker.committed(partition);
                format!(
                    "{partition}: committed {committed}, unprocessed {unprocessed:?}, {oldest:?}"
                )
            })
            .collect();
        panic!("it does not come to an end: {left:#?}");
    }
}

fn run(schedule: u64, folder: Option<PathBuf>) {
    let run = AssertUnwindSafe(|| World::new(schedule, folder).run());
    if let Err(panic) = catch_unwind(run) {
        eprintln!("schedule {schedule} failed: CLOCKHAND_SCHEDULE={schedule} runs it again");
        resume_unwind(panic);
    }
}

#[test]
fn every_record_is_processed_and_no_commit_passes_one_that_is_not() {
    let only = std::env::var("CLOCKHAND_SCHEDULE").ok().map(|n| n.parse().expect("a number"));
    match only {
        Some(schedule) => run(schedule, None),
        None => (0..support::size(2000, 100_000) as u64).for_each(|schedule| run(schedule, None)),
    }
}

#[test]
fn the_same_with_snapshots_in_files() {
    let folder = std::env::temp_dir().join(format!("clockhand-broker-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    for schedule in 0..support::size(20, 500) as u64 {
        run(1_000_000 + schedule, Some(folder.clone()));
    }
    std::fs::remove_dir_all(&folder).expect("it is there");
}
