//! The counts at earlier calls.
//!
//! Of frequent calls, one in each thirty-second part of the window is noted, so a window has about
//! three dozen notes, however frequent the calls are.

use std::collections::VecDeque;
use std::time::Duration;

/// Notes for each window.
const NOTES_PER_WINDOW: u32 = 32;

/// Counts, and when they were read, since the beginning.
#[derive(Debug)]
pub(super) struct Window<C> {
    length: Duration,
    /// Oldest first. The first one is the latest that is older than the window, if there is one.
    notes: VecDeque<(Duration, C)>,
}

impl<C: Clone> Window<C> {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, notes: VecDeque::new() }
    }

    /// Returns where the window that ends now begins, at `earliest` or later: how long ago that is,
    /// and the counts then. `None` if nothing was noted since.
    pub(super) fn start(&self, now: Duration, earliest: Duration) -> Option<(Duration, &C)> {
        let mut notes = self.notes.iter().filter(|(at, _)| *at >= earliest);
        let oldest = notes.next()?;
        let (at, counts) = notes
            .take_while(|(at, _)| now.saturating_sub(*at) >= self.length)
            .last()
            .unwrap_or(oldest);
        Some((now.saturating_sub(*at), counts))
    }

    /// Notes the counts, unless some were noted just before.
    pub(super) fn note(&mut self, now: Duration, counts: &C) {
        let spacing = self.length / NOTES_PER_WINDOW;
        if self.notes.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= spacing) {
            self.note_anyway(now, counts);
        }
    }

    /// Notes the counts in any case: a window is to begin here.
    pub(super) fn note_anyway(&mut self, now: Duration, counts: &C) {
        self.notes.push_back((now, counts.clone()));
        while self.notes.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= self.length) {
            self.notes.pop_front();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.notes.len()
    }
}
