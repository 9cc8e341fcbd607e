//! For how long an operation waits that finds no room.
//!
//! No thread that is in the cache stays there for long, unless it holds a guard: but it may lose its processor there,
//! for a few time slices of the scheduler. Meanwhile the epoch stands, so garbage stays where it is, and with
//! it what the thread has in its hand. An operation that would be refused for that gives its processor away until
//! there is room, for as long as the cache's *patience* lasts. Patience is with one who stands in the way, and not
//! with oneself:
//!
//! - A thread that has stood still for that long already is not waited for. So a guard that is held costs the patience once,
//!   and not for each operation. If it is a write that stands there, an operation still waits for a moment.
//! - What is kept for a thread that has slept in the cache for that long, and was neutralized, is not waited for either.
//! - Once all who were in the cache have left it, nothing is left to free, and no entry was inserted or was retired or
//!   freed meanwhile, waiting is of no use.
//! - A thread that stands in its own way does not wait: by another guard, as it is freeing, or as code of the
//!   user's that the operation calls takes what it has freed. A [`Reader`](crate::Reader) of its own is neutralized like any
//!   other, and keeps what it has seen: the thread waits for others beside it, and not for it.

use std::time::{Duration, Instant};

use super::starvation::StarvingWrite;
use super::write_op::{AttemptError, WriteOp};
use super::{Engine, Pin};
use crate::error::InsertErrorKind;
use crate::reclaim::{GRACE, is_freeing};
use crate::sync::back_off;

/// How often all who were in the cache may leave it while an operation gets nothing of what others free, and for how
/// long it goes on whatever their number is: where threads wait for a processor, it may have had no turn of its own.
const MAX_TURNS: u32 = 1 << 10;
const MIN_CONTENTION: Duration = Duration::from_millis(250);

/// The same where garbage is kept for threads that sleep in the cache, and others get the rest of what is freed.
const TURNS_BESIDE_SLEEPERS: u32 = 1 << 6;
const MIN_CONTENTION_BESIDE_SLEEPERS: Duration = Duration::from_millis(25);

/// How long an operation has waited when others that begin let it go first: some time slices of the scheduler.
const STARVING_AFTER: Duration = Duration::from_millis(5);

/// For how long an operation waits at least for a thread that stands in the way with a write, however long that has
/// stood there: it does not stay, and needs a processor, which those who are refused at once would not leave to it.
const MIN_WAIT_FOR_WRITE: Duration = Duration::from_millis(2);

/// For how many times the patience a thread may stand in the way with a write before others do not wait for it any more, who
/// begin then.
const PATIENCE_WITH_WRITES: u32 = 4;

/// How often an operation looks at least, unless another one has and the epoch still stands. Where the whole process
/// stood still, the patience has passed before any thread had a chance to go on.
const MIN_LOOKS: u32 = 16;

/// What an operation has seen since it began to wait.
#[derive(Debug)]
pub(super) struct Wait {
    since: Instant,
    /// What the epoch and the `activity` were when all had last left.
    epoch: u64,
    activity: u64,
    /// Whether there was nothing to wait for then.
    quiescent: bool,
    turns: u32,
    /// How often it has looked whether there is room, and how often when all had last left.
    looks: u32,
    looks_before: u32,
    /// What the thread had brought in itself.
    inserted: u64,
}

impl Wait {
    /// How often it has looked since all had last left.
    pub(super) fn looks_since_turn(&self) -> u32 {
        self.looks - self.looks_before
    }

    /// Whether others have had that many turns while it got nothing, and it has contended with them for long enough.
    fn has_lost(&self, turns: u32, contention: Duration) -> bool {
        self.turns >= turns && self.since.elapsed() >= contention
    }
}

impl<K, V, S> Engine<K, V, S>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    S: std::hash::BuildHasher,
{
    /// Why an operation ends here, if it does: it has no more tries and no more patience.
    #[cold]
    #[inline(never)]
    pub(super) fn is_exhausted(
        &self,
        pin: &Pin<'_, K, V>,
        op: &mut WriteOp<'_>,
        error: AttemptError,
    ) -> Option<InsertErrorKind> {
        if std::mem::take(&mut op.attempts.goes_on) {
            return None;
        }
        let kind = op.is_exhausted(error)?;
        let waits = error != AttemptError::Changed && self.has_patience(pin, op, error);
        (!waits && !op.passes_kept_by()).then_some(kind)
    }

