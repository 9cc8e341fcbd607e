//! The public surface: every name and signature that users compile against, and what the types can
//! do. If this file compiles, it has done most of its work.

#[cfg(feature = "dedup")]
mod dedup;
mod health;
#[cfg(feature = "histograms")]
mod latency;
mod load;
#[cfg(feature = "predict")]
mod predict;
mod stats;
#[cfg(feature = "async")]
mod tier;

use std::error::Error;
use std::fmt::{Debug, Display};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::{Duration, Instant};

use clockhand::{
    BuildError, Builder, Cache, Clock, Compute, Computed, DefaultHasher, Drain, EntryInfo,
    Equivalent, Expiry, GetMany, Guard, InsertError, InsertErrorKind, Inserted, Iter, KeyPart,
    KeyRef, Keys, LoadPolicy, Maintained, Maintenance, ManualClock, MissCauses, Rates, Reader,
    ReaderView, Refusals, RegionUsage, Removal, RemovalCause, Removals, RemovedCharge, Settings,
    Stats, Usage, Values, WeakCache, removal_queue,
};

#[allow(unused_imports, reason = "modules of text alone")]
use clockhand::guide::{migration, operations, using};

type Texts = Cache<String, Vec<u8>, RandomState>;

struct Everything;

impl Expiry<String, Vec<u8>> for Everything {
    fn expire_after_create(&self, _: &String, _: &Vec<u8>, _: Instant) -> Option<Duration> {
        None
    }
    fn expire_after_read(
        &self,
        _: &String,
        _: &Vec<u8>,
        _: Instant,
        left: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        left
    }
    fn expire_after_update(
        &self,
        _: &String,
        _: &Vec<u8>,
        _: Instant,
        left: Option<Duration>,
    ) -> Option<Duration> {
        left
    }
}

/// An `Expiry` needs none of its methods.
struct Nothing;
impl<K, V> Expiry<K, V> for Nothing {}

fn built() -> Texts {
    let builder: Builder<String, Vec<u8>> = Cache::builder();
    let built: Result<Texts, BuildError> = builder
        .capacity(1000_u64)
        .weigher(|key: &String, value: &Vec<u8>| -> u64 { (key.len() + value.len()) as u64 })
        .cost(|key: &String, value: &Vec<u8>| -> u64 { (key.len() + value.len()) as u64 })
        .cost_of_load_time(false)
        .time_to_live(Duration::from_secs(1000))
        .time_to_idle(Duration::from_secs(1000))
        .per_entry_ttl()
        .expiry(Everything)
        .removal_listener(|_: &String, _: &Vec<u8>, _: RemovalCause| ())
        .hasher(RandomState::new())
        .clock(Clock::coarse(Duration::from_millis(1)))
        .retired_capacity(100_u64)
        .patience(Duration::from_millis(5))
        .expected_entries(10_usize)
        .maintenance(Maintenance::Inline)
        .name("texts")
        .build();
    built.expect("sound")
}

#[test]
fn caches_are_built() {
    let small: Cache<u32, &str> = Cache::new(10_u64);
    let handle: Cache<u32, &str> = small.clone();
    handle.insert(1, "one");
    assert_eq!(small.get(&1), Some("one"), "a clone is a handle to the same cache");
    let _: Cache<u32, u32> = Cache::builder().capacity(1).expiry(Nothing).build().expect("sound");
    built();
}

#[test]
fn reads_take_borrowed_keys() {
    let cache = built();
    cache.insert("a".to_string(), vec![1]);
    let _: Option<Vec<u8>> = cache.get("a");
    let _: Option<Vec<u8>> = cache.get(&"a".to_string());
    let _: Option<usize> = cache.read("a", |value: &Vec<u8>| value.len());
    let _: Option<Vec<u8>> = cache.peek("a");
    let _: bool = cache.contains_key("a");
    {
        let pinned: Guard<'_, String, Vec<u8>, RandomState> = cache.pin();
        let one: Option<&Vec<u8>> = pinned.get("a");
        let other: Option<&Vec<u8>> = pinned.get("b");
        assert_eq!((one.map(Vec::len), other), (Some(1), None));
        let _: (Option<&Vec<u8>>, bool) = (pinned.peek("a"), pinned.contains_key("a"));
        let keys = ["a", "b"].map(String::from);
        let many: GetMany<'_, String, Vec<u8>, RandomState, String> = pinned.get_many(&keys);
        assert_eq!(many.len(), 2);
        assert_eq!(many.map(|value| value.is_some()).collect::<Vec<bool>>(), [true, false]);
    }
    let many: Vec<Option<Vec<u8>>> = cache.get_many(&["a".to_string()]);
    assert_eq!(many, [Some(vec![1])]);
    let mut reader: Reader<String, Vec<u8>, RandomState> = cache.reader();
    let value: Option<&Vec<u8>> = reader.get("a");
    assert_eq!(value, Some(&vec![1]));
    let _: Option<&Vec<u8>> = reader.peek("a");
    let keys = ["a".to_string()];
    let many: GetMany<'_, String, Vec<u8>, RandomState, String> = reader.get_many(&keys);
    assert_eq!(many.count(), 1);
    reader.park();
    let _: u8 = reader.parked(|| 1);
    let view: ReaderView<'_, String, Vec<u8>, RandomState> = reader.view();
    let _: (Option<&Vec<u8>>, Option<&Vec<u8>>) = (view.get("a"), view.get("b"));
    let _: &Texts = reader.cache();
}

