use std::collections::HashMap;
use std::sync::Arc;

use super::Table;
use super::bucket::BucketRef;
use super::bucket::Lookup;
use super::deadline_tree::DeadlineTree;
use super::group::SLOTS_PER_GROUP;
use super::header::{Announced, Header};
use super::slot_word::{SlotWord, tag_of};
use super::summary::Summaries;
use super::view::View;
use crate::entry::EntryLayout;
use crate::reclaim::ChargedTo;
use crate::slot_meta::{Region, ScanStep, SlotMeta, Stage};

/// A generator of numbers that look random (xorshift).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

const OLD: SlotMeta = SlotMeta::new(Stage::Old, 0);
const PROTECTED: SlotMeta = SlotMeta::new(Stage::Protected, 0);

#[test]
fn a_touch_counts_to_three_and_spares_what_is_frozen() {
    for stage in 1..=3 {
        let mut word = SlotWord::visible(70, u64::MAX, SlotMeta::from_bits(stage));
        for count in 1..=3 {
            word = word.touched().expect("below three");
            assert_eq!(word.meta().bits(), stage | count << 2);
            assert!(word.is_same_entry(SlotWord::visible(
                70,
                u64::MAX,
                SlotMeta::from_bits(stage)
            )));
        }
        assert_eq!(word.touched(), None, "full");
        assert_eq!(SlotWord::visible(70, 7, SlotMeta::from_bits(stage)).frozen().touched(), None);
    }
}

#[test]
fn a_word_keeps_its_fields_apart() {
    let mut numbers = Numbers(3);
    for _ in 0..10_000 {
        let (number, hash, other) = (numbers.next() as u32, numbers.next(), numbers.next());
        let bits = (numbers.next() as u8 & 15) | 1;
        let word = SlotWord::visible(number, hash, SlotMeta::from_bits(bits));
        assert_eq!((word.number(), word.meta().bits()), (number, bits));
        assert!(word.is_readable_as(tag_of(hash)));
        assert_eq!(word.is_readable_as(tag_of(other)), tag_of(hash) == tag_of(other));
        let marked = word.with_meta(SlotMeta::from_bits(bits ^ 0b1100));
        assert_eq!((marked.number(), marked.meta().bits()), (number, bits ^ 0b1100));
        let replaced = word.with_number(other as u32);
        assert_eq!((replaced.number(), replaced.meta().bits()), (other as u32, bits));
        assert!(replaced.is_readable_as(tag_of(hash)) && marked.is_readable_as(tag_of(hash)));
        assert!(marked.is_same_entry(word) && !replaced.is_same_entry(word));
        let region = if bits & 3 == 3 { Region::Protected } else { Region::Probation };
        for of in [Region::Probation, Region::Protected] {
            assert_eq!(word.is_of(of), of == region);
            assert!(!word.claimed().is_of(of) && !SlotWord::vacant(number >> 6).is_of(of));
        }
    }
}

#[test]
fn the_tag_is_not_made_of_the_bits_that_choose_the_bucket() {
    assert_ne!(tag_of(0), tag_of(1 << 16));
    assert_eq!(tag_of(0), tag_of(1 << 63));
}

#[test]
fn a_control_word_keeps_its_fields_apart() {
    for slot_index in 0..SLOTS_PER_GROUP {
        for number in [64, 1 << 31, u32::MAX] {
            for in_chain in [false, true] {
                let before = Header(0);
                let (announced, wanted) = if in_chain {
                    (before.announcing_in_chain(number), Announced::InChain(number))
                } else {
                    (before.announcing(slot_index, number), Announced::InSlot(slot_index, number))
                };
                assert_eq!(announced.announced(), wanted);
                assert!(announced.announces(number) && !announced.announces(number - 1));
                assert_eq!(announced.overflows(), in_chain);
                assert_eq!(announced.version(), before.version() + 1);
                assert!(!announced.is_frozen() && !announced.is_moved());
                let cleared = announced.without_announcement();
                assert_eq!(cleared.announced(), Announced::Nothing);
                assert_eq!(cleared.version(), announced.version() + 1);
                assert_eq!(cleared.overflows(), in_chain);
                let next = announced.announcing(0, 64);
                assert_eq!(next.announced(), Announced::InSlot(0, 64));
                assert_eq!(next.overflows(), in_chain, "it stays");
            }
        }
    }
}

