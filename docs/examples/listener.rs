//! Learn what left the cache, and why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use clockhand::{BuildError, Cache, RemovalCause};

pub(crate) fn main() {
    count_the_causes().expect("the settings agree");
    own_what_the_cache_lets_go().expect("the settings agree");
}

fn count_the_causes() -> Result<(), BuildError> {
    let causes = Arc::new(Mutex::new(HashMap::new()));
    let seen = Arc::clone(&causes);
    let cache = Cache::builder()
        .capacity(2)
        // It runs on the thread whose call removed the entry: keep it short. The lock here is the
        // listener's own; the cache holds none.
        .removal_listener(move |_key: &u64, _value: &u64, cause| {
            *seen.lock().expect("no listener panics").entry(cause).or_insert(0) += 1;
        })
        .build()?;

    cache.insert(1, 10);
    cache.insert(1, 11); // replaced
    cache.insert(2, 20);
    cache.insert(3, 30); // one of the three has to make room
    assert_eq!(cache.len(), 2);
    cache.invalidate_all(); // and the other two are invalidated

    let causes = causes.lock().expect("no listener panics");
    assert_eq!(causes[&RemovalCause::Replaced], 1);
    assert_eq!(causes[&RemovalCause::Evicted], 1);
    assert_eq!(causes[&RemovalCause::Invalidated], 2);
    Ok(())
}

/// The listener borrows the value: a reader may be looking at it still. Who wants to keep it puts it
/// in an `Arc`.
fn own_what_the_cache_lets_go() -> Result<(), BuildError> {
    let (sender, flushed) = std::sync::mpsc::channel();
    let cache = Cache::builder()
        .capacity(1)
        .removal_listener(move |&key: &u64, page: &Arc<String>, cause: RemovalCause| {
            if cause.was_evicted() {
                // Hand over and return: what takes long belongs to another thread.
                let _ = sender.send((key, Arc::clone(page)));
            }
        })
        .build()?;

    cache.insert(1, Arc::new("a dirty page".to_string()));
    cache.insert(2, Arc::new("another one".to_string()));
    let (key, page) = flushed.try_recv().expect("one of the two had to make room");
    assert!(key == 1 || key == 2);
    assert!(page.contains('a'));
    Ok(())
}
