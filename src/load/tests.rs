#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Wake, Waker};
use std::thread;
#[cfg(feature = "async")]
use std::time::Duration;

use super::cycle::WaitEdge;
use super::flight::{CallerId, Completion, End, Flight, FlightOutcome, FlightPoll, Runner};
use super::leader_state::StallLimits;
use super::run::{LedFlight, Run};

const LIMITS: StallLimits = StallLimits { woken: 100, renewal: 1_000 };
const FIRST: CallerId = Flight::<u8>::FIRST;

fn flight(runner: Runner) -> Flight<u8> {
    Flight::new(runner, false, LIMITS, 0)
}

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

fn join(flight: &Flight<u8>, runner: Runner) -> CallerId {
    flight.join(runner, Waker::noop().clone()).unwrap()
}

fn is_promoted(flight: &Flight<u8>, id: CallerId, now: u64) -> bool {
    let news = flight.poll(id, Waker::noop(), now);
    flight.check();
    matches!(news, FlightPoll::Promoted)
}

fn value<V>(flight: &Flight<V>, id: CallerId) -> Option<V>
where
    V: Clone,
{
    match flight.poll(id, Waker::noop(), 0) {
        FlightPoll::Over(Some(outcome)) => match &*outcome {
            FlightOutcome::Value(value) => Some(value.clone()),
            FlightOutcome::Failed(..) => None,
        },
        _ => None,
    }
}

/// Stores a value; false if another one has come before it.
fn complete<V>(flight: &Flight<V>, id: CallerId, value: V) -> bool {
    let completes = flight.begin_completion(id, Completion::Value);
    if completes {
        let outcome = Some(Arc::new(FlightOutcome::Value(value)));
        assert_eq!(flight.end(id, &outcome), End::Over);
    }
    flight.check();
    completes
}

/// The loader of a leader begins to run.
fn begin(flight: &Flight<u8>, id: CallerId, runner: Runner, now: u64) -> Option<Arc<Run>> {
    let run = Arc::new(Run::default());
    flight.start_run(id, runner, &run, now).then_some(run)
}

#[test]
fn waiters_are_promoted_in_the_order_in_which_they_came() {
    let flight = flight(Runner::Thread);
    let ids: Vec<CallerId> = (0..3).map(|_| join(&flight, Runner::Thread)).collect();
    assert!(!flight.abandon(FIRST, 0));
    assert_eq!(
        ids.iter().map(|&id| is_promoted(&flight, id, 0)).collect::<Vec<_>>(),
        [true, false, false]
    );
    assert!(!flight.leave(ids[1], 0), "one that waits leaves the leader alone");
    assert!(!flight.abandon(ids[0], 0));
    assert!(is_promoted(&flight, ids[2], 0));
    assert!(flight.abandon(ids[2], 0), "nobody is left");
    assert!(flight.is_over() && flight.join(Runner::Thread, Waker::noop().clone()).is_none());
}

#[test]
fn a_task_is_relieved_if_it_was_woken_and_is_not_polled() {
    let flight = flight(Runner::Task);
    let run = begin(&flight, FIRST, Runner::Task, 0).unwrap();
    run.poll(|| 0, || ());
    let (bell, waker) = bell();
    let id = flight.join(Runner::Task, waker).unwrap();
    let second = join(&flight, Runner::Task);
    assert!(
        flight.relieve_stalled(1 << 40),
        "nothing has woken it: it may wait for its source for days"
    );
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    run.wake(1_000);
    assert!(flight.relieve_stalled(1_100) && bell.0.load(Ordering::Relaxed) == 0, "not late yet");
    assert!(!is_promoted(&flight, second, 1_101), "it is the first one's turn");
    assert_eq!(bell.0.load(Ordering::Relaxed), 1, "who is told so");
    assert!(is_promoted(&flight, id, 1_101));
    // The next one gets twice the time, and is not late while it is polled, whatever wakes it.
    let next = begin(&flight, id, Runner::Task, 2_000).unwrap();
    next.poll(
        || 5_000,
        || {
            next.wake(2_000);
            assert!(!is_promoted(&flight, second, 4_000));
        },
    );
    assert!(!is_promoted(&flight, second, 5_200));
    assert!(is_promoted(&flight, second, 5_201));
}

