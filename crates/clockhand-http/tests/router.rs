//! The router keeps its bounds, wherever it is nested.
#![cfg(feature = "axum")]

mod support;

use std::sync::{Arc, Barrier};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use clockhand::Cache;
use clockhand_http::{Keys, Limits, Service};
use support::{get, open, post, read_until, send, serve};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// Longer than anything here takes.
const PATIENT: Duration = Duration::from_secs(60);
const EVENTS: &str = "GET /cache/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn service(limits: Limits) -> Service {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).name("numbers").build().expect("a cache");
    cache.insert(1, 1);
    let builder = Service::builder().cache(&cache, Keys::text()).limits(limits);
    builder.admin("sixteen bytes...").build().expect("a service")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_nested_anywhere() {
    let nested = Router::new().nest("/internal", service(Limits::default()).router());
    let (address, _server) = serve(nested).await;
    let health = get(address, "/internal/cache/health").await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("healthy")));
    assert!(health.head.contains("cache-control: no-store"));
    assert!(health.head.contains("x-content-type-options: nosniff"));
    let page = get(address, "/internal/cache").await;
    assert_eq!(page.status, 200);
    assert!(page.head.contains("content-security-policy: default-src 'none'"));
    assert!(get(address, "/internal/metrics").await.body.contains("clockhand_cache_entries"));
    for nothing in ["/internal/cache/nothing", "/internal/cache/"] {
        let missing = get(address, nothing).await;
        assert_eq!((missing.status, &missing.json()["error"]["status"]), (404, &404.into()));
    }
}

