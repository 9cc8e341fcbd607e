//! A file that is replaced entirely or not at all.
//!
//! The new contents are written to a temporary file in the same folder, flushed to the disk, and then renamed, which
//! is one step; then the folder is flushed, so that the name is on the disk as well. After a crash at any point, the
//! file is the old one or the new one. Files that a crash has left half-written end in `.tmp` and may be removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::sync::unique;

/// The new contents of a file. What was not [renamed](Self::rename) is removed when this is dropped.
pub(crate) struct Temporary<'p> {
    path: &'p Path,
    temporary: PathBuf,
    file: File,
    folder: Option<Folder>,
}

/// The folder of a file, where folders can be flushed.
struct Folder {
    path: PathBuf,
    file: File,
}

/// A step that failed, and of which file.
#[cfg_attr(
    not(feature = "dedup"),
    allow(dead_code, reason = "snapshots of caches tell the error alone")
)]
pub(crate) struct TemporaryError {
    pub(crate) path: PathBuf,
    pub(crate) attempt: &'static str,
    pub(crate) error: io::Error,
}

impl<'p> Temporary<'p> {
    /// Begins a temporary file that no other call writes to.
    pub(crate) fn create(path: &'p Path) -> Result<Self, TemporaryError> {
        let temporary = temporary_path(path)?;
        // Opened before the file is replaced: if the folder cannot be opened, the old file stays.
        let folder = Folder::of(path)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(failed(&temporary, "write"))?;
        Ok(Self { path, temporary, file, folder })
    }

    /// Writes the new contents, and flushes them to the disk.
    pub(crate) fn write<T, E: From<TemporaryError>>(
        &self,
        write: impl FnOnce(&File) -> Result<T, E>,
    ) -> Result<T, E> {
        let written = write(&self.file)?;
        self.file.sync_all().map_err(failed(&self.temporary, "write"))?;
        Ok(written)
    }

    /// Puts new contents in the place of a file.
    #[cfg(feature = "persist")]
    pub(crate) fn replace<T, E: From<TemporaryError>>(
        path: &'p Path,
        write: impl FnOnce(&File) -> Result<T, E>,
    ) -> Result<T, E> {
        let new = Self::create(path)?;
        let written = new.write(write)?;
        new.rename()?;
        new.flush_folder()?;
        Ok(written)
    }

    /// An error of [`write`](Self::write)'s own writer.
    #[cfg(feature = "dedup")]
    pub(crate) fn write_error(&self, error: io::Error) -> TemporaryError {
        failed(&self.temporary, "write")(error)
    }

    /// Puts the new contents in place.
    pub(crate) fn rename(&self) -> Result<(), TemporaryError> {
        let renamed = fs::rename(&self.temporary, self.path);
        renamed.map_err(failed(self.path, "put the new snapshot in place at"))
    }

    /// Removes the new contents.
    #[cfg(feature = "dedup")]
    pub(crate) fn discard(&self) -> Result<(), TemporaryError> {
        let removed = fs::remove_file(&self.temporary);
        removed.map_err(failed(self.path, "put the new snapshot in place at"))
    }

    /// Flushes the name of the file to the disk.
    pub(crate) fn flush_folder(&self) -> Result<(), TemporaryError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        folder.file.sync_all().map_err(failed(&folder.path, "flush the folder"))
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Gone if it was renamed. An error of this would add nothing to the one that is returned.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Folder {
    fn of(path: &Path) -> Result<Option<Self>, TemporaryError> {
        if cfg!(not(unix)) {
            return Ok(None);
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let path = parent.unwrap_or(Path::new("."));
        let file = File::open(path).map_err(failed(path, "open the folder"))?;
        Ok(Some(Self { path: path.to_path_buf(), file }))
    }
}

/// A path in the same folder that no other call writes to.
fn temporary_path(path: &Path) -> Result<PathBuf, TemporaryError> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "a path without a file name");
    let name = path.file_name().ok_or_else(no_name).map_err(failed(path, "write to"))?;
    let mut name = name.to_os_string();
    name.push(format!(".{}-{}.tmp", std::process::id(), unique()));
    Ok(path.with_file_name(name))
}

fn failed(path: &Path, attempt: &'static str) -> impl Fn(io::Error) -> TemporaryError {
    move |error| TemporaryError { path: path.to_path_buf(), attempt, error }
}
