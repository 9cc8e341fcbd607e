//! Hit ratios that are known of some traces: a folder's `rows.csv`, of policies and entries that all weigh one, and its
//! `rows_sizes.csv`, of policies that know the future where entries differ in weight. What is best there is hard to
//! compute, so those are references and no bounds.

use std::fs;
use std::path::Path;

use crate::built_in::{ROWS, ROWS_WITH_SIZES};
use crate::failure::Failure;

/// What a policy reaches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) trace: String,
    pub(super) capacity: u64,
    pub(super) policy: String,
    pub(super) hit_ratio: f64,
    /// The same as the other one where entries do not differ.
    pub(super) byte_hit_ratio: f64,
}

/// A file of rows: its name, what is built in, whether a folder has to have it, and the form of a row.
pub(super) struct Rows {
    file: &'static str,
    built_in: &'static str,
    required: bool,
    header: &'static str,
    form: &'static str,
    parse: fn(&[&str]) -> Option<Known>,
}

pub(super) const BY_ENTRIES: Rows = Rows {
    file: "rows.csv",
    built_in: ROWS,
    required: true,
    header: "trace,entries,policy,hit_ratio",
    form: "name, whole number, name, ratio",
    parse: |fields| match *fields {
        [trace, entries, policy, hits] => known([trace, entries, policy], hits, hits),
        _ => None,
    },
};

pub(super) const BY_SIZE: Rows = Rows {
    file: "rows_sizes.csv",
    built_in: ROWS_WITH_SIZES,
    required: false,
    header: "trace,capacity_bytes,percent,name,object_hit_ratio,byte_hit_ratio",
    form: "name, whole number, number, name, ratio, ratio",
    parse: |fields| match *fields {
        [trace, capacity, percent, policy, hits, bytes] => {
            percent.parse::<f64>().ok()?;
            known([trace, capacity, policy], hits, bytes)
        }
        _ => None,
    },
};

fn known([trace, capacity, policy]: [&str; 3], hits: &str, bytes: &str) -> Option<Known> {
    let ratio = |text: &str| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    Some(Known {
        trace: trace.into(),
        capacity: capacity.parse().ok().filter(|capacity| *capacity > 0)?,
        policy: policy.into(),
        hit_ratio: ratio(hits)?,
        byte_hit_ratio: ratio(bytes)?,
    })
}

impl Rows {
    /// Those of a folder, or those that are built in.
    pub(super) fn read(&self, folder: Option<&Path>) -> Result<Vec<Known>, Failure> {
        let Some(folder) = folder else {
            let broken = |line| Failure::Broken(format!("the built-in {} {line}", self.file));
            return self.rows(self.built_in).map_err(broken);
        };
        let path = folder.join(self.file);
        if !self.required && !path.exists() {
            return Ok(Vec::new());
        }
        let failure = |line: String| Failure::Input(format!("{} {line}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| {
            failure(format!(
                "cannot be read: {error}; give a folder of traces with a {}",
                self.file
            ))
        })?;
        self.rows(&text).map_err(failure)
    }

    /// The rows of a text. What is wrong with it continues a sentence that begins with its name.
    fn rows(&self, text: &str) -> Result<Vec<Known>, String> {
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        if lines.next().is_none_or(|(_, line)| line.trim() != self.header) {
            return Err(format!("does not begin with the line `{}`", self.header));
        }
        let row = |(at, line): (usize, &str)| {
            let row = (self.parse)(&line.trim().split(',').collect::<Vec<_>>());
            row.ok_or_else(|| format!("has no {} in line {}", self.form, at + 1))
        };
        let rows = lines.map(row).collect::<Result<Vec<_>, _>>()?;
        if self.required && rows.is_empty() { Err("has no rows".into()) } else { Ok(rows) }
    }
}
