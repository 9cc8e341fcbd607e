use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use super::cycle::{self, Led, Waiting};
use super::executor::{Limits, Pool};
use super::flight::{End, Flight, Kind, News, Outcome, Patience, Seat};

/// Jobs that hang until this is dropped.
#[derive(Default)]
struct Hung(Vec<mpsc::Sender<()>>);

impl Hung {
    /// One more. What it gives is told when the job begins.
    fn add(&mut self, pool: &'static Pool) -> mpsc::Receiver<()> {
        let ((begin, begun), (hold, held)) = (mpsc::channel(), mpsc::channel::<()>());
        self.0.push(hold);
        pool.spawn(Box::new(move || {
            begin.send(()).unwrap();
            let _ = held.recv();
        }));
        begun
    }
}

#[test]
fn jobs_that_hang_do_not_stop_the_others() {
    // As if every job had run for long as soon as it runs.
    let limits = Limits { threads: 2, long: Duration::ZERO, most: 6 };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(limits)));
    let mut hung = Hung::default();
    for _ in 0..5 {
        hung.add(pool).recv_timeout(FOR_EVER).expect("each of them gets a thread");
    }
    let (done, told) = mpsc::channel();
    pool.spawn(Box::new(move || done.send(()).unwrap()));
    told.recv_timeout(FOR_EVER).expect("one that is left runs the rest");
    hung.add(pool).recv_timeout(FOR_EVER).expect("the sixth");
    let seventh = hung.add(pool);
    assert!(seventh.try_recv().is_err(), "there are not more than the limit");
    drop(hung);
    seventh.recv_timeout(FOR_EVER).expect("threads that are free again go on");
}

#[test]
fn jobs_that_do_not_hang_get_few_threads() {
    let limits = Limits { threads: 2, long: FOR_EVER, most: 6 };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(limits)));
    let mut hung = Hung::default();
    for _ in 0..2 {
        hung.add(pool).recv_timeout(FOR_EVER).expect("two threads");
    }
    let third = hung.add(pool);
    assert!(third.try_recv().is_err(), "a third thread has started");
    drop(hung);
    third.recv_timeout(FOR_EVER).expect("it was the others' turn");
}

/// No wait takes so long unless it never ends.
const FOR_EVER: Duration = Duration::from_secs(60);

const PATIENCE: Patience = Patience { silent: 1_000, woken: 100 };

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn bell() -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    (Arc::clone(&bell), Waker::from(bell))
}

fn is_promoted(flight: &Flight<u8>, seat: Seat, now: u64) -> bool {
    matches!(flight.poll(seat, Waker::noop(), now, PATIENCE), News::Promoted)
}

#[test]
fn waiters_are_promoted_in_the_order_in_which_they_came() {
    let flight = Flight::<u8>::new(Kind::Thread, 1, 0);
    let seats: Vec<Seat> =
        (0..3).map(|_| flight.join(Kind::Thread, Waker::noop().clone()).unwrap()).collect();
    assert!(!flight.abandon(Flight::<u8>::FIRST, 0, false));
    assert_eq!(
        seats.iter().map(|&seat| is_promoted(&flight, seat, 0)).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert!(!flight.leave(seats[1], 0), "one that waits leaves the leader alone");
    assert!(!flight.leave(seats[0], 0));
    assert!(is_promoted(&flight, seats[2], 0));
    assert!(flight.leave(seats[2], 0), "nobody is left");
    assert!(flight.is_over(0) && flight.join(Kind::Thread, Waker::noop().clone()).is_none());
}

#[test]
fn a_task_that_nobody_polls_is_relieved() {
    const FIRST: Seat = Flight::<u8>::FIRST;
    let flight = Flight::<u8>::new(Kind::Task, 1, 0);
    let (bell, waker) = bell();
    let seat = flight.join(Kind::Task, waker).unwrap();
    let second = flight.join(Kind::Task, Waker::noop().clone()).unwrap();
    let third = flight.join(Kind::Thread, Waker::noop().clone()).unwrap();
    assert!(flight.nudge(1_000, PATIENCE) && bell.0.load(Ordering::Relaxed) == 0, "not late yet");
    assert!(!is_promoted(&flight, second, 1_001), "it is the first one's turn");
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "who is told so");
    assert!(is_promoted(&flight, seat, 1_001));
    assert!(!flight.begin_landing(FIRST, 1), "what comes late is discarded");
    assert_eq!(flight.end(FIRST, &None, None), End::Relieved);
    // The next one gets twice the time, and is not late while it is polled.
    assert!(flight.begin_poll(seat, 1, 2_000) && !flight.begin_poll(FIRST, 1, 2_000));
    assert!(!is_promoted(&flight, second, u64::MAX));
    flight.end_poll(seat, 2_000);
    assert!(!is_promoted(&flight, second, 4_000));
    flight.woken(seat, 3_000);
    assert!(!is_promoted(&flight, second, 3_200));
    assert!(is_promoted(&flight, second, 3_201));
    // One that was promoted and sleeps is passed by like the first: nobody is stuck behind it.
    assert!(flight.nudge(10_000, PATIENCE));
    assert!(is_promoted(&flight, third, 10_000));
}

