//! A price feed that is always there: values are renewed ahead of their expiry, and old ones stand in
//! while the source is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use clockhand::{Cache, Clock, LoadSource, Loader, Warmer};

const SECOND: Duration = Duration::from_secs(1);

/// Where prices come from.
#[derive(Clone, Default)]
struct Exchange {
    ticks: Arc<AtomicU64>,
    closed: Arc<AtomicBool>,
}

impl Loader<&'static str, u64> for Exchange {
    type Error = String;

    fn load(&self, symbol: &&'static str) -> Result<u64, String> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(format!("no price for {symbol}: the exchange is closed"));
        }
        Ok(self.ticks.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

pub(crate) fn main() {
    // Time that the example moves by itself; leave `clock` out for the real one.
    let (clock, time) = Clock::manual();
    let exchange = Exchange::default();
    let prices = Cache::builder()
        .capacity(10_000)
        .time_to_live(5 * SECOND)
        .clock(clock)
        .build()
        .expect("the settings agree")
        .loading(exchange.clone())
        .refresh_after(SECOND)
        .stale_if_error(60 * SECOND)
        // By default threads of the library renew values. Here each job is run at once, so that the example is
        // the same each time.
        .executor(|job| job())
        .build()
        .expect("prices are renewed before they expire");

    assert_eq!(prices.get(&"EURUSD"), Ok(1));

    // A second later a reader gets the old price at once, and sets off a reload for the next one.
    time.advance(SECOND);
    assert_eq!(prices.get(&"EURUSD"), Ok(1));
    assert_eq!(prices.get(&"EURUSD"), Ok(2));

    // The exchange closes. The price stays until it expires, and stands in beyond that.
    exchange.closed.store(true, Ordering::SeqCst);
    time.advance(4 * SECOND);
    assert_eq!(prices.get(&"EURUSD"), Ok(2));
    time.advance(10 * SECOND);
    let loaded = prices.get_with_source(&"EURUSD").expect("an old price is better than none");
    assert_eq!((loaded.value, loaded.source), (2, LoadSource::Stale));
    assert!(prices.get(&"USDJPY").is_err(), "there never was one");

    // Keys that have to be there before anybody asks for them.
    exchange.closed.store(false, Ordering::SeqCst);
    let warmer = Warmer::start(&prices, ["EURUSD", "USDJPY"], SECOND).expect("a thread");
    while warmer.status().rounds == 0 {
        std::thread::yield_now();
    }
    assert!(prices.cache().contains_key("USDJPY"));
    let status = warmer.stop();
    assert!(status.renewed >= 2 && status.failed == 0);
}
