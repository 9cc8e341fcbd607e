//! Every id is granted once: to exactly one caller among all threads, as long as it is remembered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{self, Random, in_time, size, together};
use clockhand::dedup::{
    Claim, Deduplicator, DeduplicatorBuilder, OffsetTracker, Outcome, SettingsError, SnapshotError,
    Ticket, Waited,
};
use clockhand::{Clock, Maintenance, ManualClock};

const SECOND: Duration = Duration::from_secs(1);

/// A deduplicator with a hand on its clock: 10 s of lease, 100 s of memory.
fn timed(capacity: u64) -> (Deduplicator<u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().capacity(capacity).clock(clock);
    (builder.lease(10 * SECOND).ttl(100 * SECOND).build().expect("the settings agree"), manual)
}

fn ticket(seen: &Deduplicator<u64>, id: u64) -> Ticket<u64> {
    seen.claim(id).ticket().expect("the id is open")
}

#[test]
fn exactly_one_caller_gets_an_id() {
    let ids = size(2000, 200_000) as u64;
    let (seen, _hand) = timed(ids);
    let granted: Vec<AtomicUsize> = (0..ids).map(|_| AtomicUsize::new(0)).collect();
    together(6, |thread| {
        let mut random = Random::new(thread as u64);
        for nth in 0..2 * ids {
            let id = if random.one_in(2) { nth / 2 } else { random.below(ids) };
            if let Claim::New(ticket) = seen.claim(id) {
                if random.one_in(8) {
                    drop(ticket);
                } else {
                    granted[id as usize].fetch_add(1, Ordering::Relaxed);
                    assert!(ticket.complete());
                }
            }
        }
    });
    for (id, count) in granted.iter().enumerate() {
        // A few were given back by all who had them, and are new.
        let open = seen.mark_processed(id as u64);
        assert_eq!(count.load(Ordering::Relaxed), usize::from(!open), "{id} is open: {open}");
    }
    let metrics = seen.metrics();
    assert_eq!((metrics.adds, metrics.size, metrics.forgotten_early), (ids, ids, 0));
    assert_eq!(metrics.claims, metrics.adds + metrics.abandoned);
}

#[test]
fn claims_that_run_out_beside_those_that_complete() {
    let (ids, rounds) = (64, size(2000, 100_000) as u64);
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().capacity(ids).clock(clock);
    let seen = builder.lease(SECOND).ttl(2 * SECOND).build().expect("the settings agree");
    // For each id, a moment that was not after its last completion.
    let completed: Vec<AtomicU64> = (0..ids).map(|_| AtomicU64::new(0)).collect();
    let millis = || manual.elapsed().as_millis() as u64;
    together(4, |thread| {
        let mut random = Random::new(thread as u64);
        let mut kept = Vec::new();
        for _ in 0..rounds {
            let id = random.below(ids);
            // Before the claim: while it is held, it may run out, and another one be completed.
            let last = completed[id as usize].load(Ordering::SeqCst);
            if let Claim::New(ticket) = seen.claim(id) {
                assert!(last == 0 || millis() >= last + 2000, "granted while it is remembered");
                kept.push((id, ticket));
            }
            if random.one_in(4) {
                manual.advance(Duration::from_millis(1));
            }
            // Some are kept beyond their lease, and others claim their ids meanwhile.
            while kept.len() > random.below(16) as usize {
                let (id, ticket) = kept.swap_remove(random.below(kept.len() as u64) as usize);
                let before = millis();
                if ticket.complete() {
                    completed[id as usize].fetch_max(before, Ordering::SeqCst);
                }
            }
        }
    });
    manual.advance(3 * SECOND);
    seen.cleanup();
    assert_eq!(seen.metrics().forgotten_early, 0);
    assert!((0..ids).all(|id| seen.claim(id).is_new()));
}

#[test]
fn a_claim_given_back_is_new_for_one_later_caller() {
    let (seen, _hand) = timed(100);
    drop(ticket(&seen, 1));
    assert_eq!(seen.len(), 0, "nothing is left of it");
    let second = ticket(&seen, 1);
    assert!(seen.claim(1).is_in_progress() && !seen.is_processed(&1));
    assert!(second.complete() && seen.claim(1).is_done() && seen.is_processed(&1));
    assert_eq!((seen.metrics().abandoned, seen.metrics().in_progress_hits), (1, 1));
}

#[test]
fn an_old_ticket_does_not_complete_over_its_successor() {
    let (seen, manual) = timed(100);
    let old = ticket(&seen, 1);
    manual.advance(10 * SECOND - Duration::from_millis(1));
    assert!(seen.claim(1).is_in_progress());
    manual.advance(Duration::from_millis(1));
    let new = ticket(&seen, 1);
    assert!(seen.claim(1).is_in_progress());
    assert!(!old.complete());
    assert!(seen.claim(1).is_in_progress(), "the successor's claim stands");
    assert!(new.complete());
    let metrics = seen.metrics();
    assert_eq!((metrics.lease_expired, metrics.late, metrics.adds), (1, 1, 1));
}

