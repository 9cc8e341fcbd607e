//! Models of the word and of the ring. Run with `--cfg clockhand_loom`.
//!
//! A cache is modelled by what it promises: a place for the record of one id, which is read, filled if
//! it is empty, and emptied if a condition holds, each in one step.

use std::sync::Arc as Plain;

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::claim_word::{ClaimCell, ClaimDeadline, ClaimEnd, ClaimId, ClaimState};
use super::ring::{PutOutcome, Ring};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{Deadline, Moment};

const LEASE: u64 = 80;

fn until(nanos: u64) -> ClaimDeadline {
    ClaimDeadline::new(Deadline::from_word(nanos))
}

fn at(nanos: u64) -> Moment {
    Moment::from_word(nanos)
}

/// A cache with one key.
#[derive(Default)]
struct Place(Mutex<Option<Plain<ClaimCell>>>);

impl Place {
    fn look(&self) -> Option<Plain<ClaimCell>> {
        self.0.lock().unwrap().clone()
    }

    fn insert_if_absent(&self, cell: ClaimCell) -> bool {
        let mut position = self.0.lock().unwrap();
        let absent = position.is_none();
        if absent {
            *position = Some(Plain::new(cell));
        }
        absent
    }

    fn remove_tombstone(&self) {
        let mut position = self.0.lock().unwrap();
        if position.as_ref().is_some_and(|cell| cell.is_tombstone()) {
            *position = None;
        }
    }

    /// `Store::claim`, with the same steps; what the claim is known by if it was granted.
    fn claim(&self, now: u64) -> Option<ClaimId> {
        let end = until(now + LEASE);
        loop {
            let Some(cell) = self.look() else {
                let cell = ClaimCell::claimed(end);
                let hold = cell.claim_id(end);
                if self.insert_if_absent(cell) {
                    return Some(hold);
                }
                continue;
            };
            let word = cell.read();
            match word.state() {
                ClaimState::Done(due) if !due.is_passed(at(now)) => return None,
                ClaimState::Claimed(lease) if !lease.is_passed(at(now)) => return None,
                ClaimState::Claimed(_) => {
                    if let Some(hold) = cell.take_over(word, end) {
                        return Some(hold);
                    }
                }
                ClaimState::Done(_) if cell.forget(word) => self.remove_tombstone(),
                ClaimState::Tombstone => self.remove_tombstone(),
                ClaimState::Done(_) => {}
            }
        }
    }

    fn complete(&self, own: ClaimId) -> Option<ClaimEnd> {
        self.look()?.complete(own, until(1 << 20))
    }

    fn abandon(&self, own: ClaimId) -> Option<ClaimEnd> {
        let ended = self.look()?.abandon(own);
        if ended.is_some() {
            self.remove_tombstone();
        }
        ended
    }
}

#[test]
fn two_claims_of_a_new_id() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        let theirs = Arc::clone(&position);
        let other = thread::spawn(move || theirs.claim(8).is_some());
        let mine = position.claim(8).is_some();
        assert!(mine != other.join().unwrap(), "exactly one is new");
    });
}

#[test]
fn a_lease_that_ran_out_is_taken_over_once() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        assert!(position.claim(8).is_some());
        let late = 8 + LEASE;
        let theirs = Arc::clone(&position);
        let other = thread::spawn(move || theirs.claim(late).is_some());
        let mine = position.claim(late).is_some();
        assert!(mine != other.join().unwrap(), "exactly one is new");
    });
}

#[test]
fn an_old_ticket_beside_its_successor() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        let old = position.claim(8).expect("it is new");
        let theirs = Arc::clone(&position);
        let successor = thread::spawn(move || {
            theirs.claim(8 + LEASE).map(|own| theirs.complete(own).is_some())
        });
        let completed = position.complete(old).is_some();
        match successor.join().unwrap() {
            None => assert!(completed, "it found the id done"),
            Some(theirs) => assert!(theirs && !completed, "the claim was its own"),
        }
    });
}

#[test]
fn an_old_ticket_beside_a_claim_by_an_old_reading_of_the_clock() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        let old = position.claim(8).expect("it is new");
        let successor = position.claim(8 + LEASE).expect("the lease ran out");
        let theirs = Arc::clone(&position);
        // It read the clock when the first one did, and was stopped until now.
        let sleeper = thread::spawn(move || theirs.claim(8).map(|own| theirs.complete(own)));
        assert!(position.abandon(successor).is_some());
        assert!(position.complete(old).is_none(), "the claim is another's");
        if let Some(completed) = sleeper.join().unwrap() {
            assert!(completed.is_some());
        }
    });
}

