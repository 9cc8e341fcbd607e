//! The names and signatures of loading.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::time::Duration;

use clockhand::load::{
    Answer, BoxLoader, Fill, Job, Load, LoadOutput, OfValue, Placeholder, Reservation, SharedError,
    WarmerStatus, WithSource, memoize,
};
use clockhand::{
    BuildError, Builder, Cache, Fresh, InsertErrorKind, LoadError, LoadPolicy, LoadSource, Loaded,
    Loader, LoadingCache, RandomState, Warmer,
};

/// An error without a trait but the one that every error has to have here.
#[derive(Debug, PartialEq)]
struct Down;

impl Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl Error for Down {}

struct Squares;

impl Loader<u64, u64> for Squares {
    type Error = Down;

    fn load(&self, key: &u64) -> Result<u64, Down> {
        key.checked_mul(*key).ok_or(Down)
    }
}

/// A type that users write down: they keep it in a field.
struct Service {
    squares: LoadingCache<u64, u64, Squares>,
    named: LoadingCache<u64, u64, Squares, RandomState>,
}

fn service() -> Service {
    let cache: Cache<u64, u64> = Cache::builder()
        .capacity(100)
        .time_to_live(Duration::from_secs(100))
        .build()
        .expect("the settings agree");
    let squares = cache
        .loading(Squares)
        .refresh_after(Duration::from_secs(10))
        .stale_if_error(Duration::from_secs(10))
        .stale_while_revalidate(Duration::from_secs(5))
        .negative_ttl(Duration::from_secs(1))
        .load_timeout(Duration::from_secs(60))
        .jitter(0.1_f64)
        .executor(|job: Job| job());
    let built: Result<LoadingCache<u64, u64, Squares>, BuildError> = squares.build();
    let squares = built.expect("the settings agree");
    Service { named: squares.clone(), squares }
}

#[test]
fn settings_that_contradict_each_other_are_told_apart() {
    let lives = Cache::builder().capacity(10).time_to_live(Duration::from_secs(5));
    let cache: Cache<u64, u64> = lives.build().expect("sound");
    let late = cache.loading(Squares).refresh_after(Duration::from_secs(6)).build();
    let Err(BuildError::RefreshAfterExpiry { refresh_after, time_to_live }) = late else {
        panic!("values expire before they are renewed");
    };
    let _: (Duration, Duration) = (refresh_after, time_to_live);
}

#[test]
fn a_policy_is_a_plain_value() {
    fn plain<T: Copy + Eq + Debug + Default + Send + Sync>() {}
    plain::<LoadPolicy>();
    let policy: LoadPolicy = LoadPolicy::new();
    assert_eq!(policy, LoadPolicy::default());
    let other = policy.woken_limit(Duration::from_secs(2)).renewal_limit(Duration::from_secs(9));
    assert_ne!(policy, other);
    let builder: Builder<u64, u64> = Cache::builder().capacity(10).load_policy(other);
    builder.build().expect("sound");
    let _: clockhand::load::LoadPolicy = other;
}

#[test]
fn sources_and_errors_have_names() {
    let _ = [LoadSource::Hit, LoadSource::Loaded, LoadSource::Joined, LoadSource::Stale];
    let errors: [LoadError<Down>; 2] = [LoadError::Cycle, LoadError::TimedOut];
    for error in &errors {
        assert!(error.error().is_none() && error.source().is_none());
        assert!(!error.to_string().is_empty());
    }
    assert_ne!(errors[0], errors[1]);
}

#[test]
fn a_loader_may_load_many_and_reload() {
    struct Table;
    impl Loader<u64, u64> for Table {
        type Error = Down;
        fn load(&self, key: &u64) -> Result<u64, Down> {
            Ok(*key)
        }
        fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, Down> {
            Ok(keys.iter().copied().map(Some).collect())
        }
        fn reload(&self, _: &u64, old: &u64) -> Result<u64, Down> {
            Ok(old + 1)
        }
    }
    let table = Cache::new(10).loading(Table);
    assert_eq!(table.get_many(&[1, 2]), Ok(vec![Some(1), Some(2)]));
    assert_eq!(table.refresh(&1), Ok(2));
}

