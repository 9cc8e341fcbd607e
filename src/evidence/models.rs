use loom::thread;

use super::{Evidence, ReadEvent};
use crate::sync::lock;
use loom::sync::{Arc, Mutex};

/// Events of two rounds come out once each, in their order, and none that was not put in.
#[test]
fn a_collector_takes_each_event_once() {
    loom::model(|| {
        let evidence = Arc::new(Evidence::default());
        evidence.collect(|_| panic!("nothing was told"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let owner = {
            let evidence = Arc::clone(&evidence);
            thread::spawn(move || {
                for nth in 1..=4_u64 {
                    evidence.note_miss(nth << 16);
                }
            })
        };
        for _ in 0..2 {
            evidence.collect(|event| lock(&told).push(event));
        }
        owner.join().expect("it does not panic");
        evidence.collect(|event| lock(&told).push(event));
        let told = std::mem::take(&mut *lock(&told));
        assert!(
            told.iter().all(|event| event.is_miss() && (1..=4).contains(&(event.hash() >> 16)))
        );
        assert!(told.is_sorted_by(|a: &ReadEvent, b| a.hash() < b.hash()), "{told:?}");
        assert!(told.len() >= 2, "the first two had room: {told:?}");
    });
}
