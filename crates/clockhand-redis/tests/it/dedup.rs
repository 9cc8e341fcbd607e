//! Ids that are new to one of several instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clockhand::dedup::{Claim, Outcome};
use clockhand_redis::{
    RedisTier, RedisTierBuilder, SharedDeduplicator, SharedDeduplicatorBuilder, TierError, WhenAway,
};

use crate::support::proxy::Proxy;
use crate::support::{Server, builder, free_port, until};

/// So long that no test reaches it.
const HOUR: Duration = Duration::from_secs(3600);

type Seen = SharedDeduplicator<u64>;

async fn tier(builder: RedisTierBuilder) -> RedisTier {
    let tier = builder.build().expect("valid settings");
    until("the tier is connected", || tier.status().is_connected).await;
    tier
}

async fn seen(server: &Server) -> Seen {
    with(server, |settings| settings).await
}

async fn with(
    server: &Server,
    set: impl FnOnce(SharedDeduplicatorBuilder) -> SharedDeduplicatorBuilder,
) -> Seen {
    let tier = tier(builder(&server.url())).await;
    set(SharedDeduplicator::builder(&tier).lease(HOUR)).build().expect("valid settings")
}

fn scripts(server: &Server) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn of_all_claims_over_five_instances_one_is_new() {
    let Some(server) = Server::start() else { return };
    let mut instances = Vec::new();
    for _ in 0..5 {
        instances.push(seen(&server).await);
    }
    let granted: Arc<Vec<AtomicU32>> = Arc::new((0..100).map(|_| AtomicU32::new(0)).collect());
    let tasks = instances.iter().flat_map(|seen| (0..4).map(move |_| seen.clone())).map(|seen| {
        let granted = Arc::clone(&granted);
        tokio::spawn(async move {
            for id in 0..100 {
                if let Claim::New(ticket) = seen.claim(id).await.expect("a server") {
                    granted[id as usize].fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    assert!(ticket.complete().await.expect("a server"));
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    assert!(granted.iter().all(|count| count.load(Ordering::SeqCst) == 1));
}

#[tokio::test]
async fn what_is_done_or_in_progress_here_costs_no_round_trip() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (seen(&server).await, seen(&server).await);
    let ticket = one.claim(1).await.expect("a server").ticket().expect("it is new");
    let before = scripts(&server);
    assert!(one.claim(1).await.expect("no question").is_in_progress());
    assert_eq!(scripts(&server), before);
    assert!(other.claim(1).await.expect("a server").is_in_progress());
    assert!(ticket.complete().await.expect("a server"));
    let before = scripts(&server);
    assert!(one.claim(1).await.expect("no question").is_done() && one.is_processed(&1));
    assert_eq!(scripts(&server), before);
    // The other one asks once, and knows it then.
    assert!(other.claim(1).await.expect("a server").is_done());
    assert_eq!(scripts(&server), before + 1);
    assert!(other.claim(1).await.expect("no question").is_done());
    assert_eq!(scripts(&server), before + 1);
    assert_eq!((one.local().metrics().adds, other.local().len()), (1, 1));
}

#[tokio::test]
async fn a_claim_that_is_given_back_is_new_to_another_instance() {
    let Some(server) = Server::start() else { return };
    let (one, other) = (seen(&server).await, seen(&server).await);
    let is_free = || server.ask(&["EXISTS", "{test}:i:1"]) == "0";
    drop(one.claim(1).await.expect("a server"));
    until("it is given back", is_free).await;
    let failed = other.process(1, || async { Err::<(), _>("down") }).await.expect("a server");
    assert_eq!(failed, Outcome::Failed("down"));
    until("it is given back", is_free).await;
    let panics = one.clone();
    let panicked = tokio::spawn(async move {
        panics.process(1, || async { panic!("as work may") as Result<(), ()> }).await
    });
    panicked.await.expect_err("a panic");
    until("it is given back", is_free).await;
    let done = other.process(1, || async { Ok::<_, ()>(7) }).await.expect("a server");
    assert_eq!(done, Outcome::Processed(7));
    let again = one.process(1, || async { Ok::<_, ()>(8) }).await.expect("a server");
    assert_eq!(again, Outcome::Duplicate);
}

#[tokio::test]
async fn a_claim_whose_lease_has_run_out_is_another_ones_and_is_fenced() {
    let Some(server) = Server::start() else { return };
    let brief = with(&server, |settings| settings.lease(Duration::from_millis(30))).await;
    let other = seen(&server).await;
    let late = brief.claim(1).await.expect("a server").ticket().expect("it is new");
    until("the lease has run out", || server.ask(&["EXISTS", "{test}:i:1"]) == "0").await;
    let mut second = other.claim(1).await.expect("a server").ticket().expect("it is new again");
    assert!(second.fence() > late.fence() && late.fence() > 0);
    assert!(!late.complete().await.expect("a server"), "it is another one's");
    assert!(second.extend(HOUR * 2).await.expect("a server"));
    let left: u64 = server.ask(&["PTTL", "{test}:i:1"]).parse().expect("a number");
    assert!(left > 3_600_000, "{left}");
    assert!(second.complete().await.expect("a server"));

    // The server has lost a claim: who has it is told.
    let mut lost = other.claim(2).await.expect("a server").ticket().expect("it is new");
    server.ask(&["DEL", "{test}:i:2"]);
    assert!(!lost.extend(HOUR).await.expect("a server"));
    assert!(!lost.complete().await.expect("a server"));
    assert!(
        seen(&server).await.claim(2).await.expect("a server").is_done(),
        "it is done all the same"
    );
    assert_eq!(other.local().metrics().adds, 2);
}

#[tokio::test]
async fn without_a_server_claims_are_refused_or_granted_alone() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let tier = builder(&url).build().expect("valid settings");
    let refusing: Seen = SharedDeduplicator::builder(&tier).build().expect("valid settings");
    assert_eq!(refusing.claim(1).await.map(|_| ()), Err(TierError::Disconnected));
    assert_eq!(
        refusing.claim(1).await.map(|_| ()),
        Err(TierError::Disconnected),
        "not in progress"
    );
    let alone = SharedDeduplicator::builder(&tier).when_away(WhenAway::Alone);
    let alone: Seen = alone.build().expect("valid settings");
    let ticket = alone.claim(1).await.expect("alone").ticket().expect("it is new here");
    assert_eq!(ticket.fence(), 0);
    assert!(alone.claim(1).await.expect("alone").is_in_progress());
    assert_eq!(ticket.complete().await, Err(TierError::Disconnected), "the server was not told");
    assert!(alone.claim(1).await.expect("alone").is_done());
    assert_eq!(tier.stats().claims_alone, 1);
}

#[tokio::test]
async fn what_was_done_while_the_server_was_away_is_told_when_it_is_back() {
    let Some(mut server) = Server::start() else { return };
    let one = with(&server, |settings| settings.when_away(WhenAway::Alone)).await;
    let held = one.claim(1).await.expect("a server").ticket().expect("it is new");
    server.kill();
    assert!(held.complete().await.is_err());
    let alone = one.claim(2).await.expect("alone").ticket().expect("it is new here");
    assert!(alone.complete().await.is_err());
    server.restart();
    for name in ["{test}:i:1", "{test}:i:2"] {
        until("it is told", || server.ask(&["GET", name]) == "D").await;
    }
    let other = seen(&server).await;
    for id in [1, 2] {
        assert!(other.claim(id).await.expect("a server").is_done());
    }
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_back() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::before(server.port());
    let settings = builder(&proxy.url())
        .operation_timeout(Duration::from_millis(200))
        .watch(Duration::from_secs(600), Duration::from_secs(600));
    let tier = tier(settings).await;
    let one: Seen = SharedDeduplicator::builder(&tier).lease(HOUR).build().expect("valid");
    let other = seen(&server).await;
    // So that the scripts are known, and a busy machine does not matter.
    until("the server answers", || one.claim_blocking(9).is_ok()).await;
    proxy.delay(Duration::from_millis(150));
    let claimed = one.claim(1).await;
    assert_eq!(claimed.map(|_| ()), Err(TierError::TimedOut), "there and back it takes 300");
    proxy.delay(Duration::ZERO);
    until("it is given back", || server.ask(&["EXISTS", "{test}:i:1"]) == "0").await;
    assert!(other.claim(1).await.expect("a server").is_new());

    // Of a future that is dropped nothing is left either.
    let mut claiming = Box::pin(one.claim(2));
    std::future::poll_fn(|context| {
        let _ = claiming.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    drop(claiming);
    until("it can be claimed", || other.claim_blocking(2).is_ok_and(|claim| claim.is_new())).await;
}

#[tokio::test]
async fn what_stands_under_an_id_and_is_no_claim_is_nothing() {
    let Some(server) = Server::start() else { return };
    let one = seen(&server).await;
    server.ask(&["LPUSH", "{test}:i:1", "a list"]);
    server.ask(&["SET", "{test}:i:2", "C"]);
    server.ask(&["SET", "{test}:i:3", &"x".repeat(41)]);
    for id in [1, 2, 3] {
        let ticket = one.claim(id).await.expect("a server").ticket().expect("it is new");
        assert!(ticket.complete().await.expect("a server"));
    }
    let settings = SharedDeduplicator::builder(&tier(builder(&server.url())).await);
    assert!(settings.clone().capacity(0).build::<u64>().is_err());
    assert!(settings.clone().lease(Duration::ZERO).build::<u64>().is_err());
    assert!(settings.ttl(Duration::ZERO).build::<u64>().is_err());
}
