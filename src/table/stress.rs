//! Reads, writes, scans and removals by place while the table grows and shrinks all the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Table;
use super::bucket::Lookup;
use super::tests::{Numbers, audit, insert, remove, with};
use crate::entry::EntryLayout;
use crate::reclaim::{ChargedTo, Reads, stall_points};
use crate::slot_meta::{Region, ScanStep, SlotMeta};

type Toy = Table<u64, u64, (), ()>;
/// What one thread does.
type Work<'w> = Box<dyn FnOnce(&Toy) + Send + 'w>;

/// Steps of each thread.
fn steps() -> u64 {
    match std::env::var("CLOCKHAND_STRESS").as_deref() {
        Ok("full") => 2_000_000,
        Ok("tiny") => 4_000,
        _ => 10_000,
    }
}

/// A table that may shrink to two buckets.
fn toy() -> Toy {
    Table::new(EntryLayout::PLAIN, u64::MAX, 1, ())
}

/// A key of this class whose bucket differs in any table, or is one of few.
fn key(class: u64, nth: u64) -> u64 {
    let bucket = if nth.is_multiple_of(3) { nth % 4 } else { nth };
    bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xffff | class << 12 | nth
}

/// Changes the size of the table over and over while `works` run, and then checks it.
fn beside_resizes(table: &Toy, works: Vec<Work<'_>>) {
    let left = AtomicU64::new(works.len() as u64);
    std::thread::scope(|scope| {
        for work in works {
            let left = &left;
            scope.spawn(move || {
                struct Done<'a>(&'a AtomicU64);
                impl Drop for Done<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, Ordering::SeqCst);
                    }
                }
                let _done = Done(left);
                work(table);
            });
        }
        let mut numbers = Numbers(11);
        while left.load(Ordering::SeqCst) > 0 {
            resize_a_little(table, &mut numbers);
        }
    });
    audit(table);
}

/// Begins a change of the size, goes on with one, or lets garbage go.
fn resize_a_little(table: &Toy, numbers: &mut Numbers) {
    let number = numbers.next() >> 8;
    match number % 8 {
        0 => with(table, |view| {
            if view.buckets() < 1 << 8 {
                view.grow(|_, _| ());
            }
        }),
        1 => with(table, |view| view.shrink(0, |_, _| ())),
        2 => _ = table.domain().collect((usize::MAX, |_| false), |garbage, _| drop(garbage)),
        3 => std::thread::yield_now(),
        _ => _ = with(table, |view| view.migrate((number % 5) as usize)),
    }
}

fn get(table: &Toy, key: u64) -> Option<u64> {
    with(table, |view| view.find(key, |&k| k == key).map(|occupied| *occupied.entry().value()))
}

#[test]
fn each_thread_finds_what_it_has_written() {
    let table = toy();
    let work = |class: u64| {
        move |table: &Toy| {
            let (mut map, mut numbers) = (HashMap::new(), Numbers(class + 1));
            for step in 0..steps() {
                let number = numbers.next() >> 8;
                let key = key(class, number % 40);
                match number >> 32 & 3 {
                    0 => assert_eq!(remove(table, key), map.remove(&key)),
                    1 => assert_eq!(get(table, key), map.get(&key).copied()),
                    _ => assert_eq!(insert(table, key, step), map.insert(key, step)),
                }
            }
            assert!(map.iter().all(|(&key, &value)| get(table, key) == Some(value)));
        }
    };
    beside_resizes(&table, (0..3).map(|class| Box::new(work(class)) as Box<_>).collect());
}

#[test]
fn no_read_goes_back() {
    let table = toy();
    (0..40).for_each(|nth| _ = insert(&table, key(0, nth), 0));
    let write = |table: &Toy| {
        for step in 1..steps() {
            insert(table, key(0, step % 40), step);
        }
    };
    let read = |table: &Toy| {
        let mut last = [0; 40];
        let mut numbers = Numbers(3);
        for _ in 0..steps() {
            let nth = (numbers.next() >> 8) % 40;
            let value = get(table, key(0, nth)).expect("it is there all the time");
            assert!(value >= last[nth as usize], "an older value after a newer one");
            last[nth as usize] = value;
        }
    };
    beside_resizes(&table, vec![Box::new(write), Box::new(read), Box::new(read)]);
}