#[test]
fn a_claim_beside_one_that_is_given_back() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        let first = position.claim(8).expect("it is new");
        let theirs = Arc::clone(&position);
        let other = thread::spawn(move || theirs.claim(8));
        assert!(position.abandon(first).is_some());
        let second = position.claim(8);
        let other = other.join().unwrap();
        assert!(second.is_some() != other.is_some(), "exactly one later caller");
        assert!(position.complete(second.or(other).unwrap()).is_some());
    });
}

#[test]
fn a_late_removal_takes_only_a_tombstone() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        let first = position.claim(8).expect("it is new");
        let cell = position.look().expect("its record");
        assert!(cell.complete(first, until(16)).is_some());
        // The ring's turn has come for it, and two claims find it expired.
        let theirs = Arc::clone(&position);
        let forgetter = thread::spawn(move || {
            let word = cell.read();
            if matches!(word.state(), ClaimState::Done(_)) && cell.forget(word) {
                theirs.remove_tombstone();
            }
        });
        let mine = position.claim(16).is_some();
        forgetter.join().unwrap();
        assert!(mine && position.claim(16).is_none(), "the new claim stays");
    });
}

#[test]
fn an_extension_beside_a_claim_that_takes_over() {
    loom::model(|| {
        let cell = Arc::new(ClaimCell::claimed(until(8)));
        let own = cell.claim_id(until(8));
        let theirs = Arc::clone(&cell);
        let claimer = thread::spawn(move || {
            let word = theirs.read();
            let lapsed =
                matches!(word.state(), ClaimState::Claimed(lease) if lease.is_passed(at(8)));
            lapsed.then(|| theirs.take_over(word, until(8 + LEASE))).flatten()
        });
        let mine = cell.extend(own, until(200));
        let taken = claimer.join().unwrap();
        assert!(mine.is_some() != taken.is_some(), "one of them has the claim");
        let holder = mine.or(taken).unwrap();
        assert!(cell.complete(own, until(1 << 20)).is_none(), "not by what it was before");
        assert!(cell.complete(holder, until(1 << 20)).is_some());
    });
}

#[test]
fn a_cleanup_beside_a_holder_that_is_late() {
    loom::model(|| {
        let position = Arc::new(Place::default());
        let own = position.claim(8).expect("it is new");
        let cell = position.look().expect("its record");
        let theirs = Arc::clone(&position);
        let cleaner = thread::spawn(move || {
            let word = cell.read();
            let lapsed = matches!(word.state(), ClaimState::Claimed(lease) if lease.is_passed(at(8 + LEASE)));
            let expired = lapsed.then(|| cell.expire(word)).flatten().is_some();
            if expired {
                theirs.remove_tombstone();
            }
            expired
        });
        let completed = position.complete(own).is_some();
        let expired = cleaner.join().unwrap();
        assert!(completed != expired, "one of them ends the claim");
        assert_eq!(position.claim(8 + LEASE).is_none(), completed, "it is done, or open");
    });
}

#[test]
fn waiters_are_woken_by_a_cleanup() {
    loom::model(|| {
        let cell = Arc::new(ClaimCell::claimed(until(8)));
        let waiting = Arc::new(Mutex::new((false, false)));
        let (their_slot, theirs) = (Arc::clone(&cell), Arc::clone(&waiting));
        let cleaner = thread::spawn(move || {
            let Some(ClaimEnd { has_waiters }) = their_slot.expire(their_slot.read()) else {
                return false;
            };
            if has_waiters {
                let mut waiting = theirs.lock().unwrap();
                waiting.1 = waiting.0;
            }
            true
        });
        waiting.lock().unwrap().0 = true;
        let word = cell.read();
        let sleeps = matches!(word.state(), ClaimState::Claimed(_)) && cell.join(word);
        let expired = cleaner.join().unwrap();
        assert!(!sleeps || !expired || waiting.lock().unwrap().1, "it sleeps for ever");
    });
}