#[test]
fn a_ticket_extends_its_lease() {
    let (seen, manual) = timed(100);
    let mut held = ticket(&seen, 1);
    manual.advance(9 * SECOND);
    assert!(held.extend(10 * SECOND) && held.extend(SECOND), "it is not made shorter");
    manual.advance(9 * SECOND);
    assert!(seen.claim(1).is_in_progress());
    manual.advance(SECOND);
    // Its lease ran out, and nobody came.
    assert!(held.extend(10 * SECOND) && seen.claim(1).is_in_progress());
    manual.advance(10 * SECOND);
    let new = ticket(&seen, 1);
    assert!(!held.extend(100 * SECOND) && !held.complete());
    assert!(seen.claim(1).is_in_progress() && new.complete());
    let mut for_ever = ticket(&seen, 2);
    assert!(for_ever.extend(Duration::MAX));
    manual.advance(Duration::from_secs(1 << 40));
    assert!(seen.claim(2).is_in_progress() && for_ever.complete());
    let off = Deduplicator::builder().enabled(false).build().expect("they agree");
    assert!(ticket(&off, 1).extend(SECOND));
}

#[test]
fn an_id_that_is_lent() {
    let seen = Deduplicator::<String>::builder().build().expect("the defaults agree");
    let held = seen.claim_ref("a").ticket().expect("it is new");
    assert!(seen.claim_ref("a").is_in_progress() && seen.claim("a".to_string()).is_in_progress());
    assert_eq!(held.id(), "a");
    assert!(held.complete() && seen.claim_ref("a").is_done() && seen.is_processed("a"));
    assert!(seen.wait_done("a", SECOND).is_done());
    assert!(seen.forget("a") && !seen.forget("a") && !seen.is_processed("a"));
    assert!(seen.claim_ref("a").is_new());
    let bytes = Deduplicator::<Vec<u8>>::builder().build().expect("the defaults agree");
    assert!(bytes.claim_ref([1, 2].as_slice()).is_new() && !bytes.is_processed([1_u8].as_slice()));
}

#[test]
fn what_is_forgotten_is_new() {
    let (seen, manual) = timed(100);
    let held = ticket(&seen, 1);
    assert!(!seen.forget(&1) && seen.claim(1).is_in_progress(), "it is left to its ticket");
    assert!(held.complete() && seen.forget(&1) && !seen.forget(&1));
    assert_eq!(seen.len(), 0);
    assert!(seen.mark_processed(1));
    manual.advance(100 * SECOND);
    assert!(!seen.forget(&1), "it had expired");
    // As many as the capacity stay, however often one of them is forgotten and comes again.
    (2..101).for_each(|id| assert!(seen.mark_processed(id)));
    for _ in 0..250 {
        assert!(seen.mark_processed(1) && seen.forget(&1));
    }
    assert!((2..101).all(|id| seen.is_processed(&id)) && seen.metrics().forgotten_early == 0);
    (101..200).for_each(|id| assert!(seen.mark_processed(id)));
    assert!((100..200).all(|id| seen.is_processed(&id)));
    assert_eq!((seen.len(), seen.metrics().forgotten_early), (100, 98));
}

#[test]
fn an_outcome_says_whether_to_acknowledge() {
    let (seen, manual) = timed(100);
    let held = ticket(&seen, 1);
    let busy = seen.process(1, || Ok::<_, ()>(1));
    assert!(busy == Outcome::InProgress && !busy.is_duplicate() && busy.processed().is_none());
    drop(held);
    let late = seen.process(1, || {
        manual.advance(10 * SECOND);
        assert!(seen.mark_processed(1));
        Ok::<_, ()>(7)
    });
    assert_eq!((late, late.is_duplicate(), late.processed()), (Outcome::Late(7), false, Some(7)));
    assert!(seen.process(1, || Ok::<_, ()>(8)).is_duplicate());
    assert_eq!(seen.metrics().late, 1);
}

/// An id whose copies are counted, and fail when there are so many.
#[derive(PartialEq, Eq, Hash, Debug)]
struct Copied(u64);

static COPIES: AtomicUsize = AtomicUsize::new(0);
static LAST_COPY: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Clone for Copied {
    fn clone(&self) -> Self {
        assert!(
            COPIES.fetch_add(1, Ordering::SeqCst) < LAST_COPY.load(Ordering::SeqCst),
            "no more copies"
        );
        Self(self.0)
    }
}

