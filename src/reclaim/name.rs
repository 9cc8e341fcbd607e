//! What the thread on a participant is called, so that one that holds up the freeing of garbage can be told.
//!
//! The thread writes its name when it takes the participant, and others read it at any time: a sequence lock whose
//! number is the holder's. No name is allocated, and no thread waits.

use std::fmt::{self, Write as _};
use std::thread;

use crate::sync::{AtomicU64, Holder, Ordering, Relaxed, fence};

const WORDS: usize = 4;
const BYTES: usize = WORDS * size_of::<u64>();

/// The first bytes of a thread's name, or its number if it has none.
#[derive(Debug, Default)]
pub(super) struct ThreadName {
    words: [Relaxed<AtomicU64>; WORDS],
    /// Whose name it is; no thread's while it is written.
    of: AtomicU64,
}

impl ThreadName {
    /// Writes the calling thread's. Called by the participant's holder only.
    pub(super) fn write(&self, me: Holder) {
        // ORDERING S-o: Relaxed: only the holder writes it.
        if self.of.load(Ordering::Relaxed) == me.into_raw() {
            return;
        }
        let mut text = Truncated::default();
        let thread = thread::current();
        // What does not fit is left out.
        let _ = match thread.name() {
            Some(name) => text.write_str(name),
            None => write!(text, "{:?}", thread.id()),
        };
        // ORDERING R-o: Relaxed, and a Release fence: the thread that reads one of the words below sees that
        // the name is being written; pairs with the fence in `read`.
        self.of.store(Holder::NONE, Ordering::Relaxed);
        fence(Ordering::Release);
        for (word, bytes) in self.words.iter().zip(text.bytes.as_chunks().0) {
            word.set(u64::from_le_bytes(*bytes));
        }
        // ORDERING R-o: Release: the name is there; pairs with the load in `read`.
        self.of.store(me.into_raw(), Ordering::Release);
    }

    /// The name of the thread that holds the participant, if it has written it.
    pub(super) fn read(&self, holder: Holder) -> Option<String> {
        // ORDERING R-o: Acquire: all of the name; pairs with the store in `write`.
        let is_whole = self.of.load(Ordering::Acquire) == holder.into_raw();
        let bytes: Vec<u8> = self.words.iter().flat_map(|word| word.get().to_le_bytes()).collect();
        // ORDERING R-o: Acquire fence, Relaxed: if any of it is another's, this load sees so; pairs with the
        // fence in `write`.
        fence(Ordering::Acquire);
        let is_still = self.of.load(Ordering::Relaxed) == holder.into_raw();
        let text = String::from_utf8_lossy(&bytes);
        (is_whole && is_still).then(|| text.trim_end_matches('\0').to_string())
    }
}

/// A text that keeps the first bytes that are written, whole characters.
#[derive(Default)]
struct Truncated {
    bytes: [u8; BYTES],
    len: usize,
}

impl fmt::Write for Truncated {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let end = self.len + letter.len_utf8();
            let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
            letter.encode_utf8(room);
            self.len = end;
        }
        Ok(())
    }
}
