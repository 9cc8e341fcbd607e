//! Nothing is told.

/// Of a participant.
#[derive(Debug, Default)]
pub(crate) struct Evidence;

impl Evidence {
    #[inline(always)]
    pub(crate) fn note_hit(&self, _: u64) {}

    #[inline(always)]
    pub(crate) fn note_miss(&self, _: u64) {}
}
