//! What holds of a ledger at rest.

use super::ledger::Ledger;
use super::stripe::{Credit, Stripe};

impl Ledger {
    /// Panics where the ledger contradicts L1, L3 or L4. No operation runs meanwhile, `stripes` are
    /// all of the ledger's, and `linked` is what the charges of linked entries add up to.
    pub(crate) fn audit<'s>(
        &self,
        stripes: impl IntoIterator<Item = impl Credit<'s>>,
        linked: u64,
    ) {
        let stripes: Vec<&Stripe> = stripes.into_iter().map(|each| each.stripe()).collect();
        let each = || stripes.iter().copied();
        let free = self.pooled() + each().map(Stripe::credit).sum::<u64>();
        assert_eq!(self.limit(), linked + free, "L1: conservation");
        assert_eq!(self.charged(each()), linked, "L1: what an observer reads");
        assert!(self.limit() >= self.capacity(), "L3: growth was lost");
        let left = each().all(|stripe| stripe.credit() <= stripe.allowance());
        assert!(
            self.debt() == 0 || self.pooled() == 0 && left,
            "L3: debt while there is free room"
        );
        let filled = each().filter(|stripe| !stripe.is_unregistered()).count();
        assert_eq!(self.registered(), filled as u64, "L4: stripes that are counted");
    }
}
