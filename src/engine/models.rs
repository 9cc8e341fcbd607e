//! Models of probation's share, with weights and without, and of charge that lingers. Run with
//! `--cfg clockhand_loom`.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use loom::thread;

use super::lingering::Lingering;
use super::rules::{Rules, Weigher};
use super::table_entries::TableEntries;
use super::types::View;
use super::{Engine, Plan};
use crate::accounting::{Ledger, Stripe};
use crate::entry::{Entry, LoadToken};
use crate::latency::Sampling;
use crate::policy::Entries;
use crate::reclaim::ChargedTo;
use crate::slot_meta::{Region, SlotMeta, Stage};
use crate::sync::explore;
use crate::table::Lookup;

/// A cache that weighs a value as what it is.
type Toy = Engine<u64, u64, BuildHasherDefault<DefaultHasher>>;

const KEY: u64 = 1;
const YOUNG: SlotMeta = SlotMeta::NEW;
const PROTECTED: SlotMeta = SlotMeta::new(Stage::Protected, 0);

fn toy() -> Arc<Toy> {
    toy_of(true)
}

/// One where every entry weighs one.
fn plain() -> Arc<Toy> {
    toy_of(false)
}

fn toy_of(weighed: bool) -> Arc<Toy> {
    let builder = crate::Builder::<u64, u64>::default().patience(std::time::Duration::ZERO);
    let builder = builder.expected_entries(1).maintenance(crate::Maintenance::Manual);
    let plan = Plan {
        settings: builder.settings(100, None).expect("one entry may be expected"),
        remembers: false,
        sampling: Sampling::OFF,
    };
    let weigher: Option<Arc<Weigher<u64, u64>>> = Some(Arc::new(|_, &v| v));
    let mut rules = Rules::new("toy");
    rules.weigher = weigher.filter(|_| weighed);
    Arc::new(Engine::new(plan, rules, BuildHasherDefault::default()))
}

