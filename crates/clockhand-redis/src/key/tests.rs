use std::fmt::Debug;
use std::sync::Arc;

use proptest::prelude::*;

use super::TierKey;

fn comes_back<K: TierKey + PartialEq + Debug>(key: K) {
    assert_eq!(K::from_bytes(&key.to_bytes()), Some(key));
}

proptest! {
    #[test]
    fn keys_come_back(text: String, bytes: Vec<u8>, small: i8, large: u128, signed: i64) {
        comes_back(Arc::<str>::from(&text[..]));
        comes_back(text.clone().into_boxed_str());
        comes_back(text);
        comes_back(bytes);
        comes_back(small);
        comes_back(large);
        comes_back(signed);
    }
}

#[test]
fn bytes_that_are_no_key_are_none() {
    for other in [&b"+7"[..], b"007", b"", b"7 ", b"-0", b"256", b"\xff"] {
        assert_eq!(u8::from_bytes(other), None, "{other:?}");
    }
    assert_eq!(String::from_bytes(b"\xff"), None);
}
