//! What others see of a participant: the epoch that it shows, and whether its thread reads, writes, or was neutralized.
//!
//! A thread that sleeps while it is pinned would keep everything from being freed that is retired after its pin. It can only
//! have reached what was there before. So a writer that meets too much garbage *neutralizes* the threads in its way that only
//! read: it requests that for the participant's *number*, moves the domain's *era* on, and notes the era before as the
//! participant's *bound*. From then on the participant is in the way of nothing but what was born in the era of the bound, or
//! before. A thread that finds itself neutralized restarts its operation. After T. Brown's DEBRA+ (PODC 2015), where a signal does
//! that, with the birth eras of P. Ramalhete and A. Correia's *Hazard Eras* (SPAA 2017).
//!
//! | who | does |
//! |---|---|
//! | creator of an item | reads the era (*birth*) before it publishes the item |
//! | thread that reads | reads a word that leads to an item, then [looks](PinState::must_restart), then follows it. If it was neutralized, the root of its operation takes the next number, with a fence, and restarts |
//! | thread that writes | says so in the state that it shows, with a fence, and follows what it reads |
//! | thread that neutralizes | raises `requested`, then the era, then `bound`, then `neutralized` |
//! | thread that moves the epoch | ignores a participant whose thread reads, and that is neutralized under its present number |
//! | thread that frees | takes every pinned participant into account, and the epoch (see [`ParticipantScan`](super::participant_scan::ParticipantScan)) |
//!
//! # Invariants
//!
//! - **H1** Only the participant's thread writes its state and its number. A number is never lowered, also when the participant
//!   changes hands.
//! - **H2** `requested`, `neutralized` and `bound` are only raised. The thread that raises `neutralized` to a number has raised
//!   `requested` to it before, then moved the era, and then raised the bound to at least the era before that step.
//! - **H3** A thread that reads follows a word that leads to an item, or makes it the expectation of an exchange, only if it has
//!   looked after it read the word, and was not neutralized since its operation began; or if the item has the birth zero.
//!   [`validate`](super::validate) has types for that.
//! - **H4** What a write has found is used while the participant says that its thread writes, or after it has taken another number.
//!
//! # Why no other thread has what is younger than the bound
//!
//! Let a thread follow a word to an item that was born at `b`, under the number `n`, for which it was neutralized, and let `E` be
//! the era before the step that was taken for that. Suppose `b > E`. So the creator read what that step of the era has written, or
//! a later one; as all of them are exchanges, the step *happens before* the creator's load. `requested` was raised before the
//! step; the creator's load is before the publication, which the thread has acquired with the word; and its look comes after that.
//! So the look has seen the request for `n`, and the thread has not followed the word. Hence `b <= E`, each time that `n` was
//! neutralized, and `E` is no more than the bound.
//!
//! The last era is moved no more, and then the bound is that one: all births are at most the bound.
//!
//! # Restart
//!
//! What a thread has looked at stays valid, whatever happens: it is older than the bound, if the participant is neutralized; and
//! as long as the participant shows the old epoch and is not, it holds all that was retired since. So the next number is taken
//! *under the old epoch*. With the fence it is like a pin: what was unlinked before a tag whose fence came earlier is seen as
//! unlinked, and the thread that frees anything else sees the new number. But a word that was copied from an item that is retired
//! may lead to what was unlinked elsewhere: so an operation restarts where the table begins, and trusts nothing that it has read
//! in between.
//!
//! A number is only taken by a thread that was neutralized, or that suspends a write: one that pins again under a number that is
//! neutralized is in no other thread's way, and learns so by its first look.
//!
//! # Writes
//!
//! A participant whose thread writes is not neutralized, whatever the other words say: it holds what its epoch says, and keeps
//! that from moving. The store that says so has a fence. So the thread that sees an older state of the participant has fenced
//! before that, and what it frees was unlinked before its fence: the write does not find it. This is the argument for a pin, and a
//! write that begins in a guard of its own thread needs no other: what it finds is held from then on, although the participant
//! shows an epoch that is long over.
//!
//! A write that ends, and goes back to the guard around it, leaves what it has found, and the guard's own bound is in force again.
//! One that is only suspended, for code of the user's, keeps it. So it takes the next number before it counts as reading: the
//! thread that neutralizes has read that number, with acquire, before it moves the era, and the births of all that was found were
//! read before the number was written. So they are not above the era before that step.

use super::epoch::Stamp;
use super::lent::{LentState, Narrowed};
use crate::sync::{AtomicU32, AtomicU64, Ordering, Relaxed, publish_and_fence, seeded};

