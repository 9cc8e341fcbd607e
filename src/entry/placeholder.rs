//! Entries whose value is being loaded.
//!
//! Such an entry carries the *token* of its load. A thread that finds a token in the table knows
//! that nothing has happened to the key since that load began, as whatever happens to a key
//! replaces or unlinks its entry. An entry with a token and no value is a *placeholder*; one with a
//! token and an older value is *being renewed*. The table treats all kinds alike.
//!
//! A value that is to be renewed at an age of its own has a token that stands for no load, and says that age. It is
//! the first one to give way to a load.
//!
//! ```text
//!   63            16 15     8     7           6            5            4       3       0
//!   +---------------+--------+----------+-------------+-----------+------------+---------+
//!   | hash          | heard  | RENEWING | PLACEHOLDER | PREDICTED | PREFETCHED | entered |
//!   +---------------+--------+----------+-------------+-----------+------------+---------+
//! ```
//!
//! The lowest 16 bits are not part of the hash: they are the kind, what the policy has noted of the
//! key, whether its value was loaded as that was predicted to be asked for, and the policy bits with which
//! the entry was inserted. A search for values compares the
//! hash and PLACEHOLDER at once, so that it skips placeholders at no cost.

use std::any::Any;
use std::mem::{MaybeUninit, offset_of};
use std::sync::Arc;

use super::thin_load::{AnyFlight, ThinLoad};
use super::{Entry, EntryCosts, EntryRef, Node, RawEntry};
use crate::narrow::low8;
use crate::sync::EntryWord;

/// Identifies a load. The cache itself only compares tokens, and asks for their status.
#[derive(Clone)]
pub(crate) enum LoadToken {
    /// By its latch, as it began without a flight.
    Thin(ThinLoad),
    /// By its flight.
    Flight(AnyFlight),
    /// No load: its value is to be renewed when it is this old, in nanoseconds.
    RenewAfter(u64),
}

/// How the load stands that a token identifies.
pub(crate) trait LoadStatus: Any {
    /// Whether the load is under way, or has failed and that is remembered. If not, the entry that
    /// carries the token may be swept away.
    fn keeps_entry(&self) -> bool;

    /// Whether the load has failed, or found no value, and that is remembered.
    fn has_failed(&self) -> bool;

    /// By what the load was known before it had a flight, if it began thin.
    fn began_thin(&self) -> Option<ThinLoad> {
        None
    }

    /// The age at which the older value is to be renewed, in nanoseconds, if it has one of its own.
    fn renewal_age(&self) -> Option<u64> {
        None
    }

    /// Notes that age, as the load begins.
    fn inherit_renewal_age(&self, _age: u64) {}
}

impl LoadToken {
    /// Whether both identify the same load.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Thin(own), Self::Thin(other)) => own == other,
            (Self::Flight(own), Self::Flight(other)) => Arc::ptr_eq(own, other),
            (Self::Thin(load), Self::Flight(flight)) | (Self::Flight(flight), Self::Thin(load)) => {
                flight.began_thin() == Some(*load)
            }
            (Self::RenewAfter(_), _) | (_, Self::RenewAfter(_)) => false,
        }
    }

    /// As [`LoadStatus::keeps_entry`].
    pub(crate) fn keeps_entry(&self) -> bool {
        match self {
            Self::Thin(load) => !load.is_over(),
            Self::Flight(flight) => flight.keeps_entry(),
            Self::RenewAfter(_) => false,
        }
    }

    /// As [`LoadStatus::has_failed`]. Where the failure of a load that began thin is remembered, its flight has taken
    /// the place of its token.
    pub(crate) fn has_failed(&self) -> bool {
        match self {
            Self::Thin(_) | Self::RenewAfter(_) => false,
            Self::Flight(flight) => flight.has_failed(),
        }
    }

    /// The age at which the value that is there is to be renewed, in nanoseconds, if it has one of its own.
    pub(crate) fn renewal_age(&self) -> Option<u64> {
        match self {
            Self::Thin(_) => None,
            Self::Flight(flight) => flight.renewal_age(),
            Self::RenewAfter(age) => Some(*age),
        }
    }

    /// Notes what the token of the older value says, before this one takes its place: if the load fails, that holds
    /// on.
    pub(crate) fn inherit(&self, older: Option<&Self>) {
        if let (Self::Flight(flight), Some(age)) = (self, older.and_then(Self::renewal_age)) {
            flight.inherit_renewal_age(age);
        }
    }
}

#[cfg(feature = "predict")]
const PREFETCHED: u64 = 1 << 4;
#[cfg(feature = "predict")]
const PREDICTED: u64 = 1 << 5;
const PLACEHOLDER: u64 = 1 << 6;
const RENEWING: u64 = 1 << 7;
const RECENT_USES_SHIFT: u32 = 8;
const RECENT_USES: u64 = 0xff << RECENT_USES_SHIFT;
const INITIAL_BITS: u64 = 0b1111;
/// The bits that are not part of the hash.
const NOTES: u64 = 0xffff;

/// A hash without the bits in which entries keep other things.
#[inline]
pub(crate) fn plain_hash(hash: u64) -> u64 {
    hash & !NOTES
}

/// The recent uses of the key in a hash word.
#[inline]
pub(super) fn recent_uses(word: u64) -> u8 {
    low8(word >> RECENT_USES_SHIFT)
}

