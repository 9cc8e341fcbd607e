//! Quotes, candles, and what there is to see of the caches, over HTTP.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use clockhand_http::{Keys, Service};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::signal;
use tokio::sync::oneshot;

use super::feed::TOPIC;
use super::series::Series;
use super::world::World;
use crate::failure::Failure;

/// Threads that answer.
const THREADS: usize = 2;

/// How long connections may go on when the service stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Takes the port, so that a busy one is known before anything else.
pub(super) fn listen(port: u16) -> Result<TcpListener, Failure> {
    let taken = |error: std::io::Error| {
        Failure::Input(format!(
            "port {port} of 127.0.0.1 cannot be used: {error}; give another one with --port, or 0 for any \
             that is free"
        ))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(taken)?;
    listener.set_nonblocking(true).map_err(taken)?;
    Ok(listener)
}

/// The server, until it is stopped.
pub(super) struct Server {
    runtime: Runtime,
    seen: Service,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// Answers, and tells when a signal asks to stop.
    pub(super) fn start(
        listener: TcpListener,
        world: &Arc<World>,
        tell: Sender<()>,
    ) -> Result<Self, Failure> {
        let failed = || Failure::machine("cannot start the server");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(failed())?;
        tell_of_signals(&runtime, &tell).map_err(failed())?;
        let address = listener.local_addr().map_err(failed())?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let seen = seen(world)?;
        let routes = routes(world).merge(seen.router());
        let listener = {
            let _context = runtime.enter();
            seen.bound(tokio::net::TcpListener::from_std(listener).map_err(failed())?)
        };
        runtime.spawn(async move {
            let until = async move { _ = stopped.await };
            // It ends in order, or never.
            let _ = axum::serve(listener, routes).with_graceful_shutdown(until).await;
            let _ = end.send(());
        });
        Ok(Self { runtime, seen, address, stop, ended })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and answers those that are there if they do not take too long.
    pub(super) fn stop(self) {
        let Self { runtime, seen, stop, ended, .. } = self;
        seen.close();
        let _ = stop.send(());
        let _ = runtime.block_on(async { tokio::time::timeout(LAST_WORDS, ended).await });
        runtime.shutdown_background();
    }
}

/// Tells of Ctrl-C, and of SIGTERM where there is that. The receiver may have stopped by itself.
fn tell_of_signals(runtime: &Runtime, tell: &Sender<()>) -> std::io::Result<()> {
    let _context = runtime.enter();
    #[cfg(unix)]
    for kind in [signal::unix::SignalKind::interrupt(), signal::unix::SignalKind::terminate()] {
        let (mut signal, tell) = (signal::unix::signal(kind)?, tell.clone());
        runtime.spawn(async move {
            signal.recv().await;
            let _ = tell.send(());
        });
    }
    #[cfg(not(unix))]
    runtime.spawn({
        let tell = tell.clone();
        async move {
            // Without it the service runs for as long as it was told to, and so does this.
            match signal::ctrl_c().await {
                Ok(()) => _ = tell.send(()),
                Err(_) => std::future::pending().await,
            }
        }
    });
    Ok(())
}

/// What is seen of the caches and the feed: `/cache` and below, `/metrics`.
fn seen(world: &World) -> Result<Service, Failure> {
    let service = Service::builder()
        .cache(&world.quotes, Keys::text())
        .cache_in_bytes(world.charts.cache(), Keys::text())
        .tracker(TOPIC, &world.tracker)
        .thresholds(world.thresholds.clone())
        .build();
    service.map_err(|error| Failure::Broken(error.to_string()))
}

fn routes(world: &Arc<World>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/quotes/{series}", get(quote))
        .route("/candles/{series}", get(candles))
        .fallback(async || Refusal(StatusCode::NOT_FOUND, "there is nothing at this path".into()))
        .method_not_allowed_fallback(async || {
            Refusal(StatusCode::METHOD_NOT_ALLOWED, "this is read only".into())
        })
        .with_state(Arc::clone(world))
}

async fn index() -> &'static str {
    "/quotes/S00042-1m   the last quote of a series\n\
     /candles/S00042-5m  its candles\n\
     /cache              the page\n\
     /cache/health       the verdict, 503 when it is critical\n\
     /cache/stats        all figures\n\
     /metrics            for Prometheus\n"
}

/// Why there is no answer.
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer = Result<Json<Value>, Refusal>;

fn series(world: &World, text: &str) -> Result<Series, Refusal> {
    world.http_requests.fetch_add(1, Ordering::Relaxed);
    Series::from_str(text).map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))
}

async fn quote(State(world): State<Arc<World>>, Path(text): Path<String>) -> Answer {
    let series = series(&world, &text)?;
    let quote = world.quotes.get(&series);
    let quote = quote.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, "there is no quote".into()))?;
    Ok(Json(json!({
        "series": quote.series.to_string(),
        "price": quote.price,
        "offset": quote.offset,
    })))
}

async fn candles(State(world): State<Arc<World>>, Path(text): Path<String>) -> Answer {
    let series = series(&world, &text)?;
    // The origin is asked on a thread that may wait.
    let answer = tokio::task::spawn_blocking(move || world.charts.get_with_source(&series));
    let answer = answer.await;
    let broken = |error: String| Refusal(StatusCode::SERVICE_UNAVAILABLE, error);
    let loaded = answer.map_err(|error| broken(error.to_string()))?;
    let loaded = loaded.map_err(|error| broken(error.to_string()))?;
    Ok(Json(json!({
        "series": loaded.value.series.to_string(),
        "source": format!("{:?}", loaded.source).to_lowercase(),
        "bars": loaded.value.bars,
    })))
}
