//! The packed word with the state of an id.
//!
//! ```text
//!   63                              3       2        1     0
//!   +--------------------------------+-------------+-----------+
//!   | until: a deadline, in eight ns | HAS_WAITERS |   state   |
//!   +--------------------------------+-------------+-----------+
//! ```
//!
//! | state | `until` | HAS_WAITERS | meaning |
//! |---|---|---|---|
//! | CLAIMED | end of the lease | a caller waits for the end of the claim | a ticket exists |
//! | DONE | end of the time to live | never | the id was processed |
//! | TOMBSTONE | zero | never | the record has no meaning and is being removed |
//!
//! | from | to | by | when |
//! |---|---|---|---|
//! | (no record) | CLAIMED | `claim` | the id is new |
//! | CLAIMED | CLAIMED, later `until` | `claim` | the lease ran out |
//! | CLAIMED | CLAIMED, later `until` | `Ticket::extend` | `until` is the ticket's own |
//! | CLAIMED | CLAIMED with HAS_WAITERS | `wait_done` | a caller is about to wait |
//! | CLAIMED | DONE | `Ticket::complete` | `until` is the ticket's own |
//! | CLAIMED | TOMBSTONE | drop of a ticket | the same |
//! | CLAIMED | TOMBSTONE | cleanup | the lease ran out |
//! | DONE | TOMBSTONE | a thread that forgets the id | it has expired, or has to make room |
//!
//! # Invariants
//!
//! - **W1** A record is DONE at most once, and TOMBSTONE is its last state. The thread that makes it a
//!   tombstone removes it, and any thread may help: removing a tombstone never removes anything else.
//! - **W2** Within a record, each `until` of a claim is later than the one before: a claim is taken over
//!   at or after its `until`, for a lease above zero, and extended to a later `until` only. So `until`
//!   identifies the claim within its record.
//! - **W3** No two records have the same number. A ticket knows the number of its record: a later record
//!   of the same id may have the same `until`, as the thread that inserted it may have read the clock
//!   long before.

use std::cell::Cell;

use crate::sync::{AtomicU64, Ordering, relaxed_if_seeded, seeded, unique};
use crate::time::{Deadline, Moment};

const STATE: u64 = 0b11;
const CLAIMED: u64 = 1;
const DONE: u64 = 2;
const TOMBSTONE: u64 = 3;
const HAS_WAITERS: u64 = 0b100;
const UNTIL_SHIFT: u32 = 3;
/// The largest `until`: never.
const NEVER: u64 = u64::MAX >> UNTIL_SHIFT;
const _: () = assert!(STATE | HAS_WAITERS == (1 << UNTIL_SHIFT) - 1, "the fields fill the word");

/// A deadline, rounded up to eight nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClaimDeadline(u64);

impl ClaimDeadline {
    pub(super) fn new(deadline: Deadline) -> Self {
        if deadline == Deadline::NEVER {
            return Self(NEVER);
        }
        Self(deadline.to_word().div_ceil(1 << UNTIL_SHIFT))
    }

    #[inline]
    pub(super) fn is_passed(self, now: Moment) -> bool {
        self.deadline().is_passed(now)
    }

    pub(super) fn deadline(self) -> Deadline {
        if self.0 == NEVER { Deadline::NEVER } else { Deadline::from_word(self.0 << UNTIL_SHIFT) }
    }
}

/// The value of the word when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClaimWord(u64);

/// The state in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimState {
    Claimed(ClaimDeadline),
    Done(ClaimDeadline),
    Tombstone,
}

impl ClaimWord {
    fn claimed(until: ClaimDeadline) -> Self {
        Self(until.0 << UNTIL_SHIFT | CLAIMED)
    }

    fn done(until: ClaimDeadline) -> Self {
        Self(until.0 << UNTIL_SHIFT | DONE)
    }

    #[inline]
    pub(super) fn state(self) -> ClaimState {
        let until = ClaimDeadline(self.0 >> UNTIL_SHIFT);
        match self.0 & STATE {
            CLAIMED => ClaimState::Claimed(until),
            DONE => ClaimState::Done(until),
            _ => ClaimState::Tombstone,
        }
    }

    fn has_waiters(self) -> bool {
        self.0 & HAS_WAITERS != 0
    }
}

/// How many numbers a thread takes at a time.
const BLOCK: u64 = 1 << 10;

thread_local! {
    /// The next number of the thread's block.
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// A number that no other record has (W3).
fn number() -> u64 {
    let fresh = || unique().wrapping_mul(BLOCK);
    let taken = NEXT.try_with(|next| {
        let number = if next.get() % BLOCK == 0 { fresh() } else { next.get() };
        next.set(number + 1);
        number
    });
    // While the thread ends, each number takes a whole block.
    taken.unwrap_or_else(|_| fresh())
}

/// Identifies a claim (W2, W3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClaimId {
    number: u64,
    until: ClaimDeadline,
}

/// The end of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClaimEnd {
    /// Whether callers wait for it, which have to be woken.
    pub(super) has_waiters: bool,
}

/// The word of a record, and the record's number.
#[derive(Debug)]
pub(super) struct ClaimCell {
    word: AtomicU64,
    number: u64,
}

