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

/// Pages, asked for with Zipf's law, with this exponent.
const PAGES: u64 = 400;
const EXPONENT: f64 = 1.5;
/// How many requests the store serves at once without getting slower.
const AT_ONCE: u64 = 40;
/// Bytes of pages, and of those that were removed and are not freed yet.
const CAPACITY: u64 = 140_000_000;
const GARBAGE: u64 = 8_000_000;

/// Who asks, for how long, and how long the store takes. All other times are in proportion to that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Of each side; half of it does not count.
    pub time: Duration,
    /// Each a thread.
    pub clients: usize,
    pub store: Duration,
}

impl Terms {
    fn warm_up(self) -> Duration {
        self.time / 2
    }

    /// Between an answer and the client's next request, on average.
    fn think(self) -> Duration {
        self.store / 4
    }

    /// How long a page is good, at which age it is renewed, and how long it may stand in after that.
    fn life(self) -> Duration {
        2 * self.store
    }

    fn refresh(self) -> Duration {
        self.store
    }

    fn grace(self) -> Duration {
        100 * self.store
    }

    fn lines(self) -> [String; 3] {
        let (ms, mb) = (|time: Duration| time.as_millis(), |bytes: u64| bytes / 1_000_000);
        [
            format!(
                "{} clients, each a thread, ask for one of {} pages of 0.5 to 1.5 MB, by Zipf's law with the \
                 exponent {}, and then think for {} to {} ms; {} s each, of which the first {} s do not count",
                self.clients,
                PAGES,
                EXPONENT,
                ms(self.think() / 2),
                ms(self.think() * 3 / 2),
                self.time.as_secs_f64(),
                self.warm_up().as_secs_f64()
            ),
            format!(
                "the store answers after {} ms, more slowly when it is asked for more than {} pages at once, and \
                 refuses more than {}",
                ms(self.store),
                AT_ONCE,
                2 * AT_ONCE
            ),
            format!(
                "pages are good for {} ms and are to take {} MB; clockhand renews them after {} ms, lets them \
                 stand in meanwhile, and may have {} MB to be freed",
                ms(self.life()),
                mb(CAPACITY),
                ms(self.refresh()),
                mb(GARBAGE)
            ),
        ]
    }
}

/// Runs both sides, one after the other.
pub(crate) fn run(terms: Terms, bar: &ProgressBar) -> Result<BeforeAfter, Failure> {
    let pages = Pages::new(terms);
    let naive = Naive::new(Arc::clone(&pages), CAPACITY, terms.life());
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
    terms: Terms,
    bar: &ProgressBar,
) -> Result<Side, Failure> {
    bar.set_message(name);
    let law = Zipf::new(PAGES, EXPONENT);
    let (mut memory, mut beyond_bounds) = (None, 0);
    let clients = Clients {
        number: terms.clients,
        think: terms.think(),
        counts_from: terms.warm_up(),
        warm_up: terms.warm_up(),
    };
    let look = |time| {
        beyond_bounds += u64::from(system.beyond_bounds());
        if time >= terms.warm_up() {
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
