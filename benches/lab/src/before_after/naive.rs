//! Before: a map in which every step is under a lock, and no operation is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::System;
use super::page::{Page, Pages};
use crate::clients::Answer;
use crate::races::step;

/// What stands between the check and the act: a look at a configuration, a counter, a log.
const ELSEWHERE: Duration = Duration::from_micros(50);

pub(super) struct Naive {
    source: Arc<Pages>,
    capacity: u64,
    life: Duration,
    pages: Mutex<HashMap<u64, (Arc<Page>, Instant)>>,
    used: Mutex<u64>,
}

impl Naive {
    pub(super) fn new(source: Arc<Pages>, capacity: u64, life: Duration) -> Self {
        Self { source, capacity, life, pages: Mutex::default(), used: Mutex::new(0) }
    }

    /// Checks, then acts: what was found live may be gone.
    fn found(&self, key: u64) -> Option<Answer> {
        let live = |(_, since): &(Arc<Page>, Instant)| since.elapsed() < self.life;
        if !step(&self.pages).get(&key).is_some_and(live) {
            return None;
        }
        thread::sleep(ELSEWHERE);
        let gone = step(&self.pages).get(&key).is_none();
        Some(if gone { Answer::Failed } else { Answer::Hit })
    }

    /// Reckons with a sum that was right before the load.
    fn put(&self, key: u64, page: Arc<Page>, mut used: u64) {
        while used + page.size() > self.capacity {
            let mut pages = step(&self.pages);
            let oldest = pages.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key);
            let Some((victim, _)) = oldest.and_then(|oldest| pages.remove(&oldest)) else { break };
            used = used.saturating_sub(victim.size());
        }
        used += page.size();
        let old = step(&self.pages).insert(key, (page, Instant::now()));
        *step(&self.used) = used.saturating_sub(old.map_or(0, |(old, _)| old.size()));
    }
}

impl System for Naive {
    fn ask(&self, key: u64) -> Answer {
        if let Some(answer) = self.found(key) {
            return answer;
        }
        let used = *step(&self.used);
        match self.source.load(key) {
            Ok(page) => {
                self.put(key, page, used);
                Answer::Loaded
            }
            Err(_) => Answer::Failed,
        }
    }
}
