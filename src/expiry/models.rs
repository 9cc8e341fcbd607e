//! Models of a deadline that reads move. Run with `--cfg clockhand_loom`.

use std::sync::Arc;

use loom::thread;

use super::sliding::{self, DeadlineWord, ahead, change, deadline, extend};
use crate::sync::{AtomicU64, Relaxed};
use crate::time::{Deadline, Moment};

/// As in an entry, but seen by the model checker.
struct Modelled(Relaxed<AtomicU64>);

impl DeadlineWord for Modelled {
    fn get(&self) -> u64 {
        self.0.get()
    }
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        if self.0.try_set(from, to) { Ok(()) } else { Err(self.0.get()) }
    }
}

fn at(moment: u64) -> Moment {
    Moment::from_word(moment)
}

fn due(moment: u64) -> Deadline {
    Deadline::from_word(moment)
}

/// A deadline at ten.
fn word() -> Arc<Modelled> {
    Arc::new(Modelled(Relaxed::<AtomicU64>::new(10)))
}

/// X1, X2: a read that began in time stores its new deadline late, and another one after the deadline
/// is told that the entry has expired. The thread that looks after that is told the same.
#[test]
fn what_was_seen_as_expired_stays_so() {
    loom::model(|| {
        let word = word();
        let (slow, other) = (Arc::clone(&word), Arc::clone(&word));
        let slow = thread::spawn(move || {
            let found = ahead(&*slow, at(9)).filter(|found| *found <= due(10));
            found.is_some_and(|found| change(&*slow, found, due(19)))
        });
        let other = thread::spawn(move || ahead(&*other, at(11)));
        let seen = ahead(&*word, at(12));
        let (moved, seen_too) = (slow.join().unwrap(), other.join().unwrap());
        let now = ahead(&*word, at(12));
        if seen.is_none() || seen_too.is_none() {
            assert_eq!(now, None, "it has come back");
        }
        assert_eq!(now.is_some(), moved, "one of both has had its way");
    });
}

/// The same for the time to idle.
#[test]
fn what_was_idle_for_too_long_stays_so() {
    loom::model(|| {
        let word = word();
        let (slow, other) = (Arc::clone(&word), Arc::clone(&word));
        let slow = thread::spawn(move || extend(&*slow, at(9), due(19)));
        let other = thread::spawn(move || extend(&*other, at(11), due(21)));
        let seen = ahead(&*word, at(11)).is_some();
        let (slow, other) = (slow.join().unwrap(), other.join().unwrap());
        let now = ahead(&*word, at(11)).is_some();
        assert!(now || !other, "it lives for ten from its last read");
        assert!(!now || other || slow, "nobody has read it in time");
        assert!(seen || !now, "it has come back");
    });
}

/// X4: of two reads the later one counts, whichever is faster.
#[test]
fn a_read_with_an_older_clock_sets_nothing_back() {
    loom::model(|| {
        let word = word();
        let threads = [5, 9].map(|now| {
            let word = Arc::clone(&word);
            thread::spawn(move || assert!(extend(&*word, at(now), due(now + 10))))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(deadline(&*word), due(19));
    });
}

/// X3: an answer to an old state does not go over that to a newer one.
#[test]
fn an_answer_to_an_old_state_is_not_stored() {
    loom::model(|| {
        let word = word();
        let threads = [1, 2].map(|more| {
            let word = Arc::clone(&word);
            // Each read adds to what is left.
            thread::spawn(move || {
                let found = ahead(&*word, at(5)).expect("it lies ahead");
                change(&*word, found, due(found.to_word() + more)).then_some(more)
            })
        });
        let added: u64 = threads.into_iter().filter_map(|thread| thread.join().unwrap()).sum();
        assert_eq!(deadline(&*word), due(10 + added), "an answer was lost that had been stored");
    });
}

/// A call gives an entry another deadline while a load renews it: copies its deadline, and then puts another entry in
/// its place. Whichever entry the call finds, the one that is there in the end has its deadline.
#[test]
fn a_deadline_that_is_set_beside_a_renewal_stays() {
    set_beside_a_renewal(due(20));
}

/// The same with a deadline that is passed when it is set: the value does not come back.
#[test]
fn an_end_that_is_set_beside_a_renewal_stays() {
    set_beside_a_renewal(due(1));
}

fn set_beside_a_renewal(to: Deadline) {
    loom::model(move || {
        let words = [word(), word()];
        // Which of both is in the table.
        let linked = Arc::new(Relaxed::<AtomicU64>::new(0));
        let (seen, table) = (words.clone(), Arc::clone(&linked));
        let setter = thread::spawn(move || {
            loop {
                let nth = table.get();
                let word = &seen[nth as usize];
                // One that is over was set before.
                while let Some(found) = ahead(&**word, at(1)) {
                    if sliding::set(&**word, found, to) {
                        break;
                    }
                }
                if table.get() == nth {
                    return;
                }
            }
        });
        let copied = deadline(&*words[0]);
        // Not visible yet.
        words[1].0.set(copied.to_word());
        linked.set(1);
        sliding::follow(&*words[1], &*words[0], copied);
        setter.join().unwrap();
        assert_eq!(deadline(&*words[1]), to, "the deadline that was set is lost");
    });
}
