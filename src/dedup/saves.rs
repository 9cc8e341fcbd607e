//! Snapshots in files: written whole or not at all, and read whole or not at all.
//!
//! A snapshot is written into a file beside its own, flushed to the disk, and then renamed, which is one step; then
//! the folder is flushed, so that the name is on the disk, too. Whatever happens in between, the file is the old one
//! or the new one. Files that were left half-written by a crash end in `.tmp` and may be removed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SnapshotError;
use super::tally::{Event, Tally};
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, unique};

/// Where snapshots go, and how often.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) interval: Duration,
    pub(super) path: PathBuf,
}

/// What came of the periodic snapshots.
#[derive(Debug, Default)]
pub(super) struct Saves {
    /// Failures since the last snapshot that was written.
    failures: Relaxed<AtomicU64>,
    last_error: Mutex<Option<SnapshotError>>,
}

impl Saves {
    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Why the last snapshot could not be written, if it could not.
    pub(super) fn last_error(&self) -> Option<SnapshotError> {
        lock(&self.last_error).clone()
    }

    /// Takes note of what a periodic snapshot came to.
    pub(super) fn note(&self, tally: &Tally, saved: Result<(), SnapshotError>) {
        let error = saved.err();
        tally.count(if error.is_some() { Event::SaveFailed } else { Event::Saved });
        let mut last_error = lock(&self.last_error);
        self.failures.set(if error.is_some() { self.failures.get() + 1 } else { 0 });
        *last_error = error;
    }
}

/// Puts a snapshot into a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let beside = beside(path)?;
    let written = write_beside(&beside, bytes).and_then(|()| {
        let renamed = fs::rename(&beside, path);
        renamed.map_err(|error| SnapshotError::io(path, "put the new snapshot in place at", &error))
    });
    if written.is_err() {
        // It says no more than the error does.
        let _ = fs::remove_file(&beside);
    }
    written.and_then(|()| flush_folder(path))
}

/// A name in the same folder that nobody else writes to.
fn beside(path: &Path) -> Result<PathBuf, SnapshotError> {
    let Some(name) = path.file_name() else {
        let error = std::io::Error::from(std::io::ErrorKind::InvalidInput);
        return Err(SnapshotError::io(path, "write to a path without a file name,", &error));
    };
    let mut name = name.to_os_string();
    name.push(format!(".{}-{}.tmp", std::process::id(), unique()));
    Ok(path.with_file_name(name))
}

fn write_beside(beside: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let failed = |error| SnapshotError::io(beside, "write", &error);
    let mut file = OpenOptions::new().write(true).create_new(true).open(beside).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

/// Has the name of a file written to the disk, where folders can be flushed.
fn flush_folder(path: &Path) -> Result<(), SnapshotError> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    flushed.map_err(|error| SnapshotError::io(folder, "flush the folder", &error))
}

/// Restores what is in a file.
pub(super) fn read(
    path: &Path,
    restore: impl FnOnce(&[u8]) -> Result<usize, SnapshotError>,
) -> Result<usize, SnapshotError> {
    let bytes = fs::read(path).map_err(|error| SnapshotError::io(path, "read", &error))?;
    restore(&bytes).map_err(|error| error.in_file(path))
}
