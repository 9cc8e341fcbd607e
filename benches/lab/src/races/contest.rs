//! Where contestants race: as threads, or as tasks that take turns on one thread.

use std::future::poll_fn;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Options, Tally};
use crate::failure::Failure;
use crate::team;

/// How long a call to something else takes a thread.
const CALL: Duration = Duration::from_micros(20);

/// How long a race goes on that does not come to what it is run for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the contestants are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// Threads of the system.
    Threads,
    /// Futures that one thread polls in turn: no two of them ever run at once.
    Tasks,
}

impl Form {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Threads, Self::Tasks];

    /// What tables call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Tasks => "tasks",
        }
    }
}

/// One side of one race.
#[derive(Debug)]
pub(super) struct Contest {
    options: Options,
    form: Form,
    /// Whether it is run until it is lost, or until anything has been done.
    until_lost: bool,
    /// When the first contestant began.
    began: OnceLock<Instant>,
    /// Whether it has come to what it is run for.
    met: AtomicBool,
}

impl Contest {
    /// A race of steps that are each under a lock: it is over when its time is, and not before it was
    /// lost once.
    pub(super) fn of_locks(options: Options, form: Form) -> Self {
        let (began, met) = (OnceLock::new(), AtomicBool::new(false));
        Self { options, form, until_lost: true, began, met }
    }

    /// A race of `clockhand`: it is over when its time is, and not before anything was done.
    pub(super) fn of_clockhand(options: Options, form: Form) -> Self {
        Self { until_lost: false, ..Self::of_locks(options, form) }
    }

    pub(super) fn contestants(&self) -> usize {
        self.options.threads
    }

    pub(super) fn goes_on(&self) -> bool {
        let time = self.began.get_or_init(Instant::now).elapsed();
        time < self.options.time || !self.met.load(Ordering::Relaxed) && time < PATIENCE
    }

    /// Counts an operation.
    pub(super) fn count(&self, tally: &mut Tally, wrong: bool) {
        tally.operations += 1;
        tally.violations += u64::from(wrong);
        self.saw(wrong);
    }

    /// Takes down that something was done, and whether it went wrong.
    pub(super) fn saw(&self, wrong: bool) {
        if (wrong || !self.until_lost) && !self.met.load(Ordering::Relaxed) {
            self.met.store(true, Ordering::Relaxed);
        }
    }

    /// What stands between check and act in production: a call to something else. A thread waits for
    /// it; a task lets the others have their turns.
    pub(super) async fn elsewhere(&self) {
        match self.form {
            Form::Threads => thread::sleep(CALL),
            Form::Tasks => others_first().await,
        }
    }

    /// Lets contestants race that count what they do, and adds it up.
    pub(super) fn tallies(
        &self,
        contestant: impl AsyncFn(usize, &mut Tally) + Sync,
    ) -> Result<Tally, Failure> {
        let counted = async |id| {
            let mut tally = Tally::default();
            contestant(id, &mut tally).await;
            tally
        };
        Ok(self.run(counted)?.into_iter().sum())
    }

    /// Lets `contestant(0)`, `contestant(1)`, ... race until they have ended.
    pub(super) fn run<T: Send>(
        &self,
        contestant: impl AsyncFn(usize) -> T + Sync,
    ) -> Result<Vec<T>, Failure> {
        match self.form {
            Form::Threads => {
                let work = |id| in_turn([contestant(id)]).pop();
                let shifts = team::run(self.contestants(), work, || ());
                let shifts = shifts.map_err(Failure::machine("cannot start a thread"))?;
                Ok(shifts.into_iter().filter_map(|shift| shift.result).collect())
            }
            Form::Tasks => Ok(in_turn((0..self.contestants()).map(|id| contestant(id)))),
        }
    }
}

/// Ready the second time that it is polled.
async fn others_first() {
    let mut polled = false;
    poll_fn(|_| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Polls futures in turn until all have ended. They wait for nothing but their turn.
fn in_turn<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    let mut context = Context::from_waker(Waker::noop());
    while futures.iter().any(|(_, output)| output.is_none()) {
        for (future, output) in futures.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(ended) = future.as_mut().poll(&mut context) {
                *output = Some(ended);
            }
        }
    }
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