#[test]
fn the_first_value_to_arrive_completes_the_flight() {
    let flight = flight(Runner::Task);
    let run = begin(&flight, FIRST, Runner::Task, 0).unwrap();
    run.wake(1);
    let (second, waits) = (join(&flight, Runner::Task), join(&flight, Runner::Thread));
    assert!(is_promoted(&flight, second, 1_000));
    begin(&flight, second, Runner::Task, 1_000).unwrap();
    assert!(
        !flight.begin_completion(FIRST, Completion::Error),
        "an error of one that was relieved"
    );
    assert!(complete(&flight, FIRST, 7));
    assert!(!complete(&flight, second, 8), "it comes too late");
    assert!(!flight.abandon(second, 0));
    assert_eq!(value(&flight, waits), Some(7));
    flight.check();
}

#[test]
fn a_completion_that_dies_goes_on_with_the_leader_or_a_waiter() {
    let stalled = || {
        let flight = flight(Runner::Task);
        begin(&flight, FIRST, Runner::Task, 0).unwrap().wake(1);
        let (second, third) = (join(&flight, Runner::Task), join(&flight, Runner::Task));
        assert!(is_promoted(&flight, second, 1_000));
        assert!(flight.begin_completion(FIRST, Completion::Value));
        (flight, second, third)
    };
    // The leader runs yet, and completes it instead.
    let (flight, second, third) = stalled();
    assert!(!flight.abandon(FIRST, 1_000));
    assert!(!is_promoted(&flight, third, 1_000), "there is a leader");
    assert!(complete(&flight, second, 8));
    assert_eq!(value(&flight, third), Some(8));
    // The leader has given up meanwhile.
    let (flight, second, third) = stalled();
    assert!(!flight.begin_completion(second, Completion::Value), "another one is at it");
    assert!(!flight.abandon(second, 1_000));
    assert!(!is_promoted(&flight, third, 1_000), "a caller completes it");
    assert!(!flight.abandon(FIRST, 1_000));
    assert!(is_promoted(&flight, third, 1_000));
    // And no caller is left.
    assert!(flight.abandon(third, 1_000));
}

