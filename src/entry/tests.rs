use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{
    Entry, EntryRef, HEAVIEST, Hold, Hull, Kind, Node, Shape, Sought, Ticket, layout, plain_hash,
};
use crate::sync::Stamp;

const PLAINS: [Shape; 3] = [Shape::PLAIN, Shape::TIMED, Shape::IDLING];
const WEIGHED: Shape = Shape::PLAIN.weighed();

fn shapes() -> impl Iterator<Item = Shape> {
    PLAINS.into_iter().flat_map(|shape| [shape, shape.weighed()])
}

fn words<K, V>(entry: EntryRef<'_, K, V>) -> [Option<&Stamp>; 3] {
    [entry.deadline(), entry.modified(), entry.idle_deadline()]
}

/// Makes an entry, looks at all of it, writes its words, and takes it apart.
fn exercise<K, V>(key: impl Fn() -> K, value: impl Fn() -> V)
where
    K: PartialEq + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for shape in shapes() {
        let entry = Entry::new(shape, 7, key(), value(), 42);
        let borrowed = entry.as_ref();
        assert_eq!((borrowed.hash(), borrowed.key(), borrowed.value()), (7, &key(), &value()));
        assert_eq!(borrowed.charge(), if shape.is_weighed() { 42 } else { 1 });
        assert!(borrowed.into_raw().is_aligned());
        for (nth, word) in words(borrowed).into_iter().enumerate() {
            assert_eq!(word.is_some(), nth < shape.times(), "word {nth} of {shape:?}");
            assert!(word.is_none_or(|word| std::ptr::from_ref(word).is_aligned()));
            assert!(word.is_none_or(|word| word.get() == 0), "zero at first");
            word.inspect(|word| word.set(nth as u64 + 100));
        }
        // The words do not overlap each other, nor the fixed part.
        for (nth, word) in words(borrowed).into_iter().enumerate() {
            assert!(word.is_none_or(|word| word.get() == nth as u64 + 100));
        }
        assert_eq!((borrowed.hash(), borrowed.key(), borrowed.value()), (7, &key(), &value()));
        assert_eq!(borrowed.charge(), if shape.is_weighed() { 42 } else { 1 });
        let raw = entry.into_raw();
        // SAFETY: it came from `into_raw` just now, with the same shape.
        let entry = unsafe { Entry::<K, V>::from_raw(raw, shape) };
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
    let size = |shape| layout::<u64, u64>(shape, Kind::Plain).0.size();
    assert_eq!(PLAINS.map(size), [24, 40, 48]);
    assert_eq!(PLAINS.map(|shape| size(shape.weighed())), [32, 48, 56]);
    let (plain, offset) = layout::<(), ()>(Shape::PLAIN, Kind::Plain);
    assert_eq!((plain.size(), offset), (8, 0));
    let (aligned, offset) = layout::<A64, u8>(Shape::IDLING.weighed(), Kind::Plain);
    assert_eq!((aligned.align(), offset), (64, 64), "the words lie in the padding");
}

#[test]
fn an_entry_leaves_room_for_marks_in_its_address() {
    assert!(align_of::<Node<u8, ()>>() >= 8);
}

#[test]
fn records_are_told_apart_even_without_contents() {
    let (one, other) =
        (Entry::new(Shape::PLAIN, 0, (), (), 1), Entry::new(Shape::PLAIN, 0, (), (), 1));
    assert!(one.as_ref().is(one.as_ref()));
    assert!(!one.as_ref().is(other.as_ref()));
}

#[test]
fn charges_of_all_sizes_are_kept() {
    for charge in [0, 1, HEAVIEST] {
        assert_eq!(Entry::new(WEIGHED, 0, 0, 0, charge).as_ref().charge(), charge);
    }
}

