//! Arbitrary bytes as a snapshot: an answer, never a panic, and nothing changed unless it is whole. With
//! a true checksum, the records are reached, too.

#![no_main]

use clockhand::Clock;
use clockhand::dedup::{Deduplicator, OffsetTracker, SnapshotId};

/// An id with parts of every kind of length.
type Id = (String, u32, Vec<u8>);

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&way, rest)) = input.split_first() else { return };
    match way % 4 {
        0 => restore(rest),
        1 => restore(&sealed("ids of (text, u32, bytes)", rest)),
        2 => restore(&sealed("offsets", rest)),
        _ => round_trip(rest),
    }
});

fn deduplicator() -> Deduplicator<Id> {
    let builder = Deduplicator::builder().capacity(100).clock(Clock::manual().0);
    builder.build().expect("the settings agree")
}

fn tracker() -> OffsetTracker {
    OffsetTracker::builder().clock(Clock::manual().0).build().expect("the settings agree")
}

fn restore(bytes: &[u8]) {
    let seen = deduplicator();
    match seen.restore(bytes) {
        Ok(number) => assert!(seen.len() <= number.min(100)),
        Err(_) => assert!(seen.is_empty()),
    }
    let again = deduplicator();
    assert!(again.restore(&seen.snapshot()).is_ok_and(|number| number == again.len()));

    let offsets = tracker();
    if offsets.restore(bytes).is_err() {
        assert!(offsets.committables().is_empty());
    }
    let again = tracker();
    assert!(again.restore(&offsets.snapshot()).is_ok());
    let sorted = |tracker: &OffsetTracker| {
        let mut all = tracker.committables();
        all.sort();
        all
    };
    assert_eq!(sorted(&again), sorted(&offsets));
    assert_eq!(again.metrics().size, offsets.metrics().size);
}

/// Records of the fuzzer's with a head and a checksum that are right.
fn sealed(contents: &str, records: &[u8]) -> Vec<u8> {
    let mut bytes = b"clkdedup".to_vec();
    2_u16.encode(&mut bytes);
    let length = bytes.len() + 8 + 8 + contents.len() + records.len() + 4;
    (length as u64).encode(&mut bytes);
    contents.to_string().encode(&mut bytes);
    bytes.extend_from_slice(records);
    crc32fast::hash(&bytes).encode(&mut bytes);
    bytes
}

/// What was marked is there after a restart, and a changed bit is noticed.
fn round_trip(input: &[u8]) {
    let Some((&[at, bit], text)) = input.split_first_chunk::<2>() else { return };
    let seen = deduplicator();
    for (nth, part) in text.chunks(5).take(50).enumerate() {
        let id = (String::from_utf8_lossy(part).into_owned(), nth as u32, part.to_vec());
        assert!(seen.mark_processed(id));
    }
    let mut bytes = seen.snapshot();
    let other = deduplicator();
    assert_eq!(other.restore(&bytes), Ok(seen.len()));
    assert_eq!(other.len(), seen.len());
    let at = usize::from(at) % bytes.len();
    bytes[at] ^= 1 << (bit % 8);
    let third = deduplicator();
    assert!(third.restore(&bytes).is_err() && third.is_empty());
}
