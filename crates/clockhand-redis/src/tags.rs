//! Tags: names by which values are invalidated together, on all instances.
//!
//! A tag that is in use has a key on the server with a random *stamp*, and each value has the stamps that its tags had when
//! its load began, or its insert. To invalidate a tag is to remove its key: then no value has the right stamp, and a value
//! that comes later gets another one. A tag whose key was evicted is invalidated by that.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use clockhand::tier::{CacheUpdate, Tier};

use crate::codec::CodecError;
use crate::flow::TieredError;
use crate::key::TierKey;
use crate::tiered::Tiered;

/// Tags.
///
/// Values may have any number of tags, and [`invalidate_tag`](Self::invalidate_tag) invalidates all that have one, on all
/// instances, in one step. Build the cache with [`tags`](clockhand::Builder::tags); values with tags stay out of a cache that
/// was built without, and are read from Redis each time.
impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier<Error: From<CodecError>>,
{
    /// As [`insert`](Self::insert), with tags. Takes two round trips.
    ///
    /// If one of the tags is invalidated while the call runs, the value may be invalidated with it.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_tagged<N: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = N>,
    ) -> Result<(), T::Error> {
        let ttl = self.tier.time_to_live();
        self.insert_tagged_with_ttl(key, value, tags, ttl).await
    }

    /// As [`insert_tagged`](Self::insert_tagged), with a time to live of its own; zero removes the key.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_tagged_with_ttl<N: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = N>,
        ttl: Duration,
    ) -> Result<(), T::Error> {
        self.write(key, value, &names(tags), ttl).await
    }
}

impl<K, V, S, T> Tiered<K, V, S, T>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
    T: Tier,
{
    /// As [`get_or_load`](Self::get_or_load); a value that is loaded gets these tags. One that is there keeps its own.
    ///
    /// If one of the tags is invalidated while the load runs, its value is not kept anywhere.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_tagged<N: AsRef<str>, E>(
        &self,
        key: &K,
        tags: impl IntoIterator<Item = N>,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, TieredError<E>>
    where
        E: Send + Sync + 'static,
    {
        match self.get_cached(key) {
            Some(value) => Ok(value),
            None => self.load_missing(key, &names(tags), load).await,
        }
    }

    /// Invalidates every value that has this tag, on all instances, and stops loads of such values.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert); what did not succeed is made up for by giving up everything on the server.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), T::Error> {
        let (cache, name) = (self.cache.clone(), tag.to_string());
        let _removes = CacheUpdate::new(move |_| cache.invalidate_tag(&name));
        self.tier.remove_tag(tag).await
    }
}

/// Each tag once.
fn names<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut names: Vec<String> = tags.into_iter().map(|tag| tag.as_ref().to_string()).collect();
    names.sort();
    names.dedup();
    names
}
