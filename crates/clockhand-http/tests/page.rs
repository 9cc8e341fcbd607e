//! The page shows what the service says, in a headless Chromium. Without a browser the tests say so and end.
#![cfg(feature = "axum")]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand::health::{Figure, Levels, Thresholds};
use clockhand::{Cache, Clock, ManualClock};
use clockhand_http::{Keys, Limits, Service};
use serde_json::{Value, json};
use support::browser::{Browser, DESK, PHONE, View};
use support::serve;
use tokio::net::TcpListener;

/// A browser, or the end of the test.
macro_rules! browser {
    () => {
        match Browser::start().await {
            Some(browser) => browser,
            None => return,
        }
    };
}

const LIVE: &str = "return document.querySelector('.link[data-state=live]') && document.querySelector('[data-figure]') && true";

fn prices() -> (Cache<String, u64>, ManualClock) {
    let (clock, manual) = Clock::manual();
    let cache = Cache::builder().capacity(100).clock(clock).name("prices").build();
    (cache.expect("a cache"), manual)
}

fn service(cache: &Cache<String, u64>, thresholds: Thresholds) -> Service {
    let limits = Limits::default().interval(Duration::from_millis(200));
    let builder = Service::builder().cache(cache, Keys::text()).limits(limits);
    builder.thresholds(thresholds).build().expect("a service")
}

