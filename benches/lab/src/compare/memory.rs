//! Resident memory of a full cache, each measured in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::child;
use super::goal::{Goal, PeerGoal};
use super::question::{Contender, Measurement, Question};
use super::units::{Group, Unit};
use crate::peers::{Hashers, Peer, Resident, Size};

/// A full cache, everything included.
pub(super) struct Memory {
    hashers: Hashers,
    size: Size,
    entries: u64,
}

impl Memory {
    pub(super) fn new(hashers: Hashers, size: Size, entries: u64) -> Self {
        Self { hashers, size, entries }
    }
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
        let held = Arc::new(AtomicU64::new(entries));
        let counted = Arc::clone(&held);
        let turn = move || {
            let (hashers, entries) = (hashers.to_string(), entries.to_string());
            let arguments = ["resident", &hashers, P::NAME, size.name(), &entries];
            let resident = child::measure::<Resident>(&arguments)?;
            counted.store(resident.entries, Ordering::Relaxed);
            Ok(vec![resident.bytes as f64 / resident.entries as f64])
        };
        let remark = move || {
            let held = held.load(Ordering::Relaxed);
            (held < entries).then(|| format!("held {held} entries of {entries} put in"))
        };
        (P::WRITES && P::EVICTS).then(|| Contender::new::<P>(turn, remark))
    }
}
