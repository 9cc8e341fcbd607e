//! Resident memory of a full cache, and how far a cache exceeds its bound while threads insert values of random sizes. Each is
//! measured in a process of its own: nothing else has been allocated there, and its allocator counts the values.

use std::cell::Cell;
use std::env;
use std::process::{Command, Stdio};
use std::rc::Rc;

use serde::de::DeserializeOwned;

use super::goal::{Goal, PeerGoal};
use super::question::{Contender, Measurement, Question};
use super::units::{Group, Unit};
use crate::failure::Failure;
use crate::heap::BLOCK;
use crate::peers::{self, EXCESS_THREADS, Hashers, MOST_BLOCKS, Peer, Resident, Size};

/// Runs the lab again with these arguments, and returns the object that it printed.
fn measure<T: DeserializeOwned>(arguments: &[&str]) -> Result<T, Failure> {
    let child = env::current_exe()
        .and_then(|lab| Command::new(lab).args(arguments).stderr(Stdio::inherit()).output());
    let child = child.map_err(Failure::machine("cannot start a process"))?;
    serde_json::from_slice(&child.stdout).map_err(|_| {
        let run = arguments.join(" ");
        Failure::Broken(format!("the process that does `{run}` failed ({})", child.status))
    })
}

/// A full cache, everything included.
pub(super) struct Memory {
    pub(super) hashers: Hashers,
    pub(super) size: Size,
    pub(super) entries: u64,
}

impl Question for Memory {
    fn measurements(&self) -> Vec<Measurement> {
        let (group, unit) = (Group::Memory, Unit::Memory);
        let (what, goals): (_, &[PeerGoal]) = match self.size {
            Size::Narrow => ("u64 -> u64", &[("clockhand get", Goal::Within(72.0))]),
            Size::Wide => ("16 -> 100 bytes", &[]),
        };
        let title = format!("memory, {} entries, {what}", self.entries);
        vec![Measurement { group, title, measure: "resident".into(), threads: 1, unit, goals }]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let &Self { hashers, size, entries } = self;
        let held = Rc::new(Cell::new(entries));
        let counted = Rc::clone(&held);
        let turn = move || {
            let (hashers, entries) = (hashers.to_string(), entries.to_string());
            let arguments = ["resident", &hashers, P::NAME, size.name(), &entries];
            let resident = measure::<Resident>(&arguments)?;
            counted.set(resident.entries);
            Ok(vec![resident.bytes as f64 / resident.entries as f64])
        };
        let remark = move || {
            let held = held.get();
            (held < entries).then(|| format!("held {held} entries of {entries} put in"))
        };
        (P::WRITES && P::EVICTS).then(|| Contender::new::<P>(turn, remark))
    }
}

/// Bytes; some two thousand values.
const CAPACITY: u64 = 64 << 20;

/// A full cache that threads insert into, all at once.
pub(super) struct Excess {
    pub(super) hashers: Hashers,
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
        let hashers = self.hashers;
        let last = Rc::new(Cell::new(None::<peers::Excess>));
        let seen = Rc::clone(&last);
        let turn = move || {
            let (hashers, capacity) = (hashers.to_string(), CAPACITY.to_string());
            let excess = measure::<peers::Excess>(&["excess", &hashers, P::NAME, &capacity])?;
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
        (P::HEAVIEST > 0).then(|| Contender::new::<P>(turn, remark))
    }
}
