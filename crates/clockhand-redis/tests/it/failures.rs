//! Redis slow, down, full, read-only or gone: reads go on, nothing old is served, and failed writes are made up for.

use std::time::{Duration, Instant};

use clockhand_redis::{BreakerState, TierError};

use crate::support::{
    Server, builder, connected, free_port, insert, instance, key, nobody, unconnected, until, value,
};

const TTL: Duration = Duration::from_millis(300);

#[tokio::test]
async fn without_a_server_reads_go_to_the_source() {
    let texts = unconnected(builder(&format!("redis://127.0.0.1:{}", free_port())));
    until("a connection was refused", || texts.tier().status().last_error.is_some()).await;
    assert_eq!(texts.get_or_load(&key("a"), value("1")).await.expect("a value"), "1");
    assert_eq!(texts.get_or_load(&key("a"), value("2")).await.expect("a value"), "2", "not kept");
    assert_eq!(texts.get(&key("a")).await, None);
    assert_eq!(texts.get_many(&[key("a")]).await, [None]);
    assert_eq!(texts.insert(key("a"), key("1")).await, Err(TierError::Disconnected));
    assert_eq!(texts.invalidate(&key("b")).await, Err(TierError::Disconnected));
    assert_eq!(texts.tier().status().repairs, 2);
    assert_eq!(texts.invalidate_all().await, Err(TierError::Disconnected));
    assert_eq!(texts.tier().sync().await, Err(TierError::Disconnected));
    let stats = texts.tier().stats();
    assert_eq!((stats.failed_writes, stats.connects), (3, 0));
}

#[tokio::test]
async fn a_connection_that_was_ended_is_armed_anew_and_what_was_missed_is_not_served() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    for round in 0..5_u64 {
        let (old, new) = (format!("old {round}"), format!("new {round}"));
        one.insert(key("a"), old.clone()).await.expect("stored");
        other.tier().sync().await.expect("connected");
        assert_eq!(other.get(&key("a")).await, Some(old));
        assert!(server.kill_clients() >= 2);
        // Written by somebody whose message nobody hears.
        server.ask(&["DEL", "{test}:d:a"]);
        for texts in [&one, &other] {
            until("it was noticed", || texts.tier().stats().connects > round + 1).await;
            until("it is back", || texts.tier().status().is_connected).await;
            assert_eq!(texts.get(&key("a")).await, None, "round {round}");
        }
        // The server tracks for the new connections.
        one.insert(key("a"), new.clone()).await.expect("stored");
        assert_eq!(other.get(&key("a")).await, Some(new.clone()));
        one.insert(key("a"), key("newer")).await.expect("stored");
        other.tier().sync().await.expect("connected");
        assert_eq!(other.get_cached(&key("a")), None, "round {round}");
    }
    assert!(other.tier().stats().disconnects >= 5);
}

#[tokio::test]
async fn a_server_that_is_killed_comes_back_without_its_past() {
    let Some(mut server) = Server::start() else { return };
    let texts = instance(&server);
    texts.insert(key("a"), key("old")).await.expect("stored");
    // What it has now is what it will have after its restart.
    server.ask(&["SAVE"]);
    texts.insert(key("a"), key("new")).await.expect("stored");
    texts.invalidate(&key("b")).await.expect("removed");
    server.kill();
    until("the loss is noticed", || !texts.tier().status().is_connected).await;
    assert_eq!(texts.get_cached(&key("a")), None, "messages may be missed");
    assert_eq!(texts.get_or_load(&key("a"), value("source")).await.expect("a value"), "source");
    server.restart();
    assert_eq!(server.ask(&["EXISTS", "{test}:d:a"]), "1", "the server has the old value");
    until("it is connected", || texts.tier().status().is_connected).await;
    assert_eq!(texts.get(&key("a")).await, None);
    texts.insert(key("a"), key("newest")).await.expect("stored");
    assert_eq!(instance(&server).get(&key("a")).await, Some(key("newest")));
}

