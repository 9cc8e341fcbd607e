//! Another store below: a map, which implements the trait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use clockhand::tier::{
    CacheUpdate, FirstTier, Found, Put, PutTerms, Tier, TierItem, TierLookup, TierValue, Version,
};
use clockhand::{Cache, RandomState};
use clockhand_redis::{CodecError, Tiered, TieredError};

use crate::support::{key, nobody, value};

/// A store that several caches share: each of them is told what the others write.
#[derive(Clone, Default)]
struct Shared {
    state: Arc<Mutex<State>>,
    own: Arc<Mutex<Option<Weak<dyn FirstTier>>>>,
}

#[derive(Default)]
struct State {
    values: HashMap<Vec<u8>, TierValue>,
    /// Of each key, how often it was written.
    writes: HashMap<Vec<u8>, u64>,
    all_removed: u64,
    told: Vec<Weak<dyn FirstTier>>,
    is_down: bool,
    questions: u64,
}

#[derive(Debug)]
struct Down;

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

impl From<CodecError> for Down {
    fn from(_: CodecError) -> Self {
        Self
    }
}

impl Shared {
    /// Another instance's handle.
    fn another(&self) -> Self {
        Self { state: Arc::clone(&self.state), own: Arc::default() }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, Down> {
        let state = self.state.lock().expect("no panic");
        if state.is_down { Err(Down) } else { Ok(state) }
    }

    fn set_down(&self, is_down: bool) {
        self.state.lock().expect("no panic").is_down = is_down;
    }

    fn tell_others(&self, state: &State, tell: impl Fn(&dyn FirstTier)) {
        let own = self.own.lock().expect("no panic");
        for other in &state.told {
            if own.as_ref().is_none_or(|own| !own.ptr_eq(other)) {
                other.upgrade().inspect(|other| tell(&**other));
            }
        }
    }
}

impl State {
    fn version(&self, key: &[u8]) -> Version {
        let writes = self.writes.get(key).copied().unwrap_or(0);
        Version::new([writes.to_le_bytes(), self.all_removed.to_le_bytes()].concat())
    }
}

impl Tier for Shared {
    type Error = Down;

    async fn get(&self, key: &[u8], lookup: TierLookup<'_>) -> Result<Found, Down> {
        tokio::task::yield_now().await;
        let mut state = self.state()?;
        state.questions += 1;
        let value = state.values.get(key).filter(|value| lookup.takes(value)).cloned();
        Ok(Found::new(value, state.version(key)))
    }

    async fn put(
        &self,
        key: &[u8],
        item: TierItem<'_>,
        terms: PutTerms<'_>,
        update: CacheUpdate,
    ) -> Result<Put, Down> {
        tokio::task::yield_now().await;
        let mut state = self.state()?;
        match terms {
            PutTerms::Unchanged(version) if *version != state.version(key) => {
                return Ok(Put::Overtaken);
            }
            _ => {}
        }
        *state.writes.entry(key.to_vec()).or_default() += 1;
        let until = Instant::now() + item.ttl;
        state.values.insert(key.to_vec(), TierValue::new(item.bytes, until));
        self.tell_others(&state, |other| assert!(other.invalidate(key)));
        update.until(until);
        Ok(Put::Stored(until))
    }

    async fn remove(&self, key: &[u8]) -> Result<(), Down> {
        let mut state = self.state()?;
        *state.writes.entry(key.to_vec()).or_default() += 1;
        state.values.remove(key);
        self.tell_others(&state, |other| assert!(other.invalidate(key)));
        Ok(())
    }

    async fn remove_all(&self) -> Result<(), Down> {
        let mut state = self.state()?;
        state.all_removed += 1;
        state.values.clear();
        self.tell_others(&state, |other| other.invalidate_all());
        Ok(())
    }

