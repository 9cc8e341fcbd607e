//! Arbitrary bytes as a snapshot of a cache: an answer, never a panic, and nothing changed unless it is whole. With
//! true checksums, what is in the blocks is reached, too.

#![no_main]

use clockhand::Cache;

type Texts = Cache<String, (u32, Vec<u8>)>;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&way, rest)) = input.split_first() else { return };
    match way % 3 {
        0 => load(rest),
        1 => load(&sealed(rest)),
        _ => round_trip(rest),
    }
});

fn built() -> Texts {
    Cache::builder().capacity(100).tags().build().expect("the settings agree")
}

fn load(bytes: &[u8]) {
    let cache = built();
    match cache.load_from(bytes) {
        Ok(loaded) => assert_eq!(cache.len() as u64, loaded),
        Err(_) => assert!(cache.is_empty() && cache.tag_count() == 0),
    }
    cache.validate();
}

/// A true beginning, with the blocks of the input behind it: kinds, lengths and contents are its own, the checksums are right.
fn sealed(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    built().save_to(&mut bytes).expect("a vector takes everything");
    // The head, and the first block.
    let length = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes"));
    let mut crc = u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes"));
    bytes.truncate(20 + length as usize);
    while let Some((&length, rest)) = input.split_first() {
        let (block, rest) = rest.split_at(rest.len().min(length.into()));
        let length = (block.len() as u32).to_le_bytes();
        let mut hasher = crc32fast::Hasher::new_with_initial(crc);
        hasher.update(&length);
        hasher.update(block);
        crc = hasher.finalize();
        bytes.extend(length.iter().chain(&crc.to_le_bytes()).chain(block));
        input = rest;
    }
    bytes
}

fn round_trip(input: &[u8]) {
    let cache = built();
    for (nth, part) in input.chunks(7).take(200).enumerate() {
        let key = String::from_utf8_lossy(part).into_owned();
        let tags = part.iter().take(usize::from(part[0] % 3)).map(u8::to_string);
        cache.insert_tagged(key, (nth as u32, part.to_vec()), tags);
    }
    let mut bytes = Vec::new();
    let saved = cache.save_to(&mut bytes).expect("a vector takes everything");
    let again = built();
    assert_eq!(again.load_from(&*bytes).expect("just written"), saved);
    again.for_each(|key, value| {
        assert_eq!(cache.peek(key).as_ref(), Some(value));
        assert_eq!(cache.tags_of(key), again.tags_of(key));
    });
    again.validate();
}
