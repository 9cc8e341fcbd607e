//! The dial of a ticked clock, and the thread that turns it.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::moment::{Moment, nanos};
use crate::sync::{AtomicU64, CachePadded, Mutex, Relaxed, lock};

/// A clock's face: one word, alone on its line, read by everybody and turned by one.
///
/// The time publishes nothing, so the word is a [`Relaxed`]. As every access is to the same word, no
/// thread sees it go back.
#[derive(Debug)]
pub(super) struct Dial(CachePadded<Relaxed<AtomicU64>>);

impl Dial {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(Relaxed::<AtomicU64>::new(0)))
    }

    #[inline]
    pub(super) fn read(&self) -> Moment {
        Moment::at(self.0.get())
    }

    /// Turns the dial to `elapsed`, unless it is there or beyond.
    pub(super) fn turn_to(&self, elapsed: Duration) {
        self.0.max(nanos(elapsed));
    }

    /// Turns the dial on by `step`, up to the last moment.
    pub(super) fn turn_by(&self, step: Duration) {
        loop {
            let now = self.0.get();
            if self.0.try_set(now, now.saturating_add(nanos(step))) {
                return;
            }
        }
    }
}

/// The thread's life: it begins with the first `start` and ends when the ticker is dropped.
#[derive(Debug)]
pub(super) struct Ticker {
    resolution: Duration,
    /// Nothing is ever sent: the thread sleeps on the other end and wakes when this one is gone.
    line: Mutex<Option<Sender<Infallible>>>,
}

impl Ticker {
    pub(super) fn new(resolution: Duration) -> Self {
        Self { resolution, line: Mutex::new(None) }
    }

    pub(super) fn resolution(&self) -> Duration {
        self.resolution
    }

    /// Starts the thread, if it does not run yet.
    pub(super) fn start(&self, dial: &Arc<Dial>, origin: Instant) -> io::Result<()> {
        if self.resolution.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the resolution is zero"));
        }
        let mut line = lock(&self.line);
        if line.is_none() {
            let (sender, receiver) = channel();
            let (dial, resolution) = (Arc::clone(dial), self.resolution);
            dial.turn_to(origin.elapsed());
            thread::Builder::new()
                .name("clockhand-clock".into())
                .spawn(move || tick(&dial, origin, resolution, &receiver))?;
            *line = Some(sender);
        }
        Ok(())
    }
}

/// The dial gets the time that has passed, not a count of ticks: sleeping longer than asked delays
/// a tick but does not make the clock slow.
fn tick(dial: &Dial, origin: Instant, resolution: Duration, line: &Receiver<Infallible>) {
    while let Err(RecvTimeoutError::Timeout) = line.recv_timeout(resolution) {
        dial.turn_to(origin.elapsed());
    }
}