    fn attach(&self, first: Weak<dyn FirstTier>) -> bool {
        let mut own = self.own.lock().expect("no panic");
        if own.is_some() {
            return false;
        }
        *own = Some(Weak::clone(&first));
        self.state.lock().expect("no panic").told.push(first);
        true
    }
}

type Texts = Tiered<String, String, RandomState, Shared>;

fn instance(store: &Shared) -> Texts {
    let cache = Cache::builder().capacity(1000).per_entry_ttl().build().expect("a cache");
    Tiered::new(cache, &store.another()).expect("a cache that keeps time")
}

#[tokio::test]
async fn a_cache_before_a_map_reads_through_and_writes_through() {
    let store = Shared::default();
    let (one, other) = (instance(&store), instance(&store));
    assert_eq!(one.get(&key("a")).await, None);
    assert_eq!(one.get_or_load(&key("a"), value("1")).await.expect("a value"), "1");
    assert_eq!(one.get_cached(&key("a")), Some(key("1")));
    assert_eq!(other.get_or_load(&key("a"), nobody()).await.expect("a value"), "1");
    one.insert(key("a"), key("2")).await.expect("stored");
    assert_eq!(one.get_cached(&key("a")), Some(key("2")), "it is in its own cache");
    assert_eq!(other.get_cached(&key("a")), None, "it was told");
    assert_eq!(other.get(&key("a")).await, Some(key("2")));
    other.invalidate(&key("a")).await.expect("removed");
    assert_eq!((one.get_cached(&key("a")), other.get_cached(&key("a"))), (None, None));
    one.insert_with_ttl(key("b"), key("1"), Duration::from_secs(60)).await.expect("stored");
    let left = one.cache().entry_info(&key("b")).expect("an entry").expires_in;
    assert!(left.is_some_and(|left| left <= Duration::from_secs(60)));
    // A store that has no tags gives everything up with one.
    other.invalidate_tag("any").await.expect("removed");
    assert_eq!(one.get(&key("b")).await, None);
    one.insert(key("b"), key("2")).await.expect("stored");
    other.invalidate_all().await.expect("removed");
    assert_eq!(one.get(&key("b")).await, None);
}

#[tokio::test]
async fn a_load_that_was_overtaken_is_in_no_tier() {
    let store = Shared::default();
    let (one, other) = (instance(&store), instance(&store));
    for remote in [true, false] {
        let writer = if remote { &other } else { &one };
        let old = async {
            writer.insert(key("a"), key("new")).await.expect("stored");
            value("old").await
        };
        assert_eq!(one.get_or_load(&key("a"), old).await.expect("a value"), "old");
        assert_eq!(one.get(&key("a")).await, Some(key("new")), "{remote}");
        let old = async {
            writer.invalidate(&key("a")).await.expect("removed");
            value("old").await
        };
        one.invalidate(&key("a")).await.expect("removed");
        assert_eq!(one.get_or_load(&key("a"), old).await.expect("a value"), "old");
        assert_eq!(one.get(&key("a")).await, None, "{remote}");
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_loaded_past() {
    let store = Shared::default();
    let one = instance(&store);
    one.insert(key("a"), key("1")).await.expect("stored");
    store.set_down(true);
    assert_eq!(one.get_cached(&key("a")), Some(key("1")));
    assert!(one.insert(key("a"), key("2")).await.is_err());
    assert_eq!(one.get_cached(&key("a")), None, "what was there is older");
    assert_eq!(one.get_or_load(&key("b"), value("1")).await.expect("a value"), "1");
    assert_eq!(one.get_or_load(&key("b"), value("2")).await.expect("a value"), "2", "not kept");
    let failed = one.get_or_load(&key("b"), async { Err::<String, _>("no") }).await;
    assert!(matches!(failed, Err(TieredError::Failed(error)) if *error == "no"));
    store.set_down(false);
    assert_eq!(one.get_or_load(&key("b"), value("3")).await.expect("a value"), "3");
    assert_eq!(one.get_or_load(&key("b"), nobody()).await.expect("a value"), "3");
}

#[tokio::test]
async fn many_keys_are_one_question_of_the_trait() {
    let store = Shared::default();
    let (one, other) = (instance(&store), instance(&store));
    let keys: Vec<String> = (0..600).map(|nth| nth.to_string()).collect();
    let entries = keys[..500].iter().map(|name| (name.clone(), name.clone()));
    for stored in one.insert_many(entries).await {
        stored.expect("stored");
    }
    let found = other.get_many(&keys).await;
    for (nth, (name, found)) in keys.iter().zip(found).enumerate() {
        assert_eq!(found, (nth < 500).then(|| name.clone()));
    }
    assert_eq!(store.state.lock().expect("no panic").questions, 600);
    assert_eq!(other.get_many(&keys[..500]).await.len(), 500);
    assert_eq!(store.state.lock().expect("no panic").questions, 600, "all were in the cache");
}

#[tokio::test]
async fn a_write_whose_future_is_dropped_leaves_nothing_old() {
    let store = Shared::default();
    let one = instance(&store);
    one.insert(key("a"), key("old")).await.expect("stored");
    for invalidates in [false, true] {
        let mut write = Box::pin(async {
            match invalidates {
                true => one.invalidate(&key("a")).await,
                false => one.insert(key("a"), key("new")).await,
            }
        });
        // Polled once, and dropped in its midst.
        std::future::poll_fn(|context| {
            let _ = write.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
        drop(write);
        assert_eq!(one.get_cached(&key("a")), None);
    }
}

/// Several instances write, invalidate and read the same keys: what is in a cache is what the store has.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn caches_agree_with_the_store_after_any_writes() {
    let store = Shared::default();
    let instances: Vec<Texts> = (0..3).map(|_| instance(&store)).collect();
    for round in 0..50_u64 {
        let tasks = instances.iter().enumerate().flat_map(|(nth, texts)| {
            (0..4).map(move |task| {
                let texts = texts.clone();
                tokio::spawn(async move {
                    for turn in 0..20_u64 {
                        let name = ((round + turn) % 3).to_string();
                        match (turn + task + nth as u64) % 4 {
                            0 => drop(texts.insert(name, format!("{nth} {task} {turn}")).await),
                            1 => drop(texts.invalidate(&name).await),
                            2 => drop(texts.get(&name).await),
                            _ => drop(texts.get_or_load(&name, value("loaded")).await),
                        }
                    }
                })
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
        for name in ["0", "1", "2"] {
            let stored = store.state.lock().expect("no panic").values.get(name.as_bytes()).cloned();
            let stored = stored.map(|value| value.bytes);
            for texts in &instances {
                if let Some(cached) = texts.get_cached(&key(name)) {
                    let encoded = postcard::to_stdvec(&cached).expect("a text");
                    assert_eq!(Some(encoded), stored, "round {round}, key {name}");
                }
            }
        }
    }
}
