//! That a thread which is freeing frees nothing inside (R6).
//!
//! What is freed has destructors, and these may write. A write frees, too: without an end to this, each
//! would free the next item inside the destructor of the last, as deep as there is garbage. The end is
//! one for all domains of the thread, as two caches whose destructors write into each other would nest
//! through one another just so.
//!
//! What a write leaves for that reason is not forgotten: it is due when the thread writes next.

use std::cell::Cell;

use crate::sync::{Outermost, seeded, thread_local};

thread_local! {
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's has no such form")]
    static FREEING: Cell<bool> = Cell::new(false);
}

/// From now on the calling thread is freeing, unless it is already.
pub(super) fn begin() -> Option<Outermost> {
    if seeded("reclaim-free-inside") {
        FREEING.with(|freeing| freeing.set(false));
    }
    Outermost::enter(&FREEING)
}

/// Whether the calling thread is freeing.
pub(crate) fn is_freeing() -> bool {
    FREEING.with(Cell::get)
}
