//! Arbitrary bytes as a trace: an answer, never a panic, and never more unpacked than allowed.

#![no_main]

use std::io::Read;

#[allow(dead_code, reason = "the lab uses the rest")]
#[path = "../../benches/lab/src/trace.rs"]
mod trace;

use trace::TraceError;

/// What one input may unpack to, where the target sets the limit.
const LIMIT: u64 = 1 << 20;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&way, rest)) = input.split_first() else { return };
    match way % 4 {
        0 => agree(rest),
        1 => round_trip(rest),
        2 => damaged(rest),
        _ => sized(rest),
    }
});

/// Both entrances give the same answer, but for the limit.
fn agree(packed: &[u8]) {
    let limited = trace::read_keys(packed, LIMIT);
    let Err(TraceError::TooLong { limit }) = limited else {
        let whole = trace::decode(packed);
        assert_eq!(whole.map_err(|e| e.to_string()), limited.map_err(|e| e.to_string()));
        return;
    };
    assert_eq!(limit, LIMIT);
}

/// Words that were packed properly come back.
fn round_trip(plain: &[u8]) {
    let packed = pack(plain);
    let (words, rest) = plain.as_chunks::<8>();
    match trace::decode(&packed) {
        Ok(trace) => {
            assert!(rest.is_empty() && !words.is_empty());
            let wanted: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
            assert_eq!(trace.keys(), wanted);
            assert_eq!(trace.footprint().weight, trace.footprint().unique_keys);
        }
        Err(TraceError::Empty) => assert!(plain.is_empty()),
        Err(TraceError::Misaligned { bytes, width }) => {
            assert_eq!((bytes, width), (plain.len() as u64, 8));
            assert!(!rest.is_empty());
        }
        Err(error) => panic!("{error}"),
    }
}

/// A packed trace with a byte changed, or cut short.
fn damaged(input: &[u8]) {
    let Some((&[at, with], plain)) = input.split_first_chunk::<2>() else { return };
    let mut packed = pack(plain);
    let at = usize::from(at) % packed.len();
    if with == 0 {
        packed.truncate(at);
    } else {
        packed[at] ^= with;
    }
    agree(&packed);
}

/// Keys and sizes from two streams that need not belong together.
fn sized(input: &[u8]) {
    let Some((&cut, plain)) = input.split_first() else { return };
    let (keys, sizes) = plain.split_at(usize::from(cut).min(plain.len()));
    let Ok(trace) = trace::read_keys(pack(keys).as_slice(), LIMIT) else { return };
    let accesses = trace.keys().len();
    match trace.with_sizes(pack(sizes).take(LIMIT)) {
        Ok(trace) => {
            assert_eq!(trace.sizes().map(<[u32]>::len), Some(accesses));
            let footprint = trace.footprint();
            assert!(footprint.unique_keys <= accesses as u64);
        }
        Err(TraceError::SizesDiffer { sizes: found, accesses: of }) => {
            assert_eq!((found, of), (sizes.len() / 4, accesses));
        }
        Err(TraceError::Misaligned { .. }) => assert!(sizes.len() % 4 != 0),
        Err(error) => panic!("{error}"),
    }
}

fn pack(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory can be compressed")
}
