use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{
    Entry, EntryLayout, EntryRef, HEAVIEST, Include, Kind, LoadStatus, LoadToken, RawEntry, Slab,
    plain_hash,
};
use crate::sync::{EntryWord, Holder};

const PLAINS: [EntryLayout; 3] = [EntryLayout::PLAIN, EntryLayout::TIMED, EntryLayout::IDLING];
const WEIGHED: EntryLayout = EntryLayout::PLAIN.weighed();

fn shapes() -> impl Iterator<Item = EntryLayout> {
    PLAINS.into_iter().flat_map(|entry_layout| [entry_layout, entry_layout.weighed()])
}

fn words<K, V>(entry: EntryRef<'_, K, V>) -> [Option<&EntryWord>; 3] {
    [entry.deadline(), entry.modified(), entry.idle_deadline()]
}

/// Makes an entry, looks at all of it, writes its words, and takes it apart.
fn exercise<K, V>(key: impl Fn() -> K, value: impl Fn() -> V)
where
    K: PartialEq + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for entry_layout in shapes() {
        let slab = Slab::new(entry_layout);
        let entry = Entry::new(&slab, 7 << 16, key(), value(), 42);
        let borrowed = entry.as_ref();
        assert_eq!(
            (borrowed.hash(), borrowed.key(), borrowed.value()),
            (7 << 16, &key(), &value())
        );
        assert_eq!(borrowed.charge(), if entry_layout.is_weighed() { 42 } else { 1 });
        assert!(std::ptr::from_ref(borrowed.key()).is_aligned());
        assert!(std::ptr::from_ref(borrowed.value()).is_aligned());
        for (nth, word) in words(borrowed).into_iter().enumerate() {
            assert_eq!(
                word.is_some(),
                nth < entry_layout.times(),
                "word {nth} of {entry_layout:?}"
            );
            assert!(word.is_none_or(|word| std::ptr::from_ref(word).is_aligned()));
            assert!(word.is_none_or(|word| word.get() == 0), "zero at first");
            word.inspect(|word| word.set(nth as u64 + 100));
        }
        // The words do not overlap each other, nor the fixed part.
        for (nth, word) in words(borrowed).into_iter().enumerate() {
            assert!(word.is_none_or(|word| word.get() == nth as u64 + 100));
        }
        assert_eq!(
            (borrowed.hash(), borrowed.key(), borrowed.value()),
            (7 << 16, &key(), &value())
        );
        assert_eq!(borrowed.charge(), if entry_layout.is_weighed() { 42 } else { 1 });
        let raw = entry.into_raw();
        // SAFETY: it came from `into_raw` just now, and is of this slab.
        let entry = unsafe { Entry::<K, V>::from_raw(raw, &slab) };
        assert_eq!(entry.into_parts(), (key(), value()));
    }
}

#[derive(Debug, PartialEq)]
struct Aligned<A>(u8, [A; 0]);

