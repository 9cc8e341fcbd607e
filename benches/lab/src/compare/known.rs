//! Hit ratios that are known for some traces: a folder's `rows.csv`.

use std::fs;
use std::path::Path;

use crate::built_in::ROWS;
use crate::failure::Failure;

const FILE: &str = "rows.csv";
const HEADER: &str = "trace,entries,policy,hit_ratio";

/// What a policy reaches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) trace: String,
    pub(super) entries: u64,
    pub(super) policy: String,
    pub(super) hit_ratio: f64,
}

/// Reads the file of this folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Known>, Failure> {
    let path = folder.join(FILE);
    let failure = |line: String| Failure::Input(format!("{} {line}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| {
        failure(format!("cannot be read: {error}; give a folder of traces with a {FILE}"))
    })?;
    rows(&text).map_err(failure)
}

/// What is known of the traces that are built in.
pub(super) fn built_in() -> Result<Vec<Known>, Failure> {
    rows(ROWS).map_err(|line| Failure::Broken(format!("the built-in {FILE} {line}")))
}

/// The rows of a file. What is wrong with it continues a sentence that begins with its name.
fn rows(text: &str) -> Result<Vec<Known>, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    if lines.next().is_none_or(|(_, line)| line.trim() != HEADER) {
        return Err(format!("does not begin with the line `{HEADER}`"));
    }
    let row = |(at, line): (usize, &str)| {
        parse(line)
            .ok_or_else(|| format!("has no name, whole number, name, ratio in line {}", at + 1))
    };
    let rows = lines.map(row).collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() { Err("has no rows".into()) } else { Ok(rows) }
}

fn parse(line: &str) -> Option<Known> {
    let fields = line.trim().split(',').collect::<Vec<_>>();
    let [trace, entries, policy, hit_ratio] = fields.try_into().ok()?;
    let entries = entries.parse().ok().filter(|entries| *entries > 0)?;
    let hit_ratio = hit_ratio.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio))?;
    Some(Known { trace: trace.into(), entries, policy: policy.into(), hit_ratio })
}
