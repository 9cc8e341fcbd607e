//! Claims of ids on the server.
//!
//! The key of an id has `D` when it is done, for the time that it is remembered; and `C`, a fence and a token while one
//! instance processes it, for the time of the lease. The token is that of one claim. The fence is the server's time at which
//! the id was claimed: a later claim has a larger one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{Script, Value};

use crate::error::TierError;
use crate::link::Link;
use crate::ops::{Answer, millis};
use crate::scripts::{in_time, timed};

/// What a script answers after the time.
mod status {
    pub(super) const LATE: i64 = 0;
    pub(super) const OWN: i64 = 1;
    pub(super) const DONE: i64 = 2;
    pub(super) const ANOTHERS: i64 = 3;
    /// No instance's: the lease has run out, or the server has lost it.
    pub(super) const NOBODYS: i64 = 4;
}

/// What stands for the id: `held`; what is neither a claim nor `D` is nothing.
macro_rules! held {
    ($body:literal) => {
        concat!(
            r"local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or (held ~= 'D' and (#held ~= 41 or string.sub(held, 1, 1) ~= 'C')) then
  held = nil
end
",
            $body
        )
    };
}

/// `ARGV`: deadline, token, milliseconds of the lease. Asked again with the same token, as when the answer was lost, it
/// answers the same.
const CLAIM: &str = in_time!(held!(
    r"if held == 'D' then
  return {now, 2}
end
if held then
  if string.sub(held, 18) == ARGV[2] then
    return {now, 1, string.sub(held, 2, 17)}
  end
  return {now, 3}
end
local fence = string.format('%016.0f', now)
redis.call('SET', KEYS[1], 'C' .. fence .. ARGV[2], 'PX', ARGV[3])
return {now, 1, fence}
"
));

/// `ARGV`: token, milliseconds that the id is remembered. It is remembered also where the claim was lost, if it is no instance's
/// by now: then it has been processed all the same.
const COMPLETE: &str = timed!(held!(
    r"if held == 'D' then
  return {now, 2}
end
if held and string.sub(held, 18) ~= ARGV[1] then
  return {now, 3}
end
redis.call('SET', KEYS[1], 'D', 'PX', ARGV[2])
return {now, held and 1 or 4}
"
));

/// `ARGV`: token. Gives the claim back.
const GIVE_BACK: &str = timed!(held!(
    r"if held and held ~= 'D' and string.sub(held, 18) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  return {now, 1}
end
return {now, 4}
"
));

/// `ARGV`: deadline, token, milliseconds of the lease from now on.
const EXTEND: &str = in_time!(held!(
    r"if held and held ~= 'D' and string.sub(held, 18) == ARGV[2] then
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  return {now, 1}
end
return {now, 4}
"
));

pub(crate) struct ClaimScripts {
    claim: Script,
    complete: Script,
    give_back: Script,
    extend: Script,
}

impl ClaimScripts {
    pub(crate) fn new() -> Self {
        Self {
            claim: Script::new(CLAIM),
            complete: Script::new(COMPLETE),
            give_back: Script::new(GIVE_BACK),
            extend: Script::new(EXTEND),
        }
    }
}

/// What has become of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// It is granted, with this fence.
    Own(u64),
    /// Another instance processes it.
    Anothers,
    Done,
}

impl Link {
    pub(crate) async fn claim(
        self: &Arc<Self>,
        id: &[u8],
        token: &[u8],
        lease: Duration,
    ) -> Result<Claimed, TierError> {
        let until = self.until();
        let mut answer = self.claim_once(id, token, lease, until).await;
        if self.is_too_soon(&answer, until) {
            answer = self.claim_once(id, token, lease, until).await;
        }
        let answer = answer?;
        match (answer.status, answer.rest.first()) {
            (status::OWN, Some(Value::BulkString(fence))) => {
                let fence = std::str::from_utf8(fence).ok().and_then(|fence| fence.parse().ok());
                Ok(Claimed::Own(fence.unwrap_or(0)))
            }
            (status::DONE, _) => Ok(Claimed::Done),
            (status::ANOTHERS, _) => Ok(Claimed::Anothers),
            (status::LATE, _) => Err(TierError::TimedOut),
            _ => Err(TierError::Server("ERR".to_string())),
        }
    }