#[test]
fn writes_tell_what_they_did() {
    let cache = built();
    let key = || "a".to_string();
    let _: () = cache.insert(key(), vec![1]);
    let inserted: Result<Inserted, InsertError<String, Vec<u8>>> = cache.try_insert(key(), vec![2]);
    assert!(matches!(inserted, Ok(Inserted::New | Inserted::Replaced)));
    let absent: Result<(), InsertError<String, Vec<u8>>> = cache.insert_if_absent(key(), vec![3]);
    let InsertError { kind, key: returned, value } = absent.expect_err("it is there");
    assert!(matches!(kind, InsertErrorKind::Occupied));
    assert_eq!((returned, value), (key(), vec![3]));
    let computed: Computed<Vec<u8>> = cache.compute(key(), |value: Option<&Vec<u8>>| match value {
        None => Compute::Keep,
        Some(value) if value.is_empty() => Compute::Remove,
        Some(_) => Compute::Put(vec![4]),
    });
    assert_eq!(computed, Computed::Replaced);
    let _: () = cache.insert_with_ttl(key(), vec![7], Duration::from_secs(1));
    let _: Result<Inserted, InsertError<String, Vec<u8>>> =
        cache.try_insert_with_ttl(key(), vec![7], Duration::from_secs(1));
    let refused = cache.try_insert_tagged(key(), vec![7], ["a"]);
    assert!(matches!(refused, Err(InsertError { kind: InsertErrorKind::Untagged, .. })));
    let tags: [String; 0] = [];
    let _: () = cache.insert_tagged(key(), vec![7], &tags);
    let _: () = cache.insert_tagged_with_ttl(key(), vec![7], tags, Duration::from_secs(1));
    let _: () = cache.invalidate_tag("a");
    let _: (usize, Option<Vec<String>>) = (cache.tag_count(), cache.tags_of("a"));
    let _: bool = cache.set_ttl("a", Duration::MAX);
    let info: Option<EntryInfo> = cache.entry_info("a");
    let _: Option<[Option<Duration>; 3]> = info.map(|it| [it.age, it.expires_in, it.idle_for]);
    let _: Option<(u64, u8, bool)> = info.map(|it| (it.charge, it.reads, it.protected));
    let _: Option<usize> = info.map(|it| it.tags);
    let _: bool = cache.insert_if_newer(key(), vec![5], |value: &Vec<u8>| value.len()).is_ok();
    let _: Option<Vec<u8>> = cache.remove("a");
    let _: Option<Vec<u8>> = cache.replace(key(), vec![8]);
    let _: Option<Vec<u8>> = cache.compute_and_get(key(), |_| Compute::Keep);
    let _: usize = cache.remove_many(["a", "b"]);
    let _: Vec<Option<Vec<u8>>> = cache.get_many(["a", "b"]);
    let _: () = cache.clear();
    let drain: Drain<String, Vec<u8>, RandomState> = cache.drain();
    let _: Vec<(String, Vec<u8>)> = drain.collect();
    let _: Keys<String, Vec<u8>, RandomState> = cache.keys();
    let _: Values<String, Vec<u8>, RandomState> = cache.values();
    let _: (Vec<String>, Vec<String>) = (cache.coldest(1), cache.oldest(1));
    let weak: WeakCache<String, Vec<u8>, RandomState> = cache.downgrade();
    let _: bool = weak.upgrade().is_some_and(|other| other.ptr_eq(&cache));
    let _: bool = cache.invalidate("a");
    let _: bool = cache.remove_if("a", |value: &Vec<u8>| value.is_empty());
    let _: () = cache.invalidate_all();
    let _: () = cache.retain(|_: &String, _: &Vec<u8>| true);
}