/// That the thread of a participant is to be neutralized that was seen with this state and this number.
#[derive(Debug, Clone, Copy)]
pub(super) struct NeutralizeRequest {
    state: State,
    number: u64,
}

/// What a participant shows: nothing, or an epoch, with the count that was read together with it, and whether its holder writes.
///
/// ```text
///    63    56      2     1        0
///   +--------+---------+--------+--------+    zero: not pinned
///   | count  | epoch   | WRITES | PINNED |    WRITES alone: not pinned, but one item is held that was lent
///   +--------+---------+--------+--------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u64);

const PINNED: u64 = 1;
const WRITES: u64 = 1 << 1;
const STAMP_SHIFT: u32 = 2;

impl State {
    #[inline(always)]
    fn at(stamp: Stamp, writes: bool) -> Self {
        Self(stamp.to_word() << STAMP_SHIFT | if writes { WRITES | PINNED } else { PINNED })
    }

    #[inline(always)]
    pub(super) fn is_pinned(self) -> bool {
        self.0 & PINNED != 0
    }

    #[inline(always)]
    pub(super) fn writes(self) -> bool {
        self.0 & WRITES != 0
    }

    /// The epoch that a pinned participant shows.
    #[inline(always)]
    pub(super) fn epoch(self) -> u64 {
        self.stamp().epoch()
    }

    #[inline(always)]
    fn stamp(self) -> Stamp {
        Stamp::of(self.0 >> STAMP_SHIFT)
    }

    /// Whether it is not pinned, and holds one item (see [`lent`](super::lent)).
    #[inline(always)]
    pub(super) fn holds_item(self) -> bool {
        self.0 & (PINNED | WRITES) == WRITES
    }

    /// The same of one that reads and holds one item. The epoch stays, so that what is kept for one item is not taken for
    /// what is kept for the next.
    fn holding_item(self) -> Self {
        Self(self.0 & !PINNED | WRITES)
    }

    fn reading(self) -> Self {
        Self(if self.is_pinned() { self.0 & !WRITES } else { self.0 })
    }
}

/// Set in a number that is not to be neutralized.
const EXEMPT: u64 = 1;
/// From one number to the next.
const NEXT: u64 = 2;

/// The words of a participant that others look at.
#[derive(Debug)]
pub(super) struct PinState {
    /// A [`State`] (R1).
    state: AtomicU64,
    number: AtomicU64,
    /// The era that was read before the participant was pinned.
    pin_era: AtomicU32,
    /// The last number for which that was requested, and the last one for which the bound is noted.
    requested: AtomicU64,
    neutralized: AtomicU64,
    bound: AtomicU32,
    /// The state for which items are kept; zero if there are none.
    keeps: AtomicU64,
    pub(super) lent: LentState,
    sleep_start: SleepStart,
}

/// Since when the holder sleeps that was neutralized, by both clocks of the domain, and under which state.
#[derive(Debug)]
struct SleepStart {
    state: Relaxed<AtomicU64>,
    since: [Relaxed<AtomicU64>; 2],
}

impl PinState {
    pub(super) fn new() -> Self {
        let word = AtomicU64::new;
        let relaxed = Relaxed::<AtomicU64>::new;
        Self {
            state: word(0),
            number: word(2),
            pin_era: AtomicU32::new(0),
            requested: word(0),
            neutralized: word(0),
            bound: AtomicU32::new(0),
            keeps: word(0),
            lent: LentState::new(),
            sleep_start: SleepStart { state: relaxed(0), since: [relaxed(0), relaxed(0)] },
        }
    }

    // What the holder does.

    /// The state as the holder has written it.
    #[inline]
    pub(super) fn own_state(&self) -> State {
        // ORDERING S-o: Relaxed: only the holder writes it (R1).
        State(self.state.load(Ordering::Relaxed))
    }

    /// Shows an epoch, before any shared pointer is followed, and the era in which that was.
    #[inline(always)]
    pub(super) fn pin(&self, stamp: Stamp, era: u32, writes: bool) {
        let state = State::at(stamp, writes && !seeded("reclaim-write-unmarked")).0;
        // ORDERING R-x: Release: the end of the last pin was stored before; pairs with the load in `pin_era`.
        self.pin_era.store(era, Ordering::Release);
        if seeded("reclaim-pin-unfenced") {
            // ORDERING R-a: Relaxed: the seeded bug.
            return self.state.store(state, Ordering::Relaxed);
        }
        publish_and_fence(&self.state, state);
    }

