//! What stands under a key of the tier and is no value of it is a miss.

use clockhand_redis::envelope::{Label, seal};

use crate::support::{Server, builder, connected, instance, key, value};

#[tokio::test]
async fn whatever_stands_under_a_key_is_a_miss_and_is_replaced() {
    let Some(server) = Server::start() else { return };
    let texts = instance(&server);
    texts.insert(key("a"), key("good")).await.expect("stored");
    let good = server.ask_bytes(&[b"GET", b"{test}:d:a"]);
    let generation: [u8; 8] = good[8..16].try_into().expect("eight bytes");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let other_codec = seal(&Label::new(9, generation, 0), b"", b"\x04good", None).expect("small");
    let undecodable =
        seal(&Label::new(1, generation, 0), b"", b"\xff\xff\xff", None).expect("small");
    let cases = [
        ("damaged", with(34, b'X')),
        ("a newer format", with(3, 9)),
        ("cut short", good[..38].to_vec()),
        ("cut in its header", good[..20].to_vec()),
        ("something else", b"12345678901234567890".to_vec()),
        ("empty", Vec::new()),
        ("another generation", with(8, !good[8])),
        ("tags that are not there", with(6, 200)),
        ("a tag that the server does not know", with(6, 2)),
        ("another codec", other_codec),
        ("undecodable", undecodable),
    ];
    for (what, bytes) in cases {
        server.ask_bytes(&[b"SET", b"{test}:d:a", &bytes, b"PX", b"60000"]);
        texts.tier().sync().await.expect("connected");
        assert_eq!(texts.get(&key("a")).await, None, "{what}");
        let loaded = texts.get_or_load(&key("a"), value("loaded")).await;
        assert_eq!(loaded.expect("a value"), "loaded", "{what}");
        let fresh = connected(builder(&server.url()));
        assert_eq!(fresh.get(&key("a")).await, Some(key("loaded")), "{what} was replaced");
    }
    server.ask(&["DEL", "{test}:d:a"]);
    server.ask(&["LPUSH", "{test}:d:a", "a list"]);
    server.ask(&["LPUSH", "{test}:m:a", "a list"]);
    texts.tier().sync().await.expect("connected");
    assert_eq!(texts.get_or_load(&key("a"), value("2")).await.expect("a value"), "2");
    assert_eq!(texts.get_cached(&key("a")), Some(key("2")));
    let stats = texts.tier().stats();
    // Each was looked at twice: by `get`, and by the load.
    assert_eq!((stats.corrupt, stats.other_format, stats.undecodable), (4, 4, 2), "{stats:?}");
}

#[tokio::test]
async fn a_key_that_is_none_of_ours_is_counted() {
    let Some(server) = Server::start() else { return };
    let tier = builder(&server.url()).build().expect("valid settings");
    let cache = clockhand::Cache::builder().capacity(100).per_entry_ttl().build().expect("a cache");
    let numbers = clockhand_redis::Tiered::<u64, u64>::new(cache, &tier).expect("a cache");
    crate::support::until("the tier is connected", || tier.status().is_connected).await;
    server.ask(&["SET", "{test}:d:seven", "x"]);
    numbers.tier().sync().await.expect("connected");
    assert_eq!(tier.stats().foreign_messages, 1);
}