#[test]
fn caches_are_filled_by_calls() {
    let cache: Cache<u64, u64> = Cache::new(100);
    let _: u64 = cache.get_or_load(1, |key: &u64| *key);
    let loaded: Result<u64, LoadError<Down>> = cache.try_get_or_load(2, |_: &u64| Err(Down));
    assert_eq!(loaded.as_ref().map_err(LoadError::error), Err(Some(&Down)));
    let loaded: Result<Loaded<u64>, LoadError<Down>> =
        cache.get_or_load_with_source(3, |key: &u64| Ok(*key));
    let Loaded { value, source, .. } = loaded.expect("it loads");
    assert_eq!((value, source), (3, LoadSource::Loaded));
    let _: Result<u64, LoadError<Down>> =
        cache.get_or_load_timeout(4, Duration::from_secs(1), |key: &u64| Ok(*key));
    let _: Vec<u64> = cache.hottest(1_usize);
    let reserved: Result<Reservation<u64, u64>, InsertErrorKind> = cache.reserve(1_u64);
    let charge: u64 = reserved.expect("there is room").charge();
    assert_eq!(charge, 1);
}

#[test]
fn calls_are_made_in_steps_and_with_borrowed_keys() {
    let cache: Cache<String, u64> =
        Cache::builder().capacity(10).per_entry_ttl().build().expect("sound");
    let _: u64 = cache.get_or_load_by_ref("a", |_: &str| 1);
    let _: Result<u64, LoadError<Down>> = cache.try_get_or_load_by_ref("b", |_: &str| Err(Down));
    let _: u64 = cache.get_or_load_if("a".to_string(), |_: &u64| true, |_: &String| 1);
    let _: Option<u64> = cache.optionally_get_or_load("c".to_string(), |_: &String| None);
    let load: Load<'_, '_, String, u64, RandomState, str> = cache.load("d");
    let load: Load<'_, '_, String, u64, RandomState, str, OfValue> = load;
    let load = load.timeout(Duration::from_secs(1)).ttl(Duration::from_secs(1));
    let sourced: Load<'_, '_, String, u64, RandomState, str, WithSource> =
        load.negative_ttl(Duration::from_secs(1)).with_source();
    fn output<V, O: LoadOutput<V, Output = Loaded<V>>>() {}
    output::<u64, WithSource>();
    let loaded: Result<Loaded<u64>, LoadError<Down>> = sourced.run(|_: &str| Ok::<u64, Down>(1));
    assert!(loaded.is_ok());
    let _: Result<Option<u64>, LoadError<Down>> = cache.load("e").run_optional(|_: &str| Ok(None));
    let fresh: Fresh<u64> =
        Fresh::new(1).ttl(Duration::from_secs(1)).refresh_after(Duration::from_millis(1));
    assert_eq!((*fresh.value(), fresh.into_value()), (1, 1));
    let _: Fresh<u64> = 1_u64.into();
    fn answer<V, Form>(_: impl Answer<V, Form, Error = std::convert::Infallible>) {}
    answer::<u64, _>(fresh);
    struct Terms;
    impl Loader<u64, u64> for Terms {
        type Error = Down;
        fn load(&self, key: &u64) -> Result<u64, Down> {
            self.load_fresh(key).map(Fresh::into_value)
        }
        fn load_fresh(&self, key: &u64) -> Result<Fresh<u64>, Down> {
            Ok((*key).into())
        }
        fn reload_fresh(&self, key: &u64, _: &u64) -> Result<Fresh<u64>, Down> {
            self.load_fresh(key)
        }
        fn load_many_fresh(&self, _: &[u64]) -> Result<Vec<Option<Fresh<u64>>>, Down> {
            Ok(Vec::new())
        }
    }
    assert_eq!(Cache::new(1).loading(Terms).refresh(&4), Ok(4));
}