#[test]
fn an_id_is_forgotten_once() {
    loom::model(|| {
        let cell = Arc::new(ClaimCell::claimed(until(8)));
        assert!(cell.complete(cell.claim_id(until(8)), until(16)).is_some());
        let forget = |cell: &ClaimCell| {
            let word = cell.read();
            matches!(word.state(), ClaimState::Done(_)) && cell.forget(word)
        };
        let theirs = Arc::clone(&cell);
        let other = thread::spawn(move || forget(&theirs));
        assert!(forget(&cell) != other.join().unwrap());
    });
}

#[test]
fn what_was_done_is_seen_by_the_thread_that_forgets_it() {
    loom::model(|| {
        let cell = Arc::new(ClaimCell::claimed(until(8)));
        let work = Arc::new(AtomicU64::new(0));
        let (their_slot, their_work) = (Arc::clone(&cell), Arc::clone(&work));
        let holder = thread::spawn(move || {
            their_work.store(1, Ordering::Relaxed);
            assert!(their_slot.complete(their_slot.claim_id(until(8)), until(80)).is_some());
        });
        // The word that it will have: with a load in between, the checker does not come to it.
        let done = ClaimCell::claimed(until(8));
        done.complete(done.claim_id(until(8)), until(80));
        if cell.forget(done.read()) {
            assert_eq!(work.load(Ordering::Relaxed), 1);
        }
        holder.join().unwrap();
    });
}

#[test]
fn waiters_are_woken() {
    loom::model(|| {
        let cell = Arc::new(ClaimCell::claimed(until(8)));
        // Entered, and woken: what `Waiters` keeps.
        let waiting = Arc::new(Mutex::new((false, false)));
        let (their_slot, theirs) = (Arc::clone(&cell), Arc::clone(&waiting));
        let holder = thread::spawn(move || {
            let ClaimEnd { has_waiters } =
                their_slot.complete(their_slot.claim_id(until(8)), until(80)).unwrap();
            if has_waiters {
                let mut waiting = theirs.lock().unwrap();
                waiting.1 = waiting.0;
            }
        });
        waiting.lock().unwrap().0 = true;
        let word = cell.read();
        let sleeps = matches!(word.state(), ClaimState::Claimed(_)) && cell.join(word);
        holder.join().unwrap();
        assert!(!sleeps || waiting.lock().unwrap().1, "it sleeps for ever");
    });
}

#[test]
fn every_hash_is_taken_out_of_the_ring_once() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        // Allocated beforehand; `OnceLock` is not modelled.
        assert_eq!(ring.put(ring.take_position(), 1, until(8)), PutOutcome::Stored(None));
        // What has to go, and whether it went for what came later.
        let put = |ring: &Ring, hash| {
            let position = ring.take_position();
            match ring.put(position, hash, until(8)) {
                PutOutcome::Stored(Some(oldest)) => {
                    assert!(oldest.lap < ring.lap(position), "the newer one went");
                    oldest.hash
                }
                PutOutcome::Stored(None) => panic!("the cell was not empty"),
                PutOutcome::Late => hash,
            }
        };
        let theirs = Arc::clone(&ring);
        let other = thread::spawn(move || put(&theirs, 2));
        let mine = put(&ring, 3);
        let theirs = other.join().unwrap();
        let left = ring.look(0).unwrap();
        assert_eq!(left.lap, 2, "the last position's hash stays");
        let mut out = [mine, theirs, left.hash];
        out.sort_unstable();
        assert_eq!(out, [1, 2, 3]);
    });
}

#[test]
fn a_position_is_there_when_its_hash_comes_out() {
    loom::model(|| {
        let ring = Arc::new(Ring::new(1));
        ring.put(ring.take_position(), 1, until(8));
        let record = Arc::new(AtomicU64::new(0));
        let (their_ring, theirs) = (Arc::clone(&ring), Arc::clone(&record));
        let completer = thread::spawn(move || {
            let position = their_ring.take_position();
            // As `Record::set_place` does.
            theirs.store(position, Ordering::Relaxed);
            their_ring.put(position, 2, until(8));
        });
        let put = ring.put(ring.take_position(), 3, until(8));
        if let PutOutcome::Stored(Some(oldest)) = put
            && oldest.hash == 2
        {
            assert_ne!(record.load(Ordering::Relaxed), 0);
        }
        completer.join().unwrap();
    });
}