#[test]
fn freezing_and_moving_leave_the_rest() {
    let header = Header(0).announcing_in_chain(64);
    let frozen = header.freezing();
    assert!(frozen.is_frozen() && !frozen.is_moved() && frozen.overflows());
    assert_eq!((frozen.announced(), frozen.version()), (Announced::Nothing, header.version() + 1));
    assert!(frozen.moved().is_moved() && frozen.moved().is_frozen());
    let dissolved = header.without_overflow();
    assert!(!dissolved.overflows());
    assert_eq!(dissolved.announced(), Announced::Nothing, "of another version");
    assert_eq!(dissolved.version(), header.version() + 1);
}

#[test]
fn a_version_wraps_without_a_trace() {
    let mut header = Header(u64::MAX << 38).announcing_in_chain(70);
    assert_eq!((header.version(), header.announced()), (0, Announced::InChain(70)));
    assert!(header.overflows() && !header.is_frozen());
    header = header.announcing(6, 71);
    assert_eq!((header.version(), header.announced()), (1, Announced::InSlot(6, 71)));
}

#[test]
fn a_target_that_is_ready_differs_from_one_that_is_not() {
    for overflows in [false, true] {
        let ready = Header::ready(overflows);
        assert_ne!(ready.0, 0);
        assert_eq!((ready.overflows(), ready.version()), (overflows, 1));
        assert_eq!(ready.announced(), Announced::Nothing);
    }
}

#[test]
fn the_states_of_a_word_exclude_each_other() {
    let visible = SlotWord::visible(64, 1, SlotMeta::NEW);
    let claimed = visible.claimed();
    assert!(visible.is_readable() && !visible.is_claimed() && !visible.is_vacant());
    assert!(!claimed.is_readable() && claimed.is_claimed() && !claimed.is_vacant());
    assert!(visible.frozen().is_readable() && visible.frozen().is_frozen());
    assert!(!claimed.frozen().is_readable() && !claimed.frozen().is_claimed());
    assert_eq!(claimed.revealed(), visible);
    for word in [visible, claimed, visible.frozen()] {
        assert!(word.is_occupied());
        assert_eq!(word.number(), 64);
    }
    for version in [0, 1, (1 << 26) - 1] {
        let vacant = SlotWord::vacant(version);
        assert!(vacant.is_vacant() && !vacant.is_untouched() && vacant.is_vacated_at(version));
        assert!(!vacant.is_vacated_at(version ^ 1) && !vacant.frozen().is_vacant());
    }
    let untouched = SlotWord::UNTOUCHED;
    assert!(untouched.is_vacant() && untouched.is_untouched() && !untouched.is_vacated_at(0));
    let sealed = SlotWord::sealed();
    assert!(!sealed.is_vacant() && !sealed.is_readable() && sealed.is_frozen());
    for word in [SlotWord::vacant(0), untouched, sealed] {
        assert!(!word.is_occupied() && !word.is_readable());
        assert!(word.meta().is_vacant());
    }
}

#[test]
fn a_summary_leads_to_the_next_noted_bucket() {
    const LAST: usize = 199;
    let summaries = Summaries::new(200);
    assert_eq!(summaries.next(Region::Probation, 0, LAST), None);
    for bucket in [0, 63, 64, 130, 199] {
        summaries.note(bucket, SlotMeta::NEW);
    }
    summaries.note(70, PROTECTED);
    summaries.note(71, SlotMeta::from_bits(0));
    let mut met = Vec::new();
    let mut at = 0;
    while let Some(bucket) = summaries.next(Region::Probation, at, LAST) {
        met.push(bucket);
        at = bucket + 1;
    }
    assert_eq!(met, [0, 63, 64, 130, 199]);
    assert_eq!(summaries.next(Region::Protected, 0, LAST), Some(70));
    assert_eq!(summaries.next(Region::Protected, 71, LAST), None);
    summaries.clear_bit(Region::Probation, 64);
    assert_eq!(summaries.next(Region::Probation, 64, LAST), Some(130));
    assert_eq!(summaries.next(Region::Probation, 64, 129), None);
    assert_eq!(summaries.next(Region::Probation, 200, LAST), None);
}

