//! A deadline that reads move, and callers that give an entry another time to live.
//!
//! ```text
//!    63     62                             0
//!   +------+--------------------------------+
//!   | OVER | deadline                       |
//!   +------+--------------------------------+
//! ```
//!
//! | from | to | by | when |
//! |---|---|---|---|
//! | a deadline | a later one | a read, for the time to idle | it found the deadline ahead |
//! | a deadline | another | a read, for the user's `Expiry`; a call that sets the time to live | the same |
//! | a deadline | OVER, with the same deadline | a thread that finds it passed | before it treats the entry as expired |
//!
//! Between a reader's reading of the clock and its exchange, the deadline may pass, and another
//! reader may find the entry expired: then the exchange has to fail, although the deadline was not
//! moved. So a thread sets OVER before it treats an entry as expired.
//!
//! # Invariants
//!
//! - **X1** OVER is final: no exchange leaves it.
//! - **X2** No thread treats an entry as expired for a deadline that is not OVER. So an entry that one
//!   thread has seen as expired is not seen as live by any thread afterwards.
//! - **X3** A deadline that was found ahead is moved by an exchange from the very word that was found. So no
//!   read undoes what another one has done since.
//! - **X4** The time to idle moves its deadline forward only, however old the clock's reading is.
//!
//! # Progress
//!
//! An exchange fails only if another thread's succeeded. A thread that has moved a deadline to a
//! moment that has passed for the caller has read the clock before the caller, and does so once:
//! the attempts are bounded by the number of threads that read the entry concurrently.

use crate::sync::{EntryWord, Ordering, fence, seeded};
use crate::time::{Deadline, Moment};

const OVER: u64 = 1 << 63;
const _: () = assert!(Deadline::NEVER.to_word() & OVER == 0, "the mark is no part of a deadline");

/// A word that holds a deadline that can be moved.
pub(super) trait DeadlineWord {
    fn get(&self) -> u64;
    /// Tries the exchange once. Returns the present value if it fails.
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64>;
}

impl DeadlineWord for EntryWord {
    #[inline]
    fn get(&self) -> u64 {
        self.get()
    }
    #[inline]
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        self.exchange(from, to)
    }
}

/// The deadline that a word has, or had until it was over.
#[inline]
pub(super) fn deadline(word: &impl DeadlineWord) -> Deadline {
    Deadline::from_word(word.get() & !OVER)
}

/// Returns the deadline if it is ahead. If not, marks it as over.
#[inline]
pub(super) fn ahead(word: &impl DeadlineWord, now: Moment) -> Option<Deadline> {
    ahead_of(word, word.get(), now)
}

#[inline]
fn ahead_of(word: &impl DeadlineWord, seen: u64, now: Moment) -> Option<Deadline> {
    // As signed numbers, a word with OVER is less than every moment: one comparison for nearly
    // every read.
    if seen.cast_signed() > now.to_word().cast_signed() {
        return Some(Deadline::from_word(seen));
    }
    resolve(word, seen, now)
}

#[inline]
fn resolve(word: &impl DeadlineWord, mut seen: u64, now: Moment) -> Option<Deadline> {
    loop {
        if seen & OVER != 0 {
            return None;
        }
        let deadline = Deadline::from_word(seen);
        if !deadline.is_passed(now) {
            return Some(deadline);
        }
        if seeded("expiry-over-unmarked") {
            return None;
        }
        match word.exchange(seen, seen | OVER) {
            Ok(()) => return None,
            Err(other) => seen = other,
        }
    }
}

/// Moves the deadline forward to `to`, if it is ahead. Returns whether it is.
#[inline]
pub(super) fn extend(word: &impl DeadlineWord, now: Moment, to: Deadline) -> bool {
    let mut seen = word.get();
    loop {
        let Some(deadline) = ahead_of(word, seen, now) else { return false };
        if to <= deadline && !seeded("expiry-idle-set-back") {
            return true;
        }
        match word.exchange(deadline.to_word(), to.to_word()) {
            Ok(()) => return true,
            Err(_) if seeded("expiry-idle-once") => return true,
            Err(other) => seen = other,
        }
    }
}

/// Moves the deadline that was found ahead to another one, unless it was moved since.
#[inline]
pub(super) fn change(word: &impl DeadlineWord, from: Deadline, to: Deadline) -> bool {
    if seeded("expiry-change-blind") {
        let _ = word.exchange(word.get(), to.to_word());
        return true;
    }
    word.exchange(from.to_word(), to.to_word()).is_ok()
}

/// Replaces a deadline that was found ahead, unless it was moved since. The caller then checks
/// whether the entry is still in the table, and if not, sets the deadline of the one that has
/// replaced it.
#[inline]
pub(super) fn set(word: &impl DeadlineWord, from: Deadline, to: Deadline) -> bool {
    let set = change(word, from, to);
    if !seeded("expiry-set-unfenced") {
        // ORDERING S-f: SeqCst fence: the deadline is changed before the caller looks at the table; pairs with the
        // fence in `follow`.
        fence(Ordering::SeqCst);
    }
    set
}

/// Moves the deadline of an entry that has just replaced another one, with a copy of its deadline,
/// if that was set after it was `copied`, be it passed already or not. A deadline that was moved
/// since the new entry can be found is newer, and stays.
pub(super) fn follow(word: &impl DeadlineWord, old: &impl DeadlineWord, copied: Deadline) {
    // ORDERING S-f: SeqCst fence: the entry was linked before the old deadline is read again; pairs with the fence in
    // `set`. Either a caller that sets the old deadline finds the new entry, or its deadline is
    // found here.
    fence(Ordering::SeqCst);
    if seeded("expiry-follow-nobody") {
        return;
    }
    let set = match seeded("expiry-follow-the-living") {
        true => deadline(old).max(copied),
        false => deadline(old),
    };
    if set != copied {
        change(word, copied, set);
    }
}
