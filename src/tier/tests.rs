use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{CacheUpdate, TierLookup, TierValue, Version};

fn noted() -> (CacheUpdate, Arc<Mutex<Vec<bool>>>) {
    let calls: Arc<Mutex<Vec<bool>>> = Arc::default();
    let own = Arc::clone(&calls);
    (CacheUpdate::new(move |left| own.lock().expect("no panic").push(left.is_some())), calls)
}

#[test]
fn a_value_is_kept_once_or_its_key_is_removed_once() {
    let (update, calls) = noted();
    update.until(Instant::now() + Duration::from_secs(60));
    assert_eq!(*calls.lock().expect("no panic"), [true]);
    let (update, calls) = noted();
    update.until(Instant::now());
    assert_eq!(*calls.lock().expect("no panic"), [false], "its time is over");
    let (update, calls) = noted();
    drop(update);
    assert_eq!(*calls.lock().expect("no panic"), [false]);
    drop(CacheUpdate::nothing());
}

#[test]
fn a_panic_of_the_users_code_goes_no_further() {
    CacheUpdate::new(|_| panic!("as a hasher may")).until(Instant::now() + Duration::from_secs(60));
    let unwound = std::panic::catch_unwind(|| {
        let _keep = CacheUpdate::new(|_| panic!("while another one is under way"));
        panic!("the first");
    });
    assert!(unwound.is_err());
}

#[test]
fn a_value_is_taken_if_it_lives_long_enough() {
    let minute = Duration::from_secs(60);
    let value = TierValue::new(*b"1", Instant::now() + minute);
    assert!(TierLookup::new(1).takes(&value));
    assert!(TierLookup::new(1).least(minute / 2).takes(&value));
    assert!(!TierLookup::new(1).least(minute * 2).takes(&value));
    assert!(!TierLookup::new(1).least(Duration::MAX).takes(&value));
    assert!(!TierLookup::new(1).takes(&TierValue::new(*b"1", Instant::now())));
    assert!(!Version::default().allows_put() && Version::new(*b"1").at(7).allows_put());
}
