//! Models of the flight. Run with `--cfg clockhand_loom`.
//!
//! The table's part, where a landing meets inserts and removals, is modelled in `table`.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::flight::{End, Flight, Kind, Landing, News, Outcome, Seat};
use super::leader::Limits;
use super::run::Run;

type Toy = Flight<u64>;

const LIMITS: Limits = Limits { woken: 100, renewal: 1_000 };
/// A moment at which no leader stalls that was woken or promoted at zero, and one at which it does.
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
        match flight.poll(seat, &waker, SOON) {
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
    if !flight.begin_landing(seat, Landing::Value) {
        return false;
    }
    if flight.end(seat, &None) == End::Wanted {
        let outcome = Some(Arc::new(Outcome::Value(value)));
        assert_eq!(flight.end(seat, &outcome), End::Over);
    }
    true
}

fn flight(kind: Kind) -> Arc<Toy> {
    Arc::new(Flight::new(kind, false, LIMITS, 0))
}

/// A flight that a task leads which was woken at zero, and is not polled.
fn stalled() -> Arc<Toy> {
    let (flight, run) = (flight(Kind::Task), Arc::new(Run::default()));
    assert!(flight.begin(Toy::FIRST, Kind::Task, &run, 0));
    run.wake(1);
    flight
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
        let nobody = flight.abandon(Toy::FIRST, SOON);
        match waiter.join().unwrap() {
            Ended::Late => assert!(nobody, "it is over although somebody waits"),
            Ended::Promoted(seat) => {
                assert!(!nobody);
                assert!(!flight.abandon(Toy::FIRST, SOON), "the dead leader leads");
                assert!(finish(&flight, seat, 7));
            }
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over());
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
        let dead = flight.abandon(Toy::FIRST, SOON);
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
            while let News::Wait = other.poll(seat, &waker, SOON) {
                bell.0.wait();
            }
        });
        assert!(finish(&flight, Toy::FIRST, 7));
        waiter.join().unwrap();
    });
}

#[test]
fn one_value_lands() {
    // A waiter takes over from a leader that has just come to its end.
    model(|| {
        let flight = stalled();
        let landing = Arc::new(AtomicUsize::new(0));
        let land = |flight: &Toy, landing: &AtomicUsize, seat: Seat| {
            if flight.begin_landing(seat, Landing::Value) {
                assert_eq!(landing.fetch_add(1, Ordering::AcqRel), 0, "two land at once");
                landing.fetch_sub(1, Ordering::AcqRel);
                if flight.end(seat, &None) == End::Wanted {
                    flight.end(seat, &Some(Arc::new(Outcome::Value(7))));
                }
            }
        };
        let (_bell, waker) = bell();
        let seat = flight.join(Kind::Task, waker.clone()).unwrap();
        let (other, theirs) = (Arc::clone(&flight), Arc::clone(&landing));
        let waiter = thread::spawn(move || {
            if let News::Promoted = other.poll(seat, &waker, LATE) {
                land(&other, &theirs, seat);
            }
        });
        land(&flight, &landing, Toy::FIRST);
        waiter.join().unwrap();
        assert!(flight.is_over(), "whoever came first has landed");
        flight.check();
    });
}

#[test]
fn a_nudge_loses_no_news() {
    // The watch has the first waiter take over, and the leader ends meanwhile.
    model(|| {
        let flight = stalled();
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || wait(&other));
        let watch = Arc::clone(&flight);
        let watch = thread::spawn(move || watch.nudge(LATE));
        let first = finish(&flight, Toy::FIRST, 7);
        watch.join().unwrap();
        match waiter.join().unwrap() {
            Ended::Late | Ended::Over(Some(7)) => assert!(first),
            Ended::Promoted(seat) => assert!(first ^ finish(&flight, seat, 8), "one of them lands"),
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over());
        flight.check();
    });
}

#[test]
fn a_waiter_that_is_passed_by_is_told_the_end() {
    // A task is promoted and sleeps on; the watch passes it by, the next one lands, and the task is polled
    // somewhere in between.
    model(|| {
        let flight = flight(Kind::Thread);
        let (bell, waker) = bell();
        let late = flight.join(Kind::Task, waker.clone()).unwrap();
        let (_, noop) = self::bell();
        let next = flight.join(Kind::Task, noop.clone()).unwrap();
        assert!(!flight.abandon(Toy::FIRST, 0));
        let other = Arc::clone(&flight);
        let sleeper = thread::spawn(move || {
            // It was woken once, when it was promoted.
            bell.0.wait();
            loop {
                match other.poll(late, &waker, SOON) {
                    News::Wait => bell.0.wait(),
                    News::Promoted => return Ended::Promoted(late),
                    News::Over(outcome) => {
                        return Ended::Over(outcome.map(|outcome| match *outcome {
                            Outcome::Value(value) => value,
                            Outcome::Failed(..) => 0,
                        }));
                    }
                }
            }
        });
        let watch = Arc::clone(&flight);
        let watch = thread::spawn(move || watch.nudge(LATE));
        watch.join().unwrap();
        let led = matches!(flight.poll(next, &noop, SOON), News::Promoted);
        if led {
            assert!(finish(&flight, next, 7));
        }
        match sleeper.join().unwrap() {
            Ended::Over(Some(7)) => assert!(led),
            Ended::Promoted(seat) => assert!(!led && finish(&flight, seat, 7)),
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over());
    });
}
