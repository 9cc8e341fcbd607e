//! Prediction: loading what is likely to be asked for, before it is. Needs feature `predict`.
//!
//! A [`Predictor`] watches the reads of a cache with a loader, and starts loads of its own where two models expect that
//! they pay:
//!
//! - *Reuse*: is a key whose value is about to end asked for again within its next lifetime? If that is likely enough, the
//!   value is renewed before it ends, and no thread waits.
//! - *Successors*: what is asked for soon after a key? That is loaded when the key is missed.
//!
//! ```
//! use std::time::Duration;
//! use clockhand::Cache;
//! use clockhand::predict::{Budget, Predictor};
//!
//! let prices = Cache::builder()
//!     .capacity(10_000)
//!     .time_to_live(Duration::from_secs(5))
//!     .build()?
//!     .loading(|symbol: &String| Ok::<_, String>(symbol.len() as f64));
//! let predictor = Predictor::builder(&prices).budget(Budget::per_second(50.0)).start()?;
//! assert_eq!(prices.get("EURUSD"), Ok(6.0));
//! println!("{:?}", predictor.stats().reuse.precision);
//! predictor.stop();
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - It never starts more loads than its [`Budget`], and none while many other loads are under way, or while
//!   the origin fails.
//! - A model that is wrong too often stops itself, for all keys or for a class of them, and tries again later with a
//!   few loads.
//! - What was loaded ahead is new to the cache: it enters on probation, no protected entry makes room for it, and being loaded is no
//!   use of its key. Its loads are fenced like all others: a removal while one runs wins.
//! - Reads pay one comparison, and a few nanoseconds for the first 512 hits of a thread in each round of about five
//!   milliseconds. They take no lock and allocate nothing.
//! - With a manual clock and [`step`](Predictor::step) it is deterministic.
//!
//! # How it is built
//!
//! | file | idea |
//! |---|---|
//! | `handle` | the handle, and the thread |
//! | `builder`, `settings` | how it works |
//! | `round` | one round: evidence, learning, decisions, loads |
//! | `reuse` | the model Reuse |
//! | `keys` | what is known of keys |
//! | `agenda` | which keys are looked at when |
//! | `inputs` | what the regression looks at |
//! | `calendar` | time of day and of the week |
//! | `regression` | logistic regression, online |
//! | `successors` | the model Successors |
//! | `history` | the order in which keys were missed |
//! | `trust` | how likely successors are |
//! | `gate` | what stops a model that is wrong |
//! | `outcomes` | what became of predictions |
//! | `candidate` | loads that models want, and those of them that are worth most |
//! | `memory` | how the memory is divided |
//! | `budget` | how many loads it may start |
//! | `breaker` | pausing while the origin fails |
//! | `job` | where loads run |
//! | `pace` | how much a round does, and how long the thread rests after it |
//! | `ends` | what became of loads |
//! | `features`, `key_view` | what the user knows of keys |
//! | `hashes` | a hasher for hashes |
//! | `saved` | what was learned, as it is written and read (feature `persist`) |
//! | `saved_keys` | the same of single keys |
//! | `stats` | what it tells about itself |

mod agenda;
mod breaker;
mod budget;
mod builder;
mod calendar;
mod candidate;
mod ends;
mod error;
mod features;
mod gate;
#[cfg(all(test, not(clockhand_loom)))]
mod gate_tests;
mod handle;
mod hashes;
mod history;
mod inputs;
mod job;
mod key_view;
mod keys;
mod memory;
mod outcomes;
mod pace;
#[cfg(all(test, not(clockhand_loom)))]
mod pace_tests;
mod regression;
mod reuse;
mod round;
#[cfg(feature = "persist")]
mod saved;
#[cfg(feature = "persist")]
mod saved_keys;
mod settings;
mod stats;
mod successors;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;
mod trust;

pub use breaker::BreakerState;
pub use budget::Budget;
pub use builder::PredictorBuilder;
pub use error::PredictError;
pub use features::{CLASSES, FEATURES, Features};
pub use gate::ModelState;
pub use handle::Predictor;
pub use stats::{ModelStats, PredictorStats};

/// The fewest bytes with which a model works.
pub const MIN_MEMORY: usize = 32 << 10;