    /// Shows this epoch to read, if it does not yet. Where it showed one, the era of the pin stays, as there is no fence;
    /// unless threads were neutralized since: then it pins anew.
    #[inline(always)]
    pub(super) fn renew(&self, stamp: Stamp, era: impl FnOnce() -> u32) {
        let shown = self.own_state();
        if shown == State::at(stamp, false) {
            return;
        }
        if shown.is_pinned() && shown.stamp().is_count_of(stamp) {
            // ORDERING R-d: Release: the reads of the last use end before the new epoch is shown;
            // pairs with the acquire load in `state`. If it is seen late, the epoch only waits.
            self.state.store(State::at(stamp, false).0, Ordering::Release);
        } else {
            self.pin_anew(stamp, era());
        }
    }

    /// Ends the pin that there is, and begins another.
    #[cold]
    #[inline(never)]
    fn pin_anew(&self, stamp: Stamp, era: u32) {
        self.unpin();
        self.pin(stamp, era, false);
    }

    /// From now on the holder, which is pinned to read, writes, and is not to be neutralized; whether it did not write
    /// before. It still shows the same epoch, as what it has lent stays valid.
    #[inline]
    pub(super) fn begin_writing(&self) -> bool {
        let state = self.own_state();
        if state.writes() {
            return false;
        }
        if !seeded("reclaim-write-unmarked") {
            publish_and_fence(&self.state, state.0 | WRITES);
        }
        true
    }

    /// The holder only reads again, and is done with all that the write has found.
    #[inline]
    pub(super) fn end_writing(&self) {
        // ORDERING R-d: Release: what the write has read was read before; pairs with the acquire load in `state`.
        self.state.store(self.own_state().reading().0, Ordering::Release);
    }

    /// The same, but it keeps all that the write has found: under another number, so that the bound of the last one, which
    /// knows nothing of that, is none for it.
    pub(super) fn suspend_writing(&self) {
        // ORDERING S-o: Relaxed: only the holder writes it (H1).
        let number = self.number.load(Ordering::Relaxed);
        if !seeded("reclaim-suspend-unnumbered") {
            // ORDERING R-s: Release: all that was found, and so its births, were read before; pairs with the load in
            // `neutralize`.
            self.number.store(number + NEXT, Ordering::Release);
        }
        self.end_writing();
    }

    /// Is pinned no more.
    #[inline]
    pub(super) fn unpin(&self) {
        // ORDERING R-c: Release: what was read under the pin was read before; pairs with the acquire load in
        // `state`.
        self.state.store(0, Ordering::Release);
    }

    /// Holds no more than what was lent, if that is known: the holder is pinned to read, and is at no operation (L1).
    pub(super) fn narrow(&self) {
        let state = self.own_state();
        if !state.is_pinned() || state.writes() {
            return;
        }
        let early = seeded("reclaim-narrowed-early");
        let show = |narrowed| match narrowed {
            Narrowed::Nothing => self.unpin(),
            // ORDERING R-z: Release: what was read under the pin was read before, and the hazard pointer was written before;
            // pairs with the acquire load in `state`.
            Narrowed::Item => self.state.store(state.holding_item().0, Ordering::Release),
        };
        if early {
            show(Narrowed::Item);
        }
        if let Some(narrowed) = self.lent.narrow().filter(|_| !early) {
            show(narrowed);
        }
    }

    /// Leaves the number to the next holder as one that may be neutralized, wherever the last one stopped.
    pub(super) fn release(&self) {
        self.lent.note_unknown();
        self.unpin();
        // ORDERING S-o: Relaxed: only the holder writes it (H1).
        let number = self.number.load(Ordering::Relaxed);
        if number & EXEMPT != 0 {
            // ORDERING R-s: Release: as in `Exempt::drop`.
            self.number.store(number + 1, Ordering::Release);
        }
    }

    /// The present number.
    #[inline(always)]
    pub(super) fn own_number(&self) -> u64 {
        // ORDERING S-o: Relaxed: only the holder writes it (H1).
        self.number.load(Ordering::Relaxed)
    }

    /// Whether the holder was neutralized under this number, or a later one. Covers every item of which the birth was
    /// read before (in the sense of happens-before).
    #[inline(always)]
    pub(super) fn must_restart(&self, number: u64) -> bool {
        stall_point();
        if seeded("reclaim-not-validated") {
            return false;
        }
        // ORDERING R-t: Relaxed: comes after the load of the word that was looked at, which acquires; if that leads to what
        // was born after the step of the era, it sees what was stored before that step (see the module).
        let must_restart = self.requested.load(Ordering::Relaxed) >= number;
        stall_point();
        must_restart
    }

