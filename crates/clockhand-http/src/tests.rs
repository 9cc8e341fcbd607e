//! Parts that no request shows by themselves.

use std::time::{Duration, UNIX_EPOCH};

use crate::query::Query;
use crate::report::HotKey;
use crate::timestamp::written;
use crate::token::Token;

#[test]
fn queries_are_decoded() {
    let query = Query::parse("x=1&key=a%2Bb+c%26&&cache=%C3%A9&key2=", 100).expect("a query");
    assert_eq!((query.key.as_deref(), query.cache.as_deref()), (Some("a+b c&"), Some("é")));
    assert_eq!(Query::parse("", 0).expect("a query"), Query::default());
    assert_eq!(Query::parse("key", 3).expect("a query").key.as_deref(), Some(""));
    for wrong in ["key=%ff", "cache=a&cache=b", "%ff=1", "key=1234567890"] {
        assert!(Query::parse(wrong, 13).is_err(), "{wrong}");
    }
}

#[test]
fn times_are_written_as_calendars_have_them() {
    for (seconds, wanted) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_399, "2000-02-28T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (951_868_800, "2000-03-01T00:00:00.000Z"),
        (1_709_164_800, "2024-02-29T00:00:00.000Z"),
        (1_735_689_599, "2024-12-31T23:59:59.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        (253_402_300_800, "9999-12-31T23:59:59.000Z"),
    ] {
        assert_eq!(written(UNIX_EPOCH + Duration::from_secs(seconds)), wanted);
    }
    assert_eq!(written(UNIX_EPOCH + Duration::from_millis(1234)), "1970-01-01T00:00:01.234Z");
    assert_eq!(written(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
}

#[test]
fn a_token_is_not_in_its_debug_text() {
    let token = Token::new("sixteen bytes...").expect("a token");
    assert_eq!(format!("{token:?}"), "Token(..)");
    assert!(token.is_shown_by(Some("Bearer sixteen bytes...")));
    assert!(!token.is_shown_by(Some("Bearer sixteen bytes..!")));
    assert!(!token.is_shown_by(None));
}

#[test]
fn keys_are_shortened_between_characters() {
    let shown =
        |text: &str, most| serde_json::to_value(HotKey::new(text.to_string(), most)).expect("JSON");
    assert_eq!(shown("äöü", 3), serde_json::json!({ "key": "äöü", "left_out": 0 }));
    assert_eq!(shown("äöü", 2), serde_json::json!({ "key": "äö", "left_out": 1 }));
    assert_eq!(shown("äöü", 0), serde_json::json!({ "key": "", "left_out": 3 }));
}
