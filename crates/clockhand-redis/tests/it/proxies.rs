//! What networks do.

use std::time::{Duration, Instant};

use clockhand_redis::TierError;

use crate::support::proxy::Proxy;
use crate::support::{Server, builder, connected, insert, instance, key, nobody, until, value};

#[tokio::test]
async fn a_connection_that_was_cut_without_a_word_is_noticed() {
    let Some(server) = Server::start() else { return };
    let (proxy, other) = (Proxy::before(server.port()), instance(&server));
    let texts = connected(
        builder(&proxy.url()).watch(Duration::from_millis(50), Duration::from_millis(300)),
    );
    texts.insert(key("a"), key("old")).await.expect("stored");
    proxy.go_silent(true);
    other.insert(key("a"), key("new")).await.expect("stored");
    until("it is noticed", || !texts.tier().status().is_connected).await;
    assert_eq!(texts.get_cached(&key("a")), None);
    assert_eq!(texts.get_or_load(&key("a"), value("source")).await.expect("a value"), "source");
    proxy.go_silent(false);
    proxy.cut();
    until("it is back", || texts.tier().status().is_connected).await;
    assert_eq!(texts.get_or_load(&key("a"), nobody()).await.expect("a value"), "new");
}

#[tokio::test]
async fn a_write_whose_caller_was_told_of_a_timeout_does_not_happen_later() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::before(server.port());
    let timeout = Duration::from_millis(200);
    let settings = builder(&proxy.url())
        .operation_timeout(timeout)
        // The connection itself is not doubted.
        .watch(Duration::from_secs(600), Duration::from_secs(600))
        .repairs(0);
    let texts = connected(settings);
    // So that the script is known.
    let _ = texts.invalidate(&key("a")).await;
    insert(&texts, "a", "old").await;
    server.ask(&["CONFIG", "RESETSTAT"]);
    proxy.go_silent(true);
    let began = Instant::now();
    assert_eq!(texts.insert(key("a"), key("new")).await, Err(TierError::TimedOut));
    assert_eq!(texts.invalidate(&key("a")).await, Err(TierError::TimedOut));
    assert!(began.elapsed() >= timeout, "it was waited for until the server would refuse it");
    assert_eq!(texts.get_cached(&key("a")), None);
    // Now both come to the server: a transaction, and a script.
    let came = || {
        let stats = server.ask(&["INFO", "commandstats"]);
        stats.contains("cmdstat_evalsha:calls=1,") && stats.contains("cmdstat_exec:calls=1,")
    };
    assert!(!came());
    proxy.go_silent(false);
    until("both have come", came).await;
    let stored = server.ask_bytes(&[b"GET", b"{test}:d:a"]);
    assert!(stored.windows(3).any(|window| window == b"old"), "neither has happened");
}

#[tokio::test]
async fn a_reply_that_was_cut_in_its_midst_is_no_value() {
    let Some(server) = Server::start() else { return };
    let (proxy, other) = (Proxy::before(server.port()), instance(&server));
    let long = "0123456789".repeat(500);
    other.insert(key("a"), long.clone()).await.expect("stored");
    let texts = connected(builder(&proxy.url()));
    for bytes in [1, 10, 40, 60, 100, 1000, 4000, 5000] {
        texts.cache().invalidate_all();
        proxy.cut_after(bytes);
        let read = texts.get_or_load(&key("a"), value("source")).await.expect("a value");
        // A check of the connection may have been cut instead.
        assert!(read == "source" || read == long, "{bytes}: {} bytes", read.len());
        proxy.cut_after(-1);
        until("it is back", || texts.tier().status().is_connected).await;
        assert_eq!(texts.get(&key("a")).await, Some(long.clone()), "after {bytes} bytes");
    }
    assert!(texts.tier().stats().disconnects >= 4);
}

#[tokio::test]
async fn what_is_slow_and_in_time_is_done() {
    let Some(server) = Server::start() else { return };
    let (proxy, other) = (Proxy::before(server.port()), instance(&server));
    let texts = connected(builder(&proxy.url()).operation_timeout(Duration::from_secs(2)));
    proxy.delay(Duration::from_millis(30));
    texts.insert(key("a"), key("1")).await.expect("stored");
    other.insert(key("a"), key("2")).await.expect("stored");
    texts.tier().sync().await.expect("connected");
    assert_eq!(texts.get(&key("a")).await, Some(key("2")));
    proxy.delay(Duration::from_secs(3));
    let began = Instant::now();
    other.invalidate(&key("a")).await.expect("removed");
    assert_eq!(texts.get_or_load(&key("b"), value("1")).await.expect("a value"), "1");
    assert!(began.elapsed() < Duration::from_secs(12), "two timeouts, and no more");
}

#[tokio::test]
async fn connections_that_end_at_once_are_tried_again() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::before(server.port());
    let texts = connected(builder(&proxy.url()));
    proxy.refuse(true);
    proxy.cut();
    until("it is noticed", || !texts.tier().status().is_connected).await;
    assert_eq!(texts.insert(key("a"), key("1")).await, Err(TierError::Disconnected));
    proxy.refuse(false);
    until("it is back", || texts.tier().status().is_connected).await;
    until("it is repaired", || texts.tier().status().repairs == 0).await;
    texts.insert(key("a"), key("2")).await.expect("stored");
}
