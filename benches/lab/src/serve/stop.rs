//! Signals that stop the service.

use std::io;
use std::sync::mpsc::Sender;

use tokio::runtime::Runtime;

/// Tells when the process is asked to stop: by Ctrl-C, or by SIGTERM where there is one.
pub(super) fn on_signal(runtime: &Runtime, tell: Sender<()>) -> io::Result<()> {
    let _context = runtime.enter();
    let mut signals = Signals::new()?;
    runtime.spawn(async move {
        signals.any().await;
        // Whoever listened has stopped by itself.
        let _ = tell.send(());
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
        Ok(Self { interrupt: interrupt?, terminate: terminate? })
    }

    async fn any(&mut self) {
        let (interrupt, terminate) = (&mut self.interrupt, &mut self.terminate);
        std::future::poll_fn(|context| {
            let came = interrupt.poll_recv(context).is_ready();
            if came || terminate.poll_recv(context).is_ready() {
                return std::task::Poll::Ready(());
            }
            std::task::Poll::Pending
        })
        .await;
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn any(&mut self) {
        // Without it the service runs until its time is over.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