#[test]
fn an_id_is_copied_once_and_a_copy_that_fails_leaves_no_claim() {
    let seen = Deduplicator::builder().build().expect("the defaults agree");
    let copies = |work: &dyn Fn()| {
        COPIES.store(0, Ordering::SeqCst);
        work();
        COPIES.load(Ordering::SeqCst)
    };
    assert_eq!(copies(&|| assert!(seen.mark_processed(Copied(1)))), 1);
    assert_eq!(copies(&|| assert!(seen.claim_ref(&Copied(2)).is_new())), 2, "one for the ticket");
    assert_eq!(copies(&|| assert!(seen.claim_ref(&Copied(1)).is_done())), 0);
    let held = seen.claim_ref(&Copied(4)).ticket().expect("it is new");
    for last in 0..2 {
        LAST_COPY.store(last, Ordering::SeqCst);
        let fails = || support::ignore(seen.claim_ref(&Copied(3)));
        copies(&|| assert!(support::oblivious(fails)));
        LAST_COPY.store(usize::MAX, Ordering::SeqCst);
        assert_eq!(seen.metrics().in_progress, 1, "after {last} copies");
        assert!(seen.claim_ref(&Copied(3)).is_new(), "after {last} copies");
    }
    assert!(held.complete());
}

/// Tickets nobody comes back for. A ticket keeps its deduplicator: they stay where a checker of leaks sees them.
static LEAKED: Mutex<Vec<Ticket<u64>>> = Mutex::new(Vec::new());

fn leak(seen: &Deduplicator<u64>, ids: std::ops::Range<u64>) {
    LEAKED.lock().expect("nobody panics with it").extend(ids.map(|id| ticket(seen, id)));
}

#[test]
fn claims_whose_holders_never_come_back_are_forgotten_by_a_cleanup() {
    let (seen, manual) = timed(1000);
    let leaked = size(5000, 50_000) as u64;
    leak(&seen, 0..leaked);
    let held = ticket(&seen, leaked);
    assert_eq!(seen.metrics().in_progress, leaked + 1);
    manual.advance(10 * SECOND - Duration::from_nanos(8));
    assert_eq!((seen.cleanup(), seen.len() as u64), (0, leaked + 1));
    manual.advance(Duration::from_nanos(8));
    let alive = ticket(&seen, leaked + 1);
    assert_eq!(seen.cleanup(), leaked + 1);
    let metrics = seen.metrics();
    assert_eq!((metrics.size, metrics.in_progress, metrics.leaked), (1, 1, leaked + 1));
    assert!(!held.complete() && !seen.is_processed(&leaked), "its claim was forgotten");
    assert!(alive.complete() && seen.claim(7).is_new());
    assert_eq!(seen.metrics().in_progress, 0);
}

#[test]
fn claims_whose_holders_never_come_back_are_forgotten_in_passing() {
    let interval = 60 * SECOND;
    for completions in [size(500, 5000) as u64, 1] {
        let (seen, manual) = timed(100_000);
        leak(&seen, 0..20_000);
        manual.advance(10 * SECOND);
        // The lease ran out, and within two intervals from now all are gone, if something is completed in each;
        // the first of the second one comes at its end.
        for round in 0..2 {
            manual.advance(interval);
            for id in 0..completions {
                assert!(seen.mark_processed(100_000 + round * completions + id));
            }
        }
        let metrics = seen.metrics();
        assert_eq!((metrics.leaked, metrics.in_progress), (20_000, 0), "{completions}");
    }
}

/// Nobody completes anything: all workers hang.
#[test]
fn claims_whose_holders_never_come_back_are_forgotten_where_there_are_claims_only() {
    let (seen, manual) = timed(100_000);
    leak(&seen, 0..20_000);
    manual.advance(10 * SECOND);
    for nth in 20_000..20_002 {
        manual.advance(60 * SECOND);
        leak(&seen, nth..nth + 1);
    }
    // All but the last: the one before it was claimed a minute ago, when the walk had begun.
    assert!(seen.metrics().leaked >= 20_000, "{}", seen.metrics().leaked);
    assert!(seen.len() <= 2);
}

#[test]
fn claims_whose_holders_never_come_back_are_forgotten_by_the_thread() {
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().maintenance(Maintenance::Thread).clock(clock);
    let seen = builder.cleanup_interval(Duration::from_millis(1)).build().expect("they agree");
    leak(&seen, 0..100);
    manual.advance(60 * SECOND);
    assert!(support::eventually(|| seen.is_empty()));
    assert_eq!(seen.metrics().leaked, 100);
}

