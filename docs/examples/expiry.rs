//! Let entries expire: after a time, when nobody reads them, or each by its own rule.
//!
//! A manual clock moves the time, so nothing here sleeps.

use std::time::{Duration, Instant};

use clockhand::{BuildError, Cache, Clock, Expiry};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn main() {
    live_for_a_while().expect("the settings agree");
    idle_for_a_while().expect("the settings agree");
    each_by_its_own_rule().expect("the settings agree");
}

fn live_for_a_while() -> Result<(), BuildError> {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(100).time_to_live(60 * SECOND).clock(clock).build()?;
    cache.insert("session", 1);

    manual.advance(59 * SECOND);
    assert_eq!(cache.get("session"), Some(1));
    manual.advance(SECOND);
    assert_eq!(cache.get("session"), None, "a miss at once");

    // It still takes room until somebody removes it: a write that meets it, or a call.
    assert_eq!(cache.len(), 1);
    assert_eq!(cache.remove_expired(), 1);
    assert_eq!((cache.len(), cache.stats().expirations), (0, 1));
    Ok(())
}

fn idle_for_a_while() -> Result<(), BuildError> {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(100).time_to_idle(10 * SECOND).clock(clock).build()?;
    cache.insert("read", 1);
    cache.insert("peeked", 2);

    for _ in 0..3 {
        manual.advance(4 * SECOND);
        assert_eq!(cache.get("read"), Some(1), "every read begins the time anew");
        let _ = cache.peek("peeked"); // and this is none
    }
    assert_eq!(cache.get("peeked"), None);
    Ok(())
}

/// Quotes live for five seconds after the last update, all else for ever.
struct ByKind;

impl ByKind {
    fn lifetime(key: &str) -> Option<Duration> {
        key.starts_with("quote:").then_some(5 * SECOND)
    }
}

impl Expiry<&'static str, u64> for ByKind {
    fn expire_after_create(&self, key: &&'static str, _: &u64, _: Instant) -> Option<Duration> {
        Self::lifetime(key)
    }

    fn expire_after_update(
        &self,
        key: &&'static str,
        _: &u64,
        _: Instant,
        _left: Option<Duration>,
    ) -> Option<Duration> {
        Self::lifetime(key)
    }
}

fn each_by_its_own_rule() -> Result<(), BuildError> {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(100).expiry(ByKind).clock(clock).build()?;
    cache.insert("quote:EURUSD", 1);
    cache.insert("currency:EUR", 2);

    manual.advance(4 * SECOND);
    cache.insert("quote:EURUSD", 3);
    manual.advance(4 * SECOND);
    assert_eq!(cache.get("quote:EURUSD"), Some(3), "the update gave it five seconds more");

    manual.advance(365 * 24 * 3600 * SECOND);
    assert_eq!(cache.get("quote:EURUSD"), None);
    assert_eq!(cache.get("currency:EUR"), Some(2));
    Ok(())
}