#[test]
fn settings_are_read_back() {
    let Settings {
        name,
        capacity,
        retired_capacity,
        patience,
        expected_entries,
        maintenance,
        weighed,
        has_cost,
        cost_of_load_time,
        time_to_live,
        time_to_idle,
        has_expiry,
        keeps_time,
        clock_resolution,
        has_tags,
        has_listener,
        load_policy,
        ..
    } = Cache::<u32, u32, _>::with_hasher(100, RandomState::new()).policy();
    let _: (String, u64, u64, Duration, usize) =
        (name, capacity, retired_capacity, patience, expected_entries);
    let _: (Maintenance, LoadPolicy) = (maintenance, load_policy);
    let _: [bool; 3] = [weighed, has_cost, cost_of_load_time];
    let _: [bool; 4] = [has_expiry, keeps_time, has_tags, has_listener];
    let _: [Option<Duration>; 3] = [time_to_live, time_to_idle, clock_resolution];
    let _: Builder<u32, u32> = Builder::default();
}

#[test]
fn closures_may_change_what_they_capture() {
    let cache = built();
    cache.insert("a".to_string(), vec![1]);
    let mut calls = 0;
    cache.compute("a".to_string(), |_| {
        calls += 1;
        Compute::Keep
    });
    cache.remove_if("a", |_| {
        calls += 1;
        false
    });
    cache.retain(|_, _| {
        calls += 1;
        true
    });
    cache.for_each(|_, _| calls += 1);
    let moved = vec![0];
    assert_eq!(cache.read("a", |_| moved), Some(vec![0]), "called once at most");
    assert_eq!(calls, 4);
}

#[test]
fn scans_bounds_and_upkeep() {
    let cache = built();
    cache.for_each(|_: &String, _: &Vec<u8>| ());
    let iter: Iter<String, Vec<u8>, RandomState> = cache.iter();
    let _: Vec<(String, Vec<u8>)> = iter.collect();
    let _: Vec<(String, Vec<u8>)> = cache.snapshot();
    let _: u64 = cache.capacity();
    let _: () = cache.set_capacity(500_u64);
    let _: usize = cache.len();
    let _: bool = cache.is_empty();
    let Usage { charged, retired, entries, capacity, retired_capacity, .. } = cache.usage();
    let _: (u64, u64, usize, u64, u64) = (charged, retired, entries, capacity, retired_capacity);
    let Maintained { swept, expired, freed, backlog, .. } = cache.maintain(10_usize);
    let _: (usize, usize, usize, usize) = (swept, expired, freed, backlog);
    let _: usize = cache.remove_expired();
    let _: (u64, usize) = (cache.reclamation_lag(), cache.overhead());
    let _: usize = cache.reset_after_fork();
    let Stats {
        hits,
        misses,
        insertions,
        replacements,
        evictions,
        expirations,
        invalidations,
        refusals,
        ..
    } = cache.stats();
    let _: [u64; 8] =
        [hits, misses, insertions, replacements, evictions, expirations, invalidations, refusals];
    let _: f64 = cache.stats().hit_ratio();
}

#[test]
fn clocks_and_kinds() {
    let _: [Clock; 2] = [Clock::coarse(Duration::from_millis(1)), Clock::precise()];
    let (_, manual): (Clock, ManualClock) = Clock::manual();
    manual.advance(Duration::from_secs(1));
    let _ = [Maintenance::Inline, Maintenance::Thread, Maintenance::Manual];
    let _ = [
        RemovalCause::Replaced,
        RemovalCause::Invalidated,
        RemovalCause::Evicted,
        RemovalCause::Expired,
        RemovalCause::Refused,
    ];
    let _ = [
        InsertErrorKind::Occupied,
        InsertErrorKind::TooLarge { charge: 2_u64, capacity: 1_u64 },
        InsertErrorKind::NoRoom,
        InsertErrorKind::Contended,
    ];
    let _: Duration = manual.elapsed();
    let _: bool = RemovalCause::Evicted.was_evicted();
    let _: u64 = clockhand::ENTRY_OVERHEAD;
}