#[test]
fn claims_that_are_forgotten_beside_claims_and_late_holders() {
    let (ids, rounds) = (64, size(2000, 100_000) as u64);
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().capacity(ids).clock(clock);
    let seen = builder.lease(SECOND).ttl(Duration::MAX).build().expect("the settings agree");
    let completed: Vec<AtomicUsize> = (0..ids).map(|_| AtomicUsize::new(0)).collect();
    together(4, |thread| {
        let mut random = Random::new(thread as u64);
        let mut kept = Vec::new();
        for _ in 0..rounds {
            if thread == 0 {
                manual.advance(Duration::from_millis(100));
                seen.cleanup();
                continue;
            }
            let id = random.below(ids);
            match seen.claim(id) {
                Claim::New(ticket) => kept.push((id, ticket)),
                _ => {
                    seen.forget(&id).then(|| completed[id as usize].fetch_sub(1, Ordering::SeqCst));
                }
            }
            while kept.len() > random.below(16) as usize {
                let (id, mut ticket) = kept.swap_remove(random.below(kept.len() as u64) as usize);
                // Before it is done for others, who may forget it.
                completed[id as usize].fetch_add(1, Ordering::SeqCst);
                let done = !random.one_in(4) && ticket.extend(SECOND) && ticket.complete();
                if !done {
                    completed[id as usize].fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
    });
    manual.advance(2 * SECOND);
    seen.cleanup();
    for id in 0..ids {
        let times = completed[id as usize].load(Ordering::SeqCst);
        assert_eq!(times, usize::from(seen.is_processed(&id)), "{id} was completed {times} times");
    }
    let metrics = seen.metrics();
    assert_eq!((metrics.in_progress, metrics.size), (0, seen.len() as u64));
    let ended = metrics.adds + metrics.abandoned + metrics.lease_expired + metrics.leaked;
    assert_eq!(metrics.claims, ended);
}

#[test]
fn an_old_ticket_that_is_dropped_gives_nothing_back() {
    let (seen, manual) = timed(100);
    let old = ticket(&seen, 1);
    manual.advance(10 * SECOND);
    let new = ticket(&seen, 1);
    drop(old);
    assert!(seen.claim(1).is_in_progress());
    drop(new);
    assert!(seen.claim(1).is_new());
}

#[test]
fn a_ticket_that_nobody_succeeded_completes_late_all_the_same() {
    let (seen, manual) = timed(100);
    let late = ticket(&seen, 1);
    manual.advance(99 * SECOND);
    assert!(late.complete() && seen.claim(1).is_done());
}

#[test]
fn an_id_is_remembered_for_its_time() {
    let (seen, manual) = timed(100);
    assert!(seen.mark_processed(1));
    manual.advance(100 * SECOND - Duration::from_nanos(8));
    assert!(seen.claim(1).is_done());
    manual.advance(Duration::from_nanos(8));
    assert!(!seen.is_processed(&1));
    assert!(seen.mark_processed(1));
    assert_eq!((seen.metrics().expired, seen.metrics().forgotten_early), (1, 0));
}

#[test]
fn a_clock_that_jumps_to_its_end() {
    let (seen, manual) = timed(100);
    let held = ticket(&seen, 1);
    assert!(seen.mark_processed(2));
    manual.advance(Duration::MAX);
    let successor = ticket(&seen, 1);
    assert!(!held.complete() && successor.complete());
    assert!(seen.mark_processed(2) && seen.claim(2).is_done());
}

#[test]
fn times_without_end() {
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().capacity(3).clock(clock);
    let seen = builder.ttl(Duration::MAX).lease(Duration::MAX).build().expect("they agree");
    let held = ticket(&seen, 0);
    (1..=4).for_each(|id| assert!(seen.mark_processed(id)));
    manual.advance(Duration::MAX);
    assert!(seen.claim(0).is_in_progress() && seen.claim(4).is_done());
    assert!(held.complete());
    assert_eq!((seen.cleanup(), seen.len(), seen.metrics().forgotten_early), (0, 3, 2));
}

#[test]
fn the_oldest_go_first_and_each_is_counted() {
    let (seen, manual) = timed(100);
    for id in 0..100 {
        assert!(seen.mark_processed(id));
        manual.advance(Duration::from_millis(1));
    }
    assert_eq!(seen.metrics().forgotten_early, 0);
    let held: Vec<_> = (1000..1500).map(|id| ticket(&seen, id)).collect();
    assert_eq!(seen.metrics().forgotten_early, 0, "claims in progress come on top");
    for id in 100..150 {
        assert!(seen.mark_processed(id));
    }
    assert!((0..150).all(|id| seen.is_processed(&id) == (id >= 50)));
    assert_eq!(seen.metrics().forgotten_early, 50);
    assert!(held.into_iter().all(Ticket::complete), "claims in progress were not forgotten");
    assert_eq!(seen.len(), 100);
}

#[test]
fn the_oldest_go_first_under_many_threads() {
    let (capacity, threads, each) = (1000, 4, size(5000, 200_000) as u64);
    let (seen, _hand) = timed(capacity);
    let order = AtomicUsize::new(0);
    together(threads, |_| {
        for _ in 0..each {
            assert!(seen.mark_processed(order.fetch_add(1, Ordering::Relaxed) as u64));
        }
    });
    let all = threads as u64 * each;
    assert_eq!(seen.len() as u64, capacity);
    assert_eq!(seen.metrics().forgotten_early, all - capacity);
    // A thread may be stopped between its number and its completion: 10 % of the order, as promised.
    let recent = (all - capacity..all).filter(|id| seen.is_processed(id)).count() as u64;
    assert!(recent >= capacity * 9 / 10, "{recent} of the latest {capacity}");
}

#[test]
fn what_has_expired_makes_room_without_being_forgotten_early() {
    let (seen, manual) = timed(100);
    for round in 0..5 {
        for id in 0..100 {
            assert!(seen.mark_processed(1000 * round + id));
        }
        manual.advance(100 * SECOND);
    }
    assert_eq!(seen.metrics().forgotten_early, 0);
    assert_eq!(seen.cleanup(), 100);
    let metrics = seen.metrics();
    assert_eq!((metrics.size, metrics.expired), (0, 500));
    assert!(metrics.cleanups >= 1);
}

#[test]
fn completions_clean_up_in_passing() {
    let (seen, manual) = timed(10_000);
    (0..1000).for_each(|id| assert!(seen.mark_processed(id)));
    manual.advance(100 * SECOND);
    (1000..1500).for_each(|id| assert!(seen.mark_processed(id)));
    let metrics = seen.metrics();
    assert_eq!((metrics.size, metrics.expired), (500, 1000), "two for each completion");
    assert_eq!(metrics.cleanups, 1, "and one cleanup, as the interval was over");
}

#[test]
fn a_thread_cleans_up_where_it_is_asked_for() {
    let (clock, manual) = Clock::manual();
    let builder = Deduplicator::builder().maintenance(Maintenance::Thread).clock(clock);
    let seen = builder.cleanup_interval(Duration::from_millis(1)).build().expect("they agree");
    (0..100).for_each(|id| assert!(seen.mark_processed(id)));
    manual.advance(300 * SECOND);
    // A cleanup is counted at its end.
    assert!(support::eventually(|| seen.is_empty() && seen.metrics().cleanups > 0));
    in_time(move || drop(seen));
}

#[test]
fn nothing_is_tracked_when_it_is_switched_off() {
    let seen = Deduplicator::builder().enabled(false).build().expect("they agree");
    for _ in 0..3 {
        assert!(ticket(&seen, 1).complete() && seen.mark_processed(1));
        drop(ticket(&seen, 1));
    }
    assert!(!seen.is_processed(&1) && seen.is_empty());
    let metrics = seen.metrics();
    assert_eq!((metrics.untracked, metrics.adds, metrics.abandoned), (9, 0, 0));
}

#[test]
fn a_panic_or_a_failure_in_process_gives_the_claim_back() {
    let (seen, _hand) = timed(100);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        seen.process(1, || -> Result<(), ()> { panic!("in the middle of it") })
    }));
    assert!(panicked.is_err());
    assert_eq!(seen.process(1, || Err::<(), _>("failed")), Outcome::Failed("failed"));
    let inner = seen.process(1, || {
        assert_eq!(seen.process(1, || Ok::<_, ()>(())), Outcome::InProgress);
        Ok::<_, ()>(7)
    });
    assert_eq!(inner, Outcome::Processed(7));
    assert_eq!(seen.process(1, || Ok::<_, ()>(8)), Outcome::Duplicate);
    assert_eq!(seen.metrics().abandoned, 2);
}

