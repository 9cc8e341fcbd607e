//! How far a cache exceeds its bound while threads insert values of random sizes; each is measured in
//! a process of its own, whose allocator counts the values.

use std::cell::Cell;
use std::rc::Rc;

use super::child;
use super::goal::{Goal, PeerGoal};
use super::question::{Contender, Measurement, Question};
use super::units::{Group, Unit};
use crate::heap::BLOCK;
use crate::peers::{self, EXCESS_THREADS, Hashers, MOST_BLOCKS, Peer, Weigh};

/// Bytes; some two thousand values.
const CAPACITY: u64 = 64 << 20;

/// A full cache that threads insert into, all at once.
pub(super) struct Excess {
    hashers: Hashers,
}

impl Excess {
    pub(super) fn new(hashers: Hashers) -> Self {
        Self { hashers }
    }
}

impl Question for Excess {
    fn measurements(&self) -> Vec<Measurement> {
        let (least, most) = (BLOCK, MOST_BLOCKS * BLOCK);
        let title = format!("values of {least} to {most} bytes, capacity {CAPACITY} bytes");
        let zero: &[PeerGoal] = &[("clockhand get", Goal::Within(0.0))];
        let measurement = |measure: &str, goals| Measurement {
            group: Group::Memory,
            title: title.clone(),
            measure: measure.into(),
            threads: EXCESS_THREADS,
            unit: Unit::Excess,
            goals,
        };
        vec![measurement("beyond the bound", zero), measurement("beyond the capacity", &[])]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        if !<P::Weighing<u32> as Weigh<u32>>::WEIGHS {
            return None;
        }
        let hashers = self.hashers;
        let last = Rc::new(Cell::new(None::<peers::Excess>));
        let seen = Rc::clone(&last);
        let turn = move || {
            let (hashers, capacity) = (hashers.to_string(), CAPACITY.to_string());
            let excess = child::measure::<peers::Excess>(&["excess", &hashers, P::NAME, &capacity]);
            let excess = excess?;
            seen.set(Some(excess));
            Ok([excess.over_bound(), excess.over_capacity()].map(|bytes| bytes as f64).to_vec())
        };
        let remark = move || {
            let peers::Excess { capacity, retired_capacity, in_hand, peak, refusals } =
                last.get()?;
            let retired_capacity = match retired_capacity {
                0 => String::new(),
                retired_capacity => format!(", {retired_capacity} of retired capacity"),
            };
            Some(format!(
                "values took {peak} bytes at most; the bound is {capacity}{retired_capacity}, and {in_hand} \
                 in the threads' hands; refused {refusals} insertions"
            ))
        };
        Some(Contender::new::<P>(turn, remark))
    }
}
