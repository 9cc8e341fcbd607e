//! What the user knows of keys.

/// How many features of the user's own a key may have.
pub const FEATURES: usize = 4;

/// How many classes of keys are told apart.
pub const CLASSES: usize = 16;

/// What the user knows of keys, and what a miss and a load of one cost.
///
/// Called on the predictor's thread only, at most a few times for each load that it thinks of, under no lock of the
/// cache. Methods may use the cache, but should not load. A panic is reported by the panic hook and counted in
/// [`PredictorStats::panics`](super::PredictorStats::panics); the defaults stand in for what it did not return.
///
/// # Examples
///
/// ```
/// use clockhand::predict::Features;
///
/// /// Keys such as `candles/EURUSD` and `quotes/EURUSD`.
/// struct Kinds;
///
/// impl Features<String> for Kinds {
///     fn class(&self, key: &String) -> u8 {
///         u8::from(key.starts_with("candles/"))
///     }
///
///     fn miss_cost(&self, key: &String) -> f64 {
///         if key.starts_with("quotes/") { 5.0 } else { 1.0 }
///     }
/// }
/// assert_eq!(Kinds.class(&"candles/EURUSD".to_string()), 1);
/// ```
pub trait Features<K>: Send + Sync {
    /// The class of a key, below [`CLASSES`]; greater ones count as the last one. Each class has weights of its own and
    /// is stopped by itself where its predictions are wrong.
    fn class(&self, key: &K) -> u8 {
        let _ = key;
        0
    }

    /// Sets features of a key: best between -1 and 1. What is not a number counts as zero.
    fn features(&self, key: &K, features: &mut [f64; FEATURES]) {
        let _ = (key, features);
    }

    /// What it costs that a thread waits for this key, in a unit of the user's choice.
    fn miss_cost(&self, key: &K) -> f64 {
        let _ = key;
        1.0
    }

    /// What a load of this key costs, in the same unit. A key is loaded ahead if the probability that it is asked for,
    /// times [`miss_cost`](Self::miss_cost), is more than this. What is negative or not a number counts as the default.
    fn load_cost(&self, key: &K) -> f64 {
        let _ = key;
        0.5
    }

    /// The bytes that a clone of the key takes, with what it has on the heap: they count against
    /// [`memory`](super::PredictorBuilder::memory). What strings have on the heap, and vectors and boxed slices of bytes,
    /// is known in any case, so this is for keys of types of your own. It is asked again for each clone.
    fn key_bytes(&self, key: &K) -> usize {
        size_of_val(key)
    }
}

/// Nothing is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoFeatures;

impl<K> Features<K> for NoFeatures {}
