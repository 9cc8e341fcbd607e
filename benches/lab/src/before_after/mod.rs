//! Before and after: clients who ask for large pages behind a slow store, first through a naive cache
//! with the races in it, and then through `clockhand`.

mod page;
mod report;
mod sides;

use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use rand::rngs::SmallRng;

use self::page::Pages;
pub(crate) use self::report::{BeforeAfter, FIGURES, Figure, Side};
use self::sides::{Clockhand, Naive};
use crate::clients::{Answer, Clients, let_pass};
use crate::failure::Failure;
use crate::zipf::Zipf;

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
pub(crate) struct Terms {
    /// Of each side, and as much of it as does not count.
    pub time: Duration,
    pub warm_up: Duration,
    /// Each a thread.
    pub clients: usize,
    /// Asked for with Zipf's law, with this exponent.
    pub pages: u64,
    pub exponent: f64,
    /// Between an answer and the client's next request, on average.
    pub think: Duration,
    /// How long the store takes, and how many requests it serves at once without getting slower.
    pub store: Duration,
    pub at_once: u64,
    /// How long a page is good, at which age it is renewed, and how long it may stand in after that.
    pub life: Duration,
    pub refresh: Duration,
    pub grace: Duration,
    /// Bytes of pages, and of those that were removed and are not freed yet.
    pub capacity: u64,
    pub garbage: u64,
}

impl Terms {
    /// Clients in front of a store that takes this time.
    pub(crate) fn new(time: Duration, clients: usize, store: Duration) -> Self {
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
pub(crate) fn run(terms: &Terms, bar: &ProgressBar) -> Result<BeforeAfter, Failure> {
    let pages = Pages::new(terms);
    let naive = Naive::new(Arc::clone(&pages), terms.capacity, terms.life);
    let before = serve(["before", "a lock for each step"], &naive, &pages, terms, bar)?;
    drop(naive);
    let pages = Pages::new(terms);
    let clockhand = Clockhand::new(Arc::clone(&pages), terms)?;
    let after = serve(["after", "clockhand"], &clockhand, &pages, terms, bar)?;
    Ok(BeforeAfter { setup: terms.lines().into(), before, after })
}

/// Lets the clients ask a system for the time of the terms, and watches the memory meanwhile.
fn serve(
    [name, by]: [&'static str; 2],
    system: &impl System,
    pages: &Pages,
    terms: &Terms,
    bar: &ProgressBar,
) -> Result<Side, Failure> {
    bar.set_message(name);
    let law = Zipf::new(terms.pages, terms.exponent);
    let (mut memory, mut beyond_bounds) = (None, 0);
    let clients = Clients {
        number: terms.clients,
        think: terms.think,
        counts_from: terms.warm_up,
        warm_up: terms.warm_up,
    };
    let look = |time| {
        beyond_bounds += u64::from(system.beyond_bounds());
        if time >= terms.warm_up {
            let bytes = pages.bytes();
            let (low, high) = memory.unwrap_or((bytes, bytes));
            memory = Some((bytes.min(low), bytes.max(high)));
        }
    };
    let draw = |random: &mut SmallRng| law.draw(random);
    let met = clients.run(draw, |key| system.ask(key), || let_pass(terms.time, bar, look))?;
    let (memory_low, memory_high) = memory.unwrap_or_default();
    let requests = met.requests();
    let share = |part: f64| part / requests.max(1) as f64;
    Ok(Side {
        name,
        by,
        requests,
        response_seconds: share(met.responding.as_secs_f64()),
        response_ns: met.response_ns,
        errors: met.failed,
        error_rate: share(met.failed as f64),
        hits: met.hits,
        hit_ratio: share(met.hits as f64),
        memory_low,
        memory_high,
        loads: pages.store.loads(),
        loads_beside_others: pages.store.loads_beside_others(),
        beyond_bounds,
    })
}
