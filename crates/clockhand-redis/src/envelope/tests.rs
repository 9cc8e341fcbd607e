use proptest::collection::vec;
use proptest::prelude::*;

use super::{
    Compression, ENVELOPE_OVERHEAD, EnvelopeError, HEADER, Label, open, seal, tag_block, tag_names,
};

const LIMIT: usize = 1 << 20;

fn label() -> Label {
    Label::new(1, *b"12345678", 1_700_000_000_000_000)
}

fn compressions() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::Lz4), (1..10).prop_map(Compression::Zstd)]
}

fn sealed(payload: &[u8]) -> Vec<u8> {
    seal(&label(), b"", payload, None).expect("a small payload")
}

/// With a checksum that agrees again.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..at]);
    bytes[at..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened(
        payload in vec(any::<u8>(), 0..600),
        codec: u8,
        generation: [u8; 8],
        version: u64,
        compress in proptest::option::of((0_usize..200, compressions())),
        tags in vec((".{0,9}", any::<[u8; 8]>()), 0..4),
    ) {
        let block = tag_block(tags.iter().map(|(name, stamp)| (&name[..], *stamp))).expect("a small block");
        let label = Label::new(codec, generation, version);
        let sealed = seal(&label, &block, &payload, compress).expect("a small payload");
        prop_assert!(sealed.len() <= payload.len() + block.len() + ENVELOPE_OVERHEAD);
        prop_assert_eq!(&sealed[32..32 + block.len()], &block[..], "where the scripts look for it");
        prop_assert_eq!(&sealed[8..16], &generation[..], "where the scripts look for it");
        let opened = open(&sealed, codec, LIMIT).expect("as it was sealed");
        prop_assert_eq!(opened.label, label);
        prop_assert_eq!(&opened.payload[..], &payload[..]);
        let names: Vec<&str> = tags.iter().map(|(name, _)| &name[..]).collect();
        prop_assert_eq!(tag_names(opened.tags), Ok(names));
    }

    #[test]
    fn arbitrary_bytes_are_an_error(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes, 1, LIMIT).is_err());
    }

    #[test]
    fn a_changed_byte_is_an_error(payload in vec(any::<u8>(), 0..100), at: prop::sample::Index, with in 1_u8..) {
        let mut bytes = sealed(&payload);
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        prop_assert!(open(&bytes, 1, LIMIT).is_err());
    }
}

#[test]
fn an_envelope_that_was_cut_at_any_byte_is_an_error() {
    let whole = sealed(b"a payload of some length");
    for length in 0..whole.len() {
        let error = open(&whole[..length], 1, LIMIT).expect_err("cut short");
        let wanted = if length < 3 { EnvelopeError::Foreign } else { EnvelopeError::Length };
        assert_eq!(error, wanted, "after {length} bytes");
    }
    let mut longer = whole;
    longer.push(0);
    assert_eq!(open(&longer, 1, LIMIT), Err(EnvelopeError::Length));
}

#[test]
fn a_block_of_tags_that_was_cut_is_an_error() {
    let block = tag_block([("one", [1; 8]), ("", [2; 8])]).expect("a small block");
    assert_eq!(tag_names(&block), Ok(vec!["one", ""]));
    for length in 0..block.len() {
        let wanted = if [0, 13].contains(&length) { length / 13 } else { usize::MAX };
        let names = tag_names(&block[..length]).map_or(usize::MAX, |names| names.len());
        assert_eq!(names, wanted, "after {length} bytes");
    }
    assert_eq!(tag_names(b"\x01\0\xff12345678"), Err(EnvelopeError::Corrupt), "no text");
    assert_eq!(tag_block([(&"x".repeat(65_526)[..], [0; 8])]), Err(EnvelopeError::TooLarge));
    assert_eq!(tag_block([(&"x".repeat(70_000)[..], [0; 8])]), Err(EnvelopeError::TooLarge));
}

#[test]
fn what_is_not_ours_is_told_apart() {
    let bytes = sealed(b"payload");
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        resealed(bytes)
    };
    assert_eq!(open(&with(0, b'X'), 1, LIMIT), Err(EnvelopeError::Foreign));
    assert_eq!(open(&with(3, 2), 1, LIMIT), Err(EnvelopeError::Newer), "another format");
    assert_eq!(open(&with(4, 0x80), 1, LIMIT), Err(EnvelopeError::Newer), "an unknown flag");
    assert_eq!(open(&bytes, 2, LIMIT), Err(EnvelopeError::OtherCodec));
    assert_eq!(open(&bytes, 1, 6), Err(EnvelopeError::TooLarge));
    assert!(open(&bytes, 1, 7).is_ok());
    assert_eq!(open(&with(6, 8), 1, LIMIT), Err(EnvelopeError::Length), "more tags than bytes");
    // An uncompressed payload whose two lengths differ.
    assert_eq!(open(&with(28, 9), 1, LIMIT), Err(EnvelopeError::Length));
    let mut wrong = bytes.clone();
    wrong[HEADER] ^= 1;
    assert_eq!(open(&wrong, 1, LIMIT), Err(EnvelopeError::Corrupt));
}

#[cfg(not(feature = "lz4"))]
#[test]
fn a_compressed_payload_is_told_apart() {
    let mut bytes = sealed(b"payload");
    bytes[4] = 1;
    assert_eq!(open(&resealed(bytes), 1, LIMIT), Err(EnvelopeError::Compressed));
}

#[cfg(feature = "lz4")]
#[test]
fn a_payload_is_compressed_if_that_makes_it_smaller() {
    compresses(Compression::Lz4);
}

#[cfg(feature = "zstd")]
#[test]
fn a_payload_is_compressed_with_zstd_if_that_makes_it_smaller() {
    compresses(Compression::Zstd(3));
    // The other form of compression is told apart, and what is none is an error.
    let flat = vec![7; 10_000];
    let mut packed = seal(&label(), b"", &flat, Some((0, Compression::Zstd(3)))).expect("small");
    packed[4] = super::LZ4;
    assert!(open(&resealed(packed), 1, LIMIT).is_err());
}

#[cfg(any(feature = "lz4", feature = "zstd"))]
fn compresses(how: Compression) {
    let (flat, from) = (vec![7; 10_000], Some((1000, how)));
    let packed = seal(&label(), b"", &flat, from).expect("a small payload");
    assert!(packed.len() < 1000, "{} bytes", packed.len());
    assert_eq!(open(&packed, 1, LIMIT).expect("as it was sealed").payload, flat);
    assert_eq!(open(&packed, 1, 9_999), Err(EnvelopeError::TooLarge), "before it is unpacked");
    assert_eq!(sealed(&flat).len(), flat.len() + ENVELOPE_OVERHEAD);
    assert_eq!(seal(&label(), b"", &flat[..999], from), Ok(sealed(&flat[..999])));
    // Says that it unpacks to more or to less than it does.
    for plain in [0_u32, 9_999, 10_001, 1 << 19] {
        let mut lies = packed.clone();
        lies[28..32].copy_from_slice(&plain.to_le_bytes());
        assert_eq!(open(&resealed(lies), 1, LIMIT), Err(EnvelopeError::Corrupt), "{plain}");
    }
}
