//! Insert churn: the cache is full and every key is new, so every insert evicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::goal::{Goal, Rival};
use super::keys::scatter;
use super::question::{About, Contender, Question, refused};
use super::units::REFERENCE;
use crate::arena::{BATCH, Bell, rate, work_for};
use crate::peers::Peer;

const CAPACITY: u64 = 10_000;

/// Indices of one thread's keys, apart from those of the others.
const REALM: u64 = 1 << 48;

/// Every insert is of a new key into a full cache.
pub(super) struct Churn {
    threads: usize,
    time: Duration,
}

impl Churn {
    pub(super) fn new(threads: usize, time: Duration) -> Self {
        Self { threads, time }
    }
}

impl Question for Churn {
    fn abouts(&self) -> Vec<About> {
        let goals: &[_] = match self.threads {
            1 => &[("clockhand get", Goal::AtLeast(1.0, Rival::Named(REFERENCE)))],
            2 => &[("clockhand get", Goal::AtLeast(2.0, Rival::Named(REFERENCE)))],
            _ => &[],
        };
        let title = format!("insert churn, capacity {CAPACITY}");
        vec![About::throughput(title, self.threads, goals)]
    }

    fn enter<P: Peer>(&self) -> Option<Contender> {
        if !P::WRITES || !P::EVICTS {
            return None;
        }
        let &Self { threads, time } = self;
        let cache = Arc::new(P::with_capacity(CAPACITY));
        let own = threads as u64 * REALM;
        (own..own + 10 * CAPACITY).for_each(|index| cache.insert(scatter(index), index));
        let next = (0..threads as u64).map(|id| CachePadded::new(AtomicU64::new(id * REALM)));
        let next = next.collect::<Vec<_>>();
        let asked = Arc::clone(&cache);
        let turn = move || {
            let work = |id: usize, bell: &Bell| insert(&*cache, &next[id], bell);
            Ok(vec![rate(&work_for(time, threads, work)?, |inserts| *inserts)])
        };
        Some(Contender::new::<P>(turn, move || refused(&*asked)))
    }
}

/// How many inserts were done until the bell.
fn insert(cache: &impl Peer, next: &AtomicU64, bell: &Bell) -> u64 {
    let first = next.load(Ordering::Relaxed);
    let mut index = first;
    loop {
        for _ in 0..BATCH {
            cache.insert(scatter(index), index);
            index += 1;
        }
        if bell.rang() {
            break;
        }
    }
    next.store(index, Ordering::Relaxed);
    index - first
}