    /// Whether an operation goes on to wait for others.
    fn has_patience(&self, pin: &Pin<'_, K, V>, op: &mut WriteOp<'_>, error: AttemptError) -> bool {
        if self.settings.patience.is_zero()
            || !op.patient
            || pin.blocks_own_garbage()
            || is_freeing()
        {
            return false;
        }
        let (domain, patience) = (self.table.domain(), self.settings.patience);
        let (since, epoch, activity) = (Instant::now(), domain.epoch(), self.activity());
        let inserted = op.local.tally.insertions.get();
        if op.attempts.wait.is_none() && self.refused_at.get() == activity && self.is_kept_up() {
            // Nothing was freed since the last one was refused for that.
            return false;
        }
        let enough = op.has_freed_enough();
        let wait = op.attempts.wait.get_or_insert_with(|| {
            let (quiescent, turns, looks, looks_before) = (false, 0, 0, 0);
            Box::new(Wait {
                since,
                epoch,
                activity,
                quiescent,
                turns,
                looks,
                looks_before,
                inserted,
            })
        });
        if enough && wait.inserted != inserted {
            return false;
        }
        if epoch - wait.epoch >= GRACE {
            // Twice in a row: what was in the way of the look before may have gone before its activity was read, and
            // what is in the way of this one may have unlinked its victim and not have retired it. The next look
            // finds that retired, or an entry in its place.
            let quiescent = wait.activity == activity && self.is_quiescent(error);
            if quiescent && wait.quiescent {
                self.refused_at.set(activity);
                return false;
            }
            wait.quiescent = quiescent;
            (wait.epoch, wait.activity, wait.turns) = (epoch, activity, wait.turns + 1);
            wait.looks_before = wait.looks;
            if wait.has_lost(TURNS_BESIDE_SLEEPERS, MIN_CONTENTION_BESIDE_SLEEPERS.min(patience))
                && domain.keeps_for_pins()
                && self.is_kept_up()
            {
                return false;
            }
        }
        wait.looks = wait.looks.saturating_add(1);
        let lasted = wait.since.elapsed().max(self.stalled_for());
        let has_looked = || wait.looks >= MIN_LOOKS || self.stood_at.get() == epoch;
        let lost = wait.has_lost(MAX_TURNS, MIN_CONTENTION.min(patience));
        let waits = !lost && (lasted < patience || !has_looked() || self.spares_write(wait));
        if !waits {
            self.stood_at.set(epoch);
        }
        waits
    }

    /// Whether an operation waits on for a write that has stood in the way for longer than patience lasts.
    fn spares_write(&self, wait: &Wait) -> bool {
        wait.since.elapsed() < MIN_WAIT_FOR_WRITE.min(self.settings.patience)
            && self.table.domain().is_held_up_by_write()
    }

    /// For how long threads stay in the cache that are in the way. Where one of them writes, it lacks a processor: that counts
    /// only after a few times the patience, so that nobody is refused at once beside a thread that is about to go on.
    fn stalled_for(&self) -> Duration {
        let (domain, patience) = (self.table.domain(), self.settings.patience);
        let stalled = domain.stalled_for();
        let lacks_processor =
            stalled < patience.saturating_mul(PATIENCE_WITH_WRITES) && domain.is_held_up_by_write();
        if lacks_processor { Duration::ZERO } else { stalled }
    }

    /// A number that changes whenever an entry is inserted, is retired or is freed: one that was in the cache with
    /// the charge of a victim in its hand has brought its entry in when it leaves.
    pub(super) fn activity(&self) -> u64 {
        let inserted = self.locals().map(|local| local.tally.insertions.get());
        inserted.fold(self.table.domain().activity() as u64, u64::wrapping_add)
    }

    /// Whether there is nothing to wait for, where no thread is in the cache: what is freed is given back, and what
    /// an operation has taken is an entry's.
    fn is_quiescent(&self, error: AttemptError) -> bool {
        let garbage = || {
            self.table.domain().backlog() > 0 || self.retired.charged(self.retired_credits()) > 0
        };
        let domain = self.table.domain();
        if !domain.sleepers_slept_for(self.settings.patience) {
            // One that was neutralized in a write may give back what it has in its hand.
            return false;
        }
        if domain.keeps() {
            // As nothing was freed meanwhile, that is all there is, but for what one has in its hand who frees.
            return !domain.is_collecting();
        }
        self.lingering.charge() == 0 && (error == AttemptError::NoRoom || !garbage())
    }

    /// Whether garbage is kept for those who sleep in the cache, and have done so for longer than any thread is waited for. What
    /// others have in their hands who were neutralized may be given back yet.
    fn is_kept_up(&self) -> bool {
        let domain = self.table.domain();
        domain.keeps() && domain.sleepers_slept_for(self.settings.patience)
    }

    /// Lets garbage be freed for a write, and notes what came of it. One that has freed its part leaves it to others.
    /// One that has waited for long has `starved`.
    #[cold]
    #[inline(never)]
    pub(super) fn reclaim_for_op<'e>(
        &'e self,
        pin: &mut Pin<'_, K, V>,
        op: &mut WriteOp<'_>,
        starved: &mut Option<StarvingWrite<'e>>,
    ) {
        if starved.is_none()
            && op.attempts.wait.as_ref().is_some_and(|wait| wait.since.elapsed() >= STARVING_AFTER)
        {
            *starved = Some(self.starvation.enter());
        }
        let reserved = op.reservation.held();
        // Who leaves the cache leaves nothing in its hand: of two who hold a part each, one shall get it all.
        op.reservation.release();
        if op.has_freed_enough() {
            return pin.while_unpinned(|| back_off(op.looks()));
        }
        let freed = self.reclaim_for_room(pin, Some(&mut op.room)) || self.recharge_kept(op);
        if !freed && op.attempts.wait.is_some() {
            // Another thread is in the way, or what is free is in the hands of one that has lost its processor.
            pin.while_unpinned(|| back_off(op.looks()));
        }
        op.note_reclaim(freed, reserved.saturating_add(self.retired.free(self.retired_credits())));
    }
}
