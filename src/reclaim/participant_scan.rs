//! What one round over all participants has found: what may be freed, and who holds what may not.
//!
//! The round reads the epoch, fences, and then looks at every participant. What is decided by it stays right, however long
//! that takes: let *A* be the round's fence, `e` the epoch before it, and an item be ripe by `e`, or by `e + 1`, if this round has
//! moved the epoch.
//!
//! - If the sealer's fence came after *A*, the tag is `e` at least, and the item is not ripe. So it came before *A*.
//! - A pin, or a number that was taken, of which the fence comes after *A*, sees the item as unlinked. One of which it came
//!   before *A* was seen by this round, or what came after it.
//! - A participant that was seen with the epoch `g` can hold what was retired under `g - 1` and later (see "Why three" in
//!   [`reclaim`](super)): what was retired under `t` is not held if `g >= t + 2`. Else it is held, unless
//!   the participant is neutralized and the item is younger than the bound (see [`pin_state`](super::pin_state)).
//!
//! - A batch has the era that was read after its fence, and a pin the one that was read before its own. If the first is less,
//!   the fence of the seal came before that of the pin: had it come after it, the load after it would have read no less than the load
//!   before the other. So the thread sees all of the batch as unlinked, and does not hold it. The era of a pin is stored before its
//!   state and loaded before it: what is loaded is of that pin or of an older one, and so too little at worst.
//!
//! So a participant that is not neutralized delays what is ripe, and one that is neutralized has items kept for it, one by one. The first
//! is one whose holder was neutralized before, and writes, or has taken another number, still under the old epoch; others lag
//! behind by one, and hold nothing that is ripe.

use super::bag::Bag;
use super::participant::Participant;
use super::pin_state::{PinState, State};
use super::queue::Seal;
use super::{GRACE, Reclaim};
use crate::sync::seeded;

/// How many epochs a participant shows at least after the tag of what it does not hold.
const PIN_GRACE: u64 = 2;

/// What a round over the participants has found.
pub(super) struct ParticipantScan<'d, T> {
    /// The epoch that was read, or the one that this round has moved it to.
    epoch: u64,
    /// The one by which items are ripe: no later than those who were not neutralized allow.
    ripe_by: u64,
    pub(super) moved: bool,
    /// Whether a participant that is not neutralized keeps the epoch where it is.
    pub(super) is_blocked: bool,
    /// Whether one of those writes.
    pub(super) is_blocked_by_write: bool,
    neutralized: Vec<NeutralizedPin<'d, T>>,
    /// The largest of their bounds: what was born later is held by none of them.
    last_bound: u32,
}

/// A participant that holds some of what is ripe: it was neutralized, or has lent one item.
pub(super) struct NeutralizedPin<'d, T> {
    bag: &'d Bag<T>,
    pin_state: &'d PinState,
    state: State,
    /// No item is held that was sealed in an older era, or born in a later one.
    pin_era: u32,
    bound: u32,
    /// The only item that is held, if it is one that was lent.
    only: Option<usize>,
}

impl<'d, T> ParticipantScan<'d, T> {
    pub(super) fn at(epoch: u64) -> Self {
        Self {
            epoch,
            ripe_by: epoch,
            moved: false,
            is_blocked: false,
            is_blocked_by_write: false,
            neutralized: Vec::new(),
            last_bound: 0,
        }
    }

    /// Takes a participant into account that was seen in this state.
    pub(super) fn visit<L>(
        &mut self,
        participant: &'d Participant<T, L>,
        state: State,
        pin_era: u32,
    ) {
        if state.holds_item() {
            let only = Some(participant.pin_state.lent.hazard());
            return self.hold(participant, state, (0, u32::MAX, only));
        }
        if !state.is_pinned() || state.epoch() == self.epoch || seeded("reclaim-ignore-laggard") {
            return;
        }
        match participant.pin_state.bound(state) {
            Some(bound) => self.hold(participant, state, (pin_era, bound, None)),
            None => {
                self.is_blocked = true;
                self.is_blocked_by_write |= state.writes();
                self.ripe_by = self.ripe_by.min(state.epoch() + GRACE - PIN_GRACE);
            }
        }
    }

    fn hold<L>(
        &mut self,
        participant: &'d Participant<T, L>,
        state: State,
        (pin_era, bound, only): (u32, u32, Option<usize>),
    ) {
        let (bag, pin_state) = (&participant.bag, &participant.pin_state);
        self.last_bound = self.last_bound.max(bound);
        self.neutralized.push(NeutralizedPin { bag, pin_state, state, pin_era, bound, only });
    }

    /// This round has moved the epoch.
    pub(super) fn has_moved(&mut self) {
        self.moved = true;
        self.epoch += 1;
        self.ripe_by += 1;
    }

    /// Whether a batch with this tag is ripe.
    pub(super) fn is_ripe(&self, tag: u64) -> bool {
        is_ripe(tag, self.ripe_by)
    }

    /// Whether no thread holds anything that is ripe.
    pub(super) fn is_free(&self) -> bool {
        self.neutralized.is_empty() || seeded("reclaim-by-epoch-alone")
    }

    /// Which of the holds is the first to hold an item of a batch that has this seal and is ripe.
    pub(super) fn holder(&self, seal: Seal, item: &impl Reclaim) -> Option<usize> {
        let birth = item.birth();
        let grace = if seeded("reclaim-pin-grace-one") { 1 } else { PIN_GRACE };
        let holds = |hold: &NeutralizedPin<'_, T>| {
            if let Some(address) = hold.only {
                return item.address() == address;
            }
            let is_unlinked_before =
                hold.state.epoch() >= seal.tag + grace || hold.pin_era > seal.era;
            !is_unlinked_before && birth <= hold.bound
        };
        if birth > self.last_bound {
            return None;
        }
        let most = if seeded("reclaim-kept-for-one") { 1 } else { usize::MAX };
        self.neutralized.iter().take(most).position(holds)
    }

    pub(super) fn neutralized(&self) -> &[NeutralizedPin<'d, T>] {
        &self.neutralized
    }
}

impl<T> NeutralizedPin<'_, T> {
    pub(super) fn bag(&self) -> &Bag<T> {
        self.bag
    }

    /// Notes that items are kept for the state that was seen; whether some were for another one.
    pub(super) fn note_kept(&self) -> bool {
        self.pin_state.keep_for(self.state)
    }
}

/// Whether what was retired under a tag is ripe in an epoch.
pub(super) fn is_ripe(tag: u64, epoch: u64) -> bool {
    epoch >= tag + if seeded("reclaim-grace-two") { 2 } else { GRACE }
}
