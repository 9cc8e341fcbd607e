//! The only place where table, policy, ledger, expiry and reclamation meet.
//!
//! | file | idea |
//! |---|---|
//! | `types` | what these files call the types of the table |
//! | `read_view` | what a pinned thread reads |
//! | `batch` | reading many keys at a time |
//! | `wait` | for how long an operation waits for others |
//! | `tagging` | tags by their names |
//! | `starvation` | writes that have waited for long, and go first |
//! | `write_op` | one operation on its way, and when it gives up |
//! | `op_time` | the time by which a step of it decides |
//! | `admission` | which newcomers are worth the room that they need |
//! | `write` | how an entry is inserted: insert, replace |
//! | `fast_put` | the same where all goes as usual |
//! | `fast_put_weighed` | and in a cache with weights |
//! | `compute` | deciding from what is there |
//! | `room` | how charge is found for it: credit, pool, victims |
//! | `link` | how it is linked |
//! | `remove` | how an entry leaves |
//! | `garbage_charge` | what an unlinked entry is charged to until it is freed |
//! | `lingering` | the charge of those that the capacity bears |
//! | `probation_charge` | what it counts on probation |
//! | `placeholder` | how a load takes part in the table |
//! | `thin_load` | the same for a load that no thread has joined yet |
//! | `predicted` | what a predictor sees (feature `predict`) |
//! | `running` | which loads run, and since when |
//! | `failures` | which failures of loads are remembered, the oldest first |
//! | `saved` | what a snapshot has of entries, and how they come back |
//! | `scan` | walking all entries concurrently with writers |
//! | `upkeep` | freeing, expiring, resizing |
//! | `cleanups` | how long that takes, where it is asked for |
//! | `table_entries` | the table as the policy sees it |
//! | `timing` | taking the time of an operation, if it is its turn |
//! | `panic` | what becomes of a panic of the user's functions |
//! | `departure` | what became of keys: noted where they leave, asked where a read misses |
//! | `lifetime` | what is known of one entry, and how long it is to live |
//! | `explain` | why a key is there, or is not |
//! | `figures` | what the engine tells about itself |
//! | `audit` | recomputing every count from the contents |
//!
//! # Invariants
//!
//! - **G1** An entry is linked only by an operation that holds its charge; the charge is then the
//!   entry's. It goes to the evictor's hand or back to the ledger when the entry is unlinked and
//!   the retired capacity has taken it over, or else when the entry is freed.
//! - **G2** No user code runs between the claim of a slot and its announcement, or between an
//!   unlink and the retirement of what was unlinked. A panic anywhere else drops a reservation, a
//!   guard or an entry, which give back what they hold.
//! - **G3** A departure is counted before the charge is passed on, an arrival after it was taken.
//!   So what was counted in before what was counted out never exceeds what the capacity allows.

mod admission;
#[cfg(any(test, fuzzing, clockhand_fuzz))]
mod audit;
mod batch;
mod cleanups;
mod compute;
mod departure;
mod explain;
mod failures;
mod fast_put;
mod fast_put_weighed;
mod figures;
mod garbage_charge;
mod lifetime;
mod lingering;
mod link;
mod local;
mod op_time;
mod panic;
mod placeholder;
#[cfg(feature = "predict")]
mod predicted;
mod probation_charge;
mod read_view;
mod remove;
mod room;
mod rules;
mod running;
#[cfg(feature = "persist")]
mod saved;
mod scan;
mod starvation;
mod table_entries;
mod tagging;
mod thin_load;
mod timing;
mod types;
mod upkeep;
mod wait;
mod write;
mod write_op;

#[cfg(all(test, clockhand_loom))]
mod models;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "persist")]
pub(crate) use crate::policy::{SavedGhost, SavedHand, SavedPolicy};
pub(crate) use batch::Batch;
use cleanups::Cleanups;
use failures::Failures;
use garbage_charge::RechargeAttempts;
use local::{LoadTally, Local};
pub(crate) use placeholder::{LoadKind, LoadStart, StaleValue};
#[cfg(feature = "predict")]
pub(crate) use predicted::{LoadCounts, Presence};
pub(crate) use read_view::ReadView;
pub(crate) use rules::Rules;
use running::Running;
pub(crate) use running::RunningPlace;
#[cfg(feature = "persist")]
pub(crate) use saved::{SavedState, TagsVersion};
pub(crate) use scan::EVERYWHERE;
pub(crate) use thin_load::ThinStart;
pub(crate) use write::Refused;
pub(crate) use write_op::DecidedBy;

