//! What one instance writes, no other one overlooks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::support::{
    Server, Texts, builder, connected, instance, key, nobody, unconnected, until, value,
};

/// A load that has begun, and waits to be let go on with its value.
async fn begin_load(
    texts: &Texts,
    name: &str,
    loaded: &'static str,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<String>) {
    let (go_on, waits) = oneshot::channel();
    let (has_begun, begun) = oneshot::channel();
    let (texts, key) = (texts.clone(), key(name));
    let load = tokio::spawn(async move {
        let load = async move {
            let _ = has_begun.send(());
            let _ = waits.await;
            value(loaded).await
        };
        texts.get_or_load(&key, load).await.expect("a value")
    });
    begun.await.expect("a load that begins");
    (go_on, load)
}

#[tokio::test]
async fn what_one_instance_writes_the_other_reads() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    one.insert(key("a"), key("1")).await.expect("stored");
    assert_eq!(one.get_cached(&key("a")), Some(key("1")), "it is in its own cache");
    // What it is told of that write must not come while it reads.
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get(&key("a")).await, Some(key("1")));
    assert_eq!(other.get_cached(&key("a")), Some(key("1")));

    one.insert(key("a"), key("2")).await.expect("stored");
    other.tier().sync().await.expect("connected");
    assert_eq!(other.get_cached(&key("a")), None, "it was told");
    assert_eq!(other.get(&key("a")).await, Some(key("2")));

    other.invalidate(&key("a")).await.expect("removed");
    one.tier().sync().await.expect("connected");
    assert_eq!(one.get(&key("a")).await, None);
    assert_eq!(other.get(&key("a")).await, None);
}

#[tokio::test]
async fn a_load_that_was_running_is_kept_by_nobody() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    for inserts in [true, false] {
        let (go_on, load) = begin_load(&one, "a", "old").await;
        if inserts {
            other.insert(key("a"), key("new")).await.expect("stored");
        } else {
            other.invalidate(&key("a")).await.expect("removed");
        }
        let _ = go_on.send(());
        assert_eq!(load.await.expect("no panic"), "old", "its caller came before");
        let wanted = inserts.then(|| key("new"));
        assert_eq!(one.get_cached(&key("a")), None);
        assert_eq!(one.get(&key("a")).await, wanted);
        assert_eq!(other.get(&key("a")).await, wanted);
        other.invalidate(&key("a")).await.expect("removed");
        one.tier().sync().await.expect("connected");
    }
    assert_eq!(one.tier().stats().fenced, 2);
}

#[tokio::test]
async fn a_caller_that_comes_after_an_invalidation_does_not_get_an_older_load() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let (go_on, load) = begin_load(&one, "a", "old").await;
    // Nothing is stored for the key, so there is nothing that the server would tell of.
    other.invalidate(&key("a")).await.expect("removed");
    let late = one.clone();
    let late = tokio::spawn(async move { late.get_or_load(&key("a"), value("new")).await });
    tokio::task::yield_now().await;
    let _ = go_on.send(());
    assert_eq!(load.await.expect("no panic"), "old");
    assert_eq!(late.await.expect("no panic").expect("a value"), "new");
    assert_eq!(one.get(&key("a")).await, Some(key("new")));
}

#[tokio::test]
async fn a_load_on_the_writing_instance_is_kept_by_nobody_either() {
    let Some(server) = Server::start() else { return };
    let one = instance(&server);
    let (go_on, load) = begin_load(&one, "a", "old").await;
    one.insert(key("a"), key("new")).await.expect("stored");
    assert_eq!(one.get_cached(&key("a")), Some(key("new")));
    let _ = go_on.send(());
    assert_eq!(load.await.expect("no panic"), "old");
    assert_eq!(one.get_cached(&key("a")), Some(key("new")));

    let (go_on, load) = begin_load(&one, "b", "old").await;
    one.invalidate(&key("b")).await.expect("removed");
    let _ = go_on.send(());
    assert_eq!(load.await.expect("no panic"), "old");
    assert_eq!(one.get(&key("b")).await, None);
}

#[tokio::test]
async fn a_value_that_was_read_from_redis_before_a_message_is_not_inserted_after_it() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), Arc::new(instance(&server)));
    // Reads and writes of one key at the same time, again and again: after each write that has returned, and a round trip,
    // the reader has that value or a later one.
    for round in 0..300 {
        let text = format!("{round:05}");
        let reader = Arc::clone(&other);
        let reads = tokio::spawn(async move {
            for _ in 0..3 {
                reader.get(&key("a")).await;
            }
        });
        one.insert(key("a"), text.clone()).await.expect("stored");
        other.tier().sync().await.expect("connected");
        assert_eq!(other.get(&key("a")).await, Some(text));
        reads.await.expect("no panic");
    }
}

#[tokio::test]
async fn two_instances_that_write_one_key_at_once_agree_afterwards() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    for round in 0..400 {
        let write = |texts: &Texts, who: &str| {
            let (texts, text) = (texts.clone(), format!("{who} {round}"));
            tokio::spawn(async move {
                match round % 4 {
                    0 => texts.invalidate(&key("a")).await,
                    _ => texts.insert(key("a"), text).await,
                }
            })
        };
        let writes = [write(&one, "one"), write(&other, "other"), write(&one, "one again")];
        for write in writes {
            write.await.expect("no panic").expect("written");
        }
        for texts in [&one, &other] {
            texts.tier().sync().await.expect("connected");
        }
        let read = one.get(&key("a")).await;
        assert_eq!(other.get(&key("a")).await, read, "round {round}");
        // What the server has, whatever the two have in their caches.
        one.cache().invalidate(&key("a"));
        assert_eq!(one.get(&key("a")).await, read, "round {round}");
    }
}

