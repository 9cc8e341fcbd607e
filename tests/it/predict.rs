//! Prediction: what is asked for again is renewed, what is not is left alone, and what follows a key is loaded with it.

use std::time::Duration;

use clockhand::Explanation;
use clockhand::predict::{Budget, ModelState};

use crate::support::market::Market;

const SECOND: Duration = Duration::from_secs(1);

fn reuse() -> Market {
    Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |predictor| predictor.budget(Budget::per_second(100.0)).successors(false),
    )
}

fn successors(capacity: u64) -> Market {
    Market::new(
        |cache| cache.capacity(capacity),
        |predictor| predictor.budget(Budget::share(10.0)).reuse(false),
    )
}

/// Keys below ten are read every second, those from a hundred on once in two minutes.
fn live(market: &Market, seconds: u64) -> (u64, u64) {
    let (mut waits_of_hot, mut waits_of_cold) = (0, 0);
    for second in 0..seconds {
        for key in 0..10 {
            waits_of_hot += u64::from(!market.read(key));
        }
        let cold = 100 + second % 120;
        waits_of_cold += u64::from(!market.read(cold));
        market.wait(SECOND);
    }
    (waits_of_hot, waits_of_cold)
}

#[test]
fn what_is_read_again_is_renewed_and_what_is_not_is_left_alone() {
    let market = reuse();
    live(&market, 240);
    assert_eq!(market.predictor.stats().reuse.state, ModelState::Active);
    let (before, loads) = (market.predictor.stats().reuse, market.predicted());
    let (hot, cold) = live(&market, 240);
    let stats = market.predictor.stats().reuse;
    assert_eq!(hot, 0, "no wait for what is read every second: {stats:?}");
    assert_eq!(cold, 240, "they are not worth a load");
    let (useful, wasted) = (stats.useful - before.useful, stats.wasted - before.wasted);
    assert!(useful >= 200 && wasted <= useful / 20, "{useful} useful, {wasted} wasted");
    assert!(market.predicted() - loads <= 280, "each of ten in each ten seconds");
}

#[test]
fn what_follows_a_key_is_loaded_with_it() {
    let market = successors(100);
    // Ten chains of ten keys, in an order that changes, and keys that come once in between.
    let mut once = 1_000_000;
    let mut waits = 0;
    for round in 0..200_u64 {
        waits = if round == 100 { 0 } else { waits };
        let chain = 100 * (round * 7 % 29);
        for key in chain..chain + 10 {
            waits += u64::from(!market.read(key));
            market.step();
        }
        for _ in 0..5 {
            once += 1;
            market.read(once);
            market.step();
        }
    }
    let stats = market.predictor.stats().successors;
    assert!(waits <= 300, "{waits} waits of 1000: {stats:?}");
    assert!(stats.precision.unwrap() > 0.8, "{stats:?}");
}

#[test]
fn an_explanation_says_what_was_prefetched() {
    let market = reuse();
    live(&market, 120);
    let explain = |key| market.quotes.explain(&key);
    market.read(100);
    let (renewed, asked) = (explain(0), explain(100));
    assert!(renewed.to_string().contains(", prefetched"), "{renewed}");
    assert!(matches!(renewed, Explanation::Resident { prefetched: true, .. }));
    assert!(matches!(asked, Explanation::Resident { prefetched: false, .. }), "{asked}");
    // A value that a caller puts in is none of the predictor's.
    market.quotes.cache().insert(0, 7);
    assert!(matches!(explain(0), Explanation::Resident { prefetched: false, .. }));
}

