//! Models of the epoch scheme. Run with `--cfg clockhand_loom`.

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use super::{ChargedTo, Domain, OwnedGuard, Reclaim, Retired};
use crate::sync::Ordering;

/// An item that notices when it is read while, or after, it is freed.
struct Item(Arc<Probe>);

struct Probe {
    freed: UnsafeCell<bool>,
    frees: AtomicUsize,
}

// SAFETY: the cell is what the model checks: a read and a write at the same time are reported.
unsafe impl Sync for Probe {}
// SAFETY: as above.
unsafe impl Send for Probe {}

impl Item {
    fn new() -> (Self, Arc<Probe>) {
        let probe = Arc::new(Probe { freed: UnsafeCell::new(false), frees: AtomicUsize::new(0) });
        (Self(Arc::clone(&probe)), probe)
    }
}

impl Probe {
    fn read(&self) {
        // SAFETY: checked by the model.
        self.freed.with(|freed| assert!(!unsafe { *freed }, "read after it was freed"));
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        // SAFETY: checked by the model.
        self.0.freed.with_mut(|freed| unsafe { *freed = true });
        self.0.frees.fetch_add(1, Ordering::Relaxed);
    }
}

impl Reclaim for Item {
    fn birth(&self) -> u32 {
        0
    }
}

struct World {
    domain: Arc<Domain<Item, ()>>,
    /// One while the item is linked.
    link: AtomicUsize,
    probe: Arc<Probe>,
}

impl World {
    fn new() -> (Arc<Self>, Item) {
        let (item, probe) = Item::new();
        let world = Self { domain: Arc::new(Domain::new()), link: AtomicUsize::new(1), probe };
        (Arc::new(world), item)
    }

    fn follow(&self) {
        if self.link.load(Ordering::Acquire) == 1 {
            self.probe.read();
        }
    }

    fn unlink(&self, item: Item) {
        let guard = self.domain.pin_transient();
        self.link.store(0, Ordering::Release);
        // SAFETY: unlinked under a guard, by this thread alone.
        let retired = unsafe { Retired::new(item) };
        guard.guard_ref().retire(retired, ChargedTo::Nowhere);
    }

    fn collect(&self, rounds: usize) {
        for _ in 0..rounds {
            self.domain.collect((usize::MAX, |_| false), |item, _| drop(item));
        }
    }
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    model_of(2, f);
}

fn model_of(preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

#[test]
fn a_pinned_reader_keeps_what_it_reads() {
    model(|| {
        let (world, item) = World::new();
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let _guard = world.domain.pin_transient();
                world.follow();
            })
        };
        world.unlink(item);
        world.collect(4);
        reader.join().unwrap();
        world.collect(4);
        assert_eq!(world.probe.frees.load(Ordering::Relaxed), 1);
    });
}

/// The advance that the reader follows knows nothing of the unlink, so the reader may see the link
/// that was cut before.
#[test]
fn a_renewed_reader_keeps_what_it_reads() {
    model_of(2, || {
        let (world, item) = World::new();
        let participant = world.domain.acquire_participant();
        world.domain.refresh_participant(&participant.pin_state);
        let spawn = |f: fn(&World)| {
            let world = Arc::clone(&world);
            thread::spawn(move || f(&world))
        };
        let unlinking = Arc::clone(&world);
        let others = [
            thread::spawn(move || {
                unlinking.unlink(item);
                unlinking.domain.seal_all();
            }),
            spawn(|world| drop(world.domain.advance())),
            spawn(|world| {
                world.domain.advance();
                world.domain.collect_ripe();
            }),
        ];
        world.domain.refresh_participant(&participant.pin_state);
        world.follow();
        participant.release();
        others.map(|other| other.join().unwrap());
    });
}

/// The same for a writer that was not seen by any advance: it slept between its load of the epoch and its
/// fence, so its participant says nothing, and the fence before the tag is all there is. The reader renews to an
/// epoch whose advance has fenced before that fence, reads what was linked before, and shows an epoch
/// that lets the next advance through.
#[test]
fn a_reader_that_renewed_beside_an_unlink_keeps_what_it_reads() {
    model_of(3, || {
        let (world, item) = World::new();
        // So that a tag can be too old.
        world.domain.advance();
        let mut sendable = Sendable(OwnedGuard::new(Arc::clone(&world.domain)));
        sendable.0.guard_ref();
        let spawn = |f: Box<dyn FnOnce(&World) + Send>| {
            let world = Arc::clone(&world);
            thread::spawn(move || f(&world))
        };
        let threads = [
            spawn(Box::new(|world| _ = world.domain.advance())),
            spawn(Box::new(move |world| {
                world.link.store(0, Ordering::Release);
                // SAFETY: unlinked by this thread alone; the model sees to the pin.
                world.domain.retire_unpinned(unsafe { Retired::new(item) });
                world.domain.advance();
                world.domain.advance();
                world.domain.collect_ripe();
            })),
            spawn(Box::new(move |world| {
                let Sendable(mut owned_guard) = { sendable };
                owned_guard.guard_ref();
                world.follow();
                owned_guard.park();
            })),
        ];
        threads.map(|thread| thread.join().unwrap());
    });
}

