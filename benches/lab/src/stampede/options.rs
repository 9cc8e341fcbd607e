//! What the user orders, and the plan that follows from it.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use crate::before_after::Terms;
use crate::cli::{seconds, threads};
use crate::failure::Failure;

/// What `stampede` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Subject {
    /// A naive cache with the races in it, and clockhand: response time, errors, hits, memory
    BeforeAfter,
    /// Four ways to ask a slow store: what the store and its callers meet
    Ways,
    /// Both
    All,
}

/// The options of `stampede`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to show
    #[arg(value_enum, default_value = "all")]
    subject: Subject,
    /// How long each side runs, and each way that has a cache
    #[arg(long = "seconds", value_name = "S", value_parser = seconds, default_value = "60", allow_hyphen_values = true)]
    pub(super) time: Duration,
    /// How long the way without a cache runs; five answers of the store by default, or --seconds if
    /// that is less
    #[arg(long, value_name = "S", value_parser = seconds, allow_hyphen_values = true)]
    uncached_seconds: Option<Duration>,
    /// Callers, each a thread
    #[arg(long, value_name = "N", value_parser = threads, default_value = "100", allow_hyphen_values = true)]
    pub(super) callers: usize,
    /// Keys that they ask for, all equally often
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(super) keys: u64,
    /// How long a caller thinks between an answer and its next request, on average, in milliseconds
    #[arg(long = "think-ms", value_name = "MS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=60_000).map(Duration::from_millis))]
    pub(super) think: Duration,
    /// How long the store takes to answer, in milliseconds
    #[arg(long = "store-ms", value_name = "MS", default_value = "1500", value_parser = clap::value_parser!(u64).range(10..=30_000).map(Duration::from_millis))]
    pub(super) store: Duration,
    /// How long entries live, in milliseconds; 20/3 of --store-ms by default, which is 10 s for a
    /// store that takes 1.5 s
    #[arg(long = "life-ms", value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000).map(Duration::from_millis))]
    life: Option<Duration>,
    /// At which age values are renewed, in milliseconds; half of --life-ms by default
    #[arg(long = "refresh-ms", value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000).map(Duration::from_millis))]
    refresh: Option<Duration>,
    /// Draw before and after into this file, as SVG
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,
    /// Write one JSON object to this file; `-` prints it, and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// The two sides, if they are asked for.
    pub(crate) fn terms(&self) -> Option<Terms> {
        let terms = || Terms { time: self.time, clients: self.callers, store: self.store };
        (self.subject != Subject::Ways).then(terms)
    }

    /// Whether the four ways are asked for.
    pub(crate) fn has_ways(&self) -> bool {
        self.subject != Subject::BeforeAfter
    }

    /// How long the way without a cache runs.
    pub(super) fn uncached(&self) -> Duration {
        self.uncached_seconds.unwrap_or((5 * self.store).min(self.time))
    }

    /// How long entries live, and at which age values are renewed.
    pub(super) fn life(&self) -> Duration {
        self.life.unwrap_or(self.store * 20 / 3)
    }

    pub(super) fn refresh(&self) -> Duration {
        self.refresh.unwrap_or(self.life() / 2)
    }

    /// From when on no caller should have to wait.
    pub(super) fn warm_up(&self) -> Duration {
        2 * self.store
    }

    /// # Errors
    ///
    /// [`Failure::Input`] if the cache would never be warm, or values would end before they are renewed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.time <= self.warm_up() {
            return Err(Failure::Input(format!(
                "the cache is warm after two answers of the store, which are {} s; give more --seconds, or \
                 less --store-ms",
                self.warm_up().as_secs_f64()
            )));
        }
        if self.refresh() >= self.life() {
            return Err(Failure::Input(format!(
                "values live for {} ms and would be renewed after {} ms; give less --refresh-ms, or more \
                 --life-ms",
                self.life().as_millis(),
                self.refresh().as_millis()
            )));
        }
        Ok(())
    }

    pub(super) fn lines(&self) -> [String; 3] {
        let ms = |time: Duration| time.as_millis();
        [
            format!(
                "{} callers, each a thread, ask for one of {} keys and then think for {} to {} ms; each way \
                 {} s, without a cache {} s",
                self.callers,
                self.keys,
                ms(self.think / 2),
                ms(self.think * 3 / 2),
                self.time.as_secs_f64(),
                self.uncached().as_secs_f64()
            ),
            format!(
                "the store answers after {} ms, any number of requests at once; entries live {} ms; values \
                 are renewed after {} ms, on a thread of their own each",
                ms(self.store),
                ms(self.life()),
                ms(self.refresh())
            ),
            format!(
                "the cache counts as warm after {} ms; who waits does not ask meanwhile, so quantiles flatter the \
ways that let callers wait: see the time waiting",
                ms(self.warm_up())
            ),
        ]
    }
}
