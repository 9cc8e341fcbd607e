//! Candles that several services share by Redis: a value that one has loaded, the others do not load.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clockhand::Cache;
use clockhand_redis::{Codec, CodecError, RedisTier, TierKey, Tiered, TieredError};

use super::candles::RENEWED;
use super::origin::{Bar, Candles, NoCandles, Store};
use super::series::Series;
use crate::failure::Failure;

/// Candles in the cache before Redis. The one that the service reads stands before that.
const CAPACITY: u64 = 1_000;
/// How long a service waits for what another one loads.
const WAIT: Duration = Duration::from_millis(500);

pub(super) struct Shared(Tiered<Series, Arc<Candles>>);

impl TierKey for Series {
    fn to_bytes(&self) -> Vec<u8> {
        self.number().to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        u64::from_bytes(bytes).and_then(Self::of_number)
    }
}

/// The number of the series, then the five numbers of each bar.
struct Packed;

impl Codec<Arc<Candles>> for Packed {
    fn id(&self) -> u8 {
        16
    }

    fn encode(&self, candles: &Arc<Candles>) -> Result<Vec<u8>, CodecError> {
        let mut bytes = candles.series.number().to_le_bytes().to_vec();
        bytes.extend(candles.bars.as_flattened().iter().flat_map(|number| number.to_le_bytes()));
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Arc<Candles>, CodecError> {
        let (number, rest) = bytes.split_first_chunk().ok_or(CodecError)?;
        let series = Series::of_number(u64::from_le_bytes(*number)).ok_or(CodecError)?;
        let (numbers, rest) = rest.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let (bars, odd) = numbers.as_chunks();
        let bars: Box<[Bar]> = bars.into();
        if rest.is_empty() && odd.is_empty() {
            Ok(Arc::new(Candles { series, bars }))
        } else {
            Err(CodecError)
        }
    }
}

impl Shared {
    /// # Errors
    ///
    /// [`Failure::Input`] when this is no address of a server. One that cannot be reached is none.
    pub(super) fn connect(url: &str) -> Result<Self, Failure> {
        let unusable =
            |error: &dyn fmt::Display| Failure::Input(format!("--redis cannot be used: {error}"));
        let tier = RedisTier::builder(url).key_prefix("clockhand-lab-serve");
        // From then on they are renewed.
        let tier = tier.time_to_live(RENEWED).lease(WAIT).build();
        let tier = tier.map_err(|error| unusable(&error))?;
        let cache = Cache::builder().capacity(CAPACITY).per_entry_ttl().build();
        let cache = cache.map_err(|error| unusable(&error))?;
        let tiered = Tiered::with_codec(cache, &tier, Packed);
        tiered.map(Self).map_err(|error| unusable(&error))
    }
}

impl Store for Shared {
    fn get_many(&self, all: &[Series]) -> Vec<Option<Arc<Candles>>> {
        self.0.blocking().get_many(all)
    }

    fn get_or_load(
        &self,
        series: Series,
        load: &dyn Fn() -> Result<Arc<Candles>, NoCandles>,
    ) -> Result<Arc<Candles>, NoCandles> {
        match self.0.blocking().get_or_load(&series, load) {
            Ok(candles) => Ok(candles),
            Err(TieredError::Failed(error)) => Err(NoCandles::clone(&error)),
            // It would wait for itself.
            Err(_) => load(),
        }
    }

    fn line(&self) -> String {
        let stats = self.0.tier().stats();
        format!(
            "{} candles from Redis, {} put there, {} look-ups failed, connected {} times",
            stats.hits, stats.puts, stats.errors, stats.connects
        )
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
