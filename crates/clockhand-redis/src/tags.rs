//! Tags: names by which values are invalidated together, on all instances.
//!
//! A tag that is in use has a key on the server with a random *stamp*, and each value has the stamps that its tags had when
//! its load began, or its insert. To invalidate a tag is to remove its key: then no value has the right stamp, and a value
//! that comes later gets another one. A tag whose key was evicted is invalidated by that.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use crate::envelope;
use crate::error::TierError;
use crate::flow::TieredError;
use crate::key::TierKey;
use crate::ops::{Found, Look, Write};
use crate::tiered::Tiered;

/// Tags.
///
/// Values may have any number of tags, and [`invalidate_tag`](Self::invalidate_tag) invalidates all that have one, on all
/// instances, in one step. Build the cache with [`tags`](clockhand::Builder::tags); values with tags stay out of a cache that
/// was built without, and are read from Redis each time.
impl<K, V, S> Tiered<K, V, S>
where
    K: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// As [`insert`](Self::insert), with tags. Takes two round trips.
    ///
    /// If one of the tags is invalidated while the call runs, the value may be invalidated with it.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_tagged<T: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<(), TierError> {
        let ttl = self.shared.tier.link.settings.time_to_live;
        self.insert_tagged_with_ttl(key, value, tags, ttl).await
    }

    /// As [`insert_tagged`](Self::insert_tagged), with a time to live of its own; zero removes the key.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub async fn insert_tagged_with_ttl<T: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = T>,
        ttl: Duration,
    ) -> Result<(), TierError> {
        let tags = names(tags);
        if tags.is_empty() || ttl.is_zero() {
            return self.insert_with_ttl(key, value, ttl).await;
        }
        let link = &self.shared.tier.link;
        let (bytes, until) = (key.to_bytes(), link.until());
        let write = self.tagged(key, value, tags, ttl).await;
        let (write, result) = match write {
            Ok(write) => (write, Ok(())),
            // What cannot be stored must not leave an older value behind.
            Err(error) => (Write::Remove, Err(error)),
        };
        let own = Arc::clone(link);
        let written = self.run_write(bytes, move |bytes| own.write(bytes, write, until)).await;
        result.and(written)?;
        link.counts.inserts.add();
        Ok(())
    }

    /// Asks for the stamps of the tags, and puts value and stamps into an envelope.
    async fn tagged(
        &self,
        key: K,
        value: V,
        tags: Vec<String>,
        ttl: Duration,
    ) -> Result<Write, TierError> {
        let link = &self.shared.tier.link;
        let (own, bytes) = (Arc::clone(link), key.to_bytes());
        let (token, least) = (link.tokens.next(), Duration::ZERO);
        let look = Look { token, disregard: true, tags: tags.clone(), least };
        let looking = async move { own.look_up(&bytes, &look, own.until()).await };
        let (stamps, mark) = match link.run(looking).await.and_then(|found| found)? {
            Found::Miss { stamps, mark, .. } if stamps.len() == tags.len() => (stamps, mark),
            // The server has no room for a tag.
            _ => return Err(TierError::OutOfMemory),
        };
        let stamped = tags.iter().map(|tag| &tag[..]).zip(stamps);
        let block = envelope::tag_block(stamped).map_err(|_| TierError::TooLarge)?;
        let sealed = self.seal(&value, &block).await?;
        let (cache, own_tags) = (self.cache.clone(), tags.clone());
        let fill = move |left: Duration| {
            if cache.policy().has_tags {
                cache.insert_tagged_with_ttl(key, value, &own_tags, left);
            } else {
                cache.invalidate(&key);
            }
        };
        Ok(Write::InsertTagged(sealed, ttl, Box::new(fill), tags, mark))
    }

    /// As [`get_or_load`](Self::get_or_load); a value that is loaded gets these tags. One that is there keeps its own.
    ///
    /// If one of the tags is invalidated while the load runs, its value is kept by nobody.
    ///
    /// # Errors
    ///
    /// As [`get_or_load`](Self::get_or_load).
    pub async fn get_or_load_tagged<T: AsRef<str>, E>(
        &self,
        key: &K,
        tags: impl IntoIterator<Item = T>,
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
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), TierError> {
        let link = Arc::clone(&self.shared.tier.link);
        let (own, until, name) = (Arc::clone(&link), link.until(), tag.to_string());
        match link.run(async move { own.remove_tag_for_user(&name, until).await }).await {
            Ok(removed) => removed,
            Err(error) => {
                link.failed_advance();
                self.cache.invalidate_tag(tag);
                Err(error)
            }
        }
    }
}

/// Each tag once.
fn names<T: AsRef<str>>(tags: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut names: Vec<String> = tags.into_iter().map(|tag| tag.as_ref().to_string()).collect();
    names.sort();
    names.dedup();
    names
}
