//! Days of requests for market data, generated: the same for the same seed.
//!
//! Weeks begin with a Monday. On weekdays the exchange is open from 9:30 to 16:00; by night and on
//! weekends hardly anybody asks. A *rank* is a symbol's place in popularity; who holds it changes.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::zipf::Zipf;

pub(super) const HOUR: u64 = 3_600_000;
pub(super) const DAY: u64 = 24 * HOUR;
const SECOND: f64 = 1000.0;
const QUARTER: u64 = HOUR / 4;

const OPEN: u64 = 9 * HOUR + HOUR / 2;
const CLOSE: u64 = 16 * HOUR;

/// Symbols that one index has, and that its screen shows.
const CONSTITUENTS: usize = 12;
const INDICES: usize = 12;

/// What a key stands for; it says how long its value lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lives for a minute.
    Quote,
    /// Lives until the next quarter of an hour begins.
    Candle,
    /// Lives for an hour.
    Profile,
    /// Asked for once; lives for ten minutes.
    Once,
}

const KINDS: [Kind; 4] = [Kind::Quote, Kind::Candle, Kind::Profile, Kind::Once];
const KIND_SHIFT: u32 = 40;

impl Kind {
    pub(super) fn key(self, id: u64) -> u64 {
        (self as u64) << KIND_SHIFT | id
    }

    pub(super) fn of(key: u64) -> Self {
        KINDS[(key >> KIND_SHIFT) as usize % KINDS.len()]
    }

    /// How long a value lives that is loaded at this time.
    pub(super) fn life(self, now: u64) -> u64 {
        match self {
            Self::Quote => 60_000,
            Self::Candle => QUARTER - now % QUARTER,
            Self::Profile => HOUR,
            Self::Once => 10 * 60_000,
        }
    }
}

/// One request, in milliseconds from the first midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) at: u64,
    pub(super) key: u64,
}

/// From a day on, everything is an hour earlier, and a fifth of the symbols are others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drift {
    pub(super) from_day: u64,
}

/// What is generated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) symbols: u64,
    pub(super) days: u64,
    pub(super) seed: u64,
    pub(super) drift: Option<Drift>,
}

impl Plan {
    /// All requests, in order of time.
    pub(super) fn requests(self) -> Vec<Request> {
        let mut market = Market::new(self);
        let mut all = Vec::new();
        for day in 0..self.days {
            market.day(day, &mut all);
        }
        all.sort_unstable();
        all
    }
}

struct Market {
    plan: Plan,
    random: SmallRng,
    popularity: Zipf,
    /// The symbol that holds each rank.
    symbols: Vec<u64>,
    next_symbol: u64,
    next_once: u64,
    /// Ranks of what each index's screen shows, in order.
    screens: Vec<[usize; CONSTITUENTS]>,
    /// By rank: the partner that is asked for soon after, if there is one.
    partners: Vec<Option<usize>>,
    /// Ranks whose candles are watched.
    watched: Vec<usize>,
    /// Ranks of the profiles that a job asks for every weekday, and those of Fridays, in order.
    jobs: [Vec<usize>; 2],
}

impl Market {
    fn new(plan: Plan) -> Self {
        let mut random = SmallRng::seed_from_u64(plan.seed);
        let count = plan.symbols as usize;
        let mut pick = |chance: f64| -> Vec<usize> {
            let mut ranks: Vec<usize> = (0..count).filter(|_| random.random_bool(chance)).collect();
            shuffle(&mut ranks, &mut random);
            ranks
        };
        let jobs = [pick(0.25), pick(0.2)];
        let watched = pick(0.35);
        let pairs = pick(0.2);
        let mut partners = vec![None; count];
        pairs.chunks_exact(2).for_each(|pair| partners[pair[0]] = Some(pair[1]));
        let screens = (0..INDICES).map(|_| std::array::from_fn(|_| random.random_range(0..count)));
        let screens = screens.collect();
        Self {
            popularity: Zipf::new(plan.symbols, 0.9),
            symbols: (0..plan.symbols).collect(),
            next_symbol: plan.symbols,
            next_once: 0,
            random,
            plan,
            screens,
            partners,
            watched,
            jobs,
        }
    }

