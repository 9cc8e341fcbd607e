//! Keys that are tuples, looked up by borrowed parts.

use std::hash::{Hash, Hasher};

use equivalent::Equivalent;

/// A key that is a tuple, by its parts: for look-ups that make no key of their own.
///
/// A part is a number, a `bool` or a `char`, or a reference to whatever can be compared with that part of the key: a
/// `&str` for a `String`, a `&[T]` for a `Vec<T>`, a `&T` for a `T`. Tuples of up to twelve parts.
///
/// # Examples
///
/// ```
/// use clockhand::{Cache, KeyRef};
///
/// let rows: Cache<(String, u32), f64> = Cache::new(100);
/// rows.insert(("EURUSD".to_string(), 3), 1.0842);
/// assert_eq!(rows.get(&KeyRef(("EURUSD", 3))), Some(1.0842));
/// assert!(!rows.contains_key(&KeyRef(("EURUSD", 4))));
/// assert!(rows.invalidate(&KeyRef(("EURUSD", 3))));
/// ```
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "users build it")]
pub struct KeyRef<T>(pub T);

impl<T: Hash> Hash for KeyRef<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// A part of a tuple, which hashes as the part `K` of a key does.
pub trait KeyPart<K: ?Sized>: Hash {
    /// Whether it is that part of the key.
    fn is_part(&self, key: &K) -> bool;
}

impl<K: ?Sized, Q: Hash + Equivalent<K> + ?Sized> KeyPart<K> for &Q {
    fn is_part(&self, key: &K) -> bool {
        self.equivalent(key)
    }
}

macro_rules! plain_parts {
    ($($plain:ty)*) => {
        $(impl KeyPart<$plain> for $plain {
            fn is_part(&self, key: &$plain) -> bool {
                self == key
            }
        })*
    };
}
plain_parts!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char);

macro_rules! tuples {
    ($($part:ident $key:ident $nth:tt),*) => {
        impl<$($part: KeyPart<$key>, $key),*> Equivalent<($($key,)*)> for KeyRef<($($part,)*)> {
            fn equivalent(&self, key: &($($key,)*)) -> bool {
                $(self.0.$nth.is_part(&key.$nth))&&*
            }
        }
    };
}
tuples!(A K 0);
tuples!(A K 0, B L 1);
tuples!(A K 0, B L 1, C M 2);
tuples!(A K 0, B L 1, C M 2, D N 3);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5, G Q 6);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5, G Q 6, H R 7);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5, G Q 6, H R 7, I S 8);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5, G Q 6, H R 7, I S 8, J T 9);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5, G Q 6, H R 7, I S 8, J T 9, U V 10);
tuples!(A K 0, B L 1, C M 2, D N 3, E O 4, F P 5, G Q 6, H R 7, I S 8, J T 9, U V 10, W X 11);
