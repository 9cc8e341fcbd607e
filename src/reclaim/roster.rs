//! Which seats the calling thread holds.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::domain::Domain;
use super::seat::Seat;

/// A domain as a thread's roster sees it.
pub(super) trait Registry: Send + Sync {
    /// Gives a seat back.
    ///
    /// # Safety
    ///
    /// `seat` is a seat of this domain which the calling thread holds and will not use again.
    unsafe fn release(&self, seat: *const ());

    /// Whether nobody will ask for this domain any more.
    fn closed(&self) -> bool;
}

struct Entry {
    id: u64,
    domain: Arc<dyn Registry>,
    seat: *const (),
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the roster's entry holds this seat of this domain, and is gone after this.
        unsafe {
            self.domain.release(self.seat);
        }
    }
}

struct Roster(RefCell<Vec<Entry>>);

impl Drop for Roster {
    fn drop(&mut self) {
        LAST.set((0, std::ptr::null()));
    }
}

thread_local! {
    /// The domain that was used last, and the seat there.
    static LAST: Cell<(u64, *const ())> = const { Cell::new((0, std::ptr::null())) };
    static ROSTER: Roster = const { Roster(RefCell::new(Vec::new())) };
}

/// The calling thread's seat, and whether it was taken for this call alone, which happens in the
/// destructors that run after the thread's roster is gone.
#[inline]
pub(super) fn seat<T, L>(domain: &Arc<Domain<T, L>>) -> (&Seat<T, L>, bool)
where
    T: Send + 'static,
    L: Default + Send + Sync + 'static,
{
    let (id, seat) = LAST.get();
    if id == domain.id() {
        // SAFETY: identities are never reused, so the seat is one of this domain, which is alive.
        return (unsafe { &*seat.cast::<Seat<T, L>>() }, false);
    }
    look_up(domain)
}

#[cold]
fn look_up<T, L>(domain: &Arc<Domain<T, L>>) -> (&Seat<T, L>, bool)
where
    T: Send + 'static,
    L: Default + Send + Sync + 'static,
{
    let known = ROSTER.try_with(|roster| enrol(&roster.0, domain));
    let Ok(seat) = known else { return (domain.occupy(), true) };
    LAST.set((domain.id(), seat));
    // SAFETY: the roster holds this seat for this domain.
    (unsafe { &*seat.cast::<Seat<T, L>>() }, false)
}

/// Finds the thread's seat, or takes one; forgets the domains that are closed.
fn enrol<T, L>(roster: &RefCell<Vec<Entry>>, domain: &Arc<Domain<T, L>>) -> *const ()
where
    T: Send + 'static,
    L: Default + Send + Sync + 'static,
{
    if let Some(entry) = roster.borrow().iter().find(|entry| entry.id == domain.id()) {
        return entry.seat;
    }
    let seat = std::ptr::from_ref(domain.occupy()).cast();
    let entry = Entry { id: domain.id(), domain: Arc::clone(domain) as _, seat };
    let mut entries = roster.borrow_mut();
    let closed: Vec<_> = entries.extract_if(.., |entry| entry.domain.closed()).collect();
    entries.push(entry);
    drop(entries);
    drop(closed);
    seat
}
