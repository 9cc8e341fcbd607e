//! Functions with the attribute, as they are called.
#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use clockhand::memoize;

/// How often each function was called.
macro_rules! counters {
    ($($name:ident)*) => { $(static $name: AtomicUsize = AtomicUsize::new(0);)* };
}
counters!(AREAS LENGTHS NOTHINGS PARSINGS PAIRS SLOWS FAILS FALLS ASYNCS ASYNC_FAILS LOWERS ERRS RENEWED RETRIES);

fn count(counter: &AtomicUsize) -> usize {
    counter.fetch_add(1, Ordering::SeqCst) + 1
}

fn calls(counter: &AtomicUsize) -> usize {
    counter.load(Ordering::SeqCst)
}

/// Has a page.
#[memoize]
#[must_use]
pub fn area(a: u64, mut b: u64) -> u64 {
    count(&AREAS);
    b *= a;
    b
}

#[test]
fn it_is_called_once_for_equal_arguments() {
    assert_eq!((area(3, 4), area(3, 4), area(4, 3)), (12, 12, 12));
    assert_eq!((calls(&AREAS), AREA.len(), AREA.capacity()), (2, 2, 1000));
    assert_eq!(AREA.name(), "memoize::area");
    assert!(AREA.invalidate(&(3, 4)));
    assert_eq!((area(3, 4), calls(&AREAS)), (12, 3));
}

#[memoize(max_size = 2)]
fn length(text: &str, parts: &[u8], owned: &String) -> usize {
    count(&LENGTHS);
    text.len() + parts.len() + owned.len()
}

#[test]
fn references_are_kept_as_what_they_refer_to() {
    for _ in 0..2 {
        assert_eq!(length("abc", &[1, 2], &"x".to_string()), 6);
    }
    let stats = LENGTH.stats();
    assert_eq!((calls(&LENGTHS), stats.hits, stats.misses), (1, 1, 1));
    assert_eq!(length("ab", &[1, 2], &"xx".to_string()), 6);
    assert_eq!(length("abc", &[1], &"xx".to_string()), 6);
    assert_eq!((calls(&LENGTHS), LENGTH.len()), (3, 2));
    let key: (String, Vec<u8>, String) = LENGTH.keys().next().unwrap();
    assert!(key.0.starts_with("ab"));
}

#[memoize]
fn nothing() {
    count(&NOTHINGS);
}

#[test]
fn no_argument_and_no_result_are_as_good_as_any() {
    (0..3).for_each(|_| nothing());
    assert_eq!(calls(&NOTHINGS), 1);
}

#[memoize]
fn fibonacci(n: u64) -> u64 {
    if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
}

#[test]
fn a_function_may_call_itself() {
    assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
}

#[memoize]
fn endless(n: u64) -> u64 {
    endless(n)
}

#[test]
fn a_function_that_calls_itself_with_the_same_argument_panics() {
    let caught = std::panic::catch_unwind(|| endless(1)).expect_err("it never ends");
    let message = *caught.downcast::<String>().expect("a message");
    assert!(message.contains("memoize::endless"), "{message}");
}

#[memoize]
fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
    count(&PARSINGS);
    let number = text.parse()?;
    if number == 7 {
        return Ok(77);
    }
    Ok(number)
}

#[test]
fn of_a_result_only_ok_is_kept() {
    for _ in 0..2 {
        assert_eq!((parse("12"), parse("7")), (Ok(12), Ok(77)));
    }
    assert_eq!(calls(&PARSINGS), 2);
    for _ in 0..2 {
        assert!(parse("x").is_err());
    }
    assert_eq!((calls(&PARSINGS), PARSE.len()), (4, 2));
}

/// An error that cannot be cloned, nor sent to other threads.
#[derive(Debug)]
struct Own(std::rc::Rc<str>);

#[memoize(name = "PAIR_CACHE")]
fn pair(_unit: (), ok: bool) -> std::result::Result<Vec<u8>, Own> {
    count(&PAIRS);
    if ok { Ok(vec![1, 2]) } else { Err(Own("own".into())) }
}

#[test]
fn an_error_may_be_of_any_type() {
    assert_eq!(&*pair((), false).unwrap_err().0, "own");
    assert_eq!(pair((), true).unwrap(), [1, 2]);
    assert_eq!((calls(&PAIRS), PAIR_CACHE.len()), (2, 1));
}

#[memoize]
fn read(path: &str) -> std::io::Result<usize> {
    std::fs::read(path).map(|bytes| bytes.len())
}

#[test]
fn a_result_may_have_another_name_for_its_error() {
    assert!(read("/nothing/there").is_err());
    assert!(READ.is_empty());
}

#[memoize(cache_err = true, max_size = 10)]
fn remembered(n: u32) -> Result<u32, String> {
    count(&ERRS);
    Err(format!("no {n}"))
}

#[test]
fn errors_are_kept_where_that_is_asked_for() {
    assert_eq!((remembered(1), remembered(1)), (Err("no 1".into()), Err("no 1".into())));
    assert_eq!(calls(&ERRS), 1);
}

#[memoize(key = "String", convert = r#"{ text.to_lowercase() }"#)]
fn lower(text: &str, _ignored: &[&str]) -> usize {
    count(&LOWERS);
    text.len()
}

#[memoize(key = u32, convert = n / 10)]
fn tens(n: u32) -> u32 {
    n
}

