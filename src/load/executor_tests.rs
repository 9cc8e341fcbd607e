#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::sync::mpsc;
use std::time::Duration;

use super::executor::{MAX_QUEUED_JOBS, Pool, PoolLimits};

/// No wait takes this long unless it never ends.
const FOREVER: Duration = Duration::from_secs(60);

/// Jobs that hang until this is dropped.
#[derive(Default)]
struct Hung(Vec<mpsc::Sender<()>>);

impl Hung {
    /// Adds a job. The receiver is told when it begins.
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
    let limits = PoolLimits { threads: 2, long: Duration::ZERO, max_threads: 6 };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(limits)));
    let mut hung = Hung::default();
    for _ in 0..5 {
        hung.add(pool).recv_timeout(FOREVER).expect("each of them gets a thread");
    }
    let (done, ended) = mpsc::channel();
    pool.spawn(Box::new(move || done.send(()).unwrap()));
    ended.recv_timeout(FOREVER).expect("one that is left runs the rest");
    hung.add(pool).recv_timeout(FOREVER).expect("the sixth");
    let seventh = hung.add(pool);
    // Whether one more is started is settled by now; when it would run is not.
    assert_eq!(pool.threads(), 6, "there are not more than the limit");
    assert!(seventh.try_recv().is_err());
    drop(hung);
    seventh.recv_timeout(FOREVER).expect("threads that are free again go on");
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as wanted");
    }
}

#[test]
fn jobs_that_panic_leave_their_thread_alive() {
    let limits = PoolLimits { threads: 1, long: FOREVER, max_threads: 1 };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(limits)));
    for _ in 0..3 {
        pool.spawn(Box::new(|| std::panic::panic_any(Bomb)));
    }
    let (done, ended) = mpsc::channel();
    pool.spawn(Box::new(move || done.send(()).unwrap()));
    ended.recv_timeout(FOREVER).expect("the only thread has ended");
}

#[test]
fn a_job_that_is_given_up_panics_nowhere() {
    let limits = PoolLimits { threads: 1, long: FOREVER, max_threads: 1 };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(limits)));
    let mut hung = Hung::default();
    hung.add(pool).recv_timeout(FOREVER).expect("the only thread");
    (0..MAX_QUEUED_JOBS).for_each(|_| pool.spawn(Box::new(|| ())));
    let bomb = Bomb;
    pool.spawn(Box::new(move || std::mem::forget(bomb)));
    drop(hung);
}

#[test]
fn jobs_that_do_not_hang_get_few_threads() {
    let limits = PoolLimits { threads: 2, long: FOREVER, max_threads: 6 };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(limits)));
    let mut hung = Hung::default();
    for _ in 0..2 {
        hung.add(pool).recv_timeout(FOREVER).expect("two threads");
    }
    let third = hung.add(pool);
    assert_eq!(pool.threads(), 2, "a third thread has started");
    assert!(third.try_recv().is_err());
    drop(hung);
    third.recv_timeout(FOREVER).expect("a thread is free again");
}
