//! What is told to a subscriber: loads, renewals, maintenance; nothing of a hit, and no key.
//!
//! Alone in its file, as who listens is known to the whole process.
#![cfg(feature = "tracing")]

mod support;

use std::fmt::Write as _;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clockhand::health::Figure;
use clockhand::{Cache, Clock, Thresholds};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber, subscriber};

const MINUTE: Duration = Duration::from_secs(60);

/// Writes down what it is told, one line each.
#[derive(Clone, Default)]
struct Scribe {
    lines: Arc<Mutex<Vec<String>>>,
    spans: Arc<AtomicU64>,
}

/// Fields as text.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

fn told(metadata: &Metadata<'_>, fields: Fields) -> String {
    assert_eq!(metadata.target(), "clockhand");
    format!("{} {}{}", metadata.level(), metadata.name(), fields.0)
}

impl Scribe {
    fn write(&self, line: String) {
        self.lines.lock().expect("no test panics here").push(line);
    }

    /// What was told meanwhile.
    fn hear(&self, work: impl FnOnce()) -> Vec<String> {
        self.lines.lock().expect("no test panics here").clear();
        subscriber::with_default(self.clone(), work);
        self.lines.lock().expect("no test panics here").clone()
    }
}

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "clockhand"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(String::new());
        span.record(&mut fields);
        self.write(format!("span {}", told(span.metadata(), fields)));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        self.write(format!("record{}", fields.0));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let metadata = event.metadata();
        assert_eq!(metadata.target(), "clockhand");
        self.write(format!("{}{}", metadata.level(), fields.0));
    }

    fn enter(&self, _: &Id) {
        self.write("enter".to_string());
    }

    fn exit(&self, _: &Id) {
        self.write("exit".to_string());
    }
}

fn prices() -> Cache<String, u64> {
    Cache::builder().capacity(10).name("prices").build().expect("sound")
}

fn secret() -> String {
    "secret".to_string()
}

/// The lines that are neither `enter` nor `exit`, which balance.
fn told_of(lines: &[String]) -> Vec<&str> {
    let count = |what| lines.iter().filter(|line| *line == what).count();
    assert_eq!(count("enter"), count("exit"), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("secret")), "a key was told: {lines:#?}");
    lines.iter().map(String::as_str).filter(|line| !["enter", "exit"].contains(line)).collect()
}

#[test]
fn a_hit_and_a_write_tell_nothing() {
    let cache = prices();
    let loading = cache.loading(|_: &String| Ok::<u64, String>(1));
    let lines = Scribe::default().hear(|| {
        cache.insert(secret(), 1);
        assert_eq!(cache.get("secret"), Some(1));
        assert_eq!(cache.get("other"), None);
        assert_eq!(cache.reader().get("secret"), Some(&1));
        assert_eq!(cache.get_or_load(secret(), |_| 2), 1);
        assert_eq!(loading.get(&secret()), Ok(1));
        assert_eq!(cache.remove("secret"), Some(1));
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_load_is_a_span_in_which_its_loader_runs() {
    let cache = prices();
    let scribe = Scribe::default();
    let lines = scribe.hear(|| {
        let load = |_: &String| {
            tracing::info!(target: "clockhand", "inside");
            1
        };
        assert_eq!(cache.get_or_load(secret(), load), 1);
    });
    let expected = [
        "span DEBUG load cache=\"prices\" renewal=false",
        "INFO message=inside",
        "DEBUG message=load ended cache=\"prices\" renewal=false loaded=true",
    ];
    assert_eq!(told_of(&lines), expected);
    let at =
        |wanted: &str| lines.iter().position(|line| line.ends_with(wanted)).expect("it is told");
    assert_eq!(lines[at("inside") - 1], "enter", "{lines:#?}");
}

#[test]
fn loads_that_fail_and_loads_that_panic_have_an_end() {
    let cache = prices();
    let ended = "DEBUG message=load ended cache=\"prices\" renewal=false loaded=false";
    let lines = Scribe::default().hear(|| {
        assert!(cache.try_get_or_load(secret(), |_| Err::<u64, _>("away")).is_err());
    });
    assert_eq!(told_of(&lines)[1..], [ended]);
    let lines = Scribe::default().hear(|| {
        let load = || cache.get_or_load(secret(), |_| panic!("seen by the test"));
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(load));
        assert!(panicked.is_err());
    });
    assert_eq!(told_of(&lines)[1..], [ended]);
}

#[test]
fn a_renewal_that_fails_is_a_warning() {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(10).name("prices").clock(clock).build();
    let cache: Cache<String, u64> = cache.expect("sound");
    cache.insert(secret(), 1);
    let run = |job: clockhand::load::Job| job();
    let loading = cache.loading(|_: &String| Err::<u64, _>("away"));
    let loading = loading.refresh_after(Duration::from_secs(10)).executor(run);
    let loading = loading.build().expect("sound");
    manual.advance(Duration::from_secs(11));
    let lines = Scribe::default().hear(|| assert_eq!(loading.get(&secret()), Ok(1)));
    let expected = [
        "span DEBUG load cache=\"prices\" renewal=true",
        "WARN message=load ended cache=\"prices\" renewal=true loaded=false",
    ];
    assert_eq!(told_of(&lines), expected);
}

#[test]
fn maintenance_says_what_it_has_done() {
    let (clock, manual) = Clock::manual();
    let lifetime = Duration::from_secs(1);
    let builder = Cache::builder().capacity(10).name("prices").time_to_live(lifetime);
    let cache: Cache<String, u64> = builder.clock(clock).build().expect("sound");
    cache.insert(secret(), 1);
    manual.advance(2 * lifetime);
    let lines = Scribe::default().hear(|| assert_eq!(cache.maintain(100).expired, 1));
    let told = told_of(&lines);
    assert_eq!(told[0], "span TRACE maintain cache=\"prices\" budget=100");
    assert_eq!(told[1..3], ["record swept=1", "record expired=1"]);
    assert!(told[3].starts_with("record freed=") && told[4].starts_with("record backlog="));
}

#[cfg(feature = "async")]
#[test]
fn a_task_is_in_its_span_while_it_is_polled() {
    use std::future::poll_fn;
    use std::task::Poll;

    let cache = prices();
    let lines = Scribe::default().hear(|| {
        let mut polls = 0;
        let load = poll_fn(move |context| {
            polls += 1;
            tracing::info!(target: "clockhand", polls, "poll");
            if polls == 2 {
                return Poll::Ready(1);
            }
            context.waker().wake_by_ref();
            Poll::Pending
        });
        let loaded = cache.get_or_load_async(secret(), |_| load);
        assert_eq!(futures_executor::block_on(loaded), 1);
    });
    let expected = [
        "span DEBUG load cache=\"prices\" renewal=false",
        "INFO message=poll polls=1",
        "INFO message=poll polls=2",
        "DEBUG message=load ended cache=\"prices\" renewal=false loaded=true",
    ];
    assert_eq!(told_of(&lines), expected);
    let polls = lines.iter().enumerate().filter(|(_, line)| line.contains("message=poll"));
    for (at, _) in polls {
        assert_eq!([&lines[at - 1][..], &lines[at + 1][..]], ["enter", "exit"], "{lines:#?}");
    }
}

/// Acts once, when it is told of something.
struct Once<F> {
    act: F,
    at: Moment,
    done: AtomicBool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Span,
    Enter,
    Event,
    Exit,
    Close,
}

impl<F: Fn()> Once<F> {
    fn told(&self, at: Moment) {
        if at == self.at && !self.done.swap(true, Ordering::Relaxed) {
            (self.act)();
        }
    }
}

impl<F: Fn() + 'static> Subscriber for Once<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.told(Moment::Span);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.told(Moment::Event);
    }

    fn enter(&self, _: &Id) {
        self.told(Moment::Enter);
    }

    fn exit(&self, _: &Id) {
        self.told(Moment::Exit);
    }

    fn try_close(&self, _: Id) -> bool {
        self.told(Moment::Close);
        true
    }
}

