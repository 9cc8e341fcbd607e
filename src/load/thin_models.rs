//! Models of loads that begin thin. Run with `--cfg clockhand_loom`.
//!
//! The table is one place with a word: nothing, a token, or a value. That it has no more than one of them for a key,
//! and what replaces or unlinks one, is modelled in `table`.

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify;
use loom::thread;

use super::caller::inflate;
use super::flight::{Completion, Flight, FlightOutcome, FlightPoll, Runner};
use super::leader_state::StallLimits;
use crate::engine::{LatchList, ThinLoad};
use crate::sync::{Mutex, explore, lock};

type Toy = Flight<u64>;

const LIMITS: StallLimits = StallLimits { woken: 100, renewal: 1_000 };
const SOON: u64 = 10;

/// What a key has.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Has {
    Nothing,
    Token(ThinLoad),
    Value(u64),
}

type Place = Arc<Mutex<Has>>;

/// What a caller that looks for the key comes to.
#[derive(Debug, PartialEq)]
enum Ended {
    Nothing,
    Found(u64),
    Told(u64),
    Promoted,
}

struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    explore(3, 100_000, f);
}

fn begin() -> (Place, ThinLoad) {
    let load = ThinLoad::begin();
    (Arc::new(Mutex::new(Has::Token(load))), load)
}

/// Joins a load and waits for it. `None` if it is over.
fn join(load: ThinLoad) -> Option<Ended> {
    let flight = inflate::<u64>(load, LIMITS)?;
    let bell = Arc::new(Bell(Notify::new()));
    let waker = Waker::from(Arc::clone(&bell));
    let id = flight.join(Runner::Thread, waker.clone())?;
    loop {
        match flight.poll(id, &waker, SOON) {
            FlightPoll::Pending => bell.0.wait(),
            FlightPoll::Promoted => {
                let _ = flight.abandon(id, SOON);
                return Some(Ended::Promoted);
            }
            FlightPoll::Over(outcome) => match &*outcome? {
                FlightOutcome::Value(value) => return Some(Ended::Told(*value)),
                FlightOutcome::Failed(_) => return None,
            },
        }
    }
}

/// Looks for the key, and joins a load that it finds.
fn look(place: &Place) -> Ended {
    loop {
        let has = *lock(place);
        match has {
            Has::Nothing => return Ended::Nothing,
            Has::Value(value) => return Ended::Found(value),
            Has::Token(load) => match join(load) {
                Some(ended) => return ended,
                None => thread::yield_now(),
            },
        }
    }
}

/// Leads a load to its end.
fn complete(place: &Place, load: ThinLoad, value: u64) {
    {
        let mut has = lock(place);
        if *has == Has::Token(load) {
            *has = Has::Value(value);
        }
    }
    end(load, value);
}

fn end(load: ThinLoad, value: u64) {
    if let Err(flight) = load.end() {
        let flight = Toy::of(flight);
        assert!(flight.begin_completion(Toy::FIRST, Completion::Value), "it has one leader");
        flight.end_with(Toy::FIRST, || FlightOutcome::Value(value));
        assert!(flight.is_over());
        flight.check();
    }
    assert!(load.is_over());
}

fn looker(place: &Place) -> thread::JoinHandle<Ended> {
    let place = Arc::clone(place);
    thread::spawn(move || look(&place))
}

#[test]
fn who_joins_as_the_leader_completes_is_told_or_finds_the_value() {
    model(|| {
        let (place, load) = begin();
        let callers = [looker(&place), looker(&place)];
        complete(&place, load, 7);
        for caller in callers {
            let ended = caller.join().unwrap();
            assert!(matches!(ended, Ended::Told(7) | Ended::Found(7)), "{ended:?}");
        }
    });
}

#[test]
fn two_who_join_share_a_flight() {
    model(|| {
        let (_, load) = begin();
        let callers = [(); 2].map(|()| thread::spawn(move || join(load)));
        end(load, 7);
        for caller in callers {
            let ended = caller.join().unwrap();
            assert!(matches!(ended, None | Some(Ended::Told(7))), "{ended:?}");
        }
    });
}