#[test]
fn calls_for_many_keys_bring_a_loader() {
    let cache: Cache<String, u64> = Cache::new(100);
    let _: Vec<Option<u64>> =
        cache.get_all(["a"], |missing: &[String]| vec![Some(1); missing.len()]);
    let _: Vec<Option<u64>> =
        cache.get_all(&["b".to_string()], |_| vec![Some(Fresh::new(1).ttl(Duration::MAX))]);
    let _: Result<Vec<Option<u64>>, LoadError<Down>> =
        cache.try_get_all(["c"], |_: &[String]| Err::<Vec<Option<u64>>, Down>(Down));
    let _: Option<u64> = cache.optionally_get_or_load_by_ref("d", |_: &str| None);
    let _: u64 = cache.get_or_load_if_by_ref("a", |_: &u64| true, |_: &str| 1);
}

#[test]
fn places_are_kept_and_loaders_boxed() {
    let cache: Cache<u64, u64> =
        Cache::builder().capacity(10).per_entry_ttl().build().expect("sound");
    let kept: Placeholder<u64, u64> = cache.placeholder(1);
    let Placeholder::Mine(fill) = kept else { panic!("nothing is there") };
    let fill: Fill<u64, u64, RandomState> = fill;
    let _: &u64 = fill.key();
    fill.insert(2);
    let Placeholder::Mine(fill) = cache.placeholder(2) else { panic!("nothing is there") };
    fill.insert_with_ttl(3, Duration::from_secs(1));
    assert!(matches!(cache.placeholder(1), Placeholder::Hit(2)));
    let _ = Placeholder::<u64, u64>::Cycle;
    let boxed: BoxLoader<u64, u64, Down> = BoxLoader::new(Squares);
    let squares: LoadingCache<u64, u64, BoxLoader<u64, u64, Down>> = cache.loading(boxed);
    assert_eq!(squares.get_many(&[7, 8]), Ok(vec![Some(49), Some(64)]));
}

#[test]
fn caches_fill_themselves() {
    let Service { squares, named } = service();
    let _: Result<u64, LoadError<Down>> = squares.get(&2);
    let _: Result<Loaded<u64>, LoadError<Down>> = squares.get_with_source(&2);
    let _: Result<Vec<Option<u64>>, LoadError<Down>> = squares.get_many(&[1, 2]);
    let _: Result<Vec<Option<u64>>, LoadError<Down>> = squares.get_many([1, 2].iter());
    let _: Result<u64, LoadError<Down>> = squares.refresh(&2);
    let _: Result<usize, LoadError<Down>> = squares.warm(0..3_u64);
    let cache: &Cache<u64, u64> = named.cache();
    assert_eq!(cache.peek(&2), Some(4), "a clone shares what is there");
}

#[test]
fn values_are_kept_fresh() {
    let Service { squares, .. } = service();
    let started: std::io::Result<Warmer> = Warmer::start(&squares, [1, 2], Duration::from_secs(9));
    let warmer = started.expect("a thread can be started");
    let WarmerStatus { running, rounds, renewed, failed, last_failure, .. } = warmer.status();
    let _: (bool, u64, u64, u64, Option<String>) = (running, rounds, renewed, failed, last_failure);
    let stopped: WarmerStatus = warmer.stop();
    assert!(!stopped.running);
    let _: std::io::Result<Warmer> =
        Warmer::start_hottest(&squares, 10_usize, Duration::from_secs(9));
}

