//! The time of an answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// This moment, as RFC 3339 writes it, in UTC and milliseconds.
pub(crate) fn now() -> String {
    written(SystemTime::now())
}

/// A time, as RFC 3339 writes it. Years before 1970 and after 9999, which it cannot write, are the nearest that it can.
pub(crate) fn written(time: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(LAST);
    humantime::format_rfc3339_millis(time.clamp(UNIX_EPOCH, last)).to_string()
}