macro_rules! aligned {
    ($($name:ident = $align:literal),*) => {
        $(#[derive(Debug, PartialEq)] #[repr(align($align))] struct $name;)*
        #[test]
        fn entries_are_aligned_for_their_keys_and_values() {
            $(
                exercise(|| Aligned::<$name>(3, []), || 5_u8);
                exercise(|| 5_u8, || Aligned::<$name>(3, []));
                exercise(|| $name, || Aligned::<$name>(3, []));
            )*
        }
    };
}
aligned!(A1 = 1, A2 = 2, A4 = 4, A8 = 8, A16 = 16, A32 = 32, A64 = 64, A4096 = 4096);

#[test]
fn entries_of_all_sizes_are_whole() {
    exercise(|| (), || ());
    exercise(|| 1_u8, || ());
    exercise(|| (), || [9_u8; 4097]);
    exercise(|| "a key".to_string(), || vec![1, 2, 3]);
    exercise(|| u128::MAX, || 1_u8);
}

#[test]
fn an_entry_pays_only_for_the_words_of_its_shape() {
    let size = |entry_layout| Slab::<u64, u64>::new(entry_layout).record().0.size();
    assert_eq!(PLAINS.map(size), [24, 40, 48]);
    assert_eq!(PLAINS.map(|entry_layout| size(entry_layout.weighed())), [32, 48, 56]);
    let (plain, offset) = Slab::<(), ()>::new(EntryLayout::PLAIN).record();
    assert_eq!((plain.size(), offset), (8, 0));
    let (aligned, offset) = Slab::<A64, u8>::new(EntryLayout::IDLING.weighed()).record();
    assert_eq!((aligned.align(), offset), (64, 64), "the words lie in the padding");
}

#[test]
fn records_are_told_apart_even_without_contents() {
    let slab = Slab::new(EntryLayout::PLAIN);
    let (one, other) = (Entry::new(&slab, 0, (), (), 1), Entry::new(&slab, 0, (), (), 1));
    assert!(one.as_ref().is(one.as_ref()));
    assert!(!one.as_ref().is(other.as_ref()));
}

#[test]
fn charges_of_all_sizes_are_kept() {
    for charge in [0, 1, HEAVIEST] {
        assert_eq!(Entry::new(Slab::leaked(WEIGHED), 0, 0, 0, charge).as_ref().charge(), charge);
    }
}

#[test]
fn a_charge_is_counted_out_once() {
    for charge in [0, 1, HEAVIEST] {
        let entry = Entry::new(Slab::leaked(WEIGHED), 0, 0, 0, charge);
        let entry = entry.as_ref();
        assert_eq!((entry.is_counted(), entry.uncount()), (false, None));
        entry.count();
        assert!(entry.is_counted());
        assert_eq!(entry.charge(), charge);
        assert_eq!((entry.uncount(), entry.uncount()), (Some(charge), None));
        assert!(!entry.is_counted());
        assert_eq!(entry.charge(), charge);
    }
}

/// Counts its drops; panics if told to.
struct Noisy(Rc<Cell<u32>>, bool);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
        assert!(!self.1, "told to");
    }
}

#[test]
fn dropping_an_entry_drops_both_parts_and_taking_it_apart_none() {
    let drops = Rc::new(Cell::new(0));
    let part = |panics| Noisy(Rc::clone(&drops), panics);
    drop(Entry::new(Slab::leaked(EntryLayout::IDLING), 0, part(false), part(false), 1));
    assert_eq!(drops.get(), 2);
    let parts =
        Entry::new(Slab::leaked(EntryLayout::IDLING), 0, part(false), part(false), 1).into_parts();
    assert_eq!(drops.get(), 2);
    drop(parts);
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_destructor_that_panics_keeps_neither_the_other_nor_the_memory() {
    for (key, value) in [(true, false), (false, true)] {
        let drops = Rc::new(Cell::new(0));
        let part = |panics| Noisy(Rc::clone(&drops), panics);
        let entry = Entry::new(Slab::leaked(WEIGHED), 0, part(key), part(value), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(entry))).is_err());
        // That the memory is freed is for the leak check of a sanitizer to see.
        assert_eq!((drops.get(), Rc::strong_count(&drops)), (2, 1));
    }
}

impl LoadStatus for u8 {
    fn keeps_entry(&self) -> bool {
        true
    }

    fn has_failed(&self) -> bool {
        false
    }
}

/// Makes an entry of each kind, looks at all of it, and drops it.
fn exercise_tokens<K, V>(key: impl Fn() -> K, value: impl Fn() -> V)
where
    K: PartialEq + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for entry_layout in shapes() {
        let flight = std::sync::Arc::new(99_u8);
        let token = LoadToken::Flight(std::sync::Arc::clone(&flight) as _);
        let slab = Slab::new(entry_layout);
        let placeholder = RawEntry::<K, V>::new(&slab, Kind::Placeholder).fill_placeholder(
            u64::MAX,
            key(),
            token.clone(),
        );
        let raw_entry = RawEntry::new(&slab, Kind::Renewing);
        let renewed = raw_entry.fill_renewing(u64::MAX, (key(), value()), 42.into(), token.clone());
        let plain = Entry::new(&slab, u64::MAX, key(), value(), 42);
        for entry in [&placeholder, &renewed, &plain] {
            let entry = entry.as_ref();
            let has_value = entry.kind() != Kind::Placeholder;
            assert_eq!((entry.hash(), entry.key()), (plain_hash(u64::MAX), &key()));
            assert_eq!(entry.matches(plain_hash(u64::MAX), Include::Values), has_value);
            assert!(entry.matches(plain_hash(u64::MAX), Include::All));
            assert!(!entry.matches(plain_hash(u64::MAX) - 1, Include::All));
            let own = entry.load_token().is_some_and(|own| own.is(&token));
            assert_eq!(own, entry.kind() != Kind::Plain);
            assert_eq!(entry.charge() == 0, !has_value);
            if has_value {
                assert_eq!(entry.value(), &value());
            }
            assert!(words(entry).into_iter().flatten().all(|word| word.get() == 0));
        }
        assert!(catch_unwind(AssertUnwindSafe(|| placeholder.as_ref().value())).is_err());
        assert_eq!(std::sync::Arc::strong_count(&flight), 4);
        drop(placeholder);
        drop(renewed.clear());
        assert_eq!(std::sync::Arc::strong_count(&flight), 2, "tokens go with their entries");
    }
}

