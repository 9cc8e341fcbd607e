//! The server as a second tier: values in envelopes, versions from tokens and stamps.
//!
//! What is encoded, packed or unpacked is so on the caller's thread; what asks the server runs on the tier's, to its end, also
//! if the caller does not wait for it any more.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use clockhand::tier::{
    CacheUpdate, FirstTier, Found, LookupOutcome, Put, PutTerms, Tier, TierItem, TierLookup,
    TierValue, Version,
};

use crate::envelope::{self, EnvelopeError, Label};
use crate::error::TierError;
use crate::join::join_all;
use crate::link::Mark;
use crate::ops::{Answered, LookUp, Write, later};
use crate::tier::RedisTier;
use crate::token::TOKEN;

/// What the version of a load begins with: whether its token is its own. Then come the stamps of its tags, and the token.
const OWN: u8 = 1;
const ANOTHERS: u8 = 0;

fn version(token: &[u8], is_own: bool, stamps: &[[u8; 8]], mark: Mark) -> Version {
    let own = if is_own { OWN } else { ANOTHERS };
    Version::new([&[own], stamps.as_flattened(), token].concat()).at(mark.number())
}

/// Stamps and token, if there are that many stamps.
fn parts(version: &Version, tags: usize) -> Option<(&[[u8; 8]], &[u8])> {
    let (_, rest) = version.bytes().split_first()?;
    let (stamps, token) = rest.split_at_checked(tags * 8)?;
    let (stamps, _) = stamps.as_chunks();
    (!token.is_empty()).then_some((stamps, token))
}

impl Tier for RedisTier {
    type Error = TierError;

    async fn get(&self, key: &[u8], lookup: TierLookup<'_>) -> Result<Found, TierError> {
        let link = &self.link;
        let token = if lookup.loads { link.tokens.next() } else { Vec::new() };
        let mut disregard = lookup.least == Duration::MAX;
        loop {
            let (bytes, own) = (key.to_vec(), Arc::clone(link));
            let least = if disregard { Duration::ZERO } else { lookup.least };
            let look_up =
                LookUp { token: token.clone(), disregard, tags: lookup.tags.to_vec(), least };
            let looking = async move {
                let until = own.until();
                own.look_up_leased(&bytes, look_up, until).await
            };
            match link.run(looking).await?? {
                Answered::Value(sealed, until, mark) => {
                    match self.open(&sealed, lookup.codec, until) {
                        Some(value) => {
                            return Ok(Found::new(
                                Some(value),
                                Version::default().at(mark.number()),
                            ));
                        }
                        // Looked up once more, for a token.
                        None if !disregard && lookup.loads => disregard = true,
                        None => return Ok(Found::new(None, Version::default())),
                    }
                }
                Answered::Miss { token, is_own, stamps, mark } => {
                    let is_whole = !token.is_empty() && stamps.len() == lookup.tags.len();
                    let version = is_whole.then(|| version(&token, is_own, &stamps, mark));
                    return Ok(Found::new(None, version.unwrap_or_default()));
                }
            }
        }
    }

