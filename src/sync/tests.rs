use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use super::{CacheLine, Holder, PeriodicThread, SpinLock, discard, quietly, wake_all};

/// No wait takes that long unless it never ends.
const FOREVER: Duration = Duration::from_secs(60);

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
fn a_periodic_thread_goes_on_after_a_panic() {
    let (told, rounds) = mpsc::channel();
    let thread = PeriodicThread::start("clockhand-test", Duration::ZERO, move || {
        told.send(()).ok()?;
        panic_any(Bomb(1))
    });
    for _ in 0..5 {
        rounds.recv_timeout(FOREVER).expect("it has ended");
    }
    drop((rounds, thread));
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

#[test]
fn a_lock_is_taken_from_who_was_left_behind_alone() {
    let lock = SpinLock::new(vec![1]);
    let mut taken = lock.try_lock().expect("nobody has it");
    assert!(lock.try_lock().is_none());
    lock.reset_after_fork(Holder::me(), Vec::new);
    assert!(lock.try_lock().is_none(), "the holder is here");
    taken.push(2);
    drop(taken);
    assert_eq!(*lock.lock(), [1, 2]);
    lock.reset_after_fork(Holder::me(), Vec::new);
    assert_eq!(*lock.lock(), [1, 2], "nobody had it");
    lock.leave_behind();
    assert!(lock.try_lock().is_none());
    lock.reset_after_fork(Holder::me(), || vec![3]);
    assert_eq!(*lock.lock(), [3]);
}

#[test]
fn sixteen_words_are_compared_as_one_by_one() {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 24) as u32
    };
    for _ in 0..10_000 {
        let line = CacheLine::new(0);
        let words: Vec<u32> = (0..16).map(|_| (next() % 30) << 16 | next() & 0xffff).collect();
        for (to, &word) in line.words().iter().zip(&words) {
            to.set(word);
        }
        let upper = next() as u16 % 30;
        let found = words.iter().find(|&&word| word >> 16 == u32::from(upper));
        assert_eq!(line.find(upper).map(|word| word.get()), found.copied());
        let number = next() as u16;
        let behind = |word: &&u32| number.wrapping_sub(**word as u16) >> 5;
        let furthest = words.iter().max_by_key(behind).expect("there are sixteen");
        assert_eq!(line.furthest_behind(number).get(), *furthest);
    }
}
