//! How an entry comes in: insert and replace.

use std::hash::{BuildHasher, Hash};

use super::bearer::plot;
use super::bury::{Found, State, Table};
use super::panic::Panicked;
use super::table_entries::TableEntries;
use super::work::{Attempt, Decided, Obstacle, Work};
use super::{Engine, Pin};
use crate::entry::{Entry, EntryRef, HEAVIEST};
use crate::error::InsertErrorKind;
use crate::expiry::Terms;
use crate::latency::Operation;
use crate::outcome::{Inserted, RemovalCause};
use crate::policy::{History, Worth};
use crate::reclaim::ChargedTo;
use crate::sync::NoAbort;
use crate::table::{Lookup, Vacant};

/// An entry that did not come in.
#[derive(Debug)]
pub(crate) struct Refused<K, V> {
    pub(crate) kind: InsertErrorKind,
    pub(crate) key: K,
    pub(crate) value: V,
    /// A panic of the listener, which goes on when the caller was told.
    pub(crate) panicked: Panicked,
}

/// What every attempt relies on.
const KEPT: &str = "an attempt leaves the entry unless it succeeds";

/// Where an entry may be linked.
pub(super) enum Site<'g, K, V> {
    /// Where its key is not there.
    Vacant(Vacant<'g, K, V, History>),
    /// In the place of another, which was in this state when it was looked at.
    Occupied(Found<'g, K, V>, State),
}

/// The same for one that gives its entry back.
pub(super) type Linked<K, V> = Result<Inserted, (Obstacle, Entry<K, V>)>;

impl<K, V, S> Engine<K, V, S>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Puts an entry in, unless there is a live value over which the new one may not go.
    #[inline]
    pub(crate) fn put(
        &self,
        key: K,
        value: V,
        over: (impl Fn(&V, &V) -> bool, Decided),
    ) -> Result<Inserted, Refused<K, V>> {
        self.put_for(key, value, over, Terms::default())
    }

    /// The same, for a value that lives differently.
    pub(crate) fn put_for(
        &self,
        key: K,
        value: V,
        over: (impl Fn(&V, &V) -> bool, Decided),
        terms: Terms,
    ) -> Result<Inserted, Refused<K, V>> {
        let (key, value) = (NoAbort::new(key), NoAbort::new(value));
        let costs = self.rules.weigh(&key, &value);
        let hash = self.hash(&*key);
        let mut pin = self.pin();
        let _timing = self.begin_timing(pin.local(), Operation::Insert);
        if let Err(kind) = self.fits(costs.charge) {
            let view = self.table.view(pin.guard_ref());
            let occupied = view.find(hash, |k| *k == *key);
            let live = occupied.filter(|occupied| self.is_live(occupied.entry()));
            if let Some(occupied) =
                live.filter(|occupied| !over.0(occupied.entry().value(), &value))
            {
                self.note_use(view, occupied);
                return Err(Refused::new(InsertErrorKind::Occupied, key, value));
            }
            self.count_refusal(pin.local(), hash, kind);
            return Err(Refused::new(kind, key, value));
        }
        self.prefetch(&pin, hash);
        let (key, value) = (key.into_inner(), value.into_inner());
        let mut new = Some(self.table.view(pin.guard_ref()).entry(hash, key, value, costs));
        let (outcome, mut panicked) = self.put_entry(&mut pin, &mut new, (&over, terms), hash);
        let kind = match outcome {
            Ok(inserted) => {
                self.tidy(pin);
                return Ok(inserted);
            }
            Err(kind) => kind,
        };
        // What is refused is told, whatever others do who are told or freed here.
        panicked.call(|| self.tidy(pin));
        let (key, value) = new.expect("an entry that was refused is still here").into_parts();
        Err(Refused { kind, key, value, panicked })
    }

    /// Puts an entry in, and counts it if it is refused.
    #[inline(always)]
    fn put_entry<'e>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        new: &mut Option<Entry<K, V>>,
        (over, terms): (&(impl Fn(&V, &V) -> bool, Decided), Terms),
        hash: u64,
    ) -> (Result<Inserted, InsertErrorKind>, Panicked) {
        let mut work = self.work_of(pin);
        work.terms = terms;
        let outcome = self.persist(pin, &mut work, |pin, work| self.try_put(pin, work, new, over));
        let outcome =
            outcome.unwrap_or_else(|kind| self.put_after_old(pin, &mut work, new, over, kind));
        if let Err(kind) = outcome
            && kind != InsertErrorKind::Occupied
        {
            self.count_refusal(work.local, hash, kind);
        }
        (outcome, std::mem::take(&mut work.panicked))
    }

    /// The last resort for an operation that wanted to replace a value, whatever it is, by a value that was refused
    /// for so far: if the old one can never lie in the retired capacity, and nobody reads who would keep it from being
    /// freed, it goes first.
    #[cold]
    fn put_after_old<'e>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        work: &mut Work<'_>,
        new: &mut Option<Entry<K, V>>,
        over: &(impl Fn(&V, &V) -> bool, Decided),
        kind: InsertErrorKind,
    ) -> Result<Inserted, InsertErrorKind> {
        pin.repin();
        if !work.outsized || over.1 == Decided::ByClosure || self.reclamation_lag() > 0 {
            return Err(kind);
        }
        let entry = new.as_ref().expect(KEPT).as_ref();
        let view = self.table.view(pin.guard_ref());
        if let Lookup::Occupied(occupied) = view.find_for_write(entry.hash(), |k| k == entry.key())
        {
            let live = self.is_live(occupied.entry());
            let cause = if live { RemovalCause::Evicted } else { RemovalCause::Expired };
            if self.take_away(view, occupied, cause) && !occupied.entry().is_placeholder() {
                work.report(&self.rules, occupied.entry(), cause);
            }
        }
        work.begin_last_resort();
        self.persist(pin, work, |pin, work| self.try_put(pin, work, new, over)).unwrap_or_else(Err)
    }

    /// Tries until it is done.
    ///
    /// # Errors
    ///
    /// If there is no room, or a closure of the user's stands in its own way.
    #[inline(always)]
    pub(super) fn persist<'e, T>(
        &'e self,
        pin: &mut Pin<'e, K, V>,
        work: &mut Work<'_>,
        mut attempt: impl FnMut(&Pin<'e, K, V>, &mut Work<'_>) -> Attempt<T>,
    ) -> Result<T, InsertErrorKind> {
        let mut starved = None;
        if self.starving.any() && work.patient {
            self.stand_back(pin, work.local);
        }
        loop {
            let obstacle = match attempt(pin, work) {
                Ok(done) => return Ok(done),
                Err(obstacle) => obstacle,
            };
            if let Some(kind) = self.gives_up(pin, work, obstacle) {
                return Err(kind);
            }
            if obstacle != Obstacle::Changed {
                self.relieve_work(pin, work, &mut starved);
            }
        }
    }

    #[inline(always)]
    fn try_put(
        &self,
        pin: &Pin<'_, K, V>,
        work: &mut Work<'_>,
        new: &mut Option<Entry<K, V>>,
        (over, decided): &(impl Fn(&V, &V) -> bool, Decided),
    ) -> Attempt<Result<Inserted, InsertErrorKind>> {
        let view = self.table.view(pin.guard_ref());
        let entry = new.as_ref().expect(KEPT).as_ref();
        let (hash, key) = (entry.hash(), entry.key());
        let site = self.site(view, hash, key);
        work.asks(*decided);
        if let Site::Occupied(occupied, State::Live) = site
            && !over(occupied.entry().value(), entry.value())
        {
            self.note_use(view, occupied);
            return Ok(Err(InsertErrorKind::Occupied));
        }
        self.put_from(view, work, site, new).map(Ok)
    }

    /// Looks for the place of a key.
    #[inline(always)]
    pub(super) fn site<'g>(&self, view: Table<'g, K, V>, hash: u64, key: &K) -> Site<'g, K, V> {
        match view.find_for_write(hash, |k| k == key) {
            Lookup::Vacant(vacant) => Site::Vacant(vacant),
            Lookup::Occupied(occupied) => Site::Occupied(occupied, self.state(occupied.entry())),
        }
    }

    /// Links an entry, which stays where it is unless that succeeds.
    #[inline(always)]
    pub(super) fn put_from<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        new: &mut Option<Entry<K, V>>,
    ) -> Attempt<Inserted> {
        let entry = new.take().expect(KEPT);
        self.put_at(view, work, site, entry).map_err(|(obstacle, entry)| {
            *new = Some(entry);
            obstacle
        })
    }

    /// Links an entry.
    #[inline(always)]
    pub(super) fn put_at<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        if self.screens
            && let Some(cause) = self.passes(view, work, &site, entry.as_ref())
        {
            return self.put_in_passing(view, work, site, (entry, cause));
        }
        match site {
            Site::Vacant(vacant) => self.put_new(view, work, vacant, entry),
            Site::Occupied(occupied, State::Live) => {
                self.put_over(view, work, (occupied, true), entry)
            }
            Site::Occupied(occupied, State::Expired) => {
                self.put_over(view, work, (occupied, false), entry)
            }
            Site::Occupied(occupied, State::Placeholder) => {
                self.put_over_placeholder(view, work, occupied, entry)
            }
        }
    }

    /// Links an entry whose key is not there.
    #[inline(always)]
    fn put_new<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        vacant: Vacant<'g, K, V, History>,
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        let (hash, charge) = (entry.as_ref().hash(), entry.as_ref().charge());
        if let Err(obstacle) = self.make_room_for_new(view, work, entry.as_ref()) {
            return Err((obstacle, entry));
        }
        // After that, as what it looks at takes a while to come.
        let bits = self.start(view, work, entry.as_ref());
        if let Err(entry) = self.commit(view, &work.delta, vacant, (entry, bits)) {
            return Err((Obstacle::Changed, entry));
        }
        self.policy.record_insert(view.extension(), &work.local.cursor, (hash, bits), charge);
        work.spend(charge);
        work.local.tally.insertions.bump();
        self.settle_in(view, work);
        Ok(Inserted::New)
    }

    /// Replaces a placeholder by an entry. The placeholder has no charge, and its end is not reported
    /// to the listener. For the policy, the entry is inserted now; being loaded does not count as a
    /// read.
    fn put_over_placeholder<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        occupied: Found<'g, K, V>,
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        let (hash, charge) = (entry.as_ref().hash(), entry.as_ref().charge());
        if let Err(obstacle) = self.make_room_for_new(view, work, entry.as_ref()) {
            return Err((obstacle, entry));
        }
        // The policy does not move what weighs nothing.
        let bits = occupied.bits_now();
        let unlinked = match self.replace(view, &work.delta, occupied, entry) {
            Ok(unlinked) => unlinked,
            Err(entry) => return Err((Obstacle::Changed, entry)),
        };
        self.policy.record_insert(view.extension(), &work.local.cursor, (hash, bits), charge);
        work.spend(charge);
        work.local.tally.insertions.bump();
        work.local.tally.placeholders_gone.bump();
        view.retire(unlinked, ChargedTo::Nowhere);
        Ok(Inserted::New)
    }

    /// Room for an entry whose key has no value. While there are entries that weigh nothing, removed and not freed yet,
    /// that nobody bears, one that weighs nothing comes in only if another entry is freed for it: so there are never
    /// more than there were.
    #[inline(always)]
    fn make_room_for_new(
        &self,
        view: Table<'_, K, V>,
        work: &mut Work<'_>,
        new: EntryRef<'_, K, V>,
    ) -> Attempt<()> {
        let charge = new.charge();
        if charge == 0 && !work.freed && self.unborne.get() > 0 {
            return Err(Obstacle::Garbage);
        }
        self.make_room(&view, work, charge, Some(new))
    }

    /// Replaces an entry with a value, which was live or had expired. Evicts nobody, unless the new entry is heavier:
    /// then others may have to go for the difference.
    fn put_over<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        (occupied, live): (Found<'g, K, V>, bool),
        entry: Entry<K, V>,
    ) -> Linked<K, V> {
        let old = occupied.entry();
        let (left, charge) = (old.charge(), entry.as_ref().charge());
        work.outsized |= plot(left) > self.retired.limit();
        // What the retired capacity takes over is free for the new entry. Room for the old one is taken last: it may
        // be what an eviction for the difference waits for.
        let room = match charge.checked_sub(left) {
            None | Some(0) => Ok(()),
            Some(more) => self.make_room(&view, work, more, Some(old)),
        };
        let bearer = self.bearer_of_replaced(work, left);
        let (free, cost) = (bearer.frees(left), charge + bearer.costs(left));
        let room = room.and_then(|()| self.find_room(work, cost.saturating_sub(free)));
        if let Err(obstacle) = room {
            return Err((obstacle, entry));
        }
        let unlinked = match self.replace(view, &work.delta, occupied, entry) {
            Ok(unlinked) => unlinked,
            Err(entry) => {
                // Nobody shall evict for what was taken for two.
                work.hand.surrender();
                return Err((Obstacle::Changed, entry));
            }
        };
        let (cause, inserted) = if live {
            (RemovalCause::Replaced, Inserted::Replaced)
        } else {
            (RemovalCause::Expired, Inserted::New)
        };
        work.local.tally.count_out(cause, left);
        let charged_to = self.settle(bearer, left);
        work.hand.add(free);
        work.spend(cost);
        if inserted == Inserted::New {
            work.local.tally.insertions.bump();
        }
        occupied.touch();
        view.retire(unlinked, charged_to);
        work.report(&self.rules, old, cause);
        Ok(inserted)
    }

    /// Dates an entry that is about to come in; whether its time is over already.
    #[inline(never)]
    fn is_stillborn(
        &self,
        entry: EntryRef<'_, K, V>,
        site: &Site<'_, K, V>,
        terms: &Terms,
    ) -> bool {
        let old = match site {
            Site::Occupied(occupied, State::Live) => Some(occupied.entry()),
            _ => None,
        };
        self.date(entry, old, terms);
        !self.is_kept(entry)
    }

    /// Why an entry is not to stay that is about to come in.
    #[inline]
    fn passes<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: &Site<'g, K, V>,
        entry: EntryRef<'_, K, V>,
    ) -> Option<RemovalCause> {
        if self.rules.expiration.is_some() && self.is_stillborn(entry, site, &work.terms) {
            return Some(RemovalCause::Expired);
        }
        let is_weighed = self.rules.weigher.is_some();
        let is_turned_away = is_weighed && self.is_turned_away(view, work, site, entry);
        is_turned_away.then_some(RemovalCause::Evicted)
    }

    /// Does as if an entry had come in, and had then left at once for this cause: what its key had is gone, and
    /// nobody has made room.
    #[cold]
    fn put_in_passing<'g>(
        &self,
        view: Table<'g, K, V>,
        work: &mut Work<'_>,
        site: Site<'g, K, V>,
        (entry, leaves): (Entry<K, V>, RemovalCause),
    ) -> Linked<K, V> {
        let tally = &work.local.tally;
        let replaced = matches!(site, Site::Occupied(_, State::Live));
        let cause = if replaced { RemovalCause::Replaced } else { RemovalCause::Expired };
        let old = match site {
            Site::Vacant(_) => None,
            Site::Occupied(occupied, _) if !self.take_away(view, occupied, cause) => {
                return Err((Obstacle::Changed, entry));
            }
            Site::Occupied(occupied, _) => {
                Some(occupied.entry()).filter(|old| !old.is_placeholder())
            }
        };
        tally.count_out(leaves, entry.as_ref().charge());
        self.note_removed(view, entry.as_ref().hash(), leaves);
        if !replaced {
            tally.insertions.bump();
        }
        if let Some(old) = old {
            work.report(&self.rules, old, cause);
        }
        work.report(&self.rules, entry.as_ref(), leaves);
        Ok(if replaced { Inserted::Replaced } else { Inserted::New })
    }

    /// Sets the deadlines of an entry that is about to come in, or to take the place of `old`.
    fn date(&self, entry: EntryRef<'_, K, V>, old: Option<EntryRef<'_, K, V>>, terms: &Terms) {
        if let Some(expiration) = &self.rules.expiration {
            match old {
                Some(old) => expiration.update(entry, old, terms),
                None => expiration.create(entry, terms),
            }
        }
    }

    /// Removes an older value of the key of an entry that `insert` could not take, and tells of the refusal, whatever
    /// the listener does when it is told of others.
    pub(crate) fn refuse(&self, refused: Refused<K, V>) {
        self.refuse_and(refused, |_| ());
    }

    /// The same, and returns what is to be `kept` of the older value, if there is one.
    pub(crate) fn refuse_and<R>(
        &self,
        refused: Refused<K, V>,
        kept: impl Fn(&V) -> R,
    ) -> Option<R> {
        let Refused { key, value, panicked, .. } = refused;
        let (key, value, mut panicked) = (NoAbort::new(key), NoAbort::new(value), panicked);
        let mut removed = None;
        panicked.call(|| {
            removed = self.remove(&*key, |old| Some(kept(old)));
            if removed.is_some() {
                // After that, as it is the last that became of the key.
                self.note_refused(self.hash(&*key));
            }
        });
        panicked.call(|| self.rules.notify(&key, &value, RemovalCause::Refused));
        removed
    }

    /// Whether a charge may be in the cache at all.
    pub(super) fn fits(&self, charge: u64) -> Result<(), InsertErrorKind> {
        let capacity = self.capacity().min(HEAVIEST);
        if charge > capacity || capacity == 0 {
            return Err(InsertErrorKind::TooLarge { charge, capacity });
        }
        Ok(())
    }

    /// Asks for the lines that an insert is going to write, and for those of the next one's victim, all
    /// at once: another thread may have written them last, and one after the other they would take most
    /// of the time.
    #[inline]
    fn prefetch(&self, pin: &Pin<'_, K, V>, hash: u64) {
        let view = self.table.view(pin.guard_ref());
        view.prefetch(hash);
        if self.fill().is_far_from_full() {
            return;
        }
        let (history, cursor) = (view.extension(), &view.local().cursor);
        history.prefetch(hash);
        if let Some(hash) = cursor.candidate() {
            // Its bucket was asked for when it was the one after.
            view.prefetch_entry(hash);
        }
        if let Some(hash) = cursor.candidate_after() {
            view.prefetch(hash);
            history.prefetch(hash);
        }
        if let Some(position) = cursor.incumbent_after() {
            view.prefetch(position);
        }
    }

    /// How a new entry starts, by its marks' bits.
    #[inline(always)]
    pub(super) fn start(
        &self,
        view: Table<'_, K, V>,
        work: &mut Work<'_>,
        entry: EntryRef<'_, K, V>,
    ) -> u8 {
        let admission = match work.admission {
            Some(admission) => admission,
            None => {
                let cursor = &view.local().cursor;
                let worth = || Worth::new(1, entry.cost(), entry.charge());
                self.policy.admit(view.extension(), cursor, (entry.hash(), worth), self.fill())
            }
        };
        work.admission = Some(admission);
        entry.set_recent_uses(admission.recent_uses.bits());
        admission.marks.bits()
    }

    #[inline(always)]
    pub(super) fn grow_if_crowded(&self, view: Table<'_, K, V>) {
        if view.is_crowded()
            && self.len() + self.placeholders.get() as usize
                > view.buckets() * crate::table::MAX_LOAD_FACTOR
        {
            view.grow(|old, buckets| old.resized(buckets * crate::table::MAX_LOAD_FACTOR));
        }
    }

    /// What a new entry may set off: the table grows, probation's overflow is promoted.
    #[inline(always)]
    pub(super) fn settle_in(&self, view: Table<'_, K, V>, work: &Work<'_>) {
        self.grow_if_crowded(view);
        let fill = self.fill();
        if fill.has_room() {
            let entries = TableEntries::new(self, view);
            let (cursor, history) = (&work.local.cursor, view.extension());
            self.policy.promote_overflow(&entries, cursor, history, &work.delta, fill);
        }
    }
}

impl<'g, K, V> Site<'g, K, V> {
    /// What the entry weighs that is there.
    #[inline]
    pub(super) fn charge(&self) -> u64 {
        match self {
            Self::Vacant(_) => 0,
            Self::Occupied(occupied, _) => occupied.entry().charge(),
        }
    }

    /// The live value that is there.
    #[inline]
    pub(super) fn value(&self) -> Option<&'g V> {
        match self {
            Self::Occupied(occupied, State::Live) => Some(occupied.entry().value()),
            _ => None,
        }
    }
}

impl<K, V> Refused<K, V> {
    fn new(kind: InsertErrorKind, key: NoAbort<K>, value: NoAbort<V>) -> Self {
        let (key, value) = (key.into_inner(), value.into_inner());
        Self { kind, key, value, panicked: Panicked::default() }
    }

    /// What the caller is told, unless a panic goes on.
    pub(crate) fn into_parts(self) -> (InsertErrorKind, K, V) {
        let (key, value) = (NoAbort::new(self.key), NoAbort::new(self.value));
        drop(self.panicked);
        (self.kind, key.into_inner(), value.into_inner())
    }
}