/// An owned guard on its way to the thread that reads.
struct Sendable(OwnedGuard<Item, ()>);

// SAFETY: from here on, only the thread that it is moved to uses it.
unsafe impl Send for Sendable {}

#[test]
fn a_parked_reader_holds_nothing_up() {
    model(|| {
        let (world, item) = World::new();
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let mut owned_guard = OwnedGuard::new(Arc::clone(&world.domain));
                owned_guard.guard_ref();
                world.follow();
                owned_guard.park();
                owned_guard
            })
        };
        world.unlink(item);
        world.collect(1);
        let owned_guard = reader.join().unwrap();
        world.collect(4);
        assert_eq!(world.probe.frees.load(Ordering::Relaxed), 1, "a parked seat is in the way");
        drop(owned_guard);
    });
}

/// Two collections at a time, each with more than it may free: what they put back meets.
#[test]
fn what_is_put_back_is_not_lost() {
    model(|| {
        let domain = Arc::new(Domain::new());
        let retire = |domain: &Arc<Domain<Item, ()>>| {
            let (item, probe) = Item::new();
            // SAFETY: never linked.
            let retired = unsafe { Retired::new(item) };
            domain.pin_transient().guard_ref().retire(retired, ChargedTo::Nowhere);
            domain.seal_all();
            probe
        };
        let first = [retire(&domain), retire(&domain)];
        (0..super::GRACE).for_each(|_| _ = domain.advance());
        let other = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || domain.collect((1, |_| false), |item, _| drop(item)).freed)
        };
        let second = retire(&domain);
        let mut freed = domain.collect((0, |_| false), |item, _| drop(item)).freed;
        freed += other.join().unwrap();
        (0..=super::GRACE)
            .for_each(|_| freed += domain.collect((9, |_| false), |item, _| drop(item)).freed);
        assert_eq!((freed, domain.backlog()), (3, 0));
        let frees = |probe: &Probe| probe.frees.load(Ordering::Relaxed);
        assert!(first.iter().chain([&second]).all(|probe| frees(probe) == 1));
    });
}

/// A collection has a batch in its hand that is not ripe; another one moves the epoch on meanwhile, and
/// does not find it. It may be the last one to do so for long.
#[test]
fn what_ripens_out_of_reach_is_found_by_the_next_collection() {
    model(|| {
        let domain = Arc::new(Domain::<Item, ()>::new());
        let (item, probe) = Item::new();
        // SAFETY: never linked.
        let retired = unsafe { Retired::new(item) };
        domain.pin_transient().guard_ref().retire(retired, ChargedTo::Nowhere);
        domain.seal_all();
        (1..super::GRACE).for_each(|_| _ = domain.advance());
        // Lets the epoch move once more, which is enough, and no further.
        let guard = domain.pin_transient();
        let other = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || domain.collect_ripe())
        };
        domain.collect((9, |_| false), |item, _| drop(item));
        other.join().unwrap();
        domain.collect((9, |_| false), |item, _| drop(item));
        assert_eq!(probe.frees.load(Ordering::Relaxed), 1, "it is ripe, and nobody knows");
        drop(guard);
    });
}

/// The holder of a participant puts more items into the open part than there are places, while two others take out
/// what they find there, and may sleep over it.
#[test]
fn what_is_open_is_taken_once_whoever_takes_it() {
    model(|| {
        let domain = Arc::new(Domain::<Item, ()>::new());
        let guard = domain.pin_transient();
        let put = || {
            let (item, probe) = Item::new();
            // SAFETY: never linked.
            guard.guard_ref().retire(unsafe { Retired::new(item) }, ChargedTo::Nowhere);
            probe
        };
        let mut probes = vec![put()];
        let takers = [(); 2].map(|()| {
            let domain = Arc::clone(&domain);
            thread::spawn(move || domain.seal_all())
        });
        probes.extend([put(), put()]);
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        drop(guard);
        (0..=super::GRACE).for_each(|_| _ = domain.collect((9, |_| false), |item, _| drop(item)));
        assert!(probes.iter().all(|probe| probe.frees.load(Ordering::Relaxed) == 1));
        assert_eq!(domain.backlog(), 0);
    });
}

#[test]
fn every_item_is_freed_once() {
    model(|| {
        let (world, item) = World::new();
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || world.collect(3))
        };
        world.unlink(item);
        world.collect(1);
        other.join().unwrap();
        world.collect(4);
        assert_eq!(world.probe.frees.load(Ordering::Relaxed), 1);
        assert_eq!(world.domain.backlog(), 0);
    });
}
