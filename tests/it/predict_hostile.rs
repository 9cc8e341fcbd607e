//! Prediction with what nobody should do: keys whose own code panics, settings at their ends, calls in a strange order,
//! a clock that was set back, lifetimes where the builder knows of none.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use clockhand::predict::{
    Budget, Features, MIN_MEMORY, ModelState, PredictError, Predictor, PredictorBuilder,
    PredictorStats,
};
use clockhand::{Cache, Clock, Fresh, Loader, LoadingCache, ManualClock};

use crate::support::eventually;
use crate::support::market::{Fixed, Market, Origin};

const SECOND: Duration = Duration::from_secs(1);

/// What of a key's code panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panics {
    Clone,
    Eq,
    Hash,
    Drop,
}

thread_local! {
    /// What panics on this thread, and in how many calls one does.
    static PANICS: Cell<Option<(Panics, u64)>> = const { Cell::new(None) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn panic_if(what: Panics) {
    let each = PANICS.get().filter(|(panics, _)| *panics == what && !std::thread::panicking());
    if let Some((_, each)) = each {
        CALLS.set(CALLS.get() + 1);
        assert!(!CALLS.get().is_multiple_of(each), "{what:?} of a key");
    }
}

#[derive(Debug)]
struct Key(u64);

impl Clone for Key {
    fn clone(&self) -> Self {
        panic_if(Panics::Clone);
        Self(self.0)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        panic_if(Panics::Eq);
        self.0 == other.0
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        panic_if(Panics::Hash);
        self.0.hash(state);
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        panic_if(Panics::Drop);
    }
}

/// A load costs little, so that there are many.
struct Cheap;

impl Features<Key> for Cheap {
    fn load_cost(&self, _: &Key) -> f64 {
        0.1
    }
}

struct Counted(Arc<AtomicU64>);

impl Loader<Key, u64> for Counted {
    type Error = String;

    fn load(&self, key: &Key) -> Result<u64, String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(key.0)
    }
}

type Quotes = LoadingCache<Key, u64, Counted, Fixed>;

fn set_up(quotes: &Quotes) -> PredictorBuilder<Key, u64, Counted, Fixed> {
    let builder = Predictor::builder(quotes).budget(Budget::per_second(50.0)).features(Cheap);
    builder.precision_floor(0.0).memory(4 * MIN_MEMORY)
}

fn quotes(lives: Duration, clock: Clock, loads: &Arc<AtomicU64>) -> Quotes {
    let builder = Cache::builder().clock(clock).capacity(60).time_to_live(lives);
    builder.hasher(Fixed::default()).build().unwrap().loading(Counted(Arc::clone(loads)))
}

/// Reads keys of which some are evicted and follow each other, and some are read all the time.
fn live(quotes: &Quotes, clock: &ManualClock, predictor: &Predictor, seconds: u64) {
    for second in 0..seconds {
        (0..20).for_each(|key| assert_eq!(quotes.get(&Key(key)), Ok(key)));
        let chain = 1_000 + second * second % 7 * 10;
        for key in chain..chain + 8 {
            assert_eq!(quotes.get(&Key(key)), Ok(key));
            clock.advance(SECOND / 8);
            assert!(predictor.step());
        }
    }
}

/// Has a round each 100 milliseconds while this panics; twice in a row and more.
fn rounds_that_panic(
    (quotes, clock, predictor): (&Quotes, &ManualClock, &Predictor),
    case: (Panics, u64),
) {
    for _ in 0..200 {
        (0..20).chain(1_000..1_030).for_each(|key| drop(quotes.get(&Key(key))));
        clock.advance(SECOND / 10);
        PANICS.set(Some(case));
        let there = predictor.step();
        PANICS.set(None);
        assert!(there && predictor.stats().memory <= 4 * MIN_MEMORY, "{case:?}");
    }
}

fn useful(stats: &PredictorStats) -> u64 {
    stats.reuse.useful + stats.successors.useful
}

#[test]
fn keys_whose_code_panics_are_passed_over_and_no_round_ends() {
    for what in [Panics::Clone, Panics::Eq, Panics::Hash] {
        // One call in three panics, or each.
        for case in [(what, 3), (what, 1)] {
            let (clock, manual) = Clock::manual();
            let loads = Arc::new(AtomicU64::new(0));
            let quotes = quotes(10 * SECOND, clock, &loads);
            let predictor = set_up(&quotes).unix_time(SECOND).build().unwrap();
            live(&quotes, &manual, &predictor, 60);
            let before = predictor.stats();
            rounds_that_panic((&quotes, &manual, &predictor), case);
            let between = predictor.stats();
            assert!(between.panics >= before.panics + 2, "{case:?}: {between:?}");
            assert_eq!(between.rounds, before.rounds + 200, "each round came to its end");
            live(&quotes, &manual, &predictor, 60);
            let after = predictor.stats();
            assert_eq!(after.panics, between.panics, "{case:?}");
            let gained = useful(&after) - useful(&between);
            assert!(gained > useful(&before) / 2, "as before: {case:?}: {after:?}");
            assert!(after.loads <= 50 * manual.elapsed().as_secs(), "{case:?}: {after:?}");
        }
    }
}

#[test]
fn a_destructor_that_panics_ends_a_round_at_most() {
    let (clock, manual) = Clock::manual();
    let loads = Arc::new(AtomicU64::new(0));
    let quotes = quotes(10 * SECOND, clock, &loads);
    let predictor = set_up(&quotes).unix_time(SECOND).build().unwrap();
    live(&quotes, &manual, &predictor, 60);
    let before = predictor.stats();
    for _ in 0..200 {
        (0..20).chain(1_000..1_030).for_each(|key| drop(quotes.get(&Key(key))));
        manual.advance(SECOND / 10);
        PANICS.set(Some((Panics::Drop, 7)));
        let caught = std::panic::catch_unwind(|| predictor.step());
        PANICS.set(None);
        drop(caught);
    }
    let between = predictor.stats();
    live(&quotes, &manual, &predictor, 60);
    let after = predictor.stats();
    let gained = useful(&after) - useful(&between);
    assert!(gained > useful(&before) / 2, "as before: {after:?}");
    assert!(after.memory <= 4 * MIN_MEMORY && after.loads <= 50 * manual.elapsed().as_secs());
}

#[test]
fn a_key_that_panics_while_it_is_saved_or_restored_changes_nothing() {
    let quotes = Cache::builder().capacity(100).hasher(Fixed::default()).build().unwrap();
    let quotes = quotes.loading(|key: &Name| Ok::<_, String>(key.0));
    let builder = || Predictor::builder(&quotes).budget(Budget::per_second(10.0)).save_keys();
    let predictor = builder().build().unwrap();
    (0..10).for_each(|key| drop(quotes.get(&Name(key))));
    predictor.step();
    let mut bytes = Vec::new();
    predictor.save_to(&mut bytes).unwrap();
    let save = || {
        HASH_PANICS.set(true);
        let caught = std::panic::catch_unwind(|| predictor.save_to(std::io::sink()));
        HASH_PANICS.set(false);
        caught.is_err()
    };
    assert!(save() && save(), "the panic is the caller's");
    assert!(predictor.step() && predictor.stop().keys > 0);
    for _ in 0..2 {
        let restored = builder().restore_from(&*bytes).unwrap();
        HASH_PANICS.set(true);
        let built = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| restored.build()));
        HASH_PANICS.set(false);
        assert!(built.is_err());
    }
    // The place of the one predictor was given back.
    assert!(builder().restore_from(&*bytes).unwrap().build().unwrap().step());
}

