//! A service that asks for quotes of some symbols all the time, and for others hardly ever: the former are renewed
//! before they end, so no request waits for them.

use std::time::Duration;

use clockhand::predict::{Budget, Features, ModelState, Predictor};
use clockhand::{Cache, Clock, LoadSource};

/// What the service knows of its keys.
struct Symbols;

impl Features<String> for Symbols {
    /// Stopped one by one, where predictions are wrong.
    fn class(&self, symbol: &String) -> u8 {
        u8::from(symbol.starts_with("FX:"))
    }

    /// A wait costs five times as much as a load.
    fn load_cost(&self, _: &String) -> f64 {
        0.2
    }
}

pub(crate) fn main() {
    // A clock that is moved by hand, so that this takes no time; with the usual one, `start` instead of `build`.
    let (clock, time) = Clock::manual();
    let cache = Cache::builder()
        .capacity(10_000)
        .time_to_live(Duration::from_secs(30))
        .clock(clock)
        .name("quotes")
        .build()
        .expect("sound settings");
    let quotes = cache.loading(|symbol: &String| Ok::<_, String>(symbol.len()));
    let predictor = Predictor::builder(&quotes)
        .budget(Budget::per_second(20.0))
        .features(Symbols)
        .unix_time(Duration::from_secs(1_800_000_000))
        .build()
        .expect("sound settings");

    let watched: Vec<String> = (0..20).map(|nth| format!("FX:{nth}")).collect();
    let mut waits = 0;
    for second in 0..1_200 {
        waits = if second == 600 { 0 } else { waits };
        for symbol in &watched {
            let quote = quotes.get_with_source(symbol).expect("the origin is up");
            waits += u32::from(quote.source != LoadSource::Hit);
        }
        // One that nobody asks for again.
        quotes.get(&format!("EQ:{second}")).expect("the origin is up");
        for _ in 0..10 {
            time.advance(Duration::from_millis(100));
            predictor.step();
        }
    }

    let stats = predictor.stats();
    println!("{waits} waits for what is watched; {:?}", stats.reuse);
    assert_eq!(waits, 0, "after ten minutes it knows what is watched");
    assert_eq!(stats.reuse.state, ModelState::Active);
    assert!(stats.reuse.precision.is_some_and(|precision| precision > 0.9));
    println!("{}", quotes.explain(&watched[0]));
    predictor.stop();
}
