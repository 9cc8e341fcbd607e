//! Values that are invalidated together, on all instances.

use clockhand::Cache;
use clockhand_redis::{Raw, TierError, Tiered};

use crate::support::{Server, Texts, builder, key, nobody, until, value};

/// An instance whose cache has tags.
async fn tagged(server: &Server) -> Texts {
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = Cache::builder().capacity(1_000).tags().build().expect("a cache");
    let texts = Tiered::new(cache, &tier).expect("a cache that keeps time");
    until("the tier is connected", || tier.status().is_connected).await;
    texts
}

async fn synced(texts: &[&Texts]) {
    for texts in texts {
        texts.tier().sync().await.expect("connected");
    }
}

#[tokio::test]
async fn what_has_a_tag_is_invalid_for_everybody() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (tagged(&server).await, tagged(&server).await);
    one.insert_tagged(key("a"), key("1"), ["user", "shop", "user"]).await.expect("stored");
    one.insert_tagged(key("b"), key("2"), ["shop"]).await.expect("stored");
    one.insert_tagged(key("c"), key("3"), Vec::<String>::new()).await.expect("stored");
    assert_eq!(one.get_cached(&key("a")), Some(key("1")), "it is in its own cache");
    synced(&[&other]).await;
    for (name, text) in [("a", "1"), ("b", "2"), ("c", "3")] {
        assert_eq!(other.get(&key(name)).await, Some(key(text)));
        assert_eq!(other.get_cached(&key(name)), Some(key(text)), "{name}");
    }
    assert_eq!(other.cache().tags_of(&key("a")), Some(vec![key("shop"), key("user")]));

    other.invalidate_tag("user").await.expect("removed");
    assert_eq!(other.get_cached(&key("a")), None);
    synced(&[&one]).await;
    for texts in [&one, &other] {
        assert_eq!(texts.get(&key("a")).await, None);
        assert_eq!(texts.get(&key("b")).await, Some(key("2")));
        assert_eq!(texts.get(&key("c")).await, Some(key("3")));
    }
    // What comes after it is valid.
    one.insert_tagged(key("a"), key("4"), ["user"]).await.expect("stored");
    synced(&[&other]).await;
    assert_eq!(other.get(&key("a")).await, Some(key("4")));
    assert_eq!(tagged(&server).await.get(&key("a")).await, Some(key("4")));
    one.invalidate_tag("nobody has it").await.expect("removed");
}

#[tokio::test]
async fn a_load_that_runs_while_its_tag_is_invalidated_is_kept_by_nobody() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (tagged(&server).await, tagged(&server).await);
    for remote in [true, false] {
        let (late, invalidates) = (one.clone(), if remote { &other } else { &one });
        let slot = std::cell::Cell::new(None);
        let old = async {
            invalidates.invalidate_tag("user").await.expect("removed");
            synced(&[&one]).await;
            // It comes after the invalidation, and joins a load from before.
            slot.set(Some(tokio::spawn(async move {
                late.get_or_load_tagged(&key("a"), ["user"], value("new")).await
            })));
            tokio::task::yield_now().await;
            value("old").await
        };
        let loaded = one.get_or_load_tagged(&key("a"), ["user"], old).await;
        assert_eq!(loaded.expect("a value"), "old", "its caller came before");
        let loading = slot.into_inner().expect("another caller");
        assert_eq!(loading.await.expect("no panic").expect("a value"), "new", "{remote}");
        assert_eq!(one.get(&key("a")).await, Some(key("new")));
        one.invalidate(&key("a")).await.expect("removed");
        synced(&[&one, &other]).await;
    }
}

#[tokio::test]
async fn a_loaded_value_has_its_tags_in_both_tiers() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (tagged(&server).await, tagged(&server).await);
    for round in ["1", "2", "3"] {
        let loaded = one.get_or_load_tagged(&key("a"), ["x", "y"], value(round)).await;
        assert_eq!(loaded.expect("a value"), round);
        assert_eq!(one.get_cached(&key("a")), Some(key(round)), "the tag is new, and it is kept");
        synced(&[&other]).await;
        let found = other.get_or_load_tagged(&key("a"), ["z"], nobody()).await;
        assert_eq!(found.expect("a value"), round);
        other.invalidate_tag("y").await.expect("removed");
        synced(&[&one]).await;
        assert_eq!(one.get(&key("a")).await, None);
        assert_eq!(other.get(&key("a")).await, None);
    }
}

#[tokio::test]
async fn a_tag_that_the_server_loses_is_invalid() {
    let Some(server) = Server::start() else { return };
    let texts = tagged(&server).await;
    texts.insert_tagged(key("a"), key("1"), ["user"]).await.expect("stored");
    server.ask(&["DEL", "{test}:t:user"]);
    synced(&[&texts]).await;
    assert_eq!(texts.get_cached(&key("a")), None);
    assert_eq!(texts.get(&key("a")).await, None);
    texts.insert_tagged(key("b"), key("2"), ["other"]).await.expect("stored");
    assert_eq!(texts.get(&key("a")).await, None, "a new stamp is another one");
}

#[tokio::test]
async fn values_with_tags_stay_out_of_a_cache_without() {
    let Some(server) = Server::start() else { return };
    let (with, without) = (tagged(&server).await, crate::support::instance(&server));
    with.insert_tagged(key("a"), key("1"), ["user"]).await.expect("stored");
    synced(&[&without]).await;
    for _ in 0..2 {
        assert_eq!(without.get(&key("a")).await, Some(key("1")));
        assert_eq!(without.get_cached(&key("a")), None);
    }
    without.insert_tagged(key("b"), key("2"), ["user"]).await.expect("stored");
    assert_eq!(without.get_cached(&key("b")), None);
    with.invalidate_tag("user").await.expect("removed");
    assert_eq!(without.get(&key("a")).await, None);
    assert_eq!(without.get(&key("b")).await, None);
}

#[tokio::test]
async fn a_tag_that_cannot_be_invalidated_takes_everything_with_it() {
    let Some(mut server) = Server::start() else { return };
    let texts = tagged(&server).await;
    texts.insert_tagged(key("a"), key("1"), ["user"]).await.expect("stored");
    server.kill();
    until("the loss is noticed", || !texts.tier().status().is_connected).await;
    assert_eq!(texts.invalidate_tag("user").await, Err(TierError::Disconnected));
    texts.insert_tagged(key("a"), key("2"), ["user"]).await.expect_err("no connection");
    assert_eq!(texts.tier().status().repairs, usize::MAX);
    server.restart();
    until("it is repaired", || texts.tier().status().repairs == 0).await;
    assert_eq!(texts.get(&key("a")).await, None);
}

#[tokio::test]
async fn tags_that_are_too_long_are_told() {
    let Some(server) = Server::start() else { return };
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = Cache::builder().capacity(100).tags().build().expect("a cache");
    let bytes: Tiered<u8, Vec<u8>> = Tiered::with_codec(cache, &tier, Raw).expect("a cache");
    until("the tier is connected", || tier.status().is_connected).await;
    bytes.insert(1, vec![1]).await.expect("stored");
    let refused = bytes.insert_tagged(1, vec![2], ["x".repeat(70_000)]).await;
    assert_eq!(refused, Err(TierError::TooLarge));
    assert_eq!(bytes.get(&1).await, None, "nothing old is left");
    bytes.insert_tagged(1, vec![3], ["", "ü", "a b"]).await.expect("stored");
    assert_eq!(bytes.cache().tags_of(&1), Some(vec![key(""), key("a b"), key("ü")]));
    bytes.invalidate_tag("").await.expect("removed");
    assert_eq!(bytes.get(&1).await, None);
}