#[tokio::test]
async fn writes_that_failed_are_made_up_for() {
    let Some(mut server) = Server::start_with(&["--appendonly", "no"]) else { return };
    let texts = connected(builder(&server.url()).operation_timeout(TTL));
    // The server keeps its data over the failure: it is stopped, and not ended.
    for name in ["a", "b", "c"] {
        insert(&texts, name, "old").await;
    }
    server.signal("-STOP");
    let began = Instant::now();
    let failed = [
        texts.insert(key("a"), key("new")).await.expect_err("no answer"),
        texts.invalidate(&key("b")).await.expect_err("no answer"),
    ];
    let took = began.elapsed();
    assert!(failed.iter().all(|error| matches!(
        error,
        TierError::TimedOut | TierError::Lost | TierError::Disconnected | TierError::Refused
    )));
    // Twice the timeout, and what a busy machine adds.
    assert!(took < TTL * 2 + Duration::from_secs(5), "{took:?}");
    for name in ["a", "b"] {
        assert_eq!(texts.get_cached(&key(name)), None);
        let loaded = texts.get_or_load(&key(name), value("source")).await;
        assert_eq!(loaded.expect("a value"), "source");
    }
    server.signal("-CONT");
    until("it is back", || texts.tier().status().is_connected).await;
    until("it is repaired", || texts.tier().status().repairs == 0).await;
    assert_eq!(texts.tier().stats().repaired, 2);
    let other = instance(&server);
    assert_eq!(other.get(&key("a")).await, None);
    assert_eq!(other.get(&key("b")).await, None);
    assert_eq!(other.get(&key("c")).await, Some(key("old")));
    server.kill();
}

#[tokio::test]
async fn more_failed_writes_than_can_be_remembered_give_everything_up() {
    let Some(server) = Server::start() else { return };
    let texts = connected(builder(&server.url()).operation_timeout(TTL).repairs(2));
    insert(&texts, "z", "old").await;
    server.signal("-STOP");
    for name in ["a", "b", "c", "d"] {
        texts.invalidate(&key(name)).await.expect_err("no answer");
    }
    assert_eq!(texts.tier().status().repairs, usize::MAX);
    assert_eq!(texts.tier().stats().overflows, 1);
    server.signal("-CONT");
    until("the generation is advanced", || texts.tier().status().repairs == 0).await;
    assert_eq!(texts.get(&key("z")).await, None);
    assert_eq!(instance(&server).get(&key("z")).await, None);
}

