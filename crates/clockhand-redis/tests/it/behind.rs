//! Writes that do not wait.

use std::time::Duration;

use clockhand::{Cache, RandomState};
use clockhand_redis::{QueueError, RedisTier, Tiered, WriteBehind};

use crate::support::{Server, builder, connected, instance, key, nobody, until};

type Ticks = WriteBehind<String, String, RandomState, RedisTier>;

#[tokio::test]
async fn a_queued_value_is_read_at_once_and_written_soon() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let ticks: Ticks = one.write_behind(100);
    ticks.insert(key("a"), key("1")).expect("room");
    assert_eq!(ticks.get_cached(&key("a")), Some(key("1")));
    assert_eq!(ticks.get(&key("a")).await, Some(key("1")));
    assert_eq!(ticks.get_or_load(&key("a"), nobody()).await.expect("a value"), "1");
    ticks.flush().await;
    assert_eq!(one.get_cached(&key("a")), Some(key("1")), "from now on it is in the cache");
    assert_eq!(other.get(&key("a")).await, Some(key("1")));
    ticks.insert(key("a"), key("2")).expect("room");
    ticks.flush().await;
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get_cached(&key("a")), None, "it was told");
    assert_eq!(other.get(&key("a")).await, Some(key("2")));
    ticks.insert(key("b"), key("1")).expect("room");
    ticks.invalidate(&key("b")).await.expect("removed");
    assert_eq!(ticks.get(&key("b")).await, None);
    for name in ["c", "d"] {
        ticks.insert(key(name), key("1")).expect("room");
    }
    ticks.invalidate_all().await.expect("removed");
    ticks.flush().await;
    assert_eq!((ticks.get(&key("a")).await, ticks.get(&key("c")).await), (None, None));
    assert_eq!(ticks.queue_stats().queued, 0);
    assert!(format!("{ticks:?}").contains("written"));
}

#[tokio::test]
async fn many_writes_of_one_key_are_few_on_the_server() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let ticks: Ticks = one.write_behind(10);
    server.signal("-STOP");
    for nth in 0..1000 {
        ticks.insert(key("a"), nth.to_string()).expect("room");
        assert_eq!(ticks.get_cached(&key("a")), Some(nth.to_string()));
    }
    server.signal("-CONT");
    ticks.flush().await;
    let stats = ticks.queue_stats();
    // The first may have been on its way.
    assert!(stats.written <= 2 && stats.replaced >= 998, "{stats:?}");
    assert_eq!(other.get(&key("a")).await, Some(key("999")));
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing_when_the_server_is_back() {
    let Some(mut server) = Server::start() else { return };
    let one = connected(builder(&server.url()).operation_timeout(Duration::from_millis(300)));
    let ticks: Ticks = one.write_behind(3);
    server.kill();
    until("the loss is noticed", || !one.tier().status().is_connected).await;
    for name in ["a", "b", "c"] {
        ticks.insert(key(name), key("1")).expect("room");
    }
    assert_eq!(ticks.insert(key("d"), key("1")), Err(QueueError::Full));
    ticks.insert(key("a"), key("2")).expect("a key that is there needs no room");
    assert_eq!(ticks.get(&key("a")).await, Some(key("2")));
    until("it was tried", || ticks.queue_stats().failed >= 3).await;
    server.restart();
    ticks.flush().await;
    let other = instance(&server);
    for (name, text) in [("a", "2"), ("b", "1"), ("c", "1")] {
        // The key of the failed write may be removed before that is known to be done.
        assert_eq!(other.get(&key(name)).await, Some(key(text)), "{name}");
    }
    let stats = ticks.queue_stats();
    assert_eq!((stats.refused, stats.lost, stats.queued), (1, 0, 0), "{stats:?}");
    assert_eq!(one.tier().status().repairs, 0);
}

#[tokio::test]
async fn what_can_never_be_written_is_given_up_and_counted() {
    let Some(server) = Server::start() else { return };
    let one = connected(builder(&server.url()).max_value_bytes(100));
    one.insert(key("a"), key("old")).await.expect("stored");
    let ticks: Ticks = one.write_behind(3);
    ticks.insert(key("a"), "x".repeat(101)).expect("room");
    ticks.flush().await;
    assert_eq!(ticks.queue_stats().lost, 1);
    assert_eq!(ticks.get(&key("a")).await, None, "and the older one does not stay");
    ticks.insert_with_ttl(key("b"), key("1"), Duration::ZERO).expect("room");
    ticks.flush().await;
    assert_eq!(ticks.queue_stats().lost, 2, "its time was over before it was written");
}

#[tokio::test]
async fn what_is_queued_is_written_after_the_last_handle_is_gone() {
    let Some(server) = Server::start() else { return };
    let other = instance(&server);
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = Cache::builder().capacity(100).per_entry_ttl().build().expect("a cache");
    let texts: Tiered<String, String> = Tiered::new(cache, &tier).expect("a cache");
    until("the tier is connected", || tier.status().is_connected).await;
    let ticks = texts.write_behind(100);
    for nth in 0..100 {
        ticks.insert(nth.to_string(), key("1")).expect("room");
    }
    drop((ticks, texts, tier));
    until("all are written", || server.ask(&["EXISTS", "{test}:d:99"]) == "1").await;
    assert_eq!(other.get(&key("50")).await, Some(key("1")));
}