#[test]
fn functions_are_memoized() {
    let lives = Cache::builder().capacity(10).time_to_live(Duration::from_secs(10));
    let cache: Cache<(&'static str, u64), u64> = lives.build().expect("sound");
    let double = memoize(&cache, "double", Duration::from_secs(1), |n: &u64| n * 2);
    fn callable(f: impl Fn(u64) -> u64 + Send + Sync) -> u64 {
        f(4)
    }
    assert_eq!(callable(&double), 8);
}

#[test]
fn what_loading_gives_can_be_shared_shown_and_compared() {
    fn handle<T: Clone + Send + Sync + Debug + 'static>() {}
    fn sent<T: Send + Sync + Debug + 'static>() {}
    fn plain<T: Copy + PartialEq + Debug + Send + Sync>() {}
    fn error<T: Error + Clone + PartialEq + Send + Sync + 'static>() {}
    handle::<LoadingCache<u64, u64, Squares>>();
    handle::<WarmerStatus>();
    sent::<Warmer>();
    sent::<Reservation<u64, u64>>();
    sent::<SharedError<Down>>();
    plain::<LoadSource>();
    plain::<Loaded<u64>>();
    error::<LoadError<Down>>();
    // Whatever the caller's error can do, an error that was shared is one of many that hold it.
    fn cloned<T: Clone>() {}
    struct Opaque;
    cloned::<SharedError<Opaque>>();
    cloned::<LoadError<Opaque>>();
}

#[test]
fn a_shared_error_gives_its_error() {
    let cache: Cache<u64, u64> = Cache::new(1);
    let failed = cache.try_get_or_load(1, |_| Err::<u64, Down>(Down));
    let Err(LoadError::Failed(shared)) = failed else { panic!("it failed") };
    let shared: SharedError<Down> = shared;
    assert_eq!(shared, Down);
    assert_eq!((&*shared, shared.as_ref()), (&Down, &Down));
    assert_eq!(shared.to_string(), "down");
    assert!(shared.clone().into_inner().is_err(), "another holds it, too");
    assert_eq!(shared.into_inner(), Ok(Down));
}

#[test]
fn functions_are_loaders() {
    fn loader<L: Loader<u64, u64, Error = Down>>(_: &L) {}
    loader(&Squares);
    loader(&|key: &u64| Ok::<u64, Down>(*key));
}

#[cfg(feature = "async")]
mod tasks {
    use super::*;

    use std::future::Future;

    use clockhand::AsyncLoader;
    use clockhand::load::{AsyncMemo, BoxFuture, memoize_async};

    struct Roots;

    impl AsyncLoader<u64, u64> for Roots {
        type Error = Down;

        async fn load(&self, key: &u64) -> Result<u64, Down> {
            Ok(key.isqrt())
        }

        async fn load_many(&self, keys: &[u64]) -> Result<Vec<Option<u64>>, Down> {
            Ok(keys.iter().map(|key| Some(key.isqrt())).collect())
        }

        async fn reload(&self, _: &u64, old: &u64) -> Result<u64, Down> {
            Ok(*old)
        }
    }

    fn sent<T>(future: impl Future<Output = T> + Send) -> T {
        futures_executor::block_on(future)
    }

    #[test]
    fn tasks_load() {
        let cache: Cache<u64, u64> = Cache::new(100);
        let _: u64 = sent(cache.get_or_load_async(1, |_| async { 1 }));
        let _: Result<u64, LoadError<Down>> =
            sent(cache.try_get_or_load_async(2, |_| async { Err(Down) }));
        let named: Cache<String, u64> = Cache::new(100);
        assert!(matches!(sent(cache.placeholder_async(9)), Placeholder::Mine(_)));
        let _: u64 = sent(named.get_or_load_by_ref_async("a", |_: &str| async { 1 }));
        let _: Result<u64, LoadError<Down>> =
            sent(named.try_get_or_load_by_ref_async("b", |_: &str| async { Err(Down) }));
        let _: Option<u64> =
            sent(named.optionally_get_or_load_async("c".into(), |_: &String| async { None }));
        let _: Vec<Option<u64>> =
            sent(named.get_all_async(["a"], |_: Vec<String>| async { vec![Some(1)] }));
        let _: Result<Vec<Option<u64>>, LoadError<Down>> =
            sent(named.try_get_all_async(["a"], |_| async { Ok(vec![Some(1)]) }));
        let _: Result<u64, LoadError<Down>> =
            sent(named.load("b").run_async(|_: &str| async { Err::<u64, Down>(Down) }));
        let _: Result<Option<u64>, LoadError<Down>> =
            sent(named.load("b").run_optional_async(|_: &str| async { Ok(None) }));
        let roots: LoadingCache<u64, u64, Roots> =
            cache.loading(Roots).spawner(|task: BoxFuture| futures_executor::block_on(task));
        let _: Result<u64, LoadError<Down>> = sent(roots.get_async(&4));
        let _: Result<Loaded<u64>, LoadError<Down>> = sent(roots.get_with_source_async(&4));
        let _: Result<u64, LoadError<Down>> = sent(roots.refresh_async(&4));
        let _: Result<Vec<Option<u64>>, LoadError<Down>> = sent(roots.get_many_async(&[1, 4]));
        let _: Result<usize, LoadError<Down>> = sent(roots.warm_async(0..3_u64));
        let started: std::io::Result<Warmer> =
            Warmer::start_async(&roots, [1, 4], Duration::from_secs(9));
        drop(started);
        let lives = Cache::builder().capacity(10).time_to_live(Duration::from_secs(10));
        let cache: Cache<(&'static str, u64), u64> = lives.build().expect("sound");
        type Function = fn(&u64) -> std::future::Ready<u64>;
        let double: AsyncMemo<u64, u64, RandomState, Function> =
            memoize_async(&cache, "double", Duration::from_secs(1), |n| std::future::ready(n * 2));
        assert_eq!(sent(double.call(4)), 8);
    }
}

#[test]
fn an_error_of_any_type_that_can_be_shown_works_with_a_question_mark() {
    type Boxed = Box<dyn Error + Send + Sync>;
    fn asked<E: Send + Sync + Debug + Display + 'static>(error: E) -> Result<u32, Boxed> {
        let cache = Cache::<u32, u32>::new(10);
        let mut error = Some(error);
        Ok(cache.try_get_or_load(1, |_| Err(error.take().expect("called once")))?)
    }
    for error in [asked("down"), asked("down".to_string()), asked(Boxed::from("down"))] {
        let error = error.expect_err("the loader fails");
        assert!(error.to_string().ends_with(": down"), "{error}");
        let source = error.source().expect("the loader's error");
        assert_eq!(source.to_string(), "down");
        assert!(source.source().is_none());
    }
    let parsed: Boxed = Box::new("x".parse::<u32>().map_err(LoadFails).expect_err("no number"));
    let error = asked(parsed).expect_err("the loader fails");
    let source = error.source().and_then(Error::source).expect("the cause of what was boxed");
    assert!(source.is::<std::num::ParseIntError>());
    let failed: LoadError<&str> =
        Cache::<u32, u32>::new(1).try_get_or_load(1, |_| Err("down")).unwrap_err();
    assert_eq!(failed.clone().into_error().as_deref(), Some(&"down"));
    let LoadError::Failed(shared) = failed.clone() else { panic!("it has failed") };
    let _: std::sync::Arc<&str> = shared.into_arc();
    assert_eq!(failed.map(|text| text.len()).error(), Some(&4));
    assert!(matches!(LoadError::<u32>::TimedOut.map(|n| n + 1), LoadError::TimedOut));
    assert!(LoadError::<u32>::Cycle.into_error().is_none());
}

/// An error with a cause.
#[derive(Debug)]
struct LoadFails(std::num::ParseIntError);

impl Display for LoadFails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be loaded")
    }
}

impl Error for LoadFails {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
