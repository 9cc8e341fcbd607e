//! Tags: names by which entries are invalidated together.

use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use equivalent::Equivalent;

use super::Cache;
use crate::engine::{ReadView, Refused};
use crate::error::{InsertError, InsertErrorKind};
use crate::expiry::LifetimeOverride;
use crate::outcome::Inserted;

/// Tags.
///
/// An entry may be given any number of tags when it is inserted, and [`invalidate_tag`](Self::invalidate_tag) removes
/// all entries that have one, in one step that does not depend on their number. The cache is built with
/// [`Builder::tags`](crate::Builder::tags).
///
/// | what is done to an entry with tags | its tags |
/// |---|---|
/// | [`insert`](Self::insert), [`replace`](Self::replace), `insert_with_ttl`, `insert_if_newer` | are gone: the new entry has those that it is given, or none |
/// | [`compute`](Self::compute), `compute_and_get` | stay: the new value was made of the old one |
/// | a renewal by a load, ahead of expiry or after it | stay, if none was invalidated since the entry was inserted |
/// | [`set_ttl`](Self::set_ttl), reads | stay |
impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Inserts a value with tags, as [`insert`](Self::insert) otherwise.
    ///
    /// A tag is any text, the empty one included; one that is given twice counts once, and an entry without tags is
    /// an ordinary one. If one of the tags is invalidated while the call runs, the entry may be invalidated with it;
    /// if that began after the call has asked for the hash, the weight or the cost, it is.
    ///
    /// # Panics
    ///
    /// If there are tags, and the cache was built without [`tags`](crate::Builder::tags).
    ///
    /// # Progress
    ///
    /// Lock-free, as [`insert`](Self::insert). Allocates for the tags; looks each of them up by its name, once.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).tags().build()?;
    /// cache.insert_tagged(17, "an order", ["customer:4", "open"]);
    /// let tags: Vec<String> = vec!["customer:5".into()];
    /// cache.insert_tagged(18, "another", &tags);
    /// cache.invalidate_tag("open");
    /// assert_eq!((cache.get(&17), cache.get(&18)), (None, Some("another")));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("insert_with_tags", "set_with_tags"))]
    pub fn insert_tagged<T: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = T>,
    ) {
        let inserted = self.put_tagged(key, value, tags, LifetimeOverride::default());
        self.settle_tagged(inserted);
    }

    /// Inserts a value with tags that lives for `ttl` from now on:
    /// [`insert_with_ttl`](Self::insert_with_ttl) and [`insert_tagged`](Self::insert_tagged) in one.
    ///
    /// # Panics
    ///
    /// As both.
    ///
    /// # Progress
    ///
    /// As [`insert_tagged`](Self::insert_tagged).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let cache = clockhand::Cache::builder().capacity(100).tags().build()?;
    /// cache.insert_tagged_with_ttl("EURUSD", 1.0842, ["prices"], Duration::from_secs(5));
    /// let info = cache.entry_info("EURUSD").expect("just inserted");
    /// assert!(info.expires_in <= Some(Duration::from_secs(5)));
    /// assert_eq!(info.tags, 1);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn insert_tagged_with_ttl<T: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = T>,
        ttl: Duration,
    ) {
        self.assert_keeps_time();
        let inserted = self.put_tagged(key, value, tags, LifetimeOverride::of_ttl(ttl));
        self.settle_tagged(inserted);
    }

    /// Inserts a value with tags, or says why not: [`insert_tagged`](Self::insert_tagged) with the answer of
    /// [`try_insert`](Self::try_insert).
    ///
    /// # Errors
    ///
    /// Those of [`try_insert`](Self::try_insert), and [`Untagged`](InsertErrorKind::Untagged) if there are tags and
    /// the cache was built without. Key and value come back.
    ///
    /// # Progress
    ///
    /// As [`insert_tagged`](Self::insert_tagged).
    ///
    /// # Examples
    ///
    /// ```
    /// use clockhand::{Cache, InsertErrorKind};
    ///
    /// let error = Cache::new(100).try_insert_tagged(17, "an order", ["open"]).unwrap_err();
    /// assert_eq!((error.kind, error.key), (InsertErrorKind::Untagged, 17));
    /// ```
    pub fn try_insert_tagged<T: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Inserted, InsertError<K, V>> {
        self.put_tagged(key, value, tags, LifetimeOverride::default()).map_err(InsertError::from)
    }

    fn put_tagged<T: AsRef<str>>(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = T>,
        lifetime_override: LifetimeOverride,
    ) -> Result<Inserted, Refused<K, V>> {
        self.engine.put_tagged(key, value, tags, lifetime_override)
    }

    fn settle_tagged(&self, inserted: Result<Inserted, Refused<K, V>>) {
        if let Err(refused) = inserted {
            assert!(refused.kind != InsertErrorKind::Untagged, "{}", InsertErrorKind::Untagged);
            self.engine.refuse(refused);
        }
    }

    /// Invalidates every entry that has this tag.
    ///
    /// In force when the call returns: such an entry is not returned by any read that begins after that, nor seen by
    /// a scan. An entry that is inserted after that is not concerned, whatever its tags. A load that is under way to
    /// renew such an entry does not put its value in, and the caller that asks for the key after that begins another
    /// one.
    ///
    /// Nothing is walked. The entries are removed later, as expired ones are: by writes that need room, by sweeps, by
    /// [`remove_expired`](Self::remove_expired); [`len`](Self::len) and [`usage`](Self::usage) count them until then,
    /// and a removal listener is told of them then, with
    /// [`RemovalCause::Invalidated`](crate::RemovalCause::Invalidated).
    ///
    /// Does nothing if no entry has the tag, or the cache was built without.
    ///
    /// # Progress
    ///
    /// Wait-free; one look-up and two locked instructions, however many entries there are.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).tags().build()?;
    /// cache.insert_tagged("/cart", 1, ["user:7"]);
    /// cache.invalidate_tag("user:7");
    /// assert_eq!(cache.get("/cart"), None);
    /// cache.insert_tagged("/cart", 2, ["user:7"]);
    /// assert_eq!(cache.get("/cart"), Some(2));
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    #[doc(alias("remove_by_tag", "expire_tag", "invalidate_group"))]
    pub fn invalidate_tag(&self, tag: &str) {
        if let Some(tags) = self.engine.tags() {
            tags.invalidate(tag);
        }
    }

    /// The tags of the entry of a key, each once and in their order; `None` if the key is not there. Does not count
    /// as a use.
    ///
    /// # Progress
    ///
    /// Wait-free; allocates what it returns.
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).tags().build()?;
    /// cache.insert_tagged("/cart", 1, ["user:7", "shop"]);
    /// assert_eq!(cache.tags_of("/cart").unwrap(), ["shop", "user:7"]);
    /// assert_eq!(cache.tags_of("/news"), None);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn tags_of<Q>(&self, key: &Q) -> Option<Vec<String>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let guard = self.engine.pin_to_read();
        let entry = ReadView::new(&self.engine, guard.guard_ref()).peek(key)?;
        Some(
            entry
                .tags()
                .map_or_else(Vec::new, |tags| tags.names().map(|tag| tag.to_string()).collect()),
        )
    }

    /// How many tags are known: those of entries that are not freed yet, each once.
    ///
    /// # Progress
    ///
    /// Wait-free, as [`len`](Self::len).
    ///
    /// # Examples
    ///
    /// ```
    /// let cache = clockhand::Cache::builder().capacity(100).tags().build()?;
    /// cache.insert_tagged(1, "one", ["odd", "small"]);
    /// cache.insert_tagged(3, "three", ["odd"]);
    /// assert_eq!(cache.tag_count(), 2);
    /// # Ok::<_, clockhand::BuildError>(())
    /// ```
    pub fn tag_count(&self) -> usize {
        self.engine.tags().map_or(0, |tags| tags.len())
    }
}
