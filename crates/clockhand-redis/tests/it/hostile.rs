//! What nobody does on purpose: keys of any bytes, huge values, panics, dropped futures, clocks that jump.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use clockhand::Cache;
use clockhand_redis::{Raw, TierError, Tiered};

use crate::support::proxy::Proxy;
use crate::support::{
    Server, Texts, builder, connected, insert, instance, key, nobody, unconnected, until, value,
};

/// Polls a future so many times, and drops it.
async fn give_up<F: Future>(future: F, polls: u32) {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        let is_done =
            poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if is_done {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn bytes(server: &Server) -> Tiered<Vec<u8>, Vec<u8>> {
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = Cache::builder().capacity(1000).per_entry_ttl().build().expect("a cache");
    let bytes = Tiered::with_codec(cache, &tier, Raw).expect("a cache that keeps time");
    until("the tier is connected", || tier.status().is_connected).await;
    bytes
}

#[tokio::test]
async fn keys_of_any_bytes_are_told_apart() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (bytes(&server).await, bytes(&server).await);
    let keys: Vec<Vec<u8>> = [
        &b""[..],
        b"\0",
        b"\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"{",
        b"}",
        b"{test}:d:",
        b"*",
        b"?[a]",
        b"\xff\xfe",
        b" ",
        b"a\0b",
        "ü".as_bytes(),
    ]
    .iter()
    .map(|key| key.to_vec())
    .chain([vec![7; 100_000]])
    .collect();
    for key in &keys {
        one.insert(key.clone(), key.clone()).await.expect("stored");
    }
    other.tier().sync().await.expect("connected");
    let found = other.get_many(&keys).await;
    assert_eq!(found, keys.iter().cloned().map(Some).collect::<Vec<_>>());
    for (nth, key) in keys.iter().enumerate() {
        one.invalidate(key).await.expect("removed");
        other.tier().sync().await.expect("connected");
        assert_eq!(other.get_cached(key), None, "{key:?}");
        assert_eq!(other.get(key).await, None, "{key:?}");
        for rest in &keys[nth + 1..] {
            assert_eq!(other.get_cached(rest).as_ref(), Some(rest), "{key:?} removed {rest:?}");
        }
    }
}

#[tokio::test]
async fn huge_values_come_through_one_by_one_and_many_at_once() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (bytes(&server).await, bytes(&server).await);
    let keys: Vec<Vec<u8>> = (0..12).map(|nth| vec![nth]).collect();
    let huge = |key: &[u8]| vec![key[0]; 3 << 20];
    for key in &keys {
        one.insert(key.clone(), huge(key)).await.expect("stored");
    }
    other.tier().sync().await.expect("connected");
    // More than fits into one answer.
    let found = other.get_many(&keys).await;
    assert!(keys.iter().zip(&found).all(|(key, found)| found.as_ref() == Some(&huge(key))));
    let largest = vec![1; 16 << 20];
    one.insert(vec![99], largest.clone()).await.expect("stored");
    assert_eq!(other.get(&vec![99]).await, Some(largest));
    assert_eq!(one.insert(vec![99], vec![1; (16 << 20) + 1]).await, Err(TierError::TooLarge));
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get(&vec![99]).await, None, "the older one does not stay");
}

#[tokio::test]
async fn a_loader_that_panics_twice_leaves_the_key_to_the_third() {
    let Some(server) = Server::start() else { return };
    let settings = || builder(&server.url()).lease(Duration::from_secs(60));
    let (one, other) = (connected(settings()), connected(settings()));
    for texts in [&one, &one, &other] {
        let texts = texts.clone();
        let panics = tokio::spawn(async move {
            texts.get_or_load(&key("a"), async { panic!("as a loader may") as Result<_, ()> }).await
        });
        panics.await.expect_err("a panic");
    }
    // Nobody waits for the leases of those that are gone.
    let loaded = tokio::time::timeout(Duration::from_secs(30), async {
        let name = key("a");
        let (mine, its) =
            tokio::join!(one.get_or_load(&name, value("1")), other.get_or_load(&name, value("1")));
        (mine.expect("a value"), its.expect("a value"))
    });
    assert_eq!(loaded.await.expect("in time"), (key("1"), key("1")));
    assert_eq!(other.get_or_load(&key("a"), nobody()).await.expect("a value"), "1");
}

#[tokio::test]
async fn futures_that_are_dropped_half_way_leave_nothing_behind() {
    let Some(server) = Server::start() else { return };
    let leased = builder(&server.url()).lease(Duration::from_secs(60));
    let (one, other) = (connected(leased), instance(&server));
    for polls in 1..12 {
        let name = polls.to_string();
        let slow = async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            value("dropped").await
        };
        give_up(one.get_or_load(&name, slow), polls).await;
        give_up(one.get(&name), polls).await;
        give_up(one.get_many(&[name.clone(), key("x")]), polls).await;
        give_up(one.insert(name.clone(), key("written")), polls).await;
        give_up(one.invalidate(&name), polls).await;
        // Whatever of that has happened: what comes now is what counts.
        one.insert(name.clone(), key("last")).await.expect("stored");
        other.tier().sync().await.expect("connected");
        assert_eq!(one.get(&name).await, Some(key("last")), "{polls} polls");
        assert_eq!(other.get(&name).await, Some(key("last")), "{polls} polls");
        one.invalidate(&name).await.expect("removed");
        let loaded =
            tokio::time::timeout(Duration::from_secs(30), one.get_or_load(&name, value("loaded")));
        assert_eq!(loaded.await.expect("no lease is left").expect("a value"), "loaded");
    }
    assert_eq!(one.tier().status().repairs, 0);
}