use lingering::Lingering;
use starvation::Starvation;
use tagging::Tags;

use crate::accounting::{Credit, Ledger, Stripe};
#[cfg(all(test, clockhand_loom))]
pub(crate) use crate::entry::LatchList;
pub(crate) use crate::entry::{AnyFlight, LoadStatus, LoadToken, ThinLoad};
use crate::expiry::Expiration;
use crate::health::{CacheCounts, Monitor};
use crate::latency::Sampling;
use crate::load_policy::LoadPolicy;
use crate::policy::{History, Policy};
use crate::reclaim::{self, Guard, PinStatus, Reads, Writes};
use crate::settings::{Maintenance, Settings};
use crate::sync::{AtomicU64, CachePadded, NoAbort, OwnerCounter, Relaxed};
pub(crate) use crate::table::lend_value;
use crate::table::{self, Table};
use crate::time::{Clock, Timer, nanos};

/// Entries of a cache in which threads seal what they retire after a few, and of one in which they also look after each for garbage
/// that may be freed.
const FEW: u64 = 1 << 12;
const VERY_FEW: u64 = 1 << 8;

/// What the domain of an engine's table keeps until no thread looks at it.
pub(crate) type Garbage<K, V> = table::Garbage<K, V, History>;
/// What is kept for each thread.
pub(crate) type ThreadState<K, V> = table::ThreadState<K, V, Local>;
/// A pinned thread.
pub(crate) type Pin<'e, K, V, M = Writes> = Guard<'e, Garbage<K, V>, ThreadState<K, V>, M>;
/// The same of a thread that only reads, which may be neutralized.
pub(crate) type ReadPin<'e, K, V> = Pin<'e, K, V, Reads>;
/// A reader's own participant.
pub(crate) type OwnedGuard<K, V> = reclaim::OwnedGuard<Garbage<K, V>, ThreadState<K, V>>;

/// How a cache is laid out.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    /// Whether it remembers what became of keys.
    pub(crate) remembers: bool,
    pub(crate) sampling: Sampling,
}

/// A thread's credit with the retired capacity: it is spent without an exchange by one that is pinned.
#[derive(Debug)]
struct RetiredCredit<'e> {
    stripe: &'e Stripe,
    pin_status: PinStatus<'e>,
}

impl<'e> Credit<'e> for RetiredCredit<'e> {
    fn stripe(&self) -> &'e Stripe {
        self.stripe
    }

    fn is_fenced(&self) -> Option<bool> {
        Some(self.pin_status.is_pinned())
    }
}

/// By which path puts go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PutPath {
    /// The general one: a listener is told of each entry that ends, or rules of the user's say when one does.
    General,
    /// That of entries which weigh one and live forever.
    Plain,
    /// That of entries which weigh one, where settings say how long they live.
    Timed,
    /// That of entries with weights.
    Weighed,
}

impl PutPath {
    fn of<K, V>(rules: &Rules<K, V>) -> Self {
        let are_usual = rules.expiration.as_ref().is_none_or(Expiration::has_usual_rules);
        match &rules.expiration {
            _ if rules.listener.is_some() || !are_usual => Self::General,
            _ if rules.weigher.is_some() => Self::Weighed,
            Some(_) => Self::Timed,
            None => Self::Plain,
        }
    }
}

