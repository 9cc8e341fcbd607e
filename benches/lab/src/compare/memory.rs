//! Resident memory of a full cache, each measured in a process of its own.

use std::env;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::goal::Goal;
use super::question::{About, Contender, Group, Question, Unit};
use crate::failure::Failure;
use crate::peers::{Hashers, Peer, Resident};

/// A full cache, everything included.
pub(super) struct Memory {
    hashers: Hashers,
    entries: u64,
}

impl Memory {
    pub(super) fn new(hashers: Hashers, entries: u64) -> Self {
        Self { hashers, entries }
    }
}

impl Question for Memory {
    fn abouts(&self) -> Vec<About> {
        let (group, unit) = (Group::Memory, Unit::Memory);
        let title = format!("resident memory, {} u64 entries", self.entries);
        let goals = &[("clockhand get", Goal::Within(72.0))];
        vec![About { group, title, measure: "resident".into(), threads: 1, unit, goals }]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        let &Self { hashers, entries } = self;
        let held = Arc::new(AtomicU64::new(entries));
        let counted = Arc::clone(&held);
        let turn = move || {
            let resident = in_a_process(hashers, P::NAME, entries)?;
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

fn in_a_process(hashers: Hashers, peer: &str, entries: u64) -> Result<Resident, Failure> {
    let child = env::current_exe().and_then(|lab| {
        Command::new(lab)
            .args(["resident", &hashers.to_string(), peer, &entries.to_string()])
            .stderr(Stdio::inherit())
            .output()
    });
    let child = child.map_err(Failure::machine("cannot start a process"))?;
    serde_json::from_slice(&child.stdout).map_err(|_| {
        Failure::Broken(format!("the process that fills {peer} failed ({})", child.status))
    })
}
