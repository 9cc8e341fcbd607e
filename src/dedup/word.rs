//! The word that says what is known of an id.
//!
//! ```text
//!   63                                  3     2       1     0
//!   +------------------------------------+--------+-----------+
//!   | until: a deadline, in eight ns     | JOINED |   state   |
//!   +------------------------------------+--------+-----------+
//! ```
//!
//! | state | `until` | JOINED | what it means |
//! |---|---|---|---|
//! | CLAIMED | end of the lease | somebody waits for the end of the claim | a ticket is out |
//! | DONE | end of the memory | never | the id was processed |
//! | GONE | zero | never | the record is being removed and stands for nothing |
//!
//! | from | to | by | when |
//! |---|---|---|---|
//! | (no record) | CLAIMED | `claim` | the id is new |
//! | CLAIMED | CLAIMED, later `until` | `claim` | the lease ran out |
//! | CLAIMED | CLAIMED, later `until` | `Ticket::extend` | the `until` is the ticket's own |
//! | CLAIMED | CLAIMED with JOINED | `wait_done` | somebody is about to wait |
//! | CLAIMED | DONE | `Ticket::complete` | the `until` is the ticket's own |
//! | CLAIMED | GONE | drop of a ticket | the same |
//! | CLAIMED | GONE | cleanup | the lease ran out |
//! | DONE | GONE | whoever forgets the id | its time is over, or it has to make room |
//!
//! # Invariants
//!
//! - **W1** A record is DONE once at most, and GONE is the end of it. Whoever makes it GONE removes it,
//!   and anybody may help: removing what is GONE never removes anything else.
//! - **W2** Within a record, each `until` of a claim is later than the one before: a claim is taken over at
//!   or after its `until`, for a lease above zero, and extended to a later `until` only. So `until` is the
//!   generation of the claim, and there is no other.
//! - **W3** No two records have the same number. A ticket knows the number of its record: a later record
//!   of the same id may have the same `until`, as whoever put it in may have read the clock long
//!   before.

use std::cell::Cell;

use crate::sync::{AtomicU64, Ordering, seeded, unique};
use crate::time::{Deadline, Moment};

const STATE: u64 = 0b11;
const CLAIMED: u64 = 1;
const DONE: u64 = 2;
const GONE: u64 = 3;
const JOINED: u64 = 0b100;
const UNTIL_SHIFT: u32 = 3;
/// The largest `until`: never.
const NEVER: u64 = u64::MAX >> UNTIL_SHIFT;
const _: () = assert!(STATE | JOINED == (1 << UNTIL_SHIFT) - 1, "the fields fill the word");

/// A deadline to the next eight nanoseconds, never before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Until(u64);

impl Until {
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

/// What a word said when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(u64);

/// The same, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Claimed(Until),
    Done(Until),
    Gone,
}

impl Word {
    fn claimed(until: Until) -> Self {
        Self(until.0 << UNTIL_SHIFT | CLAIMED)
    }

    fn done(until: Until) -> Self {
        Self(until.0 << UNTIL_SHIFT | DONE)
    }

    #[inline]
    pub(super) fn state(self) -> State {
        let until = Until(self.0 >> UNTIL_SHIFT);
        match self.0 & STATE {
            CLAIMED => State::Claimed(until),
            DONE => State::Done(until),
            _ => State::Gone,
        }
    }

    fn is_joined(self) -> bool {
        self.0 & JOINED != 0
    }
}

/// Numbers that a thread takes at a time.
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
    // Where the thread's locals are gone already, a whole block is used up.
    taken.unwrap_or_else(|_| fresh())
}

/// What a claim is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hold {
    number: u64,
    until: Until,
}

/// How a claim came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// Somebody waits to be told.
    pub(super) joined: bool,
}

/// The word of a record, and the record's number.
#[derive(Debug)]
pub(super) struct Slot {
    word: AtomicU64,
    number: u64,
}

impl Slot {
    pub(super) fn claimed(until: Until) -> Self {
        Self { word: AtomicU64::new(Word::claimed(until).0), number: number() }
    }

    /// By what the claim of this record is known that ends then.
    pub(super) fn hold(&self, until: Until) -> Hold {
        Hold { number: self.number, until }
    }