#[test]
fn an_id_that_panics_leaves_nothing_stuck() {
    use std::sync::atomic::AtomicBool;
    static WILD: AtomicBool = AtomicBool::new(false);
    #[derive(Clone, Debug)]
    struct Wild(u64);
    impl std::hash::Hash for Wild {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            state.write_u64(self.0);
        }
    }
    impl PartialEq for Wild {
        fn eq(&self, other: &Self) -> bool {
            assert!(!WILD.load(Ordering::Relaxed), "a comparison that panics");
            self.0 == other.0
        }
    }
    impl Eq for Wild {}
    let seen = Deduplicator::builder().build().expect("the defaults agree");
    let held = seen.claim(Wild(1)).ticket().expect("new");
    WILD.store(true, Ordering::Relaxed);
    assert!(support::oblivious(|| support::ignore(held.complete())));
    assert!(support::oblivious(|| support::ignore(seen.claim(Wild(1)))));
    WILD.store(false, Ordering::Relaxed);
    assert!(seen.claim(Wild(1)).is_in_progress(), "until the lease runs out");
    assert!(seen.mark_processed(Wild(2)));
}

#[test]
fn waiting_for_another_callers_claim() {
    let (seen, manual) = timed(100);
    let soon = Duration::from_millis(1);
    assert_eq!(seen.wait_done(&1, soon), Waited::Open);
    let held = ticket(&seen, 1);
    assert_eq!(seen.wait_done(&1, soon), Waited::TimedOut);
    assert_eq!(seen.wait_done(&1, Duration::ZERO), Waited::TimedOut);
    let waiter = {
        let seen = seen.clone();
        std::thread::spawn(move || seen.wait_done(&1, 60 * SECOND))
    };
    assert!(held.complete());
    assert_eq!(waiter.join().expect("it waits"), Waited::Done);

    let held = ticket(&seen, 2);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let seen = seen.clone();
            std::thread::spawn(move || seen.wait_done(&2, 60 * SECOND))
        })
        .collect();
    drop(held);
    waiters.into_iter().for_each(|w| assert_eq!(w.join().expect("it waits"), Waited::Open));

    let _held = ticket(&seen, 3);
    manual.advance(10 * SECOND);
    assert_eq!(seen.wait_done(&3, 60 * SECOND), Waited::Open, "its lease ran out");
}

