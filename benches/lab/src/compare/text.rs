//! The answers as tables, in Markdown.

use std::collections::BTreeSet;
use std::fmt;

use super::answers::{Best, Comparison, Reached, Row};
use super::tables::write_table;
use super::units::{Group, QUANTILES, REFERENCE, Unit};
use crate::report::{Spread, short};

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Throughput => "M/s",
            Self::Latency => "ns",
            Self::Memory => "B/entry",
            Self::Excess => "B",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setup.iter().try_for_each(|line| writeln!(f, "- {line}"))?;
        for (group, title) in [(Group::Speed, "Speed"), (Group::Memory, "Memory")] {
            let rows = self.of(group).map(value_cells).collect::<Vec<_>>();
            write_table(f, title, &VALUES, rows, 3)?;
        }
        if self.of(Group::Latency).next().is_some() {
            self.fmt_latency(f)?;
        }
        let best = self.best.iter().map(best_cells).collect();
        write_table(f, "clockhand beside the best", &BEST, best, 5)?;
        let goals = self.rows.iter().flat_map(goals_of).collect();
        write_table(f, "Goals", &GOALS, goals, 4)?;
        if let Some(hit_ratios) = &self.hit_ratios {
            hit_ratios.fmt(f)?;
        }
        self.fmt_remarks(f)
    }
}

impl Comparison {
    fn of(&self, group: Group) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.group == group)
    }

    /// One line for each operation of a cache, its quantiles side by side.
    fn fmt_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.of(Group::Latency).collect::<Vec<_>>();
        let mut lines = Vec::new();
        for row in rows.iter().filter(|row| row.measure.ends_with(QUANTILES[0])) {
            let operation = row.measure.trim_end_matches(QUANTILES[0]).trim_end();
            let quantile = |quantile: &&str| {
                let measure = format!("{operation} {quantile}");
                rows.iter().find(|other| {
                    (&other.question, other.threads, other.peer, &other.measure)
                        == (&row.question, row.threads, row.peer, &measure)
                })
            };
            let mut line = vec![
                format!("{}: {operation}", row.question),
                row.threads.to_string(),
                row.peer.into(),
            ];
            let figures = QUANTILES.iter().filter_map(quantile).collect::<Vec<_>>();
            line.extend(figures.iter().map(|row| short(row.value.median)));
            let tail = figures.get(TAIL);
            line.push(median(tail.and_then(|row| row.ratio)));
            line.push(median(tail.and_then(|row| row.clockhand_ratio)));
            line.push(median(tail.and_then(|row| row.reader_ratio)));
            lines.push(line);
        }
        let tail = QUANTILES[TAIL];
        let ratio = format!("{tail} / {REFERENCE}");
        let [get, reader] = ["get", "Reader"].map(|handle| format!("{handle} / this, {tail}"));
        let mut header = vec!["question", "threads", "cache"];
        header.extend(QUANTILES);
        header.extend([&*ratio, &get, &reader]);
        let clock = self.clock_ns;
        write_table(f, "Latency", &header, lines, 3)?;
        writeln!(
            f,
            "\nNanoseconds, medians of the rounds; every operation is timed, and the clock's own {clock} ns are included."
        )
    }

    /// One line for each cache and question, however many measures it has.
    fn fmt_remarks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remark = |row: &Row| {
            let Row { question, threads, peer, .. } = row;
            let remark = row.remark.as_ref()?;
            Some(format!("{question}, threads: {threads}, {peer}: {remark}."))
        };
        let remarks = self.rows.iter().filter_map(remark).collect::<BTreeSet<_>>();
        remarks.iter().try_for_each(|remark| write!(f, "\n- {remark}"))?;
        if remarks.is_empty() { Ok(()) } else { writeln!(f) }
    }
}

/// Which of the quantiles has its ratios in the table.
const TAIL: usize = 2;

const VALUES: [&str; 9] = [
    "question",
    "threads",
    "cache",
    "median",
    "rounds",
    "ns/op, thread",
    "/ quick_cache",
    "get / this",
    "Reader / this",
];

fn value_cells(row: &Row) -> Vec<String> {
    let question = match row.group {
        Group::Memory => format!("{}: {}", row.question, row.measure),
        _ => row.question.clone(),
    };
    vec![
        question,
        row.threads.to_string(),
        row.peer.into(),
        format!("{} {}", short(row.value.median), row.unit),
        format!("{} to {}", short(row.value.min), short(row.value.max)),
        row.ns_per_operation.map_or(String::new(), short),
        median(row.ratio),
        median(row.clockhand_ratio),
        median(row.reader_ratio),
    ]
}

const BEST: [&str; 7] =
    ["question", "threads", "measure", "of the", "best", "get / best", "Reader / best"];

fn best_cells(best: &Best) -> Vec<String> {
    let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), short);
    vec![
        best.question.clone(),
        best.threads.to_string(),
        best.measure.clone(),
        if best.evicts { "caches" } else { "maps" }.into(),
        format!("{} {} {}", best.peer, short(best.value), best.unit),
        ratio(best.clockhand_ratio),
        ratio(best.reader_ratio),
    ]
}

const GOALS: [&str; 7] = ["question", "threads", "measure", "cache", "goal", "reached", "met"];

/// The goals of a row, one line each.
fn goals_of(row: &Row) -> impl Iterator<Item = Vec<String>> {
    row.goals.iter().map(|reached| goal_cells(row, reached))
}

fn goal_cells(row: &Row, reached: &Reached) -> Vec<String> {
    vec![
        row.question.clone(),
        row.threads.to_string(),
        row.measure.clone(),
        row.peer.into(),
        reached.goal.clone(),
        short(reached.reached),
        if reached.met { "yes" } else { "no" }.into(),
    ]
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or(String::new(), |spread| short(spread.median))
}