/// What was unlinked by its place is read no more, by threads that come through another bucket of its group.
#[test]
fn what_a_hand_unlinks_is_read_no_more() {
    let table = toy();
    let key_of = |step: u64| key(step % 8, step % 40);
    // The last step whose entry is gone for certain.
    let gone = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let hand = {
        let (gone, over) = (Arc::clone(&gone), Arc::clone(&over));
        move |table: &Toy| {
            let mut numbers = Numbers(5);
            for step in 1..steps() / 8 {
                let key = key_of(step);
                insert(table, key, step);
                while get(table, key).is_some() {
                    with(table, |view| unlink_by_place(view, numbers.next()));
                }
                gone.store(step, Ordering::SeqCst);
            }
            over.store(true, Ordering::SeqCst);
        }
    };
    let read = |table: &Toy| {
        while !over.load(Ordering::SeqCst) {
            let step = gone.load(Ordering::SeqCst);
            let value = get(table, key_of(step));
            assert!(value.is_none_or(|value| value > step), "{value:?} after {step}");
        }
    };
    beside_resizes(&table, vec![Box::new(hand), Box::new(read)]);
}

/// Unlinks what a scan or a scan of some part of the table meets first.
fn unlink_by_place(view: super::View<'_, u64, u64, (), ()>, number: u64) {
    let length = view.range_length();
    let from = number & !(length - 1);
    let mut met = None;
    let occupied = if number.is_multiple_of(2) {
        view.scan(Region::Probation, from, length, |position, _| {
            if met.is_some() {
                return ScanStep::Stop;
            }
            met = Some(position);
            ScanStep::Keep
        });
        let seen = met.and_then(|position| view.get_at(Region::Probation, position));
        seen.map(|seen| view.occupied(seen))
    } else {
        let mut found = Vec::new();
        view.collect_entries(from..u64::MAX, &mut found, |a, b| a == b);
        found.first().copied()
    };
    if let Some((old, _)) = occupied.and_then(|occupied| view.unlink(occupied)) {
        view.retire(old, ChargedTo::Nowhere);
    }
}

#[test]
fn a_scan_meets_once_what_is_there_throughout() {
    let table = toy();
    let stable: Vec<u64> = (0..60).map(|nth| key(0, nth)).collect();
    stable.iter().for_each(|&key| _ = insert(&table, key, key));
    let scan = |table: &Toy| {
        for round in 0..steps() / 100 {
            // Parts that begin and end within the buckets of a table that has shrunk since.
            let parts = 2 << (round % 8);
            let width = u64::MAX / parts + 1;
            let mut met: HashMap<u64, usize> = HashMap::new();
            for nth in 0..parts {
                let start = nth * width;
                let end = start.saturating_add(width);
                let mut position = Some(start);
                while let Some(from) = position.filter(|&from| from < end) {
                    with(table, |view| {
                        let mut found = Vec::new();
                        position = view.collect_entries(from..end, &mut found, |a, b| a == b);
                        found.iter().for_each(|occupied| {
                            *met.entry(*occupied.entry().key()).or_default() += 1;
                        });
                    });
                }
            }
            assert!(stable.iter().all(|key| met.get(key) == Some(&1)), "{parts} parts: {met:?}");
        }
    };
    let write = |table: &Toy| {
        let mut numbers = Numbers(6);
        for step in 0..steps() {
            let key = key(1, (numbers.next() >> 8) % 60);
            if step % 3 == 0 {
                remove(table, key);
            } else {
                insert(table, key, key);
            }
        }
    };
    beside_resizes(&table, vec![Box::new(scan), Box::new(write)]);
}

