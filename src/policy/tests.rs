//! The rules, on entries in a vector.

use std::cell::{Cell, RefCell};

use super::recent_uses::Periods;
use super::*;
use crate::slot_meta::{Region, ScanStep, SlotMeta, Stage};

/// A table of `1 << BITS` places with one slot each.
struct Vector {
    slots: RefCell<Vec<Option<(u64, u8)>>>,
    recent_uses: RefCell<Vec<RecentUses>>,
    looks: Cell<usize>,
    expired: Cell<Option<u64>>,
}

const BITS: u32 = 10;

impl Vector {
    fn new() -> Self {
        let slots = RefCell::new(vec![None; 1 << BITS]);
        let recent_uses = RefCell::new(vec![RecentUses::default(); 1 << BITS]);
        Self { slots, recent_uses, looks: Cell::new(0), expired: Cell::new(None) }
    }

    fn at(&self, slot: usize) -> SlotMeta {
        SlotMeta::from_bits(self.slots.borrow()[slot].map_or(0, |(_, bits)| bits))
    }

    fn set(&self, slot: usize, hash: u64, stage: Stage, count: u8) {
        self.slots.borrow_mut()[slot] = Some((hash, SlotMeta::new(stage, count).bits()));
    }
}

fn slot_of(position: ScanPosition) -> usize {
    (position.0 >> (64 - BITS)) as usize
}

fn place_of(slot: usize) -> ScanPosition {
    ScanPosition((slot as u64) << (64 - BITS))
}

impl Entries for Vector {
    type Slot = usize;

    fn range_length(&self) -> u64 {
        1 << (64 - 4)
    }

    fn scan(
        &self,
        region: Region,
        from: ScanPosition,
        length: u64,
        mut visit: impl FnMut(ScanPosition, SlotMeta) -> ScanStep,
    ) -> u64 {
        let first = slot_of(from);
        let slots = (length >> (64 - BITS)) as usize;
        for slot in first..first + slots {
            let meta = self.at(slot);
            if meta.region() != Some(region) {
                continue;
            }
            match visit(place_of(slot), meta) {
                ScanStep::Keep => {}
                ScanStep::Mark(to) => assert!(self.mark(slot, to)),
                ScanStep::Stop => return ((slot - first) as u64) << (64 - BITS),
            }
        }
        length
    }

    fn get_at(&self, region: Region, at: ScanPosition) -> Option<usize> {
        self.looks.set(self.looks.get() + 1);
        (self.at(slot_of(at)).region() == Some(region)).then(|| slot_of(at))
    }

    fn find_by_fingerprint(&self, region: Region, hash: u64, known: u64) -> Option<usize> {
        self.looks.set(self.looks.get() + 1);
        let slots = self.slots.borrow();
        slots.iter().position(|slot| {
            slot.is_some_and(|(found, bits)| {
                let meta = SlotMeta::from_bits(bits);
                (found ^ hash) & known == 0 && meta.region() == Some(region)
            })
        })
    }

    fn meta(&self, slot: usize) -> SlotMeta {
        self.at(slot)
    }

    fn mark(&self, slot: usize, to: SlotMeta) -> bool {
        let mut slots = self.slots.borrow_mut();
        let Some((hash, _)) = slots[slot] else { return false };
        slots[slot] = Some((hash, to.bits()));
        true
    }

    fn recent_uses(&self, slot: usize) -> RecentUses {
        self.recent_uses.borrow()[slot]
    }

    fn set_recent_uses(&self, slot: usize, recent_uses: RecentUses) {
        self.recent_uses.borrow_mut()[slot] = recent_uses;
    }

    fn worth(&self, _: usize, frequency: u64) -> Worth {
        Worth::new(frequency, 1, 1)
    }

    fn take_probation_charge(&self, _: usize) -> Option<u64> {
        Some(1)
    }

    fn expired(&self, slot: usize) -> bool {
        self.expired
            .get()
            .is_some_and(|hash| self.slots.borrow()[slot].is_some_and(|(found, _)| found == hash))
    }
}

/// A cache over the vector, as the engine would run it.
struct Toy {
    entries: Vector,
    policy: Policy,
    history: History,
    cursor: EvictionCursor,
    capacity: usize,
    len: usize,
    hits: u64,
}

