//! A deduplicator over instances: each id is new to one of them.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clockhand::dedup::{Claim, Deduplicator, Outcome, SettingsError, Ticket};

use crate::blocking::block_on;
use crate::claims::Claimed;
use crate::error::TierError;
use crate::key::TierKey;
use crate::tier::RedisTier;

/// What claims do while the server cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WhenAway {
    /// They are refused, by an error: what cannot be claimed is not processed. Nothing is processed twice.
    #[default]
    Refuse,
    /// They are granted by this instance alone: nothing waits, and what comes to two instances may be processed by both. What
    /// was done is told to the server as soon as that is possible.
    Alone,
}

/// A [`Deduplicator`] over several instances: of an id, one claim is new over all of them, until its lease has run out.
///
/// Each instance asks its own deduplicator first: an id that is done or in progress there costs no round trip. A claim that is
/// new there is then made on the server, in one round trip; what another instance has done is remembered here from then on.
///
/// # Consistency
///
/// A claim is lost if its lease runs out, if the server evicts or loses it, or is replaced by one that does not have it. Then
/// another instance may claim the id, and [`complete`](SharedTicket::complete) says that it was too late. Give these ids a
/// server (or a database of one) that evicts nothing (`noeviction`) and keeps what it has (`appendonly yes`). What writes the
/// result may compare the [`fence`](SharedTicket::fence): a later claim of the same id has a larger one, as long as the
/// server's clock is not set back.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use clockhand_redis::{RedisTier, SharedDeduplicator};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tier = RedisTier::builder("redis://127.0.0.1:6379").key_prefix("orders").build()?;
/// let seen: SharedDeduplicator<String> =
///     SharedDeduplicator::builder(&tier).lease(Duration::from_secs(30)).build()?;
/// if let Some(ticket) = seen.claim("message-1".to_string()).await?.ticket() {
///     // Process the message, and then:
///     ticket.complete().await?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct SharedDeduplicator<Id> {
    local: Deduplicator<Id>,
    tier: RedisTier,
    terms: Terms,
}

#[derive(Debug, Clone, Copy)]
struct Terms {
    lease: Duration,
    ttl: Duration,
    when_away: WhenAway,
}

/// Configures a [`SharedDeduplicator`]. Made by [`SharedDeduplicator::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until build() is called"]
pub struct SharedDeduplicatorBuilder {
    tier: RedisTier,
    capacity: u64,
    terms: Terms,
}

impl SharedDeduplicatorBuilder {
    /// How many ids each instance remembers by itself. By default 100,000. The server remembers all.
    pub fn capacity(mut self, ids: u64) -> Self {
        self.capacity = ids;
        self
    }

    /// How long ids are remembered that are done. By default an hour.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.terms.ttl = ttl;
        self
    }

    /// How long a claim may be held, until another one may be granted. By default 30 seconds. All instances should have the
    /// same.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.terms.lease = lease;
        self
    }

    /// What claims do while the server cannot be asked. By default they are refused.
    pub fn when_away(mut self, when_away: WhenAway) -> Self {
        self.terms.when_away = when_away;
        self
    }

    /// Builds it.
    ///
    /// # Errors
    ///
    /// As [`DeduplicatorBuilder::build`](clockhand::dedup::DeduplicatorBuilder::build).
    pub fn build<Id>(self) -> Result<SharedDeduplicator<Id>, SettingsError>
    where
        Id: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
    {
        let Self { tier, capacity, terms } = self;
        let local = Deduplicator::builder().capacity(capacity).ttl(terms.ttl).lease(terms.lease);
        Ok(SharedDeduplicator { local: local.build()?, tier, terms })
    }
}

impl SharedDeduplicator<()> {
    /// Configures a deduplicator whose ids stand on the server of this tier, under its prefix.
    pub fn builder(tier: &RedisTier) -> SharedDeduplicatorBuilder {
        let (hour, lease) = (Duration::from_secs(3600), Duration::from_secs(30));
        let terms = Terms { lease, ttl: hour, when_away: WhenAway::Refuse };
        SharedDeduplicatorBuilder { tier: tier.clone(), capacity: 100_000, terms }
    }
}

impl<Id> Clone for SharedDeduplicator<Id> {
    fn clone(&self) -> Self {
        Self { local: self.local.clone(), tier: self.tier.clone(), terms: self.terms }
    }
}

