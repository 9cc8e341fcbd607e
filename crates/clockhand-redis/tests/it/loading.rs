//! Values that are renewed ahead of their end, and old ones that stand in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clockhand_redis::{TieredError, TieredLoading};
use tokio::sync::Semaphore;

use crate::support::{Server, Texts, builder, connected, instance, key, until};

/// So long that no busy machine reaches it while a test runs.
const HOUR: Duration = Duration::from_secs(3600);
/// So short that a test can wait for its end.
const TTL: Duration = Duration::from_millis(100);

/// A source that counts its loads, answers when it may, and fails when it is to.
#[derive(Clone)]
struct Source {
    loads: Arc<AtomicU32>,
    may_go_on: Arc<Semaphore>,
    fails: Arc<std::sync::atomic::AtomicBool>,
}

impl Source {
    fn new() -> Self {
        let may_go_on = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        Self { loads: Arc::default(), may_go_on, fails: Arc::default() }
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::SeqCst)
    }
}

impl clockhand::AsyncLoader<String, String> for Source {
    type Error = String;

    async fn load(&self, _: &String) -> Result<String, String> {
        let nth = self.loads.fetch_add(1, Ordering::SeqCst) + 1;
        self.may_go_on.acquire().await.expect("it is open").forget();
        self.may_go_on.add_permits(1);
        if self.fails.load(Ordering::SeqCst) { Err(key("down")) } else { Ok(nth.to_string()) }
    }
}

fn loading(
    texts: &Texts,
    source: &Source,
) -> TieredLoading<String, String, clockhand::RandomState, Source> {
    texts.loading(source.clone()).spawner(|renewal| drop(tokio::spawn(renewal)))
}

async fn ended(texts: &Texts, name: &str) {
    until("the value has ended", || texts.get_cached(&key(name)).is_none()).await;
}

#[tokio::test]
async fn a_value_that_has_ended_is_served_while_it_is_renewed() {
    let Some(server) = Server::start() else { return };
    let texts = connected(builder(&server.url()).time_to_live(TTL).stale_for(HOUR));
    let source = Source::new();
    let loading = loading(&texts, &source).stale_while_revalidate(HOUR);
    assert_eq!(loading.get(&key("a")).await.expect("a value"), "1");
    assert_eq!(source.loads(), 1);
    ended(&texts, "a").await;
    // The source takes its time.
    let stops = source.may_go_on.forget_permits(Semaphore::MAX_PERMITS);
    for _ in 0..3 {
        assert_eq!(loading.get(&key("a")).await.expect("a value"), "1", "it stands in");
    }
    until("one renewal is under way", || source.loads() == 2).await;
    source.may_go_on.add_permits(stops);
    // It ends soon, and is renewed again: it does not go back.
    until("it is renewed", || texts.get_cached(&key("a")).is_some_and(|text| text != "1")).await;
}

#[tokio::test]
async fn a_value_that_is_renewed_soon_enough_is_waited_for() {
    let Some(server) = Server::start() else { return };
    // It must not have ended again before it is read.
    let texts = connected(builder(&server.url()).time_to_live(TTL * 8).stale_for(HOUR));
    let source = Source::new();
    let patient = loading(&texts, &source).stale_while_revalidate(HOUR).soft_timeout(HOUR);
    assert_eq!(patient.get(&key("a")).await.expect("a value"), "1");
    ended(&texts, "a").await;
    assert_eq!(patient.get(&key("a")).await.expect("a value"), "2", "it was waited for");
    ended(&texts, "a").await;
    // One that takes its time goes on, and the old value stands in.
    let hasty = loading(&texts, &source).stale_while_revalidate(HOUR).soft_timeout(TTL / 10);
    let begun = source.loads();
    let stops = source.may_go_on.forget_permits(Semaphore::MAX_PERMITS);
    assert_eq!(hasty.get(&key("a")).await.expect("a value"), "2");
    until("a renewal is under way", || source.loads() == begun + 1).await;
    assert_eq!(hasty.get(&key("a")).await.expect("a value"), "2");
    assert_eq!(source.loads(), begun + 1, "it is the same");
    source.may_go_on.add_permits(stops);
    until("it is renewed", || texts.get_cached(&key("a")).is_some_and(|text| text != "2")).await;
}

#[tokio::test]
async fn what_another_instance_has_invalidated_does_not_stand_in() {
    let Some(server) = Server::start() else { return };
    let settings = || builder(&server.url()).time_to_live(TTL).stale_for(HOUR);
    let (texts, other) = (connected(settings()), connected(settings()));
    let source = Source::new();
    let loading = loading(&texts, &source).stale_while_revalidate(HOUR).stale_if_error(HOUR);
    for inserts in [false, true] {
        let old = loading.get(&key("a")).await.expect("a value");
        ended(&texts, "a").await;
        if inserts {
            other.insert_with_ttl(key("a"), key("new"), HOUR).await.expect("stored");
        } else {
            other.invalidate(&key("a")).await.expect("removed");
        }
        texts.tier().sync().await.expect("connected");
        let read = loading.get(&key("a")).await.expect("a value");
        assert!(read != old && (!inserts || read == "new"), "{read} after {old}");
    }
}

#[tokio::test]
async fn a_value_is_renewed_ahead_of_its_end_by_one_of_two_instances() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (instance(&server), instance(&server));
    let source = Source::new();
    let old = loading(&one, &source).refresh_after(TTL);
    let minute = Duration::from_secs(600);
    let young = loading(&other, &source).refresh_after(minute);
    assert_eq!(old.get(&key("a")).await.expect("a value"), "1");
    assert_eq!(young.get(&key("a")).await.expect("a value"), "1");
    tokio::time::sleep(TTL).await;
    // It is older than it may be on one instance: that asks the source, although the server has it.
    let begun = source.loads();
    assert_eq!(begun, 1);
    old.get(&key("a")).await.expect("a value");
    until("it is renewed", || one.get_cached(&key("a")).is_some_and(|text| text != "1")).await;
    other.tier().sync().await.expect("connected");
    let renewed = young.get(&key("a")).await.expect("a value");
    assert_ne!(renewed, "1", "the other one takes what the server has");
}

#[tokio::test]
async fn an_old_value_stands_in_for_an_error_and_nothing_for_nothing() {
    let Some(server) = Server::start() else { return };
    let texts = connected(builder(&server.url()).time_to_live(TTL).stale_for(HOUR));
    let source = Source::new();
    let loading = loading(&texts, &source).stale_if_error(HOUR).negative_ttl(HOUR);
    assert_eq!(loading.get(&key("a")).await.expect("a value"), "1");
    ended(&texts, "a").await;
    source.fails.store(true, Ordering::SeqCst);
    assert_eq!(loading.get(&key("a")).await.expect("a value"), "1");
    let failed = loading.get(&key("b")).await;
    assert!(matches!(failed, Err(TieredError::Failed(error)) if *error == "down"));
    let loads = source.loads();
    loading.get(&key("b")).await.expect_err("it is remembered");
    assert_eq!(source.loads(), loads);
    // Until something is written to the key.
    texts.invalidate(&key("b")).await.expect("removed");
    source.fails.store(false, Ordering::SeqCst);
    assert!(loading.get(&key("b")).await.is_ok());
    assert!(format!("{loading:?}").contains("Tiered"));
    assert!(loading.tiered().tier().status().is_connected);
}
