use clockhand::*;
#[test]
fn basic() {
    for cap in [1u64, 7, 100, 10_000, 1_000_000] {
        let c = Cache::new(cap);
        for i in 0..cap { c.insert(i, i); }
        assert_eq!(c.len() as u64, cap);
        assert_eq!(c.stats().evictions, 0);
        for i in 0..cap { assert_eq!(c.get(&i), Some(i)); }
        c.validate();
        for i in cap..cap + 1000 { c.insert(i, i); }
        assert_eq!(c.len() as u64, cap);
        assert_eq!(c.stats().refusals, 0);
        c.validate();
        c.invalidate_all();
        assert!(c.is_empty());
        c.validate();
    }
}
#[test]
fn churn_threads() {
    let c = Cache::builder().capacity(1000).expected_entries(1).build().unwrap();
    std::thread::scope(|s| {
        for t in 0..4u64 {
            let c = &c;
            s.spawn(move || {
                let mut x = t + 1;
                for i in 0..300_000u64 {
                    x ^= x << 13; x ^= x >> 7; x ^= x << 17;
                    let k = x % 3000;
                    match i % 8 {
                        0..=4 => { if let Some(v) = c.get(&k) { assert_eq!(v % 3000, k); } }
                        5 | 6 => c.insert(k, k + 3000 * (x >> 40)),
                        _ => { c.invalidate(&k); }
                    }
                    if i % 1024 == 0 { let u = c.usage(); assert!(u.charged <= u.capacity && u.entries as u64 <= u.capacity && u.retired <= u.limbo_capacity, "{u:?}"); }
                }
            });
        }
    });
    println!("{:?} {:?}", c.stats(), c.usage());
    c.validate();
}
#[test]
fn constant_hash() {
    #[derive(Clone, Default)]
    struct H;
    impl std::hash::BuildHasher for H { type Hasher = Z; fn build_hasher(&self) -> Z { Z } }
    struct Z;
    impl std::hash::Hasher for Z { fn finish(&self) -> u64 { 7 } fn write(&mut self, _: &[u8]) {} }
    let c = Cache::builder().capacity(500).hasher(H).build().unwrap();
    for i in 0..2000u64 { c.insert(i, i); }
    assert_eq!(c.len(), 500);
    c.validate();
    c.retain(|k, _| k % 2 == 0);
    c.validate();
    std::thread::scope(|s| { for t in 0..4u64 { let c = &c; s.spawn(move || for i in 0..3000u64 { c.insert((i * 7 + t) % 900, i); c.invalidate(&((i * 5 + t) % 900)); }); } });
    c.validate();
}
