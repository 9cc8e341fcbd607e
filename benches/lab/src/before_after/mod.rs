//! Before and after: clients who ask for large pages behind a slow store, first through a naive cache
//! with the races in it, and then through `clockhand`.

mod clients;
mod clockhand;
mod naive;
mod page;
mod report;
mod store;

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;

use self::clients::serve;
use self::clockhand::Clockhand;
use self::naive::Naive;
use self::page::Held;
pub use self::report::{BeforeAfter, Side};
pub(crate) use self::report::{FIGURES, Figure};
use self::store::Store;
use crate::failure::Failure;

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// From the cache, at once.
    Hit,
    /// After a wait for the store.
    Loaded,
    /// Not at all.
    Failed,
}

/// What clients ask.
trait System: Sync {
    fn ask(&self, key: u64) -> Answer;

    /// Whether it has more than it was given, by its own account.
    fn beyond_bounds(&self) -> bool {
        false
    }
}

/// Who asks for what, and what they meet. Times are in proportion to the store's.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long each side takes.
    pub time: Duration,
    /// As much of it as does not count.
    pub warm_up: Duration,
    /// Clients, each a thread.
    pub clients: usize,
    /// Pages, asked for with Zipf's law.
    pub pages: u64,
    /// Its exponent.
    pub exponent: f64,
    /// Between an answer and the client's next request, on average.
    pub think: Duration,
    /// How long the store takes.
    pub store: Duration,
    /// Requests that it serves at once without getting slower.
    pub at_once: u64,
    /// How long a page is good.
    pub life: Duration,
    /// At which age it is renewed.
    pub refresh: Duration,
    /// How long it may stand in after that.
    pub grace: Duration,
    /// Bytes of pages.
    pub capacity: u64,
    /// Bytes of pages that were removed and are not freed yet.
    pub garbage: u64,
}

impl Terms {
    /// So many clients for so long in front of a store that takes this time.
    #[must_use]
    pub fn new(time: Duration, clients: usize, store: Duration) -> Self {
        Self {
            time,
            warm_up: time / 2,
            clients,
            pages: 400,
            exponent: 1.5,
            think: store / 4,
            store,
            at_once: 40,
            life: 2 * store,
            refresh: store,
            grace: 100 * store,
            capacity: 140_000_000,
            garbage: 8_000_000,
        }
    }

    fn lines(&self) -> [String; 3] {
        let (ms, mb) = (|time: Duration| time.as_millis(), |bytes: u64| bytes / 1_000_000);
        [
            format!(
                "{} clients, each a thread, ask for one of {} pages of 0.5 to 1.5 MB, by Zipf's law with the \
                 exponent {}, and then think for {} to {} ms; {} s each, of which the first {} s do not count",
                self.clients,
                self.pages,
                self.exponent,
                ms(self.think / 2),
                ms(self.think * 3 / 2),
                self.time.as_secs_f64(),
                self.warm_up.as_secs_f64()
            ),
            format!(
                "the store answers after {} ms, more slowly when it is asked for more than {} pages at once, and \
                 refuses more than {}",
                ms(self.store),
                self.at_once,
                2 * self.at_once
            ),
            format!(
                "pages are good for {} ms and are to take {} MB; clockhand renews them after {} ms, lets them \
                 stand in meanwhile, and may have {} MB to be freed",
                ms(self.life),
                mb(self.capacity),
                ms(self.refresh),
                mb(self.garbage)
            ),
        ]
    }
}

/// Runs both sides, one after the other.
///
/// # Errors
///
/// When the system refuses a thread.
pub(crate) fn run(terms: &Terms, bar: &ProgressBar) -> Result<BeforeAfter, Failure> {
    let (held, store) = stock(terms);
    let naive = Naive::new(Arc::clone(&store), terms.capacity, terms.life);
    bar.set_message("before");
    let before = serve("before", "a lock for each step", &naive, &store, &held, terms, bar)?;
    drop(naive);
    let (held, store) = stock(terms);
    let clockhand = Clockhand::new(Arc::clone(&store), terms)?;
    bar.set_message("after");
    let after = serve("after", "clockhand", &clockhand, &store, &held, terms, bar)?;
    Ok(BeforeAfter { setup: terms.lines().into(), before, after })
}

fn stock(terms: &Terms) -> (Held, Arc<Store>) {
    let held = Held::default();
    let store = Store::new(terms.store, terms.at_once, Arc::clone(&held));
    (held, Arc::new(store))
}
