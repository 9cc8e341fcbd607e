//! How a load takes part in the table.
//!
//! A load begins by linking an entry that carries its token. Where the key has no value, that is a
//! *placeholder*; where it has one that is to be renewed, an entry with the same value. The load
//! completes by replacing that very entry by the loaded value. Whatever happens to the key in
//! between (an insert, a removal, a sweep that invalidates) replaces or unlinks the entry, in the
//! same step in which it takes effect; so the load finds its token if and only if nothing has
//! happened.
//!
//! A placeholder has no charge and is never evicted. It holds a permit until it is freed, and the
//! number of permits is bounded; a load that gets none runs for its caller alone. An entry that is
//! being renewed has the charge of its older value. It is evicted only if there is nothing else to
//! evict; the value that its load brings is then not put in.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

use super::panic::Panicked;
use super::types::{EntryState, Occupied, View};
use super::write::Destination;
use super::write_op::{Attempt, AttemptError, UnfinishedPut, WriteOp};
use super::{Engine, Local, Pin};
use crate::entry::{AnyFlight, EntryRef, LoadToken};
use crate::error::InsertErrorKind;
use crate::expiry::{Expiration, LifetimeOverride};
use crate::hash::Hashed;
use crate::outcome::RemovalCause;
use crate::policy::Admission;
use crate::reclaim::ChargedTo;
use crate::sync::{AtomicU64, FirstPanic, NoAbort, Relaxed, seeded};
use crate::table::Lookup;
use crate::time::{Deadline, nanos};

/// The limit on placeholders, including those that are not freed yet, where the retired capacity is
/// smaller than this; otherwise the retired capacity is the limit.
const MIN_PLACEHOLDER_LIMIT: u64 = 1 << 10;

/// What a caller that wants to begin a load found.
pub(crate) enum LoadStart<V> {
    /// A value that may be read.
    Live(V),
    /// Another load of the key.
    Joined(LoadToken),
    /// Neither: the caller's token is in the table now. There may be an older value: a live one if
    /// it is to be renewed, otherwise an expired one, which is of use only if the load fails.
    Started(Option<V>),
    /// There is nothing to renew, or no permit for a placeholder.
    NotStarted,
}

/// A value that may stand in for one that could not be loaded.
pub(crate) struct StaleValue<V> {
    pub(crate) value: V,
    /// Whether it has not expired.
    pub(crate) live: bool,
    /// The token of a load that is to replace it, or that has failed to.
    pub(crate) token: Option<LoadToken>,
}

/// Raises the limit on placeholders by the number of keys in a batch, until it is dropped.
#[derive(Debug)]
pub(crate) struct BatchPermits<'e> {
    batched: &'e Relaxed<AtomicU64>,
    keys: u64,
}

impl Drop for BatchPermits<'_> {
    fn drop(&mut self) {
        self.batched.sub(self.keys);
    }
}

/// A permit for a placeholder that is not in the table yet. Given back on drop if the placeholder
/// does not get there: cloning its key may panic.
pub(super) struct PlaceholderPermit<'e>(&'e Relaxed<AtomicU64>);

impl PlaceholderPermit<'_> {
    /// Leaves the permit to the placeholder, which gives it back when it is freed.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for PlaceholderPermit<'_> {
    fn drop(&mut self) {
        self.0.sub(1);
    }
}

/// What a load is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LoadKind {
    /// To load a value if there is none.
    Load,
    /// To renew a value that is there.
    Renew,
    /// To renew a value that has reached this age, less a random part of it up to this fraction.
    /// The caller has read such a value, but another load may have replaced it since.
    RenewIfOlderThan(Duration, f64),
    /// To load a value that is likely to be asked for, if there is none, or to renew one that is there. It is no use
    /// of the key.
    #[cfg(feature = "predict")]
    Predicted { renews: bool },
}

impl LoadKind {
    /// Whether it loads a value that is not there.
    pub(crate) fn is_load(self) -> bool {
        match self {
            Self::Load => true,
            Self::Renew | Self::RenewIfOlderThan(..) => false,
            #[cfg(feature = "predict")]
            Self::Predicted { renews } => !renews,
        }
    }