#[tokio::test]
async fn a_key_that_is_invalidated_while_its_value_is_being_stored_is_in_no_tier() {
    let Some(server) = Server::start() else { return };
    let (proxy, other) = (Proxy::before(server.port()), instance(&server));
    let one = connected(builder(&proxy.url()));
    for round in 0..20_u64 {
        let name = round.to_string();
        // The value is on its way for some milliseconds, and the removal meets it somewhere there.
        let load = async {
            proxy.delay(Duration::from_millis(5));
            value("old").await
        };
        let removes = async {
            tokio::time::sleep(Duration::from_millis(4 + round)).await;
            other.invalidate(&name).await
        };
        let (loaded, removed) = tokio::join!(one.get_or_load(&name, load), removes);
        proxy.delay(Duration::ZERO);
        removed.expect("removed");
        assert_eq!(loaded.expect("a value"), "old", "its caller came before");
        // Either the removal came before the load began to ask, or nothing of it is left.
        let stored = server.ask(&["EXISTS", &format!("{{test}}:d:{name}")]) == "1";
        one.tier().sync().await.expect("connected");
        assert!(one.get_cached(&name).is_none() || stored, "round {round}");
        other.insert(name.clone(), key("new")).await.expect("stored");
        one.tier().sync().await.expect("connected");
        assert_eq!(one.get(&name).await, Some(key("new")), "round {round}");
    }
}

#[tokio::test]
async fn what_was_read_before_a_reconnection_is_not_inserted_after_it() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    for invalidates in [true, false] {
        let texts = one.clone();
        let load = async {
            let connects = texts.tier().stats().connects;
            server.kill_clients();
            until("it is back", || {
                let tier = texts.tier();
                tier.stats().connects > connects && tier.status().is_connected
            })
            .await;
            until("the other one is back", || other.tier().status().is_connected).await;
            if invalidates {
                let removed = other.invalidate(&key("a")).await;
                if removed.is_err() {
                    until("it is repaired", || other.tier().status().repairs == 0).await;
                }
            }
            value("old").await
        };
        assert_eq!(one.get_or_load(&key("a"), load).await.expect("a value"), "old");
        assert_eq!(one.get_cached(&key("a")), None, "its look-up was on another connection");
        let wanted = (!invalidates).then(|| key("old"));
        assert_eq!(one.get(&key("a")).await, wanted, "the server knows whether it is overtaken");
    }
}

#[tokio::test]
async fn a_server_that_is_loading_its_data_is_not_asked() {
    let Some(mut server) = Server::start() else { return };
    let texts = instance(&server);
    for nth in 0..300 {
        server.ask(&["SET", &format!("ballast {nth}"), "x"]);
    }
    texts.insert(key("a"), key("old")).await.expect("stored");
    server.ask(&["SAVE"]);
    server.kill();
    until("the loss is noticed", || !texts.tier().status().is_connected).await;
    // Some seconds for the keys.
    server.restart_with(&[
        "--key-load-delay",
        "10000",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    until("it says so", || texts.tier().status().last_error == Some(TierError::Loading)).await;
    assert_eq!(texts.get_or_load(&key("a"), value("source")).await.expect("a value"), "source");
    assert_eq!(texts.insert(key("a"), key("new")).await, Err(TierError::Disconnected));
    until("it is back", || texts.tier().status().is_connected).await;
    until("it is repaired", || texts.tier().status().repairs == 0).await;
    assert_eq!(texts.get(&key("a")).await, None);
}

#[tokio::test]
async fn a_server_whose_clock_jumps_is_written_to() {
    let Some(server) = Server::start() else { return };
    let other = instance(&server);
    for by in [-3600, 3600, -86_400 * 365, 7] {
        let proxy = Proxy::before(server.port());
        proxy.shift_clock(by);
        let still = builder(&proxy.url()).watch(Duration::from_secs(600), Duration::from_secs(600));
        let one = connected(still);
        // What the check asks for at first.
        one.tier().sync().await.expect("connected");
        let text = by.to_string();
        for operation in 0..4 {
            // What it knows of the server's time is an hour old, or lies in the future.
            proxy.shift_clock(by);
            one.get(&key("unknown")).await;
            proxy.shift_clock(0);
            match operation {
                0 => one.insert(key("a"), text.clone()).await.expect("stored"),
                1 => one.invalidate(&key("b")).await.expect("removed"),
                2 => {
                    let loaded = one.get_or_load(&key("b"), value("1")).await;
                    assert_eq!(loaded.expect("a value"), "1");
                    assert_eq!(other.get(&key("b")).await, Some(key("1")), "{by}: it is stored");
                }
                _ => one.invalidate_all().await.expect("advanced"),
            }
            other.tier().sync().await.expect("connected");
            let wanted = (operation < 3).then(|| text.clone());
            assert_eq!(other.get(&key("a")).await, wanted, "{by}");
        }
        assert_eq!(one.tier().stats().failed_writes, 0, "{by}");
    }
}

/// The messages of a connection that was ended are those of the past.
#[tokio::test]
async fn a_connection_that_is_ended_again_and_again_stays_coherent() {
    let Some(server) = Server::start() else { return };
    let (one, other): (Texts, Texts) = (instance(&server), instance(&server));
    for round in 0..30 {
        let text = format!("{round}");
        if round % 3 == 0 {
            server.kill_clients();
        }
        insert(&one, "a", &text).await;
        if round % 3 == 1 {
            server.kill_clients();
        }
        until("it is back", || other.tier().status().is_connected).await;
        if other.tier().sync().await.is_ok() {
            let read = other.get_or_load(&key("a"), value(&text)).await.expect("a value");
            assert_eq!(read, text);
        }
    }
    drop(unconnected(builder(&server.url())));
}
