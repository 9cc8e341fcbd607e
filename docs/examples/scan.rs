//! Walk over all entries while others change them.

use clockhand::Cache;

pub(crate) fn main() {
    visit();
    keep_some();
    beside_writers();
}

fn visit() {
    let cache = Cache::new(1_000);
    (0..100).for_each(|key| cache.insert(key, key * 2));

    let mut sum = 0;
    cache.for_each(|_, value| sum += value);
    assert_eq!(sum, (0..100).map(|key| key * 2).sum::<i32>());

    // An iterator gives copies. It holds nothing between two steps, so it may be kept.
    assert_eq!(cache.iter().filter(|(key, _)| key % 10 == 0).count(), 10);

    let mut all = cache.snapshot();
    all.sort_unstable();
    assert_eq!(all.first(), Some(&(0, 0)));
    assert_eq!(cache.stats().hits, 0, "a scan is not a read");
}

fn keep_some() {
    let cache = Cache::new(1_000);
    (0..100).for_each(|key| cache.insert(key, key));
    cache.retain(|key, _| key % 2 == 0);
    assert_eq!(cache.len(), 50);
    assert!(cache.contains_key(&2) && !cache.contains_key(&3));

    // Only if it is as we think it is. The value that was looked at is the one that goes.
    assert!(!cache.remove_if(&2, |&value| value > 10));
    assert!(cache.remove_if(&4, |&value| value == 4));
}

/// Entries that are there throughout are visited exactly once, whatever else comes and goes. They may
/// even be removed from within.
fn beside_writers() {
    let cache = Cache::new(10_000);
    (0..1_000).for_each(|key| cache.insert(key, 0));

    std::thread::scope(|scope| {
        scope.spawn(|| {
            for key in 1_000..3_000 {
                cache.insert(key, 1);
                cache.invalidate(&(key - 500).max(1_000));
            }
        });
        let mut stable = vec![0; 1_000];
        cache.for_each(|&key, _| {
            if let Some(visits) = stable.get_mut(key as usize) {
                *visits += 1;
            }
        });
        assert!(stable.iter().all(|&visits| visits == 1));
    });

    cache.for_each(|key: &u64, _| assert!(cache.invalidate(key)));
    assert!(cache.is_empty());
}