#[test]
fn a_key_is_inserted_once() {
    let table = toy();
    let wins = AtomicU64::new(0);
    let rounds = steps() / 8;
    let arrived = AtomicU64::new(0);
    let add = |table: &Toy| {
        for round in 0..rounds {
            arrived.fetch_add(1, Ordering::SeqCst);
            while arrived.load(Ordering::SeqCst) < (round + 1) * 2 {
                std::thread::yield_now();
            }
            let key = key(round % 4, round % 30) ^ (round / 30) << 20;
            let won = with(table, |view| {
                let mut new = view.entry(key, key, round, 1);
                loop {
                    let Lookup::Vacant(vacant) = view.find_for_write(key, |&k| k == key) else {
                        return false;
                    };
                    match vacant.commit(new, SlotMeta::NEW) {
                        Ok(()) => return true,
                        Err(back) => new = back,
                    }
                }
            });
            wins.fetch_add(u64::from(won), Ordering::SeqCst);
            if round % 64 == 63 {
                // The thread that is last takes all of them out.
                with(table, |view| {
                    let mut position = Some(0);
                    while let Some(from) = position {
                        let mut found = Vec::new();
                        position = view.collect_entries(from..u64::MAX, &mut found, |a, b| a == b);
                        for occupied in found {
                            if *occupied.entry().value() + 32 < round
                                && let Some((old, _)) = view.unlink(occupied)
                            {
                                view.retire(old, ChargedTo::Nowhere);
                            }
                        }
                    }
                });
            }
        }
    };
    beside_resizes(&table, vec![Box::new(add), Box::new(add)]);
    assert_eq!(wins.into_inner(), rounds, "each key is inserted, and once");
}

/// A value that knows whether it is there.
#[derive(Debug)]
struct Sound {
    key: u64,
    heap: Box<u64>,
}

impl Sound {
    fn of(key: u64, step: u64) -> Self {
        Self { key, heap: Box::new(!step) }
    }

    fn check(&self, key: u64) -> u64 {
        assert_eq!(self.key, key, "freed, or another's");
        !*self.heap
    }
}

impl Drop for Sound {
    fn drop(&mut self) {
        *self.heap = 0;
        self.key = u64::MAX;
    }
}

type Tall = Table<u64, Sound, (), ()>;
type TallView<'g, M> = super::View<'g, u64, Sound, (), (), M>;

/// Puts a value in; what was there.
fn put(table: &Tall, key: u64, step: u64) -> Option<u64> {
    let guard = table.pin();
    let view = table.view(guard.guard_ref());
    let mut entry = view.entry(key, key, Sound::of(key, step), 1);
    loop {
        entry = match view.find_for_write(key, |&k| k == key) {
            Lookup::Vacant(vacant) => match vacant.commit(entry, SlotMeta::NEW) {
                Ok(()) => return None,
                Err(entry) => entry,
            },
            Lookup::Occupied(occupied) => {
                // As a closure of the user's may.
                let seen = guard.while_suspended(|| occupied.entry().value().check(key));
                match view.replace(occupied, (entry, true)) {
                    Ok(old) => {
                        assert_eq!(occupied.entry().value().check(key), seen);
                        view.retire(old, ChargedTo::Nowhere);
                        return Some(seen);
                    }
                    Err(entry) => entry,
                }
            }
        };
    }
}

/// Takes a value out; which.
fn cut(table: &Tall, key: u64) -> Option<u64> {
    let guard = table.pin();
    let view = table.view(guard.guard_ref());
    loop {
        let Lookup::Occupied(occupied) = view.find_for_write(key, |&k| k == key) else {
            return None;
        };
        if let Some((old, _)) = view.unlink(occupied) {
            let seen = occupied.entry().value().check(key);
            view.retire(old, ChargedTo::Nowhere);
            return Some(seen);
        }
    }
}

