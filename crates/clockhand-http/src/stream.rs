//! Streams of events, for `axum`.

use std::convert::Infallible;
use std::pin::pin;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::reply::{Refusal, Reply};
use crate::service::Service;

/// A stream that is open.
struct Open {
    service: Service,
    ticks: Interval,
    end: Instant,
    closed: watch::Receiver<bool>,
    /// Free again when the stream is dropped.
    _place: OwnedSemaphorePermit,
}

/// Opens a stream: an event now, and one after each interval.
pub(crate) fn open(service: &Service) -> Result<Response, Refusal> {
    let shared = &service.shared;
    let mut ticks = interval(shared.limits.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let open = Open {
        service: service.clone(),
        ticks,
        end: Instant::now() + shared.limits.life,
        closed: shared.gates.closed(),
        _place: shared.gates.stream()?,
    };
    let head = Reply::new(200, "text/event-stream", "").with("x-accel-buffering", "no");
    let mut response = head.into_response();
    *response.body_mut() = Body::from_stream(unfold(open, next));
    Ok(response)
}

impl Open {
    /// Waits for the time of the next event; whether there is one.
    async fn goes_on(&mut self) -> bool {
        let closing = pin!(self.closed.wait_for(|&closed| closed));
        let due = matches!(select(closing, pin!(self.ticks.tick())).await, Either::Right(_));
        due && Instant::now() < self.end
    }
}

/// The next event; nothing if the stream is over.
async fn next(mut open: Open) -> Option<(Result<Bytes, Infallible>, Open)> {
    if !open.goes_on().await {
        return None;
    }
    let service = open.service.clone();
    let event = task::spawn_blocking(move || Bytes::copy_from_slice(service.event().as_bytes()));
    Some((Ok(event.await.ok()?), open))
}
