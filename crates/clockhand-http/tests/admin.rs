//! What changes a cache needs the token and a POST, and is not there without a token.

use clockhand::Cache;
use clockhand_http::{Keys, Reply, Request, Service, ServiceError};
use serde_json::Value;

const TOKEN: &str = "correct horse battery staple";

fn cache() -> Cache<u64, &'static str> {
    let cache = Cache::builder().capacity(10).name("names").build().expect("a cache");
    (0..5).for_each(|key| cache.insert(key, "some"));
    cache
}

fn service(cache: &Cache<u64, &'static str>) -> Service {
    Service::builder().cache(cache, Keys::text()).admin(TOKEN).build().expect("a service")
}

fn post(service: &Service, path: &str, authorization: Option<&str>, body: &str) -> Reply {
    let request = Request::new("POST", path).content_type(Some("application/json; charset=utf-8"));
    service.answer(&request.authorization(authorization).body(body.as_bytes()))
}

fn ordered(service: &Service, order: &str, body: &str) -> (u16, Value) {
    let bearer = format!("Bearer {TOKEN}");
    let reply = post(service, &format!("/cache/admin/{order}"), Some(&bearer), body);
    (reply.status, serde_json::from_str(&reply.body).expect("JSON"))
}

#[test]
fn a_key_is_invalidated() {
    let cache = cache();
    let service = service(&cache);
    let (status, body) = ordered(&service, "invalidate", r#"{"cache": "names", "key": "3"}"#);
    assert_eq!((status, &body["removed"]), (200, &true.into()));
    assert!(!cache.contains_key(&3) && cache.contains_key(&2));
    let (status, body) = ordered(&service, "invalidate", r#"{"key": "3"}"#);
    assert_eq!((status, &body["removed"]), (200, &false.into()));
}

#[test]
fn all_is_invalidated() {
    let cache = cache();
    assert_eq!(ordered(&service(&cache), "invalidate-all", r#"{"cache": "names"}"#).0, 200);
    assert!(cache.is_empty());
}

#[test]
fn the_capacity_is_set() {
    let cache = cache();
    let (status, body) = ordered(&service(&cache), "resize", r#"{"capacity": 3}"#);
    assert_eq!((status, &body["capacity"]), (200, &3.into()));
    assert_eq!((cache.capacity(), cache.len()), (3, 3));
}

#[test]
fn orders_that_say_too_little_or_too_much_change_nothing() {
    let cache = cache();
    let service = service(&cache);
    for (order, body, wanted) in [
        ("invalidate", "{}", 400),
        ("invalidate", r#"{"key": "three"}"#, 400),
        ("invalidate", r#"{"key": 3}"#, 400),
        ("invalidate", r#"{"cache": "other", "key": "3"}"#, 404),
        ("resize", "{}", 400),
        ("resize", r#"{"capacity": -1}"#, 400),
        ("resize", r#"{"capacity": 1, "more": 2}"#, 400),
        ("invalidate-all", "", 400),
        ("invalidate-everything", "{}", 404),
    ] {
        assert_eq!(ordered(&service, order, body).0, wanted, "{order} {body}");
    }
    assert_eq!((cache.capacity(), cache.len()), (10, 5));
}

#[test]
fn only_the_token_opens() {
    let cache = cache();
    let service = service(&cache);
    let longer = format!("Bearer {TOKEN}r");
    let shorter = format!("Bearer {}", &TOKEN[1..]);
    let basic = format!("Basic {TOKEN}");
    let twice = format!("Bearer Bearer {TOKEN}");
    for shown in ["", "Bearer", "Bearer ", TOKEN, &longer, &shorter, &basic, &twice] {
        let reply = post(&service, "/cache/admin/invalidate-all", Some(shown), "{}");
        assert_eq!(reply.status, 401, "{shown}");
        assert!(reply.headers.contains(&("www-authenticate", "Bearer".into())));
    }
    assert_eq!(post(&service, "/cache/admin/invalidate-all", None, "{}").status, 401);
    assert_eq!(cache.len(), 5);
    let small = format!("bearer {TOKEN}");
    assert_eq!(post(&service, "/cache/admin/invalidate-all", Some(&small), "{}").status, 200);
    assert!(cache.is_empty());
}

#[test]
fn there_is_nothing_without_a_token_and_but_by_post() {
    let cache = cache();
    let bearer = format!("Bearer {TOKEN}");
    let plain = Service::builder().cache(&cache, Keys::text()).build().expect("a service");
    assert_eq!(post(&plain, "/cache/admin/invalidate-all", Some(&bearer), "{}").status, 404);
    let service = service(&cache);
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let request = Request::new(method, "/cache/admin/invalidate-all");
        let reply = service.answer(&request.authorization(Some(&bearer)).body(b"{}"));
        assert_eq!(reply.status, 405, "{method}");
    }
    // A form that a foreign page sends cannot declare its body as JSON.
    let request = Request::new("POST", "/cache/admin/invalidate-all").authorization(Some(&bearer));
    assert_eq!(service.answer(&request.body(b"{}")).status, 415);
    assert_eq!(cache.len(), 5);
}

/// A file that has the token in a line, for example.
#[test]
fn white_space_round_the_token_is_no_part_of_it() {
    let cache = cache();
    let token = format!(" {TOKEN}\r\n");
    let service = Service::builder().cache(&cache, Keys::text()).admin(token).build();
    assert_eq!(ordered(&service.expect("a service"), "invalidate-all", "{}").0, 200);
    assert!(cache.is_empty());
}

#[test]
fn a_token_that_is_too_short_is_none() {
    for blank in ["", &" ".repeat(16), "fifteen bytes..\n"] {
        let short = Service::builder().admin(blank).build();
        assert_eq!(short.expect_err("no service"), ServiceError::TokenTooShort);
    }
    let short = Service::builder().admin("fifteen bytes..").build();
    assert_eq!(short.expect_err("no service"), ServiceError::TokenTooShort);
    assert!(Service::builder().admin("sixteen bytes...").build().is_ok());
}
