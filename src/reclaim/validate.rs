//! What allows a word of a shared structure to be followed: types that keep H3.
//!
//! A pin is for one of two modes.
//!
//! - Who *writes* is not to be neutralized, so it follows what it reads: the participant says so in the store that pins it.
//! - Who *reads* may be neutralized. It looks at its participant after it has read a word and before it follows it. A look that finds
//!   the thread neutralized is an error that goes up to the *root* of the operation, and everything that the operation
//!   has read is void with it, the states of arrays and header words included. Only the root gets another number for it, and
//!   begins the operation anew.
//!
//! Searches are written once, for both. What can be followed is [`Validated`], and nothing makes one but a look.

use std::convert::Infallible;
use std::fmt::Debug;
use std::marker::PhantomData;

use super::pin_state::PinState;
use crate::sync::seeded;

/// A word that may be followed, or be the expectation of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validated<W>(W);

impl<W> Validated<W> {
    #[inline(always)]
    pub(crate) fn get(self) -> W {
        self.0
    }
}

/// What an operation looks with.
pub(crate) trait Validate: Copy {
    /// That the thread was neutralized.
    type Restarts: Debug;

    /// Allows a word that was read before to be followed.
    ///
    /// # Errors
    ///
    /// If the thread was neutralized since the operation began.
    fn validate<W>(self, word: W) -> Result<Validated<W>, Self::Restarts>;
}

/// What a pin is for.
pub(crate) trait Mode: Copy + Debug + 'static {
    /// Whether its pins are not to be neutralized.
    const WRITES: bool;
    /// What its operations look with.
    type Validate<'g>: Validate;

    /// An operation of a thread that is pinned in this mode; none, and all that it has read is void, if the thread was neutralized.
    fn attempt<'g, R>(
        at: PinnedParticipant<'g>,
        op: impl FnOnce(Self::Validate<'g>) -> Outcome<'g, R, Self>,
    ) -> Option<R>;

    /// The same from its root: if the thread was neutralized, once more, as one that is not to be neutralized.
    fn run<'g, R>(
        at: PinnedParticipant<'g>,
        op: impl FnMut(Self::Validate<'g>) -> Outcome<'g, R, Self>,
    ) -> R;
}

/// What comes of an operation of a mode: that the thread was neutralized, at worst.
pub(crate) type Outcome<'g, R, M> = Result<R, Restarts<'g, M>>;
/// That a thread was neutralized, in a mode.
pub(crate) type Restarts<'g, M> = <<M as Mode>::Validate<'g> as Validate>::Restarts;

/// The participant of a thread that is pinned for `'g`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PinnedParticipant<'g>(pub(super) &'g PinState);

/// For operations that may be neutralized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reads;

/// For operations that may not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writes;

/// That the thread was neutralized. The thread that has it goes back to the root of the operation.
#[derive(Debug)]
pub(crate) struct Restart(());

/// A reading thread's look at its own participant, for one operation: also if a nested one takes another number, this one was
/// neutralized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validator<'g> {
    pin_state: &'g PinState,
    number: u64,
}

/// The same where there is nothing to look for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unchecked<'g>(PhantomData<&'g ()>);

impl<'g> Validator<'g> {
    #[inline(always)]
    fn begin(pin_state: &'g PinState) -> Self {
        Self { pin_state, number: pin_state.own_number() }
    }
}

impl Validate for Validator<'_> {
    type Restarts = Restart;

    #[inline(always)]
    fn validate<W>(self, word: W) -> Result<Validated<W>, Restart> {
        let number = if seeded("reclaim-validated-by-present") {
            self.pin_state.own_number()
        } else {
            self.number
        };
        if self.pin_state.must_restart(number) { Err(Restart(())) } else { Ok(Validated(word)) }
    }
}

impl Validate for Unchecked<'_> {
    type Restarts = Infallible;

    #[inline(always)]
    fn validate<W>(self, word: W) -> Result<Validated<W>, Infallible> {
        Ok(Validated(word))
    }
}

impl<'g> Unchecked<'g> {
    /// For threads that none neutralizes: one that writes, or that has the structure to itself.
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl Mode for Reads {
    const WRITES: bool = false;
    type Validate<'g> = Validator<'g>;

    #[inline(always)]
    fn attempt<'g, R>(
        at: PinnedParticipant<'g>,
        op: impl FnOnce(Validator<'g>) -> Result<R, Restart>,
    ) -> Option<R> {
        op(Validator::begin(at.0)).ok()
    }

    #[inline]
    fn run<'g, R>(
        at: PinnedParticipant<'g>,
        mut op: impl FnMut(Validator<'g>) -> Result<R, Restart>,
    ) -> R {
        match op(Validator::begin(at.0)) {
            Ok(done) => done,
            Err(restart) => again(at, restart, op),
        }
    }
}

/// Begins an operation anew, under a number that is not neutralized.
#[cold]
#[inline(never)]
fn again<'g, R>(
    at: PinnedParticipant<'g>,
    Restart(()): Restart,
    mut op: impl FnMut(Validator<'g>) -> Result<R, Restart>,
) -> R {
    let _exempt = at.0.exempt();
    op(Validator::begin(at.0)).expect("neutralized although it is exempt")
}

impl Mode for Writes {
    const WRITES: bool = true;
    type Validate<'g> = Unchecked<'g>;

    #[inline(always)]
    fn attempt<'g, R>(
        _: PinnedParticipant<'g>,
        op: impl FnOnce(Unchecked<'g>) -> Result<R, Infallible>,
    ) -> Option<R> {
        let Ok(done) = op(Unchecked::new());
        Some(done)
    }

    #[inline(always)]
    fn run<'g, R>(
        _: PinnedParticipant<'g>,
        mut op: impl FnMut(Unchecked<'g>) -> Result<R, Infallible>,
    ) -> R {
        let Ok(done) = op(Unchecked::new());
        done
    }
}
