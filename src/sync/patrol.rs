//! A thread that makes rounds.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{discard, quietly};

/// The thread. It ends when this is dropped, and is waited for.
#[derive(Debug)]
pub(crate) struct Patrol {
    /// Nothing is ever sent: the thread rests on the other end and wakes when this one is gone.
    line: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Patrol {
    /// Starts the thread, which rests and then makes a round, over and over. A round says how long to rest
    /// after it, or that there is nothing left to go round.
    ///
    /// A panic in a round (of a destructor, a listener or a waker) was reported by the panic hook, and ends
    /// that round only.
    pub(crate) fn start(
        name: &str,
        rest: Duration,
        mut round: impl FnMut() -> Option<Duration> + Send + 'static,
    ) -> io::Result<Self> {
        let (line, end) = mpsc::channel::<Infallible>();
        let thread = thread::Builder::new().name(name.to_string()).spawn(move || {
            let mut next = rest;
            while end.recv_timeout(next) == Err(RecvTimeoutError::Timeout) {
                match quietly(&mut round).unwrap_or(Some(rest)) {
                    Some(wanted) => next = wanted,
                    None => return,
                }
            }
        })?;
        Ok(Self { line: Some(line), thread: Some(thread) })
    }
}

impl Drop for Patrol {
    fn drop(&mut self) {
        drop(self.line.take());
        let Some(thread) = self.thread.take() else { return };
        // The last handle may be dropped by a destructor or a listener on the thread itself.
        if thread.thread().id() != thread::current().id() {
            // A panic there was reported already.
            thread.join().unwrap_or_else(discard);
        }
    }
}
