//! Keys that are tuples, looked up by borrowed parts.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use clockhand::{Cache, Equivalent, KeyPart, KeyRef};

#[test]
fn parts_are_found_by_what_they_can_be_compared_with() {
    let cache: Cache<(String, u32, Vec<u8>, Arc<str>), u64> = Cache::new(100);
    for n in 0..50_u32 {
        let key = (n.to_string(), n / 2, vec![n as u8; 3], Arc::from("x"));
        cache.insert(key, u64::from(n));
    }
    for n in 0..50_u32 {
        let (text, bytes, arc) = (n.to_string(), [n as u8; 3], Arc::<str>::from("x"));
        let key = KeyRef((text.as_str(), n / 2, &bytes[..], &*arc));
        assert_eq!(cache.get(&key), Some(u64::from(n)));
        assert_eq!(
            cache.get(&KeyRef((&text, &(n / 2), &bytes.to_vec(), &arc))),
            Some(u64::from(n))
        );
        assert!(!cache.contains_key(&KeyRef((text.as_str(), n / 2 + 1, &bytes[..], "x"))));
    }
    assert_eq!(cache.remove(&KeyRef(("7", 3, &[7_u8; 3][..], "x"))), Some(7));
    assert_eq!(cache.len(), 49);
}

#[test]
fn it_hashes_as_the_key_does() {
    let state = RandomState::new();
    let key = ("a".to_string(), true, 'c', -4_i64, (5_u8, "six".to_string()));
    let six = (5_u8, "six".to_string());
    let by = KeyRef(("a", true, 'c', -4, &six));
    assert_eq!(state.hash_one(&key), state.hash_one(by));
    assert!(by.equivalent(&key));
    assert!(!KeyRef(("a", false, 'c', -4, &six)).equivalent(&key));
    assert!("a".is_part("a") && !7_u8.is_part(&8));
    let one: Cache<(String,), u8> = Cache::new(10);
    one.insert(("a".into(),), 1);
    assert_eq!(one.get(&KeyRef(("a",))), Some(1));
}