thread_local! {
    static HASH_PANICS: Cell<bool> = const { Cell::new(false) };
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Name(u64);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!HASH_PANICS.get(), "the hash of a name");
        self.0.hash(state);
    }
}

#[test]
fn its_thread_survives_keys_that_panic() {
    static PANICS: AtomicBool = AtomicBool::new(true);
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Symbol(u64);
    impl Clone for Symbol {
        fn clone(&self) -> Self {
            let by_predictor = std::thread::current().name() == Some("clockhand-pred");
            assert!(!by_predictor || !PANICS.load(Ordering::SeqCst), "the clone of a symbol");
            Self(self.0)
        }
    }
    let cache = Cache::builder().capacity(100).time_to_live(Duration::from_millis(400));
    let quotes = cache.build().unwrap().loading(|key: &Symbol| Ok::<_, String>(key.0));
    let builder = Predictor::builder(&quotes).budget(Budget::per_second(1e6)).cpu_share(0.5);
    let predictor = builder.precision_floor(0.0).start().unwrap();
    let reads_until = |done: &dyn Fn(&PredictorStats) -> bool| {
        eventually(|| {
            (0..20).for_each(|key| drop(quotes.get(&Symbol(key))));
            done(&predictor.stats())
        })
    };
    assert!(reads_until(&|stats| stats.panics > 40), "{:?}", predictor.stats());
    PANICS.store(false, Ordering::SeqCst);
    assert!(reads_until(&|stats| stats.reuse.useful >= 20), "{:?}", predictor.stats());
}