    #[inline]
    pub(super) fn read(&self) -> Word {
        // ORDERING D-a: Acquire: whoever sees an id DONE sees what was done before it was
        // completed; pairs with the exchange in `change`.
        Word(self.word.load(Ordering::Acquire))
    }

    fn change(&self, from: Word, to: Word) -> bool {
        if seeded("dedup-change-by-store") {
            self.word.store(to.0, Ordering::Release);
            return true;
        }
        // ORDERING D-b: AcqRel. Release: what the holder of a claim did is seen by whoever sees the
        // claim ended. Acquire: whoever takes a claim over sees what was there before. Outcomes: of
        // all who change a word one succeeds, the others look again.
        self.word.compare_exchange(from.0, to.0, change(), Ordering::Relaxed).is_ok()
    }

    /// Takes over a claim whose lease ran out. Nothing if the word has changed.
    pub(super) fn take_over(&self, seen: Word, until: Until) -> Option<Hold> {
        let joined = seen.0 & JOINED;
        self.change(seen, Word(Word::claimed(until).0 | joined)).then(|| self.hold(until))
    }

    /// Lets the claim of `own` run longer, if that is longer than it does; nothing if it is no longer its claim.
    ///
    /// Ends: as [`end`](Self::end).
    pub(super) fn extend(&self, own: Hold, until: Until) -> Option<Hold> {
        if self.number != own.number {
            return None;
        }
        loop {
            let seen = self.read();
            let State::Claimed(held) = seen.state() else { return None };
            if held != own.until && !seeded("dedup-extend-any-claim") {
                return None;
            }
            if until <= held {
                return Some(own);
            }
            if self.change(seen, Word(Word::claimed(until).0 | seen.0 & JOINED)) {
                return Some(self.hold(until));
            }
        }
    }

    /// Ends a claim whose lease was seen to have run out. Nothing if the word has changed.
    pub(super) fn expire(&self, seen: Word) -> Option<Ended> {
        let joined = seen.is_joined() && !seeded("dedup-expire-wakes-nobody");
        let ended = self.change(seen, Word(GONE)) || seeded("dedup-expire-unasked");
        ended.then_some(Ended { joined })
    }

    /// Tells the holder of a claim to wake those who wait. False if the word has changed.
    pub(super) fn join(&self, seen: Word) -> bool {
        seen.is_joined() || self.change(seen, Word(seen.0 | JOINED))
    }

    /// Ends the claim of `own`; nothing if it is no longer its claim.
    ///
    /// Ends: an exchange fails only where somebody joined, which happens once, or took the claim
    /// over, which is seen in the next round.
    fn end(&self, own: Hold, to: Word) -> Option<Ended> {
        if self.number != own.number && !seeded("dedup-end-any-record") {
            return None;
        }
        loop {
            let seen = self.read();
            let State::Claimed(until) = seen.state() else { return None };
            if until != own.until && !seeded("dedup-end-any-claim") {
                return None;
            }
            if self.change(seen, to) {
                return Some(Ended { joined: seen.is_joined() && !seeded("dedup-wake-nobody") });
            }
        }
    }

    /// Makes the claim of `own` DONE; nothing if it is no longer its claim (W2, W3).
    pub(super) fn complete(&self, own: Hold, until: Until) -> Option<Ended> {
        self.end(own, Word::done(until))
    }

    /// Gives the claim of `own` back; nothing if it is no longer its claim.
    pub(super) fn abandon(&self, own: Hold) -> Option<Ended> {
        self.end(own, Word(GONE))
    }

    /// Makes a record that was seen DONE stand for nothing. True for one caller, who removes it.
    pub(super) fn forget(&self, seen: Word) -> bool {
        self.change(seen, Word(GONE))
    }

    /// Whether the record stands for nothing, so that it may be removed (W1).
    pub(super) fn is_gone(&self) -> bool {
        self.read().state() == State::Gone || seeded("dedup-remove-any")
    }
}

fn change() -> Ordering {
    if seeded("dedup-change-relaxed") { Ordering::Relaxed } else { Ordering::AcqRel }
}