#[test]
fn a_waker_that_panics_is_no_reason_not_to_wake_the_others() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("as wanted");
        }
    }
    let flight = Flight::<u8>::new(Kind::Thread, 1, 0);
    flight.join(Kind::Task, Waker::from(Arc::new(Bomb))).unwrap();
    let (bell, waker) = bell();
    flight.join(Kind::Task, waker).unwrap();
    let outcome = Some(Arc::new(Outcome::Value(5)));
    let end = || flight.end(Flight::<u8>::FIRST, &outcome, None);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(end)).is_err());
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
}

#[test]
fn the_last_that_reads_an_outcome_takes_it_along() {
    let flight = Flight::<Arc<u8>>::new(Kind::Thread, 1, 0);
    let seats: Vec<Seat> =
        (0..3).map(|_| flight.join(Kind::Thread, Waker::noop().clone()).unwrap()).collect();
    let value = Arc::new(5);
    let outcome = Some(Arc::new(Outcome::Value(Arc::clone(&value))));
    flight.end(Flight::<u8>::FIRST, &outcome, None);
    drop(outcome);
    let read = |seat| matches!(flight.poll(seat, Waker::noop(), 0, PATIENCE), News::Over(Some(_)));
    assert!(read(seats[0]) && !flight.leave(seats[1], 0));
    assert_eq!(Arc::strong_count(&value), 2);
    assert!(read(seats[2]));
    assert_eq!(Arc::strong_count(&value), 1, "a flight that is over keeps a value");
}

#[test]
fn a_thread_that_leads_is_never_relieved() {
    let flight = Flight::<u8>::new(Kind::Thread, 1, 0);
    let seat = flight.join(Kind::Task, Waker::noop().clone()).unwrap();
    assert!(!is_promoted(&flight, seat, u64::MAX));
    // A job that has not begun is, at once.
    let queued = Flight::<u8>::new(Kind::Job, 1, 0);
    let seat = queued.join(Kind::Thread, Waker::noop().clone()).unwrap();
    assert!(is_promoted(&queued, seat, 0));
    assert!(!queued.led_by_thread(Flight::<u8>::FIRST, 9), "it comes too late");
    // Nor is a task that has become one.
    let flight = Flight::<u8>::new(Kind::Task, 1, 0);
    let seat = flight.join(Kind::Task, Waker::noop().clone()).unwrap();
    flight.led_by_thread(Flight::<u8>::FIRST, 9);
    assert!(!is_promoted(&flight, seat, u64::MAX));
    // Nor one that is landing.
    let flight = Flight::<u8>::new(Kind::Task, 1, 0);
    let seat = flight.join(Kind::Task, Waker::noop().clone()).unwrap();
    assert!(flight.begin_landing(Flight::<u8>::FIRST, 1));
    assert!(!is_promoted(&flight, seat, u64::MAX));
    let outcome = Some(Arc::new(Outcome::Value(5)));
    assert_eq!(flight.end(Flight::<u8>::FIRST, &outcome, None), End::Over);
    assert!(matches!(flight.poll(seat, Waker::noop(), 0, PATIENCE), News::Over(Some(_))));
}

#[test]
fn a_flight_that_has_failed_counts_for_a_while() {
    let flight = Flight::<u8>::new(Kind::Thread, 1, 0);
    assert!(!flight.is_over(u64::MAX));
    assert!(flight.abandon(Flight::<u8>::FIRST, 500, true));
    assert!(!flight.is_over(499));
    assert!(flight.is_over(500));
}

/// Whatever this thread leads.
struct LedBy(u64);

impl Led for LedBy {
    fn thread(&self) -> u64 {
        self.0
    }
}

#[test]
fn nobody_waits_for_a_flight_of_its_own() {
    let waiting = Waiting::begin(Arc::new(LedBy(cycle::thread())));
    assert!(waiting.is_none());
}

#[test]
fn who_closes_a_circle_is_told_so() {
    let own = cycle::thread();
    let (numbers, number) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    thread::scope(|scope| {
        // One waits for this thread, and another one for that.
        let waiter = |leader: u64, gone: mpsc::Receiver<()>| {
            let numbers = numbers.clone();
            scope.spawn(move || {
                let waiting = Waiting::begin(Arc::new(LedBy(leader)));
                numbers.send((cycle::thread(), waiting.is_some())).expect("somebody listens");
                let _ = gone.recv();
            });
        };
        let (go_too, gone_too) = mpsc::channel::<()>();
        waiter(own, gone);
        let (first, waits) = number.recv().expect("it tells");
        assert!(waits);
        waiter(first, gone_too);
        let (second, waits) = number.recv().expect("it tells");
        assert!(waits);
        assert!(Waiting::begin(Arc::new(LedBy(second))).is_none(), "that would be a circle");
        assert!(Waiting::begin(Arc::new(LedBy(0))).is_some(), "that is none");
        drop((go, go_too));
    });
}

#[test]
fn who_has_waited_is_forgotten() {
    let flight = Arc::new(LedBy(0));
    let waiting = Waiting::begin(Arc::clone(&flight) as _).expect("nobody leads it");
    assert_eq!(Arc::strong_count(&flight), 2);
    drop(waiting);
    assert_eq!(Arc::strong_count(&flight), 1);
}
