//! How a cache is built.

use std::sync::Arc;
use std::time::Duration;

use clockhand::{BuildError, Clock, Maintenance, ManualClock};

use super::Bytes;
use super::parts::{Hash8, Log, Subject, Wish, Wishes};

/// Everything a builder can be told.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub(crate) capacity: u64,
    pub(crate) weighed: bool,
    pub(crate) retired_capacity: Option<u64>,
    pub(crate) expected_entries: Option<usize>,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) time_to_idle: Option<Duration>,
    pub(crate) wishes: Option<Wishes>,
    pub(crate) manual: bool,
    pub(crate) hash_bits: u32,
    /// Keys are below this number.
    pub(crate) keys: u8,
}

const DURATIONS: [u64; 8] = [3, 10, 1, 0, 30, 100, u64::MAX - 1, u64::MAX];

/// A duration in ticks of one nanosecond; the last two are longer than the clock runs.
pub(crate) fn duration(bytes: &mut Bytes<'_>) -> Duration {
    match bytes.one_of(&DURATIONS) {
        u64::MAX => Duration::MAX,
        nanos => Duration::from_nanos(nanos),
    }
}

fn wish(bytes: &mut Bytes<'_>) -> Wish {
    match bytes.byte() % 3 {
        0 => Wish::Keep,
        1 => Wish::Never,
        _ => Wish::After(duration(bytes)),
    }
}

impl Plan {
    /// Any cache.
    pub fn any(bytes: &mut Bytes<'_>) -> Self {
        let flags = bytes.byte();
        let flag = |nth: u32| flags >> nth & 1 == 1;
        let mut plan = Self {
            capacity: bytes.one_of(&[8, 1, 2, 3, 16, 40, 64, 100, 0, u64::MAX]),
            weighed: flag(0),
            retired_capacity: None,
            expected_entries: None,
            time_to_live: None,
            time_to_idle: None,
            wishes: None,
            manual: flag(1),
            hash_bits: bytes.one_of(&[9, 1, 2, 3, 5]),
            keys: bytes.one_of(&[16, 4, 64, 255]),
        };
        if flag(2) {
            plan.retired_capacity = Some(bytes.one_of(&[0, 1, 2, 8, 64, u64::MAX]));
        }
        if flag(3) {
            plan.expected_entries = Some(bytes.one_of(&[1, 0, 8, 32, 200]));
        }
        if flag(4) {
            plan.time_to_live = Some(duration(bytes));
        }
        if flag(5) {
            plan.time_to_idle = Some(duration(bytes));
        }
        if flag(6) {
            plan.wishes =
                Some(Wishes { create: wish(bytes), read: wish(bytes), update: wish(bytes) });
        }
        plan
    }

    /// A cache in which all keys live in one or two buckets.
    pub fn crowded(bytes: &mut Bytes<'_>) -> Self {
        let flags = bytes.byte();
        Self {
            capacity: bytes.one_of(&[24, 8, 13, 7, 6, 40]),
            weighed: false,
            retired_capacity: bytes.one_of(&[None, Some(2), Some(0)]),
            expected_entries: Some(1),
            time_to_live: None,
            time_to_idle: None,
            wishes: None,
            manual: flags & 1 == 1,
            hash_bits: u32::from(flags >> 1 & 1),
            keys: bytes.one_of(&[32, 8, 16, 64]),
        }
    }

    /// Builds it, unless the plan contradicts itself.
    pub(crate) fn build(&self, log: &Arc<Log>) -> Option<(Subject, ManualClock)> {
        let (clock, manual) = Clock::manual();
        let maintenance = if self.manual { Maintenance::Manual } else { Maintenance::Inline };
        let noted = Arc::clone(log);
        let mut builder = clockhand::Cache::builder()
            .capacity(self.capacity)
            .hasher(Hash8(self.hash_bits))
            .clock(clock)
            .maintenance(maintenance)
            .removal_listener(move |key, value, cause| noted.note(key, value, cause));
        if self.weighed {
            builder = builder.weigher(|_, value: &super::parts::Value| value.weight());
        }
        if let Some(capacity) = self.retired_capacity {
            builder = builder.retired_capacity(capacity);
        }
        if let Some(entries) = self.expected_entries {
            builder = builder.expected_entries(entries);
        } else if self.weighed || self.capacity > 1 << 20 {
            // A first table for a thousand entries and more takes its time to be checked.
            builder = builder.expected_entries(16);
        }
        if let Some(duration) = self.time_to_live {
            builder = builder.time_to_live(duration);
        }
        if let Some(duration) = self.time_to_idle {
            builder = builder.time_to_idle(duration);
        }
        if let Some(wishes) = self.wishes {
            builder = builder.expiry(wishes);
        }
        let too_many = !self.weighed
            && self.expected_entries.is_some_and(|entries| entries as u64 > self.capacity);
        match builder.build() {
            Ok(subject) => {
                assert!(!too_many, "the plan contradicts itself: {self:?}");
                Some((subject, manual))
            }
            Err(BuildError::ExpectedEntriesOverCapacity { .. }) if too_many => None,
            Err(error) => panic!("{error}"),
        }
    }
}
