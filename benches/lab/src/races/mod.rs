//! The races that the library exists for: a cache whose steps are each under a lock and whose
//! operations are not, beside `clockhand` doing the same work.

mod changing_map;
mod check_then_act;
mod offsets;
mod stale_arithmetic;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::compare::arena::{Bell, work_for};
use crate::failure::Failure;
use crate::progress;
use crate::report::grouped;

/// What happened in one race.
#[derive(Debug, Clone, Serialize)]
pub struct Race {
    /// What it is called.
    pub name: &'static str,
    /// What goes wrong.
    pub story: &'static str,
    /// Locks around every step.
    pub naive: Tally,
    /// `clockhand` at the same work.
    pub clockhand: Tally,
}

/// How often something was done, and how often it went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Operations that were looked at.
    pub operations: u64,
    /// Those that went wrong.
    pub violations: u64,
}

impl Tally {
    fn count(&mut self, wrong: bool) {
        self.operations += 1;
        self.violations += u64::from(wrong);
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, tally| Self {
            operations: sum.operations + tally.operations,
            violations: sum.violations + tally.violations,
        })
    }
}

/// All races, in the order of the table.
#[derive(Debug, Serialize)]
pub struct Races {
    /// One for each.
    pub races: Vec<Race>,
}

impl Races {
    /// How often `clockhand` went wrong.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.races.iter().map(|race| race.clockhand.violations).sum()
    }
}

/// How many threads, and for how long each side of a race.
#[derive(Debug, Clone, Copy)]
pub struct Heat {
    /// Threads; two at least, as one alone races with nobody.
    pub threads: usize,
    /// Time for each side of each race.
    pub time: Duration,
}

/// Runs every race.
///
/// # Errors
///
/// When the system refuses a thread.
pub fn run(heat: Heat, quiet: bool) -> Result<Races, Failure> {
    let each = [check_then_act::run, stale_arithmetic::run, changing_map::run, offsets::run];
    let bar = progress::bar("races".into(), each.len() as u64, "races", quiet);
    let races = each.into_iter().map(|race| {
        let race = race(heat);
        bar.inc(1);
        race
    });
    let races = races.collect::<Result<Vec<_>, _>>();
    bar.finish_and_clear();
    Ok(Races { races: races? })
}

/// Lets threads race for their time, and adds up what they counted.
fn count(heat: Heat, work: impl Fn(usize, &Bell) -> Tally + Sync) -> Result<Tally, Failure> {
    let shifts = work_for(heat.time, heat.threads, work)?;
    Ok(shifts.into_iter().map(|shift| shift.result).sum())
}

/// The map of the naive caches: every access is under its lock, as every step of them is.
type Steps<V> = Mutex<HashMap<u64, V>>;

fn step<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Races {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["race", "what goes wrong", "a lock for each step", "clockhand"]);
        let told = |tally: Tally| {
            format!("{} of {}", grouped(tally.violations), grouped(tally.operations))
        };
        for race in &self.races {
            table.add_row([race.name, race.story, &told(race.naive), &told(race.clockhand)]);
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "A lock around every step does not make two steps one. Where a race is not lost"
        )?;
        writeln!(f, "here, it was only not met: try more --seconds, or more --threads.")
    }
}
