//! Streams of events, for `axum`.

use std::convert::Infallible;
use std::pin::pin;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::future::select;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::reply::{Refusal, Reply};
use crate::service::Service;

/// Opens a stream: an event now, and one after each interval.
pub(crate) fn open(service: &Service) -> Result<Response, Refusal> {
    let place = service.shared.gates.stream()?;
    // One event is on its way, and another one waits for it: a client that is slow gets fewer of them.
    let (events, told) = channel(1);
    task::spawn(tell(service.clone(), events, place));
    let head = Reply::new(200, "text/event-stream", "").with("x-accel-buffering", "no");
    let mut response = head.into_response();
    *response.body_mut() = Body::from_stream(unfold(told, async |mut told| {
        let event: Bytes = told.recv().await?;
        Some((Ok::<_, Infallible>(event), told))
    }));
    Ok(response)
}

/// Tells events until the client has gone or takes none any more, the service closes, or the stream has lived long
/// enough. A server does not ask a body for more while its client takes nothing, so none of that may depend on
/// being asked: the place is free again when this ends.
async fn tell(service: Service, events: Sender<Bytes>, _place: OwnedSemaphorePermit) {
    let mut closed = service.shared.gates.closed();
    let (closing, gone) = (pin!(closed.wait_for(|&closed| closed)), pin!(events.closed()));
    let fed = pin!(feed(&service, &events));
    let _ = timeout(service.shared.limits.life, select(select(closing, gone), fed)).await;
}

async fn feed(service: &Service, events: &Sender<Bytes>) {
    let limits = service.shared.limits;
    let mut ticks = interval(limits.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(Ok(room)) = timeout(limits.patience, events.reserve()).await else { return };
        let service = service.clone();
        let made = task::spawn_blocking(move || Bytes::copy_from_slice(service.event().as_bytes()));
        let Ok(event) = made.await else { return };
        room.send(event);
    }
}