#[test]
fn a_load_that_is_detached_tells_those_who_joined_before() {
    model(|| {
        let (place, load) = begin();
        let caller = looker(&place);
        let other = Arc::clone(&place);
        let invalidator = thread::spawn(move || *lock(&other) = Has::Nothing);
        complete(&place, load, 7);
        invalidator.join().unwrap();
        let ended = caller.join().unwrap();
        assert!(matches!(ended, Ended::Told(7) | Ended::Found(7) | Ended::Nothing), "{ended:?}");
        assert_eq!(*lock(&place), Has::Nothing, "a value is there that is older than the removal");
    });
}

#[test]
fn a_token_of_a_load_that_is_over_leads_to_no_other() {
    // The latch serves another load, of another key, while a caller still has the token of the first one.
    model(|| {
        let (_, first) = begin();
        let late = thread::spawn(move || join(first));
        let ended = first.end();
        let second = match ended {
            Ok(()) => ThinLoad::after(first),
            Err(flight) => {
                let flight = Toy::of(flight);
                assert!(flight.begin_completion(Toy::FIRST, Completion::Value));
                flight.end_with(Toy::FIRST, || FlightOutcome::Value(7));
                ThinLoad::after(first)
            }
        };
        assert!(first.is_over() && !second.is_over() && first != second);
        end(second, 8);
        let late = late.join().unwrap();
        assert!(matches!(late, None | Some(Ended::Told(7))), "{late:?}");
    });
}

#[test]
fn a_leader_that_gives_up_promotes_who_has_joined() {
    model(|| {
        let (place, load) = begin();
        let caller = looker(&place);
        let flight = inflate::<u64>(load, LIMITS).expect("its leader has not ended it");
        if flight.abandon(Toy::FIRST, SOON) {
            let mut has = lock(&place);
            if *has == Has::Token(load) {
                *has = Has::Nothing;
            }
        }
        let ended = caller.join().unwrap();
        assert!(matches!(ended, Ended::Promoted | Ended::Nothing), "{ended:?}");
        assert!(load.is_over() && flight.is_over());
    });
}

#[test]
fn who_comes_late_to_a_load_does_not_meet_those_of_the_next_one() {
    // The late one has the lock of the latch while that goes on to another load, which another caller joins.
    model(|| {
        let (_, first) = begin();
        let late = thread::spawn(move || join(first));
        end(first, 7);
        let second = ThinLoad::after(first);
        let next = thread::spawn(move || join(second));
        end(second, 8);
        let (late, next) = (late.join().unwrap(), next.join().unwrap());
        assert!(matches!(late, None | Some(Ended::Told(7))), "{late:?}");
        assert!(matches!(next, None | Some(Ended::Told(8))), "{next:?}");
    });
}

/// As `look`, of a caller that removes a token that was left behind.
fn look_and_remove(place: &Place, load: ThinLoad) -> Ended {
    loop {
        if *lock(place) == Has::Nothing {
            return Ended::Nothing;
        }
        if let Some(ended) = join(load) {
            return ended;
        }
        assert!(load.is_over(), "the flight is over, and the load is not: the caller spins");
        *lock(place) = Has::Nothing;
    }
}

#[test]
fn a_flight_is_not_over_before_its_load_is() {
    model(|| {
        let (place, load) = begin();
        let callers = [(); 2].map(|()| {
            let place = Arc::clone(&place);
            thread::spawn(move || look_and_remove(&place, load))
        });
        let flight = inflate::<u64>(load, LIMITS).expect("its leader has not ended it");
        let _ = flight.abandon(Toy::FIRST, SOON);
        drop(flight);
        for caller in callers {
            let ended = caller.join().unwrap();
            assert!(matches!(ended, Ended::Promoted | Ended::Nothing), "{ended:?}");
        }
        assert!(load.is_over());
    });
}

#[test]
fn a_latch_serves_one_load_at_a_time() {
    model(|| {
        let latches = Arc::new(LatchList::new());
        let load = |latches: &LatchList| {
            let load = ThinLoad::begin_with(latches);
            assert!(load.end().is_ok(), "another load has the latch");
            load.give_up_latch();
        };
        load(&latches);
        let other = Arc::clone(&latches);
        let thread = thread::spawn(move || load(&other));
        load(&latches);
        thread.join().unwrap();
        // Of two loads at once, one may have made a latch.
        assert!(latches.len() <= 2);
        let made = latches.len();
        (0..2).for_each(|_| load(&latches));
        assert_eq!(latches.len(), made, "latches are used again");
    });
}
