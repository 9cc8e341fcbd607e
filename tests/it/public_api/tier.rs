//! The names and signatures of second tiers.

use std::convert::Infallible;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Weak;
use std::time::{Duration, Instant};

use clockhand::tier::{
    CacheUpdate, FirstTier, Found, LookupOutcome, Put, PutTerms, Tier, TierItem, TierLookup,
    TierValue, Version,
};
use futures_executor::block_on;

/// A store that has one value of each key, and the methods that a store has to have.
#[derive(Clone)]
struct Echo;

impl Tier for Echo {
    type Error = Infallible;

    async fn get(&self, key: &[u8], lookup: TierLookup<'_>) -> Result<Found, Infallible> {
        let _: (u8, Duration, bool, &[String]) =
            (lookup.codec, lookup.least, lookup.loads, lookup.tags);
        let value: TierValue = TierValue::new(key, Instant::now() + self.time_to_live());
        let value: Option<TierValue> = Some(value.tags(Vec::new())).filter(|it| lookup.takes(it));
        Ok(Found::new(value, Version::new(*b"1").at(7)))
    }

    async fn put(
        &self,
        _: &[u8],
        item: TierItem<'_>,
        terms: PutTerms<'_>,
        update: CacheUpdate,
    ) -> Result<Put, Infallible> {
        let _: (&[u8], u8, Duration, &[String]) = (item.bytes, item.codec, item.ttl, item.tags);
        if let PutTerms::Unchanged(version) = terms {
            let _: (&[u8], u64, bool) = (version.bytes(), version.moment(), version.allows_put());
            return Ok(Put::Overtaken);
        }
        let until: Instant = Instant::now() + item.ttl;
        update.until(until);
        Ok(Put::Stored(until))
    }

    async fn remove(&self, _: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }

    async fn remove_all(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn a_store_is_a_tier_by_four_methods() {
    block_on(async {
        let tags = [String::new()];
        let lookup: TierLookup<'_> = TierLookup::new(1_u8).before_load(&tags).least(Duration::ZERO);
        let found: Found = Echo.get(b"a", lookup).await.expect("it cannot fail");
        let (value, version): (Option<TierValue>, Version) = (found.value, found.version);
        let value: TierValue = value.expect("a value");
        let _: (Vec<u8>, Instant, Vec<String>) = (value.bytes.clone(), value.until, Vec::new());
        assert!(value.left() <= Duration::from_secs(3600) && value.tags.is_empty());
        let found: Vec<Result<Found, Infallible>> =
            Echo.get_many(&[b"a".to_vec(), b"b".to_vec()], lookup).await;
        assert_eq!(found.len(), 2);
        let item: TierItem<'_> = TierItem::new(b"1", 1, Duration::from_secs(1)).tags(&tags);
        let terms: PutTerms<'_> = PutTerms::Unchanged(&version);
        assert_eq!(Echo.put(b"a", item, terms, CacheUpdate::nothing()).await, Ok(Put::Overtaken));
        let (told, tells) = std::sync::mpsc::channel();
        let update: CacheUpdate =
            CacheUpdate::new(move |left: Option<Duration>| told.send(left).expect("open"));
        let put: Vec<Result<Put, Infallible>> =
            Echo.put_many(vec![(b"a".to_vec(), item, update)]).await;
        assert!(matches!(put[..], [Ok(Put::Stored(_))]));
        assert!(tells.recv().expect("it was called").is_some());
        let _: [Result<(), Infallible>; 3] =
            [Echo.remove(b"a").await, Echo.remove_all().await, Echo.remove_tag("a").await];
        let kept: bool = Echo.keep(b"a", &value, &version, CacheUpdate::nothing()).await;
        assert!(!kept && Echo.serves());
        Echo.give_up(b"a", &version);
        assert_eq!(Echo.kept_alone(), Duration::ZERO);
        let _ = |error: &Infallible| -> bool { Echo.is_final(error) };
        for outcome in [
            LookupOutcome::Hit,
            LookupOutcome::Miss,
            LookupOutcome::Failed,
            LookupOutcome::Undecodable,
        ] {
            Echo.record_lookup(outcome);
        }
    });
}

struct Deaf;

impl FirstTier for Deaf {
    fn invalidate(&self, _: &[u8]) -> bool {
        true
    }
    fn invalidate_tag(&self, _: &[u8]) {}
    fn invalidate_all(&self) {}
}

#[test]
fn a_cache_is_told_of_changes_by_a_trait_object() {
    let first = std::sync::Arc::new(Deaf);
    let weak: Weak<Deaf> = std::sync::Arc::downgrade(&first);
    assert!(Echo.attach(weak));
    assert!(first.invalidate(b"a"));
    first.invalidate_tag(b"a");
    first.invalidate_all();
}

fn is_plain<T: Debug + Clone + PartialEq + Eq + Send + Sync>() {}
fn is_hashed<T: Hash + Send + Sync>() {}

#[test]
fn what_the_types_can_do() {
    is_plain::<Found>();
    is_plain::<TierValue>();
    is_plain::<Version>();
    is_plain::<Put>();
    is_plain::<LookupOutcome>();
    is_hashed::<Version>();
    is_hashed::<Put>();
    is_hashed::<LookupOutcome>();
    assert_eq!(Version::default(), Version::new(Vec::new()));
    fn sends<T: Debug + Send>() {}
    sends::<CacheUpdate>();
    sends::<TierLookup<'_>>();
    sends::<TierItem<'_>>();
    sends::<PutTerms<'_>>();
}
