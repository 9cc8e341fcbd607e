//! Bound the memory, not the number of entries.

use clockhand::{BuildError, Cache, ENTRY_OVERHEAD, InsertErrorKind};

/// What an entry takes. See `docs/guide.md`.
fn bytes(key: &String, value: &Vec<u8>) -> u64 {
    let own = size_of_val(key) + key.capacity() + size_of_val(value) + value.capacity();
    own as u64 + ENTRY_OVERHEAD
}

pub(crate) fn main() {
    count_bytes().expect("the settings agree");
    know_why_an_entry_was_refused().expect("the settings agree");
    let error = Cache::<u64, u64>::builder().build().expect_err("there is no bound");
    assert!(matches!(error, BuildError::CapacityMissing));
}

fn count_bytes() -> Result<(), BuildError> {
    let cache = Cache::builder().capacity(1 << 20).weigher(bytes).expected_entries(200).build()?;

    for nth in 0..2_000 {
        cache.insert(format!("page {nth}"), vec![0; 4096]);
        // The bound holds at every instant, not only when all is quiet.
        assert!(cache.usage().charged <= 1 << 20);
    }

    let usage = cache.usage();
    assert!(usage.entries >= 240, "{} entries of about 4.2 KiB are in 1 MiB", usage.entries);
    assert!(usage.charged > (1 << 20) * 99 / 100, "almost all of the capacity is used");

    // What was evicted but may still be looked at has a bound of its own.
    assert!(usage.retired <= usage.retired_capacity);
    Ok(())
}

fn know_why_an_entry_was_refused() -> Result<(), BuildError> {
    let cache =
        Cache::builder().capacity(10).weigher(|_, text: &&str| text.len() as u64).build()?;
    cache.insert("greeting", "hello");

    let error = cache.try_insert("greeting", "good morning").expect_err("it can never fit");
    assert_eq!(error.kind, InsertErrorKind::TooLarge { charge: 12, capacity: 10 });
    assert_eq!(cache.get("greeting"), Some("hello"), "`try_insert` changed nothing");

    // `insert` does not tell, but it leaves no older value behind either.
    cache.insert("greeting", "good morning");
    assert_eq!(cache.get("greeting"), None);
    assert_eq!(cache.stats().refusals, 2);
    Ok(())
}