#[test]
fn a_charge_is_counted_out_once() {
    for charge in [0, 1, HEAVIEST] {
        let entry = Entry::new(WEIGHED, 0, 0, 0, charge);
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
    drop(Entry::new(Shape::IDLING, 0, part(false), part(false), 1));
    assert_eq!(drops.get(), 2);
    let parts = Entry::new(Shape::IDLING, 0, part(false), part(false), 1).into_parts();
    assert_eq!(drops.get(), 2);
    drop(parts);
    assert_eq!(drops.get(), 4);
}

#[test]
fn a_destructor_that_panics_keeps_neither_the_other_nor_the_memory() {
    for (key, value) in [(true, false), (false, true)] {
        let drops = Rc::new(Cell::new(0));
        let part = |panics| Noisy(Rc::clone(&drops), panics);
        let entry = Entry::new(WEIGHED, 0, part(key), part(value), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(entry))).is_err());
        // That the memory is freed is for the leak check of a sanitizer to see.
        assert_eq!((drops.get(), Rc::strong_count(&drops)), (2, 1));
    }
}

impl Hold for u8 {
    fn holds(&self) -> bool {
        true
    }

    fn has_failed(&self) -> bool {
        false
    }
}

/// Makes an entry of each kind, looks at all of it, and drops it.
fn exercise_tickets<K, V>(key: impl Fn() -> K, value: impl Fn() -> V)
where
    K: PartialEq + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for shape in shapes() {
        let ticket: Ticket = std::sync::Arc::new(99_u8);
        let awaited =
            Hull::<K, V>::new(shape, Kind::Awaited).fill_awaited(u64::MAX, key(), ticket.clone());
        let hull = Hull::new(shape, Kind::Renewed);
        let renewed = hull.fill_renewed(u64::MAX, (key(), value()), 42, ticket.clone());
        let plain = Entry::new(shape, u64::MAX, key(), value(), 42);
        for entry in [&awaited, &renewed, &plain] {
            let entry = entry.as_ref();
            let has_value = entry.kind() != Kind::Awaited;
            assert_eq!((entry.hash(), entry.key()), (plain_hash(u64::MAX), &key()));
            assert_eq!(entry.matches(plain_hash(u64::MAX), Sought::Values), has_value);
            assert!(entry.matches(plain_hash(u64::MAX), Sought::All));
            assert!(!entry.matches(plain_hash(u64::MAX) - 1, Sought::All));
            let own = entry.ticket().is_some_and(|own| std::sync::Arc::ptr_eq(own, &ticket));
            assert_eq!(own, entry.kind() != Kind::Plain);
            assert_eq!(entry.charge() == 0, !has_value);
            if has_value {
                assert_eq!(entry.value(), &value());
            }
            assert!(words(entry).into_iter().flatten().all(|word| word.get() == 0));
        }
        assert!(catch_unwind(AssertUnwindSafe(|| awaited.as_ref().value())).is_err());
        assert_eq!(std::sync::Arc::strong_count(&ticket), 3);
        drop(awaited);
        drop(renewed.clear());
        assert_eq!(std::sync::Arc::strong_count(&ticket), 1, "tickets go with their entries");
    }
}

#[test]
fn what_is_heard_of_a_key_changes_nothing_else() {
    let entry = Entry::new(Shape::PLAIN, u64::MAX, 1_u8, 2_u8, 1);
    let entry = entry.as_ref();
    assert_eq!(entry.heard(), 0, "nothing at first");
    for heard in [0xff, 0x5a, 0] {
        entry.hear(heard);
        assert_eq!(entry.heard(), heard);
        assert_eq!((entry.hash(), entry.kind()), (plain_hash(u64::MAX), Kind::Plain));
        assert!(entry.matches(plain_hash(u64::MAX), Sought::Values));
        assert!(!entry.matches(plain_hash(u64::MAX - (1 << 16)), Sought::All));
    }
}

#[test]
fn an_entry_carries_a_ticket_with_or_without_a_value() {
    exercise_tickets(|| "key".to_string(), || vec![1_u8, 2, 3]);
    exercise_tickets(|| (), || ());
    exercise_tickets(|| 5_u8, || Aligned::<A64>(3, []));
    exercise_tickets(|| Aligned::<A64>(3, []), || 5_u8);
}