/// Reads keys below twenty every second.
fn read(market: &Market, seconds: u64) {
    for _ in 0..seconds {
        (0..20).for_each(|key| _ = market.read(key));
        market.wait(SECOND);
    }
}

type MarketBuilder = PredictorBuilder<u64, u64, Origin, Fixed>;

fn market(predictor: impl FnOnce(MarketBuilder) -> MarketBuilder) -> Market {
    Market::new(
        |cache| cache.capacity(1_000).time_to_live(10 * SECOND),
        |builder| predictor(builder.budget(Budget::per_second(100.0))),
    )
}

#[test]
fn settings_at_their_ends_are_refused_or_work() {
    let quotes = Cache::new(10).loading(|key: &u64| Ok::<_, String>(*key));
    for bytes in [usize::MAX, isize::MAX as usize, 1 << 60] {
        let refused =
            Predictor::builder(&quotes).budget(Budget::per_second(1.0)).memory(bytes).build();
        assert!(
            matches!(refused, Err(PredictError::TooMuchMemory { bytes: told }) if told == bytes)
        );
    }
    // No load may start beside none; nothing is refused.
    let none = market(|builder| builder.max_running(0));
    read(&none, 120);
    assert_eq!(none.predicted(), 0, "{:?}", none.predictor.stats());
    assert!(none.predictor.stats().loads_held_back > 0);
    // Whatever is far enough ahead, within a part of its life.
    let far = market(|builder| builder.horizon(Duration::MAX).max_running(usize::MAX));
    read(&far, 120);
    assert!(far.predicted() > 100 && far.predictor.stats().reuse.wasted < 20);
    let soon = market(|builder| builder.horizon(Duration::from_nanos(1)));
    read(&soon, 120);
    assert!(soon.predictor.stats().running);
    for unix in [Duration::ZERO, Duration::MAX] {
        let at = market(|builder| builder.unix_time(unix).memory(2 * MIN_MEMORY));
        read(&at, 120);
        assert!(at.predicted() > 100, "{:?}", at.predictor.stats());
    }
}

#[test]
fn a_share_of_no_demand_is_no_load() {
    let market = market(|builder| builder.budget(Budget::share(1e9)).reuse(false));
    let cache = market.quotes.cache().clone();
    (0..1_000).for_each(|key| cache.insert(key, key));
    read(&market, 1);
    for _ in 0..50 {
        // Missed by reads that load nothing.
        (0..20).for_each(|key| _ = cache.invalidate(&key));
        (0..20).for_each(|key| _ = cache.get(&key));
        market.step();
    }
    let started = market.quotes.stats().loads_started;
    assert_eq!((market.predicted(), started), (0, 0), "{:?}", market.predictor.stats());
}

#[test]
fn calls_in_a_strange_order_are_harmless() {
    let market = market(|builder| builder);
    market.predictor.resume();
    market.predictor.pause();
    market.predictor.pause();
    read(&market, 60);
    assert_eq!(market.predicted(), 0, "paused twice");
    market.predictor.resume();
    read(&market, 20);
    assert!(market.predicted() > 0, "one call goes on");
    let Market { quotes, predictor, .. } = market;
    let stats = predictor.stats_source();
    predictor.pause();
    assert!(!predictor.stop().running && !stats().running);
    let again = Predictor::builder(&quotes).budget(Budget::share(1.0)).build().unwrap();
    assert!(again.step() && !stats().running, "the figures of the first one stay");
}

