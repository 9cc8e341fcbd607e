//! Where the server is: databases, clusters, sentinels.

use std::time::Duration;

use clockhand_redis::{RedisTier, RedisTierBuilder, TierBuildError, TierError};

use crate::support::{
    Server, Texts, builder, connected, free_port, key, unconnected, until, value,
};

/// As [`builder`], for a builder that is there.
fn patient(builder: RedisTierBuilder) -> RedisTierBuilder {
    builder
        .key_prefix("test")
        .backoff(Duration::from_millis(5), Duration::from_millis(50))
        .watch(Duration::from_millis(50), Duration::from_secs(20))
        .connect_timeout(Duration::from_secs(20))
        .operation_timeout(Duration::from_secs(20))
}

async fn agree(one: &Texts, other: &Texts, text: &str) {
    one.insert(key("a"), key(text)).await.expect("stored");
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get_or_load(&key("a"), value("source")).await.expect("a value"), text);
    one.invalidate(&key("a")).await.expect("removed");
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get_cached(&key("a")), None);
    assert_eq!(other.get(&key("a")).await, None);
}

#[tokio::test]
async fn another_database_is_another_tier() {
    let Some(server) = Server::start() else { return };
    let in_url = connected(builder(&format!("{}/3", server.url())));
    let by_call = connected(builder(&server.url()).database(3));
    let elsewhere = connected(builder(&server.url()));
    agree(&in_url, &by_call, "1").await;
    in_url.insert(key("a"), key("2")).await.expect("stored");
    assert_eq!(elsewhere.get(&key("a")).await, None);
    assert_eq!(by_call.get(&key("a")).await, Some(key("2")));
    // A message has no number of a database: it costs an entry, and no more.
    elsewhere.insert(key("a"), key("3")).await.expect("stored");
    assert_eq!(by_call.get(&key("a")).await, Some(key("2")));
    server.ask(&["FLUSHALL"]);
    by_call.tier().sync().await.expect("connected");
    assert_eq!(by_call.get(&key("a")).await, None);
    let none = unconnected(builder(&server.url()).database(99));
    until("it is refused", || none.tier().status().last_error.is_some()).await;
    assert!(!none.tier().status().is_connected);
}

#[tokio::test]
async fn credentials_are_those_of_the_server() {
    let Some(server) = Server::start_with(&["--requirepass", "hunter2"]) else { return };
    let right = connected(builder(&server.url()).credentials(None, "hunter2"));
    right.insert(key("a"), key("1")).await.expect("stored");
    let wrong = unconnected(builder(&server.url()).credentials(Some("alice"), "hunter3"));
    until("it is refused", || wrong.tier().status().last_error.is_some()).await;
    assert_eq!(wrong.tier().status().last_error, Some(TierError::Denied));
    let shown = format!("{:?}", builder(&server.url()).credentials(Some("alice"), "hunter2"));
    assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
}

/// Two nodes that know each other; the first has all slots.
fn cluster() -> Option<(Server, Server)> {
    let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
    let (one, other) = (Server::start_with(&settings)?, Server::start_with(&settings)?);
    one.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    one.ask(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string()]);
    Some((one, other))
}

/// As `redis-cli --cluster reshard` does.
fn move_slot(one: &Server, other: &Server) {
    let slot = one.ask(&["CLUSTER", "KEYSLOT", "{test}:g"]);
    let (from, to) = (one.ask(&["CLUSTER", "MYID"]), other.ask(&["CLUSTER", "MYID"]));
    let port = other.port().to_string();
    other.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]);
    one.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]);
    loop {
        let keys = one.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]);
        if keys.is_empty() {
            break;
        }
        for key in keys.lines() {
            // One that is gone meanwhile is no error.
            one.ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        }
    }
    for node in [other, one] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]);
    }
}

#[tokio::test]
async fn in_a_cluster_the_node_with_the_slot_is_found() {
    let Some((one, other)) = cluster() else { return };
    let is_whole = |server: &Server| {
        server.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok")
            && server.ask(&["CLUSTER", "SLOTS"]).contains(&one.port().to_string())
    };
    until("the cluster is whole", || is_whole(&one) && is_whole(&other)).await;
    // Asked through a node that is gone, and through one that does not have the slot.
    let gone = format!("redis://127.0.0.1:{}", free_port());
    let through = connected(patient(RedisTier::cluster([gone, other.url()])));
    let direct = connected(patient(RedisTier::cluster([one.url()])));
    agree(&direct, &through, "1").await;
    agree(&through, &direct, "2").await;
    direct.insert_tagged(key("b"), key("1"), ["tag"]).await.expect("stored");
    through.invalidate_tag("tag").await.expect("invalidated");
    direct.invalidate_all().await.expect("advanced");

    // The slot moves to the other node, whose values are another run's.
    direct.insert(key("a"), key("old")).await.expect("stored");
    through.tier().sync().await.expect("connected");
    assert_eq!(through.get(&key("a")).await, Some(key("old")));
    move_slot(&one, &other);
    for texts in [&direct, &through] {
        until("it has followed", || texts.tier().stats().connects >= 2).await;
        until("it is connected", || texts.tier().status().is_connected).await;
        assert_eq!(texts.get_cached(&key("a")), None);
    }
    agree(&direct, &through, "3").await;
    assert_eq!(other.ask(&["EXISTS", "{test}:g"]), "1", "it is on the other node");
}

