//! Models of the hand and of the probation FIFO. Run with `--cfg clockhand_loom`.

use std::sync::Arc;

use loom::thread;

use super::hand::Hand;
use super::probation_fifo::{LocalBatch, ProbationFifo};

#[test]
fn a_range_belongs_to_one_evictor() {
    loom::model(|| {
        let hand = Arc::new(Hand::new());
        let claim = |hand: &Hand| [hand.claim(1, 1).0, hand.claim(1, 1).0];
        let theirs = Arc::clone(&hand);
        let other = thread::spawn(move || claim(&theirs));
        let mut claimed = [claim(&hand), other.join().unwrap()].concat();
        claimed.sort_unstable();
        assert_eq!(claimed, [0, 1, 2, 3], "each stretch of the round, once");
    });
}

#[test]
fn a_name_is_taken_once() {
    loom::model(|| {
        let fifo = Arc::new(ProbationFifo::new(2));
        let add = |fifo: &ProbationFifo, nth: u64| {
            fifo.add(&LocalBatch::default(), nth << 40, nth);
        };
        add(&fifo, 1);
        let theirs = Arc::clone(&fifo);
        let other = thread::spawn(move || {
            add(&theirs, 2);
            theirs.take(&LocalBatch::default(), 3).collect::<Vec<_>>()
        });
        let own: Vec<u64> = fifo.take(&LocalBatch::default(), 3).collect();
        let theirs = other.join().unwrap();
        let rest: Vec<u64> = fifo.take(&LocalBatch::default(), 3).collect();
        let mut taken = [own, theirs, rest].concat();
        taken.sort_unstable();
        assert!(taken == [1 << 40, 2 << 40] || taken == [0, 1 << 40], "{taken:?}");
    });
}
