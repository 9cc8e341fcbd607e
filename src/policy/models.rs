//! A model of the hand. Run with `--cfg clockhand_loom`.

use std::sync::Arc;

use loom::thread;

use super::hand::Hand;

#[test]
fn a_stretch_belongs_to_one_evictor() {
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