    async fn get_many(
        &self,
        keys: &[Vec<u8>],
        lookup: TierLookup<'_>,
    ) -> Vec<Result<Found, TierError>> {
        // A load needs a marker for its key.
        if lookup.loads || !lookup.least.is_zero() {
            return join_all(keys.iter().map(|key| self.get(key, lookup))).await;
        }
        let (own, bytes) = (Arc::clone(&self.link), keys.to_vec());
        let looking = async move { own.look_up_many(&bytes, own.until()).await };
        let answered = match self.link.run(looking).await {
            Ok(answered) => answered,
            Err(error) => return keys.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut found = Vec::with_capacity(keys.len());
        for (answer, key) in answered.into_iter().zip(keys) {
            found.push(match answer {
                Ok(Some(Answered::Value(sealed, until, mark))) => {
                    let value = self.open(&sealed, lookup.codec, until);
                    Ok(Found::new(value, Version::default().at(mark.number())))
                }
                Ok(Some(Answered::Miss { .. })) => Ok(Found::new(None, Version::default())),
                // It did not fit into the answer.
                Ok(None) => self.get(key, lookup).await,
                Err(error) => Err(error),
            });
        }
        found
    }

    async fn put(
        &self,
        key: &[u8],
        item: TierItem<'_>,
        terms: PutTerms<'_>,
        update: CacheUpdate,
    ) -> Result<Put, TierError> {
        match terms {
            PutTerms::Unchanged(version) => self.put_loaded(key, item, version, update).await,
            _ => self.insert(key, item, update).await,
        }
    }

    async fn put_many<'a>(
        &'a self,
        items: Vec<(Vec<u8>, TierItem<'a>, CacheUpdate)>,
    ) -> Vec<Result<Put, TierError>> {
        let puts = items.into_iter().map(|(key, item, update)| async move {
            self.put(&key, item, PutTerms::Always, update).await
        });
        join_all(puts).await
    }

    async fn remove(&self, key: &[u8]) -> Result<(), TierError> {
        self.write(key, Write::Remove, self.link.until()).await?;
        self.link.counts.removals.add();
        Ok(())
    }

    async fn remove_all(&self) -> Result<(), TierError> {
        let link = &self.link;
        let (own, until) = (Arc::clone(link), link.until());
        let advancing = async move { own.advance_for_user(until).await };
        link.run(advancing).await.unwrap_or_else(|error| {
            link.failed_advance();
            Err(error)
        })
    }

    async fn remove_tag(&self, tag: &str) -> Result<(), TierError> {
        let link = &self.link;
        let (own, until, name) = (Arc::clone(link), link.until(), tag.to_string());
        let removing = async move { own.remove_tag_for_user(&name, until).await };
        link.run(removing).await.unwrap_or_else(|error| {
            link.failed_advance();
            Err(error)
        })
    }

    async fn keep(
        &self,
        key: &[u8],
        value: &TierValue,
        since: &Version,
        update: CacheUpdate,
    ) -> bool {
        let (own, key, tags) = (Arc::clone(&self.link), key.to_vec(), value.tags.clone());
        let (mark, until) = (Mark::of(since.moment()), value.until);
        let keeping = async move {
            let is_unchanged = own.is_unchanged(mark, &key, tags.iter().map(|tag| &tag[..]));
            if is_unchanged {
                update.until(until);
            }
            is_unchanged
        };
        self.link.run(keeping).await == Ok(true)
    }

    /// The marker of a load is that of all loads of the key, so it is removed only where it is a lease: that is of one.
    fn give_up(&self, key: &[u8], version: &Version) {
        let link = &self.link;
        let Some((&OWN, rest)) = version.bytes().split_first() else { return };
        if link.settings.lease.is_none() {
            return;
        }
        let token = rest[rest.len().saturating_sub(TOKEN)..].to_vec();
        let (own, key) = (Arc::clone(link), key.to_vec());
        link.handle.spawn(async move {
            let _ = own.release(&key, &token).await;
        });
    }

    fn time_to_live(&self) -> Duration {
        self.link.settings.time_to_live
    }

    #[inline]
    fn serves(&self) -> bool {
        self.gate.serves()
    }

    fn kept_alone(&self) -> Duration {
        self.link.kept_alone()
    }

    fn attach(&self, first: Weak<dyn FirstTier>) -> bool {
        if !self.link.attach(Weak::clone(&first)) {
            return false;
        }
        // Only now: what the server has told before was not heard by this cache.
        if let Some(first) = first.upgrade() {
            first.invalidate_all();
        }
        self.gate.open();
        true
    }

    fn is_final(&self, error: &TierError) -> bool {
        matches!(error, TierError::TooLarge | TierError::Codec)
    }

    fn record_lookup(&self, outcome: LookupOutcome) {
        let counts = &self.link.counts;
        match outcome {
            LookupOutcome::Hit => counts.hits.add(),
            LookupOutcome::Miss => counts.misses.add(),
            LookupOutcome::Failed => counts.errors.add(),
            LookupOutcome::Undecodable => counts.undecodable.add(),
            _ => {}
        }
    }
}

impl RedisTier {
    /// Takes a value and its tags out of an envelope; counts why that is not possible.
    fn open(&self, sealed: &[u8], codec: u8, until: Instant) -> Option<TierValue> {
        let link = &self.link;
        let opened = envelope::open(sealed, codec, link.settings.max_value_bytes);
        let read = opened.and_then(|opened| Ok((envelope::tag_names(opened.tags)?, opened)));
        match read {
            Ok((tags, opened)) => {
                let tags = tags.into_iter().map(str::to_string).collect();
                Some(TierValue::new(opened.payload, until).tags(tags))
            }
            Err(error) => {
                let count = match error {
                    EnvelopeError::Newer
                    | EnvelopeError::OtherCodec
                    | EnvelopeError::Compressed => &link.counts.other_format,
                    EnvelopeError::TooLarge => &link.counts.too_large,
                    _ => &link.counts.corrupt,
                };
                count.add();
                None
            }
        }
    }