#[test]
fn many_wait_for_many() {
    let rounds = size(200, 20_000) as u64;
    let (seen, _hand) = timed(rounds);
    in_time(move || {
        together(4, |_| {
            for id in 0..rounds {
                match seen.claim(id) {
                    Claim::New(ticket) => assert!(ticket.complete()),
                    _ => {
                        assert_eq!(seen.wait_done(&id, 60 * SECOND), Waited::Done);
                    }
                }
            }
        });
    });
}

#[test]
fn settings_that_contradict_are_named() {
    let wrong = |builder: DeduplicatorBuilder<u64>| builder.build().expect_err("it is wrong");
    let builder = Deduplicator::<u64>::builder;
    let told = |error: SettingsError, text: &str| {
        assert!(error.to_string().starts_with(text), "{error}");
    };
    told(wrong(builder().capacity(0)), "capacity is zero");
    told(wrong(builder().capacity(u64::MAX)), "capacity is 18446744073709551615");
    told(wrong(builder().ttl(Duration::ZERO)), "ttl is zero");
    told(wrong(builder().lease(Duration::ZERO)), "lease is zero");
    told(wrong(builder().cleanup_interval(Duration::ZERO)), "cleanup_interval is zero");
    told(wrong(builder().ttl(SECOND).lease(2 * SECOND)), "ttl is 1s, less than the lease of 2s");
    let coarse = Clock::coarse(2 * SECOND);
    told(
        wrong(builder().ttl(SECOND).clock(coarse)),
        "ttl is 1s, which a clock that ticks every 2s",
    );
    told(wrong(builder().clock(Clock::coarse(Duration::ZERO))), "lease is 60s");
    assert!(builder().ttl(SECOND).build().is_ok(), "the lease is no longer than that by itself");
    assert!(builder().ttl(Duration::from_nanos(1)).build().is_ok());
}

#[test]
fn variables_of_the_environment_are_named() {
    let build = |name: &'static str, value: &str| {
        let of = |asked: &str| (asked == name).then(|| value.to_string());
        Deduplicator::<u64>::builder().from_variables(of)?.build()
    };
    let variables = [
        "MAX_TRACKED_OFFSETS",
        "OFFSET_CACHE_TTL_SECONDS",
        "OFFSET_CLEANUP_INTERVAL",
        "OFFSET_TRACKING_ENABLED",
    ];
    for name in variables {
        for value in ["", "-1", "many", "1e3", "18446744073709551616", "0.5"] {
            let error = build(name, value).expect_err("it cannot be read").to_string();
            assert!(error.starts_with(&format!("{name} is {value:?}")), "{error}");
        }
    }
    for name in &variables[..3] {
        assert_eq!(
            build(name, "0").expect_err("zero").to_string(),
            format!("{name} is zero: give at least one")
        );
        assert!(build(name, " 70 ").is_ok());
    }
    let lease = |name: &str| (name == "OFFSET_CACHE_TTL_SECONDS").then(|| "5".to_string());
    let builder = Deduplicator::<u64>::builder().lease(6 * SECOND).from_variables(lease);
    let error = builder.expect("readable").build().expect_err("it contradicts the lease");
    assert!(error.to_string().starts_with("OFFSET_CACHE_TTL_SECONDS is 5s"), "{error}");
    assert_eq!(build("MAX_TRACKED_OFFSETS", "7").expect("readable").capacity(), 7);
    let off = build("OFFSET_TRACKING_ENABLED", "False").expect("readable");
    assert!(off.mark_processed(1) && off.mark_processed(1));
    assert!(Deduplicator::<u64>::from_env().is_ok(), "nothing is set here");
}

/// A run that is killed in the middle, and goes on from its last snapshot.
#[test]
fn a_restart_from_a_snapshot_processes_again_only_what_was_in_flight() {
    let messages = size(2000, 100_000) as u64;
    let (first, _hand) = timed(messages);
    let processed: Vec<AtomicUsize> = (0..messages).map(|_| AtomicUsize::new(0)).collect();
    let work = |seen: &Deduplicator<u64>, message: u64| {
        let count = || Ok::<_, ()>(processed[message as usize].fetch_add(1, Ordering::SeqCst));
        support::ignore(seen.process(message, count));
    };
    let half = messages / 2;
    let together_to = |seen: &Deduplicator<u64>, end: u64| {
        together(4, |nth| (nth as u64..end).step_by(4).for_each(|message| work(seen, message)));
    };
    together_to(&first, half);
    // In flight when the snapshot is taken: claimed, and the work done, but not completed.
    let in_flight: Vec<u64> = (half..half + 10).collect();
    let held: Vec<_> = in_flight.iter().map(|&message| ticket(&first, message)).collect();
    in_flight
        .iter()
        .for_each(|&m| support::ignore(processed[m as usize].fetch_add(1, Ordering::SeqCst)));
    let bytes = first.snapshot();
    // Killed: nothing of it is used again, and nothing is dropped before the end.
    let _killed = (&first, held);

    let (second, _hand) = timed(messages);
    assert_eq!(second.restore(&bytes), Ok(half as usize));
    together_to(&second, messages);
    for (message, count) in processed.iter().enumerate() {
        let twice = in_flight.contains(&(message as u64));
        assert_eq!(count.load(Ordering::SeqCst), 1 + usize::from(twice), "{message}");
    }
}