#[tokio::test]
async fn a_server_that_is_stopped_for_five_seconds_stops_nobody() {
    let Some(server) = Server::start() else { return };
    let watched = builder(&server.url()).watch(TTL, TTL);
    let texts = connected(watched.operation_timeout(TTL).connect_timeout(TTL));
    insert(&texts, "a", "1").await;
    server.signal("-STOP");
    let stopped = Instant::now();
    let mut reads = 0;
    while stopped.elapsed() < Duration::from_secs(5) {
        let began = Instant::now();
        let read = texts.get_or_load(&key("a"), value("1")).await.expect("a value");
        assert_eq!(read, "1");
        // One timeout for the look-up and one for the value; the rest is the machine's.
        assert!(began.elapsed() < TTL * 2 + Duration::from_secs(5));
        reads += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(reads > 50, "{reads} reads");
    assert!(!texts.tier().status().is_connected, "nobody knows what is missed");
    server.signal("-CONT");
    until("it is back", || texts.tier().status().is_connected).await;
    insert(&texts, "a", "2").await;
    assert_eq!(texts.get(&key("a")).await, Some(key("2")));
}

#[tokio::test]
async fn a_server_that_pauses_its_clients_opens_the_breaker() {
    let Some(server) = Server::start() else { return };
    let settings = builder(&server.url())
        .operation_timeout(Duration::from_millis(50))
        .watch(Duration::from_millis(50), Duration::from_secs(30))
        .breaker(3, Duration::from_millis(200));
    let texts = connected(settings);
    server.ask(&["CLIENT", "PAUSE", "1500", "ALL"]);
    for nth in 0..3 {
        assert_eq!(texts.get(&key("a")).await, None, "{nth}");
    }
    assert_eq!(texts.tier().status().breaker, BreakerState::Open);
    let refused = texts.tier().stats().refused;
    assert_eq!(texts.get_or_load(&key("a"), value("1")).await.expect("a value"), "1");
    assert!(texts.tier().stats().refused > refused, "nothing was sent");
    assert_eq!(texts.invalidate(&key("a")).await, Err(TierError::Refused));
    // When the pause is over, one operation is let through, and the breaker closes.
    until("the breaker is closed", || {
        let tier = texts.tier();
        tier.status().breaker == BreakerState::Closed && tier.status().repairs == 0
    })
    .await;
    insert(&texts, "a", "2").await;
    assert_eq!(texts.tier().stats().disconnects, 0);
}

#[tokio::test]
async fn a_server_without_memory_takes_nothing_and_keeps_nothing_old() {
    let Some(server) = Server::start() else { return };
    let texts = connected(builder(&server.url()));
    texts.insert(key("a"), key("old")).await.expect("stored");
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.ask(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert_eq!(texts.insert(key("a"), key("new")).await, Err(TierError::OutOfMemory));
    assert_eq!(server.ask(&["EXISTS", "{test}:d:a"]), "0", "the old value is gone");
    assert_eq!(texts.get_cached(&key("a")), None);
    assert_eq!(texts.get_or_load(&key("b"), value("1")).await.expect("a value"), "1");
    assert_eq!(texts.get_or_load(&key("b"), value("2")).await.expect("a value"), "2", "in no tier");
    texts.invalidate(&key("a")).await.expect("a removal needs no memory");
    assert_eq!(texts.tier().status().breaker, BreakerState::Closed);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    until("it is repaired", || texts.tier().status().repairs == 0).await;
    texts.insert(key("a"), key("new")).await.expect("stored");
    assert_eq!(texts.get(&key("a")).await, Some(key("new")));
}

#[tokio::test]
async fn a_server_that_evicts_loses_values_and_never_coherence() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let used: u64 = {
        let info = server.ask(&["INFO", "memory"]);
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.expect("a figure").trim().parse().expect("a number")
    };
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    server.ask(&["CONFIG", "SET", "maxmemory", &(used + (256 << 10)).to_string()]);
    for round in 0..600 {
        let (name, text) = (format!("{}", round % 100), format!("{round} {}", "x".repeat(4000)));
        // It may fail: then there is nothing old either.
        let stored = one.insert(name.clone(), text.clone()).await;
        if other.tier().sync().await.is_ok() {
            let read = other.get(&name).await;
            assert!(read.is_none() || (stored.is_ok() && read == Some(text)), "round {round}");
        }
    }
    let info = server.ask(&["INFO", "stats"]);
    assert!(!info.contains("evicted_keys:0\r"), "nothing was evicted");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_read_from() {
    let (Some(main), Some(server)) = (Server::start(), Server::start()) else { return };
    let texts = instance(&server);
    texts.insert(key("a"), key("1")).await.expect("stored");
    // From now on it is a replica that has not reached its main server yet: it has its data, and takes no writes.
    server.ask(&["CONFIG", "SET", "masterauth", "wrong"]);
    main.ask(&["CONFIG", "SET", "requirepass", "right"]);
    server.ask(&["REPLICAOF", "127.0.0.1", &main.port().to_string()]);
    assert_eq!(texts.get(&key("a")).await, Some(key("1")));
    assert_eq!(texts.insert(key("a"), key("2")).await, Err(TierError::ReadOnly));
    assert_eq!(texts.get(&key("a")).await, None, "what it has is older than what was written");
    assert_eq!(texts.get_or_load(&key("b"), value("1")).await.expect("a value"), "1");
    assert_eq!(texts.tier().status().breaker, BreakerState::Closed);
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    until("it is repaired", || texts.tier().status().repairs == 0).await;
    texts.insert(key("a"), key("3")).await.expect("stored");
}

#[tokio::test]
async fn entries_are_served_for_as_long_as_may_be_after_the_connection_was_lost() {
    let Some(mut server) = Server::start() else { return };
    let hour = Duration::from_secs(3600);
    let patient = connected(builder(&server.url()).max_staleness(hour));
    let brief = connected(builder(&server.url()).max_staleness(Duration::from_millis(50)));
    for texts in [&patient, &brief] {
        texts.insert(key("a"), key("1")).await.expect("stored");
        texts.tier().sync().await.expect("connected");
    }
    patient.tier().sync().await.expect("connected");
    patient.get(&key("a")).await;
    server.kill();
    for texts in [&patient, &brief] {
        until("the loss is noticed", || !texts.tier().status().is_connected).await;
    }
    assert_eq!(patient.get_cached(&key("a")), Some(key("1")));
    // What is loaded meanwhile is kept for as long.
    assert_eq!(patient.get_or_load(&key("b"), value("2")).await.expect("a value"), "2");
    let left = patient.cache().entry_info(&key("b")).expect("it is kept").expires_in;
    assert!(left.is_some_and(|left| left <= hour), "{left:?}");
    assert_eq!(patient.get_or_load(&key("b"), nobody()).await.expect("a value"), "2");
    until("it is over", || brief.get_cached(&key("a")).is_none()).await;
    server.restart();
    until("it is back", || patient.tier().status().is_connected).await;
    for name in ["a", "b"] {
        assert_eq!(patient.get_cached(&key(name)), None, "it could be outdated");
    }
}
