//! A file that is there entirely or not at all.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hash};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::PersistError;
use crate::cache::Cache;
use crate::sync::unique;

/// A file in the same folder, which is removed unless it is put in place.
struct Temporary {
    path: PathBuf,
    file: File,
}

impl Temporary {
    fn new(path: &Path) -> io::Result<Self> {
        let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "a path without a file name");
        let mut name = path.file_name().ok_or_else(no_name)?.to_os_string();
        name.push(format!(".{}-{}.tmp", std::process::id(), unique()));
        let path = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// On the disk, and then under its name.
    fn put(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, path)?;
        flush_folder(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone if it was put in place. An error of this would add nothing to the one that is returned.
        let _ = fs::remove_file(&self.path);
    }
}

/// Flushes the folder of a file, so that its name is on the disk.
fn flush_folder(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + Serialize + Send + Sync + 'static,
    V: Serialize + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Writes a snapshot into a file, as [`save_to`](Self::save_to) does; returns the number of entries. Needs feature
    /// `persist`.
    ///
    /// It is written beside its place, flushed to the disk, and then put there in one step: after a crash the file is the
    /// old one or the new one. If that fails, the old one stays.
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
        let path = path.as_ref();
        let temporary = Temporary::new(path)?;
        let saved = self.save_to(&temporary.file)?;
        temporary.put(path)?;
        Ok(saved)
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq + DeserializeOwned + Send + Sync + 'static,
    V: DeserializeOwned + Send + Sync + 'static,
    S: BuildHasher,
{
    /// Loads a snapshot from a file, as [`load_from`](Self::load_from) does; returns how many entries came in. Needs
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
