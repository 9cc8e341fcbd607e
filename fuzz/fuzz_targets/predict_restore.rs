//! Arbitrary bytes as what a predictor has learned: an answer, never a panic, and a predictor that works and keeps to its
//! memory. With a true checksum, what is in them is reached, too.

#![no_main]

use clockhand::predict::{Budget, Predictor, PredictorBuilder};
use clockhand::{Cache, Clock, LoadingCache};

type Load = fn(&String) -> Result<usize, String>;
type Quotes = LoadingCache<String, usize, Load>;

const MEMORY: usize = 64 << 10;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&way, rest)) = input.split_first() else { return };
    match way % 3 {
        0 => restore(rest),
        1 => restore(&changed(rest)),
        _ => round_trip(rest),
    }
});

fn quotes() -> Quotes {
    let builder = Cache::builder().capacity(50).clock(Clock::manual().0).per_entry_ttl();
    let load: Load = |key| Ok(key.len());
    builder.build().expect("the settings agree").loading(load)
}

fn builder(quotes: &Quotes) -> PredictorBuilder<String, usize, Load> {
    Predictor::builder(quotes).budget(Budget::share(4.0)).memory(MEMORY).save_keys()
}

/// Asks for the keys that the input tells.
fn work(quotes: &Quotes, predictor: &Predictor, input: &[u8]) {
    for part in input.chunks(2).take(100) {
        let key = String::from_utf8_lossy(part).into_owned();
        assert_eq!(quotes.get(&key), Ok(key.len()));
        assert!(predictor.step());
    }
    assert!(predictor.stats().memory <= MEMORY);
}

fn restore(bytes: &[u8]) {
    let quotes = quotes();
    // Nothing is taken over of what is refused: another one can be built.
    let restored = builder(&quotes).restore_from(bytes).unwrap_or_else(|_| builder(&quotes));
    let predictor = restored.build().expect("sound settings");
    work(&quotes, &predictor, bytes);
    predictor.save_to(&mut Vec::new()).expect("a vector takes everything");
}

fn learned(input: &[u8]) -> Vec<u8> {
    let (quotes, mut bytes) = (quotes(), Vec::new());
    let predictor = builder(&quotes).build().expect("sound settings");
    work(&quotes, &predictor, input);
    predictor.save_to(&mut bytes).expect("a vector takes everything");
    bytes
}

/// What was learned of a few keys, with bytes that the input changes, in front or behind, and a checksum that is right.
fn changed(input: &[u8]) -> Vec<u8> {
    let mut bytes = learned(b"abcdefabcdefabcdef");
    for change in input.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]) >> 1);
        let payload = &mut bytes[20..];
        let at = if change[1] & 0x80 == 0 { at } else { payload.len().saturating_sub(at + 1) };
        if let Some(byte) = payload.get_mut(at) {
            *byte ^= change[2];
        }
    }
    let crc = crc32fast::hash(&bytes[20..]);
    bytes[16..20].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn round_trip(input: &[u8]) {
    let (bytes, quotes) = (learned(input), quotes());
    let predictor = builder(&quotes).restore_from(&*bytes).expect("just written").build();
    work(&quotes, &predictor.expect("sound settings"), input);
}
