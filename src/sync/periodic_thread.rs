//! A thread that does something periodically.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{discard, quietly};

/// The thread. Dropping this ends it, and waits for that.
#[derive(Debug)]
pub(crate) struct PeriodicThread {
    /// Nothing is ever sent: the thread sleeps on the other end, and wakes when this one is
    /// dropped.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl PeriodicThread {
    /// Starts the thread, which sleeps for `interval` and then calls `round`, again and again.
    /// `round` returns how long to sleep next, and `None` to end the thread.
    ///
    /// A panic in a round (of a destructor, a listener or a waker) is reported by the panic hook,
    /// and ends that round only.
    pub(crate) fn start(
        name: &str,
        interval: Duration,
        mut round: impl FnMut() -> Option<Duration> + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<Infallible>();
        let thread = thread::Builder::new().name(name.to_string()).spawn(move || {
            let mut next = interval;
            while stopped.recv_timeout(next) == Err(RecvTimeoutError::Timeout) {
                match quietly(&mut round).unwrap_or(Some(interval)) {
                    Some(wanted) => next = wanted,
                    None => return,
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for PeriodicThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a destructor or a listener on the thread itself.
        if thread.thread().id() != thread::current().id() {
            // A panic there was reported already.
            thread.join().unwrap_or_else(discard);
        }
    }
}