type Toy = Table<u64, u64, (), ()>;

/// A table whose keys are their own hashes, so that a test chooses their homes.
fn toy(bits: u32) -> Toy {
    Table::new(EntryLayout::PLAIN, u64::MAX, bits, ())
}

pub(super) fn with<R>(table: &Toy, f: impl FnOnce(View<'_, u64, u64, (), ()>) -> R) -> R {
    let guard = table.pin();
    f(table.view(guard.guard_ref()))
}

pub(super) fn insert(table: &Toy, key: u64, value: u64) -> Option<u64> {
    with(table, |view| {
        let mut entry = view.entry(key, key, value, 1);
        loop {
            entry = match view.find_for_write(key, |&k| k == key) {
                Lookup::Vacant(vacant) => match vacant.commit(entry, SlotMeta::NEW) {
                    Ok(()) => return None,
                    Err(entry) => entry,
                },
                Lookup::Occupied(occupied) => match view.replace(occupied, (entry, false)) {
                    Ok(old) => {
                        let value = *old.as_ref().value();
                        view.retire(old, ChargedTo::Nowhere);
                        return Some(value);
                    }
                    Err(entry) => entry,
                },
            };
        }
    })
}

pub(super) fn remove(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| {
        loop {
            let Lookup::Occupied(occupied) = view.find_for_write(key, |&k| k == key) else {
                return None;
            };
            if let Some((old, _)) = view.unlink(occupied) {
                let value = *old.as_ref().value();
                view.retire(old, ChargedTo::Nowhere);
                return Some(value);
            }
        }
    })
}

fn get(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| view.find(key, |&k| k == key).map(|occupied| *occupied.entry().value()))
}

pub(super) fn audit(table: &Toy) -> usize {
    with(table, |view| view.audit(|a, b| a == b).entries)
}

/// Random steps on a table and on a map, with keys of few homes.
fn compare(bits: u32, homes: u64, keys: u64, grow: bool) {
    let (table, mut map, mut numbers) = (toy(bits), HashMap::new(), Numbers(9));
    for step in 0..6_000_u64 {
        let number = numbers.next();
        let nth = (number >> 8) % keys;
        // Hashes leave two bits above the tag alone.
        let key = ((number % homes) << 60) | nth >> 6 << 8 | nth & 63;
        match number >> 32 & 3 {
            0 => assert_eq!(remove(&table, key), map.remove(&key)),
            1 => assert_eq!(get(&table, key), map.get(&key).copied()),
            _ => assert_eq!(insert(&table, key, step), map.insert(key, step)),
        }
        if grow && step % 500 == 250 {
            with(&table, |view| view.grow(|_, _| ()));
        }
        if step % 100 == 0 {
            assert_eq!(audit(&table), map.len());
        }
    }
    assert!(map.iter().all(|(&key, &value)| get(&table, key) == Some(value)));
}

#[test]
fn a_table_is_a_map() {
    compare(4, 16, 4, false);
    compare(1, 2, 100, false);
    compare(4, 1, 60, false);
}

#[test]
fn a_table_that_grows_is_a_map() {
    compare(1, 16, 40, true);
    compare(1, 1, 30, true);
}

#[test]
fn a_chain_goes_when_it_is_empty() {
    let table = toy(1);
    (0..40).for_each(|key| assert_eq!(insert(&table, key, key), None));
    with(&table, |view| assert_eq!(view.current().links.get(), 5));
    (0..40).rev().for_each(|key| assert_eq!(remove(&table, key), Some(key)));
    with(&table, |view| assert_eq!(view.current().links.get(), 0));
    assert_eq!(audit(&table), 0);
}