    /// Whether no thread has asked for the value yet.
    pub(super) fn is_predicted(self) -> bool {
        match self {
            Self::Load | Self::Renew | Self::RenewIfOlderThan(..) => false,
            #[cfg(feature = "predict")]
            Self::Predicted { .. } => true,
        }
    }
}

impl<K, V, S> Engine<K, V, S> {
    /// How many placeholders there may be, including those that are not freed yet.
    pub(super) fn placeholder_limit(&self) -> u64 {
        let more = self.failures.len().saturating_add(self.batched.get());
        self.retired.limit().max(MIN_PLACEHOLDER_LIMIT).saturating_add(more)
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Links an entry with `token`, unless `key` has a value or another load already. A token for
    /// which `is_over` returns true does not count as a load.
    pub(crate) fn begin_load(
        &self,
        key: &K,
        kind: LoadKind,
        token: &LoadToken,
        is_over: impl Fn(&LoadToken) -> bool,
    ) -> LoadStart<V> {
        let hash = self.hash(key);
        let mut pin = self.pin();
        let mut op = self.op(pin.local());
        // Where there is no permit, waiting for garbage to be freed may be in vain: the
        // placeholders of loads that still run are not garbage.
        op.patient = false;
        let start = self.retry(&mut pin, &mut op, |pin, op| {
            self.try_begin_load(pin, op, Hashed { hash, key }, kind, token, &is_over)
        });
        let start = NoAbort::new(start.unwrap_or(LoadStart::NotStarted));
        drop(op);
        // A caller that reads an old value and has it renewed does not clean up.
        let reads = matches!(kind, LoadKind::RenewIfOlderThan(..));
        if matches!(*start, LoadStart::Started(_)) && !reads {
            self.finish_write(pin);
        }
        start.into_inner()
    }

    fn try_begin_load(
        &self,
        pin: &Pin<'_, K, V>,
        op: &mut WriteOp<'_>,
        Hashed { hash, key }: Hashed<&K>,
        kind: LoadKind,
        token: &LoadToken,
        is_over: impl Fn(&LoadToken) -> bool,
    ) -> Attempt<LoadStart<V>> {
        let view = self.table.view(pin.guard_ref());
        let occupied = match view.find_for_write(hash, |k| k == key) {
            Lookup::Occupied(occupied) => occupied,
            Lookup::Vacant(_) if !kind.is_load() => return Ok(LoadStart::NotStarted),
            Lookup::Vacant(vacant) => {
                // Before the key is cloned: without a permit that would be in vain.
                let permit = self.placeholder_permit().ok_or(AttemptError::Garbage)?;
                let entry = view.placeholder(hash, key.clone(), token.clone());
                if kind.is_predicted() {
                    op.admission = Some(Admission::UNUSED);
                    entry.as_ref().mark_predicted(true);
                }
                let meta = self.initial_meta(view, op, entry.as_ref());
                self.commit(view, &op.delta, vacant, (entry, meta))
                    .map_err(|_| AttemptError::Changed)?;
                permit.keep();
                op.local.tally.token_changes.bump();
                op.local.tally.placeholders.bump();
                self.grow_if_crowded(view);
                return Ok(LoadStart::Started(None));
            }
        };
        if occupied.entry().is_invalidated() {
            // A load that is under way began before: its value is not to be put in, and not for this caller.
            self.remove_occupied(view, occupied, RemovalCause::Invalidated);
            return Err(AttemptError::Changed);
        }
        let state = self.state(occupied.entry());
        let other = occupied.entry().load_token().filter(|token| !is_over(token));
        match (state, other) {
            (EntryState::Live, _) if kind.is_load() && kind.is_predicted() => {
                Ok(LoadStart::NotStarted)
            }
            (EntryState::Live, _) if kind.is_load() => {
                occupied.touch();
                Ok(LoadStart::Live(occupied.entry().value().clone()))
            }
            (_, Some(other)) => Ok(LoadStart::Joined(other.clone())),
            (EntryState::Placeholder, None) if !kind.is_load() => Ok(LoadStart::NotStarted),
            (EntryState::Placeholder, None) => {
                // A load that is over has left it behind.
                self.remove_occupied(view, occupied, RemovalCause::Expired);
                Err(AttemptError::Changed)
            }
            (EntryState::Expired, None) if !kind.is_load() => Ok(LoadStart::NotStarted),
            (EntryState::Expired, None) if !self.is_kept(occupied.entry()) => {
                self.remove_occupied(view, occupied, RemovalCause::Expired);
                Err(AttemptError::Changed)
            }
            (EntryState::Live, None) if !self.is_due(occupied.entry(), kind) => {
                Ok(LoadStart::NotStarted)
            }
            (EntryState::Live | EntryState::Expired, None) => {
                self.begin_renewal(view, op, occupied, (token, kind.is_predicted()))
            }
        }
    }

    /// Raises the limit on placeholders by `keys`, for one call that loads them together. The
    /// caller holds the keys already, so it bounds their number; what their loads leave to be freed
    /// is bounded as that of other loads is.
    pub(crate) fn permits_for_batch(&self, keys: usize) -> BatchPermits<'_> {
        let keys = keys as u64;
        self.batched.add(keys);
        BatchPermits { batched: &self.batched, keys }
    }