#[test]
fn a_snapshot_beside_writers_has_what_was_done_before_it() {
    let ids = size(1000, 50_000) as u64;
    let (seen, _hand) = timed(4 * ids);
    (0..ids).for_each(|id| assert!(seen.mark_processed(id)));
    let snapshots = together(3, |thread| {
        if thread == 0 {
            return (0..5).map(|_| seen.snapshot()).collect::<Vec<_>>();
        }
        let first = thread as u64 * ids;
        (first..first + ids).for_each(|id| assert!(seen.mark_processed(id)));
        Vec::new()
    });
    for bytes in snapshots.into_iter().flatten() {
        let (other, _hand) = timed(4 * ids);
        assert!(other.restore(&bytes).expect("it is whole") >= ids as usize);
        assert!((0..ids).all(|id| other.is_processed(&id)));
    }
}

/// While the ring comes round to ids that are live, as others were forgotten by a call, they go from it to the guests.
#[test]
fn a_snapshot_beside_writers_has_what_gives_way_to_them() {
    let ids = 500;
    for _ in 0..size(20, 500) {
        let (seen, _hand) = timed(ids);
        (0..ids).for_each(|id| assert!(seen.mark_processed(id)));
        assert!(seen.forget(&0));
        let snapshots = together(2, |thread| {
            if thread == 0 {
                return (0..5).map(|_| seen.snapshot()).collect::<Vec<_>>();
            }
            (ids..2 * ids).for_each(|id| assert!(seen.mark_processed(id) && seen.forget(&id)));
            Vec::new()
        });
        for bytes in snapshots.into_iter().flatten() {
            let (other, _hand) = timed(2 * ids);
            assert!(other.restore(&bytes).expect("it is whole") >= ids as usize - 1);
            assert!((1..ids).all(|id| other.is_processed(&id)));
        }
    }
}

#[test]
fn what_is_restored_keeps_its_age_and_its_time() {
    let (first, manual) = timed(100);
    for id in 0..100 {
        assert!(first.mark_processed(id));
        manual.advance(SECOND / 2);
    }
    let bytes = first.snapshot();
    let (second, later) = timed(50);
    later.advance(1000 * SECOND);
    assert!(second.mark_processed(99));
    let held = ticket(&second, 98);
    assert_eq!(second.restore(&bytes), Ok(100));
    assert_eq!(second.len(), 51, "the capacity, and one in progress");
    assert!((51..98).all(|id| second.is_processed(&id)) && !second.is_processed(&40));
    assert!(held.complete());
    // The last one had half a second less than all its time, the one before half a second less.
    later.advance(100 * SECOND - SECOND);
    assert!(!second.is_processed(&96) && !second.is_processed(&97));
    assert_eq!(second.restore(&first.snapshot()), Ok(100));
}

/// Guests with little time left, beside what is completed here: they share what is left of the capacity.
#[test]
fn a_restore_forgets_nothing_that_is_live() {
    // With 10 s left of their time, and with all of it.
    let short = |ids: std::ops::Range<u64>, age: u64| {
        let (other, manual) = timed(1000);
        ids.for_each(|id| assert!(other.mark_processed(id)));
        manual.advance(Duration::from_secs(age));
        other.snapshot()
    };
    for age in [90, 0] {
        let (seen, manual) = timed(100);
        // Round the ring: the first half of it is not the oldest.
        (1000..1050).for_each(|id| assert!(seen.mark_processed(id)));
        manual.advance(100 * SECOND);
        (0..50).for_each(|id| assert!(seen.mark_processed(id)));
        assert_eq!(seen.restore(&short(100..150, age)), Ok(50));
        assert!((0..50).chain(100..150).all(|id| seen.is_processed(&id)));
        manual.advance(10 * SECOND);
        // The guests of the first round have expired.
        let live = if age == 90 { 50..100 } else { 50..51 };
        live.clone().for_each(|id| assert!(seen.mark_processed(id)));
        assert!(
            (0..live.end).all(|id| seen.is_processed(&id)),
            "nothing that is live was forgotten"
        );
        let forgotten = if age == 90 { 0 } else { 1 };
        assert_eq!(seen.metrics().forgotten_early, forgotten, "a guest");
        // More guests than there is room for: the ones with the least time left make room.
        assert_eq!(seen.restore(&short(200..400, 50)), Ok(200));
        assert!((0..live.end).all(|id| seen.is_processed(&id)));
        assert_eq!(seen.len(), 100);
        manual.advance(100 * SECOND);
        seen.cleanup();
        assert!(seen.is_empty());
    }
}

