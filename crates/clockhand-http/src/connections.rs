//! How many connections a server has at the same time, and how long one may be silent.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::gates::places;
use crate::service::Service;

/// Far enough, and not too far for a timer.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

impl Service {
    /// A listener for `axum::serve` that takes no more connections at the same time than `Limits::connections`, and
    /// ends those on which nothing comes or goes for `Limits::idle`. Clients beyond wait in the listener's queue, as
    /// long as the system keeps them there.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use clockhand_http::Service;
    /// use tokio::net::TcpListener;
    ///
    /// let service = Service::builder().build()?;
    /// let listener = service.bound(TcpListener::bind("127.0.0.1:8080").await?);
    /// axum::serve(listener, service.router()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn bound<L: Listener>(&self, listener: L) -> Bounded<L> {
        let limits = &self.shared.limits;
        let idle = limits.idle.min(NEVER);
        Bounded { listener, places: places(limits.connections.max(1)), idle }
    }
}

/// A listener with a bound: see [`Service::bound`].
#[derive(Debug)]
pub struct Bounded<L> {
    listener: L,
    places: Arc<Semaphore>,
    idle: Duration,
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The place first: a connection that was taken and has none would be held for nothing. No thread closes the
        // semaphore.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (io, address) = self.listener.accept().await;
        let (idle, silent) = (self.idle, Box::pin(sleep(self.idle)));
        (Connection { io, idle, silent, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection that has a place of its listener's, and ends when it was silent for too long.
#[derive(Debug)]
pub struct Connection<I> {
    io: I,
    idle: Duration,
    /// Until when it may be silent.
    silent: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<I: Unpin> Connection<I> {
    /// Does a step, unless that would wait and it was silent for too long.
    fn step<T>(
        &mut self,
        context: &mut Context<'_>,
        step: impl FnOnce(Pin<&mut I>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let done = step(Pin::new(&mut self.io), context);
        if done.is_ready() {
            self.silent.as_mut().reset(Instant::now() + self.idle);
            return done;
        }
        match self.silent.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Connection<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.step(context, |io, context| io.poll_read(context, to))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Connection<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.step(context, |io, context| io.poll_write(context, from))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.step(context, |io, context| io.poll_write_vectored(context, from))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.step(context, |io, context| io.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.step(context, |io, context| io.poll_shutdown(context))
    }
}
