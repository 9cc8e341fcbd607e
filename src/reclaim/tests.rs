use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use super::open_batch::OpenBatch;
use super::queue::{Batch, Queue, TURNED};
use super::{ChargedTo, Domain, GRACE, Reclaim, Retired};

/// Counts its drops.
struct Item(Arc<AtomicUsize>);

impl Drop for Item {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Reclaim for Item {
    fn birth(&self) -> u32 {
        0
    }
}

impl Reclaim for usize {
    fn birth(&self) -> u32 {
        0
    }
}

type Toy = Arc<Domain<Item, ()>>;

fn toy() -> (Toy, Arc<AtomicUsize>) {
    (Arc::new(Domain::new()), Arc::default())
}

fn retire(domain: &Toy, drops: &Arc<AtomicUsize>, count: usize) {
    let guard = domain.pin();
    for _ in 0..count {
        // SAFETY: no other thread has ever seen the item, and the thread is pinned.
        let item = unsafe { Retired::new(Item(Arc::clone(drops))) };
        guard.guard_ref().retire(item, ChargedTo::Retired);
    }
}

/// Collects until nothing more comes.
fn collect(domain: &Toy) -> usize {
    (0..=GRACE).map(|_| domain.collect((usize::MAX, |_| false), |item, _| drop(item)).freed).sum()
}

#[test]
fn items_are_freed_once_nobody_can_look_at_them() {
    let (domain, drops) = toy();
    retire(&domain, &drops, 100);
    assert_eq!((domain.backlog(), drops.load(Ordering::SeqCst)), (100, 0));
    assert_eq!(collect(&domain), 100);
    assert_eq!((domain.backlog(), drops.load(Ordering::SeqCst)), (0, 100));
    assert_eq!(collect(&domain), 0);
}

#[test]
fn who_gets_nothing_out_of_what_is_open_asks_for_no_batch() {
    let (open, drops) = (OpenBatch::new(), Arc::default());
    let put = || {
        // SAFETY: no other thread has ever seen the item, and it is freed here.
        let item = unsafe { Retired::new(Item(Arc::clone(&drops))) };
        open.put((item, ChargedTo::Nowhere)).ok()
    };
    let refuse = || unreachable!("a batch that nobody fills");
    assert!(open.take(refuse).is_none(), "nothing is there");
    assert_eq!((put(), put()), (Some(1), Some(2)));
    let taken = open.take(|| {
        assert!(open.take(refuse).is_none(), "another is at it");
        Batch::new(2)
    });
    assert_eq!(taken.map(|batch| batch.items.len()), Some(2));
    assert!(open.take(refuse).is_none(), "all are gone");
    assert_eq!((put(), open.take(|| Batch::new(1)).is_some()), (Some(1), true));
}

#[test]
fn a_guard_holds_what_is_retired_after_it_was_made() {
    let (domain, drops) = toy();
    let (pinned, done) = (&Barrier::new(2), &Barrier::new(2));
    thread::scope(|scope| {
        let (domain, drops) = (&domain, &drops);
        scope.spawn(move || {
            let _guard = domain.pin();
            pinned.wait();
            done.wait();
        });
        pinned.wait();
        retire(domain, drops, 10);
        assert_eq!((collect(domain), domain.reclamation_lag()), (0, 1));
        done.wait();
    });
    assert_eq!((collect(&domain), domain.reclamation_lag()), (10, 0));
}

#[test]
fn a_nested_guard_holds_until_the_outer_one_is_gone() {
    let (domain, drops) = toy();
    let outer = domain.pin();
    let mut inner = domain.pin();
    retire(&domain, &drops, 1);
    inner.repin();
    assert_eq!(collect(&domain), 0, "renewing an inner guard does nothing");
    drop(inner);
    assert_eq!(collect(&domain), 0);
    drop(outer);
    assert_eq!(collect(&domain), 1);
}

#[test]
fn guards_may_be_dropped_in_any_order() {
    let (domain, drops) = toy();
    let (first, second) = (domain.pin(), domain.pin());
    drop(first);
    retire(&domain, &drops, 1);
    assert_eq!(collect(&domain), 0);
    drop(second);
    assert_eq!(collect(&domain), 1);
}

#[test]
fn an_owned_guard_holds_until_it_is_renewed_or_parked() {
    let (domain, drops) = toy();
    let mut owned_guard = domain.owned_guard();
    retire(&domain, &drops, 1);
    assert_eq!(collect(&domain), 1, "not pinned before its first use");
    owned_guard.guard_ref();
    retire(&domain, &drops, 1);
    assert_eq!(collect(&domain), 0);
    let freed: usize = (0..=GRACE)
        .map(|_| {
            owned_guard.guard_ref();
            domain.collect((usize::MAX, |_| false), |item, _| drop(item)).freed
        })
        .sum();
    assert_eq!(freed, 1, "it moves on with each use");
    owned_guard.guard_ref();
    retire(&domain, &drops, 1);
    owned_guard.park();
    assert_eq!(collect(&domain), 1);
    owned_guard.guard_ref();
    retire(&domain, &drops, 1);
    drop(owned_guard);
    assert_eq!(collect(&domain), 1);
}

#[test]
fn a_budget_is_kept() {
    let (domain, drops) = toy();
    retire(&domain, &drops, 100);
    while !(0..=GRACE).all(|_| domain.collect((0, |_| false), |item, _| drop(item)).freed > 0) {
        if domain.collect((7, |_| false), |item, _| drop(item)).freed > 0 {
            break;
        }
    }
    let freed = drops.load(Ordering::SeqCst);
    assert!(freed > 0 && freed <= 7, "{freed} freed");
    assert_eq!(domain.backlog(), 100 - freed);
    assert_eq!(collect(&domain), 100 - freed);
}

/// What waits for a reader that sleeps is put in order once, however often another thread looks whether it is ripe.
#[test]
fn a_backlog_is_not_gone_through_again() {
    const ITEMS: usize = 10_000;
    let (domain, drops) = toy();
    let mut owned_guard = domain.owned_guard();
    owned_guard.guard_ref();
    let before = TURNED.get();
    for _ in 0..ITEMS {
        retire(&domain, &drops, 1);
        domain.pin().close((16, |_| false), |_| |item, _| drop(item));
    }
    assert_eq!(drops.load(Ordering::SeqCst), 0, "a reader may be looking");
    let turned = TURNED.get() - before;
    assert!(turned > 0 && turned <= ITEMS, "{turned} batches were looked at");
    drop(owned_guard);
    // At the end, too, each look is for what it frees.
    while domain.backlog() > 0 {
        domain.collect((16, |_| false), |item, _| drop(item));
    }
    let turned = TURNED.get() - before;
    assert!(turned <= ITEMS, "{turned} batches were looked at");
    assert_eq!(drops.load(Ordering::SeqCst), ITEMS);
}

/// Whatever the number of items is that a thread retires between two of its looks.
#[test]
fn ripe_items_are_looked_for_however_many_are_retired_at_a_time() {
    for (first, step) in [(1, 2), (0, 1), (3, 5), (0, 7), (5, 8), (1, 64)] {
        let (domain, drops) = toy();
        retire(&domain, &drops, first);
        for _ in 0..200 {
            let before = domain.backlog();
            retire(&domain, &drops, step);
            domain.pin().close((2 * step.max(16), |_| false), |_| |item, _| drop(item));
            assert!(domain.backlog() <= before + step);
        }
        // What is open, and what is not ripe yet.
        let left = domain.backlog();
        assert!(left <= 32 + 4 * (8 + step) + 32, "{left} of {}, {step} at a time", 200 * step);
    }
}

#[test]
fn batches_that_meet_are_put_in_order() {
    fn queue(tags: &[u64]) -> Queue<u64> {
        let mut queue = Queue::default();
        for &tag in tags {
            let mut batch = Batch::new(1);
            batch.seal.tag = tag;
            queue.push(batch);
        }
        queue
    }
    let tags = |mut queue: Queue<u64>| -> Vec<u64> {
        std::iter::from_fn(|| queue.pop()).map(|batch| batch.seal.tag).collect()
    };
    let lists: [&[u64]; 8] =
        [&[], &[5], &[5, 7], &[6, 6, 6], &[1, 2, 9], &[5, 5, 8, 9, 9], &[9], &[1, 1]];
    for these in lists {
        for those in lists {
            let mut joined = queue(these);
            joined.join(queue(those));
            let mut both = [these, those].concat();
            both.sort_unstable();
            // Given up and taken again, and put behind: its end is where it should be.
            // SAFETY: given up just now.
            let mut joined = unsafe { Queue::of_queue(joined.into_first()) };
            joined.join(queue(&[10]));
            both.push(10);
            assert_eq!(tags(joined), both, "{these:?} and {those:?}");
        }
        // As a stack: pushed one by one, maybe late.
        let mut top = std::ptr::null_mut();
        for &tag in these {
            let mut batch = Batch::new(1);
            (batch.seal.tag, batch.next) = (tag, top);
            top = Box::into_raw(batch);
        }
        // SAFETY: made from boxes above.
        assert_eq!(tags(unsafe { Queue::of_stack(top) }), these);
        let mut top = std::ptr::null_mut();
        for &tag in these.iter().rev() {
            let mut batch = Batch::new(1);
            (batch.seal.tag, batch.next) = (tag, top);
            top = Box::into_raw(batch);
        }
        // SAFETY: as above.
        assert_eq!(tags(unsafe { Queue::of_stack(top) }), these);
    }
}

/// Another thread finds, while a destructor runs, what the collection that called it does not need.
#[test]
fn a_collection_leaves_to_others_what_it_will_not_free() {
    let (domain, drops) = toy();
    retire(&domain, &drops, 320);
    let mut inner = 0;
    let mut outer = 0;
    while outer == 0 {
        outer = domain
            .collect((1, |_| false), |item, _| {
                drop(item);
                let other = || domain.collect((1_000, |_| false), |item, _| drop(item)).freed;
                inner += thread::scope(|scope| scope.spawn(other).join().expect("no panic"));
            })
            .freed;
    }
    assert!(inner >= 320 - 32, "{inner} were within reach");
    assert_eq!(inner + outer + collect(&domain), 320);
}

/// R6, for a destructor that collects, one that writes, and one that goes through another domain.
#[test]
fn a_thread_that_is_freeing_frees_nothing_inside() {
    const ITEMS: usize = 320;
    let ((domain, drops), (other, theirs)) = (toy(), toy());
    retire(&domain, &drops, ITEMS);
    retire(&other, &theirs, ITEMS);
    let before = || drops.load(Ordering::SeqCst) + theirs.load(Ordering::SeqCst);
    let mut freed = 0;
    while freed < ITEMS {
        freed += domain
            .collect((7, |_| false), |item, _| {
                drop(item);
                let now = before();
                for domain in [&domain, &other] {
                    assert_eq!(collect(domain), 0);
                    retire(domain, &drops, 9);
                    domain.pin().close((100, |_| false), |_| |item, _| drop(item));
                }
                assert_eq!(before(), now, "freed inside");
            })
            .freed;
    }
    // Nothing was forgotten: a write is due, and finds what the ones inside have left.
    let now = theirs.load(Ordering::SeqCst);
    for _ in 0..=GRACE {
        retire(&other, &drops, 8);
        other.pin().close((100, |_| false), |_| |item, _| drop(item));
    }
    assert!(theirs.load(Ordering::SeqCst) > now, "the write that was not inside frees");
    while domain.backlog() + other.backlog() > 0 {
        collect(&domain);
        collect(&other);
    }
}

/// A destructor that panics leaves its thread as it was.
#[test]
fn a_thread_whose_destructor_panicked_frees_again() {
    let (domain, drops) = toy();
    retire(&domain, &drops, 100);
    while catch_unwind(AssertUnwindSafe(|| {
        domain.collect((9, |_| false), |_, _| panic!("a destructor"))
    }))
    .is_ok()
    {}
    assert_eq!(collect(&domain), 99);
    retire(&domain, &drops, 100);
    let close = || domain.pin().close((9, |_| false), |_| |_, _| panic!("a destructor"));
    while catch_unwind(AssertUnwindSafe(close)).is_ok() {
        retire(&domain, &drops, 8);
    }
    assert!(collect(&domain) > 0);
    assert_eq!(domain.backlog(), 0);
}

#[test]
fn what_was_retired_first_is_freed_first() {
    let domain: Arc<Domain<usize, ()>> = Arc::new(Domain::new());
    for nth in 0..1_000 {
        // SAFETY: a number.
        domain.pin().guard_ref().retire(unsafe { Retired::new(nth) }, ChargedTo::Nowhere);
    }
    let mut freed = Vec::new();
    while domain.backlog() > 0 {
        domain.collect((100, |_| false), |nth, _| freed.push(nth));
    }
    // Within a batch in any order.
    let late = freed.iter().enumerate().filter(|&(at, &nth)| nth > at + 32).count();
    assert_eq!((freed.len(), late), (1_000, 0));
}

#[test]
fn the_account_comes_back_with_the_item() {
    let (domain, drops) = toy();
    let charged_to_each = [ChargedTo::Retired, ChargedTo::Capacity, ChargedTo::Nowhere];
    for charged_to in charged_to_each {
        let guard = domain.pin();
        // SAFETY: as in `retire`.
        let item = unsafe { Retired::new(Item(Arc::clone(&drops))) };
        guard.guard_ref().retire(item, charged_to);
    }
    let mut seen = Vec::new();
    for _ in 0..=GRACE {
        domain.collect((10, |_| false), |_, charged_to| seen.push(charged_to));
    }
    assert_eq!(seen.len(), 3);
    assert!(charged_to_each.iter().all(|charged_to| seen.contains(charged_to)));
}

#[test]
fn a_panic_in_the_sink_loses_no_other_item() {
    let (domain, drops) = toy();
    retire(&domain, &drops, 100);
    let mut panics = 0;
    while domain.backlog() > 0 {
        let collect =
            || domain.collect((usize::MAX, |_| false), |_item, _| panic!("a destructor panics"));
        panics += usize::from(catch_unwind(AssertUnwindSafe(collect)).is_err());
    }
    assert_eq!((panics, drops.load(Ordering::SeqCst)), (100, 100));
}

/// The destructor that panics has collected before, and has seen that nothing else is ripe.
#[test]
fn what_a_panic_leaves_is_found_though_the_epoch_stands_still() {
    let (domain, drops) = toy();
    retire(&domain, &drops, 20);
    domain.collect((0, |_| false), |item, _| drop(item));
    (2..GRACE + 1).for_each(|_| assert!(domain.advance()));
    // Lets the epoch move once more, and no further.
    let guard = domain.pin();
    let collect = || {
        domain.collect((usize::MAX, |_| false), |_item, _| {
            let other = || {
                domain
                    .collect((usize::MAX, |_| false), |_item, _| unreachable!("all are in a hand"))
            };
            thread::scope(|scope| scope.spawn(|| other().freed).join().expect("no panic"));
            panic!("a destructor panics");
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(collect)).is_err());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    let freed = domain.collect((usize::MAX, |_| false), |item, _| drop(item)).freed;
    assert_eq!((freed, drops.load(Ordering::SeqCst)), (19, 20));
    drop(guard);
}

#[test]
fn a_domain_that_is_dropped_frees_everything() {
    let (domain, drops) = toy();
    let theirs = Arc::clone(&domain);
    // On a thread that ends, or the thread's handle list would keep the domain.
    let (garbage, counter) = (Arc::clone(&drops), Arc::clone(&drops));
    thread::spawn(move || retire(&theirs, &garbage, 50)).join().expect("no panic");
    drop(domain);
    assert_eq!(counter.load(Ordering::SeqCst), 50);
}

#[test]
fn participants_are_used_again() {
    let (domain, drops) = toy();
    for _ in 0..100 {
        // Joined, as a scope's end does not wait for the thread's own destructors.
        thread::scope(|scope| scope.spawn(|| retire(&domain, &drops, 1)).join().expect("no panic"));
    }
    assert_eq!(domain.participant_count(), 1);
    let owned_guards: Vec<_> = (0..5).map(|_| domain.owned_guard()).collect();
    assert_eq!(domain.participant_count(), 5);
    drop(owned_guards);
    domain.pin();
    domain.owned_guard();
    assert_eq!(domain.participant_count(), 5);
    assert_eq!(collect(&domain), 100, "what ended threads have retired");
}

#[test]
fn many_domains_may_be_used_in_turn() {
    let domains: Vec<_> = (0..20).map(|_| toy()).collect();
    for _ in 0..3 {
        domains.iter().for_each(|(domain, drops)| retire(domain, drops, 2));
    }
    for (domain, drops) in &domains {
        assert_eq!((domain.participant_count(), collect(domain)), (1, 6));
        assert_eq!(drops.load(Ordering::SeqCst), 6);
    }
}

#[test]
fn handles_of_closed_domains_are_forgotten() {
    let work = || {
        let (old, _) = toy();
        drop(old.pin());
        old.close();
        let weak = Arc::downgrade(&old);
        drop(old);
        let (new, _) = toy();
        drop(new.pin());
        assert!(weak.upgrade().is_none(), "the next new domain sweeps the roster");
    };
    thread::spawn(work).join().expect("no panic");
}

#[test]
fn a_thread_that_ends_may_pin_to_the_last() {
    thread_local! {
        static LAST: RefCell<Option<Farewell>> = const { RefCell::new(None) };
    }
    struct Farewell(Toy, Arc<AtomicUsize>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            retire(&self.0, &self.1, 3);
        }
    }
    let (domain, drops) = toy();
    let (theirs, garbage) = (Arc::clone(&domain), Arc::clone(&drops));
    let work = move || {
        // Made before the handle list, so it is dropped after it.
        LAST.with(|last| *last.borrow_mut() = Some(Farewell(Arc::clone(&theirs), garbage)));
        drop(theirs.pin());
    };
    thread::spawn(work).join().expect("no panic");
    assert_eq!(collect(&domain), 3);
}

/// Readers follow a pointer that a writer exchanges; what it led to before is retired. No reader
/// may find it freed.
#[test]
fn nobody_reads_what_was_freed() {
    struct Cell {
        freed: AtomicBool,
    }
    impl Reclaim for Box<Cell> {
        fn birth(&self) -> u32 {
            0
        }
    }
    impl Drop for Cell {
        fn drop(&mut self) {
            self.freed.store(true, Ordering::SeqCst);
        }
    }
    let domain: Arc<Domain<Box<Cell>, ()>> = Arc::new(Domain::new());
    let fresh = || Box::into_raw(Box::new(Cell { freed: AtomicBool::new(false) }));
    let shared = std::sync::atomic::AtomicPtr::new(fresh());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for nth in 0..2 {
            let (domain, shared, over) = (&domain, &shared, &over);
            scope.spawn(move || {
                let mut owned_guard = domain.owned_guard();
                while !over.load(Ordering::Relaxed) {
                    let guard = (nth == 0).then(|| domain.pin());
                    let _pass = (nth == 1).then(|| owned_guard.guard_ref());
                    for _ in 0..3 {
                        // SAFETY: pinned before the pointer is read, and it is retired before it is
                        // freed.
                        let cell = unsafe { &*shared.load(Ordering::Acquire) };
                        assert!(!cell.freed.load(Ordering::SeqCst), "read after it was freed");
                    }
                    drop(guard);
                }
            });
        }
        for _ in 0..20_000 {
            let guard = domain.pin();
            let old = shared.swap(fresh(), Ordering::AcqRel);
            // SAFETY: from a box, and out of every thread's reach.
            let old = unsafe { Box::from_raw(old) };
            // SAFETY: taken out of reach by this thread, which is pinned.
            guard.guard_ref().retire(unsafe { Retired::new(old) }, ChargedTo::Nowhere);
            guard.close((8, |_| false), |_| |item, _| drop(item));
        }
        over.store(true, Ordering::Relaxed);
    });
    // SAFETY: from a box, and no other thread is here any more.
    drop(unsafe { Box::from_raw(shared.into_inner()) });
}

#[test]
fn a_guard_too_many_is_a_panic_and_the_others_still_protect() {
    let (domain, drops) = toy();
    let held = domain.pin();
    let pin = || std::mem::forget(domain.pin());
    let forgotten = catch_unwind(AssertUnwindSafe(|| {
        (0..2_000).for_each(|_| pin());
    }));
    assert!(forgotten.is_err(), "the limit was passed");
    thread::scope(|scope| {
        scope.spawn(|| {
            retire(&domain, &drops, 3);
            (0..9).for_each(|_| _ = domain.collect((100, |_| false), |item, _| drop(item)));
        });
    });
    assert_eq!(drops.load(Ordering::Relaxed), 0, "freed under a guard");
    drop(held);
}
