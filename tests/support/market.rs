//! A cache with a loader and a predictor under a manual clock, and what its loader was asked for.

use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clockhand::predict::{Predictor, PredictorBuilder};
use clockhand::{Builder, Cache, Clock, Fresh, Loader, LoadingCache, ManualClock};

pub(crate) type Fixed = BuildHasherDefault<DefaultHasher>;
pub(crate) type Quotes = LoadingCache<u64, u64, Origin, Fixed>;

pub(crate) type Life = Box<dyn Fn() -> Duration + Send>;
pub(crate) type Meanwhile = Box<dyn Fn(u64) + Send>;

/// Answers a key with the number of the load; fails when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    pub(crate) loads: Arc<Mutex<Vec<u64>>>,
    pub(crate) fails: Arc<AtomicBool>,
    /// A load of [`HELD`](Self::HELD) waits for this.
    pub(crate) hold: Arc<Mutex<()>>,
    /// Is done while a load of the predictor's runs.
    pub(crate) meanwhile: Arc<Mutex<Option<Meanwhile>>>,
    /// How long values live, if that is said.
    pub(crate) life: Arc<Mutex<Option<Life>>>,
    predicting: Arc<AtomicBool>,
    pub(crate) predicted: Arc<AtomicU64>,
}

impl Origin {
    pub(crate) const HELD: u64 = u64::MAX;
}

impl Loader<u64, u64> for Origin {
    type Error = String;

    fn load_fresh(&self, key: &u64) -> Result<Fresh<u64>, String> {
        let fresh = Fresh::new(self.load(key)?);
        let life = self.life.lock().expect("not poisoned");
        Ok(life.as_ref().map_or(fresh, |life| fresh.ttl(life())))
    }

    fn reload_fresh(&self, key: &u64, _: &u64) -> Result<Fresh<u64>, String> {
        self.load_fresh(key)
    }

    fn load(&self, key: &u64) -> Result<u64, String> {
        if *key == Self::HELD {
            drop(self.hold.lock().expect("not poisoned"));
        }
        if self.predicting.load(Ordering::SeqCst)
            && let Some(meanwhile) = &*self.meanwhile.lock().expect("not poisoned")
        {
            meanwhile(*key);
        }
        let mut loads = self.loads.lock().expect("not poisoned");
        loads.push(*key);
        if self.predicting.load(Ordering::SeqCst) {
            self.predicted.fetch_add(1, Ordering::SeqCst);
        }
        if self.fails.load(Ordering::SeqCst) { Err("down".into()) } else { Ok(loads.len() as u64) }
    }
}

pub(crate) struct Market {
    pub(crate) clock: ManualClock,
    pub(crate) quotes: Quotes,
    pub(crate) origin: Origin,
    pub(crate) predictor: Predictor,
}

impl Market {
    /// With a cache and a predictor of the test's choice.
    pub(crate) fn new(
        cache: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>,
        predictor: impl FnOnce(
            PredictorBuilder<u64, u64, Origin, Fixed>,
        ) -> PredictorBuilder<u64, u64, Origin, Fixed>,
    ) -> Self {
        let (clock, manual) = Clock::manual();
        let builder = cache(Cache::builder().clock(clock)).hasher(Fixed::default());
        let origin = Origin::default();
        let quotes = builder.build().expect("sound settings").loading(origin.clone());
        let unix = Duration::from_secs(1_750_000_000);
        let builder = Predictor::builder(&quotes).unix_time(unix);
        let predictor = predictor(builder).build().expect("sound settings");
        Self { clock: manual, quotes, origin, predictor }
    }

    pub(crate) fn step(&self) {
        self.origin.predicting.store(true, Ordering::SeqCst);
        assert!(self.predictor.step());
        self.origin.predicting.store(false, Ordering::SeqCst);
    }

    /// Reads a key; whether it was there.
    pub(crate) fn read(&self, key: u64) -> bool {
        let before = self.quotes.stats().hits;
        self.quotes.get(&key).ok();
        self.quotes.stats().hits > before
    }

    /// Lets time go by, in small steps.
    pub(crate) fn wait(&self, time: Duration) {
        let step = Duration::from_millis(50);
        let mut left = time;
        while !left.is_zero() {
            let by = left.min(step);
            self.clock.advance(by);
            self.step();
            left -= by;
        }
    }

    pub(crate) fn predicted(&self) -> u64 {
        self.origin.predicted.load(Ordering::SeqCst)
    }
}
