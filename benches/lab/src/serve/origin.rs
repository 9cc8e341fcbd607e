//! Where candles come from: slow, and sometimes slower, or not there.

use std::cell::OnceCell;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use clockhand::Loader;

use super::series::Series;

/// How long the origin takes, for however many series.
const USUAL: Duration = Duration::from_millis(20);

/// How long its client waits.
const PATIENCE: Duration = Duration::from_millis(250);

/// Bars of the shortest answer; the longest one has four times as many.
const BARS: usize = 128;

/// Open, high, low, close, volume.
pub(super) type Bar = [f32; 5];

/// What a series cost over time.
#[derive(Debug)]
pub(super) struct Candles {
    pub(super) series: Series,
    pub(super) bars: Box<[Bar]>,
}

impl Candles {
    pub(super) fn bytes(&self) -> u64 {
        (size_of::<Self>() + size_of_val(&*self.bars)) as u64
    }
}

/// How the origin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OriginState {
    Usual,
    Slow,
    Down,
}

/// Why there are no candles.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum NoCandles {
    #[error("the origin did not answer in time")]
    TimedOut,
    #[error("the origin is down")]
    Down,
}

/// The origin, as its client sees it. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin(Arc<State>);

#[derive(Debug, Default)]
struct State {
    state: AtomicU8,
    requests: AtomicU64,
    /// What several services share before it.
    shared: OnceLock<Box<dyn Store>>,
}

/// Where candles may be that another service has loaded.
pub(super) trait Store: fmt::Debug + Send + Sync {
    fn get_many(&self, all: &[Series]) -> Vec<Option<Arc<Candles>>>;

    fn get_or_load(
        &self,
        series: Series,
        load: &dyn Fn() -> Result<Arc<Candles>, NoCandles>,
    ) -> Result<Arc<Candles>, NoCandles>;

    /// What it has done.
    fn line(&self) -> String;
}

impl Origin {
    /// An origin behind what several services share.
    pub(super) fn behind(shared: Option<Box<dyn Store>>) -> Self {
        let origin = Self::default();
        if let Some(shared) = shared {
            let _ = origin.0.shared.set(shared);
        }
        origin
    }

    pub(super) fn shared(&self) -> Option<&dyn Store> {
        self.0.shared.get().map(|shared| &**shared)
    }

    pub(super) fn set_state(&self, state: OriginState) {
        self.0.state.store(state as u8, Ordering::Relaxed);
    }

    pub(super) fn requests(&self) -> u64 {
        self.0.requests.load(Ordering::Relaxed)
    }

    /// Waits as the client has to.
    fn answer(&self) -> Result<(), NoCandles> {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        match self.0.state.load(Ordering::Relaxed) {
            slow if slow == OriginState::Slow as u8 => {
                thread::sleep(PATIENCE);
                Err(NoCandles::TimedOut)
            }
            down if down == OriginState::Down as u8 => Err(NoCandles::Down),
            _ => {
                thread::sleep(USUAL);
                Ok(())
            }
        }
    }
}

impl Loader<Series, Arc<Candles>> for Origin {
    type Error = NoCandles;

    fn load(&self, series: &Series) -> Result<Arc<Candles>, NoCandles> {
        let load = || self.answer().map(|()| candles(*series));
        match self.shared() {
            Some(shared) => shared.get_or_load(*series, &load),
            None => load(),
        }
    }

    fn load_many(&self, all: &[Series]) -> Result<Vec<Option<Arc<Candles>>>, NoCandles> {
        if let Some(shared) = self.shared() {
            // Asked once, for all that are missing.
            let answered = OnceCell::new();
            let found = shared.get_many(all).into_iter().zip(all).map(|(found, series)| {
                let load =
                    || answered.get_or_init(|| self.answer()).clone().map(|()| candles(*series));
                found.map_or_else(|| shared.get_or_load(*series, &load), Ok).map(Some)
            });
            return found.collect();
        }
        self.answer()?;
        Ok(all.iter().map(|series| Some(candles(*series))).collect())
    }
}

fn candles(series: Series) -> Arc<Candles> {
    let number = series.number();
    let length = BARS + (number.wrapping_mul(7919) % (3 * BARS as u64)) as usize;
    let bar = |at: usize| {
        let close = 100.0 + (number % 97) as f32 + (at % 13) as f32 / 8.0;
        [close - 0.5, close + 1.0, close - 1.0, close, 1000.0 + at as f32]
    };
    Arc::new(Candles { series, bars: (0..length).map(bar).collect() })
}