    /// Takes the next number, and is not neutralized under it.
    pub(super) fn exempt(&self) -> Exempt<'_> {
        let number = self.own_number();
        self.take(number | EXEMPT);
        // One that is nested in another leaves the end to that.
        Exempt((number & EXEMPT == 0).then_some(self))
    }

    fn take(&self, number: u64) {
        if seeded("reclaim-exempt-unfenced") {
            // ORDERING R-a: Relaxed: the seeded bug.
            return self.number.store(number, Ordering::Relaxed);
        }
        publish_and_fence(&self.number, number);
    }

    /// Whether it is pinned, and is not to be neutralized before it goes on.
    pub(super) fn keeps_from_neutralizing(&self) -> bool {
        let state = self.own_state();
        state.is_pinned() && (state.writes() || self.own_number() & EXEMPT != 0)
    }

    // What others do.

    /// The era of the pin whose state is loaded after this, or of an older pin.
    pub(super) fn pin_era(&self) -> u32 {
        // ORDERING R-x: Acquire: the state that is loaded after this is of this pin, or of a later one; pairs with the store in
        // `pin`.
        self.pin_era.load(Ordering::Acquire)
    }

    pub(super) fn state(&self) -> State {
        // ORDERING R-b: Acquire: what the participant's holder read before it moved on or left, it read before the release of
        // anything that may be freed for that.
        State(self.state.load(Ordering::Acquire))
    }

    /// The bound of a participant that was seen in this state, if its holder was neutralized.
    ///
    /// A state that is out of date does no harm: the fence of whatever the holder has shown since came after that of the
    /// caller, who has read the epoch before (see [`ParticipantScan`](super::participant_scan::ParticipantScan)).
    pub(super) fn bound(&self, state: State) -> Option<u32> {
        if state.writes() {
            return None;
        }
        // ORDERING R-s: Acquire: the holder is done with what it has read before it was neutralized, or looks at it under the number
        // that is read here; pairs with `take`.
        let number = self.number.load(Ordering::Acquire);
        let neutralized =
            if seeded("reclaim-request-is-done") { &self.requested } else { &self.neutralized };
        // ORDERING R-v: Acquire: the bound; pairs with the exchange in `neutralize`.
        let is_neutralized = neutralized.load(Ordering::Acquire) == number;
        // ORDERING R-v: Acquire: ordered by the load above; one that is larger only keeps more.
        is_neutralized.then(|| self.bound.load(Ordering::Acquire))
    }

    /// The state and the number of a thread that is pinned to read, and was not neutralized under that number.
    fn reader(&self) -> Option<NeutralizeRequest> {
        let state = self.state();
        if !state.is_pinned() || state.writes() {
            return None;
        }
        // ORDERING R-s: Acquire: as in `bound`.
        let number = self.number.load(Ordering::Acquire);
        // ORDERING R-v: Acquire: as in `bound`.
        let is_neutralized = self.neutralized.load(Ordering::Acquire) >= number;
        (number & EXEMPT == 0 && !is_neutralized).then_some(NeutralizeRequest { state, number })
    }

    /// Whether such a thread keeps this epoch from moving.
    pub(super) fn is_blocking(&self, epoch: u64) -> bool {
        self.reader().is_some_and(|reader| reader.state.epoch() != epoch)
    }

    /// Requests that such a thread is neutralized, if it shows such a state. The caller moves the era, and then completes the
    /// request with the one before.
    pub(super) fn request(&self, is_meant: impl Fn(State) -> bool) -> Option<NeutralizeRequest> {
        let request = self.reader().filter(|reader| is_meant(reader.state))?;
        // ORDERING R-t: Relaxed: published by the step of the era.
        self.requested.fetch_max(request.number, Ordering::Relaxed);
        Some(request)
    }

    /// Completes a request: notes the bound. `times` say since when the thread sleeps.
    pub(super) fn complete(&self, request: NeutralizeRequest, bound: u32, times: [u64; 2]) {
        self.sleep_start.note(request.state.0, times);
        self.note(request.number, bound);
    }

    /// Notes the bound of a number that was neutralized.
    fn note(&self, number: u64, bound: u32) {
        if seeded("reclaim-done-before-bound") {
            // ORDERING R-v: Release: the seeded bug.
            self.neutralized.fetch_max(number, Ordering::Release);
        }
        // ORDERING R-v: Relaxed: published by the exchange below.
        if seeded("reclaim-bound-stored") {
            self.bound.store(bound, Ordering::Relaxed);
        } else {
            self.bound.fetch_max(bound, Ordering::Relaxed);
        }
        // ORDERING R-v: AcqRel: Release: the bound; Acquire: continues the chain of those that note.
        self.neutralized.fetch_max(number, Ordering::AcqRel);
    }

    /// Items are kept for this state; whether some were for another one, so that all are the caller's to look at: those may be
    /// held no more, and nothing would give them back before the present holder goes on.
    pub(super) fn keep_for(&self, state: State) -> bool {
        let state = state.reading().0;
        if seeded("reclaim-keep-by-store") {
            // ORDERING R-w: Release: the seeded bug.
            self.keeps.store(state, Ordering::Release);
            return false;
        }
        // ORDERING R-w: AcqRel: Release: the items were put there before; pairs with the exchange in `gives_up`. Acquire: what
        // others have put there goes with it.
        let before = self.keeps.swap(state, Ordering::AcqRel);
        before != 0 && before != state
    }

    /// Whether items are kept here.
    pub(super) fn keeps(&self) -> bool {
        // ORDERING S-h: Relaxed: a hint.
        self.keeps.load(Ordering::Relaxed) != 0
    }

    /// Whether items are kept here for one who is pinned: any that it could have reached.
    pub(super) fn keeps_for_pin(&self) -> bool {
        self.keeps() && self.state().is_pinned()
    }

    /// Whether items are kept for another state than the present one: they are the caller's to look at.
    pub(super) fn gives_up(&self, state: State) -> bool {
        // ORDERING S-h: Relaxed: a hint; the exchange below decides.
        let keeps = self.keeps.load(Ordering::Relaxed);
        // ORDERING R-w: Acquire: the items; pairs with the store in `keep_for`.
        keeps != 0 && keeps != state.reading().0 && self.keeps.swap(0, Ordering::Acquire) != 0
    }

    /// Since when the holder sleeps, if it was neutralized and still shows the state that it had then.
    pub(super) fn asleep_since(&self, state: State) -> Option<[u64; 2]> {
        self.sleep_start.since(state.0).filter(|_| state.is_pinned() && self.bound(state).is_some())
    }

    /// Since when the holder sleeps, if it does. One that has pinned anew and not looked yet is still neutralized, under another
    /// state: it sleeps since `now`, as far as is known.
    pub(super) fn asleep_since_or(&self, now: impl FnOnce() -> [u64; 2]) -> Option<[u64; 2]> {
        let state = self.state();
        let is_neutralized = state.is_pinned() && self.bound(state).is_some();
        let keeps_one = state.holds_item() && self.keeps();
        if !(is_neutralized || keeps_one) {
            return None;
        }
        self.sleep_start.since(state.0).or_else(|| {
            let now = now();
            self.sleep_start.note(state.0, now);
            Some(now)
        })
    }
}

