//! Arbitrary bytes as the envelope of a value in the second tier: an answer, never a panic, and never more unpacked than
//! allowed. What was sealed is opened; what was damaged is an error, or says no more than was sealed.

#![no_main]

#[path = "../../crates/clockhand-redis/src/envelope.rs"]
mod envelope;

use envelope::{Compression, ENVELOPE_OVERHEAD, Label, Opened, open, seal, tag_block, tag_names};

/// What a payload may unpack to.
const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&way, rest)) = input.split_first() else { return };
    match way % 3 {
        0 => arbitrary(rest.to_vec()),
        1 => round_trip(rest),
        _ => damaged(rest),
    }
});

/// As they are, and with a checksum that agrees.
fn arbitrary(mut bytes: Vec<u8>) {
    let codec = bytes.get(5).copied().unwrap_or_default();
    check(&bytes, codec);
    if bytes.len() > ENVELOPE_OVERHEAD {
        bytes[..4].copy_from_slice(b"CHR\x01");
        let stored = (bytes.len() - ENVELOPE_OVERHEAD) as u32;
        let tags = u32::from(u16::from_le_bytes([bytes[6], bytes[7]]));
        bytes[24..28].copy_from_slice(&stored.saturating_sub(tags).to_le_bytes());
        let at = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..at]);
        bytes[at..].copy_from_slice(&checksum.to_le_bytes());
        check(&bytes, codec);
    }
}

fn check(bytes: &[u8], codec: u8) {
    if let Ok(Opened { label, tags, payload }) = open(bytes, codec, LIMIT) {
        assert!(payload.len() <= LIMIT);
        if let Ok(names) = tag_names(tags) {
            let again = tag_block(names.iter().map(|name| (*name, [0; 8]))).expect("as small");
            assert_eq!(tag_names(&again), Ok(names));
        }
        assert_eq!(label.codec, codec);
        assert!(open(bytes, codec.wrapping_add(1), LIMIT).is_err());
        let again = seal(&label, tags, &payload, None).expect("a small payload");
        let again = open(&again, codec, LIMIT).expect("sealed just now");
        assert_eq!((again.tags, again.payload), (tags, payload));
    }
}

fn round_trip(payload: &[u8]) {
    let label = Label::new(7, *b"12345678", payload.len() as u64);
    let (lz4, zstd) = (Compression::Lz4, Compression::Zstd(1));
    for compress in [None, Some((0, lz4)), Some((100, lz4)), Some((0, zstd)), Some((100, zstd))] {
        let tags = &payload[..payload.len().min(40)];
        let sealed = seal(&label, tags, payload, compress).expect("a small payload");
        assert!(sealed.len() <= payload.len() + tags.len() + ENVELOPE_OVERHEAD);
        let opened = open(&sealed, 7, LIMIT).expect("as it was sealed");
        assert_eq!((opened.label, opened.tags, &*opened.payload), (label, tags, payload));
    }
}

/// One byte changed, or cut short: the checksum sees each of these.
fn damaged(input: &[u8]) {
    let Some((&[at, with], payload)) = input.split_first_chunk::<2>() else { return };
    let label = Label::new(7, *b"12345678", 1);
    let mut sealed = seal(&label, b"", payload, Some((64, Compression::Lz4))).expect("a small payload");
    let at = usize::from(at) % sealed.len();
    if with == 0 {
        sealed.truncate(at);
    } else {
        sealed[at] ^= with;
    }
    assert!(open(&sealed, 7, LIMIT).is_err());
}