/// Every reason why a cache is not built, with what it tells. One more is no break: the type may grow.
#[test]
fn reasons_not_to_build_have_names() {
    let names = |error: BuildError| match error {
        BuildError::CapacityMissing => vec![],
        BuildError::ExpectedEntriesOverCapacity { expected, capacity } => {
            vec![expected as u64, capacity]
        }
        BuildError::TooManyEntries { expected, limit } => vec![expected as u64, limit as u64],
        BuildError::OutOfMemory { entries, bytes } => vec![entries as u64, bytes as u64],
        BuildError::ClockResolutionZero => vec![],
        BuildError::ClockTooCoarse { resolution, shortest } => {
            vec![resolution.as_secs(), shortest.as_secs()]
        }
        BuildError::RefreshAfterExpiry { refresh_after, time_to_live } => {
            vec![refresh_after.as_secs(), time_to_live.as_secs()]
        }
        BuildError::Thread(error) => vec![error.raw_os_error().unwrap_or(0).unsigned_abs().into()],
        _ => vec![],
    };
    let missing: Result<Cache<u64, u64>, BuildError> = Cache::builder().build();
    assert_eq!(names(missing.expect_err("it has no bound")), [0; 0]);
    let crowded = Cache::<u64, u64>::builder().capacity(1).expected_entries(2).build();
    assert_eq!(names(crowded.expect_err("too many")), [2, 1]);
}

#[test]
fn answers_of_compute_have_names() {
    let kinds = [
        Computed::Absent,
        Computed::Kept,
        Computed::Inserted,
        Computed::Replaced,
        Computed::Removed,
        Computed::Refused { kind: InsertErrorKind::NoRoom, value: 1_u64 },
        Computed::Contended,
    ];
    assert_eq!(kinds.len(), 7);
}

/// The hasher of a cache that was given none is the crate's own type, and can be written down.
#[test]
fn the_hasher_has_a_name() {
    struct Prices {
        cache: Cache<u64, u64, clockhand::RandomState>,
    }
    let Prices { cache } = Prices { cache: Cache::new(1) };
    let cache: Cache<u64, u64> = cache;
    cache.insert(1, 1);
    let state: clockhand::RandomState = clockhand::RandomState::new();
    let mut hasher: DefaultHasher = state.build_hasher();
    hasher.write_u64(7);
    let hash = hasher.finish();
    assert_eq!(state.clone().hash_one(7_u64), hash, "a clone hashes alike");
    let other = clockhand::RandomState::default();
    assert_ne!(other.hash_one(7_u64), hash, "each state has keys of its own");
}

/// `Shared` is `Send + Sync`; the marker trait has no method that a type could have by chance.
trait NotSend<Marker> {
    fn ask() {}
}
impl<T: ?Sized> NotSend<()> for T {}
struct Ambiguous;
impl<T: ?Sized + Send> NotSend<Ambiguous> for T {}

#[test]
fn handles_are_shared_and_guards_stay_on_their_threads() {
    fn shared<T: Send + Sync + Clone + Debug + 'static>() {}
    fn sent<T: Send>() {}
    shared::<Cache<String, Vec<u8>>>();
    shared::<Cache<String, std::sync::Arc<str>, RandomState>>();
    shared::<Clock>();
    shared::<ManualClock>();
    shared::<clockhand::RandomState>();
    shared::<DefaultHasher>();
    sent::<Builder<String, Vec<u8>>>();
    sent::<Iter<String, Vec<u8>>>();
    // These lines compile only as long as the types are not `Send`.
    <Guard<'_, u64, u64> as NotSend<_>>::ask();
    <Reader<u64, u64> as NotSend<_>>::ask();
    <GetMany<'_, u64, u64, RandomState, u64> as NotSend<_>>::ask();
}

#[test]
fn everything_can_be_shown() {
    fn shown<T: Debug>() {}
    fn plain<T: Copy + PartialEq + Debug>() {}
    shown::<Guard<'_, u64, u64>>();
    shown::<Reader<u64, u64>>();
    shown::<Iter<u64, u64>>();
    shown::<GetMany<'_, u64, u64, RandomState, u64>>();
    shown::<Builder<u64, u64>>();
    shown::<BuildError>();
    shown::<InsertError<u64, u64>>();
    plain::<Inserted>();
    plain::<InsertErrorKind>();
    plain::<RemovalCause>();
    plain::<Compute<u64>>();
    plain::<Computed<u64>>();
    plain::<Maintenance>();
    plain::<Rates>();
    plain::<MissCauses>();
    plain::<RemovedCharge>();
    plain::<Refusals>();
    plain::<RegionUsage>();
    plain::<Usage>();
    plain::<Maintained>();
    assert!(format!("{:?}", built()).starts_with("Cache {"));
}

