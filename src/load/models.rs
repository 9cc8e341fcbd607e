//! Models of the flight. Run with `--cfg clockhand_loom`.
//!
//! The table's part, where a landing meets inserts and removals, is modelled in `table`.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::flight::{End, Flight, Kind, News, Outcome, Patience, Seat};

type Toy = Flight<u64>;

const PATIENCE: Patience = Patience { silent: 1_000, woken: 100 };
/// A moment at which no leader stalls that was polled at zero, and one at which it does.
const SOON: u64 = 10;
const LATE: u64 = 10_000;

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell(Notify::new()));
    (Arc::clone(&bell), Waker::from(bell))
}

/// What a waiter comes to.
#[derive(Debug, PartialEq)]
enum Ended {
    Late,
    Over(Option<u64>),
    Promoted(Seat),
}

/// Joins, and sleeps whenever it is told to wait: if nobody wakes it, the model is stuck and fails.
fn wait(flight: &Toy) -> Ended {
    let (bell, waker) = bell();
    let Some(seat) = flight.join(Kind::Thread, waker.clone()) else { return Ended::Late };
    loop {
        match flight.poll(seat, &waker, SOON, PATIENCE) {
            News::Wait => bell.0.wait(),
            News::Promoted => return Ended::Promoted(seat),
            News::Over(None) => return Ended::Over(None),
            News::Over(Some(outcome)) => match *outcome {
                Outcome::Value(value) => return Ended::Over(Some(value)),
                Outcome::Failed(..) => return Ended::Over(None),
            },
        }
    }
}

/// Ends a flight as leader; false if it was relieved.
fn finish(flight: &Toy, seat: Seat, value: u64) -> bool {
    if !flight.begin_landing(seat, 1) {
        return false;
    }
    if flight.end(seat, &None, None) == End::Wanted {
        let outcome = Some(Arc::new(Outcome::Value(value)));
        assert_eq!(flight.end(seat, &outcome, None), End::Over);
    }
    true
}

fn flight(kind: Kind) -> Arc<Toy> {
    Arc::new(Flight::new(kind, 1, 0))
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_duration = Some(std::time::Duration::from_secs(20));
    builder.check(f);
}

#[test]
fn an_end_reaches_all_that_have_joined() {
    model(|| {
        let flight = flight(Kind::Thread);
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let flight = Arc::clone(&flight);
                thread::spawn(move || wait(&flight))
            })
            .collect();
        assert!(finish(&flight, Toy::FIRST, 7), "nobody takes over");
        for waiter in waiters {
            let ended = waiter.join().unwrap();
            assert!(matches!(ended, Ended::Late | Ended::Over(Some(7))), "{ended:?}");
        }
    });
}

#[test]
fn a_leader_that_dies_promotes_a_waiter() {
    model(|| {
        let flight = flight(Kind::Thread);
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || wait(&other));
        let nobody = flight.abandon(Toy::FIRST, SOON, false);
        match waiter.join().unwrap() {
            Ended::Late => assert!(nobody, "it is over although somebody waits"),
            Ended::Promoted(seat) => {
                assert!(!nobody);
                assert!(!flight.begin_landing(Toy::FIRST, 1), "the dead leader leads");
                assert!(finish(&flight, seat, 7));
            }
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over(u64::MAX));
    });
}

#[test]
fn a_waiter_that_leaves_passes_its_promotion_on() {
    model(|| {
        let flight = flight(Kind::Thread);
        let (_bell, waker) = bell();
        let first = flight.join(Kind::Thread, waker).unwrap();
        let other = Arc::clone(&flight);
        let second = thread::spawn(move || wait(&other));
        let leaver = Arc::clone(&flight);
        let leaver = thread::spawn(move || leaver.leave(first, SOON));
        let dead = flight.abandon(Toy::FIRST, SOON, false);
        let left = leaver.join().unwrap();
        match second.join().unwrap() {
            Ended::Promoted(seat) => {
                assert!(!dead && !left, "over, and led");
                assert!(finish(&flight, seat, 7));
            }
            Ended::Late => assert!(dead ^ left, "exactly one has found nobody left"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_waker_that_was_given_last_is_woken() {
    model(|| {
        let flight = flight(Kind::Thread);
        let (_, first) = bell();
        let seat = flight.join(Kind::Task, first).unwrap();
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || {
            let (bell, waker) = bell();
            while let News::Wait = other.poll(seat, &waker, SOON, PATIENCE) {
                bell.0.wait();
            }
        });
        assert!(finish(&flight, Toy::FIRST, 7));
        waiter.join().unwrap();
    });
}

#[test]
fn a_leader_that_lands_is_not_relieved() {
    model(|| {
        let flight = flight(Kind::Task);
        let landing = Arc::new(AtomicUsize::new(0));
        let land = |flight: &Toy, landing: &AtomicUsize, seat: Seat| {
            if flight.begin_landing(seat, 1) {
                assert_eq!(landing.fetch_add(1, Ordering::AcqRel), 0, "two land at once");
                landing.fetch_sub(1, Ordering::AcqRel);
                if flight.end(seat, &None, None) == End::Wanted {
                    flight.end(seat, &Some(Arc::new(Outcome::Value(7))), None);
                }
            }
        };
        let (_bell, waker) = bell();
        let seat = flight.join(Kind::Task, waker.clone()).unwrap();
        let (other, theirs) = (Arc::clone(&flight), Arc::clone(&landing));
        let waiter = thread::spawn(move || {
            if let News::Promoted = other.poll(seat, &waker, LATE, PATIENCE) {
                land(&other, &theirs, seat);
            }
        });
        land(&flight, &landing, Toy::FIRST);
        waiter.join().unwrap();
        assert!(flight.is_over(u64::MAX), "whoever led has landed");
    });
}

#[test]
fn a_nudge_loses_no_news() {
    // The watch has the first waiter take over, and the leader ends meanwhile.
    model(|| {
        let flight = flight(Kind::Task);
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || wait(&other));
        let watch = Arc::clone(&flight);
        let watch = thread::spawn(move || watch.nudge(LATE, PATIENCE));
        let finished = finish(&flight, Toy::FIRST, 7);
        watch.join().unwrap();
        match waiter.join().unwrap() {
            Ended::Late | Ended::Over(Some(7)) => assert!(finished),
            Ended::Promoted(seat) => {
                assert!(!finished, "two have led to the end");
                assert!(finish(&flight, seat, 7));
            }
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over(u64::MAX));
    });
}

#[test]
fn the_thread_that_is_named_is_the_one_that_leads() {
    model(|| {
        let flight = flight(Kind::Thread);
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || {
            let ended = wait(&other);
            if let Ended::Promoted(seat) = ended {
                assert!(other.led_by_thread(seat, 9));
            }
            ended
        });
        flight.abandon(Toy::FIRST, SOON, false);
        match waiter.join().unwrap() {
            Ended::Promoted(_) => assert_eq!(flight.thread(), 9, "its number is lost"),
            _ => assert_eq!(flight.thread(), 0, "it leads no more"),
        }
    });
}
