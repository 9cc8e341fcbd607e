//! Hit ratios of policies that know the future, where entries differ in weight: a folder's `rows_sizes.csv`.
//!
//! With sizes the best that can be reached is hard to compute, so these are references and no bounds.

use std::fs;
use std::path::Path;

use crate::built_in::ROWS_WITH_SIZES;
use crate::failure::Failure;

const FILE: &str = "rows_sizes.csv";
const HEADER: &str = "trace,capacity_bytes,percent,name,object_hit_ratio,byte_hit_ratio";

/// The names in the file, and those in the answers.
const POLICIES: [(&str, &str); 2] =
    [("Belady", "Belady, offline"), ("BeladySize", "Belady by size, offline")];

/// Parts of a capacity by which that of the file may differ: it is of the same sizes.
const SAME: u64 = 1_000;

/// What a policy reaches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offline {
    pub(super) trace: String,
    pub(super) capacity: u64,
    pub(super) policy: &'static str,
    pub(super) hit_ratio: f64,
    pub(super) byte_hit_ratio: f64,
}

impl Offline {
    /// Whether it is of this trace and capacity.
    pub(super) fn is_of(&self, trace: &str, capacity: u64) -> bool {
        self.trace == trace && self.capacity.abs_diff(capacity) <= capacity / SAME + 1
    }
}

/// Reads the file of this folder, which need not have one.
pub(super) fn read(folder: &Path) -> Result<Vec<Offline>, Failure> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let failure = |line: String| Failure::Input(format!("{} {line}", path.display()));
    let text =
        fs::read_to_string(&path).map_err(|error| failure(format!("cannot be read: {error}")))?;
    rows(&text).map_err(failure)
}

/// What is known of the traces that are built in.
pub(super) fn built_in() -> Result<Vec<Offline>, Failure> {
    rows(ROWS_WITH_SIZES).map_err(|line| Failure::Broken(format!("the built-in {FILE} {line}")))
}

/// The rows of a file that are of these policies. What is wrong with it continues a sentence that begins with its name.
fn rows(text: &str) -> Result<Vec<Offline>, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    if lines.next().is_none_or(|(_, line)| line.trim() != HEADER) {
        return Err(format!("does not begin with the line `{HEADER}`"));
    }
    let mut rows = Vec::new();
    for (at, line) in lines {
        let row = parse(line).ok_or_else(|| {
            let form = "name, whole number, number, name, ratio, ratio";
            format!("has no {form} in line {}", at + 1)
        })?;
        rows.extend(row);
    }
    Ok(rows)
}

/// A row; none inside if it is of a policy that does not know the future.
fn parse(line: &str) -> Option<Option<Offline>> {
    let fields = line.trim().split(',').collect::<Vec<_>>();
    let [trace, capacity, percent, name, hit_ratio, byte_hit_ratio] = fields.try_into().ok()?;
    let ratio = |text: &str| text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    let (hit_ratio, byte_hit_ratio) = (ratio(hit_ratio)?, ratio(byte_hit_ratio)?);
    let capacity = capacity.parse().ok().filter(|capacity| *capacity > 0)?;
    percent.parse::<f64>().ok()?;
    let policy = POLICIES.into_iter().find(|(in_file, _)| *in_file == name);
    Some(policy.map(|(_, policy)| Offline {
        trace: trace.into(),
        capacity,
        policy,
        hit_ratio,
        byte_hit_ratio,
    }))
}
