//! What was learned, as it is written and read.
//!
//! ```text
//!   magic (8) | version (4) | length (4) | CRC-32 of the rest (4) | type of keys, models, keys, by postcard
//! ```
//!
//! The numbers are little-endian. What is read is checked in whole before anything is taken over.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::gate::Precision;
use super::regression::Regression;
use super::saved_keys::SavedKeys;
use super::trust::Likelihoods;
use crate::persist::PersistError;
use crate::sync::seeded;
use crate::temporary::Temporary;

const MAGIC: &[u8; 8] = b"\x93CLKPRED";
/// The format that is written, and the latest that is read.
const VERSION: u32 = 2;
const HEAD: usize = 20;
/// More than what is learned of keys should take.
const LONGEST: u32 = 1 << 30;

/// What is in a file.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) models: SavedModels,
    pub(super) keys: Option<SavedKeys>,
}

/// What both models have learned of all keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedModels {
    /// The type of keys, as the compiler calls it.
    pub(super) keys: String,
    pub(super) regression: Option<(Regression, Precision)>,
    pub(super) likelihoods: Option<(Likelihoods, Precision)>,
}

impl Saved {
    pub(super) fn write(&self, mut to: impl Write) -> Result<(), PersistError> {
        let codec = |it: postcard::Error| PersistError::Codec(it.to_string());
        let mut payload = postcard::to_stdvec(&self.models).map_err(codec)?;
        payload.append(&mut postcard::to_stdvec(&self.keys).map_err(codec)?);
        let length = u32::try_from(payload.len()).ok().filter(|length| *length <= LONGEST);
        let length = length
            .ok_or_else(|| PersistError::Codec("what is known of keys takes a gigabyte".into()))?;
        to.write_all(MAGIC)?;
        for number in [VERSION, length, crc32fast::hash(&payload)] {
            to.write_all(&number.to_le_bytes())?;
        }
        to.write_all(&payload)?;
        Ok(to.flush()?)
    }

    /// Reads all of what [`write`](Self::write) has written, for keys of this type.
    pub(super) fn read(mut from: impl Read, keys: &str) -> Result<Self, PersistError> {
        let (mut head, mut payload) = (Vec::new(), Vec::new());
        from.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        let told = head.len().min(MAGIC.len());
        if head[..told] != MAGIC[..told] || head.is_empty() {
            return Err(PersistError::Foreign);
        }
        if head.len() < HEAD {
            return Err(PersistError::Truncated { at: head.len() as u64 });
        }
        let number = |nth: usize| {
            let at = MAGIC.len() + 4 * nth;
            u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
        };
        if number(0) > VERSION {
            return Err(PersistError::Newer { found: number(0), supported: VERSION });
        }
        let changed = || PersistError::Corrupt { at: HEAD as u64 };
        let length = number(1);
        if length > LONGEST || number(0) == 0 {
            return Err(changed());
        }
        from.take(u64::from(length) + 1).read_to_end(&mut payload)?;
        if payload.len() < length as usize {
            return Err(PersistError::Truncated { at: (HEAD + payload.len()) as u64 });
        }
        let is_whole =
            crc32fast::hash(&payload) == number(2) || seeded("predict-restore-unchecked");
        if payload.len() > length as usize || !is_whole {
            return Err(changed());
        }
        let saved = Self::decode(&payload, number(0)).ok_or_else(changed)?;
        if saved.models.keys != keys {
            let (found, expected) = (saved.models.keys, keys.to_string());
            return Err(PersistError::OtherTypes { found, expected });
        }
        if saved.models.is_sound() { Ok(saved) } else { Err(changed()) }
    }

    fn decode(payload: &[u8], version: u32) -> Option<Self> {
        let (models, rest) = postcard::take_from_bytes(payload).ok()?;
        // The first version had none.
        let (keys, rest) =
            if version == 1 { (None, rest) } else { postcard::take_from_bytes(rest).ok()? };
        rest.is_empty().then_some(Self { models, keys })
    }

    /// Puts it in the place of a file, in one step.
    pub(super) fn write_file(&self, path: &Path) -> Result<(), PersistError> {
        Temporary::replace(path, |mut file: &File| self.write(&mut file))
    }
}

impl SavedModels {
    /// Whether it can be gone on from.
    fn is_sound(&self) -> bool {
        let regression = self.regression.as_ref();
        let likelihoods = self.likelihoods.as_ref();
        regression.is_none_or(|(model, shadow)| model.is_sound() && shadow.is_sound())
            && likelihoods.is_none_or(|(model, shadow)| model.is_sound() && shadow.is_sound())
    }
}