    fn day(&mut self, day: u64, all: &mut Vec<Request>) {
        let drifts = self.plan.drift.is_some_and(|drift| drift.from_day == day);
        self.replace(if drifts { 0.2 } else { 0.01 });
        let shifted = self.plan.drift.is_some_and(|drift| day >= drift.from_day);
        let midnight = day * DAY - u64::from(shifted) * HOUR;
        for minute in 0..1440 {
            let within = minute * 60_000;
            let rate = self.plan.symbols as f64 / 50.0 * activity(within, day) / SECOND;
            let mut at = within as f64;
            loop {
                at -= (1.0 - self.random.random::<f64>()).ln() / rate;
                if at >= (within + 60_000) as f64 {
                    break;
                }
                self.request(midnight + at as u64, all);
            }
        }
        if is_weekday(day) {
            self.candles(midnight, all);
            self.job(0, midnight + 8 * HOUR + 2 * HOUR / 3, all);
        }
        if day % 7 == 4 {
            self.job(1, midnight + CLOSE + HOUR / 2, all);
        }
    }

    /// Gives a share of the ranks to new symbols.
    fn replace(&mut self, share: f64) {
        for symbol in &mut self.symbols {
            if self.random.random_bool(share) {
                *symbol = self.next_symbol;
                self.next_symbol += 1;
            }
        }
    }

    fn ask(&self, kind: Kind, rank: usize, at: u64, all: &mut Vec<Request>) {
        all.push(Request { at, key: kind.key(self.symbols[rank]) });
    }

    /// One user's click, and what follows from it.
    fn request(&mut self, at: u64, all: &mut Vec<Request>) {
        let rank = self.popularity.draw(&mut self.random) as usize;
        match self.random.random_range(0..100) {
            0..12 => {
                self.next_once += 1;
                all.push(Request { at, key: Kind::Once.key(self.next_once) });
            }
            12..18 => self.screen(at, all),
            18..28 => self.ask(Kind::Profile, rank, at, all),
            28..32 => self.ask(Kind::Candle, rank, at, all),
            _ => {
                self.ask(Kind::Quote, rank, at, all);
                let partner = self.partners[rank].filter(|_| self.random.random_bool(0.8));
                let later = self.random.random_range(1_000..3_000);
                if let Some(partner) = partner {
                    self.ask(Kind::Quote, partner, at + later, all);
                }
            }
        }
    }

    /// An index and, soon after, its constituents.
    fn screen(&mut self, at: u64, all: &mut Vec<Request>) {
        let index = self.random.random_range(0..INDICES);
        all.push(Request { at, key: Kind::Quote.key((1 << 30) + index as u64) });
        let mut at = at + self.random.random_range(500..2_000);
        for rank in self.screens[index] {
            if self.random.random_bool(0.9) {
                self.ask(Kind::Quote, rank, at, all);
            }
            at += self.random.random_range(50..200);
        }
    }

    /// Those who watch candles ask for the new ones soon after each boundary.
    fn candles(&mut self, midnight: u64, all: &mut Vec<Request>) {
        for boundary in (OPEN..=CLOSE).step_by(QUARTER as usize) {
            for nth in 0..self.watched.len() {
                if self.random.random_bool(0.95) {
                    let later = self.random.random_range(500..20_000);
                    self.ask(Kind::Candle, self.watched[nth], midnight + boundary + later, all);
                }
            }
        }
    }

    /// A job that asks for profiles, one after the other, always in the same order.
    fn job(&mut self, job: usize, begin: u64, all: &mut Vec<Request>) {
        let mut at = begin + self.random.random_range(0..60_000);
        for nth in 0..self.jobs[job].len() {
            self.ask(Kind::Profile, self.jobs[job][nth], at, all);
            at += self.random.random_range(300..700);
        }
    }
}

/// How much is asked for, at this time of the day: 1 while trade is calm.
fn activity(within: u64, day: u64) -> f64 {
    if !is_weekday(day) {
        return 0.003;
    }
    let minutes = |since: u64, now: u64| now.saturating_sub(since) as f64 / 60_000.0;
    match within {
        ..7_200_000 => 0.005,
        _ if within < OPEN - 2 * HOUR => 0.01,
        _ if within < OPEN => 0.1,
        _ if within < CLOSE => {
            let opening = 6.0 * (-minutes(OPEN, within) / 10.0).exp();
            let closing = 2.0 * (-minutes(within, CLOSE) / 15.0).exp();
            let lunch = (12 * HOUR..13 * HOUR).contains(&within);
            if lunch { 0.6 } else { 1.0 + opening + closing }
        }
        _ if within < CLOSE + 2 * HOUR => 0.1,
        _ => 0.01,
    }
}

fn is_weekday(day: u64) -> bool {
    day % 7 < 5
}

fn shuffle(ranks: &mut [usize], random: &mut SmallRng) {
    for last in (1..ranks.len()).rev() {
        ranks.swap(last, random.random_range(0..=last));
    }
}
