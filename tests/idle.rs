//! Caches that keep time have no thread, and do nothing while nobody uses them. Alone in its file, as it counts the
//! threads of the process.
#![cfg(target_os = "linux")]

use std::time::Duration;

use clockhand::{Cache, Clock, Maintenance};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("there are tasks").count()
}

#[test]
fn caches_that_keep_time_start_no_thread() {
    let before = threads();
    let minute = Duration::from_secs(60);
    let settings = [
        (|b| b.time_to_live(Duration::from_secs(60))) as fn(clockhand::Builder<u64, u64>) -> _,
        |b| b.time_to_idle(Duration::from_secs(60)),
        |b| b.clock(Clock::coarse(Duration::from_millis(20))),
        |b| b.maintenance(Maintenance::Manual).time_to_live(Duration::from_secs(1)),
    ];
    let build = |nth: usize| settings[nth % settings.len()](Cache::builder().capacity(100));
    let caches: Vec<Cache<u64, u64>> =
        (0..200).map(|nth| build(nth).build().expect("sound")).collect();
    caches.iter().for_each(|cache| cache.insert(1, 1));
    assert!(caches.iter().all(|cache| cache.get(&1) == Some(1)));
    assert_eq!(threads(), before, "threads for 200 caches");
    drop(caches);
    for _ in 0..1000 {
        let cache = Cache::<u64, u64>::builder().capacity(10).time_to_live(minute);
        cache.build().expect("sound").insert(1, 1);
    }
    assert_eq!(threads(), before, "threads for caches that come and go");
    #[cfg(feature = "dedup")]
    {
        use clockhand::dedup::{Claim, Deduplicator, OffsetTracker};
        let seen = Deduplicator::<u64>::builder().build().expect("sound");
        let offsets = OffsetTracker::builder().build().expect("sound");
        assert!(matches!(seen.claim(1), Claim::New(_)));
        assert_eq!(threads(), before, "threads of de-duplication");
        drop((seen, offsets));
    }
}
