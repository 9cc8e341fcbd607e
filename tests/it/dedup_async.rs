//! De-duplication in tasks: a future that is dropped gives its claim back, and waiting tasks are woken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::support::{ignore, size};
use clockhand::Clock;
use clockhand::dedup::{Deduplicator, Outcome, Waited};

fn runtime() -> tokio::runtime::Runtime {
    let builder = &mut tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(4).enable_time().build().expect("threads can be started")
}

fn deduplicator() -> Deduplicator<u64> {
    Deduplicator::builder().build().expect("the defaults agree")
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn every_task_gets_its_answer() {
    let (messages, tasks) = (size(500, 20_000) as u64, 8);
    let (seen, processed) = (deduplicator(), Arc::new(AtomicUsize::new(0)));
    let answers = runtime().block_on(async move {
        let run = |_| {
            let (seen, processed) = (seen.clone(), Arc::clone(&processed));
            tokio::spawn(async move {
                let mut answers = [0, 0, 0, 0];
                for message in 0..messages {
                    let work = || async {
                        tokio::task::yield_now().await;
                        let nth = processed.fetch_add(1, Ordering::SeqCst);
                        if nth % 10 == 0 { Err("away") } else { Ok(nth) }
                    };
                    let at = match seen.process_async(message, work).await {
                        Outcome::Processed(_) => 0,
                        Outcome::Failed(_) => 1,
                        Outcome::Duplicate => 2,
                        Outcome::InProgress => 3,
                        other => panic!("{other:?}"),
                    };
                    answers[at] += 1;
                }
                answers
            })
        };
        let running: Vec<_> = (0..tasks).map(run).collect();
        let mut sum = [0, 0, 0, 0];
        for task in running {
            let answers = task.await.expect("no task panics");
            sum.iter_mut().zip(answers).for_each(|(sum, n)| *sum += n);
        }
        // What failed and was not tried again by another task is open still.
        let open = (0..messages).filter(|id| !seen.is_processed(id)).count() as u64;
        assert_eq!(sum[0] + open, messages);
        assert_eq!(seen.metrics().adds, sum[0]);
        assert_eq!(seen.metrics().abandoned, sum[1]);
        sum
    });
    assert_eq!(answers.iter().sum::<u64>(), tasks * messages);
}

#[test]
fn a_cancelled_task_gives_its_claim_back() {
    let seen = deduplicator();
    let runtime = runtime();
    let (started, begun) = mpsc::channel();
    let task = {
        let seen = seen.clone();
        runtime.spawn(async move {
            let work = || async {
                started.send(()).expect("the test waits");
                std::future::pending::<Result<(), ()>>().await
            };
            ignore(seen.process_async(1, work).await);
        })
    };
    begun.recv().expect("the task has begun");
    assert!(seen.claim(1).is_in_progress());
    task.abort();
    assert!(runtime.block_on(task).expect_err("it was cancelled").is_cancelled());
    assert!(seen.claim(1).is_new());
    assert_eq!(seen.metrics().abandoned, 2);
}

#[test]
fn a_panic_in_a_task_gives_its_claim_back() {
    let seen = deduplicator();
    let runtime = runtime();
    let task = {
        let seen = seen.clone();
        runtime.spawn(async move {
            let work = || async { panic!("in the middle of it") };
            ignore(seen.process_async::<(), (), _>(1, work).await);
        })
    };
    assert!(runtime.block_on(task).expect_err("it panicked").is_panic());
    assert!(seen.claim(1).is_new());
}

#[test]
fn tasks_that_wait_are_woken() {
    let seen = deduplicator();
    let runtime = runtime();
    for end in [true, false] {
        let ticket = seen.claim(1).ticket().expect("it is open");
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let seen = seen.clone();
                runtime.spawn(async move { seen.wait_done_async(&1).await })
            })
            .collect();
        std::thread::yield_now();
        // First it is given back, then done: in the second round it is claimed anew.
        let wanted = if end { Waited::Open } else { Waited::Done };
        if end {
            drop(ticket);
        } else {
            assert!(ticket.complete());
        }
        let in_time = runtime.block_on(async {
            let all = async {
                for task in waiting {
                    assert_eq!(task.await.expect("no task panics"), wanted);
                }
            };
            tokio::time::timeout(Duration::from_secs(60), all).await
        });
        assert!(in_time.is_ok(), "they sleep for ever");
    }
}

#[test]
fn a_wait_that_is_dropped_leaves_nothing_behind() {
    let seen = deduplicator();
    let ticket = seen.claim(1).ticket().expect("it is new");
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    {
        let mut wait = Box::pin(seen.wait_done_async(&1));
        assert!(wait.as_mut().poll(&mut context).is_pending());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        assert_eq!(Arc::strong_count(&count), 3, "one place among the waiters");
    }
    assert_eq!(Arc::strong_count(&count), 2);
    let mut wait = Box::pin(seen.wait_done_async(&1));
    assert!(wait.as_mut().poll(&mut context).is_pending());
    assert!(ticket.complete());
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(Waited::Done));
}

#[test]
fn a_waker_that_panics_leaves_nobody_asleep() {
    struct Wild;
    impl Wake for Wild {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let seen = deduplicator();
    let ticket = seen.claim(1).ticket().expect("it is new");
    let (wild, count) = (Waker::from(Arc::new(Wild)), Arc::new(Count::default()));
    let calm = Waker::from(Arc::clone(&count));
    let mut waits: Vec<_> = (0..2).map(|_| Box::pin(seen.wait_done_async(&1))).collect();
    assert!(waits[0].as_mut().poll(&mut Context::from_waker(&wild)).is_pending());
    assert!(waits[1].as_mut().poll(&mut Context::from_waker(&calm)).is_pending());
    assert!(ticket.complete());
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
}

/// Nothing else happens in the deduplicator: its own thread looks.
#[test]
fn a_task_is_woken_when_the_lease_runs_out() {
    let (clock, manual) = Clock::manual();
    let seen = Deduplicator::builder().clock(clock).build().expect("the defaults agree");
    let mut extended = seen.claim(1).ticket().expect("it is new");
    std::mem::forget(seen.claim(2).ticket().expect("it is new"));
    let runtime = runtime();
    let wait = |id: u64| {
        let seen = seen.clone();
        runtime.spawn(async move { seen.wait_done_async(&id).await })
    };
    let (first, second) = (wait(1), wait(2));
    assert!(extended.extend(Duration::from_secs(90)));
    manual.advance(Duration::from_secs(60));
    assert_eq!(runtime.block_on(second).expect("no task panics"), Waited::Open);
    assert!(!first.is_finished(), "its lease was extended");
    manual.advance(Duration::from_secs(30));
    assert_eq!(runtime.block_on(first).expect("no task panics"), Waited::Open);
    // The thread has ended by and by, and another one is started.
    std::mem::forget(seen.claim(3).ticket().expect("it is new"));
    let third = wait(3);
    manual.advance(Duration::from_secs(60));
    assert_eq!(runtime.block_on(third).expect("no task panics"), Waited::Open);
    drop(extended);
}

#[test]
fn a_cleanup_wakes_those_whose_holder_is_late() {
    let (clock, manual) = Clock::manual();
    let seen = Deduplicator::builder().clock(clock).build().expect("the defaults agree");
    let late = seen.claim(1).ticket().expect("it is new");
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut context = Context::from_waker(&waker);
    let mut wait = Box::pin(seen.wait_done_async(&1));
    assert!(wait.as_mut().poll(&mut context).is_pending());
    manual.advance(Duration::from_secs(60));
    seen.cleanup();
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(Waited::Open));
    drop(late);
}
