//! Loading with tasks. Needs the feature `async`; the cache itself knows no runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clockhand::Cache;
use clockhand::load::AsyncLoader;

/// A service behind a network.
#[derive(Clone, Default)]
struct Service {
    requests: Arc<AtomicU64>,
}

impl AsyncLoader<u64, String> for Service {
    type Error = String;

    async fn load(&self, id: &u64) -> Result<String, String> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(format!("answer {id}"))
    }
}

pub(crate) fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    // A thousand tasks that want the same: one request.
    let service = Service::default();
    let handle = tokio::runtime::Handle::current();
    let cache = Cache::builder()
        .capacity(1_000)
        .time_to_live(Duration::from_secs(60))
        .build()
        .expect("the settings agree")
        .loading(service.clone())
        .refresh_after(Duration::from_secs(30))
        // Values are renewed as tasks of the same runtime.
        .spawner(move |future| drop(handle.spawn(future)))
        .build()
        .expect("values are renewed before they expire");
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get_async(&7).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.expect("no panic"), Ok("answer 7".to_string()));
    }
    assert_eq!(service.requests.load(Ordering::Relaxed), 1);

    // A single future does as well, and a task that is cancelled takes nobody with it.
    let plain: Cache<&str, u32> = Cache::new(10);
    let slow = plain.get_or_load_async("key", |_| std::future::pending::<u32>());
    assert!(tokio::time::timeout(Duration::from_millis(5), slow).await.is_err());
    assert_eq!(plain.get_or_load_async("key", |_| async { 5 }).await, 5);
}