/// Where features find their own predictor.
type Slot = Arc<Mutex<Option<Predictor>>>;

/// Saves and drops its own predictor when it is asked first.
struct Ends(Slot, Arc<AtomicU64>);

impl Features<u64> for Ends {
    fn class(&self, _: &u64) -> u8 {
        if let Some(predictor) = self.0.lock().unwrap().take() {
            let refused = predictor.save_to(std::io::sink()).is_err();
            drop(predictor);
            self.1.store(1 + u64::from(refused), Ordering::SeqCst);
        }
        0
    }
}

#[test]
fn its_features_may_drop_it_and_wait_for_nothing() {
    let quotes = Cache::builder().capacity(100).time_to_live(SECOND).build().unwrap();
    let quotes = quotes.loading(|key: &u64| Ok::<_, String>(*key));
    for _ in 0..2 {
        let (slot, said) = (Slot::default(), Arc::new(AtomicU64::new(0)));
        let builder = || Predictor::builder(&quotes).budget(Budget::per_second(1.0));
        let features = Ends(Arc::clone(&slot), Arc::clone(&said));
        let predictor = builder().features(features).start().unwrap();
        let stats = predictor.stats_source();
        *slot.lock().unwrap() = Some(predictor);
        let ended = eventually(|| {
            (0..20).for_each(|key| drop(quotes.get(&key)));
            said.load(Ordering::SeqCst) > 0
        });
        assert!(ended && said.load(Ordering::SeqCst) == 2, "what it cannot save it says");
        assert!(eventually(|| !stats().running && builder().build().is_ok()), "all is let go");
        assert!(!stats().running);
    }
}

#[test]
fn a_loader_that_saves_its_predictor_is_refused_and_waits_for_nothing() {
    let refused = Arc::new(AtomicU64::new(0));
    let slot = Arc::new(OnceLock::<Predictor>::new());
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().clock(clock).capacity(100).time_to_live(10 * SECOND);
    let (own_slot, own_refused) = (Arc::downgrade(&slot), Arc::clone(&refused));
    let quotes = cache.build().unwrap().loading(move |key: &u64| {
        let slot = own_slot.upgrade();
        if let Some(predictor) = slot.as_deref().and_then(OnceLock::get) {
            let saved = predictor.save_to(std::io::sink());
            own_refused.fetch_add(saved.is_err().into(), Ordering::SeqCst);
        }
        Ok::<_, String>(*key)
    });
    let predictor = Predictor::builder(&quotes).budget(Budget::per_second(100.0));
    let predictor = predictor.unix_time(SECOND).build().unwrap();
    let predictor = slot.get_or_init(|| predictor);
    for _ in 0..1_200 {
        (0..10).for_each(|key| assert_eq!(quotes.get(&key), Ok(key)));
        manual.advance(SECOND / 10);
        assert!(predictor.step());
    }
    let loads = predictor.stats().loads;
    assert!(loads > 0 && refused.load(Ordering::SeqCst) == loads, "by its own loads only");
}

