//! Random histories of one thread against a model that is only arithmetic.

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::{GENEROUS, take};
use super::{Ledger, Stripe};

#[derive(Clone, Debug)]
enum Step {
    Take(usize, u64),
    TakeUpTo(usize, u64),
    Sweep(u64),
    GiveOldest(usize),
    GivePart(usize, u64),
    SetCapacity(u64),
    Evict { by: usize, charge: u64 },
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0..40_u64,
        1 => any::<u64>(),
        1 => Just(u64::MAX),
        1 => (0..40_u64).prop_map(|less| u64::MAX - less),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let own = 0..3_usize;
    prop_oneof![
        6 => (own.clone(), amount()).prop_map(|(own, charge)| Step::Take(own, charge)),
        2 => (own.clone(), amount()).prop_map(|(own, charge)| Step::TakeUpTo(own, charge)),
        2 => amount().prop_map(Step::Sweep),
        4 => own.clone().prop_map(Step::GiveOldest),
        4 => (own.clone(), 0..40_u64).prop_map(|(own, part)| Step::GivePart(own, part)),
        2 => amount().prop_map(Step::SetCapacity),
        2 => (own, amount()).prop_map(|(by, charge)| Step::Evict { by, charge }),
    ]
}

struct Run {
    ledger: Ledger,
    stripes: [Stripe; 3],
    /// Charges of linked entries.
    linked: Vec<u64>,
    capacity: u64,
    limit: u128,
}

impl Run {
    fn linked(&self) -> u128 {
        self.linked.iter().copied().map(u128::from).sum()
    }

    fn free(&self) -> u128 {
        let credits = self.stripes.iter().map(|stripe| u128::from(stripe.credit()));
        u128::from(self.ledger.pooled()) + credits.sum::<u128>()
    }

    fn apply(&mut self, step: Step) {
        let free = self.free();
        match step {
            Step::Take(own, charge) => {
                let near = self.stripes[own].credit() as u128 + self.ledger.pooled() as u128;
                let took = take(&self.ledger, &self.stripes[own], charge);
                assert_eq!(took, near >= u128::from(charge));
                self.linked.extend(took.then_some(charge));
            }
            Step::TakeUpTo(own, charge) => {
                let near = self.stripes[own].credit() as u128 + self.ledger.pooled() as u128;
                let part = self.ledger.take_up_to(&self.stripes[own], charge);
                assert_eq!(u128::from(part), near.min(u128::from(charge)));
                self.linked.push(part);
            }
            Step::Sweep(wanted) => {
                let credits = free - u128::from(self.ledger.pooled());
                let part = self.ledger.steal(&self.stripes, wanted);
                assert_eq!(u128::from(part), credits.min(u128::from(wanted)));
                self.linked.push(part);
            }
            Step::GiveOldest(own) => {
                if !self.linked.is_empty() {
                    let charge = self.linked.remove(0);
                    self.give(own, charge);
                }
            }
            Step::GivePart(own, part) => {
                if let Some(charge) = self.linked.last_mut() {
                    let part = part.min(*charge);
                    *charge -= part;
                    self.give(own, part);
                }
            }
            Step::SetCapacity(capacity) => {
                self.ledger.set_capacity(capacity, &self.stripes);
                self.capacity = capacity;
                self.limit = u128::from(capacity).max(self.linked());
            }
            Step::Evict { by, charge } => self.evict(by, charge),
        }
    }

    fn give(&mut self, own: usize, charge: u64) {
        self.ledger.give(&self.stripes[own], charge);
        self.pay(charge);
    }

    fn pay(&mut self, charge: u64) {
        let debt = self.limit.saturating_sub(u128::from(self.capacity));
        self.limit -= debt.min(u128::from(charge));
    }

    /// Links `charge` if free room and victims, oldest first, suffice.
    fn evict(&mut self, by: usize, charge: u64) {
        let mut reservation = self.ledger.reserve_up_to(&self.stripes[by], charge);
        while !reservation.gather(charge, &self.stripes) && !self.linked.is_empty() {
            reservation.add(self.linked.remove(0));
        }
        let held = reservation.held;
        if held >= charge {
            reservation.commit(charge);
            self.linked.push(charge);
            self.pay(held - charge);
        } else {
            drop(reservation);
            self.pay(held);
        }
    }

    fn check(&self) {
        let (linked, free) = (self.linked(), self.free());
        assert_eq!(u128::from(self.ledger.limit()), self.limit);
        assert_eq!(u128::from(self.ledger.free(&self.stripes)), free);
        let debt = self.limit.saturating_sub(u128::from(self.capacity));
        assert_eq!(u128::from(self.ledger.debt()), debt);
        self.ledger.audit(&self.stripes, u64::try_from(linked).expect("within the limit"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn capacity_is_conserved_after_every_step(capacity in amount(), steps in vec(step(), 1..80)) {
        let mut run = Run {
            ledger: Ledger::striped(capacity, GENEROUS),
            stripes: [Stripe::new(), Stripe::new(), Stripe::new()],
            linked: Vec::new(),
            capacity,
            limit: u128::from(capacity),
        };
        for step in steps {
            run.apply(step);
            run.check();
        }
    }
}