impl ClaimCell {
    pub(super) fn claimed(until: ClaimDeadline) -> Self {
        Self { word: AtomicU64::new(ClaimWord::claimed(until).0), number: number() }
    }

    /// The id of the claim of this record whose lease ends at `until`.
    pub(super) fn claim_id(&self, until: ClaimDeadline) -> ClaimId {
        ClaimId { number: self.number, until }
    }

    #[inline]
    pub(super) fn read(&self) -> ClaimWord {
        // ORDERING D-a: Acquire: a thread that sees an id DONE sees what was done before it was
        // completed; pairs with the exchange in `change`.
        ClaimWord(self.word.load(Ordering::Acquire))
    }

    fn change(&self, from: ClaimWord, to: ClaimWord) -> bool {
        if seeded("dedup-change-by-store") {
            self.word.store(to.0, Ordering::Release);
            return true;
        }
        // ORDERING D-b: AcqRel. Release: what the holder of a claim did is seen by a thread that sees
        // the claim ended. Acquire: a thread that takes a claim over sees what was done before.
        // Outcomes: of the threads that change a word one succeeds, and the others read it again.
        self.word.compare_exchange(from.0, to.0, change(), Ordering::Relaxed).is_ok()
    }

    /// Takes over a claim whose lease ran out. Returns `None` if the word has changed since it was
    /// `seen`.
    pub(super) fn take_over(&self, seen: ClaimWord, until: ClaimDeadline) -> Option<ClaimId> {
        let has_waiters = seen.0 & HAS_WAITERS;
        self.change(seen, ClaimWord(ClaimWord::claimed(until).0 | has_waiters))
            .then(|| self.claim_id(until))
    }

    /// Extends the claim `own` to `until`, if that is later than its end. Returns `None` if the
    /// claim has ended or was taken over.
    ///
    /// Ends: as [`end`](Self::end).
    pub(super) fn extend(&self, own: ClaimId, until: ClaimDeadline) -> Option<ClaimId> {
        if self.number != own.number {
            return None;
        }
        loop {
            let seen = self.read();
            let ClaimState::Claimed(held) = seen.state() else { return None };
            if held != own.until && !seeded("dedup-extend-any-claim") {
                return None;
            }
            if until <= held {
                return Some(own);
            }
            if self.change(seen, ClaimWord(ClaimWord::claimed(until).0 | seen.0 & HAS_WAITERS)) {
                return Some(self.claim_id(until));
            }
        }
    }

    /// Ends a claim whose lease was seen to have run out. Returns `None` if the word has changed
    /// since.
    pub(super) fn expire(&self, seen: ClaimWord) -> Option<ClaimEnd> {
        let has_waiters = seen.has_waiters() && !seeded("dedup-expire-wakes-nobody");
        let ended = self.change(seen, ClaimWord(TOMBSTONE)) || seeded("dedup-expire-unasked");
        ended.then_some(ClaimEnd { has_waiters })
    }

    /// Has the end of the claim wake its waiters. Returns false if the word has changed since it
    /// was `seen`.
    pub(super) fn join(&self, seen: ClaimWord) -> bool {
        seen.has_waiters() || self.change(seen, ClaimWord(seen.0 | HAS_WAITERS))
    }

    /// Ends the claim `own`. Returns `None` if it has ended or was taken over.
    ///
    /// Ends: an exchange fails only if a waiter has set HAS_WAITERS, which happens once, or if the
    /// claim was taken over, which is seen in the next round.
    fn end(&self, own: ClaimId, to: ClaimWord) -> Option<ClaimEnd> {
        if self.number != own.number && !seeded("dedup-end-any-record") {
            return None;
        }
        loop {
            let seen = self.read();
            let ClaimState::Claimed(until) = seen.state() else { return None };
            if until != own.until && !seeded("dedup-end-any-claim") {
                return None;
            }
            if self.change(seen, to) {
                return Some(ClaimEnd {
                    has_waiters: seen.has_waiters() && !seeded("dedup-wake-nobody"),
                });
            }
        }
    }

    /// Makes the claim `own` DONE. Returns `None` if it has ended or was taken over (W2, W3).
    pub(super) fn complete(&self, own: ClaimId, until: ClaimDeadline) -> Option<ClaimEnd> {
        self.end(own, ClaimWord::done(until))
    }

    /// Gives the claim `own` back. Returns `None` if it has ended or was taken over.
    pub(super) fn abandon(&self, own: ClaimId) -> Option<ClaimEnd> {
        self.end(own, ClaimWord(TOMBSTONE))
    }

    /// Makes a record that was seen DONE a tombstone. Returns true for one caller, which removes
    /// it.
    pub(super) fn forget(&self, seen: ClaimWord) -> bool {
        self.change(seen, ClaimWord(TOMBSTONE))
    }

    /// Whether the record is a tombstone, so that it may be removed (W1).
    pub(super) fn is_tombstone(&self) -> bool {
        self.read().state() == ClaimState::Tombstone || seeded("dedup-remove-any")
    }
}

fn change() -> Ordering {
    relaxed_if_seeded("dedup-change-relaxed", Ordering::AcqRel)
}