const MOMENTS: [Moment; 5] =
    [Moment::Span, Moment::Enter, Moment::Event, Moment::Exit, Moment::Close];

type Loader<K> = fn(&K) -> Result<u64, String>;

/// Loads the key 1 with such a subscriber; whether that panics.
fn panics_when_loaded(
    cache: &Cache<u64, u64>,
    at: Moment,
    act: impl Fn() + Send + Sync + 'static,
    load: impl FnOnce(&u64) -> Result<u64, String>,
) -> bool {
    let once = Once { act, at, done: AtomicBool::new(false) };
    let load = || drop(cache.try_get_or_load(1, load));
    subscriber::with_default(once, || support::oblivious(load))
}

fn panics<T>() -> T {
    resume_unwind(Box::new("as wanted"))
}

#[test]
fn a_subscriber_that_asks_for_what_is_being_loaded_does_not_wait_for_itself() {
    for at in MOMENTS {
        let loaders: [Loader<u64>; 3] = [|_| Ok(1), |_| Err("down".into()), |_| panics()];
        for load in loaders {
            support::in_time(move || {
                let cache = Cache::<u64, u64>::new(10);
                let own = cache.clone();
                let ask = move || drop(own.try_get_or_load(1, |_| Ok::<_, String>(2)));
                panics_when_loaded(&cache, at, ask, load);
                // The long way, as a failure may have to be remembered.
                let own = cache.clone();
                let ask = move || drop(own.try_get_or_load(2, |_| Ok::<_, String>(2)));
                let once = Once { act: ask, at, done: AtomicBool::new(false) };
                let loading = cache.loading(move |key: &u64| load(key)).negative_ttl(MINUTE);
                subscriber::with_default(once, || support::oblivious(|| drop(loading.get(&2))));
            });
        }
    }
}

#[test]
fn a_subscriber_that_panics_leaves_no_load_under_way() {
    for at in MOMENTS {
        let (clock, manual) = Clock::manual();
        let builder = Cache::builder().capacity(10).clock(clock);
        let cache: Cache<u64, u64> = builder.build().expect("sound");
        assert!(panics_when_loaded(&cache, at, panics, |_| Ok(1)), "{at:?}");
        manual.advance(2 * MINUTE);
        let stats = cache.stats();
        let ended = stats.loads_succeeded + stats.loads_failed;
        assert_eq!((stats.loads_started, ended, stats.awaited), (1, 1, 0), "{at:?}");
        assert!(cache.health(&Thresholds::default()).reason(Figure::LoadAge).is_none(), "{at:?}");
    }
}

#[test]
fn the_end_of_a_load_is_told_in_its_span() {
    let loaders: [Loader<String>; 3] = [|_| Ok(1), |_| Err("down".into()), |_| panics()];
    for load in loaders {
        let cache = prices();
        let lines = Scribe::default().hear(|| {
            support::oblivious(|| drop(cache.try_get_or_load(secret(), load)));
        });
        let end = lines.iter().position(|line| line.contains("load ended")).expect("it is told");
        let count = |what| lines[..end].iter().filter(|line| *line == what).count();
        assert_eq!(count("enter"), count("exit") + 1, "{lines:#?}");
    }
}