/// A cache without its public interface.
pub(crate) struct Engine<K, V, S> {
    table: Table<K, V, History, Local>,
    hasher: NoAbort<S>,
    rules: Rules<K, V>,
    settings: Box<Settings>,
    policy: Policy,
    /// What is known of tags, if entries may have any.
    tags: Option<Arc<Tags>>,
    /// Whether a new entry may leave at once: its time may be over, or it may not be worth its room.
    screens: bool,
    put_path: PutPath,
    capacity: Ledger,
    retired: Ledger,
    /// The epoch that stood when a write was last refused, as patience was over.
    stood_at: Relaxed<AtomicU64>,
    /// The `activity` when a write was last refused, as nothing was left to wait for.
    refused_at: Relaxed<AtomicU64>,
    /// How often what is kept was charged anew in vain.
    recharges: RechargeAttempts,
    /// Writes that have waited for long.
    starvation: CachePadded<Starvation>,
    /// Charges of unlinked entries that the retired capacity had no room for, and the capacity still bears.
    lingering: CachePadded<Lingering>,
    /// Unlinked entries that weigh nothing and that nothing bears, as there was no room for them anywhere.
    uncharged: CachePadded<Relaxed<AtomicU64>>,
    /// Placeholders that are not freed yet, including unlinked ones.
    placeholders: CachePadded<Relaxed<AtomicU64>>,
    /// Keys of calls that load many at a time: they raise the limit on placeholders.
    batched: Relaxed<AtomicU64>,
    /// Loads whose loaders run.
    running: Running,
    /// Failures that are remembered.
    failures: Failures<K>,
    /// Where the search for expired entries goes on.
    sweep: CachePadded<Relaxed<AtomicU64>>,
    /// Whether entries that weigh nothing may expire, as a number: the table does not know when the next one does.
    has_weightless_ends: Relaxed<AtomicU64>,
    /// What `maintain` has cost.
    cleanups: Cleanups,
    monitor: Monitor<CacheCounts>,
    /// Which reads and inserts are timed.
    sampling: Sampling,
    inline: bool,
    remembers: bool,
    /// How many predictors it has: one at most.
    #[cfg(feature = "predict")]
    predictors: Relaxed<AtomicU64>,
    /// By which it is told how long things take.
    timer: Timer,
}

impl<K, V, S> Engine<K, V, S> {
    pub(crate) fn new(plan: Plan, rules: Rules<K, V>, hasher: S) -> Self {
        let settings = plan.settings;
        let entry_layout = rules.entry_layout();
        let timer = Timer::start(rules.expiration.as_ref().map(Expiration::clock));
        let bits = Table::<K, V, History, Local>::bits_for(settings.expected_entries);
        let history = History::new(settings.expected_entries);
        let table = Table::new(entry_layout, rules.longest_life(), bits, history);
        let told = timer.clone();
        table.domain().time_by(Box::new(move || nanos(told.elapsed())));
        let weighs = rules.weigher.is_some();
        let engine = Self {
            table,
            hasher: NoAbort::new(hasher),
            tags: rules.tagged.then(Tags::new),
            screens: weighs || rules.expiration.is_some(),
            put_path: PutPath::of(&rules),
            rules,
            policy: Policy::new(weighs, settings.capacity),
            capacity: Ledger::new(settings.capacity),
            retired: Ledger::for_transient_units(settings.retired_capacity),
            stood_at: Relaxed::<AtomicU64>::new(u64::MAX),
            refused_at: Relaxed::<AtomicU64>::new(u64::MAX),
            recharges: RechargeAttempts::default(),
            starvation: CachePadded::default(),
            lingering: CachePadded::default(),
            uncharged: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            placeholders: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            batched: Relaxed::<AtomicU64>::new(0),
            running: Running::default(),
            failures: Failures::default(),
            sweep: CachePadded::new(Relaxed::<AtomicU64>::new(0)),
            has_weightless_ends: Relaxed::<AtomicU64>::new(0),
            cleanups: Cleanups::default(),
            monitor: Monitor::new(timer.clone()),
            sampling: plan.sampling,
            inline: settings.maintenance == Maintenance::Inline,
            settings: Box::new(settings),
            remembers: plan.remembers,
            #[cfg(feature = "predict")]
            predictors: Relaxed::<AtomicU64>::new(0),
            timer,
        };
        engine.follow_entries();
        engine
    }

    /// How many entries there are once the cache is full, as far as is known: with weights no more than there are now.
    fn entries_expected(&self) -> u64 {
        let expected = self.settings.entries_expected(self.capacity.capacity());
        if self.rules.weigher.is_some() { expected.min(self.len() as u64) } else { expected }
    }

    /// Has threads seal and look for garbage as often as the present number of entries wants: in a cache of a few there is no
    /// room for what several threads have retired that have not looked.
    fn follow_entries(&self) {
        let entries = self.entries_expected();
        let room = self.retired.capacity().min(entries);
        self.table.domain().seal_often(entries <= FEW, room <= VERY_FEW);
    }

    /// The bytes that the table and the policy's memory take for `entries` entries, roughly.
    pub(crate) fn overhead_for(entries: usize, rules: &Rules<K, V>) -> u128 {
        let bits = Table::<K, V, History, Local>::bits_for(entries);
        let table = Table::<K, V, History, Local>::bytes_for(rules.entry_layout(), bits);
        table + History::bytes_for(entries)
    }