    async fn claim_once(
        self: &Arc<Self>,
        id: &[u8],
        token: &[u8],
        lease: Duration,
        until: Instant,
    ) -> Result<Answer, TierError> {
        let mut call = self.scripts.claims.claim.prepare_invoke();
        call.key(self.names.id(id)).arg(self.deadline(until)?).arg(token).arg(millis(lease));
        self.call(&call, until).await
    }

    pub(crate) async fn give_back(
        self: &Arc<Self>,
        id: &[u8],
        token: &[u8],
    ) -> Result<(), TierError> {
        let mut call = self.scripts.claims.give_back.prepare_invoke();
        call.key(self.names.id(id)).arg(token);
        self.call(&call, self.until()).await.map(drop)
    }

    /// Whether the claim was held until now, and is so for so long from now on.
    pub(crate) async fn extend(
        self: &Arc<Self>,
        id: &[u8],
        token: &[u8],
        lease: Duration,
    ) -> Result<bool, TierError> {
        let until = self.until();
        let mut call = self.scripts.claims.extend.prepare_invoke();
        call.key(self.names.id(id)).arg(self.deadline(until)?).arg(token).arg(millis(lease));
        let answer = self.call(&call, until).await?;
        match answer.status {
            status::LATE => Err(TierError::TimedOut),
            status => Ok(status == status::OWN),
        }
    }

    /// Does something until it succeeds or its end has come, with pauses in between, and after this call has returned. Nothing
    /// if too many of these are under way already; false then.
    pub(crate) fn settle_later<F>(
        self: &Arc<Self>,
        end: Instant,
        step: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) -> bool
    where
        F: Future<Output = Result<(), TierError>> + Send + 'static,
    {
        let Some(place) = Unsettled::take(self) else { return false };
        let link = Arc::downgrade(self);
        let (shortest, longest) = self.settings.backoff;
        let mut pause = shortest.min(longest);
        self.handle.spawn(async move {
            let _place = place;
            while Instant::now() < end {
                let Some(link) = link.upgrade() else { return };
                if step(link).await.is_ok() {
                    return;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        });
        true
    }
}

/// A place among what is done later: there are as many as failed writes are remembered.
struct Unsettled(Arc<Link>);

impl Unsettled {
    fn take(link: &Arc<Link>) -> Option<Self> {
        // ORDERING: Relaxed: a count that orders nothing.
        let before = link.unsettled.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(link));
        (before < link.settings.repairs).then_some(place)
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        // ORDERING: Relaxed: a count that orders nothing.
        self.0.unsettled.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Tells the server that an id is done: that is remembered, unless another instance processes it. Returns whether the claim
    /// was held until now; or, if it was granted without the server, whether no other instance had claimed the id.
    pub(crate) async fn tell_done(
        self: &Arc<Self>,
        id: &[u8],
        token: &[u8],
        is_alone: bool,
        ttl: Duration,
    ) -> Result<bool, TierError> {
        let mut call = self.scripts.claims.complete.prepare_invoke();
        call.key(self.names.id(id)).arg(token).arg(millis(ttl));
        let answer = self.call(&call, self.until()).await?;
        // The answer to a claim may have been lost, so there may be one also without the server's word.
        Ok(answer.status == status::OWN || (is_alone && answer.status == status::NOBODYS))
    }

    /// The same, again and again until it succeeds.
    pub(crate) fn tell_done_later(
        self: &Arc<Self>,
        id: Vec<u8>,
        token: Vec<u8>,
        is_alone: bool,
        ttl: Duration,
    ) {
        let told = self.settle_later(Instant::now() + ttl, move |link| {
            let (id, token) = (id.clone(), token.clone());
            async move { link.tell_done(&id, &token, is_alone, ttl).await.map(drop) }
        });
        if !told {
            self.counts.unsettled.add();
        }
    }
}
