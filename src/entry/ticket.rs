//! Entries whose value is being loaded.
//!
//! Such an entry carries a *ticket*, which says whose load it is: whoever finds the ticket in the
//! table knows that nothing has happened to the key since it came in, as whatever happens to a key
//! replaces or unlinks its entry. An entry is *awaited* while there is only the ticket, and
//! *renewed* while there is an older value, too. The table treats all kinds alike.
//!
//! ```text
//!   63            16 15     8    7         6     5  4 3       0
//!   +---------------+--------+---------+---------+----+---------+
//!   | hash          | heard  | RENEWED | AWAITED |    | entered |
//!   +---------------+--------+---------+---------+----+---------+
//! ```
//!
//! The lowest 16 bits are none of the hash: the kind; what is heard of the key; and the policy bits with which the
//! entry comes in. A search for values compares the hash and AWAITED, and so passes by what is awaited at no cost.

use std::any::Any;
use std::mem::{MaybeUninit, offset_of};
use std::sync::Arc;

use super::{Entry, EntryRef, Hull, Node};
use crate::sync::Stamp;

/// Whose load it is. The cache does not look inside.
pub(crate) type Ticket = Arc<dyn Hold + Send + Sync>;

/// What a ticket is of.
pub(crate) trait Hold: Any {
    /// Whether it still counts: its load is under way, or has failed and is remembered. One that does
    /// not may be swept away.
    fn holds(&self) -> bool;

    /// Whether its load has failed, or found no value, and that is remembered.
    fn has_failed(&self) -> bool;
}

const AWAITED: u64 = 1 << 6;
const RENEWED: u64 = 1 << 7;
const HEARD_SHIFT: u32 = 8;
const HEARD: u64 = 0xff << HEARD_SHIFT;
const ENTERED: u64 = 0b1111;
/// The bits that are none of the hash.
const NOTES: u64 = 0xffff;

/// A hash without the bits in which entries keep other things.
#[inline]
pub(crate) fn plain_hash(hash: u64) -> u64 {
    hash & !NOTES
}

/// What a hash word says that was heard of the key.
#[inline]
pub(super) fn heard(word: u64) -> u8 {
    (word >> HEARD_SHIFT) as u8
}

/// A hash word with another such note.
#[inline]
pub(super) fn with_heard(word: u64, heard: u8) -> u64 {
    word & !HEARD | u64::from(heard) << HEARD_SHIFT
}

/// What an entry carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value.
    Plain,
    /// A ticket.
    Awaited,
    /// A value and a ticket.
    Renewed,
}

impl<K, V> Entry<K, V> {
    /// Notes the policy bits with which the entry comes in.
    #[inline]
    pub(crate) fn enters_with(&mut self, bits: u8) {
        debug_assert!(u64::from(bits) <= ENTERED, "more than the policy's bits");
        let entry = self.as_ref();
        let word = entry.word_of_hash();
        word.set(word.get() & !ENTERED | u64::from(bits));
    }
}

impl<K, V> EntryRef<'_, K, V> {
    /// The policy bits with which the entry came in.
    pub(crate) fn entered_with(&self) -> u8 {
        (self.hash_word() & ENTERED) as u8
    }
}

impl Kind {
    #[inline]
    pub(super) fn of(word: u64) -> Self {
        match word & (AWAITED | RENEWED) {
            0 => Self::Plain,
            RENEWED => Self::Renewed,
            _ => Self::Awaited,
        }
    }

    /// A hash word.
    #[inline]
    pub(super) fn word(self, hash: u64) -> u64 {
        plain_hash(hash)
            | match self {
                Self::Plain => 0,
                Self::Awaited => AWAITED,
                Self::Renewed => RENEWED,
            }
    }
}

/// Which kinds of entries a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// Those with a value.
    Values,
    /// All.
    All,
}

impl Sought {
    #[inline(always)]
    pub(super) fn matches(self, word: u64, hash: u64) -> bool {
        let ignored = match self {
            Self::Values => !AWAITED & NOTES,
            Self::All => NOTES,
        };
        (word ^ hash) & !ignored == 0
    }
}

/// The fixed part of an entry that is renewed.
#[repr(C)]
pub(super) struct Renewed<K, V> {
    node: Node<K, V>,
    pub(super) ticket: Ticket,
}

/// The fixed part of an entry that is awaited: laid out like one that is renewed, without the value.
#[repr(C)]
pub(super) struct Awaited<K, V> {
    node: Node<K, MaybeUninit<V>>,
    ticket: Ticket,
}

impl<K, V> Awaited<K, V> {
    const ALIKE: () = {
        assert!(size_of::<Self>() == size_of::<Renewed<K, V>>());
        assert!(align_of::<Self>() == align_of::<Renewed<K, V>>());
        assert!(offset_of!(Self, ticket) == offset_of!(Renewed<K, V>, ticket));
        assert!(align_of::<Self>() == align_of::<Node<K, V>>());
    };
}

impl<K, V> Hull<K, V> {
    /// Makes it an entry that is awaited. Its words are zero.
    pub(crate) fn fill_awaited(self, hash: u64, key: K, ticket: Ticket) -> Entry<K, V> {
        let () = Awaited::<K, V>::ALIKE;
        assert!(self.kind != Kind::Plain, "no room for a ticket");
        let node =
            Node { hash: Stamp::new(Kind::Awaited.word(hash)), key, value: MaybeUninit::uninit() };
        // SAFETY: allocated for it, aligned by the layout, and without contents.
        unsafe { self.node.cast::<Awaited<K, V>>().write(Awaited { node, ticket }) };
        self.filled(0)
    }

    /// Makes it an entry that is renewed. Its words but the charge are zero.
    pub(crate) fn fill_renewed(
        self,
        hash: u64,
        (key, value): (K, V),
        charge: u64,
        ticket: Ticket,
    ) -> Entry<K, V> {
        let () = Awaited::<K, V>::ALIKE;
        assert!(self.kind != Kind::Plain, "no room for a ticket");
        let node = Node { hash: Stamp::new(Kind::Renewed.word(hash)), key, value };
        // SAFETY: allocated for it, aligned by the layout, and without contents.
        unsafe { self.node.cast::<Renewed<K, V>>().write(Renewed { node, ticket }) };
        self.filled(charge)
    }
}