    #[inline]
    fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64
    where
        S: BuildHasher,
    {
        crate::entry::plain_hash(crate::hash::mix(self.hasher.hash_one(key)))
    }

    fn locals(&self) -> impl Iterator<Item = &Local> {
        self.table.domain().locals().map(|thread_state| &**thread_state)
    }

    fn credits(&self) -> impl Iterator<Item = &Stripe> {
        self.locals().map(|local| &local.credit)
    }

    fn retired_credits(&self) -> impl Iterator<Item = RetiredCredit<'_>> {
        let pin_status = self.table.domain().pin_statuses();
        pin_status.map(|(thread_state, pin_status)| RetiredCredit {
            stripe: &thread_state.retired,
            pin_status,
        })
    }

    /// The clock, if the cache keeps time.
    pub(crate) fn clock(&self) -> Option<Clock> {
        self.rules.expiration.as_ref().map(Expiration::clock)
    }

    /// How long entries live at most, where that is the same for all.
    pub(crate) fn time_to_live(&self) -> Option<Duration> {
        self.rules.expiration.as_ref().and_then(Expiration::time_to_live)
    }

    /// For how long the cache has been there.
    pub(crate) fn elapsed(&self) -> Duration {
        self.timer.elapsed()
    }

    /// A loader begins to run: when that is, and where it is entered.
    pub(crate) fn enter_load(&self) -> (Duration, RunningPlace) {
        let begun = self.elapsed();
        (begun, self.running.enter(begun))
    }

    /// A loader has come to its end, or is given up; false if a fork has cut it off.
    pub(crate) fn leave_load(&self, entered: RunningPlace) -> bool {
        self.running.leave(entered)
    }

    /// For how long the oldest load has been running.
    fn oldest_load_age(&self) -> Option<Duration> {
        let now = self.elapsed();
        let listed = self.running.oldest().map(|begun| now.saturating_sub(begun));
        let thin = self.locals().filter_map(|local| local.thin_running.oldest());
        thin.map(|begun| self.timer.since(begun)).chain(listed).max()
    }

    /// When loads are taken over.
    pub(crate) fn load_policy(&self) -> LoadPolicy {
        self.rules.load_policy
    }

    /// Keeps expired entries for `grace` at least, as their values may stand in for others.
    pub(crate) fn keep_expired(&self, grace: Duration) {
        if let Some(expiration) = &self.rules.expiration {
            expiration.keep(grace);
        }
    }

    /// Takes their participants from the threads that a fork has left behind, and gives up their loads; how many had
    /// participants.
    pub(crate) fn reset_after_fork(&self) -> usize {
        let left = self.table.domain().locals_left_by_fork();
        self.running.reset_after_fork(left.map(|local| &local.thin_running));
        if let Some(tags) = &self.tags {
            tags.reset_after_fork();
        }
        self.table.reset_after_fork()
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Counts something of a load, for the calling thread.
    pub(crate) fn count_load(&self, what: impl Fn(&LoadTally) -> &OwnerCounter) {
        what(&self.pin().local().loads).bump();
    }

    /// Whether a miss of what was loaded costs what the load took.
    pub(crate) fn costs_load_time(&self) -> bool {
        self.rules.costs_load_time
    }

    /// Counts what a load took that began then.
    pub(crate) fn count_load_time(&self, begun: Duration) {
        let took = self.elapsed().saturating_sub(begun);
        self.note_load_time(self.pin().local(), took);
    }

    #[inline]
    pub(crate) fn pin(&self) -> Pin<'_, K, V> {
        self.table.pin()
    }

    /// Pins the calling thread as one that may be neutralized.
    #[inline]
    pub(crate) fn pin_to_read(&self) -> ReadPin<'_, K, V> {
        self.table.pin_to_read()
    }

    /// Bytes of the table and of the policy's memory.
    pub(crate) fn overhead(&self) -> usize {
        let pin = self.pin();
        let view = self.table.view(pin.guard_ref());
        view.bytes(History::bytes) + self.tags.as_ref().map_or(0, |tags| tags.overhead())
    }

    /// The number of buckets, before their number changes.
    #[cfg(feature = "rayon")]
    pub(crate) fn buckets(&self) -> usize {
        self.table.view(self.pin().guard_ref()).buckets()
    }

    pub(crate) fn owned_guard(&self) -> OwnedGuard<K, V> {
        self.table.owned_guard()
    }
}

impl<K, V, S> fmt::Debug for Engine<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("table", &self.table)
            .field("rules", &self.rules)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}