#[test]
fn one_that_was_promoted_and_does_not_come_is_passed_by_and_waits_again() {
    let flight = flight(Runner::Thread);
    let bells: Vec<_> = (0..4).map(|_| bell()).collect();
    let ids: Vec<CallerId> =
        bells.iter().map(|(_, waker)| flight.join(Runner::Task, waker.clone()).unwrap()).collect();
    let rung = || bells.iter().map(|(bell, _)| bell.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
    assert!(!flight.abandon(FIRST, 0));
    assert!(!is_promoted(&flight, ids[3], 50), "it is the first one's turn");
    assert!(flight.relieve_stalled(100) && rung() == [1, 0, 0, 0]);
    assert!(
        flight.relieve_stalled(101) && rung() == [1, 1, 1, 0],
        "the next one's turn, and one more wakes"
    );
    flight.check();
    // That one is here, and leads although the other one was promoted.
    assert!(is_promoted(&flight, ids[2], 102));
    assert!(flight.relieve_stalled(u64::MAX) && rung() == [1, 1, 1, 0], "it has come");
    // The others come at last, and another caller leads: they wait, and are woken at the end.
    assert!(matches!(flight.poll(ids[1], &bells[1].1, 202), FlightPoll::Pending));
    assert!(matches!(flight.poll(ids[3], &bells[3].1, 202), FlightPoll::Pending));
    assert!(complete(&flight, ids[2], 5));
    assert_eq!(rung(), [1, 2, 1, 1], "the first one is on its way");
    for id in [0, 1, 3] {
        assert_eq!(value(&flight, ids[id]), Some(5));
    }
    flight.check();
}

#[test]
fn one_that_is_late_may_lead_yet() {
    let flight = flight(Runner::Thread);
    let (late, next) = (join(&flight, Runner::Task), join(&flight, Runner::Task));
    assert!(!flight.abandon(FIRST, 0));
    assert!(flight.relieve_stalled(101));
    assert!(is_promoted(&flight, late, 102), "it was passed by, and nobody has come");
    assert!(!is_promoted(&flight, next, 1 << 40), "now somebody has");
    assert!(!flight.abandon(late, 1 << 40));
    assert!(!is_promoted(&flight, join(&flight, Runner::Task), 1 << 40), "and it begins anew");
    assert!(is_promoted(&flight, next, 1 << 40));
}

#[test]
fn who_is_here_leads_in_the_place_of_one_that_is_late() {
    let flight = flight(Runner::Thread);
    let ids = [(); 3].map(|()| join(&flight, Runner::Thread));
    assert!(!flight.abandon(FIRST, 0));
    assert!(!is_promoted(&flight, ids[2], 100));
    assert!(is_promoted(&flight, ids[2], 101), "whose turn it is does not matter then");
    assert!(!is_promoted(&flight, ids[0], 101) && !is_promoted(&flight, ids[1], 101));
    assert!(complete(&flight, ids[2], 5));
    assert_eq!([0, 1].map(|nth| value(&flight, ids[nth])), [Some(5); 2]);
}

#[test]
fn a_waiter_that_comes_is_found_among_any_number_that_do_not() {
    for place in [0, 1, 700, 1_999, 2_000] {
        let flight = flight(Runner::Thread);
        let (bell, waker) = bell();
        let mut live = None;
        for nth in 0..=2_000 {
            if nth == place {
                live = Some(flight.join(Runner::Task, waker.clone()).unwrap());
            } else {
                join(&flight, Runner::Task);
            }
        }
        assert!(!flight.abandon(FIRST, 0));
        let limits = (0..).find(|limits| {
            assert!(flight.relieve_stalled(limits * 101));
            bell.0.load(Ordering::Relaxed) > 0
        });
        flight.check();
        assert!(limits.unwrap() <= 11, "it is woken after {limits:?} limits");
        assert!(is_promoted(&flight, live.unwrap(), 0));
    }
}

#[test]
fn who_has_just_come_does_not_wait_for_those_that_do_not() {
    let flight = flight(Runner::Thread);
    for _ in 0..100 {
        join(&flight, Runner::Task);
    }
    assert!(!flight.abandon(FIRST, 0) && flight.relieve_stalled(101));
    assert!(is_promoted(&flight, join(&flight, Runner::Task), 102));
}

#[test]
fn a_waker_that_panics_is_no_reason_not_to_wake_the_others() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            // Its destructor panics as well.
            std::panic::panic_any(Shrapnel);
        }
    }
    struct Shrapnel;
    impl Drop for Shrapnel {
        fn drop(&mut self) {
            if !thread::panicking() {
                panic!("as wanted");
            }
        }
    }
    let flight = flight(Runner::Thread);
    let bombs = [(); 2].map(|()| flight.join(Runner::Task, Waker::from(Arc::new(Bomb))).unwrap());
    let (bell, waker) = bell();
    flight.join(Runner::Task, waker).unwrap();
    assert!(complete(&flight, FIRST, 5), "nor one to fail who wakes them");
    assert_eq!(bombs.map(|id| value(&flight, id)), [Some(5); 2]);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
}

#[test]
fn the_last_that_reads_an_outcome_takes_it_along() {
    let flight = Flight::<Arc<u8>>::new(Runner::Thread, false, LIMITS, 0);
    let ids: Vec<CallerId> =
        (0..3).map(|_| flight.join(Runner::Thread, Waker::noop().clone()).unwrap()).collect();
    let held = Arc::new(5);
    assert!(complete(&flight, FIRST, Arc::clone(&held)));
    assert!(value(&flight, ids[0]).is_some() && !flight.leave(ids[1], 0));
    assert_eq!(Arc::strong_count(&held), 2);
    assert!(value(&flight, ids[2]).is_some());
    assert_eq!(Arc::strong_count(&held), 1, "a flight that is over keeps a value");
}