/// The numbers of an object and of those in it, by their paths.
fn leaves(object: &Value, path: &str, found: &mut Vec<(String, f64)>) {
    for (name, value) in object.as_object().expect("an object") {
        let own = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if value.is_object() {
            leaves(value, &own, found);
        } else if let Some(number) = value.as_f64() {
            found.push((own, number));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_the_statistics() {
    let browser = browser!();
    let (prices, _) = prices();
    (0..90).for_each(|key| prices.insert(key.to_string(), key));
    (40..120).for_each(|key| assert_eq!(prices.get(&key.to_string()).is_some(), key < 90));
    (80..300).for_each(|key| prices.insert(key.to_string(), key));
    prices.invalidate("50");
    let (address, _server) = serve(service(&prices, Thresholds::default()).router()).await;
    browser.open(address, "/cache", DESK).await;
    browser.wait(LIVE).await;
    let script = "return Object.fromEntries([...document.querySelectorAll('[data-figure]')].map((row) => [row.dataset.figure, row.children[1].textContent]))";
    let shown = browser.run(script, json!([])).await;
    let stats = serde_json::to_value(prices.stats()).expect("statistics in JSON");
    let mut wanted = Vec::new();
    leaves(&stats, "", &mut wanted);
    assert!(wanted.len() > 40 && wanted.contains(&("hits".to_string(), 50.0)), "{wanted:?}");
    for (path, number) in &wanted {
        let text = shown[path].as_str().unwrap_or_else(|| panic!("{path} is not shown"));
        let read: f64 = text.replace('\u{202f}', "").parse().expect("a number");
        assert!((read - number).abs() <= 0.000_05, "{path}: {text} is not {number}");
    }
    assert_eq!(shown.as_object().map(|rows| rows.len()), Some(wanted.len()));
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_follows_the_threshold() {
    let browser = browser!();
    let (clock, manual) = Clock::manual();
    let builder = Cache::builder().capacity(100).clock(clock).name("prices");
    let prices = builder.weigher(|_: &String, charge: &u64| *charge).build().expect("a cache");
    let thresholds =
        Thresholds::default().set(Figure::Refusals, Levels::new().critical(0.0)).expect("levels");
    let (address, _server) = serve(service(&prices, thresholds).router()).await;
    browser.open(address, "/cache", DESK).await;
    browser.wait(LIVE).await;
    assert_eq!(browser.text("[data-id=status]").await, "Healthy");
    assert_eq!(
        browser.wait("return document.getElementById('spoken').textContent").await,
        "All is healthy."
    );

    manual.advance(Duration::from_secs(1));
    prices.insert("heavy".into(), 101);
    browser
        .wait("return document.querySelector('[data-id=status]').textContent === 'Critical'")
        .await;
    let reasons = browser.text("[data-id=reasons]").await;
    assert!(
        reasons.contains("refused") && reasons.contains("raise") || reasons.contains("capacity"),
        "{reasons}"
    );
    let spoken = browser.text("#spoken").await;
    assert_eq!(spoken, "prices is critical: refusals.");
    assert!(browser.text("title").await.starts_with("Critical: prices"));

    // The window that has seen the refusal passes.
    manual.advance(Duration::from_secs(61));
    browser.wait("return document.querySelector('.link[data-state=live]') && true").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    manual.advance(Duration::from_secs(61));
    browser
        .wait("return document.querySelector('[data-id=status]').textContent === 'Healthy'")
        .await;
    assert_eq!(browser.text("#spoken").await, "All is healthy.");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_explains_keys() {
    let browser = browser!();
    let (prices, _) = prices();
    prices.insert("EURUSD".into(), 1);
    prices.insert("GBPUSD".into(), 1);
    prices.invalidate("GBPUSD");
    let (address, _server) = serve(service(&prices, Thresholds::default()).router()).await;
    browser.open(address, "/cache", DESK).await;
    browser.wait(LIVE).await;
    for key in ["EURUSD", "GBPUSD", "never"] {
        browser
            .run(
                "const key = document.getElementById('key'); key.value = ''; key.focus()",
                json!([]),
            )
            .await;
        browser.press(&format!("{key}\u{e007}")).await;
        browser
            .wait(&format!(
                "return document.querySelector('[data-id=asked]')?.textContent === '{key}'"
            ))
            .await;
        let sentence = browser.text("[data-id=answer] .sentence").await;
        assert_eq!(sentence.to_lowercase(), prices.explain(key).to_string().to_lowercase());
    }
    // One of the hottest keys, by a click.
    browser.run("document.querySelector('.hottest button').click()", json!([])).await;
    browser
        .wait("return document.querySelector('[data-id=asked]')?.textContent === 'EURUSD'")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_keys_are_text() {
    let browser = browser!();
    let cache: Cache<String, u64> = Cache::builder()
        .capacity(100)
        .name("<img src=x onerror=\"window.taken=1\">")
        .build()
        .expect("a cache");
    let hostile = [
        "<script>window.taken = 1</script>".to_string(),
        "\"><img src=x onerror=window.taken=1>".to_string(),
        "\u{202e}gnp.exe \u{5e9}\u{5dc}\u{5d5}\u{5dd}".to_string(),
        "\u{0}\u{7}\n\r\t\u{fffd}".to_string(),
        "w".repeat(10 << 10),
        "\u{5e9}".repeat(5 << 10),
    ];
    for key in &hostile {
        cache.insert(key.clone(), 1);
    }
    let (address, _server) = serve(service(&cache, Thresholds::default()).router()).await;
    browser.open(address, "/cache", PHONE).await;
    browser.wait(LIVE).await;
    let shown = browser
        .run(
            "return [...document.querySelectorAll('.hottest .key')].map((key) => key.textContent)",
            json!([]),
        )
        .await;
    let shown: Vec<&str> =
        shown.as_array().expect("keys").iter().filter_map(Value::as_str).collect();
    for key in &hostile {
        let beginning: String = key.chars().take(256).collect();
        assert!(shown.contains(&beginning.as_str()), "{beginning:?} is not among {shown:?}");
    }
    for key in &hostile {
        let ask = "const form = document.querySelector('[data-id=explain]'); const input = document.getElementById('key'); \
            input.value = arguments[0]; form.requestSubmit(); return input.value";
        // A line of text has no ends of lines.
        let typed = browser.run(ask, json!([key])).await;
        let asked =
            format!("return document.querySelector('[data-id=asked]')?.textContent === {typed}");
        browser.wait(&asked).await;
    }
    let ran = "return [window.taken ?? null, document.scripts.length, document.images.length, document.documentElement.scrollWidth <= innerWidth]";
    assert_eq!(browser.run(ran, json!([])).await, json!([null, 2, 0, true]));
    assert_eq!(browser.text("[data-id=name]").await, cache.name());
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_gone_is_told_and_found_again() {
    let browser = browser!();
    let (prices, _) = prices();
    let first = service(&prices, Thresholds::default());
    let (address, server) = serve(first.router()).await;
    browser.open(address, "/cache", DESK).await;
    browser.wait(LIVE).await;
    assert_eq!(browser.text("[data-figure=hits] td").await, "0");

    server.abort();
    first.close();
    browser.wait("return document.querySelector('.link[data-state=gone]') && true").await;
    assert!(browser.text("#link-text").await.starts_with("No connection. Trying again."));
    assert!(browser.text("#spoken").await.contains("is lost"));

    prices.insert("a".into(), 1);
    prices.get("a");
    let again = service(&prices, Thresholds::default());
    let listener = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(async move { axum::serve(listener, again.router()).await });
    browser.wait("return document.querySelector('.link[data-state=live]') && true").await;
    browser
        .wait("return document.querySelector('[data-figure=hits] td').textContent === '1'")
        .await;
    assert!(browser.text("#spoken").await.contains("is back"));
}

/// Between two events that are far apart the service is there, and what has happened is a rate.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_rare_are_waited_for() {
    let browser = browser!();
    let (prices, _) = prices();
    let limits = Limits::default().interval(Duration::from_secs(6));
    let builder = Service::builder().cache(&prices, Keys::text()).limits(limits);
    let (address, _server) = serve(builder.build().expect("a service").router()).await;
    browser.open(address, "/cache", DESK).await;
    browser.wait(LIVE).await;
    let script = "const link = document.querySelector('.link'); window.states = []; new MutationObserver(() => window.states.push(link.dataset.state)).observe(link, { attributes: true }); return true";
    browser.run(script, json!([])).await;
    prices.insert("a".into(), 1);
    prices.get("a");
    browser
        .wait("return document.querySelector('[data-figure=hits] td').textContent === '1'")
        .await;
    let states = browser.run("return window.states", json!([])).await;
    let states = states.as_array().expect("states");
    assert!(states.iter().all(|state| state == "live"), "{states:?}");
    let rate = browser.text("[data-figure=hits] td:last-child").await;
    assert!(rate.parse::<f64>().is_ok_and(|rate| rate > 0.0), "{rate}");
}

/// A service with one of each kind, and a little in each.
fn everything() -> Service {
    let (prices, _) = prices();
    (0..300).for_each(|key| prices.insert(format!("symbol {key}"), key));
    (200..320).for_each(|key| {
        assert!(prices.get(&format!("symbol {key}")).is_none_or(|found| found == key))
    });
    let names: Cache<u64, u64> =
        Cache::builder().capacity(10).name("names").build().expect("a cache");
    let seen: Deduplicator<u64> = Deduplicator::builder().capacity(100).build().expect("settings");
    assert!(seen.mark_processed(7));
    let tracker = OffsetTracker::builder().build().expect("settings");
    for partition in 0..4 {
        tracker.assign("ticks", partition, 1000);
        tracker.polled("ticks", partition, 1000..1010);
        assert!(tracker.mark_processed("ticks", partition, 1000 + i64::from(partition)));
    }
    let limits = Limits::default().interval(Duration::from_millis(200));
    let builder = Service::builder().cache(&prices, Keys::text()).cache(&names, Keys::text());
    builder
        .deduplicator("orders", &seen)
        .tracker("feed", &tracker)
        .limits(limits)
        .build()
        .expect("a service")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_reaches_every_part() {
    let browser = browser!();
    let (address, _server) = serve(everything().router()).await;
    browser.open(address, "/cache", DESK).await;
    browser.wait(LIVE).await;
    browser.run("document.querySelector('[role=tab]').focus()", json!([])).await;
    // Arrow to the right, to the left, to the end, to the beginning.
    for (key, name) in [
        ('\u{e014}', "names"),
        ('\u{e014}', "orders"),
        ('\u{e012}', "names"),
        ('\u{e010}', "feed"),
        ('\u{e014}', "prices"),
        ('\u{e010}', "feed"),
    ] {
        browser.press(&key.to_string()).await;
        let chosen = browser.run("const tab = document.activeElement; return [tab.querySelector('.name').textContent, tab.getAttribute('aria-selected'), document.querySelector('[data-id=name]').textContent]", json!([])).await;
        assert_eq!(chosen, json!([name, "true", name]));
    }
    let rows = "return [...document.querySelectorAll('[data-id=partition-rows] tr')].map((row) => [row.children[0].textContent, row.children[3].textContent, row.children[2].textContent].join(' '))";
    let rows = browser.run(rows, json!([])).await;
    assert_eq!(rows[0], "ticks 1\u{202f}001 9");
    assert_eq!(rows.as_array().map(Vec::len), Some(4));
    assert_eq!(browser.run("return location.hash", json!([])).await, "#tracker%2Ffeed");
    // What a screen reader goes by.
    let lacking = "const named = (element) => element.labels?.length || element.textContent.trim() || element.getAttribute('aria-label') || element.getAttribute('aria-labelledby');\
        return [...document.querySelectorAll('input, button, [role=tab], [role=tabpanel], [role=img], table, section, nav')].filter((element) => !named(element)).map((element) => element.outerHTML.slice(0, 200))";
    assert_eq!(browser.run(lacking, json!([])).await, json!([]));
    let landmarks = "return ['header', 'nav', 'main', 'h1', '[role=tablist]', '[aria-live]'].filter((one) => !document.querySelector(one))";
    assert_eq!(browser.run(landmarks, json!([])).await, json!([]));
}

/// Looks at every part in every way.
#[tokio::test(flavor = "multi_thread")]
async fn it_fits_and_stays_where_it_is() {
    let browser = browser!();
    let (address, _server) = serve(everything().router()).await;
    for (name, view) in [
        ("desk-light", DESK),
        ("desk-dark", View { scheme: "dark", ..DESK }),
        ("phone-light", PHONE),
        ("phone-dark", View { scheme: "dark", ..PHONE }),
    ] {
        look(&browser, address, name, view).await;
    }
    assert_eq!(browser.complaints().await, [""; 0]);
}

async fn look(browser: &Browser, address: SocketAddr, name: &str, view: View) {
    for part in ["cache/prices", "deduplicator/orders", "tracker/feed"] {
        let path = format!("/cache#{}", part.replace('/', "%2F"));
        browser.open(address, &path, view).await;
        browser.wait(LIVE).await;
        let began = browser.text("#link-text").await;
        browser
            .wait(&format!(
                "return document.getElementById('link-text').textContent !== {}",
                json!(began)
            ))
            .await;
        let fits = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(
            browser.run(fits, json!([])).await,
            true,
            "{name} {part} is wider than the screen"
        );
        let shifts = "const seen = new PerformanceObserver(() => {}); seen.observe({ type: 'layout-shift', buffered: true });\
            return seen.takeRecords().filter((shift) => !shift.hadRecentInput).reduce((sum, shift) => sum + shift.value, 0)";
        let shifted = browser.run(shifts, json!([])).await.as_f64().expect("a number");
        assert!(shifted < 0.001, "{name} {part} moves by {shifted}");
        let picture = browser.picture(&format!("{name}-{}", part.replace('/', "-"))).await;
        assert!(std::fs::metadata(&picture).is_ok_and(|file| file.len() > 10_000), "{picture:?}");
    }
}
