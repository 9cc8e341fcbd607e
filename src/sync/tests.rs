use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use super::{Patrol, discard, quietly, wake_all};

/// No wait takes so long unless it never ends.
const FOR_EVER: Duration = Duration::from_secs(60);

/// Panics when it is dropped, with another one.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Bomb(self.0 - 1));
        }
    }
}

#[test]
fn what_a_panic_brings_goes_without_another_one() {
    for depth in 0..3 {
        assert_eq!(quietly(|| panic_any(Bomb(depth))), None::<()>);
    }
    assert_eq!(quietly(|| 5), Some(5));
}

#[test]
fn a_patrol_goes_on_whatever_its_rounds_bring() {
    let (told, rounds) = mpsc::channel();
    let patrol = Patrol::start("clockhand-test", Duration::ZERO, move || {
        told.send(()).ok()?;
        panic_any(Bomb(1))
    });
    for _ in 0..5 {
        rounds.recv_timeout(FOR_EVER).expect("it has ended");
    }
    drop((rounds, patrol));
}

#[test]
fn every_waker_is_called_whatever_the_others_bring() {
    struct Trap(mpsc::Sender<thread::ThreadId>);
    impl Wake for Trap {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(thread::current().id());
            panic_any(Bomb(1));
        }
    }
    let (told, calls) = mpsc::channel();
    let wakers = (0..3).map(|_| Waker::from(Arc::new(Trap(told.clone()))));
    let woken = catch_unwind(AssertUnwindSafe(|| wake_all(wakers)));
    let first = woken.expect("none of them is passed on by chance");
    discard(first.expect_err("the first one is, for the caller to do as it likes"));
    drop(told);
    assert_eq!(calls.iter().count(), 3);
}