/// What a header word announces is of one version. The end of a chain is another one, at which the slot was not
/// vacated.
#[test]
fn the_end_of_a_chain_brings_nothing_back() {
    let (table, last) = (toy(1), SLOTS_PER_GROUP as u64);
    (0..=last).for_each(|key| assert_eq!(insert(&table, key, key), None));
    assert_eq!(remove(&table, 0), Some(0));
    assert_eq!(insert(&table, 20, 20), None);
    assert_eq!(remove(&table, 20), Some(20));
    assert_eq!(remove(&table, last), Some(last));
    let overflows = with(&table, |view| BucketRef::at(view.current(), 0).header().overflows());
    assert!(!overflows, "the chain is gone");
    assert_eq!(insert(&table, 21, 21), None);
    assert_eq!(get(&table, 20), None, "what left before is back");
    assert_eq!(audit(&table), SLOTS_PER_GROUP);
}

/// A slot that was vacated by the entry that was announced last is taken by the next.
#[test]
fn a_slot_is_used_over_and_over() {
    let table = toy(1);
    for key in 0..60 {
        assert_eq!(insert(&table, key, key), None);
        assert_eq!(remove(&table, key), Some(key));
        assert_eq!(get(&table, key), None);
    }
    assert_eq!(with(&table, |view| view.current().links.get()), 0);
    assert_eq!(audit(&table), 0);
}

#[test]
fn a_mark_is_of_the_entry_that_was_met() {
    let table = toy(1);
    for key in [1, 9] {
        (0..key).for_each(|key| _ = insert(&table, key << 8, key));
        insert(&table, key, 10);
        with(&table, |view| {
            let met = view.find(key, |&k| k == key).expect("it is there");
            insert(&table, key, 20);
            assert!(
                !met.mark(SlotMeta::NEW, PROTECTED),
                "its successor, with the same bits, was promoted"
            );
            let now = view.find(key, |&k| k == key).expect("it is there");
            assert!(now.mark(SlotMeta::NEW, PROTECTED));
        });
    }
}

#[test]
fn a_walk_meets_everything_once() {
    for grow in [false, true] {
        let table = toy(3);
        let mut numbers = Numbers(4);
        let keys: Vec<u64> = (0..100).map(|_| numbers.next()).collect();
        keys.iter().for_each(|&key| assert_eq!(insert(&table, key, key), None));
        if grow {
            with(&table, |view| view.grow(|_, _| ()));
            // A write moves some buckets.
            insert(&table, keys[0], keys[0]);
        }
        let (mut met, mut position) = (Vec::new(), Some(0));
        while let Some(from) = position {
            with(&table, |view| {
                let mut found = Vec::new();
                position = view.collect_entries(from..u64::MAX, &mut found, |a, b| a == b);
                met.extend(found.iter().map(|occupied| *occupied.entry().key()));
            });
        }
        let mut expected = keys;
        expected.sort_unstable();
        met.sort_unstable();
        assert_eq!(met, expected);
    }
}

#[test]
fn a_small_table_has_ranges_for_many_threads() {
    // With fewer, 64 threads hold more of a round than there is, and it seems to be short.
    for (bits, stretches) in [(1, 1), (5, 5), (6, 6), (12, 6), (14, 6), (15, 7)] {
        assert_eq!(
            with(&toy(bits), |view| view.range_length()),
            1 << (64 - stretches),
            "{bits} bits"
        );
    }
}

