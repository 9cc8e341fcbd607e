//! Decoding traces: what is accepted, and the verdict on everything else.

use crate::support::{compress, zstd_keys};
use clockhand_lab::trace::{Footprint, Trace, TraceError, decode, read_keys};

fn keys(count: u64) -> Vec<u64> {
    (0..count).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect()
}

fn sizes(sizes: &[u32]) -> Vec<u8> {
    compress(&sizes.iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<_>>())
}

fn decoded(keys: &[u64]) -> Trace {
    decode(&zstd_keys(keys)).expect("a sound trace")
}

#[test]
fn keys_come_back_in_order() {
    // Around the decoder's step of 64 KiB, which is 8192 keys.
    for count in [1, 2, 8191, 8192, 8193, 100_000] {
        assert_eq!(decoded(&keys(count)).keys(), keys(count), "{count} keys");
    }
    assert_eq!(decoded(&[0, u64::MAX]).keys(), [0, u64::MAX]);
}

#[test]
fn frames_one_after_the_other_are_one_trace() {
    let joined = [zstd_keys(&[1, 2]), zstd_keys(&[3])].concat();
    assert_eq!(decode(&joined).expect("two frames").keys(), [1, 2, 3]);
}

#[test]
fn a_key_may_be_split_between_frames() {
    let bytes = 7_u64.to_le_bytes();
    let joined = [compress(&bytes[..3]), compress(&bytes[3..])].concat();
    assert_eq!(decode(&joined).expect("two frames").keys(), [7]);
}

#[test]
fn sizes_belong_to_accesses() {
    let trace = decoded(&[1, 2, 1]).with_sizes(&sizes(&[5, 0, 9])[..]).expect("three sizes");
    assert_eq!(trace.sizes(), Some(&[5, 0, 9][..]));
    assert_eq!(trace.footprint(), Footprint { unique_keys: 2, weight: 9 });
    assert_eq!(decoded(&[1, 2, 1]).footprint(), Footprint { unique_keys: 2, weight: 2 });
}

#[test]
fn nothing_is_not_a_trace() {
    assert!(matches!(decode(&[]), Err(TraceError::Empty)));
    assert!(matches!(decode(&compress(&[])), Err(TraceError::Empty)));
}

#[test]
fn every_truncation_is_found() {
    let whole = zstd_keys(&keys(20_000));
    for length in (1..whole.len()).step_by(997).chain([1, 3, 4, 5, whole.len() - 1]) {
        let verdict = decode(&whole[..length]);
        assert!(matches!(verdict, Err(TraceError::Truncated)), "{length}: {verdict:?}");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let whole = zstd_keys(&keys(300));
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        let verdict = decode(&flipped);
        assert!(
            verdict.is_err() || verdict.is_ok_and(|trace| trace == decoded(&keys(300))),
            "{at}"
        );
    }
}

#[test]
fn bytes_after_the_frame_are_found() {
    let mut longer = zstd_keys(&[1]);
    longer.extend(b"more");
    assert!(matches!(decode(&longer), Err(TraceError::Corrupt(_))));
    assert!(matches!(decode(b"trace,entries,policy"), Err(TraceError::Corrupt(_))));
}

#[test]
fn words_must_be_whole() {
    let verdict = decode(&compress(&[0; 70_003]));
    assert!(matches!(verdict, Err(TraceError::Misaligned { bytes: 70_003, width: 8 })));
    let verdict = decoded(&[1]).with_sizes(&compress(&[0; 5])[..]);
    assert!(matches!(verdict, Err(TraceError::Misaligned { bytes: 5, width: 4 })));
}

#[test]
fn sizes_must_be_as_many_as_accesses() {
    for count in [0, 1, 3, 100_000] {
        let verdict = decoded(&[1, 2]).with_sizes(&sizes(&vec![1; count])[..]);
        let Err(TraceError::SizesDiffer { sizes, accesses: 2 }) = verdict else {
            panic!("{count} sizes: {verdict:?}");
        };
        assert_eq!(sizes, count);
    }
}

#[test]
fn a_small_file_cannot_unpack_to_a_huge_one() {
    let bomb = compress(&vec![0; 64 << 20]);
    assert!(bomb.len() < 64 << 10);
    let limit = 1 << 20;
    assert!(
        matches!(read_keys(&bomb[..], limit), Err(TraceError::TooLong { limit: l }) if l == limit)
    );
    assert_eq!(read_keys(&bomb[..], 64 << 20).expect("just so much").keys().len(), 8 << 20);
}
