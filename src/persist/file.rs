//! Snapshots in files.

use std::fs::File;
use std::hash::{BuildHasher, Hash};
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::PersistError;
use crate::cache::Cache;
use crate::temporary::Temporary;

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Serialize + Send + Sync + 'static,
    V: Serialize + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Writes a snapshot into a file, as [`save_to`](Self::save_to) does; returns the number of entries. Needs feature
    /// `persist`.
    ///
    /// It is written under another name, flushed to the disk, and then put there in one step: after a crash the file is the
    /// old one or the new one. If that fails, the old one stays; if the folder alone
    /// cannot be flushed at the end, the new one is there.
    ///
    /// # Errors
    ///
    /// As [`save_to`](Self::save_to).
    ///
    /// # Progress
    ///
    /// As [`save_to`](Self::save_to).
    ///
    /// # Examples
    ///
    /// ```
    /// # let folder = std::env::temp_dir().join(format!("clockhand-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("prices");
    /// let prices = clockhand::Cache::<String, f64>::new(100);
    /// if path.exists() {
    ///     prices.load_file(&path)?;
    /// }
    /// prices.insert("EURUSD".into(), 1.0842);
    /// prices.save_file(&path)?;
    /// # assert_eq!(clockhand::Cache::<String, f64>::new(100).load_file(&path)?, 1);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<_, clockhand::PersistError>(())
    /// ```
    pub fn save_file(&self, path: impl AsRef<Path>) -> Result<u64, PersistError> {
        Temporary::replace(path.as_ref(), |file| self.save_to(file))
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + DeserializeOwned + Send + Sync + 'static,
    V: DeserializeOwned + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Loads a snapshot from a file, as [`load_from`](Self::load_from) does; returns how many entries were inserted. Needs
    /// feature `persist`.
    ///
    /// # Errors
    ///
    /// As [`load_from`](Self::load_from); [`PersistError::Io`] if there is no such file.
    ///
    /// # Progress
    ///
    /// As [`load_from`](Self::load_from).
    ///
    /// # Examples
    ///
    /// See [`save_file`](Self::save_file).
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<u64, PersistError> {
        self.load_from(BufReader::new(File::open(path)?))
    }
}