#[test]
fn who_is_never_relieved_and_who_is_at_once() {
    // A thread that loads for its own caller.
    let led = flight(Runner::Thread);
    let id = join(&led, Runner::Task);
    begin(&led, FIRST, Runner::Thread, 0).unwrap();
    assert!(!is_promoted(&led, id, u64::MAX));
    // A job that has not begun.
    let queued = flight(Runner::Job);
    let id = join(&queued, Runner::Thread);
    assert!(is_promoted(&queued, id, 0));
    assert!(begin(&queued, FIRST, Runner::Thread, 0).is_none(), "it comes too late");
    // One that has, for a while: a thread that hangs as well as a task that is polled.
    for runner in [Runner::Thread, Runner::Task] {
        let renewal = flight(Runner::Job);
        let id = join(&renewal, Runner::Thread);
        let run = begin(&renewal, FIRST, runner, 500).unwrap();
        run.poll(
            || 0,
            || {
                assert!(!is_promoted(&renewal, id, 1_500));
                assert!(is_promoted(&renewal, id, 1_501));
            },
        );
        assert!(complete(&renewal, FIRST, 5), "its value is as good as any");
    }
    // One that completes its flight.
    let completing = flight(Runner::Task);
    begin(&completing, FIRST, Runner::Task, 0).unwrap().wake(1);
    let id = join(&completing, Runner::Task);
    assert!(completing.begin_completion(FIRST, Completion::Value));
    assert!(!is_promoted(&completing, id, u64::MAX));
}

/// A waker that enters the number of its task.
struct Post(usize, Arc<Mutex<BTreeSet<usize>>>);

impl Wake for Post {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().insert(self.0);
    }
}

/// A caller of the random walk.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    Waits(CallerId),
    Leads(CallerId),
    Gone,
}

/// Random steps of callers that are polled only after they were woken, and not always then; at the
/// end every thread that is polled whenever it was woken must have been told.
#[test]
fn nobody_is_forgotten_whatever_the_order_of_the_steps() {
    let steps = 500;
    for seed in 0..steps {
        walk(seed);
    }
}

fn walk(seed: u64) {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = move |max: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % max
    };
    let (flight, woken) = (flight(Runner::Task), Arc::new(Mutex::new(BTreeSet::new())));
    let mut runs: BTreeMap<CallerId, Arc<Run>> = BTreeMap::new();
    runs.insert(FIRST, begin(&flight, FIRST, Runner::Task, 0).unwrap());
    let mut callers = vec![Caller::Leads(FIRST)];
    let waker = |nth: usize| Waker::from(Arc::new(Post(nth, Arc::clone(&woken))));
    let mut now = 0;
    let mut step = |callers: &mut Vec<Caller>, steps: u64, lazy: bool| {
        for _ in 0..steps {
            now += below(80);
            let nth = below(callers.len() as u64) as usize;
            let polled = !lazy || below(3) != 0;
            match (callers[nth], below(8)) {
                (_, 0) if lazy && callers.len() < 6 => {
                    let own = callers.len();
                    if let Some(id) = flight.join(Runner::Task, waker(own)) {
                        callers.push(Caller::Waits(id));
                    }
                }
                (Caller::Waits(id), 1) if lazy => {
                    flight.leave(id, now);
                    callers[nth] = Caller::Gone;
                }
                (Caller::Waits(id), _) if polled && woken.lock().unwrap().remove(&nth) => {
                    match flight.poll(id, &waker(nth), now) {
                        FlightPoll::Pending => {}
                        FlightPoll::Over(_) => callers[nth] = Caller::Gone,
                        FlightPoll::Promoted => {
                            callers[nth] = Caller::Leads(id);
                            runs.insert(id, begin(&flight, id, Runner::Task, now).unwrap());
                        }
                    }
                }
                (Caller::Leads(id), 1) => {
                    flight.abandon(id, now);
                    callers[nth] = Caller::Gone;
                }
                (Caller::Leads(id), 2) if !lazy => {
                    if !complete(&flight, id, 1) {
                        flight.abandon(id, now);
                    }
                    callers[nth] = Caller::Gone;
                }
                (Caller::Leads(id), 3) if flight.begin_completion(id, Completion::Value) => {
                    flight.check();
                    // It dies on the way.
                    flight.abandon(id, now);
                    callers[nth] = Caller::Gone;
                }
                (Caller::Leads(id), 4) if lazy => runs[&id].wake(now),
                (_, 5) => drop(flight.relieve_stalled(now)),
                _ => {}
            }
            flight.check();
        }
    };
    step(&mut callers, 40, true);
    step(&mut callers, 2_000, false);
    assert!(callers.iter().all(|&caller| caller == Caller::Gone), "seed {seed}: {callers:?}");
}

