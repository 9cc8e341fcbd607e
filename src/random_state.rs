//! The hasher of a cache that was given no other.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

/// The hasher of a cache for which none was chosen: fast, and seeded at random, so that no one who
/// chooses keys can make them collide.
///
/// It is aHash today. The type is the crate's own, so that another function may take its place
/// without a change to any caller's types.
///
/// # Examples
///
/// ```
/// use clockhand::{Cache, RandomState};
///
/// struct Prices {
///     cache: Cache<String, f64, RandomState>, // the same as Cache<String, f64>
/// }
/// let prices = Prices { cache: Cache::new(100) };
/// prices.cache.insert("EURUSD".to_string(), 1.0842);
/// ```
#[derive(Clone)]
pub struct RandomState(ahash::RandomState);

/// The hasher that [`RandomState`] builds.
#[derive(Clone)]
pub struct DefaultHasher(ahash::AHasher);

impl RandomState {
    /// A state with keys of its own, drawn at random.
    ///
    /// # Progress
    ///
    /// **Blocking**: the first one of a process asks the system for random numbers.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::hash::BuildHasher;
    ///
    /// let state = clockhand::RandomState::new();
    /// assert_eq!(state.hash_one(7), state.clone().hash_one(7));
    /// ```
    pub fn new() -> Self {
        Self(ahash::RandomState::new())
    }
}

impl Default for RandomState {
    fn default() -> Self {
        Self::new()
    }
}

impl BuildHasher for RandomState {
    type Hasher = DefaultHasher;

    #[inline]
    fn build_hasher(&self) -> DefaultHasher {
        DefaultHasher(self.0.build_hasher())
    }
}

/// Passes each of these on, as the function has a shorter way for each width.
macro_rules! pass_on {
    ($($write:ident: $kind:ty),*) => {
        $(#[inline]
        fn $write(&mut self, value: $kind) {
            self.0.$write(value);
        })*
    };
}

impl Hasher for DefaultHasher {
    pass_on!(
        write: &[u8], write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64,
        write_u128: u128, write_usize: usize
    );

    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl fmt::Debug for RandomState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomState").finish_non_exhaustive()
    }
}

impl fmt::Debug for DefaultHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultHasher").finish_non_exhaustive()
    }
}
