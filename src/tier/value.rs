//! What is asked for, found and put, and the versions by which a load that was overtaken is told apart.

use std::time::{Duration, Instant};

/// How a second tier is asked for a key.
///
/// # Progress
///
/// All methods are wait-free.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TierLookup<'a> {
    /// Which codec the value was written by: that of another one is none.
    pub codec: u8,
    /// How long a value has to live yet; one with less is none. [`Duration::MAX`]: whatever is there is none.
    pub least: Duration,
    /// Whether the caller is going to load a value and to put it, if there is none.
    pub loads: bool,
    /// The tags that a loaded value is going to have.
    pub tags: &'a [String],
}

impl<'a> TierLookup<'a> {
    /// A look-up that loads nothing.
    pub fn new(codec: u8) -> Self {
        Self { codec, least: Duration::ZERO, loads: false, tags: &[] }
    }

    /// The same before a load, whose value is going to have these tags.
    pub fn before_load(self, tags: &'a [String]) -> Self {
        Self { loads: true, tags, ..self }
    }

    /// The same for a value that lives for `least` at least.
    pub fn least(self, least: Duration) -> Self {
        Self { least, ..self }
    }

    /// Whether a value lives long enough.
    pub fn takes(&self, value: &TierValue) -> bool {
        let left = value.left();
        !left.is_zero() && left >= self.least
    }
}

/// A value in a second tier.
///
/// # Progress
///
/// All methods are wait-free.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierValue {
    /// The value, encoded.
    pub bytes: Vec<u8>,
    /// When its lifetime is over. The cache keeps it no longer.
    pub until: Instant,
    /// Its tags.
    pub tags: Vec<String>,
}

impl TierValue {
    /// A value without tags.
    pub fn new(bytes: impl Into<Vec<u8>>, until: Instant) -> Self {
        Self { bytes: bytes.into(), until, tags: Vec::new() }
    }

    /// The same with tags.
    pub fn tags(self, tags: Vec<String>) -> Self {
        Self { tags, ..self }
    }

    /// How long it lives yet.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }
}

/// What a look-up has found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The value, if there is one.
    pub value: Option<TierValue>,
    /// Under which version a value may be put, and since when changes count.
    pub version: Version,
}

impl Found {
    /// A value or none, and the version of the key.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn new(value: Option<TierValue>, version: Version) -> Self {
        Self { value, version }
    }
}

/// The state of a key, as a look-up has found it. Only the store that made it knows what it means.
///
/// # Progress
///
/// All methods are wait-free.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Version {
    bytes: Vec<u8>,
    moment: u64,
}

impl Version {
    /// A version of these bytes. Without any, nothing may be put under it: as [`default`](Self::default).
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), moment: 0 }
    }

    /// The same, with the moment of the look-up, in a count of the store's own.
    pub fn at(self, moment: u64) -> Self {
        Self { moment, ..self }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The moment of the look-up.
    pub fn moment(&self) -> u64 {
        self.moment
    }

    /// Whether a value may be put under it.
    pub fn allows_put(&self) -> bool {
        !self.bytes.is_empty()
    }
}

/// What is put.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct TierItem<'a> {
    /// The value, encoded.
    pub bytes: &'a [u8],
    /// By which codec.
    pub codec: u8,
    /// How long it is to live.
    pub ttl: Duration,
    /// Its tags, each once.
    pub tags: &'a [String],
}

impl<'a> TierItem<'a> {
    /// A value without tags.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn new(bytes: &'a [u8], codec: u8, ttl: Duration) -> Self {
        Self { bytes, codec, ttl, tags: &[] }
    }

    /// The same with tags.
    ///
    /// # Progress
    ///
    /// Wait-free.
    pub fn tags(self, tags: &'a [String]) -> Self {
        Self { tags, ..self }
    }
}

/// When a value is put.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum PutTerms<'a> {
    /// Whatever was written before.
    Always,
    /// If nothing was written to the key since the look-up that gave this version.
    Unchanged(&'a Version),
}

/// What has become of a value that was to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Put {
    /// It is stored, and lives until then.
    Stored(Instant),
    /// It is not, as its version is outdated.
    Overtaken,
}

/// What has become of a look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LookupOutcome {
    /// It found a value.
    Hit,
    /// It found none.
    Miss,
    /// It could not be done.
    Failed,
    /// It found what the codec cannot decode.
    Undecodable,
}
