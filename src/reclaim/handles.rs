//! Which participants the calling thread holds.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::domain::Domain;
use super::participant::Participant;

/// A domain as a thread's handle list sees it.
pub(super) trait AnyDomain: Send + Sync {
    /// Gives a participant back.
    ///
    /// # Safety
    ///
    /// `participant` is a participant of this domain which the calling thread holds and will not use again.
    unsafe fn release(&self, participant: *const ());

    /// Whether no thread will ask for this domain any more.
    fn closed(&self) -> bool;
}

struct Handle {
    id: u64,
    domain: Arc<dyn AnyDomain>,
    participant: *const (),
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle list's entry holds this participant of this domain, and is gone after this.
        unsafe {
            self.domain.release(self.participant);
        }
    }
}

struct Handles(RefCell<Vec<Handle>>);

impl Drop for Handles {
    fn drop(&mut self) {
        LAST.set((0, std::ptr::null()));
    }
}

thread_local! {
    /// The domain that was used last, and the participant there.
    static LAST: Cell<(u64, *const ())> = const { Cell::new((0, std::ptr::null())) };
    static HANDLES: Handles = const { Handles(RefCell::new(Vec::new())) };
}

/// The calling thread's participant, and whether it was taken for this call alone, which happens in the
/// destructors that run after the thread's handle list is gone.
#[inline]
pub(super) fn participant<T, L>(domain: &Arc<Domain<T, L>>) -> (&Participant<T, L>, bool)
where
    T: Send + 'static,
    L: Default + Send + Sync + 'static,
{
    let (id, participant) = LAST.get();
    if id == domain.id() {
        // SAFETY: identities are never reused, so the participant is one of this domain, which is alive.
        return (unsafe { &*participant.cast::<Participant<T, L>>() }, false);
    }
    look_up(domain)
}

#[cold]
fn look_up<T, L>(domain: &Arc<Domain<T, L>>) -> (&Participant<T, L>, bool)
where
    T: Send + 'static,
    L: Default + Send + Sync + 'static,
{
    let known = HANDLES.try_with(|handles| find_or_acquire(&handles.0, domain));
    let Ok(participant) = known else { return (domain.acquire_participant(), true) };
    LAST.set((domain.id(), participant));
    // SAFETY: the handle list holds this participant for this domain.
    (unsafe { &*participant.cast::<Participant<T, L>>() }, false)
}

/// Finds the thread's participant, or takes one; forgets the domains that are closed.
fn find_or_acquire<T, L>(handles: &RefCell<Vec<Handle>>, domain: &Arc<Domain<T, L>>) -> *const ()
where
    T: Send + 'static,
    L: Default + Send + Sync + 'static,
{
    if let Some(handle) = handles.borrow().iter().find(|handle| handle.id == domain.id()) {
        return handle.participant;
    }
    let participant = std::ptr::from_ref(domain.acquire_participant()).cast();
    let handle = Handle { id: domain.id(), domain: Arc::clone(domain) as _, participant };
    let mut handles = handles.borrow_mut();
    let closed: Vec<_> = handles.extract_if(.., |handle| handle.domain.closed()).collect();
    handles.push(handle);
    drop(handles);
    drop(closed);
    participant
}
