//! How keys become bytes.

use std::sync::Arc;

/// A key that has a form in bytes, by which Redis and the other instances know it.
///
/// [`from_bytes`](Self::from_bytes) is the inverse of [`to_bytes`](Self::to_bytes), and keys that are equal have the same
/// bytes. An implementation for which that does not hold loses invalidations.
///
/// Implemented for texts, for bytes, and for integers, which are written as decimal digits.
///
/// # Examples
///
/// ```
/// use clockhand_redis::TierKey;
///
/// #[derive(Debug, Clone, PartialEq, Eq, Hash)]
/// struct Account { bank: u32, number: u64 }
///
/// impl TierKey for Account {
///     fn to_bytes(&self) -> Vec<u8> {
///         format!("{}/{}", self.bank, self.number).into_bytes()
///     }
///     fn from_bytes(bytes: &[u8]) -> Option<Self> {
///         let (bank, number) = std::str::from_utf8(bytes).ok()?.split_once('/')?;
///         Some(Self { bank: bank.parse().ok()?, number: number.parse().ok()? })
///     }
/// }
///
/// let account = Account { bank: 7, number: 12 };
/// assert_eq!(Account::from_bytes(&account.to_bytes()), Some(account));
/// ```
pub trait TierKey: Sized {
    /// The bytes of a key.
    fn to_bytes(&self) -> Vec<u8>;

    /// The key of these bytes; `None` if there is none. Called on the tier's thread for each message.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl TierKey for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(str::to_string)
    }
}

impl TierKey for Arc<str> {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Arc::from)
    }
}

impl TierKey for Box<str> {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok().map(Box::from)
    }
}

impl TierKey for Vec<u8> {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl TierKey for $integer {
            fn to_bytes(&self) -> Vec<u8> {
                self.to_string().into_bytes()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let number: Self = std::str::from_utf8(bytes).ok()?.parse().ok()?;
                // One key, one form: `+7` and `007` are not ours.
                (number.to_string().as_bytes() == bytes).then_some(number)
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);

#[cfg(test)]
mod tests;
