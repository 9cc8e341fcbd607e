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
//! | a deadline | OVER, with the same deadline | whoever finds it passed | before anybody is told so |
//!
//! A reader takes its time between its look at the clock and its exchange. Meanwhile the deadline may pass, and
//! another reader may be told that the entry has expired: the exchange has to fail then, although nobody has moved the
//! deadline. So whoever is told so has set OVER before.
//!
//! # Invariants
//!
//! - **X1** OVER is the end: no exchange leaves it.
//! - **X2** Nobody treats an entry as expired for a deadline that is not OVER. So what one thread has
//!   seen as expired no thread sees as live afterwards.
//! - **X3** A deadline that was found ahead moves by an exchange from the very word that was found. So no
//!   read undoes what another one has done since.
//! - **X4** The time to idle moves its deadline forward only, however old the clock's reading is.
//!
//! # Progress
//!
//! Each exchange that fails follows one of another thread. One that has moved a deadline to where it is
//! still passed for us has read the clock before us, and does so once: the attempts are bounded by
//! the threads that read the entry at that moment.

use crate::sync::{Ordering, Stamp, fence, seeded};
use crate::time::{Deadline, Moment};

const OVER: u64 = 1 << 63;
const _: () = assert!(Deadline::NEVER.to_word() & OVER == 0, "the mark is no part of a deadline");

/// A word that holds such a deadline.
pub(super) trait Word {
    fn get(&self) -> u64;
    /// One attempt; what is there instead, if it fails.
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64>;
}

impl Word for Stamp {
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
pub(super) fn deadline(word: &impl Word) -> Deadline {
    Deadline::from_word(word.get() & !OVER)
}

/// The deadline if it lies ahead; if not, it is over from now on.
#[inline]
pub(super) fn ahead(word: &impl Word, now: Moment) -> Option<Deadline> {
    ahead_of(word, word.get(), now)
}

#[inline]
fn ahead_of(word: &impl Word, seen: u64, now: Moment) -> Option<Deadline> {
    // As signed numbers, a word with OVER is less than every moment: one comparison for nearly every read.
    if seen.cast_signed() > now.to_word().cast_signed() {
        return Some(Deadline::from_word(seen));
    }
    settle(word, seen, now)
}

#[inline]
fn settle(word: &impl Word, mut seen: u64, now: Moment) -> Option<Deadline> {
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

/// Moves the deadline forward to `to`, if it lies ahead; whether it does.
#[inline]
pub(super) fn extend(word: &impl Word, now: Moment, to: Deadline) -> bool {
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
pub(super) fn change(word: &impl Word, from: Deadline, to: Deadline) -> bool {
    if seeded("expiry-change-blind") {
        let _ = word.exchange(word.get(), to.to_word());
        return true;
    }
    word.exchange(from.to_word(), to.to_word()).is_ok()
}

/// Gives an entry another deadline than the one that was found ahead, unless it was moved since. The caller then looks
/// whether the entry is still in the table, and if not, sets the deadline of the one that has taken its place.
#[inline]
pub(super) fn set(word: &impl Word, from: Deadline, to: Deadline) -> bool {
    let set = change(word, from, to);
    if !seeded("expiry-set-unfenced") {
        // ORDERING S-f: SeqCst fence: the deadline is changed before the caller looks at the table; pairs with the
        // fence in `follow`.
        fence(Ordering::SeqCst);
    }
    set
}

/// Moves the deadline of an entry that has just been linked in the place of another one, with a copy of its deadline, if
/// that was set after it was `copied`. A deadline that was moved since the entry can be found is newer, and stays.
pub(super) fn follow(word: &impl Word, old: &impl Word, copied: Deadline, now: Moment) {
    // ORDERING S-f: SeqCst fence: the entry was linked before the old deadline is read again; pairs with the fence in
    // `set`. Either a caller that sets the old deadline finds the new entry, or its deadline is found here.
    fence(Ordering::SeqCst);
    if seeded("expiry-follow-nobody") {
        return;
    }
    if let Some(to) = ahead(old, now).filter(|&to| to != copied) {
        change(word, copied, to);
    }
}