    /// Takes a permit for a placeholder, which keeps it until it is freed: so loads that fail one
    /// after another do not pile up garbage. Returns `None` if the limit is reached.
    pub(super) fn placeholder_permit(&self) -> Option<PlaceholderPermit<'_>> {
        let taken = self.placeholders.add(1);
        let permit = PlaceholderPermit(&self.placeholders);
        (taken < self.placeholder_limit()).then_some(permit)
    }

    fn is_due(&self, entry: EntryRef<'_, K, V>, kind: LoadKind) -> bool {
        let LoadKind::RenewIfOlderThan(age, jitter) = kind else { return true };
        let own = entry.load_token().and_then(LoadToken::renewal_age);
        let age = own.map_or(age, Duration::from_nanos);
        let expiration = self.rules.expiration.as_ref();
        expiration.is_some_and(|time| time.is_due(entry, (age, jitter), time.now()))
    }

    /// Replaces an entry without a token by one with the same value and `token`.
    fn begin_renewal<'g>(
        &self,
        view: View<'g, K, V>,
        op: &mut WriteOp<'_>,
        occupied: Occupied<'g, K, V>,
        (token, predicted): (&LoadToken, bool),
    ) -> Attempt<LoadStart<V>> {
        let (old, charge) = (occupied.entry(), occupied.entry().charge());
        let garbage_charge = self.garbage_charge_of_replaced(op, charge);
        // Where the retired capacity has no room for the old entry, that stays charged to the
        // capacity, and the new one is charged as well.
        let need = charge - garbage_charge.frees(charge) + garbage_charge.costs(charge);
        self.find_room(op, need)?;
        let own = NoAbort::new(old.key().clone());
        let (own_value, value) =
            (NoAbort::new(old.value().clone()), NoAbort::new(old.value().clone()));
        let contents = (own.into_inner(), own_value.into_inner());
        token.inherit(old.load_token());
        let mut entry = view.renewing(old.hash(), contents, old.costs(), token.clone());
        entry.set_tags(old.tag_set());
        copy_times(old, entry.as_ref());
        if predicted {
            entry.as_ref().mark_predicted(false);
        }
        let copied = entry.as_ref().deadline().map(|word| Deadline::from_word(word.get()));
        let Ok(unlinked) = self.replace(view, &op.delta, occupied, (entry, false)) else {
            op.reservation.release();
            return Err(AttemptError::Changed);
        };
        let charged_to = self.commit_garbage(garbage_charge, charge);
        op.spend(need);
        op.local.tally.token_changes.bump();
        if let (Some(expiration), Some(copied)) = (&self.rules.expiration, copied) {
            // After the exchange that has linked the new entry: either `set_ttl`, which looks for
            // it after it has changed the old one, finds it, or what it has changed is found here.
            if let Some(occupied) = self.find_by_token(view, old.hash(), old.key(), token) {
                expiration.follow(occupied.entry(), old, copied);
            }
        }
        view.retire(unlinked, charged_to);
        Ok(LoadStart::Started(Some(value.into_inner())))
    }

    /// Returns the value that `key` has now, if it is live or has been expired for less than
    /// `grace`: it may stand in for one that could not be loaded. A value that was replaced,
    /// removed or invalidated is not in the table, so it is never returned.
    pub(crate) fn stale_value(&self, key: &K, grace: Duration) -> Option<StaleValue<V>> {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        let occupied = view.find(self.hash(key), |k| k == key)?;
        let entry = occupied.entry();
        let in_time =
            |expiration: &Expiration<K, V>| expiration.was_live(entry, expiration.now(), grace);
        let live = self.is_live(entry);
        let longest = seeded("stale-by-the-longest") && self.is_kept(entry);
        if !live && !self.rules.expiration.as_ref().is_none_or(in_time) && !longest {
            return None;
        }
        occupied.touch();
        let token = entry.load_token().cloned();
        Some(StaleValue { value: entry.value().clone(), live, token })
    }

    /// Replaces the entry that carries `token` by `value`, unless something has happened to `key`
    /// since the load began, which lasted `took`. If the value is refused, the entry is removed as well.
    ///
    /// The entry for the value is made first, and the token is looked for afterwards, under the pin
    /// under which the entry is then replaced. Where the replacement loses to another write, the
    /// token is looked for again: once it is gone, that write has overtaken the load, and the value
    /// is dropped.
    pub(crate) fn complete_load(
        &self,
        key: &K,
        value: V,
        token: &LoadToken,
        (lifetime_override, took): (LifetimeOverride, Option<Duration>),
    ) {
        let load = ((token, None), lifetime_override, took);
        self.complete_hashed(Hashed { hash: self.hash(key), key }, value, load, |_| ());
    }

    /// The same for a key whose hash is known, and the number of its placeholder, it may be; calls `count` while the
    /// thread is pinned.
    pub(super) fn complete_hashed(
        &self,
        Hashed { hash, key }: Hashed<&K>,
        value: V,
        ((token, number), lifetime_override, took): (
            (&LoadToken, Option<u32>),
            LifetimeOverride,
            Option<Duration>,
        ),
        count: impl FnOnce(&Local),
    ) {
        let value = NoAbort::new(value);
        let costs = self.rules.weigh_loaded(key, &value, took);
        let mut pin = self.pin();
        self.begin_spending(&pin);
        count(pin.local());
        if let Err(kind) = self.check_weight(costs.charge) {
            let op = self.op(pin.local());
            return self.reject_load(pin, op, (hash, key, &value), (token, kind));
        }
        let (own, value) = (key.clone(), value.into_inner());
        let view = self.table.view(pin.guard_ref());
        let entry = match lifetime_override.renew_after {
            None => view.entry(hash, own, value, costs),
            Some(age) => {
                view.renewing(hash, (own, value), costs, LoadToken::RenewAfter(nanos(age)))
            }
        };
        let completed = match number {
            Some(number) => {
                self.try_fast_complete(&pin, entry, (token, number), &lifetime_override)
            }
            None => Err((entry, UnfinishedPut::NOTHING)),
        };
        let Err((entry, unfinished)) = completed else { return self.finish_write(pin) };
        let mut new = Some(entry);
        let mut op = self.op_that_goes_on(&pin, unfinished);
        op.lifetime_override = lifetime_override;
        let done = self.retry(&mut pin, &mut op, |pin, op| {
            let view = self.table.view(pin.guard_ref());
            // Mostly it is where it was put.
            let near = number.and_then(|number| view.find_number(hash, number));
            let near = near.filter(|occupied| has_token(occupied.entry(), token));
            let found = near.or_else(|| self.find_by_token(view, hash, key, token));
            let Some(occupied) = found else { return Ok(()) };
            if let (Some(new), Some(tags)) = (&mut new, occupied.entry().tag_set()) {
                // Those of the value that it renews; if they are invalidated, it goes with that.
                new.set_tags(Some(tags));
            }
            if let (Some(new), true) = (&new, occupied.entry().is_predicted()) {
                let prefetched = occupied.entry().is_prefetched();
                new.as_ref().mark_predicted(prefetched);
                op.predicted = true;
                op.spares_protected = prefetched && !seeded("predict-displaces-protected");
            }
            // The caller that asked for the key has found the older value, and was counted then; a warmer has not asked.
            op.renews = !seeded("policy-renewal-used");
            let state = self.state(occupied.entry());
            self.put_at(view, op, Destination::Occupied(occupied, state), &mut new)?;
            self.promote_overflow(view, op);
            Ok(())
        });
        let Err(kind) = done else {
            drop(op);
            return self.finish_write(pin);
        };
        let (own, value) = new.expect("an entry that was refused is still here").into_parts();
        let (_own, value) = (NoAbort::new(own), NoAbort::new(value));
        self.reject_load(pin, op, (hash, key, &value), (token, kind));
    }

    /// Removes the entry that carries `token`, as the capacity has no room for the value loaded.
    /// That is reported only if the token was still there.
    fn reject_load<'e>(
        &'e self,
        pin: Pin<'e, K, V>,
        mut op: WriteOp<'_>,
        (hash, key, value): (u64, &K, &V),
        (token, kind): (&LoadToken, InsertErrorKind),
    ) {
        op.local.tally.refusals.count(kind);
        let mut panicked = std::mem::take(&mut op.panicked);
        drop(op);
        let notify = || {
            self.note_refused(hash);
            self.rules.notify(key, value, RemovalCause::Refused);
        };
        panicked
            .call(|| self.remove_by_token(pin, Hashed { hash, key }, token, (|_| true, notify)));
    }

    /// Removes the placeholder that carries `token`, as its load has failed. An entry with a value
    /// stays, and keeps the token.
    pub(crate) fn cancel_load(&self, key: &K, token: &LoadToken) {
        self.cancel_hashed(Hashed { hash: self.hash(key), key }, token);
    }

    /// The same for a key whose hash is known.
    pub(super) fn cancel_hashed(&self, key: Hashed<&K>, token: &LoadToken) {
        let is_placeholder = |entry: EntryRef<'_, K, V>| entry.is_placeholder();
        self.remove_by_token(self.pin(), key, token, (is_placeholder, || ()));
    }

    /// Puts a flight in the place of the token of its load, which began thin: that token does not outlive the load,
    /// and its failure is to be remembered. False if something has happened to `key`, or if there is no permit.
    pub(crate) fn settle_token(&self, key: &K, flight: &AnyFlight) -> bool {
        let (hash, token) = (self.hash(key), LoadToken::Flight(Arc::clone(flight)));
        let pin = self.pin();
        let settled = self.try_settle_token(&pin, (hash, key), &token);
        self.finish_write(pin);
        settled
    }

    fn try_settle_token(
        &self,
        pin: &Pin<'_, K, V>,
        (hash, key): (u64, &K),
        token: &LoadToken,
    ) -> bool {
        let (view, local) = (self.table.view(pin.guard_ref()), pin.local());
        let delta = self.policy.probation_delta(&local.cursor);
        // Ends: in each round except the last another thread has changed the bucket.
        loop {
            let occupied = self.find_by_token(view, hash, key, token);
            let Some(occupied) = occupied.filter(|it| it.entry().is_placeholder()) else {
                return false;
            };
            let Some(permit) = self.placeholder_permit() else { return false };
            let entry = view.placeholder(hash, key.clone(), token.clone());
            match self.replace(view, &delta, occupied, (entry, false)) {
                Ok(unlinked) => {
                    permit.keep();
                    local.tally.token_changes.bump();
                    view.retire(unlinked, ChargedTo::Nowhere);
                    return true;
                }
                Err(entry) => drop(NoAbort::new(entry)),
            }
        }
    }

    /// Removes whatever `key` has if its entry carries `token`: the load's value is not to be kept.
    pub(crate) fn complete_unkept(&self, key: &K, token: &LoadToken) {
        let hash = self.hash(key);
        self.remove_by_token(self.pin(), Hashed { hash, key }, token, (|_| true, || ()));
    }

    /// Removes the value of `key` if its entry carries `token`: the load found that there is none.
    pub(crate) fn complete_absent(&self, key: &K, token: &LoadToken) {
        let hash = self.hash(key);
        self.remove_by_token(
            self.pin(),
            Hashed { hash, key },
            token,
            (|entry| !entry.is_placeholder(), || ()),
        );
    }

    /// Leaves the placeholder of a load that has failed in the table, if it is still there, for as
    /// long as its failure is remembered and not too many newer ones are.
    pub(crate) fn remember_failure(&self, key: &K, flight: &AnyFlight) {
        let token = &LoadToken::Flight(Arc::clone(flight));
        let hash = self.hash(key);
        let pin = self.pin();
        let occupied = self.find_by_token(self.table.view(pin.guard_ref()), hash, key, token);
        // An entry with a value has a charge, and leaves when that does.
        let key =
            occupied.filter(|occupied| occupied.entry().is_placeholder()).map(|_| key.clone());
        drop(pin);
        if let Some(key) = key {
            let mut panics = FirstPanic::default();
            for (key, token) in self.failures.push(key, flight) {
                panics.catch(|| {
                    let key = NoAbort::new(key);
                    self.cancel_load(&key, &token);
                });
            }
            panics.pass_on();
        }
    }

    /// Removes the entry that carries `token` if it `may_go`, and calls `then` if it was removed.
    fn remove_by_token<'e>(
        &'e self,
        pin: Pin<'e, K, V>,
        Hashed { hash, key }: Hashed<&K>,
        token: &LoadToken,
        (may_go, then): (impl Fn(EntryRef<'_, K, V>) -> bool, impl FnOnce()),
    ) {
        let cause = RemovalCause::Invalidated;
        let view = self.table.view(pin.guard_ref());
        let find = || {
            self.find_by_token(view, hash, key, token).filter(|occupied| may_go(occupied.entry()))
        };
        while let Some(occupied) = find() {
            if self.unlink_and_retire(view, occupied, cause) {
                let entry = Some(occupied.entry()).filter(|entry| !entry.is_placeholder());
                let mut panicked = Panicked::default();
                panicked.call(|| entry.into_iter().for_each(|entry| self.report(entry, cause)));
                panicked.call(then);
                break;
            }
        }
        self.finish_write(pin);
    }

    /// Whether `token` is still in the table: nothing has happened to `key` since its load began.
    pub(crate) fn has_token(&self, key: &K, token: &LoadToken) -> bool {
        let pin = self.pin();
        self.find_by_token(self.table.view(pin.guard_ref()), self.hash(key), key, token).is_some()
    }

    /// Returns the entry of `key` if it carries `token`.
    fn find_by_token<'g>(
        &self,
        view: View<'g, K, V>,
        hash: u64,
        key: &K,
        token: &LoadToken,
    ) -> Option<Occupied<'g, K, V>> {
        let Lookup::Occupied(occupied) = view.find_for_write(hash, |k| k == key) else {
            return None;
        };
        (has_token(occupied.entry(), token) || seeded("token-unchecked")).then_some(occupied)
    }
}

/// Whether an entry carries this token.
#[inline]
pub(super) fn has_token<K, V>(entry: EntryRef<'_, K, V>, token: &LoadToken) -> bool {
    entry.load_token().is_some_and(|other| other.is(token))
}

/// Copies deadlines and the time of the last write. A concurrent read that has found the old entry
/// and moves its idle deadline from now on is lost.
fn copy_times<K, V>(from: EntryRef<'_, K, V>, to: EntryRef<'_, K, V>) {
    let words = [
        (from.deadline(), to.deadline()),
        (from.idle_deadline(), to.idle_deadline()),
        (from.modified(), to.modified()),
    ];
    for (from, to) in words {
        if let (Some(from), Some(to)) = (from, to) {
            to.set(from.get());
        }
    }
}