#[tokio::test]
async fn everything_is_invalid_for_everybody() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    for name in ["a", "b"] {
        one.insert(key(name), key("old")).await.expect("stored");
        other.get(&key(name)).await;
    }
    let (go_on, load) = begin_load(&other, "c", "old").await;
    one.invalidate_all().await.expect("advanced");
    other.tier().sync().await.expect("connected");
    for texts in [&one, &other] {
        for name in ["a", "b"] {
            assert_eq!(texts.get(&key(name)).await, None, "{name}");
        }
    }
    let _ = go_on.send(());
    load.await.expect("no panic");
    assert_eq!(other.get_cached(&key("c")), None);
    // What comes after it is valid.
    other.insert(key("a"), key("new")).await.expect("stored");
    assert_eq!(one.get(&key("a")).await, Some(key("new")));
    // A third instance begins with the generation that there is.
    let third = instance(&server);
    assert_eq!(third.get(&key("a")).await, Some(key("new")));
    assert_eq!(third.get(&key("b")).await, None);
}

#[tokio::test]
async fn what_the_server_loses_is_lost_everywhere() {
    let Some(server) = Server::start() else { return };
    let texts = instance(&server);
    texts.insert(key("a"), key("1")).await.expect("stored");
    server.ask(&["DEL", "{test}:d:a"]);
    texts.tier().sync().await.expect("connected");
    assert_eq!(texts.get_cached(&key("a")), None, "removed by hand");

    texts.insert(key("a"), key("1")).await.expect("stored");
    server.ask(&["FLUSHALL"]);
    texts.tier().sync().await.expect("connected");
    assert_eq!(texts.get_cached(&key("a")), None, "the server was emptied");
    assert_eq!(texts.get_or_load(&key("a"), value("2")).await.expect("a value"), "2");
    assert_eq!(texts.get_or_load(&key("a"), nobody()).await.expect("a value"), "2");

    // As when the server evicts the generation: what was stored is not to be trusted.
    server.ask(&["DEL", "{test}:g"]);
    texts.tier().sync().await.expect("connected");
    until("there is a generation", || server.ask(&["EXISTS", "{test}:g"]) == "1").await;
    assert_eq!(texts.get(&key("a")).await, None);
}

#[tokio::test]
async fn entries_end_with_those_of_the_server() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let minute = Duration::from_secs(60);
    one.insert_with_ttl(key("a"), key("1"), minute).await.expect("stored");
    other.tier().sync().await.expect("connected");
    other.get(&key("a")).await;
    for texts in [&one, &other] {
        let left = texts.cache().entry_info(&key("a")).expect("an entry").expires_in;
        assert!(left.is_some_and(|left| left <= minute), "{left:?}");
    }
    // The server is told to end it sooner.
    let third = instance(&server);
    server.ask(&["PEXPIRE", "{test}:d:a", "15000"]);
    third.tier().sync().await.expect("connected");
    third.get(&key("a")).await;
    let left = third.cache().entry_info(&key("a")).expect("an entry").expires_in;
    assert!(left.is_some_and(|left| left <= Duration::from_secs(10)), "{left:?}");
    // In the time that a value outlives its own, it is a miss.
    server.ask(&["PEXPIRE", "{test}:d:a", "4000"]);
    third.tier().sync().await.expect("connected");
    assert_eq!(third.get(&key("a")).await, None);
    assert_eq!(third.get_or_load(&key("a"), value("2")).await.expect("a value"), "2");
    assert_eq!(third.get_cached(&key("a")), Some(key("2")), "no message has come between");

    one.insert_with_ttl(key("a"), key("3"), Duration::ZERO).await.expect("removed");
    assert_eq!(one.get(&key("a")).await, None);
}

#[tokio::test]
async fn tiers_with_different_prefixes_have_nothing_in_common() {
    let Some(server) = Server::start() else { return };
    let one = connected(builder(&server.url()).key_prefix("one"));
    let other = connected(builder(&server.url()).key_prefix("other"));
    one.insert(key("a"), key("1")).await.expect("stored");
    assert_eq!(other.get(&key("a")).await, None);
    other.invalidate_all().await.expect("advanced");
    one.tier().sync().await.expect("connected");
    assert_eq!(one.get_cached(&key("a")), Some(key("1")));
    assert_eq!(one.tier().stats().invalidations, 0);
}

#[tokio::test]
async fn a_cache_is_emptied_when_a_tier_stands_behind_it() {
    let Some(server) = Server::start() else { return };
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build().expect("a cache");
    cache.insert(key("a"), key("from before"));
    let texts: Texts = clockhand_redis::Tiered::new(cache.clone(), &tier).expect("a cache");
    assert_eq!(texts.get_cached(&key("a")), None);
    let taken = clockhand_redis::Tiered::new(cache, &tier).map(|_| ());
    assert_eq!(taken, Err(clockhand_redis::TierBuildError::Taken));
    let untimed = clockhand::Cache::<String, String>::new(100);
    let tier = builder(&server.url()).build().expect("valid settings");
    let untimed = clockhand_redis::Tiered::new(untimed, &tier).map(|_| ());
    assert_eq!(untimed, Err(clockhand_redis::TierBuildError::Untimed));
    drop(unconnected(builder(&server.url())));
}