#[test]
fn what_is_heard_of_a_key_changes_nothing_else() {
    let slab = Slab::new(EntryLayout::PLAIN);
    let mut entry = Entry::new(&slab, u64::MAX, 1_u8, 2_u8, 1);
    entry.set_initial_bits(0b1010);
    let entry = entry.as_ref();
    assert_eq!(entry.recent_uses(), 0, "nothing at first");
    for recent_uses in [0xff, 0x5a, 0] {
        entry.set_recent_uses(recent_uses);
        assert_eq!(entry.recent_uses(), recent_uses);
        assert_eq!((entry.hash(), entry.kind()), (plain_hash(u64::MAX), Kind::Plain));
        assert_eq!(entry.initial_bits(), 0b1010);
        assert!(entry.matches(plain_hash(u64::MAX), Include::Values));
        assert!(!entry.matches(plain_hash(u64::MAX - (1 << 16)), Include::All));
    }
}

#[test]
fn an_entry_carries_a_token_with_or_without_a_value() {
    exercise_tokens(|| "key".to_string(), || vec![1_u8, 2, 3]);
    exercise_tokens(|| (), || ());
    exercise_tokens(|| 5_u8, || Aligned::<A64>(3, []));
    exercise_tokens(|| Aligned::<A64>(3, []), || 5_u8);
}

#[test]
fn a_slab_hands_each_number_out_to_one() {
    let slab = Slab::<u64, u64>::new(EntryLayout::PLAIN);
    let mut entries: Vec<Entry<u64, u64>> = Vec::new();
    let mut taken = Vec::new();
    for key in 0..10_000_u64 {
        entries.push(Entry::new(&slab, key, key, !key, 1));
        if key % 3 == 0 {
            taken.push(entries.swap_remove(key as usize / 7));
        }
        if key % 1_000 == 999 {
            taken.clear();
        }
    }
    for entry in entries.iter().chain(&taken) {
        assert_eq!(!*entry.as_ref().key(), *entry.as_ref().value(), "another's record");
    }
}

#[test]
fn memory_that_nothing_is_in_goes_back() {
    let slab = Slab::<u64, u64>::new(EntryLayout::PLAIN);
    let of = |keys: std::ops::Range<u64>| -> Vec<Entry<u64, u64>> {
        keys.map(|key| Entry::new(&slab, key, key, key, 1)).collect()
    };
    let (few, many) = (of(0..100), of(0..100_000));
    let most = slab.chunks();
    assert!(!slab.is_sparse(), "all of it is in use");
    drop(many);
    assert!(slab.is_sparse());
    slab.trim();
    assert!(slab.chunks() <= 2, "{} chunks of {most} are left", slab.chunks());
    assert!(!slab.is_sparse());
    // What is left is whole, and there is room for as many as before.
    let many = of(100..100_100);
    let all = few.iter().zip(0..).chain(many.iter().zip(100..));
    all.for_each(|(entry, key)| assert_eq!(*entry.as_ref().key(), key));
    assert!(slab.chunks() <= most);
}

/// Nothing is handed out twice, and all memory goes back (which the leak sanitizer sees).
#[test]
fn a_slab_goes_on_after_a_fork_without_those_who_had_its_locks() {
    let slab = Slab::<u64, u64>::new(EntryLayout::PLAIN);
    let enter = |key| Entry::new(&slab, key << 16, key, !key, 1);
    let mut entries: Vec<_> = (0..5_000).map(enter).collect();
    entries.drain(2_000..3_000);
    let chunks = slab.chunks();
    slab.leave_behind();
    slab.reset_after_fork(Holder::me());
    assert_eq!(slab.chunks(), chunks, "the directory knows them");
    entries.extend((5_000..10_000).map(enter));
    assert!(entries.iter().all(|entry| *entry.as_ref().value() == !*entry.as_ref().key()));
    drop(entries);
    slab.trim();
    assert!(slab.chunks() < chunks, "those that came after the fork");
}
