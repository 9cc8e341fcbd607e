//! Nothing is told.

use super::MaintenanceWork;

/// A run of a loader.
#[derive(Debug)]
pub(crate) struct LoadSpan;

impl LoadSpan {
    #[inline(always)]
    pub(crate) fn new(_: &str, _: bool) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn enter<T>(&self, part: impl FnOnce() -> T) -> T {
        part()
    }
}

#[inline(always)]
pub(crate) fn load_ended(_: &str, _: bool, _: bool) {}

#[inline(always)]
pub(crate) fn maintain<T>(
    _: &str,
    _: usize,
    maintain: impl FnOnce() -> T,
    _: impl FnOnce(&T) -> MaintenanceWork,
) -> T {
    maintain()
}