impl<Id> SharedDeduplicator<Id>
where
    Id: TierKey + Hash + Eq + Clone + Send + Sync + 'static,
{
    /// Claims an id, if it is new to all instances.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked, and [`WhenAway`] does not say to go on alone. The id may be in progress for all
    /// until the lease has run out, if the answer was lost; it is given back as soon as that is possible.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the claim back.
    pub async fn claim(&self, id: Id) -> Result<Claim<SharedTicket<Id>>, TierError> {
        let bytes = id.to_bytes();
        let local = match self.local.claim(id) {
            Claim::New(local) => local,
            Claim::Done => return Ok(Claim::Done),
            _ => return Ok(Claim::InProgress),
        };
        let link = &self.tier.link;
        // Dropped before it is granted, it gives the claim back that the server may have made.
        let mut ticket = SharedTicket {
            local: Some(local),
            tier: self.tier.clone(),
            terms: self.terms,
            id: bytes.clone(),
            token: link.tokens.next(),
            fence: 0,
        };
        let (own, token, lease) = (Arc::clone(link), ticket.token.clone(), self.terms.lease);
        let claiming = async move { own.claim(&bytes, &token, lease).await };
        match link.run(claiming).await.and_then(|claimed| claimed) {
            Ok(Claimed::Own(fence)) => {
                link.counts.claims.add();
                ticket.fence = fence;
                Ok(Claim::New(ticket))
            }
            Ok(Claimed::Anothers) => {
                link.counts.duplicates.add();
                ticket.token.clear();
                Ok(Claim::InProgress)
            }
            Ok(Claimed::Done) => {
                link.counts.duplicates.add();
                ticket.token.clear();
                // From now on without asking.
                let _ = ticket.local.take().is_some_and(Ticket::complete);
                Ok(Claim::Done)
            }
            Err(_) if self.terms.when_away == WhenAway::Alone => {
                link.counts.claims_alone.add();
                Ok(Claim::New(ticket))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether an id is done, and is remembered by this instance. Nothing is asked.
    pub fn is_processed(&self, id: &Id) -> bool {
        self.local.is_processed(id)
    }

    /// Calls `work` for an id, unless an instance has done or is processing it.
    ///
    /// If `work` fails, panics or is dropped, the claim is given back.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim). What cannot be told to the server after the work is told later, and no error.
    pub async fn process<R, E, F>(
        &self,
        id: Id,
        work: impl FnOnce() -> F,
    ) -> Result<Outcome<R, E>, TierError>
    where
        F: Future<Output = Result<R, E>>,
    {
        let ticket = match self.claim(id).await? {
            Claim::New(ticket) => ticket,
            Claim::Done => return Ok(Outcome::Duplicate),
            _ => return Ok(Outcome::InProgress),
        };
        match work().await {
            Ok(result) => Ok(match ticket.complete().await {
                Ok(false) => Outcome::Late(result),
                Ok(true) | Err(_) => Outcome::Processed(result),
            }),
            Err(error) => Ok(Outcome::Failed(error)),
        }
    }

    /// As [`claim`](Self::claim), for a thread, which waits for the answer.
    ///
    /// # Errors
    ///
    /// As [`claim`](Self::claim).
    pub fn claim_blocking(&self, id: Id) -> Result<Claim<SharedTicket<Id>>, TierError> {
        block_on(self.claim(id))
    }

    /// The deduplicator of this instance: its figures and its health.
    pub fn local(&self) -> &Deduplicator<Id> {
        &self.local
    }
}

impl<Id> fmt::Debug for SharedDeduplicator<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedDeduplicator")
            .field("tier", &self.tier)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

/// The right to process an id, over all instances. Complete it when the id is processed.
///
/// Dropped, it gives the claim back: here at once, and on the server as soon as that is possible.
#[must_use = "a ticket that is dropped gives the claim back"]
pub struct SharedTicket<Id: Hash + Eq + Clone + Send + Sync + 'static> {
    /// None when it is completed.
    local: Option<Ticket<Id>>,
    tier: RedisTier,
    terms: Terms,
    id: Vec<u8>,
    /// Empty if the server has no claim.
    token: Vec<u8>,
    fence: u64,
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> SharedTicket<Id> {
    /// A number that is larger for each later claim of the same id: the server's microseconds. Zero if the claim was granted
    /// by this instance alone.
    pub fn fence(&self) -> u64 {
        self.fence
    }

    /// Remembers the id as done, here and on the server. Returns false if the claim was lost by then: another instance may have
    /// processed the id, too.
    ///
    /// # Errors
    ///
    /// If the server was not told. It is told later, again and again for as long as ids are remembered, also if the returned
    /// future is dropped. If it cannot be told before the lease has run out, another instance may process the id as well.
    pub async fn complete(mut self) -> Result<bool, TierError> {
        let in_time = self.local.take().is_some_and(Ticket::complete);
        let (link, ttl) = (&self.tier.link, self.terms.ttl);
        let (id, token) = (std::mem::take(&mut self.id), std::mem::take(&mut self.token));
        let (own, is_alone) = (Arc::clone(link), self.fence == 0);
        let completing = async move {
            let told = own.tell_done(&id, &token, is_alone, ttl).await;
            if told.is_err() {
                own.tell_done_later(id, token, is_alone, ttl);
            }
            told
        };
        let told = match link.spawned(completing).await {
            Some(told) => told,
            None => Err(TierError::Disconnected),
        };
        let is_held = told? && in_time;
        if !is_held {
            link.counts.late.add();
        }
        Ok(is_held)
    }

    /// As [`complete`](Self::complete), for a thread, which waits for the answer.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete).
    pub fn complete_blocking(self) -> Result<bool, TierError> {
        block_on(self.complete())
    }

    /// Makes the lease end `lease` from now, if that is later. Returns false if the claim is lost.
    ///
    /// # Errors
    ///
    /// If the server was not told; then the lease ends as before.
    pub async fn extend(&mut self, lease: Duration) -> Result<bool, TierError> {
        let link = &self.tier.link;
        if self.fence != 0 {
            let (own, id, token) = (Arc::clone(link), self.id.clone(), self.token.clone());
            let extending = async move { own.extend(&id, &token, lease).await };
            if !link.run(extending).await?? {
                return Ok(false);
            }
        }
        Ok(self.local.as_mut().is_some_and(|local| local.extend(lease)))
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> Drop for SharedTicket<Id> {
    fn drop(&mut self) {
        if self.token.is_empty() {
            return;
        }
        let (id, token) = (std::mem::take(&mut self.id), std::mem::take(&mut self.token));
        let end = Instant::now() + self.terms.lease;
        self.tier.link.settle_later(end, move |link| {
            let (id, token) = (id.clone(), token.clone());
            async move { link.give_back(&id, &token).await }
        });
    }
}

impl<Id: Hash + Eq + Clone + Send + Sync + 'static> fmt::Debug for SharedTicket<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTicket").field("fence", &self.fence).finish_non_exhaustive()
    }
}
