//! Why a predictor was not built.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a predictor was not built.
#[derive(Debug)]
#[non_exhaustive]
pub enum PredictError {
    /// The budget was not set, or is not a positive number.
    Budget,
    /// The memory is less than the models can work with: see [`MIN_MEMORY`](super::MIN_MEMORY). Keys whose type alone
    /// takes more than a few hundred bytes need more.
    Memory {
        /// The bytes that were asked for.
        bytes: usize,
    },
    /// The memory is more than there is.
    TooMuchMemory {
        /// The bytes that were asked for.
        bytes: usize,
    },
    /// The precision floor is not between zero and one.
    PrecisionFloor,
    /// The horizon is zero.
    Horizon,
    /// The share of a processor is not between zero, which is excluded, and one.
    CpuShare,
    /// Neither model is on.
    NoModel,
    /// The cache has a predictor already: it has one at a time.
    AlreadyRunning,
    /// The cache has an async loader, and no [`spawner`](crate::LoadingCache::spawner) that runs its loads.
    NoSpawner,
    /// The thread could not be started.
    Thread(io::Error),
}

impl fmt::Display for PredictError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget => f.write_str("a predictor needs a budget that is more than zero"),
            Self::Memory { bytes } => write!(
                f,
                "{bytes} bytes are too few for a predictor: give it {} for each model, or more if keys are large",
                super::MIN_MEMORY
            ),
            Self::TooMuchMemory { bytes } => {
                write!(f, "{bytes} bytes for a predictor are more than this machine gives")
            }
            Self::PrecisionFloor => f.write_str("the precision floor is not between 0 and 1"),
            Self::Horizon => f.write_str("a horizon of zero is no time to predict for"),
            Self::CpuShare => {
                f.write_str("the share of a processor is not more than 0 and at most 1")
            }
            Self::NoModel => f.write_str("neither model is on, so there is nothing to predict by"),
            Self::AlreadyRunning => f.write_str("the cache has a predictor already"),
            Self::NoSpawner => f.write_str(
                "a predictor of a cache with an async loader needs a spawner that runs its loads",
            ),
            Self::Thread(error) => write!(f, "the predictor's thread could not start: {error}"),
        }
    }
}

impl Error for PredictError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}
