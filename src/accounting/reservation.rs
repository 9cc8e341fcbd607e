//! Units that a running operation holds.

use super::ledger::Ledger;
use super::stripe::{Credit, Stripe};

/// Charge that an operation has taken, and that is not yet an entry's.
///
/// What is still held when it is dropped goes back to the ledger, so neither an early return nor a
/// panic in user code loses capacity.
#[derive(Debug)]
#[must_use = "a reservation that is dropped gives its charge back"]
pub(crate) struct Reservation<'a> {
    ledger: &'a Ledger,
    own: &'a Stripe,
    pub(super) held: u64,
}

impl<'a> Reservation<'a> {
    #[inline]
    pub(super) fn of(ledger: &'a Ledger, own: &'a Stripe, held: u64) -> Self {
        Self { ledger, own, held }
    }

    /// What is held.
    #[inline]
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// Takes over the charge of an entry that the caller unlinked.
    #[inline]
    pub(crate) fn add(&mut self, victim: u64) {
        debug_assert!(self.held.checked_add(victim).is_some(), "more unlinked than was linked");
        self.held += victim;
    }

    /// Gives back all that is held, which pays debt first.
    pub(crate) fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.ledger.give(self.own, held);
    }

    /// Takes units until `wanted` is held: from the own credit, the pool, then `stripes`. Returns
    /// false if there are not enough; those found stay held.
    #[inline(always)]
    pub(crate) fn gather<'s>(
        &mut self,
        wanted: u64,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
    ) -> bool {
        if self.held >= wanted {
            return true;
        }
        !self.ledger.is_used_up(self.own) && self.gather_more(wanted, stripes)
    }

    #[inline(never)]
    fn gather_more<'s>(
        &mut self,
        wanted: u64,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
    ) -> bool {
        let missing = wanted - self.held;
        let near = self.ledger.take_up_to(self.own, missing);
        self.held += near;
        self.held += self.ledger.steal(stripes, missing - near);
        self.held >= wanted
    }

    /// Takes credit into another reservation, without an exchange, if the operation may do that: see
    /// [`Stripe::begin`].
    #[inline(always)]
    pub(crate) fn spend(&self, charge: u64) -> Option<Self> {
        self.own.spend(charge).then(|| Self::of(self.ledger, self.own, charge))
    }

    /// Splits `charge` off into a reservation of its own, if it is held.
    #[inline]
    pub(crate) fn split(&mut self, charge: u64) -> Option<Self> {
        self.held = self.held.checked_sub(charge)?;
        Some(Self::of(self.ledger, self.own, charge))
    }

    /// Leaves `charge` to the entry that was just linked; the rest goes back.
    ///
    /// # Panics
    ///
    /// If less is held, which would break the bound.
    #[inline(always)]
    pub(crate) fn commit(mut self, charge: u64) {
        assert!(charge <= self.held, "committed more than was reserved");
        self.held -= charge;
    }
}

impl Reservation<'_> {
    /// Apart, as most have nothing to give back, and those that may have are in the way of all else.
    #[inline(never)]
    fn give_back(&self) {
        self.ledger.give(self.own, self.held);
    }
}

impl Drop for Reservation<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.held > 0 {
            self.give_back();
        }
    }
}
