//! The answers as tables, in Markdown.

use std::collections::BTreeSet;
use std::fmt;

use comfy_table::Table;

use super::answers::{Best, Comparison, Reached, Row};
use super::units::{Group, QUANTILES, REFERENCE, Unit};
use crate::measure::{Column, list, section, table, table_of};
use crate::report::{median, short};

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
        list(f, &self.setup)?;
        for (group, title) in [(Group::Speed, "Speed"), (Group::Memory, "Memory")] {
            section(f, title, &values(self.of(group)))?;
        }
        if self.of(Group::Latency).next().is_some() {
            self.fmt_latency(f)?;
        }
        section(f, "clockhand beside the best", &best(&self.best))?;
        section(f, "Goals", &goals(&self.rows))?;
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
        section(f, "Latency", &table(&header, 3, lines))?;
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

fn values<'r>(rows: impl Iterator<Item = &'r Row>) -> Table {
    let columns: [Column<'_, Row>; 9] = [
        ("question", &|row| match row.group {
            Group::Memory => format!("{}: {}", row.question, row.measure),
            _ => row.question.clone(),
        }),
        ("threads", &|row| row.threads.to_string()),
        ("cache", &|row| row.peer.into()),
        ("median", &|row| format!("{} {}", short(row.value.median), row.unit)),
        ("rounds", &|row| row.value.ends()),
        ("ns/op, thread", &|row| row.ns_per_operation.map_or(String::new(), short)),
        ("/ quick_cache", &|row| median(row.ratio)),
        ("get / this", &|row| median(row.clockhand_ratio)),
        ("Reader / this", &|row| median(row.reader_ratio)),
    ];
    table_of(&columns, 3, rows)
}

fn best(rows: &[Best]) -> Table {
    let columns: [Column<'_, Best>; 7] = [
        ("question", &|best| best.question.clone()),
        ("threads", &|best| best.threads.to_string()),
        ("measure", &|best| best.measure.clone()),
        ("of the", &|best| if best.evicts { "caches" } else { "maps" }.into()),
        ("best", &|best| format!("{} {} {}", best.peer, short(best.value), best.unit)),
        ("get / best", &|best| best.clockhand_ratio.map_or(String::new(), short)),
        ("Reader / best", &|best| best.reader_ratio.map_or(String::new(), short)),
    ];
    table_of(&columns, 5, rows)
}

/// One line for each goal of a row.
fn goals(rows: &[Row]) -> Table {
    let goals = rows.iter().flat_map(|row| row.goals.iter().map(move |reached| (row, reached)));
    let goals = goals.collect::<Vec<_>>();
    let columns: [Column<'_, (&Row, &Reached)>; 7] = [
        ("question", &|(row, _)| row.question.clone()),
        ("threads", &|(row, _)| row.threads.to_string()),
        ("measure", &|(row, _)| row.measure.clone()),
        ("cache", &|(row, _)| row.peer.into()),
        ("goal", &|(_, reached)| reached.goal.clone()),
        ("reached", &|(_, reached)| short(reached.reached)),
        ("met", &|(_, reached)| if reached.met { "yes" } else { "no" }.into()),
    ];
    table_of(&columns, 4, &goals)
}