/// Serves with bounded connections.
async fn serve_bounded(limits: Limits) -> std::net::SocketAddr {
    let service = service(limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = service.bound(listener);
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, service.router()).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded() {
    let limits = Limits::default().connections(1).idle(Duration::MAX);
    let address = serve_bounded(limits).await;
    let first = open(address, "GET /cache/health HTTP/1.1\r\n").await;
    let second = tokio::spawn(async move { get(address, "/cache/health").await.status });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished(), "there is one place, and it is taken");
    drop(first);
    assert_eq!(timeout(PATIENT, second).await.expect("a place").expect("an answer"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_gives_its_place_up() {
    let limits = Limits::default().connections(1).idle(Duration::from_millis(300));
    let address = serve_bounded(limits).await;
    // One that says nothing, and one that begins a request and leaves it there.
    for begun in ["", "GET /cache/health HTTP/1.1\r\n"] {
        let _silent = open(address, begun).await;
        let answer = timeout(PATIENT, get(address, "/cache/health")).await;
        assert_eq!(answer.expect("a place, in the end").status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_again_and_again_and_ends() {
    let limits = Limits::default()
        .interval(Duration::from_millis(50))
        .stream_life(Duration::from_millis(400));
    let (address, _server) = serve(service(limits).router()).await;
    let mut stream = open(address, EVENTS).await;
    assert!(read_until(&mut stream, "text/event-stream").await);
    for _ in 0..2 {
        assert!(read_until(&mut stream, "event: figures\ndata: {").await);
    }
    // The last piece of a body in pieces has no bytes.
    assert!(read_until(&mut stream, "\r\n0\r\n\r\n").await, "the stream goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_counted() {
    let (address, _server) = serve(service(Limits::default().streams(2)).router()).await;
    let (mut one, mut two) = (open(address, EVENTS).await, open(address, EVENTS).await);
    assert!(read_until(&mut one, "data: ").await && read_until(&mut two, "data: ").await);
    let refused = get(address, "/cache/events").await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after"));
    assert!(
        refused.json()["error"]["message"].as_str().is_some_and(|text| text.contains("streams"))
    );
    assert_eq!(
        get(address, "/cache/health").await.status,
        200,
        "other requests have places of their own"
    );
    // One that has gone makes room, once the server has noticed.
    drop(one);
    loop {
        let mut next = open(address, EVENTS).await;
        if read_until(&mut next, "HTTP/1.1 200").await {
            break;
        }
    }
}

/// As long as a client takes nothing, a server asks a body for nothing; its place is free all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_events_loses_its_place() {
    let cache: Cache<String, u64> =
        Cache::builder().capacity(10).name("long").build().expect("a cache");
    // A few events are larger than what the system keeps for a connection.
    cache.insert("k".repeat(1 << 20), 1);
    let short = Limits::default().patience(Duration::from_millis(100));
    let lived = Limits::default().stream_life(Duration::from_millis(300));
    for limits in [short, lived] {
        let limits = limits.streams(1).interval(Duration::from_millis(50)).shown(usize::MAX);
        let builder = Service::builder().cache(&cache, Keys::text()).limits(limits);
        let (address, _server) = serve(builder.build().expect("a service").router()).await;
        let mut stalled = open(address, EVENTS).await;
        assert!(read_until(&mut stalled, "HTTP/1.1 200").await);
        let freed =
            async { while !read_until(&mut open(address, EVENTS).await, "HTTP/1.1 200").await {} };
        timeout(Duration::from_secs(20), freed).await.expect("a place");
        drop(stalled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_times_are_taken_as_they_are() {
    let limits = Limits::default().interval(Duration::MAX);
    let limits = limits.stream_life(Duration::MAX).patience(Duration::MAX);
    let (address, _server) = serve(service(limits).router()).await;
    let mut stream = open(address, EVENTS).await;
    assert!(read_until(&mut stream, "event: figures\ndata: {").await);
    let order = post("/cache/admin/resize", Some("Bearer sixteen bytes..."), "{\"capacity\": 7}");
    assert_eq!(send(address, &order).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_the_streams() {
    let service = service(Limits::default());
    let (address, _server) = serve(service.router()).await;
    let mut stream = open(address, EVENTS).await;
    assert!(read_until(&mut stream, "data: ").await);
    service.close();
    assert!(read_until(&mut stream, "0\r\n\r\n").await, "the stream goes on");
    assert_eq!(get(address, "/cache/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted() {
    let barrier = Arc::new(Barrier::new(2));
    let at = Arc::clone(&barrier);
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).name("slow").build().expect("a cache");
    let keys = Keys::new(
        move |_| {
            at.wait();
            at.wait();
            Ok(0)
        },
        u64::to_string,
    );
    let builder = Service::builder().cache(&cache, keys).limits(Limits::default().requests(1));
    let (address, _server) = serve(builder.build().expect("a service").router()).await;
    let slow = tokio::spawn(async move { get(address, "/cache/explain?key=0").await });
    let begun = Arc::clone(&barrier);
    tokio::task::spawn_blocking(move || begun.wait()).await.expect("a thread");
    let refused = get(address, "/cache/health").await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.json()["error"]["message"].as_str().is_some_and(|text| text.contains("requests"))
    );
    tokio::task::spawn_blocking(move || barrier.wait()).await.expect("a thread");
    assert_eq!(slow.await.expect("an answer").status, 200);
    assert_eq!(get(address, "/cache/health").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let limits = Limits::default().body(1000).patience(Duration::from_millis(200));
    let (address, _server) = serve(service(limits).router()).await;
    let bearer = Some("Bearer sixteen bytes...");
    let order = "/cache/admin/resize";
    assert_eq!(send(address, &post(order, bearer, r#"{"capacity": 7}"#)).await.status, 200);
    let long = format!("{{\"capacity\": 7{}}}", " ".repeat(1000));
    assert_eq!(send(address, &post(order, bearer, &long)).await.status, 413);
    // One that does not come to its end.
    let begun = post(order, bearer, &long);
    let mut stream = open(address, &begun[..begun.len() - 900]).await;
    assert!(read_until(&mut stream, "HTTP/1.1 408").await);
    stream.shutdown().await.ok();
}

/// Who may not give an order, or asks for what has no body, is answered before a body has come.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_strangers_are_not_waited_for() {
    let (address, _server) = serve(service(Limits::default()).router()).await;
    let wrong = Some("Bearer seventeen bytes..");
    for (path, bearer, status) in [
        ("/cache/admin/resize", None, 401),
        ("/cache/admin/resize", wrong, 401),
        ("/cache/admin/nothing", wrong, 404),
        ("/cache/health", Some("Bearer sixteen bytes..."), 405),
        ("/metrics", None, 405),
        ("/cache/events", None, 405),
        ("/cache/nothing", None, 404),
    ] {
        let request = post(path, bearer, "{}");
        let mut stream = open(address, &request[..request.len() - 1]).await;
        assert!(read_until(&mut stream, &format!("HTTP/1.1 {status}")).await, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_function_of_a_key_is_an_answer() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).name("broken").build().expect("a cache");
    let keys =
        Keys::new(|text| if text == "0" { panic!("no zeros") } else { Ok(1) }, u64::to_string);
    let service = Service::builder().cache(&cache, keys).build().expect("a service");
    let (address, _server) = serve(service.router()).await;
    let broken = get(address, "/cache/explain?key=0").await;
    assert_eq!((broken.status, &broken.json()["error"]["status"]), (500, &500.into()));
    assert_eq!(get(address, "/cache/explain?key=1").await.status, 200);
}