/// A flight whose leader's run is known.
struct LedBy(Mutex<Option<Arc<Run>>>);

impl LedFlight for LedBy {
    fn run(&self) -> Option<Arc<Run>> {
        self.0.lock().unwrap().clone()
    }
}

fn led_by(run: &Arc<Run>) -> Arc<LedBy> {
    Arc::new(LedBy(Mutex::new(Some(Arc::clone(run)))))
}

#[test]
fn nobody_waits_for_a_flight_of_its_own() {
    let (outer, inner) = (Arc::new(Run::default()), Arc::new(Run::default()));
    outer.enter(|| {
        inner.enter(|| {
            for blocks in [false, true] {
                assert!(WaitEdge::begin(led_by(&inner), blocks).is_none());
                assert!(WaitEdge::begin(led_by(&outer), blocks).is_none(), "that waits for it");
            }
        });
        assert!(WaitEdge::begin(led_by(&inner), true).is_some(), "it runs no more");
    });
    assert!(WaitEdge::begin(led_by(&outer), true).is_some());
}

#[test]
fn who_closes_a_cycle_is_told_so() {
    let runs = [(); 3].map(|()| Arc::new(Run::default()));
    let waits = |run: usize, flight: usize| {
        runs[run].enter(|| WaitEdge::begin(led_by(&runs[flight]), false))
    };
    let _first = waits(0, 1).expect("nobody waits yet");
    let second = waits(1, 2).expect("that is a chain");
    assert!(waits(2, 0).is_none(), "that would be a cycle");
    assert!(waits(2, 1).is_none(), "and that one, too");
    drop(second);
    assert!(waits(2, 0).is_some(), "there is none any more");
    let nobody = runs[2].enter(|| WaitEdge::begin(Arc::new(LedBy(Mutex::new(None))), false));
    assert!(nobody.is_some(), "a flight that nobody leads yet");
}

#[test]
fn a_thread_does_not_wait_for_a_task_that_only_it_polls() {
    let task = Arc::new(Run::default());
    assert!(WaitEdge::begin(led_by(&task), true).is_some(), "nobody has polled it");
    task.poll(
        || 0,
        || {
            let other = thread::scope(|scope| {
                scope.spawn(|| WaitEdge::begin(led_by(&task), true).is_some()).join().unwrap()
            });
            assert!(other, "another thread may wait for it");
        },
    );
    assert!(WaitEdge::begin(led_by(&task), true).is_none());
    assert!(WaitEdge::begin(led_by(&task), false).is_some(), "a task waits without the thread");
    let (chain, own) = (Arc::new(Run::default()), Arc::new(Run::default()));
    let edge = chain.enter(|| WaitEdge::begin(led_by(&task), false));
    own.enter(|| assert!(WaitEdge::begin(led_by(&chain), true).is_none(), "over another load"));
    drop(edge);
    // One that moves from thread to thread is polled by another one.
    thread::scope(|scope| scope.spawn(|| task.poll(|| 0, || ())).join().unwrap());
    assert!(WaitEdge::begin(led_by(&task), true).is_some());
}

