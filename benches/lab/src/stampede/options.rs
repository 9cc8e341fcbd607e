//! What the user orders, and the plan that follows from it.

use std::path::PathBuf;
use std::time::Duration;

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
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60", allow_hyphen_values = true)]
    seconds: Duration,
    /// How long the way without a cache runs; five answers of the store by default, or --seconds if
    /// that is less
    #[arg(long, value_name = "S", value_parser = seconds, allow_hyphen_values = true)]
    uncached_seconds: Option<Duration>,
    /// Callers, each a thread
    #[arg(long, value_name = "N", value_parser = threads, default_value = "100", allow_hyphen_values = true)]
    callers: usize,
    /// Keys that they ask for, all equally often
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    keys: u64,
    /// How long a caller thinks between an answer and its next request, on average, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    think_ms: u64,
    /// How long the store takes to answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(10..=30_000))]
    store_ms: u64,
    /// How long entries live, in milliseconds; 20/3 of --store-ms by default, which is 10 s for a
    /// store that takes 1.5 s
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    life_ms: Option<u64>,
    /// At which age values are renewed, in milliseconds; half of --life-ms by default
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    refresh_ms: Option<u64>,
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
        let store = Duration::from_millis(self.store_ms);
        let terms = || Terms { time: self.seconds, clients: self.callers, store };
        (self.subject != Subject::Ways).then(terms)
    }

    /// Whether the four ways are asked for.
    pub(crate) fn has_ways(&self) -> bool {
        self.subject != Subject::BeforeAfter
    }

    /// What is to be done.
    pub(crate) fn plan(&self) -> Result<Plan, Failure> {
        let store = Duration::from_millis(self.store_ms);
        let life = self.life_ms.map_or(store * 20 / 3, Duration::from_millis);
        let plan = Plan {
            time: self.seconds,
            uncached: self.uncached_seconds.unwrap_or((5 * store).min(self.seconds)),
            callers: self.callers,
            keys: self.keys,
            think: Duration::from_millis(self.think_ms),
            store,
            life,
            refresh: self.refresh_ms.map_or(life / 2, Duration::from_millis),
            warm_up: 2 * store,
        };
        if plan.time <= plan.warm_up {
            return Err(Failure::Input(format!(
                "the cache is warm after two answers of the store, which are {} s; give more --seconds, or \
                 less --store-ms",
                plan.warm_up.as_secs_f64()
            )));
        }
        if plan.refresh >= plan.life {
            return Err(Failure::Input(format!(
                "values live for {} ms and would be renewed after {} ms; give less --refresh-ms, or more \
                 --life-ms",
                plan.life.as_millis(),
                plan.refresh.as_millis()
            )));
        }
        Ok(plan)
    }
}

/// What the options come to.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How long each way runs that has a cache, and the one without.
    pub time: Duration,
    pub uncached: Duration,
    pub callers: usize,
    pub keys: u64,
    pub think: Duration,
    pub store: Duration,
    /// How long entries live, and at which age values are renewed.
    pub life: Duration,
    pub refresh: Duration,
    /// From when on no caller should have to wait.
    pub warm_up: Duration,
}

impl Plan {
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
                self.uncached.as_secs_f64()
            ),
            format!(
                "the store answers after {} ms, any number of requests at once; entries live {} ms; values \
                 are renewed after {} ms, on a thread of their own each",
                ms(self.store),
                ms(self.life),
                ms(self.refresh)
            ),
            format!(
                "the cache counts as warm after {} ms; who waits does not ask meanwhile, so quantiles flatter the \
ways that let callers wait: see the time waiting",
                ms(self.warm_up)
            ),
        ]
    }
}
