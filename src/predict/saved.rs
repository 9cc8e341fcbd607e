//! What was learned, as it is written and read.
//!
//! ```text
//!   magic (8) | version (4) | length (4) | CRC-32 of the rest (4) | types of keys, models, by postcard
//! ```
//!
//! The numbers are little-endian. What is read is checked in whole before anything is taken over.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::gate::Precision;
use super::regression::Regression;
use super::trust::Likelihoods;
use crate::persist::PersistError;
use crate::sync::seeded;
use crate::temporary::Temporary;

const MAGIC: &[u8; 8] = b"\x93CLKPRED";
/// The format that is written, and the latest that is read.
const VERSION: u32 = 1;
const HEAD: usize = 20;
/// More than any models take.
const LONGEST: u64 = 1 << 20;

/// What both models have learned of all keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedModels {
    /// The type of keys, as the compiler calls it.
    pub(super) keys: String,
    pub(super) regression: Option<(Regression, Precision)>,
    pub(super) likelihoods: Option<(Likelihoods, Precision)>,
}

impl SavedModels {
    pub(super) fn write(&self, to: &mut impl Write) -> Result<(), PersistError> {
        let payload =
            postcard::to_stdvec(self).map_err(|it| PersistError::Codec(it.to_string()))?;
        let length = u32::try_from(payload.len())
            .map_err(|_| PersistError::Codec("more than 4 gigabytes were learned".into()))?;
        to.write_all(MAGIC)?;
        for number in [VERSION, length, crc32fast::hash(&payload)] {
            to.write_all(&number.to_le_bytes())?;
        }
        to.write_all(&payload)?;
        Ok(to.flush()?)
    }

    /// Reads all of what [`write`](Self::write) has written, for keys of this type.
    pub(super) fn read(from: impl Read, keys: &str) -> Result<Self, PersistError> {
        let mut bytes = Vec::new();
        from.take(LONGEST).read_to_end(&mut bytes)?;
        let told = bytes.len().min(MAGIC.len());
        if bytes[..told] != MAGIC[..told] || bytes.is_empty() {
            return Err(PersistError::Foreign);
        }
        let truncated = PersistError::Truncated { at: bytes.len() as u64 };
        let Some((head, payload)) = bytes.split_at_checked(HEAD) else { return Err(truncated) };
        let number = |nth: usize| {
            let at = MAGIC.len() + 4 * nth;
            u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
        };
        if number(0) > VERSION {
            return Err(PersistError::Newer { found: number(0), supported: VERSION });
        }
        let length = number(1) as usize;
        if payload.len() < length {
            return Err(truncated);
        }
        let changed = || PersistError::Corrupt { at: HEAD as u64 };
        let is_whole = crc32fast::hash(payload) == number(2) || seeded("predict-restore-unchecked");
        if payload.len() > length || number(0) == 0 || !is_whole {
            return Err(changed());
        }
        let saved: Self = postcard::from_bytes(payload).map_err(|_| changed())?;
        if saved.keys != keys {
            let (found, expected) = (saved.keys, keys.to_string());
            return Err(PersistError::OtherTypes { found, expected });
        }
        if saved.is_sound() { Ok(saved) } else { Err(changed()) }
    }

    /// Whether it can be gone on from.
    fn is_sound(&self) -> bool {
        let regression = self.regression.as_ref();
        let likelihoods = self.likelihoods.as_ref();
        regression.is_none_or(|(model, shadow)| model.is_sound() && shadow.is_sound())
            && likelihoods.is_none_or(|(model, shadow)| model.is_sound() && shadow.is_sound())
    }

    /// Puts it in the place of a file, in one step.
    pub(super) fn write_file(&self, path: &Path) -> Result<(), PersistError> {
        Temporary::replace(path, |mut file: &File| self.write(&mut file))
    }
}
