//! User code may use the cache that calls it: the bounds hold at every instant, and nothing is lost, whatever it does and
//! whether it panics after that.
//!
//! The matrix: for every kind of user code and every operation that may call it, another operation on the same cache
//! runs within the nth call. Each pair of operations is run at full size, one in a few otherwise.

use std::cell::Cell;
use std::rc::Rc;

use crate::panics::{
    CODES, Code, OPERATIONS, Operation, alive, armed_with, assert_sound, prepared,
};
use crate::support::{assert_bounds, is_full};
use clockhand::Maintenance;

/// Garbage has room, or has to be freed all the time.
const RETIRED: [u64; 2] = [1 << 20, 20];

/// One cell of the matrix; whether the code was called.
fn cell(
    (code, nth, panics): (Code, u32, bool),
    (outer, inner): (Operation, Operation),
    (maintenance, retired): (Maintenance, u64),
) -> bool {
    let before = alive();
    let (cache, manual) = prepared(maintenance, retired);
    let what = format!(
        "{} within call {nth} of {code:?} in {}, {maintenance:?}, {retired}, panics: {panics}",
        inner.0, outer.0
    );
    let called = Rc::new(Cell::new(false));
    let (own, told) = (cache.clone(), Rc::clone(&called));
    let within = move || {
        told.set(true);
        assert_bounds(&own);
        inner.1(&own);
        assert_bounds(&own);
        panics
    };
    let panicked = armed_with(code, nth, Box::new(within), || outer.1(&cache));
    assert_eq!(panicked, panics && called.get(), "the panic comes through: {what}");
    assert_bounds(&cache);
    assert_sound(&cache, &what);
    drop((cache, manual));
    assert_eq!(before, alive(), "keys and values before and after: {what}");
    called.get()
}

#[test]
fn whatever_user_code_does_with_the_cache_leaves_it_sound() {
    // The number of pairs is no multiple of it, so each pair has its turn with some code.
    let step = if is_full() { 1 } else { 37 };
    let pairs =
        OPERATIONS.iter().flat_map(|outer| OPERATIONS.iter().map(move |inner| (outer, inner)));
    let pairs: Vec<_> = pairs.collect();
    for (first, code) in CODES.into_iter().enumerate() {
        let mut calls = 0;
        for (nth_pair, &(&outer, &inner)) in pairs.iter().enumerate().skip(first).step_by(step) {
            let maintenance = [Maintenance::Inline, Maintenance::Manual][nth_pair / step % 2];
            for (nth, panics) in [(1, false), (1, true), (2, false), (3, true), (5, false)] {
                let retired = RETIRED[(nth_pair / step / 2 + nth as usize) % 2];
                if !cell((code, nth, panics), (outer, inner), (maintenance, retired)) {
                    break;
                }
                calls += 1;
            }
        }
        assert!(calls > 0, "{code:?} is never called");
    }
}