    /// A value in its envelope.
    async fn seal(&self, item: TierItem<'_>, stamps: &[[u8; 8]]) -> Result<Vec<u8>, TierError> {
        let link = &self.link;
        let too_large = |_| {
            link.counts.too_large.add();
            TierError::TooLarge
        };
        if item.bytes.len() > link.settings.max_value_bytes {
            return Err(too_large(EnvelopeError::TooLarge));
        }
        let stamped = item.tags.iter().map(|tag| &tag[..]).zip(stamps.iter().copied());
        let tags = envelope::tag_block(stamped).map_err(|_| TierError::TooLarge)?;
        let version = link.clock.least(Instant::now()).unwrap_or(0);
        let generation = match link.generation() {
            Some(generation) => generation,
            None => {
                let own = Arc::clone(link);
                let asking = async move { own.known_generation(own.until()).await };
                // Without a generation it is not read: the write is to fail by itself.
                link.run(asking).await.and_then(|known| known).unwrap_or_default()
            }
        };
        let label = Label::new(item.codec, generation, version);
        envelope::seal(&label, &tags, item.bytes, link.settings.compress).map_err(too_large)
    }

    /// Stores a value whatever was written before.
    async fn insert(
        &self,
        key: &[u8],
        item: TierItem<'_>,
        update: CacheUpdate,
    ) -> Result<Put, TierError> {
        let until = self.link.until();
        if item.ttl.is_zero() {
            self.write(key, Write::Remove, until).await?;
            return Ok(Put::Stored(Instant::now()));
        }
        let ends = later(Instant::now(), item.ttl);
        let (write, result) = match self.sealed(key, item, update).await {
            Ok(write) => (write, Ok(())),
            // What cannot be stored must not leave an older value behind.
            Err(error) => (Write::Remove, Err(error)),
        };
        let written = self.write(key, write, until).await;
        result.and(written)?;
        self.link.counts.inserts.add();
        Ok(Put::Stored(ends))
    }

    /// Asks for the stamps of the tags, if there are any, and puts value and stamps into an envelope.
    async fn sealed(
        &self,
        key: &[u8],
        item: TierItem<'_>,
        update: CacheUpdate,
    ) -> Result<Write, TierError> {
        if item.tags.is_empty() {
            let sealed = self.seal(item, &[]).await?;
            return Ok(Write::Insert(sealed, item.ttl, update));
        }
        let (link, tags) = (&self.link, item.tags.to_vec());
        let (own, bytes, asked) = (Arc::clone(link), key.to_vec(), tags.clone());
        let (token, least) = (link.tokens.next(), Duration::ZERO);
        let look_up = LookUp { token, disregard: true, tags: asked, least };
        let looking = async move { own.look_up(&bytes, &look_up, own.until()).await };
        let (stamps, mark) = match link.run(looking).await?? {
            Answered::Miss { stamps, mark, .. } if stamps.len() == tags.len() => (stamps, mark),
            // The server has no room for a tag.
            _ => return Err(TierError::OutOfMemory),
        };
        let sealed = self.seal(item, &stamps).await?;
        Ok(Write::InsertTagged(sealed, item.ttl, update, tags, mark))
    }

    /// Stores a loaded value under the version of its look-up.
    async fn put_loaded(
        &self,
        key: &[u8],
        item: TierItem<'_>,
        version: &Version,
        update: CacheUpdate,
    ) -> Result<Put, TierError> {
        let link = &self.link;
        let Some((stamps, token)) = parts(version, item.tags.len()) else {
            return Ok(Put::Overtaken);
        };
        let sealed = self.seal(item, stamps).await?;
        let (bytes, own, token) = (key.to_vec(), Arc::clone(link), token.to_vec());
        let (ttl, mark) = (item.ttl, Mark::of(version.moment()));
        let putting = async move {
            let put = own.put(&bytes, &sealed, ttl, &token).await?;
            match put {
                Put::Stored(until) if own.is_unchanged(mark, &bytes, []) => update.until(until),
                _ => {}
            }
            Ok(put)
        };
        link.run(putting).await?
    }

    /// Runs a write; if it cannot even begin, it has failed.
    async fn write(&self, key: &[u8], write: Write, until: Instant) -> Result<(), TierError> {
        let link = &self.link;
        match link.run(Arc::clone(link).write(key.to_vec(), write, until)).await {
            Ok(written) => written,
            Err(error) => {
                link.failed_write(key);
                Err(error)
            }
        }
    }
}
