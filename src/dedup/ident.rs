//! Ids that can be written to a snapshot.

use std::sync::Arc;

/// An id that can be written to a snapshot and read back.
///
/// Implemented for integers, `String`, `Box<str>`, `Arc<str>`, `Vec<u8>`, arrays of bytes, and
/// tuples of two to four of these, such as `(String, i32, u64)` for topic, partition and offset.
///
/// # Examples
///
/// ```
/// use clockhand::dedup::{Deduplicator, SnapshotId};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct Order(u64);
///
/// impl SnapshotId for Order {
///     fn kind() -> String {
///         "order".to_string()
///     }
///     fn encode(&self, out: &mut Vec<u8>) {
///         self.0.encode(out);
///     }
///     fn decode(bytes: &mut &[u8]) -> Option<Self> {
///         u64::decode(bytes).map(Order)
///     }
/// }
///
/// let seen = Deduplicator::builder().build()?;
/// seen.mark_processed(Order(1));
/// let other = Deduplicator::<u64>::builder().build()?;
/// assert!(other.restore(&seen.snapshot()).is_err(), "another kind of id");
/// # Ok::<_, clockhand::dedup::SettingsError>(())
/// ```
pub trait SnapshotId: Sized {
    /// The name of the type, by which a snapshot of another type of ids is recognized. Called once
    /// for each snapshot.
    fn kind() -> String;

    /// Appends the id to `out`. Called once for each id, while the calling thread is pinned.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads an id from the beginning of `bytes`, and leaves the rest. Returns `None` if there is
    /// no valid id. Must not trust the bytes, and must read back what [`encode`](Self::encode)
    /// wrote.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(
            impl SnapshotId for $integer {
                fn kind() -> String {
                    stringify!($integer).to_string()
                }
                fn encode(&self, out: &mut Vec<u8>) {
                    out.extend_from_slice(&self.to_le_bytes());
                }
                fn decode(bytes: &mut &[u8]) -> Option<Self> {
                    let (&word, rest) = bytes.split_first_chunk()?;
                    *bytes = rest;
                    Some(Self::from_le_bytes(word))
                }
            }
        )*
    };
}
integers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

/// Splits `length` bytes off the beginning.
fn split<'b>(bytes: &mut &'b [u8], length: u64) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

impl SnapshotId for Vec<u8> {
    fn kind() -> String {
        "bytes".to_string()
    }
    fn encode(&self, out: &mut Vec<u8>) {
        (self.len() as u64).encode(out);
        out.extend_from_slice(self);
    }
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let length = u64::decode(bytes)?;
        split(bytes, length).map(<[u8]>::to_vec)
    }
}

impl<const N: usize> SnapshotId for [u8; N] {
    fn kind() -> String {
        format!("{N} bytes")
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (&array, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(array)
    }
}

macro_rules! texts {
    ($($text:ty),*) => {
        $(
            impl SnapshotId for $text {
                fn kind() -> String {
                    "text".to_string()
                }
                fn encode(&self, out: &mut Vec<u8>) {
                    (self.len() as u64).encode(out);
                    out.extend_from_slice(self.as_bytes());
                }
                fn decode(bytes: &mut &[u8]) -> Option<Self> {
                    let length = u64::decode(bytes)?;
                    std::str::from_utf8(split(bytes, length)?).ok().map(Self::from)
                }
            }
        )*
    };
}
texts!(String, Box<str>, Arc<str>);

macro_rules! tuples {
    ($(($($part:ident $at:tt),*)),*) => {
        $(
            impl<$($part: SnapshotId),*> SnapshotId for ($($part,)*) {
                fn kind() -> String {
                    format!("({})", [$($part::kind()),*].join(", "))
                }
                fn encode(&self, out: &mut Vec<u8>) {
                    $(self.$at.encode(out);)*
                }
                fn decode(bytes: &mut &[u8]) -> Option<Self> {
                    Some(($($part::decode(bytes)?,)*))
                }
            }
        )*
    };
}
tuples!((A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3));