#[test]
fn a_key_may_be_made_of_the_arguments() {
    assert_eq!((lower("Abc", &[]), lower("aBC", &["x"])), (3, 3));
    assert_eq!((calls(&LOWERS), tens(13), tens(19), tens(20)), (1, 13, 13, 20));
}

#[memoize]
fn slow(n: u64) -> u64 {
    count(&SLOWS);
    std::thread::sleep(Duration::from_millis(50));
    n
}

#[memoize]
fn slow_to_fail(kind: &str) -> Result<u64, String> {
    let nth = count(&FAILS);
    std::thread::sleep(Duration::from_millis(50));
    Err(format!("{kind} {nth}"))
}

#[derive(Debug)]
struct NoClone;

#[memoize]
fn slow_to_fail_alone(n: u64) -> Result<u64, NoClone> {
    let nth = count(&RETRIES);
    std::thread::sleep(Duration::from_millis(50));
    if nth == 1 { Err(NoClone) } else { Ok(n) }
}

fn at_once<T: Send>(call: impl Fn() -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(4);
    let call = || {
        barrier.wait();
        call()
    };
    std::thread::scope(|scope| {
        let threads = [(), (), (), ()].map(|()| scope.spawn(call));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn concurrent_calls_run_it_once() {
    assert_eq!((at_once(|| slow(7)), calls(&SLOWS)), (vec![7; 4], 1));
    let errors = at_once(|| slow_to_fail("x").unwrap_err());
    assert!(calls(&FAILS) <= errors.len());
    assert!(errors.iter().all(|error| error.starts_with("x ")));
    assert!(
        calls(&FAILS) < 4 || errors.contains(&"x 4".into()),
        "an error is shared, or its caller's own"
    );
    let results = at_once(|| slow_to_fail_alone(7).ok());
    assert_eq!(
        results.iter().filter(|result| result.is_none()).count(),
        1,
        "one error, its caller's own"
    );
}

#[memoize(ttl_secs = 0, result_fallback = true)]
fn falls_back(n: u64) -> Result<u64, String> {
    match count(&FALLS) {
        2 => Err("down".into()),
        nth => Ok(n + nth as u64),
    }
}

#[memoize(ttl_secs = 1, result_fallback = true)]
fn falls_back_later(n: u64) -> Result<u64, String> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    match CALLS.fetch_add(1, Ordering::SeqCst) {
        0 => Ok(n),
        _ => Err("down".into()),
    }
}

#[test]
fn the_last_result_stands_in_for_an_error() {
    assert_eq!((falls_back(10), falls_back(10), falls_back(10)), (Ok(11), Ok(11), Ok(13)));
    assert_eq!(falls_back_later(10), Ok(10));
    while FALLS_BACK_LATER.contains_key(&10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((falls_back_later(10), falls_back_later(11)), (Ok(10), Err("down".into())));
}

#[memoize(ttl_secs = 3600, refresh_secs = 1)]
fn fresh(text: &str, by: u64) -> u64 {
    text.len() as u64 + by + count(&RENEWED) as u64
}

#[memoize(refresh_secs = 1, max_size = 7)]
fn fresh_or_not(n: u64) -> Result<u64, String> {
    if n == 0 { Err("zero".into()) } else { Ok(n) }
}

#[test]
fn a_result_is_renewed_in_the_background() {
    assert_eq!((fresh("ab", 1), fresh("ab", 1)), (4, 4));
    let begun = std::time::Instant::now();
    while fresh("ab", 1) == 4 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is not renewed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!((fresh_or_not(0), fresh_or_not(3)), (Err("zero".into()), Ok(3)));
    assert_eq!(FRESH_OR_NOT.cache().capacity(), 7);
}

#[memoize]
async fn pause(n: u64, text: &str) -> u64 {
    count(&ASYNCS);
    tokio::time::sleep(Duration::from_millis(20)).await;
    n + text.len() as u64
}

#[memoize]
async fn pause_or_fail(ok: bool) -> Result<u64, String> {
    count(&ASYNC_FAILS);
    let number: u64 = if ok { "7" } else { "x" }.parse().map_err(|_| "no number".to_string())?;
    Ok(number)
}

#[memoize]
async fn on_any_runtime(n: u64) -> u64 {
    n
}

#[test]
fn tasks_share_a_call() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let pauses = [(); 5].map(|()| tokio::spawn(pause(1, "ab")));
        for pause in pauses {
            assert_eq!(pause.await.unwrap(), 3);
        }
        assert_eq!(calls(&ASYNCS), 1);
        for _ in 0..2 {
            assert_eq!(
                (pause_or_fail(true).await, pause_or_fail(false).await),
                (Ok(7), Err("no number".into()))
            );
        }
        assert_eq!(calls(&ASYNC_FAILS), 3);
    });
    assert_eq!(futures_executor::block_on(on_any_runtime(7)), 7);
}

mod inner {
    use super::{Arc, memoize};

    #[memoize(name = "SHARED")]
    pub(crate) fn shared(n: u32) -> Arc<str> {
        n.to_string().into()
    }
}

#[test]
fn the_cache_is_as_visible_as_the_function() {
    assert!(Arc::ptr_eq(&inner::shared(1), &inner::shared(1)));
    assert_eq!(inner::SHARED.len(), 1);
}

#[test]
#[cfg_attr(miri, ignore = "it compiles programs")]
fn what_cannot_be_memoized_is_told() {
    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");
}
