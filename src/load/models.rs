//! Models of the flight. Run with `--cfg clockhand_loom`.
//!
//! The table's part, where a load that completes meets inserts and removals, is modelled in `table`.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::flight::{CallerId, Completion, End, Flight, FlightOutcome, FlightPoll, Runner};
use super::leader_state::StallLimits;
use super::run::Run;
use crate::sync::explore;

type Toy = Flight<u64>;

const LIMITS: StallLimits = StallLimits { woken: 100, renewal: 1_000 };
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
    Promoted(CallerId),
}

/// Joins, and sleeps whenever it is told to wait: if it is not woken, the model is stuck and fails.
fn wait(flight: &Toy) -> Ended {
    let (bell, waker) = bell();
    let Some(id) = flight.join(Runner::Thread, waker.clone()) else { return Ended::Late };
    loop {
        match flight.poll(id, &waker, SOON) {
            FlightPoll::Pending => bell.0.wait(),
            FlightPoll::Promoted => return Ended::Promoted(id),
            FlightPoll::Over(None) => return Ended::Over(None),
            FlightPoll::Over(Some(outcome)) => match *outcome {
                FlightOutcome::Value(value) => return Ended::Over(Some(value)),
                FlightOutcome::Failed(..) => return Ended::Over(None),
            },
        }
    }
}

/// Ends a flight as leader; false if it was relieved.
fn finish(flight: &Toy, id: CallerId, value: u64) -> bool {
    if !flight.begin_completion(id, Completion::Value) {
        return false;
    }
    if flight.end(id, &None) == End::OutcomeWanted {
        let outcome = Some(Arc::new(FlightOutcome::Value(value)));
        assert_eq!(flight.end(id, &outcome), End::Over);
    }
    true
}

fn flight(runner: Runner) -> Arc<Toy> {
    Arc::new(Flight::new(runner, false, LIMITS, 0))
}

/// A flight that a task leads which was woken at zero, and is not polled.
fn stalled() -> Arc<Toy> {
    let (flight, run) = (flight(Runner::Task), Arc::new(Run::default()));
    assert!(flight.start_run(Toy::FIRST, Runner::Task, &run, 0));
    run.wake(1);
    flight
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    explore(3, 100_000, f);
}

#[test]
fn an_end_reaches_all_that_have_joined() {
    model(|| {
        let flight = flight(Runner::Thread);
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let flight = Arc::clone(&flight);
                thread::spawn(move || wait(&flight))
            })
            .collect();
        assert!(finish(&flight, Toy::FIRST, 7), "no caller takes over");
        for waiter in waiters {
            let ended = waiter.join().unwrap();
            assert!(matches!(ended, Ended::Late | Ended::Over(Some(7))), "{ended:?}");
        }
    });
}

#[test]
fn a_leader_that_dies_promotes_a_waiter() {
    model(|| {
        let flight = flight(Runner::Thread);
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || wait(&other));
        let is_last = flight.abandon(Toy::FIRST, SOON);
        match waiter.join().unwrap() {
            Ended::Late => assert!(is_last, "it is over although a caller waits"),
            Ended::Promoted(id) => {
                assert!(!is_last);
                assert!(!flight.abandon(Toy::FIRST, SOON), "the dead leader leads");
                assert!(finish(&flight, id, 7));
            }
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over());
    });
}

