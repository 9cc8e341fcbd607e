//! One flight over both tiers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clockhand_redis::{Raw, Tiered, TieredError};

use crate::support::{Server, builder, connected, instance, key, nobody, until, value};

#[tokio::test]
async fn a_hundred_callers_cause_one_load() {
    let Some(server) = Server::start() else { return };
    let (texts, loads) = (instance(&server), Arc::new(AtomicU32::new(0)));
    let callers = (0..100).map(|_| {
        let (texts, loads) = (texts.clone(), Arc::clone(&loads));
        tokio::spawn(async move {
            let load = async {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                value("1").await
            };
            texts.get_or_load(&key("a"), load).await
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(caller.await.expect("no panic").expect("a value"), "1");
    }
    let stats = texts.tier().stats();
    assert_eq!(loads.load(Ordering::SeqCst), 1, "{stats:?}");
    assert_eq!((stats.misses, stats.hits, stats.puts), (1, 0, 1));
    // Another instance finds it in Redis.
    let other = instance(&server);
    assert_eq!(other.get_or_load(&key("a"), nobody()).await.expect("a value"), "1");
    assert_eq!(other.get_or_load(&key("a"), nobody()).await.expect("a value"), "1");
    assert_eq!(other.tier().stats().hits, 1, "the second time it was in the cache");
}

#[tokio::test]
async fn an_error_is_told_to_its_callers_and_kept_by_nobody() {
    let Some(server) = Server::start() else { return };
    let texts = instance(&server);
    let failed = texts.get_or_load(&key("a"), async { Err::<String, _>(key("down")) }).await;
    assert!(matches!(failed, Err(TieredError::Failed(error)) if *error == "down"));
    assert_eq!(server.ask(&["EXISTS", "{test}:d:a"]), "0");
    assert_eq!(texts.get_or_load(&key("a"), value("1")).await.expect("a value"), "1");
}

#[tokio::test]
async fn a_read_without_a_loader_leaves_nothing_on_the_server() {
    let Some(server) = Server::start() else { return };
    let texts = instance(&server);
    assert_eq!(texts.get(&key("a")).await, None);
    assert_eq!(server.ask(&["EXISTS", "{test}:m:a", "{test}:d:a"]), "0");
    texts.get_or_load(&key("a"), value("1")).await.expect("a value");
    assert_eq!(server.ask(&["EXISTS", "{test}:m:a", "{test}:d:a"]), "1", "the marker is gone");
}

#[tokio::test]
async fn many_keys_are_asked_for_side_by_side() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let keys: Vec<String> = (0..100).map(|nth| nth.to_string()).collect();
    for name in &keys[..90] {
        one.insert(name.clone(), format!("value of {name}")).await.expect("stored");
    }
    other.tier().sync().await.expect("connected");
    let values = other.get_many(&keys).await;
    let wanted: Vec<Option<String>> = keys
        .iter()
        .enumerate()
        .map(|(nth, name)| (nth < 90).then(|| format!("value of {name}")))
        .collect();
    assert_eq!(values, wanted);
    assert_eq!(other.get_many(&[]).await, Vec::<Option<String>>::new());
    assert_eq!(other.cache().len(), 90);
    // All of them by one script, which was loaded by then.
    let scripts = || -> u64 {
        let stats = server.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        line.and_then(|line| line.split(',').next()?.parse().ok()).expect("a number")
    };
    other.cache().invalidate_all();
    let before = scripts();
    assert_eq!(other.get_many(&keys).await, wanted);
    assert_eq!(scripts() - before, 1);
    // One key twice is one look-up.
    let twice = instance(&server);
    assert_eq!(twice.get_many(&[key("1"), key("1")]).await, vec![Some(key("value of 1")); 2]);
    assert_eq!(twice.tier().stats().hits, 1);
}

#[tokio::test]
async fn a_value_that_is_too_large_is_in_no_tier_and_leaves_no_older_one() {
    let Some(server) = Server::start() else { return };
    let texts = connected(builder(&server.url()).max_value_bytes(100));
    texts.insert(key("a"), key("small")).await.expect("stored");
    let refused = texts.insert(key("a"), "x".repeat(101)).await;
    assert_eq!(refused, Err(clockhand_redis::TierError::TooLarge));
    assert_eq!(texts.get(&key("a")).await, None);
    let loaded = texts.get_or_load(&key("a"), async { Ok::<_, String>("x".repeat(101)) }).await;
    assert_eq!(loaded.expect("a value").len(), 101);
    assert_eq!(texts.get(&key("a")).await, None);
    // One that another instance has stored with a higher limit.
    let other = connected(builder(&server.url()));
    other.insert(key("b"), "x".repeat(1000)).await.expect("stored");
    assert_eq!(texts.get(&key("b")).await, None);
    assert_eq!(texts.get_or_load(&key("b"), value("small")).await.expect("a value"), "small");
    assert_eq!(texts.tier().stats().too_large, 4);
}

#[tokio::test]
async fn a_load_that_takes_too_long_goes_to_its_caller_only() {
    let Some(server) = Server::start() else { return };
    let texts = connected(builder(&server.url()).longest_load(Duration::from_millis(20)));
    let load = async {
        until("the marker is gone", || server.ask(&["EXISTS", "{test}:m:a"]) == "0").await;
        value("slow").await
    };
    assert_eq!(texts.get_or_load(&key("a"), load).await.expect("a value"), "slow");
    assert_eq!(texts.get(&key("a")).await, None);
    assert_eq!(texts.tier().stats().fenced, 1);
}

#[tokio::test]
async fn bytes_are_stored_as_they_are() {
    let Some(server) = Server::start() else { return };
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build().expect("a cache");
    let bytes: Tiered<u64, Vec<u8>> = Tiered::with_codec(cache, &tier, Raw).expect("a cache");
    until("the tier is connected", || tier.status().is_connected).await;
    bytes.insert(7, b"\0\r\n\xff".to_vec()).await.expect("stored");
    let stored = server.ask_bytes(&[b"GET", b"{test}:d:7"]);
    assert!(stored.windows(4).any(|window| window == b"\0\r\n\xff"));
}
