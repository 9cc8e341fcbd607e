//! Models of probation's share in a cache with weights. Run with `--cfg clockhand_loom`.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use loom::thread;

use super::bury::Table;
use super::face::Dial;
use super::{Engine, Plan, Rules};
use crate::entry::Entry;
use crate::policy::{Face, Marks};
use crate::reclaim::Ledgered;
use crate::table::Spotted;

/// A cache that weighs a value as what it is.
type Toy = Engine<u64, u64, BuildHasherDefault<DefaultHasher>>;

const KEY: u64 = 1;
const YOUNG: u8 = 1;
const PROTECTED: u8 = 3;

fn toy() -> Arc<Toy> {
    let plan = Plan { capacity: 100, retired_capacity: 100, entries: 1, inline: false };
    let rules = Rules {
        weigher: Some(Box::new(|_, &v| v)),
        listener: None,
        expiration: None,
        load_policy: crate::load_policy::LoadPolicy::new(),
    };
    Arc::new(Engine::new(plan, rules, BuildHasherDefault::default()))
}

/// Runs `f` on a pinned view.
fn with<R>(toy: &Toy, f: impl FnOnce(Table<'_, u64, u64>) -> R) -> R {
    let guard = toy.table.domain().visit();
    f(toy.table.view(guard.pass()))
}

fn put(toy: &Toy, weight: u64) {
    with(toy, |view| {
        let (hash, shift) = (toy.hash(&KEY), toy.policy.shift());
        let mut new: Entry<u64, u64> = view.entry(hash, KEY, weight, weight);
        loop {
            new = match view.locate(hash, |&k| k == KEY) {
                Spotted::Held(held) => match toy.replace(view, &shift, held, new) {
                    Ok(old) => return view.retire(old, Ledgered::Nowhere),
                    Err(new) => new,
                },
                Spotted::Open(open) => {
                    toy.count_in(&shift, new.as_ref(), YOUNG);
                    let Err(new) = open.commit(new, YOUNG) else { return };
                    toy.count_out(&shift, new.as_ref(), YOUNG);
                    new
                }
            };
        }
    });
}

fn remove(toy: &Toy) {
    with(toy, |view| {
        while let Spotted::Held(held) = view.locate(toy.hash(&KEY), |&k| k == KEY) {
            if let Some((old, bits)) = view.unlink(held) {
                toy.count_out(&toy.policy.shift(), held.entry(), bits);
                return view.retire(old, Ledgered::Nowhere);
            }
        }
    });
}

fn promote(toy: &Toy) {
    with(toy, |view| {
        let dial = Dial::new(toy, view);
        let protected = Marks::from_bits(PROTECTED).expect("a stage");
        if let Some(held) = view.find(toy.hash(&KEY), |&k| k == KEY)
            && held.bits() & 0b11 != PROTECTED
            && dial.mark(held, protected)
        {
            toy.policy.shift().lost(dial.promoted(held));
        }
    });
}

fn assert_known(toy: &Toy) {
    let contents = with(toy, |view| view.audit(|a, b| a == b));
    assert_eq!(toy.policy.probation(), contents.counted, "the share");
}

/// Runs two operations at once on a cache with one entry, and then empties it.
fn race(own: impl Fn(&Toy) + Copy + Send + Sync + 'static, other: fn(&Toy)) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_duration = Some(std::time::Duration::from_secs(10));
    builder.check(move || {
        let toy = toy();
        put(&toy, 1);
        let theirs = Arc::clone(&toy);
        let other = thread::spawn(move || other(&theirs));
        own(&toy);
        other.join().unwrap();
        assert_known(&toy);
        // An entry that is counted and protected ends with the next replacement.
        put(&toy, 7);
        assert_known(&toy);
        let contents = with(&toy, |view| view.audit(|a, b| a == b));
        assert_eq!(contents.counted, contents.probation, "the share and the lanes");
        promote(&toy);
        assert_eq!(toy.policy.probation(), 0, "the share of a protected entry");
        remove(&toy);
        assert_eq!(toy.policy.probation(), 0, "the share of an empty cache");
    });
}

#[test]
fn a_heavier_entry_beside_a_promotion() {
    race(|toy| put(toy, 30), promote);
}

#[test]
fn two_heavier_entries_beside_a_promotion() {
    race(
        |toy| {
            put(toy, 30);
            put(toy, 50);
        },
        promote,
    );
}

#[test]
fn a_heavier_entry_beside_a_removal() {
    race(|toy| put(toy, 30), remove);
}

#[test]
fn a_heavier_entry_beside_a_promotion_and_a_removal() {
    race(
        |toy| put(toy, 30),
        |toy| {
            promote(toy);
            remove(toy);
        },
    );
}

#[test]
fn a_heavier_entry_beside_a_removal_and_an_insert() {
    race(
        |toy| put(toy, 30),
        |toy| {
            remove(toy);
            put(toy, 50);
            promote(toy);
        },
    );
}