#[tokio::test]
async fn a_cluster_that_is_not_whole_serves_nobody() {
    let settings = ["--cluster-enabled", "yes"];
    let Some(server) = Server::start_with(&settings) else { return };
    let texts = unconnected(patient(RedisTier::cluster([server.url()])));
    until("it was asked", || texts.tier().status().last_error.is_some()).await;
    assert!(!texts.tier().status().is_connected);
    assert_eq!(texts.get_or_load(&key("a"), value("source")).await.expect("a value"), "source");
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    until("it is connected", || texts.tier().status().is_connected).await;
    texts.insert(key("a"), key("1")).await.expect("stored");
    // Without a slot, the cluster is down: nothing is known of what happens elsewhere.
    server.ask(&["CLUSTER", "DELSLOTS", "0"]);
    until("it is noticed", || !texts.tier().status().is_connected).await;
    assert_eq!(texts.get_cached(&key("a")), None);
}

#[tokio::test]
async fn sentinels_are_asked_for_the_main_server() {
    let (Some(main), Some(mut replica)) = (Server::start(), Server::start()) else { return };
    replica.ask(&["REPLICAOF", "127.0.0.1", &main.port().to_string()]);
    let settings = format!(
        "sentinel monitor prices 127.0.0.1 {} 1\nsentinel down-after-milliseconds prices 60000\n",
        main.port()
    );
    let Some(sentinel) = Server::start_sentinel(&settings) else { return };
    until("the replica is known", || {
        sentinel.ask(&["SENTINEL", "REPLICAS", "prices"]).contains(&replica.port().to_string())
            && replica.ask(&["INFO", "replication"]).contains("master_link_status:up")
    })
    .await;
    let gone = format!("redis://127.0.0.1:{}", free_port());
    let at = || RedisTier::sentinel([gone.clone(), sentinel.url()], "redis://prices");
    let (one, other) = (connected(patient(at())), connected(patient(at())));
    agree(&one, &other, "1").await;
    one.insert(key("a"), key("old")).await.expect("stored");
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get(&key("a")).await, Some(key("old")));

    sentinel.ask(&["SENTINEL", "FAILOVER", "prices"]);
    until("there is another main server", || {
        let at = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "prices"]);
        at.contains(&replica.port().to_string())
    })
    .await;
    for texts in [&one, &other] {
        until("it has followed", || {
            let tier = texts.tier();
            tier.stats().connects >= 2 && tier.status().is_connected
        })
        .await;
    }
    until("it takes writes", || replica.ask(&["ROLE"]).starts_with("master")).await;
    let began = std::time::Instant::now();
    while one.insert(key("b"), key("1")).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "the new one takes no writes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("they agree", || [&one, &other].iter().all(|texts| texts.tier().status().is_connected))
        .await;
    assert_eq!(one.get(&key("a")).await, None, "what was replicated may be old");
    assert_eq!(replica.ask(&["EXISTS", "{test}:d:b"]), "1");
    agree(&one, &other, "2").await;

    // The sentinels name another one, and the one that was left goes on, and ends no connection: as when it was cut off.
    let Some(elsewhere) = Server::start() else { return };
    sentinel.ask(&["SENTINEL", "REMOVE", "prices"]);
    let port = elsewhere.port().to_string();
    sentinel.ask(&["SENTINEL", "MONITOR", "prices", "127.0.0.1", &port, "1"]);
    until("both have followed", || {
        elsewhere.ask(&["INFO", "clients"]).contains("tracking_clients:2")
            && [&one, &other].iter().all(|texts| texts.tier().status().is_connected)
    })
    .await;
    agree(&one, &other, "3").await;
    replica.kill();

    let unknown = unconnected(patient(RedisTier::sentinel([sentinel.url()], "redis://nobody")));
    until("it is not known", || unknown.tier().status().last_error.is_some()).await;
    assert!(!unknown.tier().status().is_connected);
}

#[test]
fn places_that_are_none_are_told() {
    let none: [&str; 0] = [];
    let built = |builder: RedisTierBuilder| builder.build().map(drop);
    assert_eq!(built(RedisTier::cluster(none)), Err(TierBuildError::Url));
    assert_eq!(built(RedisTier::cluster(["http://a"])), Err(TierBuildError::Url));
    assert_eq!(built(RedisTier::sentinel(none, "redis://prices")), Err(TierBuildError::Url));
    assert_eq!(built(RedisTier::sentinel(["redis://a"], "prices")), Err(TierBuildError::Url));
    assert_eq!(built(RedisTier::sentinel(["redis://a"], "unix:///a")), Err(TierBuildError::Url));
}