#[test]
fn a_thread_that_polls_tasks_and_is_blocked_keeps_them() {
    let (task, own, far) = (Arc::new(Run::default()), Arc::new(Run::default()), led_by(&runs()));
    task.poll(|| 0, || ());
    // This thread is blocked; the task's flight waits for it from now on.
    let blocked = WaitEdge::begin(Arc::clone(&far) as _, true).unwrap();
    thread::scope(|scope| {
        let waits = || own.enter(|| WaitEdge::begin(led_by(&task), true).is_some());
        assert!(scope.spawn(waits).join().unwrap(), "nobody waits for that thread");
        let led = led_by(&task);
        let other = scope.spawn(|| {
            // A second thread of that kind, which the first one would wait for.
            let theirs = Arc::new(Run::default());
            theirs.poll(|| 0, || ());
            *far.0.lock().unwrap() = Some(theirs);
            WaitEdge::begin(led, true).is_some()
        });
        assert!(!other.join().unwrap(), "that is a cycle over two blocked threads");
    });
    drop(blocked);
    assert_eq!(Arc::strong_count(&far), 1);
}

/// A run that no caller polls.
fn runs() -> Arc<Run> {
    Arc::new(Run::default())
}

#[test]
fn a_cycle_is_seen_that_others_close() {
    let (task, thread_run) = (runs(), runs());
    task.poll(|| 0, || ());
    let blocked = WaitEdge::begin(led_by(&thread_run), true).unwrap();
    assert!(!blocked.is_cyclic());
    let edge = thread_run.enter(|| WaitEdge::begin(led_by(&task), false)).unwrap();
    assert!(blocked.is_cyclic(), "over the task that this thread keeps");
    drop(edge);
    assert!(!blocked.is_cyclic());
}

#[test]
fn who_has_waited_is_forgotten() {
    let (run, flight) = (Arc::new(Run::default()), Arc::new(LedBy(Mutex::new(None))));
    let waiting = run.enter(|| WaitEdge::begin(Arc::clone(&flight) as _, true));
    assert_eq!((Arc::strong_count(&flight), run.waits_for().len()), (3, 1));
    drop(waiting);
    assert_eq!((Arc::strong_count(&flight), run.waits_for().len()), (1, 0));
}

#[test]
fn cycles_that_are_closed_at_once_are_told_at_least_once() {
    for _ in 0..200 {
        let runs = [(); 4].map(|()| Arc::new(Run::default()));
        let (told, tells) = mpsc::channel();
        let done = std::sync::Barrier::new(4);
        thread::scope(|scope| {
            for nth in 0..4 {
                let (runs, told, done) = (&runs, told.clone(), &done);
                scope.spawn(move || {
                    let next = led_by(&runs[(nth + 1) % 4]);
                    let waits = runs[nth].enter(|| WaitEdge::begin(next, true));
                    told.send(waits.is_some()).unwrap();
                    done.wait();
                });
            }
        });
        drop(told);
        assert_eq!(tells.iter().filter(|waits| *waits).count(), 3, "the last one closes it");
    }
}

#[cfg(feature = "async")]
#[test]
fn a_time_limit_is_forgotten_with_its_call() {
    use std::future::{Future, pending};
    use std::pin::pin;
    use std::task::Context;

    struct Never;
    impl super::AsyncLoader<u64, u64> for Never {
        type Error = ();
        async fn load(&self, _: &u64) -> Result<u64, ()> {
            pending().await
        }
    }
    let mut context = Context::from_waker(Waker::noop());
    let hour = Duration::from_secs(3_600);
    let after = super::now() + crate::time::nanos(hour);
    let loading = crate::Cache::<u64, u64>::new(10).loading(Never).load_timeout(2 * hour);
    let mut leader = Box::pin(loading.get_async(&1));
    assert!(leader.as_mut().poll(&mut context).is_pending());
    {
        let mut waiter = pin!(loading.get_async(&1));
        assert!(waiter.as_mut().poll(&mut context).is_pending());
        assert_eq!(super::watch::timers_after(after), 1);
        // One that leads waits for no caller.
        drop(leader);
        assert!(waiter.as_mut().poll(&mut context).is_pending());
        assert_eq!(super::watch::timers_after(after), 0, "it was promoted");
        let mut other = pin!(loading.get_async(&1));
        assert!(other.as_mut().poll(&mut context).is_pending());
        assert_eq!(super::watch::timers_after(after), 1);
    }
    assert_eq!(super::watch::timers_after(after), 0, "they were dropped");
}