fn mix(key: u64) -> u64 {
    let mixed = (key ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

impl Toy {
    fn new(capacity: usize) -> Self {
        let (entries, policy, history) =
            (Vector::new(), Policy::new(false, capacity as u64), History::new(capacity));
        Self {
            entries,
            policy,
            history,
            cursor: EvictionCursor::default(),
            capacity,
            len: 0,
            hits: 0,
        }
    }

    fn fill(&self) -> Fill {
        Fill { capacity: self.capacity as u64, free: (self.capacity - self.len) as u64 }
    }

    fn find(&self, hash: u64) -> Option<usize> {
        let slots = self.entries.slots.borrow();
        slots.iter().position(|slot| slot.is_some_and(|(found, _)| found == hash))
    }

    fn access(&mut self, key: u64) {
        let hash = mix(key);
        if let Some(slot) = self.find(hash) {
            self.hits += 1;
            let mut slots = self.entries.slots.borrow_mut();
            let (hash, bits) = slots[slot].expect("found");
            slots[slot] = Some((hash, if bits >> 2 < 3 { bits + 4 } else { bits }));
            return;
        }
        let Admission { meta, recent_uses } = self.policy.admit(
            &self.history,
            &self.cursor,
            (hash, || Worth::new(1, 1, 1)),
            self.fill(),
        );
        while self.len == self.capacity {
            self.evict();
        }
        let first = (hash >> (64 - BITS)) as usize;
        let slots = 1 << BITS;
        let vacant = (first..first + slots).map(|slot| slot % slots);
        let slot = { vacant }.find(|&slot| self.entries.at(slot).is_vacant()).expect("room");
        self.entries.slots.borrow_mut()[slot] = Some((hash, meta.bits()));
        self.entries.set_recent_uses(slot, recent_uses);
        self.len += 1;
        let delta = self.policy.probation_delta(&self.cursor);
        delta.added(meta, 1);
        self.policy.record_insert(&self.history, &self.cursor, (hash, meta), 1);
        if self.fill().has_room() {
            let at = (&self.cursor, &self.history);
            self.policy.eviction(&self.entries, at, &delta).promote_overflow(self.fill());
        }
    }

    fn victim(&self, delta: &ProbationDelta<'_>, fill: Fill) -> Option<usize> {
        let at = (&self.cursor, &self.history);
        self.policy.eviction(&self.entries, at, delta).victim(fill)
    }

    fn evict(&mut self) -> u64 {
        let delta = self.policy.probation_delta(&self.cursor);
        let victim = self.victim(&delta, self.fill());
        let slot = victim.expect("a full cache has a victim");
        let (hash, bits) = self.entries.slots.borrow_mut()[slot].take().expect("a victim is there");
        let meta = SlotMeta::from_bits(bits);
        delta.removed(meta, 1);
        self.policy.evicted(
            &self.history,
            &self.cursor,
            hash,
            (meta, self.entries.recent_uses(slot)),
        );
        self.len -= 1;
        hash
    }

    fn on_probation(&self) -> usize {
        let slots = self.entries.slots.borrow();
        slots.iter().flatten().filter(|(_, bits)| matches!(bits & 3, 1 | 2)).count()
    }
}

#[test]
fn metadata_tells_stage_and_count() {
    for bits in 0..16_u8 {
        let meta = SlotMeta::from_bits(bits);
        let region =
            [None, Some(Region::Probation), Some(Region::Probation), Some(Region::Protected)];
        assert_eq!((meta.bits(), meta.count()), (bits, bits >> 2));
        assert_eq!(meta.region(), region[usize::from(bits & 3)]);
        assert_eq!(meta.is_vacant(), meta.region().is_none());
        assert_eq!(meta.is_protected(), meta.region() == Some(Region::Protected));
        assert_eq!(meta.is_on_probation(), meta.region() == Some(Region::Probation));
    }
}

#[test]
fn the_share_is_what_is_on_probation() {
    let mut toy = Toy::new(200);
    for round in 0..20_000 {
        toy.access(mix(round) % 700);
        assert_eq!(toy.policy.probation_charge() as usize, toy.on_probation());
    }
}

#[test]
fn what_is_read_all_the_time_outlives_a_scan() {
    let mut toy = Toy::new(100);
    for round in 0..200 {
        (0..50).for_each(|key| toy.access(key));
        if round >= 10 {
            (0..20).for_each(|key| toy.access(1_000 + round * 20 + key));
        }
    }
    toy.hits = 0;
    (0..50).for_each(|key| toy.access(key));
    assert!(toy.hits >= 48, "{} of 50", toy.hits);
}

#[test]
fn a_loop_longer_than_the_cache_keeps_a_stable_part() {
    // The optimum is a little over 0.9, 0.87, and a little below a half; recency alone gets nothing.
    for (length, least) in [(440, 0.865), (460, 0.83), (800, 0.45)] {
        let mut toy = Toy::new(400);
        (0..length * 60).for_each(|access| toy.access(access % length));
        toy.hits = 0;
        (0..length * 20).for_each(|access| toy.access(access % length));
        let ratio = toy.hits as f64 / (length * 20) as f64;
        assert!(ratio > least, "{ratio} of a loop of {length}");
    }
}

#[test]
fn a_new_working_set_takes_the_place_of_one_that_is_dead() {
    let mut toy = Toy::new(400);
    let length = 340;
    (0..length * 30).for_each(|access| toy.access(access % length));
    let renewed = |access: u64| 10_000 + access % length;
    (0..length * 5).for_each(|access| toy.access(renewed(access)));
    toy.hits = 0;
    (0..length * 5).for_each(|access| toy.access(renewed(access)));
    let ratio = toy.hits as f64 / (length * 5) as f64;
    assert!(ratio > 0.65, "{ratio}");
}

#[test]
fn an_entry_that_was_read_counts_for_more_than_how_often_it_was_used() {
    for (reads, stays) in [(0, false), (3, true)] {
        let toy = Toy::new(1 << BITS);
        for slot in 1..1 << BITS {
            toy.entries.set(slot, mix(slot as u64), Stage::Protected, reads);
            toy.entries.set_recent_uses(slot, toy.history.periods.of_count(2, 0));
        }
        toy.entries.set(0, mix(0), Stage::Old, 0);
        toy.entries.set_recent_uses(0, toy.history.periods.of_count(6, 0));
        let delta = toy.policy.probation_delta(&toy.cursor);
        delta.added(SlotMeta::NEW, 1 << BITS);
        let victim = toy.victim(&delta, Fill { capacity: 1 << BITS, free: 0 });
        assert_eq!(victim == Some(0), stays, "{victim:?}, read {reads} times");
    }
}

#[test]
fn who_left_the_protected_part_comes_back_there_if_it_is_used_more() {
    let admitted = |uses: u8| {
        let toy = Toy::new(100);
        toy.history.ghosts.put(Region::Protected, mix(1), uses, 0);
        toy.cursor.incumbent.won(3);
        let worth = || Worth::new(1, 1, 1);
        let fill = Fill { capacity: 100, free: 0 };
        toy.policy.admit(&toy.history, &toy.cursor, (mix(1), worth), fill).meta
    };
    // It is used once more.
    assert_eq!([1, 2].map(admitted), [SlotMeta::NEW; 2]);
    assert_eq!([3, 15].map(admitted), [SlotMeta::new(Stage::Protected, 1); 2]);
}

#[test]
fn who_comes_back_just_before_the_hand_is_passed_by_once() {
    let admitted = |hash: u64| {
        let toy = Toy::new(1_000);
        toy.history.ghosts.put(Region::Probation, hash, 1, 950);
        toy.policy.misses.add(1_000);
        toy.cursor.incumbent.observe(true);
        let worth = || Worth::new(1, 1, 1);
        let fill = Fill { capacity: 1_000, free: 0 };
        toy.policy.admit(&toy.history, &toy.cursor, (hash, worth), fill).meta
    };
    // The hand is at zero and takes 1,000 misses for a round; the keys were away for 50, or a little less.
    let part = |percent: u64| (u64::MAX / 100 * percent) | (1 << 16);
    assert_eq!([1, 4].map(part).map(admitted), [SlotMeta::new(Stage::Protected, 1); 2]);
    assert_eq!([6, 50, 99].map(part).map(admitted), [SlotMeta::new(Stage::Protected, 0); 3]);
}

#[test]
fn an_expired_entry_goes_first() {
    let mut toy = Toy::new(50);
    (0..50).for_each(|key| toy.access(key));
    (0..50).for_each(|key| toy.access(key));
    let stale = toy.entries.slots.borrow().iter().flatten().next().expect("full").0;
    toy.entries.expired.set(Some(stale));
    let gone: Vec<u64> = (0..50).map(|_| toy.evict()).take_while(|&hash| hash != stale).collect();
    assert!(gone.len() < 50, "it was found in one round");
}

#[test]
fn a_victim_is_found_in_bounded_steps_where_all_were_read() {
    let toy = Toy::new(1 << BITS);
    for slot in 0..1 << BITS {
        let stage = if slot % 3 == 0 { Stage::Old } else { Stage::Protected };
        toy.entries.set(slot, mix(slot as u64), stage, 3);
    }
    let delta = toy.policy.probation_delta(&toy.cursor);
    toy.entries.looks.set(0);
    let fill = Fill { capacity: 1 << BITS, free: 0 };
    assert!(toy.victim(&delta, fill).is_some());
    assert!(toy.entries.looks.get() < 300, "{} looks", toy.entries.looks.get());
}

#[test]
fn a_victim_that_stays_is_named_again() {
    for on_probation in [500, 0] {
        let toy = Toy::new(1 << BITS);
        for slot in 0..1 << BITS {
            let stage = if slot % 2 == 0 { Stage::Old } else { Stage::Protected };
            toy.entries.set(slot, mix(slot as u64), stage, 0);
        }
        let delta = toy.policy.probation_delta(&toy.cursor);
        (0..on_probation).for_each(|_| _ = delta.added(SlotMeta::NEW, 1));
        let victim = || toy.victim(&delta, Fill { capacity: 1 << BITS, free: 0 });
        let first = victim().expect("nobody was read");
        let meta = toy.entries.at(first);
        assert_eq!(meta.is_on_probation(), on_probation > 0);
        for _ in 0..3 {
            toy.cursor.step_back(meta);
            assert_eq!(victim(), Some(first));
        }
        assert_ne!(victim(), Some(first), "it is passed by otherwise");
        toy.cursor.step_back(meta);
        toy.cursor.step(meta);
        assert_ne!(victim(), Some(first), "and when it is given up");
    }
}

#[test]
fn who_made_room_for_a_giant_is_known_when_the_giant_has_left() {
    for by_worth in [false, true] {
        let toy = Toy { policy: Policy::new(by_worth, 1_000), ..Toy::new(1_000) };
        let (history, cursor) = (&toy.history, &toy.cursor);
        let uses = history.periods.of_count(5, 0);
        toy.policy.evicted(history, cursor, mix(1), (SlotMeta::NEW, uses));
        let empty = Fill { capacity: 1_000, free: 990 };
        let key = (mix(1), || Worth::new(1, 1, 1));
        let admission = toy.policy.admit(history, cursor, key, empty);
        let frequency = toy.policy.frequency(history, cursor, admission.recent_uses);
        assert_eq!(
            frequency,
            if by_worth { 6 } else { 1 },
            "where all weigh one, none has left so much"
        );
    }
}

#[test]
fn nothing_to_evict_is_no_victim() {
    let toy = Toy::new(10);
    let delta = toy.policy.probation_delta(&toy.cursor);
    let fill = Fill { capacity: 10, free: 0 };
    assert!(toy.victim(&delta, fill).is_none());
}

#[test]
fn what_is_heard_counts_up_to_fifteen_and_halves() {
    let periods = Periods::new(100);
    let mut recent_uses = RecentUses::default();
    for times in 1..=20_u64 {
        recent_uses = periods.add_use(recent_uses, 0);
        assert_eq!(periods.count(recent_uses, 0), times.min(15));
        assert_eq!(RecentUses::from_bits(recent_uses.bits()), recent_uses);
    }
    assert_eq!(periods.count(recent_uses, 1_199), 15);
    assert_eq!(periods.count(recent_uses, 1_200), 7);
    assert_eq!(periods.count(recent_uses, 3_600), 1);
    assert_eq!(periods.count(recent_uses, 4_800), 0);
    assert_eq!(periods.count(recent_uses, 15 * 1_200), 0);
    let again = periods.add_use(recent_uses, 1_200);
    assert_eq!((periods.count(again, 1_200), periods.count(again, 2_400)), (8, 4));
}

#[test]
fn what_was_heard_of_a_key_outlives_its_entry() {
    let mut toy = Toy::new(100);
    (0..100).for_each(|key| toy.access(key));
    let count = |toy: &Toy, key: u64| {
        let slot = toy.find(mix(key)).expect("it is there");
        toy.history.periods.count(toy.entries.recent_uses(slot), toy.policy.now(&toy.cursor))
    };
    toy.access(1_000);
    assert_eq!(count(&toy, 1_000), 1, "it came in");
    let mut others = 2_000..;
    while toy.find(mix(1_000)).is_some() {
        toy.access(others.next().expect("there are more"));
    }
    toy.access(1_000);
    assert_eq!(count(&toy, 1_000), 2, "it came in again");
}

#[test]
fn who_came_first_is_named_first() {
    let fifo = probation_fifo::ProbationFifo::new(8 << 10);
    let (own, other) =
        (probation_fifo::LocalBatch::default(), probation_fifo::LocalBatch::default());
    let known = |key: u64| mix(key) & fingerprint::MASK;
    let take = |now| fifo.take(&own, now).collect::<Vec<_>>();
    assert_eq!(take(0), [0; 0], "there is nobody");
    (0..20).for_each(|key| _ = fifo.add(&own, mix(key), key));
    (100..116).for_each(|key| _ = fifo.add(&other, mix(key), key));
    for first in [0, 8, 100, 108] {
        assert_eq!(take(200), (first..first + 8).map(known).collect::<Vec<_>>());
        assert_eq!(fifo.batch_age(), 200 - (first + 7), "put when it was full");
    }
    assert_eq!(take(200), (16..20).map(known).collect::<Vec<_>>(), "collected, and not yet put");
    assert_eq!(take(200), [0; 0]);
}

#[test]
fn what_weighs_nothing_has_no_name() {
    let (history, policy, cursor) =
        (History::new(100), Policy::new(false, 100), EvictionCursor::default());
    let fingerprints = || history.fifo.take(&cursor.local_batch, 0).count();
    policy.record_insert(&history, &cursor, (mix(1), SlotMeta::NEW), 0);
    assert_eq!(fingerprints(), 0);
    policy.record_insert(&history, &cursor, (mix(1), SlotMeta::new(Stage::Protected, 0)), 1);
    assert_eq!(fingerprints(), 0, "nor has what starts protected");
    policy.record_insert(&history, &cursor, (mix(1), SlotMeta::NEW), 1);
    assert_eq!(fingerprints(), 1);
}

#[test]
fn the_oldest_names_make_room() {
    let fifo = probation_fifo::ProbationFifo::new(100);
    let own = probation_fifo::LocalBatch::default();
    (0..1_000).for_each(|key| _ = fifo.add(&own, mix(key), key));
    let fingerprints: Vec<u64> = (0..1_000).flat_map(|_| fifo.take(&own, 1_000)).collect();
    let last = (1_000 - 128..1_000).map(|key| mix(key) & fingerprint::MASK);
    assert_eq!(fingerprints, last.collect::<Vec<_>>());
}

#[test]
fn names_move_to_a_larger_memory() {
    let fifo = probation_fifo::ProbationFifo::new(4 << 10);
    let own = probation_fifo::LocalBatch::default();
    (0..40).for_each(|key| _ = fifo.add(&own, mix(key), key));
    let before: Vec<u64> = fifo.take(&own, 50).collect();
    let grown = fifo.resized(8 << 10);
    let fingerprints: Vec<u64> = (0..40).flat_map(|_| grown.take(&own, 50)).collect();
    let all: Vec<u64> =
        [before, fingerprints].concat().into_iter().filter(|&name| name != 0).collect();
    assert_eq!(all, (0..40).map(|key| mix(key) & fingerprint::MASK).collect::<Vec<_>>());
}

#[test]
fn who_has_no_name_is_found_by_the_hand() {
    let mut toy = Toy::new(200);
    (0..200).for_each(|key| toy.access(key));
    // As in a cache that was full before the policy began to look.
    toy.history = History::new(200);
    toy.cursor = EvictionCursor::default();
    let before = toy.on_probation();
    assert!(before > 0);
    let old: Vec<u64> = (0..200).map(mix).collect();
    (1_000..3_000).for_each(|key| toy.access(key));
    let slots = toy.entries.slots.borrow();
    let left = |slot: &&(u64, u8)| slot.1 & 3 != 3 && old.contains(&slot.0);
    assert_eq!(slots.iter().flatten().filter(left).count(), 0);
}

#[test]
fn a_hand_knows_how_long_a_round_takes() {
    let hand = hand::Hand::new();
    let step = 1_u64 << 58;
    for now in 1..=640 {
        assert_eq!(hand.claim(step, now), ScanPosition(step.wrapping_mul(now - 1)));
    }
    assert!((60..=64).contains(&hand.age(640)), "{}", hand.age(640));
}

#[test]
fn a_thread_meets_every_entry_of_a_round_once() {
    let toy = Toy::new(1 << BITS);
    for slot in 0..1 << BITS {
        // One range holds more than a thread keeps places of; the next ones hold nothing.
        let stage = if (100..=900).contains(&slot) { Stage::Protected } else { Stage::Old };
        toy.entries.set(slot, mix(slot as u64), stage, 0);
    }
    let hand = hand::Hand::new();
    let met: Vec<usize> = (0..223)
        .map(|now| {
            let slot = hand.current(&toy.entries, Region::Probation, &toy.cursor.probation, now);
            toy.cursor.probation.step();
            slot.expect("there are more")
        })
        .collect();
    assert_eq!(met, (0..100).chain(901..1024).collect::<Vec<_>>());
}

#[test]
fn misses_are_reported_by_the_handful() {
    let (history, policy) = (History::new(100_000), Policy::new(false, 100_000));
    let (busy, idle) = (EvictionCursor::default(), EvictionCursor::default());
    let fill = Fill { capacity: 100_000, free: 0 };
    for nth in 1..=100 {
        policy.admit(&history, &busy, (mix(nth), || Worth::new(1, 1, 1)), fill);
        assert_eq!(policy.now(&busy), nth, "a thread knows its own");
        assert!(nth - policy.now(&idle) < 16, "others know them a little later");
    }
}

#[test]
fn extreme_sizes_do_not_overflow() {
    for entries in [0, 1, 2, 7] {
        let history = History::new(entries);
        let policy = Policy::new(false, entries as u64);
        for capacity in [0, 1, u64::MAX] {
            let cursor = EvictionCursor::default();
            policy.admit(
                &history,
                &cursor,
                (7, || Worth::new(1, 1, 1)),
                Fill { capacity, free: 0 },
            );
            policy.record_insert(&history, &cursor, (7, SlotMeta::NEW), u64::MAX);
        }
        assert!(history.bytes() > 0);
    }
}

#[test]
fn worth_is_compared_without_rounding_or_overflow() {
    let worth = Worth::new;
    assert!(worth(1, 1, 3).exceeds(worth(1, 1, 4), 1), "the same for less weight");
    assert!(worth(3, 1, 1_000_001).exceeds(worth(2, 1, 1_000_000), 1));
    assert!(!worth(2, 5, 10).exceeds(worth(5, 2, 10), 1), "equals");
    assert!(worth(1, 1, 10).exceeds(worth(1, 1, 100), 9));
    assert!(!worth(1, 1, 10).exceeds(worth(1, 1, 100), 10), "ten times as much, and not more");
    let most = u64::MAX;
    assert!(
        worth(15, most, most).exceeds(worth(15, 0, 1), most),
        "of nothing, any number is nothing"
    );
    assert!(!worth(15, most, most).exceeds(worth(1, most, most), 1), "cut off, both save the most");
    assert!(worth(15, most, 1).exceeds(worth(15, most, most), 1));
    assert!(!worth(0, most, 1).exceeds(worth(0, 0, most), 2));
}

#[test]
fn what_is_better_is_lighter_or_dearer_and_not_only_asked_for_more_often() {
    let worth = Worth::new;
    assert!(!worth(15, 1, 10).is_better_than(worth(1, 1, 10), 1), "no lighter, and no dearer");
    assert!(worth(15, 1, 10).exceeds(worth(1, 1, 10), 1));
    assert!(worth(15, 1, 9).is_better_than(worth(1, 1, 10), 1), "lighter");
    assert!(worth(15, 2, 10).is_better_than(worth(1, 1, 10), 1), "dearer");
    assert!(!worth(15, 2, 10).is_better_than(worth(1, 1, 10), 2), "not by more than twice");
    assert!(!worth(1, 1, 9).is_better_than(worth(2, 1, 10), 1), "asked for half as often");
}