#[test]
fn errors_are_errors() {
    fn error<T: Error + Display + Debug + 'static>() {}
    error::<BuildError>();
    error::<InsertError<u64, u64>>();
    fn threads<T: Send + Sync>() {}
    threads::<BuildError>();
    threads::<InsertError<u64, u64>>();
    threads::<InsertErrorKind>();
    // Even where key and value cannot be shown.
    struct Opaque;
    error::<InsertError<Opaque, Opaque>>();
    assert!(!InsertErrorKind::NoRoom.to_string().is_empty());
}

/// Keys that are asked for in another form than they are kept in.
#[test]
fn equivalents_look_up() {
    #[derive(Hash)]
    struct Pair<'a>(&'a str, u32);
    impl Equivalent<(String, u32)> for Pair<'_> {
        fn equivalent(&self, key: &(String, u32)) -> bool {
            self.0 == key.0 && self.1 == key.1
        }
    }
    fn hash_alike<T: Hash>(_: &T) {}
    hash_alike(&Pair("a", 1));
    let cache = Cache::new(10);
    cache.insert(("a".to_string(), 1), "value");
    assert_eq!(cache.get(&Pair("a", 1)), Some("value"));
    assert_eq!(cache.get(&Pair("a", 2)), None);
    assert!(cache.invalidate(&Pair("a", 1)));
}

#[test]
fn removals_are_passed_on() {
    let (listener, mut removals) = removal_queue::<u64, u64>(10_usize);
    let common: Builder<u64, u64> = Cache::builder().capacity(10).removal_listener(listener);
    let cache = common.clone().build().expect("sound");
    drop(common);
    cache.insert(1, 2);
    cache.clear();
    let next: Option<Removal<u64, u64>> = removals.try_recv();
    let Some(Removal { key, value, cause, .. }) = next else { panic!("it has left") };
    assert_eq!((key, value, cause), (1, 2, RemovalCause::Invalidated));
    let _: (u64, usize, bool, bool) =
        (removals.lost(), removals.len(), removals.is_empty(), removals.is_closed());
    let _: Option<Removal<u64, u64>> = removals.recv_timeout(Duration::ZERO);
    drop(cache);
    let _: Option<Removal<u64, u64>> = removals.recv();
    fn sent<T: Send>(_: &T) {}
    sent(&removals);
    #[cfg(feature = "async")]
    assert_eq!(futures_executor::block_on(removals.recv_async()), None);
    let iterator: &mut dyn Iterator<Item = Removal<u64, u64>> = &mut removals;
    assert!(iterator.next().is_none());
    let _: &Removals<u64, u64> = &removals;
}

#[cfg(feature = "rayon")]
#[test]
fn parallel_scans() {
    let cache = built();
    cache.par_extend(vec![("a".to_string(), vec![1])]);
    cache.par_for_each(|_: &String, _: &Vec<u8>| ());
    cache.par_retain(|_: &String, _: &Vec<u8>| false);
    assert!(cache.is_empty());
}

#[test]
fn tuples_are_found_by_their_parts() {
    let rows: Cache<(String, u32), f64> = Cache::new(10);
    rows.insert(("a".to_string(), 3), 1.0);
    let key: KeyRef<(&str, u32)> = KeyRef(("a", 3));
    assert_eq!(rows.get(&key), Some(1.0));
    let _: bool = KeyPart::<String>::is_part(&"a", &"a".to_string());
}

#[cfg(feature = "macros")]
#[clockhand::memoize(max_size = 10, ttl_secs = 60, name = "SQUARES")]
fn square(n: u64) -> u64 {
    n * n
}

#[cfg(feature = "macros")]
#[test]
fn functions_have_an_attribute() {
    assert_eq!((square(3), square(3), SQUARES.len()), (9, 9, 1));
}

#[cfg(feature = "persist")]
#[test]
fn caches_are_saved_and_loaded() {
    use clockhand::PersistError;

    let cache: Cache<u32, String> = Cache::new(10);
    let mut bytes: Vec<u8> = Vec::new();
    let saved: Result<u64, PersistError> = cache.save_to(&mut bytes);
    let loaded: Result<u64, PersistError> = cache.load_from(&*bytes);
    assert_eq!((saved.unwrap(), loaded.unwrap()), (0, 0));
    let _: [Result<u64, PersistError>; 2] = [cache.save_file("/"), cache.load_file("/none/there")];
    match PersistError::from(std::io::Error::other("x")) {
        PersistError::Io(_) | PersistError::Foreign => {}
        PersistError::Newer { found, supported } => assert!(found > supported),
        PersistError::OtherTypes { found, expected } => assert_ne!(found, expected),
        PersistError::Truncated { at } | PersistError::Corrupt { at } => assert!(at > 0),
        PersistError::Codec(error) => panic!("{error}"),
        _ => {}
    }
}