#[test]
fn it_may_be_dropped_while_its_load_runs() {
    let (runs, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
    let (own_runs, own_held) = (Arc::clone(&runs), Arc::clone(&held));
    let cache = Cache::builder().capacity(100).time_to_live(Duration::from_millis(400));
    let quotes = cache.build().unwrap().loading(move |key: &u64| {
        if std::thread::current().name() == Some("clockhand-load") {
            own_runs.store(true, Ordering::SeqCst);
            assert!(eventually(|| !own_held.load(Ordering::SeqCst)), "nobody lets it go");
        }
        Ok::<_, String>(*key)
    });
    let builder = || Predictor::builder(&quotes).budget(Budget::per_second(1e6)).cpu_share(0.5);
    let predictor = builder().start().unwrap();
    std::thread::scope(|scope| {
        // A reader may have to wait for that load.
        scope.spawn(|| {
            while !runs.load(Ordering::SeqCst) {
                (0..20).for_each(|key| assert_eq!(quotes.get(&key), Ok(key)));
            }
        });
        assert!(eventually(|| runs.load(Ordering::SeqCst)), "{:?}", predictor.stats());
        let stats = predictor.stop();
        assert!(!stats.running, "it does not wait for the load: {stats:?}");
        // Another one has the place, and may be stopped, while that load runs.
        drop(builder().start().unwrap());
        held.store(false, Ordering::SeqCst);
    });
    assert!(eventually(|| {
        let stats = quotes.stats();
        stats.loads_started == stats.loads_succeeded + stats.loads_failed
    }));
    assert_eq!(quotes.get(&1), Ok(1));
}

#[test]
fn what_was_saved_by_a_clock_that_was_set_back_is_gone_on_from() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    let now = 50 * YEAR;
    let before = market(|builder| builder.unix_time(now).save_keys());
    read(&before, 120);
    let mut bytes = Vec::new();
    before.predictor.save_to(&mut bytes).unwrap();
    for unix in [now - YEAR, Duration::ZERO, now + 1_000 * YEAR] {
        let set_up = |builder: MarketBuilder| builder.unix_time(unix).save_keys();
        let market = market(|builder| set_up(builder).restore_from(&*bytes).unwrap());
        read(&market, 60);
        let stats = market.predictor.stats();
        assert!(stats.reuse.useful > 40 && stats.reuse.wasted < 20, "{unix:?}: {stats:?}");
        market.predictor.save_to(std::io::sink()).unwrap();
    }
}

/// Values live for ten seconds.
struct Tagged;

impl Loader<u64, u64> for Tagged {
    type Error = String;

    fn load(&self, key: &u64) -> Result<u64, String> {
        Ok(*key)
    }

    fn load_fresh(&self, key: &u64) -> Result<Fresh<u64>, String> {
        Ok(Fresh::new(*key).ttl(10 * SECOND))
    }
}

/// A cache with tags whose values all end, as their loader says; what its predictor has done.
fn with_tags(per_entry_ttl: bool, successors: bool) -> PredictorStats {
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().clock(clock).capacity(100).tags().hasher(Fixed::default());
    let builder = if per_entry_ttl { builder.per_entry_ttl() } else { builder };
    let quotes = builder.build().unwrap().loading(Tagged);
    let predictor = Predictor::builder(&quotes).budget(Budget::per_second(100.0));
    let predictor = predictor.successors(successors).unix_time(SECOND).build().unwrap();
    let live = |seconds: u64| {
        for _ in 0..seconds * 10 {
            (0..10).for_each(|key| assert_eq!(quotes.get(&key), Ok(key)));
            manual.advance(SECOND / 10);
            assert!(predictor.step());
        }
    };
    live(120);
    let cache = quotes.cache();
    for key in 0..10 {
        cache.insert_tagged_with_ttl(key, key, ["quotes"], 10 * SECOND);
    }
    live(65);
    let is_tagged = |key| cache.tags_of(&key).is_some_and(|tags| tags == ["quotes"]);
    let renews = predictor.stats().reuse.state == ModelState::Active;
    assert!((0..10).all(|key| is_tagged(key) == renews), "a renewal keeps them");
    // What is gone with its tag is gone, whatever was predicted.
    cache.invalidate_tag("quotes");
    assert!((0..10).all(|key| cache.get(&key).is_none() == renews));
    live(60);
    predictor.stop()
}

#[test]
fn values_with_tags_and_lives_of_their_own_are_renewed_where_the_builder_says_that_they_end() {
    let stats = with_tags(true, true);
    assert!(stats.reuse.useful > 100 && stats.reuse.wasted < 20, "{stats:?}");
    let stats = with_tags(false, false);
    assert!(stats.reuse.useful > 100 && stats.reuse.wasted < 20, "{stats:?}");
    // Otherwise Successors has all of the memory.
    assert_eq!(with_tags(false, true).reuse.state, ModelState::Off);
}