/// A hash word with another such note.
#[inline]
pub(super) fn with_recent_uses(word: u64, recent_uses: u8) -> u64 {
    word & !RECENT_USES | u64::from(recent_uses) << RECENT_USES_SHIFT
}

/// What an entry carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value.
    Plain,
    /// A token.
    Placeholder,
    /// A value and a token.
    Renewing,
}

impl<K, V> Entry<K, V> {
    /// Notes the policy bits with which the entry is inserted.
    #[inline]
    pub(crate) fn set_initial_bits(&mut self, bits: u8) {
        debug_assert!(u64::from(bits) <= INITIAL_BITS, "more than the policy's bits");
        let entry = self.as_ref();
        let word = entry.word_of_hash();
        word.set(word.get() & !INITIAL_BITS | u64::from(bits));
    }
}

#[cfg(feature = "predict")]
impl<K, V> EntryRef<'_, K, V> {
    /// Notes that its value is one that a prediction has loaded, or is about to; and for a key that had none, if it is
    /// `new`. Only before the entry is linked.
    pub(crate) fn mark_predicted(&self, new: bool) {
        let word = self.word_of_hash();
        word.set(word.get() | PREDICTED | if new { PREFETCHED } else { 0 });
    }

    /// Whether a prediction has loaded its value.
    pub(crate) fn is_predicted(&self) -> bool {
        self.hash_word() & PREDICTED != 0
    }

    /// Whether that was for a key that had none: no thread had asked for it.
    #[inline]
    pub(crate) fn is_prefetched(&self) -> bool {
        self.hash_word() & PREFETCHED != 0
    }
}

#[cfg(not(feature = "predict"))]
#[allow(clippy::unused_self, reason = "nothing is predicted")]
impl<K, V> EntryRef<'_, K, V> {
    #[inline]
    pub(crate) fn mark_predicted(&self, _: bool) {}

    #[inline]
    pub(crate) fn is_predicted(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) fn is_prefetched(&self) -> bool {
        false
    }
}

impl<K, V> EntryRef<'_, K, V> {
    /// The policy bits with which the entry was inserted.
    pub(crate) fn initial_bits(&self) -> u8 {
        (self.hash_word() & INITIAL_BITS) as u8
    }
}

impl Kind {
    #[inline]
    pub(super) fn of(word: u64) -> Self {
        match word & (PLACEHOLDER | RENEWING) {
            0 => Self::Plain,
            RENEWING => Self::Renewing,
            _ => Self::Placeholder,
        }
    }

    /// A hash word.
    #[inline]
    pub(super) fn word(self, hash: u64) -> u64 {
        plain_hash(hash)
            | match self {
                Self::Plain => 0,
                Self::Placeholder => PLACEHOLDER,
                Self::Renewing => RENEWING,
            }
    }
}

/// Which kinds of entries a search looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    /// Those with a value.
    Values,
    /// All.
    All,
}

impl Include {
    #[inline(always)]
    pub(super) fn matches(self, word: u64, hash: u64) -> bool {
        let ignored = match self {
            Self::Values => !PLACEHOLDER & NOTES,
            Self::All => NOTES,
        };
        (word ^ hash) & !ignored == 0
    }
}

/// The fixed part of an entry that is being renewed.
#[repr(C)]
pub(super) struct RenewingNode<K, V> {
    node: Node<K, V>,
    pub(super) token: LoadToken,
}

/// The fixed part of a placeholder: laid out as that of an entry that is being renewed, with no
/// value in it.
#[repr(C)]
pub(super) struct PlaceholderNode<K, V> {
    node: Node<K, MaybeUninit<V>>,
    token: LoadToken,
}

impl<K, V> PlaceholderNode<K, V> {
    const SAME_LAYOUT: () = {
        assert!(size_of::<Self>() == size_of::<RenewingNode<K, V>>());
        assert!(align_of::<Self>() == align_of::<RenewingNode<K, V>>());
        assert!(offset_of!(Self, token) == offset_of!(RenewingNode<K, V>, token));
        assert!(align_of::<Self>() == align_of::<Node<K, V>>());
    };
}

impl<K, V> RawEntry<K, V> {
    /// Makes it a placeholder. Its words are zero.
    pub(crate) fn fill_placeholder(self, hash: u64, key: K, token: LoadToken) -> Entry<K, V> {
        let () = PlaceholderNode::<K, V>::SAME_LAYOUT;
        assert!(self.kind != Kind::Plain, "no room for a token");
        let node = Node {
            hash: EntryWord::new(Kind::Placeholder.word(hash)),
            key,
            value: MaybeUninit::uninit(),
        };
        // SAFETY: allocated for it, aligned by the layout, and without contents.
        unsafe { self.node.cast::<PlaceholderNode<K, V>>().write(PlaceholderNode { node, token }) };
        self.filled(EntryCosts::NONE)
    }

    /// Makes it an entry that is being renewed. Its words of time are zero.
    pub(crate) fn fill_renewing(
        self,
        hash: u64,
        (key, value): (K, V),
        costs: EntryCosts,
        token: LoadToken,
    ) -> Entry<K, V> {
        let () = PlaceholderNode::<K, V>::SAME_LAYOUT;
        assert!(self.kind != Kind::Plain, "no room for a token");
        let node = Node { hash: EntryWord::new(Kind::Renewing.word(hash)), key, value };
        // SAFETY: allocated for it, aligned by the layout, and without contents.
        unsafe { self.node.cast::<RenewingNode<K, V>>().write(RenewingNode { node, token }) };
        self.filled(costs)
    }
}
