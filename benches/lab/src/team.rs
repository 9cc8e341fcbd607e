//! A team of threads that start together and are timed.

use std::io;
use std::panic::resume_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The most threads that a user may ask for.
pub(crate) const MOST_THREADS: usize = 1024;

/// What one thread of a team returned, and when it worked.
#[derive(Debug)]
pub(crate) struct Shift<T> {
    /// What its work returned.
    pub result: T,
    /// When its work began.
    pub began: Instant,
    /// When its work ended.
    pub ended: Instant,
}

/// Runs `work(0)`, `work(1)`, ... on threads of their own that all begin when the last is ready, and
/// `conduct` on this thread meanwhile.
pub(crate) fn run<T: Send>(
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
    conduct: impl FnOnce(),
) -> io::Result<Vec<Shift<T>>> {
    let ready = AtomicUsize::new(0);
    let gate = OnceLock::<bool>::new();
    let member = |id| {
        ready.fetch_add(1, Ordering::Relaxed);
        gate.wait().then(|| {
            let began = Instant::now();
            let result = work(id);
            Shift { result, began, ended: Instant::now() }
        })
    };
    thread::scope(|scope| {
        let member = &member;
        let spawn = |id| thread::Builder::new().spawn_scoped(scope, move || member(id));
        let team = (0..threads).map(spawn).collect::<io::Result<Vec<_>>>();
        while team.is_ok() && ready.load(Ordering::Relaxed) < threads {
            thread::yield_now();
        }
        gate.get_or_init(|| team.is_ok());
        let team = team?;
        conduct();
        let shifts =
            team.into_iter().map(|thread| thread.join().unwrap_or_else(|p| resume_unwind(p)));
        Ok(shifts.flatten().collect())
    })
}

/// From the first beginning to the last end.
pub(crate) fn elapsed<T>(shifts: &[Shift<T>]) -> Duration {
    let began = shifts.iter().map(|shift| shift.began).min();
    let ended = shifts.iter().map(|shift| shift.ended).max();
    began.zip(ended).map_or(Duration::ZERO, |(began, ended)| ended - began)
}

/// As many threads as the machine lets this process run at once.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}
