//! A slow function that many threads call: equal calls are made once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use clockhand::{Cache, LoadError, LoadSource, memoize};

pub(crate) fn main() {
    one_load_for_many_callers();
    errors_are_not_kept();
    a_function_that_remembers();
}

fn one_load_for_many_callers() {
    let cache = Cache::new(1_000);
    let queries = AtomicU64::new(0);
    let query = |user: &u64| {
        queries.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(20)); // a database
        format!("user {user}")
    };
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| assert_eq!(cache.get_or_load(7, query), "user 7"));
        }
    });
    assert_eq!(queries.load(Ordering::Relaxed), 1);

    // Whoever updates the database invalidates the key. A load that began before will not come in.
    cache.invalidate(&7);
    let loaded = cache.get_or_load_with_source(7, |user| Ok::<_, String>(query(user)));
    assert_eq!(loaded.map(|loaded| loaded.source), Ok(LoadSource::Loaded));
}

fn errors_are_not_kept() {
    let cache: Cache<&str, u16> = Cache::new(1_000);
    let parse = |text: &&str| text.parse::<u16>();
    match cache.try_get_or_load("70000", parse) {
        Err(LoadError::Failed(error)) => assert!(error.to_string().contains("too large")),
        other => panic!("{other:?}"),
    }
    assert_eq!(cache.try_get_or_load("7000", parse), Ok(7_000));
    assert_eq!(cache.len(), 1);
}

fn a_function_that_remembers() {
    let day = Duration::from_secs(24 * 3_600);
    let cache = Cache::builder().capacity(1_000).time_to_live(day).build().expect("sound");
    let calls = AtomicU64::new(0);
    let is_prime = memoize(&cache, "is_prime", day, |n: &u64| {
        calls.fetch_add(1, Ordering::Relaxed);
        *n > 1 && (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d))
    });
    assert!(is_prime(104_729) && is_prime(104_729) && !is_prime(104_730));
    drop(is_prime);
    assert_eq!(calls.into_inner(), 2);
}
