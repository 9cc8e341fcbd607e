//! The races that the library exists for: a cache whose steps are each under a lock and whose
//! operations are not, beside `clockhand` doing the same work.

mod all;
mod contest;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use self::all::{ROWS, Row};
use self::contest::Contest;
pub(crate) use self::contest::Form;
use crate::cli::{contestants, seconds};
use crate::failure::Failure;
use crate::measure::{Column, table_of};
use crate::progress;
use crate::report::grouped;
use crate::team::{MOST_THREADS, cores};

/// What happened in one race.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Race {
    pub name: &'static str,
    pub form: Form,
    /// What goes wrong, and what that would have cost.
    pub story: &'static str,
    pub cost: &'static str,
    /// Locks around every step.
    pub naive: Tally,
    pub clockhand: Tally,
}

/// How often something was done, and how often it went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    pub operations: u64,
    pub violations: u64,
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
pub(crate) struct Races {
    pub races: Vec<Race>,
}

impl Races {
    /// How often `clockhand` went wrong.
    pub(crate) fn broken(&self) -> u64 {
        self.races.iter().map(|race| race.clockhand.violations).sum()
    }
}

/// The options of `races`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Options {
    /// Threads of each race; as many as cores by default, and two at least
    #[arg(long, value_name = "N", value_parser = contestants, default_value_t = cores().clamp(2, MOST_THREADS), hide_default_value = true, allow_hyphen_values = true)]
    threads: usize,
    /// How long each side of each race takes
    #[arg(long = "seconds", value_name = "S", value_parser = seconds, default_value = "0.25", allow_hyphen_values = true)]
    time: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs every race, with threads and with tasks.
pub(crate) fn run(options: Options, quiet: bool) -> Result<Races, Failure> {
    let bar = progress::bar("races".into(), 2 * ROWS.len() as u64, "races", quiet);
    let of = |row: &'static Row| Form::ALL.map(|form| (row, form));
    let races = ROWS.iter().flat_map(of).map(|(row, form)| {
        let (name, story, cost) = (row.name, row.story, row.cost);
        let naive = (row.naive)(&Contest::of_locks(options, form))?;
        let clockhand = (row.clockhand)(&Contest::of_clockhand(options, form))?;
        bar.inc(1);
        Ok(Race { name, form, story, cost, naive, clockhand })
    });
    let races = races.collect::<Result<Vec<_>, _>>();
    bar.finish_and_clear();
    Ok(Races { races: races? })
}

/// The map of the naive caches: every access is under its lock, as every step of them is.
type Steps<V> = Mutex<HashMap<u64, V>>;

/// One step, under its lock.
pub(crate) fn step<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Display for Races {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |tally: Tally| {
            format!("{} of {}", grouped(tally.violations), grouped(tally.operations))
        };
        let columns: [Column<'_, Race>; 5] = [
            ("race", &|race| race.name.into()),
            ("of", &|race| race.form.name().into()),
            ("what goes wrong", &|race| race.story.into()),
            ("a lock for each step", &|race| told(race.naive)),
            ("clockhand", &|race| told(race.clockhand)),
        ];
        writeln!(f, "{}\n", table_of(&columns, columns.len(), &self.races))?;
        for races in self.races.chunk_by(|one, next| one.name == next.name) {
            writeln!(f, "- {}: {}.", races[0].name, races[0].cost)?;
        }
        writeln!(
            f,
            "\nA lock around every step does not make two steps one. Between them stands what stands there in\n\
             production: a call to something else, which a thread waits for, and at which a task lets the\n\
             others have their turns. The tasks take turns on one thread: no two of them ever run at once."
        )
    }
}
