//! One load of a key at a time over all instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{Server, Texts, builder, connected, key, until, value};

fn leased(server: &Server, wait: Duration) -> Texts {
    connected(builder(&server.url()).lease(wait))
}

#[tokio::test]
async fn of_five_instances_one_loads() {
    let Some(server) = Server::start() else { return };
    let loads = Arc::new(AtomicU32::new(0));
    let instances: Vec<Texts> = (0..5).map(|_| leased(&server, Duration::from_secs(30))).collect();
    let callers = instances.iter().flat_map(|texts| (0..10).map(move |_| texts.clone()));
    let callers = callers.map(|texts| {
        let loads = Arc::clone(&loads);
        tokio::spawn(async move {
            let load = async {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                value("1").await
            };
            texts.get_or_load(&key("a"), load).await
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(caller.await.expect("no panic").expect("a value"), "1");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_lease_whose_load_fails_passes_on() {
    let Some(server) = Server::start() else { return };
    let (one, other) =
        (leased(&server, Duration::from_secs(30)), leased(&server, Duration::from_secs(30)));
    let waits = other.clone();
    let fails = async move {
        let second = tokio::spawn(async move { waits.get_or_load(&key("a"), value("2")).await });
        until("the other one waits", || other.tier().stats().lease_waits == 1).await;
        Err::<String, _>(second)
    };
    let failed = one.get_or_load(&key("a"), fails).await;
    let Err(clockhand_redis::TieredError::Failed(second)) = failed else { panic!("no error") };
    let second = Arc::into_inner(second).expect("one caller");
    assert_eq!(second.await.expect("no panic").expect("a value"), "2");
}

#[tokio::test]
async fn who_has_waited_long_enough_loads_for_itself() {
    let Some(server) = Server::start() else { return };
    let (one, other) =
        (leased(&server, Duration::from_secs(30)), leased(&server, Duration::from_millis(10)));
    let load = async {
        let second = other.get_or_load(&key("a"), value("2")).await.expect("a value");
        assert_eq!(second, "2");
        value("1").await
    };
    assert_eq!(one.get_or_load(&key("a"), load).await.expect("a value"), "1");
    assert_eq!(other.tier().stats().lease_timeouts, 1);
    assert_eq!(one.get(&key("a")).await, Some(key("2")), "the first value to come is stored");
}
