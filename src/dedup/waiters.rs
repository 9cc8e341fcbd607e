//! Those who wait for a claim to end.
//!
//! Nobody comes here unless somebody waits: a waiter enters itself, and then sets JOINED in the id's
//! word. Whoever ends the claim sees that bit in the word that it exchanged, and wakes. If the claim
//! ended before the bit could be set, the waiter sees it and does not wait.

use std::task::Waker;

use crate::sync::{Mutex, MutexGuard, lock, unique, wake_all};

/// Waiters of different ids seldom meet.
const SHARDS: usize = 16;

#[derive(Debug)]
struct Waiter {
    hash: u64,
    number: u64,
    waker: Waker,
}

/// The waiters, by the hashes of the ids that they wait for.
#[derive(Debug, Default)]
pub(super) struct Waiters([Mutex<Vec<Waiter>>; SHARDS]);

impl Waiters {
    fn shard(&self, hash: u64) -> MutexGuard<'_, Vec<Waiter>> {
        lock(&self.0[(hash >> 32) as usize % SHARDS])
    }

    /// Enters a waiter, which is to call [`leave`](Self::leave) in any case.
    pub(super) fn enter(&self, hash: u64, waker: &Waker) -> u64 {
        let (number, waker) = (unique(), waker.clone());
        self.shard(hash).push(Waiter { hash, number, waker });
        number
    }

    /// Takes a waiter out, if it is still there.
    pub(super) fn leave(&self, hash: u64, number: u64) {
        let mut shard = self.shard(hash);
        let at = shard.iter().position(|waiter| waiter.number == number);
        let gone = at.map(|at| shard.swap_remove(at));
        // The waker's destructor is user code.
        drop(shard);
        drop(gone);
    }

    /// Wakes those who wait for an id of this hash.
    pub(super) fn wake(&self, hash: u64) {
        let woken = self.shard(hash).extract_if(.., |waiter| waiter.hash == hash).collect();
        wake_each(woken);
    }

    /// Wakes everybody, to look again.
    pub(super) fn wake_all(&self) {
        for shard in &self.0 {
            let woken = std::mem::take(&mut *lock(shard));
            wake_each(woken);
        }
    }
}

/// Wakes them, with no lock held. A waker that panics is no concern of whoever ended the claim.
fn wake_each(woken: Vec<Waiter>) {
    let _ = wake_all(woken.into_iter().map(|waiter| waiter.waker));
}
