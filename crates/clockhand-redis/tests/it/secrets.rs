//! What is secret is told to nobody.

use std::fmt::{Debug, Write};

use clockhand_redis::{RedisTier, TierBuildError};

use crate::support::{Server, builder, connected, key, unconnected, until};

const SECRET: &str = "hunter2-s3cr3t";

fn assert_silent(what: &str, shown: &impl Debug) {
    let mut text = String::new();
    write!(text, "{shown:?} {shown:#?}").expect("a text");
    assert!(!text.contains("hunter2") && !text.contains("alice"), "{what}: {text}");
}

#[tokio::test]
async fn no_password_is_in_a_debug_form_or_an_error() {
    let Some(server) = Server::start_with(&["--requirepass", SECRET]) else { return };
    let port = server.port();
    let right = builder(&format!("redis://:{SECRET}@127.0.0.1:{port}"));
    assert_silent("the builder", &right);
    let texts = connected(right);
    texts.insert(key("alice"), key("hunter2")).await.expect("stored");
    assert_silent("a cache with a tier", &texts);
    assert_silent("the tier", texts.tier());
    assert_silent("its status", &texts.tier().status());

    let wrong = unconnected(builder(&format!("redis://alice:{SECRET}x@127.0.0.1:{port}")));
    until("access was denied", || wrong.tier().status().last_error.is_some()).await;
    let status = wrong.tier().status();
    assert_eq!(status.last_error, Some(clockhand_redis::TierError::Denied));
    assert_silent("a denial", &status);
    let refused = wrong.insert(key("alice"), key("hunter2")).await.expect_err("no connection");
    assert_silent("an error", &refused);
    assert!(!refused.to_string().contains("hunter2"));
}

#[test]
fn a_url_that_is_none_is_not_repeated() {
    for url in [
        &format!("http://alice:{SECRET}@host"),
        &format!("redis://alice:{SECRET}@host:port"),
        SECRET,
        "",
    ] {
        let error = RedisTier::builder(url).build().expect_err("no such URL");
        assert_eq!(error, TierBuildError::Url, "{url}");
        assert_silent("a wrong URL", &error);
        assert!(!error.to_string().contains("hunter2"));
        assert_silent("its builder", &RedisTier::builder(url));
    }
}
