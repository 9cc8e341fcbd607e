//! A model of the hand. Run with `--cfg clockhand_loom`.

use std::sync::Arc;

use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::Place;
use super::hand::Hand;
use crate::sync::Ordering;

#[test]
fn a_step_belongs_to_one_evictor() {
    loom::model(|| {
        let hand = Arc::new(Hand::new());
        let steps: Arc<[AtomicUsize; 4]> = Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
        let evictor = |hand: &Hand, steps: &[AtomicUsize; 4]| {
            for _ in 0..2 {
                let from = hand.at();
                if hand.advance(from, Place(from.0 + 1), 1) {
                    steps[from.0 as usize].fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let (theirs, counts) = (Arc::clone(&hand), Arc::clone(&steps));
        let other = thread::spawn(move || evictor(&theirs, &counts));
        evictor(&hand, &steps);
        other.join().unwrap();
        let taken: Vec<_> = steps.iter().map(|step| step.load(Ordering::Relaxed)).collect();
        assert!(taken.iter().all(|&times| times <= 1), "a step that two took: {taken:?}");
        assert_eq!(taken.iter().sum::<usize>() as u64, hand.at().0, "a step that nobody took");
    });
}