#[test]
fn a_hand_meets_everything_of_its_region_in_a_round() {
    let table = toy(3);
    let mut numbers = Numbers(5);
    let mut keys: Vec<u64> = (0..60).map(|_| numbers.next()).collect();
    keys.extend(0..20); // a long chain
    keys.iter().for_each(|&key| assert_eq!(insert(&table, key, key), None));
    let (mut met, mut marked, mut position) = (Vec::new(), 0, 0_u64);
    with(&table, |view| {
        let stretch = view.range_length();
        loop {
            // Six at a time, so that a bucket's chain is left in the middle.
            let (mut room, mut left) = (6, stretch - position % stretch);
            let mut found = Vec::new();
            let behind = view.scan(Region::Probation, position, left, |at, meta| {
                assert_eq!(meta, SlotMeta::NEW);
                room -= 1;
                found.push(at);
                match room {
                    ..0 => ScanStep::Stop,
                    // The others stay as they are.
                    5 => ScanStep::Mark(OLD),
                    _ => ScanStep::Keep,
                }
            });
            if room < 0 {
                assert_eq!(found.pop(), Some(position + behind), "it stops where it was declined");
                left = behind;
            }
            for at in found {
                assert!(at >= position, "in order");
                assert!(view.get_at(Region::Protected, at).is_none());
                let seen = view.get_at(Region::Probation, at).expect("just surveyed");
                let occupied = view.occupied(seen);
                let bucket = occupied.bucket;
                let rank = (at - bucket.array.place_of(bucket.index())) as usize;
                if rank < SLOTS_PER_GROUP {
                    assert!(std::ptr::eq(occupied.slot, bucket.group().slot(rank)));
                } else {
                    assert!(occupied.is_in_chain());
                }
                marked += usize::from(occupied.meta() == OLD);
                met.push(*occupied.entry().key());
            }
            position = position.wrapping_add(left);
            if position == 0 {
                break;
            }
        }
        const TAG: u64 = 0x3f << 16;
        for &key in &keys {
            let known = u64::MAX << 40 | TAG;
            let occupied = view
                .find_by_fingerprint(Region::Probation, key & known, known)
                .expect("it is there");
            assert_eq!((occupied.entry().key() ^ key) & known, 0);
            assert!(view.find_by_fingerprint(Region::Protected, key & known, known).is_none());
            assert!(view.find_by_fingerprint(Region::Probation, key ^ 1 << 45, known).is_none());
        }
        let mut none = true;
        view.scan(Region::Protected, 0, stretch, |_, _| {
            none = false;
            ScanStep::Keep
        });
        assert!(none, "there is none");
    });
    keys.sort_unstable();
    met.sort_unstable();
    assert_eq!(met, keys);
    assert!(marked >= keys.len() / 6, "the first of each six");
}

#[test]
fn a_bucket_is_passed_by_once_nothing_of_a_region_is_left() {
    let table = toy(3);
    (0..40).for_each(|key| assert_eq!(insert(&table, key, key), None));
    let marked = |region| {
        with(&table, |view| {
            let array = view.current();
            (0..array.len()).filter(|&at| array.summaries().next(region, at, at).is_some()).count()
        })
    };
    assert_eq!((marked(Region::Probation), marked(Region::Protected)), (1, 0));
    for key in 0..20 {
        with(&table, |view| {
            let occupied = view.find(key, |&k| k == key).expect("it is there");
            assert!(occupied.mark(occupied.meta(), PROTECTED));
        });
    }
    assert_eq!((marked(Region::Probation), marked(Region::Protected)), (1, 1));
    (20..40).for_each(|key| assert!(remove(&table, key).is_some()));
    with(&table, |view| {
        view.scan(Region::Probation, 0, view.range_length(), |_, _| ScanStep::Keep)
    });
    assert_eq!((marked(Region::Probation), marked(Region::Protected)), (0, 1));
    (0..20).for_each(|key| assert!(remove(&table, key).is_some()));
    with(&table, |view| {
        view.scan(Region::Protected, 0, view.range_length(), |_, _| ScanStep::Keep)
    });
    assert_eq!((marked(Region::Probation), marked(Region::Protected)), (0, 0));
    let overflows = with(&table, |view| BucketRef::at(view.current(), 0).header().overflows());
    assert!(!overflows, "the flag of a chain that is gone");
}