/// The ring is round to ids that are live earlier than that, as a call has forgotten others: they are no guests like
/// those that were restored.
#[test]
fn a_restore_forgets_nothing_that_is_live_where_others_were_forgotten_by_a_call() {
    let (seen, manual) = timed(10);
    for id in 0..10 {
        assert!(seen.mark_processed(id));
        manual.advance(SECOND);
    }
    assert!(seen.forget(&5) && seen.mark_processed(10));
    let (other, _hand) = timed(10);
    (100..105).for_each(|id| assert!(other.mark_processed(id)));
    assert_eq!(seen.restore(&other.snapshot()), Ok(5));
    let live: Vec<u64> = (0..11).filter(|&id| id != 5).collect();
    assert!(live.iter().all(|id| seen.is_processed(id)), "they had most of their time left");
    assert_eq!(seen.len(), 10);
    // All of them are in a snapshot.
    let (after, _hand) = timed(10);
    assert_eq!(after.restore(&seen.snapshot()), Ok(10));
    assert!(live.iter().all(|id| after.is_processed(id)));
    manual.advance(100 * SECOND);
    assert!(seen.cleanup() == 10 && seen.is_empty());
}

#[test]
fn a_restore_beside_work_forgets_nothing() {
    let ids = size(400, 20_000) as u64;
    let (other, _hand) = timed(ids);
    (0..ids).for_each(|id| assert!(other.mark_processed(id)));
    let bytes = other.snapshot();
    let (seen, _hand) = timed(3 * ids);
    together(4, |thread| {
        if thread < 2 {
            (0..5).for_each(|_| assert_eq!(seen.restore(&bytes), Ok(ids as usize)));
            return;
        }
        let first = (thread as u64 - 1) * ids;
        (first..first + ids).for_each(|id| assert!(seen.mark_processed(id)));
    });
    assert!((0..3 * ids).all(|id| seen.is_processed(&id)));
    assert_eq!((seen.len() as u64, seen.metrics().forgotten_early), (3 * ids, 0));
    // What was restored is in the next snapshot.
    let (third, _hand) = timed(3 * ids);
    assert_eq!(third.restore(&seen.snapshot()), Ok(3 * ids as usize));
    assert!((0..3 * ids).all(|id| third.is_processed(&id)));
}

#[test]
fn bytes_that_are_no_snapshot_change_nothing() {
    let (seen, _hand) = timed(100);
    assert!(seen.mark_processed(7));
    let bytes = seen.snapshot();
    let (other, _hand) = timed(100);
    let wrong = |bytes: &[u8]| {
        let error = other.restore(bytes).expect_err("it is damaged");
        assert!(other.is_empty(), "{error}");
        error
    };
    assert_eq!(wrong(b""), SnapshotError::Foreign);
    assert_eq!(wrong(b"{\"offsets\": []}"), SnapshotError::Foreign);
    for end in 8..bytes.len() {
        assert!(matches!(wrong(&bytes[..end]), SnapshotError::Length { .. }));
    }
    assert!(matches!(wrong(&[&bytes[..], &[0]].concat()), SnapshotError::Length { .. }));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            wrong(&damaged);
        }
    }
    let texts = Deduplicator::<String>::builder().build().expect("the defaults agree");
    let error = texts.restore(&bytes).expect_err("other ids");
    assert_eq!(error.to_string(), "the snapshot holds ids of u64, not ids of text");
    let tracker = OffsetTracker::builder().build().expect("the defaults agree");
    assert!(tracker.restore(&bytes).is_err());
    assert!(matches!(wrong(&tracker.snapshot()), SnapshotError::OtherContents { .. }));
    assert_eq!(other.restore(&bytes), Ok(1));
}

#[test]
fn ids_of_any_kind() {
    let seen = Deduplicator::<(String, u32, u64)>::builder().build().expect("the defaults agree");
    let id = |offset| ("orders".to_string(), 3, offset);
    assert!(seen.mark_processed(id(1)) && seen.mark_processed(id(u64::MAX)));
    assert!(!seen.mark_processed(id(1)) && seen.is_processed(&id(u64::MAX)));
    let other = Deduplicator::builder().build().expect("the defaults agree");
    assert_eq!(other.restore(&seen.snapshot()), Ok(2));
    assert!(other.claim(id(1)).is_done());
}

#[test]
fn handles_can_be_shared() {
    fn shared<T: Send + Sync + std::fmt::Debug + 'static>() {}
    shared::<Deduplicator<String>>();
    shared::<Ticket<String>>();
    shared::<Claim<Ticket<u64>>>();
    shared::<OffsetTracker>();
    let seen = Deduplicator::builder().build().expect("the defaults agree");
    let held = ticket(&seen.clone(), 1);
    drop(seen);
    assert!(std::thread::spawn(move || held.complete()).join().expect("it completes"));
}