/// Runs `f` on a pinned view.
fn with<R>(toy: &Toy, f: impl FnOnce(View<'_, u64, u64>) -> R) -> R {
    let guard = toy.table.domain().pin_transient();
    f(toy.table.view(guard.guard_ref()))
}

fn put(toy: &Toy, weight: u64) {
    with(toy, |view| {
        let (hash, delta) = (toy.hash(&KEY), toy.policy.probation_delta(&view.local().cursor));
        let mut new: Entry<u64, u64> = view.entry(hash, KEY, weight, weight);
        loop {
            new = match view.find_for_write(hash, |&k| k == KEY) {
                Lookup::Occupied(occupied) => {
                    match toy.replace(view, &delta, occupied, (new, false)) {
                        Ok(old) => return view.retire(old, ChargedTo::Nowhere),
                        Err(new) => new,
                    }
                }
                Lookup::Vacant(vacant) => {
                    let Err(new) = toy.commit(view, &delta, vacant, (new, YOUNG)) else { return };
                    new
                }
            };
        }
    });
}

fn remove(toy: &Toy) {
    with(toy, |view| {
        while let Lookup::Occupied(occupied) = view.find_for_write(toy.hash(&KEY), |&k| k == KEY) {
            if let Some((old, meta)) = view.unlink(occupied) {
                toy.count_out(
                    &toy.policy.probation_delta(&view.local().cursor),
                    occupied.entry(),
                    meta,
                );
                return view.retire(old, ChargedTo::Nowhere);
            }
        }
    });
}

fn promote(toy: &Toy) {
    with(toy, |view| {
        let entries = TableEntries::new(toy, view);
        let known = !0xffff;
        if let Some(seen) = entries.find_by_fingerprint(Region::Probation, toy.hash(&KEY), known)
            && entries.mark(seen, PROTECTED)
        {
            toy.policy
                .probation_delta(&view.local().cursor)
                .subtract(entries.take_probation_charge(seen));
        }
    });
}

fn assert_known(toy: &Toy) {
    let contents = with(toy, |view| view.audit(|a, b| a == b));
    assert_eq!(toy.policy.probation_charge(), contents.counted, "the share");
    assert_eq!(toy.stats().probation.entries as u64, contents.marked, "entries on probation");
}

/// Runs two operations at once on a cache with one entry, and then empties it.
fn race(own: impl Fn(&Toy) + Copy + Send + Sync + 'static, other: fn(&Toy)) {
    explore(3, 100_000, move || {
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
        assert_eq!(toy.policy.probation_charge(), 0, "the share of a protected entry");
        remove(&toy);
        assert_eq!(toy.policy.probation_charge(), 0, "the share of an empty cache");
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

// Without weights.

/// A key with the same hash as [`KEY`].
const TWIN: u64 = 2;

/// Puts a key in that is not there, whatever that takes.
fn bring_in(toy: &Toy, key: u64, placeholder: bool) {
    with(toy, |view| {
        let (hash, delta) = (toy.hash(&KEY), toy.policy.probation_delta(&view.local().cursor));
        let token = LoadToken::Flight(std::sync::Arc::new(()));
        let mut new: Entry<u64, u64> = if placeholder {
            view.placeholder(hash, key, token)
        } else {
            view.entry(hash, key, 0, 1)
        };
        while let Lookup::Vacant(vacant) = view.find_for_write(hash, |&k| k == key) {
            let Err(back) = toy.commit(view, &delta, vacant, (new, YOUNG)) else { return };
            new = back;
        }
    });
}

fn take_out(toy: &Toy, key: u64) {
    with(toy, |view| {
        while let Lookup::Occupied(occupied) = view.find_for_write(toy.hash(&KEY), |&k| k == key) {
            if let Some((old, meta)) = view.unlink(occupied) {
                toy.count_out(
                    &toy.policy.probation_delta(&view.local().cursor),
                    occupied.entry(),
                    meta,
                );
                return view.retire(old, ChargedTo::Nowhere);
            }
        }
    });
}

/// Three parties: one promotes the entry of a key that another one removes, and a third one comes into its slot.
fn late_promotion(removes: fn(&Toy), comes_in: fn(&Toy)) {
    explore(3, 100_000, move || {
        let toy = plain();
        bring_in(&toy, KEY, false);
        let [one, two] = [(); 2].map(|()| Arc::clone(&toy));
        let promoter = thread::spawn(move || promote(&one));
        let comer = thread::spawn(move || comes_in(&two));
        removes(&toy);
        promoter.join().unwrap();
        comer.join().unwrap();
        let contents = with(&toy, |view| view.audit(|a, b| a == b));
        assert_eq!(toy.policy.probation_charge(), contents.young, "the share and the lanes");
        [KEY, TWIN].into_iter().for_each(|key| take_out(&toy, key));
        assert_eq!(toy.policy.probation_charge(), 0, "the share of an empty cache");
    });
}

#[test]
fn a_load_that_begins_beside_a_late_promotion() {
    late_promotion(|toy| take_out(toy, KEY), |toy| bring_in(toy, TWIN, true));
}

// What lingers.

/// A replacement that has to take a second unit, as the retired capacity is full, while other keys are inserted:
/// there is room for these all the while, and the thread that looks for it must not come to believe that only an
/// eviction helps.
fn beside_a_replacement(inserts: usize, replacements: usize) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(4);
    builder.check(move || {
        let scarce =
            Arc::new((Ledger::new(2), Lingering::default(), [(); 2].map(|()| Stripe::new())));
        let (ledger, _, stripes) = &*scarce;
        ledger.reserve_up_to(&stripes[0], 1).commit(1);
        let theirs = Arc::clone(&scarce);
        let replacer = thread::spawn(move || {
            let (ledger, lingering, stripes) = &*theirs;
            for _ in 0..replacements {
                let lingering_charge = lingering.begin(1);
                let mut reservation = ledger.reserve_up_to(&stripes[1], 0);
                if reservation.gather(1, stripes) {
                    reservation.commit(1);
                    lingering_charge.keep();
                    lingering.end(1, || ledger.give(&stripes[1], 1));
                }
            }
        });
        let (ledger, lingering, stripes) = &*scarce;
        for _ in 0..inserts {
            let before = lingering.before();
            let mut reservation = ledger.reserve_up_to(&stripes[0], 0);
            let found = reservation.gather(1, stripes);
            assert!(found || lingering.since(before) > 0, "an entry would have to go");
        }
        replacer.join().unwrap();
        assert_eq!((lingering.charge(), ledger.charged(stripes)), (0, 1));
    });
}

#[test]
fn a_search_for_room_beside_a_replacement_that_lingers() {
    beside_a_replacement(1, 2);
}

#[test]
fn two_searches_for_room_beside_a_replacement_that_lingers() {
    beside_a_replacement(2, 1);
}
