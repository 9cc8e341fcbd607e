//! Snapshots in files: written and read entirely or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SnapshotError;
use super::tally::{Event, Tally};
use crate::sync::{AtomicU64, Mutex, Relaxed, lock, quietly, unique};
use crate::temporary::{Temporary, TemporaryError};

/// Where snapshots go, and how often.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) interval: Duration,
    pub(super) path: PathBuf,
}

/// The results of the periodic snapshots, and the snapshots that are being written.
#[derive(Debug, Default)]
pub(super) struct Saves {
    under_way: Mutex<Vec<PendingSaves>>,
    /// Failures since the last snapshot that was written.
    failures: Relaxed<AtomicU64>,
    last_error: Mutex<Option<SnapshotError>>,
}

/// Snapshots that are being taken for one file.
#[derive(Debug)]
struct PendingSaves {
    path: PathBuf,
    calls: usize,
    /// The number of the last one begun of those that were put in place; zero if none was.
    newest: u64,
}

/// A snapshot that is being taken for a file.
struct SaveCall<'s> {
    saves: &'s Saves,
    path: &'s Path,
    /// Larger than those of all that were begun before.
    number: u64,
}

impl<'s> SaveCall<'s> {
    fn begin(saves: &'s Saves, path: &'s Path) -> Self {
        let mut under_way = lock(&saves.under_way);
        let number = unique();
        match under_way.iter_mut().find(|its| its.path == path) {
            Some(its) => its.calls += 1,
            None => under_way.push(PendingSaves { path: path.to_path_buf(), calls: 1, newest: 0 }),
        }
        Self { saves, path, number }
    }

    /// Puts the file in place, unless a snapshot that was begun later is there.
    fn put(&self, new: &Temporary<'_>) -> Result<(), TemporaryError> {
        let mut under_way = lock(&self.saves.under_way);
        let its = under_way.iter_mut().find(|its| its.path == self.path);
        let newest = its.map(|its| &mut its.newest);
        if newest.as_ref().is_some_and(|newest| **newest > self.number) {
            return new.discard();
        }
        new.rename()?;
        newest.into_iter().for_each(|newest| *newest = self.number);
        Ok(())
    }
}

impl Drop for SaveCall<'_> {
    fn drop(&mut self) {
        let mut under_way = lock(&self.saves.under_way);
        let its = under_way.iter_mut().filter(|its| its.path == self.path);
        its.for_each(|its| its.calls -= 1);
        under_way.retain(|its| its.calls > 0);
    }
}

impl Saves {
    /// Takes a snapshot, and writes it to a file.
    pub(super) fn write(
        &self,
        path: &Path,
        snapshot: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), SnapshotError> {
        let call = SaveCall::begin(self, path);
        let bytes = snapshot();
        let new = Temporary::create(path)?;
        new.write(|mut file| file.write_all(&bytes).map_err(|error| new.write_error(error)))?;
        call.put(&new)?;
        new.flush_folder()?;
        Ok(())
    }

    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Returns why the last periodic snapshot could not be written, and `None` if it was written.
    pub(super) fn last_error(&self) -> Option<SnapshotError> {
        lock(&self.last_error).clone()
    }

    /// Writes a periodic snapshot, and notes the result.
    pub(super) fn keep(&self, tally: &Tally, path: &Path, snapshot: impl FnOnce() -> Vec<u8>) {
        let saved = quietly(|| self.write(path, snapshot));
        let panicked = || Err(SnapshotError::Panicked { path: path.to_path_buf() });
        let error = saved.unwrap_or_else(panicked).err();
        tally.count(if error.is_some() { Event::SaveFailed } else { Event::Saved });
        let mut last_error = lock(&self.last_error);
        self.failures.set(if error.is_some() { self.failures.get() + 1 } else { 0 });
        *last_error = error;
    }
}

/// Restores the contents of a file.
pub(super) fn read(
    path: &Path,
    restore: impl FnOnce(&[u8]) -> Result<usize, SnapshotError>,
) -> Result<usize, SnapshotError> {
    let bytes = fs::read(path).map_err(|error| SnapshotError::io(path, "read", &error))?;
    restore(&bytes).map_err(|error| error.in_file(path))
}