/// Finds a key, and looks at all that it is compared with; now and then through a search in the search.
fn search<'g>(view: TallView<'g, Reads>, key: u64, nested: bool) -> Option<(u64, &'g Sound)> {
    let found = view.find(key, |&k| {
        if nested {
            search(view, k, false).inspect(|(_, value)| _ = value.check(k));
        }
        k == key
    })?;
    Some((found.entry().value().check(key), found.entry().value()))
}

const KEYS: u64 = 40;

/// Writes keys of its own, in guards of its own, and knows what has to be there.
fn write_passably(table: &Tall, class: u64, steps: u64) {
    stall_points::begin(200, class);
    let (mut numbers, mut map) = (Numbers(class + 3), HashMap::new());
    for step in 0..steps {
        let guard = table.pin_to_read();
        let view = table.view(guard.guard_ref());
        let mut lent = Vec::new();
        let mut outer = Some(&guard).filter(|_| step.is_multiple_of(2));
        for _ in 0..4 {
            let number = numbers.next() >> 8;
            let key = key(class, number % KEYS);
            match number >> 32 & 3 {
                0 => assert_eq!(cut(table, key), map.remove(&key)),
                1 if outer.take().is_some() => {
                    let found = search(view, key, number.is_multiple_of(8));
                    assert_eq!(found.map(|(seen, _)| seen), map.get(&key).copied());
                    lent.extend(found.map(|(seen, value)| (key, seen, value)));
                }
                _ => assert_eq!(put(table, key, step), map.insert(key, step)),
            }
        }
        lent.iter().for_each(|&(key, seen, value)| assert_eq!(value.check(key), seen));
    }
    let guard = table.pin_to_read();
    let view = table.view(guard.guard_ref());
    for (&key, &step) in &map {
        assert_eq!(search(view, key, false).map(|(seen, _)| seen), Some(step));
    }
}

/// Reads all keys, and keeps what it is lent for a while.
fn read_passably(table: &Tall, seed: u64, steps: u64) {
    stall_points::begin(60, seed);
    let (mut numbers, mut owned_guard) = (Numbers(seed), table.owned_guard());
    for step in 0..steps {
        let view = table.view(owned_guard.guard_ref());
        let mut lent = Vec::new();
        for _ in 0..8 {
            let number = numbers.next() >> 8;
            let key = key(1 + number % 2, (number >> 8) % KEYS);
            lent.extend(search(view, key, number.is_multiple_of(16)).map(|found| (key, found)));
        }
        lent.iter().for_each(|&(key, (seen, value))| assert_eq!(value.check(key), seen));
        if step.is_multiple_of(8) {
            owned_guard.park();
        }
    }
}

/// Threads that stop at any step, and are neutralized all the time, while the size changes: nothing is freed that they
/// follow, or were lent, each finds what it has written, and no key is in twice.
#[test]
fn who_is_neutralized_reads_nothing_that_was_freed() {
    let table = Tall::new(EntryLayout::PLAIN, u64::MAX, 1, ());
    let steps = steps() / 8;
    std::thread::scope(|scope| {
        let (table, mut works) = (&table, Vec::new());
        for nth in 1..3 {
            works.push(scope.spawn(move || write_passably(table, nth, steps)));
            works.push(scope.spawn(move || read_passably(table, nth + 7, steps)));
        }
        let goes_on = || works.iter().any(|work| !work.is_finished());
        let mut numbers = Numbers(11);
        while goes_on() {
            let number = numbers.next() >> 8;
            table.domain().neutralize_all();
            table.domain().collect((usize::MAX, |_| true), |garbage, _| drop(garbage));
            let guard = table.pin();
            let view = table.view(guard.guard_ref());
            match number % 8 {
                0 if view.buckets() < 1 << 5 => view.grow(|(), _| ()),
                1 => view.shrink(0, |(), _| ()),
                2 => std::thread::yield_now(),
                _ => _ = view.migrate((number % 5) as usize),
            }
        }
    });
    let guard = table.pin();
    table.view(guard.guard_ref()).audit(|a, b| a == b);
}
