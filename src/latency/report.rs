//! What users are told.

use std::fmt;
use std::time::Duration;

use histogram::Histogram;

use super::Operation;
use super::sampling::{Sampling, Timings, config};
use crate::narrow::whole;

/// How long the operations of a cache took. From [`Cache::latencies`](crate::Cache::latencies).
///
/// # Examples
///
/// ```
/// use clockhand::Cache;
///
/// let cache = Cache::builder().capacity(100).sample_every(1).build()?;
/// cache.insert(1, "one");
/// let before = cache.latencies().expect("they are taken");
/// (0..10).for_each(|_| assert_eq!(cache.get(&1), Some("one")));
/// let latencies = cache.latencies().expect("they are taken").since(&before);
/// assert_eq!((latencies.get.count(), latencies.insert.count()), (10, 0));
/// assert!(latencies.get.p50() <= latencies.get.max());
/// # Ok::<_, clockhand::BuildError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Latencies {
    /// Of this number of reads and inserts, one was timed, on average.
    pub sample_every: u32,
    /// Look-ups of one key, hit or miss, for whichever handle: without taking the pin and without `Clone`.
    pub get: Latency,
    /// Inserts that succeeded or were refused for want of room, including evictions and what was freed in passing.
    pub insert: Latency,
    /// Loads: each that has ended, from when its loader began.
    pub load: Latency,
    /// Calls of [`maintain`](crate::Cache::maintain), by whomever: each.
    pub maintain: Latency,
}

/// How long one kind of operation took.
///
/// A time is told as the upper end of its bucket, which is at most a thirty-second part above it; what took longer
/// than 18 minutes counts as that.
///
/// With the feature `serde` it is told with `count`, `mean`, `p50`, `p95`, `p99`, `p999`, `max` and `buckets`, times
/// in seconds. It is read from the buckets: the other figures follow from them.
///
/// # Progress
///
/// All methods are wait-free.
#[derive(Clone, PartialEq)]
pub struct Latency {
    pub(super) histogram: Histogram,
}

impl Latencies {
    /// What was timed between an earlier look at the same cache and this one.
    ///
    /// # Progress
    ///
    /// Wait-free.
    ///
    /// # Examples
    ///
    /// See [`Latencies`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            sample_every: self.sample_every,
            get: self.get.since(&earlier.get),
            insert: self.insert.since(&earlier.insert),
            load: self.load.since(&earlier.load),
            maintain: self.maintain.since(&earlier.maintain),
        }
    }

    pub(crate) fn of(sampling: Sampling, of: impl Fn(Operation) -> Latency) -> Self {
        Self {
            sample_every: sampling.every(),
            get: of(Operation::Get),
            insert: of(Operation::Insert),
            load: of(Operation::Load),
            maintain: of(Operation::Maintain),
        }
    }
}

impl Latency {
    pub(crate) fn of<'t>(operation: Operation, seats: impl Iterator<Item = &'t Timings>) -> Self {
        let mut histogram = Histogram::with_config(&config());
        seats.for_each(|timings| timings.add_to(operation, &mut histogram));
        Self { histogram }
    }

    /// What was timed between an earlier look and this one.
    ///
    /// # Examples
    ///
    /// See [`Latencies`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut histogram = self.histogram.clone();
        for (count, before) in histogram.as_mut_slice().iter_mut().zip(earlier.histogram.as_slice())
        {
            *count = count.saturating_sub(*before);
        }
        Self { histogram }
    }

    /// The number of operations that were timed.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert_eq!(insert.count(), 1);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn count(&self) -> u64 {
        self.histogram.as_slice().iter().sum()
    }

    /// What they took together, roughly: as if each had taken as long as the middle of its bucket.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.sum() >= insert.mean());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn sum(&self) -> Duration {
        let middle = |bucket: &histogram::Bucket| bucket.start().midpoint(bucket.end());
        let buckets = self.histogram.iter().filter(|bucket| bucket.count() > 0);
        buckets.fold(Duration::ZERO, |sum, bucket| {
            let all = u128::from(middle(&bucket)) * u128::from(bucket.count());
            sum.saturating_add(Duration::from_nanos(u64::try_from(all).unwrap_or(u64::MAX)))
        })
    }

    /// The average, roughly; zero if nothing was timed.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.mean() <= insert.max());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn mean(&self) -> Duration {
        match self.count() {
            0 => Duration::ZERO,
            count => Duration::from_secs_f64(self.sum().as_secs_f64() / count as f64),
        }
    }

    /// As long as this took so large a part of them at most: a half for 0.5. Zero if nothing was timed; a part that
    /// is not between 0 and 1 is taken for the nearer one.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.quantile(0.1) <= insert.quantile(0.9));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn quantile(&self, part: f64) -> Duration {
        let part = if part.is_nan() { 0.0 } else { part.clamp(0.0, 1.0) };
        let wanted = whole((self.count() as f64 * part).ceil()).max(1);
        let mut seen = 0;
        for (until, count) in self.buckets() {
            seen += count;
            if seen >= wanted {
                return until;
            }
        }
        self.max()
    }

    /// The median.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.p50() <= insert.p95());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn p50(&self) -> Duration {
        self.quantile(0.5)
    }

    /// As long as this took 95 % of them at most.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.p95() <= insert.p99());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn p95(&self) -> Duration {
        self.quantile(0.95)
    }

    /// As long as this took 99 % of them at most.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.p99() <= insert.p999());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn p99(&self) -> Duration {
        self.quantile(0.99)
    }

    /// As long as this took 99.9 % of them at most.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.p999() <= insert.max());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn p999(&self) -> Duration {
        self.quantile(0.999)
    }

    /// What the longest one took; zero if nothing was timed.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert!(insert.max() >= insert.p50());
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn max(&self) -> Duration {
        self.buckets().last().map_or(Duration::ZERO, |(until, _)| until)
    }

    /// The buckets in which something is, in order: their upper ends, which are still in them, and how many took that
    /// long. For exporters: counts up to a bucket are the sum of those before it and its own.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).sample_every(1).build()?;
    /// cache.insert(1, "one");
    /// let insert = cache.latencies().expect("they are taken").insert;
    /// assert_eq!(insert.buckets().map(|(_, count)| count).sum::<u64>(), 1);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let filled = self.histogram.iter().filter(|bucket| bucket.count() > 0);
        filled.map(|bucket| (Duration::from_nanos(bucket.end()), bucket.count()))
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p50", &self.p50())
            .field("p95", &self.p95())
            .field("p99", &self.p99())
            .field("p999", &self.p999())
            .field("max", &self.max())
            .finish()
    }
}