#[test]
fn dropping_a_table_drops_what_it_holds() {
    let value = Arc::new(());
    for grow in [false, true] {
        let table: Table<u64, Arc<()>, (), ()> = Table::new(EntryLayout::TIMED, u64::MAX, 1, ());
        for key in 0..100 {
            let guard = table.pin();
            let view = table.view(guard.guard_ref());
            let Lookup::Vacant(vacant) = view.find_for_write(key, |&k| k == key) else {
                panic!("it is new")
            };
            let entry = view.entry(key, key, Arc::clone(&value), 1);
            assert!(vacant.commit(entry, SlotMeta::NEW).is_ok());
            if grow && key == 98 {
                view.grow(|_, _| ());
            }
        }
        assert_eq!(Arc::strong_count(&value), 101);
        drop(table);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

/// As in a child that was forked while another thread of its parent migrated: that thread is not there.
#[test]
fn dropping_a_table_that_somebody_was_migrating_drops_each_entry_once() {
    let value = Arc::new(());
    for filled in [false, true] {
        let table: Table<u64, Arc<()>, (), ()> = Table::new(EntryLayout::PLAIN, u64::MAX, 2, ());
        for key in 0..40 {
            let guard = table.pin();
            let view = table.view(guard.guard_ref());
            let hash = key << 58;
            let Lookup::Vacant(vacant) = view.find_for_write(hash, |&k| k == key) else {
                panic!("it is new")
            };
            let entry = view.entry(hash, key, Arc::clone(&value), 1);
            assert!(vacant.commit(entry, SlotMeta::NEW).is_ok());
        }
        {
            let guard = table.pin();
            table.view(guard.guard_ref()).fall_asleep(|_, _| (), [0, 3 << 62], filled);
        }
        assert_eq!(Arc::strong_count(&value), 41);
        drop(table);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

/// A hand that loses its processor between its look at a bucket and its look at a slot.
#[test]
fn a_slot_that_was_frozen_when_it_was_seen_is_not_unlinked_and_sends_nobody_on() {
    let table: Table<u64, u64, (), ()> = Table::new(EntryLayout::PLAIN, u64::MAX, 2, ());
    let guard = table.pin();
    let view = table.view(guard.guard_ref());
    for key in 0..40 {
        let hash = key << 58;
        let Lookup::Vacant(vacant) = view.find_for_write(hash, |&k| k == key) else {
            panic!("it is new")
        };
        assert!(vacant.commit(view.entry(hash, key, key, 1), SlotMeta::NEW).is_ok());
    }
    view.fall_asleep(|_, _| (), [0], false);
    let bucket = BucketRef::of(view.current(), 0);
    let words = bucket.group().words().filter(|(_, word)| word.is_readable());
    let seen: Vec<_> =
        words.map(|(nth, word)| bucket.snapshot(bucket.group().slot(nth), word)).collect();
    assert!(!seen.is_empty());
    while view.migrate(64) > 0 {}
    for seen in seen {
        let occupied = view.occupied(seen);
        assert!(view.unlink(occupied).is_none(), "the entry is somewhere else");
        view.help_migrate(occupied);
        let (key, hash) = (*seen.entry().key(), seen.entry().hash());
        assert!(view.find(hash, |&k| k == key).is_some(), "{key}");
    }
}

#[test]
fn the_number_of_buckets_fits_the_number_of_entries() {
    for (entries, bits) in [(0, 1), (1, 1), (8, 1), (9, 2), (1000, 8), (1 << 20, 18)] {
        assert_eq!(Toy::bits_for(entries), bits, "{entries}");
    }
    assert_eq!(Toy::bits_for(usize::MAX), Toy::MAX_BITS);
}

#[test]
fn the_earliest_is_found_wherever_it_is() {
    for buckets in [2, 8, 64, 4_096] {
        let due = DeadlineTree::new(buckets);
        for index in 0..buckets {
            assert!(due.find(u64::MAX - 2, index).is_none(), "nothing expires");
            due.note(index, 1_000);
            due.note(index, 100);
            assert!(due.find(99, 7).is_none());
            let found = due.find(100, index.wrapping_mul(77)).expect("it is due");
            assert_eq!(found.index, index);
            assert!(due.set_earliest(found, u64::MAX));
        }
    }
}

#[test]
fn every_bucket_that_is_due_is_found_once() {
    let due = DeadlineTree::new(1_024);
    (0..1_024).for_each(|index| due.note(index, index as u64 % 10));
    let mut found = Vec::new();
    while let Some(overdue) = due.find(4, found.len()) {
        found.push(overdue.index);
        assert!(due.set_earliest(overdue, 10));
    }
    found.sort_unstable();
    let expected: Vec<usize> = (0..1_024).filter(|index| index % 10 <= 4).collect();
    assert_eq!(found, expected);
    assert!(due.find(9, 0).is_some());
}

#[test]
fn what_is_noted_meanwhile_is_not_put_right() {
    let due = DeadlineTree::new(64);
    due.note(3, 50);
    let overdue = due.find(50, 0).expect("it is due");
    due.note(3, 40);
    assert!(!due.set_earliest(overdue, 1_000));
    assert_eq!(due.find(40, 0).map(|overdue| overdue.index), Some(3));
}