impl SleepStart {
    fn note(&self, state: u64, times: [u64; 2]) {
        self.since.iter().zip(times).for_each(|(word, time)| word.set(time));
        self.state.set(state);
    }

    fn since(&self, state: u64) -> Option<[u64; 2]> {
        (self.state.get() == state).then(|| [self.since[0].get(), self.since[1].get()])
    }
}

/// A holder that is not to be neutralized.
#[derive(Debug)]
pub(super) struct Exempt<'s>(Option<&'s PinState>);

impl Drop for Exempt<'_> {
    fn drop(&mut self) {
        let Some(pin_state) = self.0 else { return };
        // ORDERING S-o: Relaxed: only the holder writes it (H1).
        let number = pin_state.number.load(Ordering::Relaxed);
        // ORDERING R-s: Release: what was looked at under the old number was looked at before; pairs with the load in
        // `neutralize`.
        pin_state.number.store(number + 1, Ordering::Release);
    }
}

/// How rarely a step stops a thread that was told to stall: one step in this many; none if it was not told.
#[cfg(all(test, not(clockhand_loom)))]
pub(crate) mod stall_points {
    use std::cell::Cell;
    use std::time::Duration;

    thread_local! {
        static STEPS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    }

    /// From now on the calling thread stops at about one step in `steps`: before or after a look, or after it has read a word.
    pub(crate) fn begin(steps: u64, seed: u64) {
        STEPS.set((steps, seed | 1));
    }

    #[inline]
    pub(crate) fn stall_point() {
        let (steps, mut seed) = STEPS.get();
        if steps == 0 {
            return;
        }
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        STEPS.set((steps, seed));
        if (seed >> 33).is_multiple_of(steps) {
            std::thread::sleep(Duration::from_micros(seed >> 56));
        }
    }
}

#[cfg(all(test, not(clockhand_loom)))]
pub(crate) use stall_points::stall_point;

#[cfg(not(all(test, not(clockhand_loom))))]
#[inline(always)]
pub(crate) fn stall_point() {}
