//! What is known of single keys, as it is saved and restored.
//!
//! Keys are written by serde, each once, and the rest names them by number: hashes and times are those of one process.
//! Times are told as how long ago they were, and what lies between saving and restoring is added by the system's clock.

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::KeyStats;
use super::trust::Trust;
use crate::persist::PersistError;

/// How keys are written and read.
pub(super) struct KeyForm<K> {
    encode: fn(&K) -> Result<Vec<u8>, postcard::Error>,
    decode: fn(&[u8]) -> Option<K>,
}

impl<K> Clone for KeyForm<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for KeyForm<K> {}

impl<K: Serialize + DeserializeOwned> KeyForm<K> {
    pub(super) fn new() -> Self {
        let decode = |bytes: &[u8]| match postcard::take_from_bytes(bytes) {
            Ok((key, [])) => Some(key),
            _ => None,
        };
        Self { encode: |key| postcard::to_stdvec(key), decode }
    }
}

/// What the model Reuse knows of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedKnown {
    pub(super) since_first_use: Duration,
    pub(super) since_last_use: Duration,
    pub(super) learned: KeyStats,
}

impl SavedKnown {
    fn is_sound(&self) -> bool {
        let KeyStats { mean_gap, gap_deviation, uses, habit, last_outcome, .. } = self.learned;
        [mean_gap, gap_deviation, uses].iter().all(|it| it.is_finite() && *it >= 0.0)
            && [habit, last_outcome].iter().all(|it| it.abs() <= 1.0)
    }
}

/// What both models know of keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct SavedKeys {
    /// When that was, in milliseconds since 1970.
    pub(super) saved_at: u64,
    keys: Vec<Vec<u8>>,
    /// By number of the key.
    known: Vec<(u32, SavedKnown)>,
    /// In which order keys were missed, the oldest first.
    log: Vec<u32>,
    trust: Vec<(u32, Trust)>,
}

/// The same with keys as they are used.
#[derive(Debug)]
pub(super) struct KnownKeys<K> {
    pub(super) saved_at: u64,
    pub(super) known: Vec<(K, SavedKnown)>,
    pub(super) log: Vec<K>,
    pub(super) trust: Vec<(K, Trust)>,
}

/// Writes keys, each once.
pub(super) struct KeyWriter<K> {
    codec: KeyForm<K>,
    numbers: HashMap<u64, u32>,
    saved: SavedKeys,
}

impl<K> KeyWriter<K> {
    pub(super) fn new(codec: KeyForm<K>, saved_at: u64) -> Self {
        let saved = SavedKeys { saved_at, ..SavedKeys::default() };
        Self { codec, numbers: HashMap::new(), saved }
    }

    /// The number of a key.
    fn number(&mut self, hash: u64, key: &K) -> Result<u32, PersistError> {
        if let Some(number) = self.numbers.get(&hash) {
            return Ok(*number);
        }
        let bytes = (self.codec.encode)(key).map_err(|it| PersistError::Codec(it.to_string()))?;
        let number = u32::try_from(self.saved.keys.len())
            .map_err(|_| PersistError::Codec("more than four billion keys are known".into()))?;
        self.saved.keys.push(bytes);
        self.numbers.insert(hash, number);
        Ok(number)
    }

    pub(super) fn known(
        &mut self,
        hash: u64,
        key: &K,
        known: SavedKnown,
    ) -> Result<(), PersistError> {
        let number = self.number(hash, key)?;
        self.saved.known.push((number, known));
        Ok(())
    }

    pub(super) fn missed(&mut self, hash: u64, key: &K) -> Result<(), PersistError> {
        let number = self.number(hash, key)?;
        self.saved.log.push(number);
        Ok(())
    }

    pub(super) fn trust(&mut self, hash: u64, key: &K, trust: Trust) -> Result<(), PersistError> {
        let number = self.number(hash, key)?;
        self.saved.trust.push((number, trust));
        Ok(())
    }

    pub(super) fn finish(self) -> SavedKeys {
        self.saved
    }
}

impl SavedKeys {
    /// Reads the keys; `None` if something is amiss.
    pub(super) fn decode<K: Clone>(self, codec: KeyForm<K>) -> Option<KnownKeys<K>> {
        let keys: Vec<K> =
            self.keys.iter().map(|key| (codec.decode)(key)).collect::<Option<_>>()?;
        let key = |number: u32| keys.get(number as usize).cloned();
        let known = self.known.into_iter().map(|(number, known)| {
            let known = Some(known).filter(SavedKnown::is_sound)?;
            Some((key(number)?, known))
        });
        let trust = self.trust.into_iter().map(|(number, trust)| {
            let trust = Some(trust).filter(|trust| trust.is_sound())?;
            Some((key(number)?, trust))
        });
        Some(KnownKeys {
            saved_at: self.saved_at,
            known: known.collect::<Option<_>>()?,
            log: self.log.into_iter().map(key).collect::<Option<_>>()?,
            trust: trust.collect::<Option<_>>()?,
        })
    }
}