#[test]
fn what_ends_at_a_set_time_is_loaded_after_it() {
    let market = Market::new(
        |cache| cache.capacity(1_000).per_entry_ttl(),
        |predictor| predictor.budget(Budget::per_second(100.0)).successors(false),
    );
    // Candles of a minute: whenever one is loaded, it ends with the minute.
    let (clock, minute) = (market.clock.clone(), 60 * SECOND);
    let left = move || minute - Duration::from_secs(clock.elapsed().as_secs() % 60);
    *market.origin.life.lock().unwrap() = Some(Box::new(left));
    let mut waits = 0;
    for nth in 0..60 {
        // Some are asked for soon after each boundary.
        market.wait(3 * SECOND);
        waits = if nth == 40 { 0 } else { waits };
        (0..10).for_each(|key| waits += u64::from(!market.read(key)));
        market.wait(57 * SECOND);
    }
    let stats = market.predictor.stats().reuse;
    assert!(waits <= 10, "{waits} waits of 200: {stats:?}");
    assert!(market.predicted() <= 600, "one for each: {} {stats:?}", market.predicted());
}

#[test]
fn a_key_that_was_looked_at_too_late_is_looked_at_in_time_again() {
    let market = reuse();
    live(&market, 120);
    assert_eq!(market.predictor.stats().reuse.state, ModelState::Active);
    // No round for longer than values live.
    market.clock.advance(12 * SECOND);
    market.step();
    let before = market.predictor.stats().reuse.useful;
    live(&market, 50);
    let useful = market.predictor.stats().reuse.useful - before;
    assert!(useful >= 30, "each of ten in each ten seconds but the first: {useful}");
}

#[test]
fn a_value_that_lives_shorter_than_the_one_before_is_renewed_in_time() {
    let market = Market::new(
        |cache| cache.capacity(1_000).per_entry_ttl(),
        |predictor| predictor.budget(Budget::per_second(100.0)).successors(false),
    );
    let life = |life| *market.origin.life.lock().unwrap() = Some(Box::new(move || life));
    life(10 * SECOND);
    live(&market, 120);
    life(600 * SECOND);
    live(&market, 20);
    // All of them are written off, and live as long as before.
    life(10 * SECOND);
    (0..10).for_each(|key| _ = market.quotes.cache().invalidate(&key));
    let before = market.predictor.stats().reuse.useful;
    live(&market, 50);
    let useful = market.predictor.stats().reuse.useful - before;
    assert!(useful >= 30, "each of ten in each ten seconds but the first: {useful}");
}

#[test]
fn what_is_prefetched_has_room_where_all_keys_come_back() {
    let market = successors(300);
    let mut waits = 0;
    // Chains of sixteen keys, twice as many keys as there is room for, each time in another order; and keys that are asked
    // for all the time.
    for round in 0..1_600_u64 {
        waits = if round == 800 { 0 } else { waits };
        let chain = 10_000 + 100 * (round * round * 7 % 37);
        for nth in 0..16 {
            waits += u64::from(!market.read(chain + nth * (2 * round + 1) % 16));
            market.read((round * 3 + nth * 7) % 100);
            market.step();
        }
    }
    let stats = market.predictor.stats().successors;
    assert!(waits <= 1_100, "{waits} waits of 12800: {stats:?}");
    assert!(stats.precision.unwrap() > 0.85, "{stats:?}");
}

#[test]
fn where_no_value_ends_there_is_nothing_to_renew() {
    let reuse = |cache: fn(clockhand::Builder<u64, u64>) -> clockhand::Builder<u64, u64>| {
        let set_up = |it: clockhand::Builder<u64, u64>| cache(it.capacity(100));
        let market = Market::new(set_up, |predictor| predictor.budget(Budget::per_second(1.0)));
        market.step();
        market.predictor.stats().reuse.state
    };
    // All of them keep time.
    assert_eq!(reuse(|cache| cache), ModelState::Off);
    assert_eq!(reuse(|cache| cache.tags()), ModelState::Off);
    assert_eq!(reuse(|cache| cache.time_to_live(SECOND)), ModelState::Learning);
    assert_eq!(reuse(|cache| cache.time_to_idle(SECOND)), ModelState::Learning);
    assert_eq!(reuse(|cache| cache.per_entry_ttl()), ModelState::Learning);
}