#[test]
fn a_waiter_that_leaves_passes_its_promotion_on() {
    model(|| {
        let flight = flight(Runner::Thread);
        let (_bell, waker) = bell();
        let first = flight.join(Runner::Thread, waker).unwrap();
        let other = Arc::clone(&flight);
        let second = thread::spawn(move || wait(&other));
        let leaver = Arc::clone(&flight);
        let leaver = thread::spawn(move || leaver.leave(first, SOON));
        let dead = flight.abandon(Toy::FIRST, SOON);
        let left = leaver.join().unwrap();
        match second.join().unwrap() {
            Ended::Promoted(id) => {
                assert!(!dead && !left, "over, and led");
                assert!(finish(&flight, id, 7));
            }
            Ended::Late => assert!(dead ^ left, "exactly one has found nobody left"),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn the_waker_that_was_given_last_is_woken() {
    model(|| {
        let flight = flight(Runner::Thread);
        let (_, first) = bell();
        let id = flight.join(Runner::Task, first).unwrap();
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || {
            let (bell, waker) = bell();
            while let FlightPoll::Pending = other.poll(id, &waker, SOON) {
                bell.0.wait();
            }
        });
        assert!(finish(&flight, Toy::FIRST, 7));
        waiter.join().unwrap();
    });
}

#[test]
fn one_value_completes() {
    // A waiter takes over from a leader that has just come to its end.
    model(|| {
        let flight = stalled();
        let completing = Arc::new(AtomicUsize::new(0));
        let complete = |flight: &Toy, completing: &AtomicUsize, id: CallerId| {
            if flight.begin_completion(id, Completion::Value) {
                assert_eq!(completing.fetch_add(1, Ordering::AcqRel), 0, "two complete at once");
                completing.fetch_sub(1, Ordering::AcqRel);
                if flight.end(id, &None) == End::OutcomeWanted {
                    flight.end(id, &Some(Arc::new(FlightOutcome::Value(7))));
                }
            }
        };
        let (_bell, waker) = bell();
        let id = flight.join(Runner::Task, waker.clone()).unwrap();
        let (other, theirs) = (Arc::clone(&flight), Arc::clone(&completing));
        let waiter = thread::spawn(move || {
            if let FlightPoll::Promoted = other.poll(id, &waker, LATE) {
                complete(&other, &theirs, id);
            }
        });
        complete(&flight, &completing, Toy::FIRST);
        waiter.join().unwrap();
        assert!(flight.is_over(), "the first one has completed it");
        flight.check();
    });
}

#[test]
fn a_nudge_loses_no_outcome() {
    // The watch has the first waiter take over, and the leader ends meanwhile.
    model(|| {
        let flight = stalled();
        let other = Arc::clone(&flight);
        let waiter = thread::spawn(move || wait(&other));
        let watch = Arc::clone(&flight);
        let watch = thread::spawn(move || watch.relieve_stalled(LATE));
        let first = finish(&flight, Toy::FIRST, 7);
        watch.join().unwrap();
        match waiter.join().unwrap() {
            Ended::Late | Ended::Over(Some(7)) => assert!(first),
            Ended::Promoted(id) => {
                assert!(first ^ finish(&flight, id, 8), "one of them completes it")
            }
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over());
        flight.check();
    });
}

#[test]
fn a_waiter_that_is_passed_by_is_told_the_end() {
    // A task is promoted and sleeps on; the watch promotes the next one, which completes the flight, and the task is
    // polled somewhere in between.
    model(|| {
        let flight = flight(Runner::Thread);
        let (bell, waker) = bell();
        let late = flight.join(Runner::Task, waker.clone()).unwrap();
        let (_, noop) = self::bell();
        let next = flight.join(Runner::Task, noop.clone()).unwrap();
        assert!(!flight.abandon(Toy::FIRST, 0));
        let other = Arc::clone(&flight);
        let sleeper = thread::spawn(move || {
            // It was woken once, when it was promoted.
            bell.0.wait();
            loop {
                match other.poll(late, &waker, SOON) {
                    FlightPoll::Pending => bell.0.wait(),
                    FlightPoll::Promoted => return Ended::Promoted(late),
                    FlightPoll::Over(outcome) => {
                        return Ended::Over(outcome.map(|outcome| match *outcome {
                            FlightOutcome::Value(value) => value,
                            FlightOutcome::Failed(..) => 0,
                        }));
                    }
                }
            }
        });
        let watch = Arc::clone(&flight);
        let watch = thread::spawn(move || watch.relieve_stalled(LATE));
        watch.join().unwrap();
        let led = matches!(flight.poll(next, &noop, SOON), FlightPoll::Promoted);
        if led {
            assert!(finish(&flight, next, 7));
        }
        match sleeper.join().unwrap() {
            Ended::Over(Some(7)) => assert!(led),
            Ended::Promoted(id) => assert!(!led && finish(&flight, id, 7)),
            other => panic!("{other:?}"),
        }
        assert!(flight.is_over());
    });
}
