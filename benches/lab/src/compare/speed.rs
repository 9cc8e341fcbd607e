//! The questions about speed, each with every number of threads.

use super::batches::Batches;
use super::churn::Churn;
use super::effort::Effort;
use super::fill::{self, Fill};
use super::keys::zipf_streams;
use super::mixed::{self, Mixed};
use super::read::{FEW, MANY, Reads};
use super::weighted::Weighted;
use super::{Interview, Row};
use crate::failure::Failure;

/// How many questions [`ask_all`] asks.
pub(super) fn questions(effort: &Effort) -> u64 {
    let threads = effort.threads.len() as u64;
    8 * threads + if effort.quick { 2 } else { 2 * threads }
}

pub(super) fn ask_all(interview: &Interview<'_>) -> Result<Vec<Row>, Failure> {
    let effort = interview.effort;
    let (time, rounds) = (effort.throughput, effort.rounds);
    let most = effort.threads.iter().copied().max().unwrap_or(1);
    let mut rows = Vec::new();

    let streams = zipf_streams(FEW, 0.99, most);
    for &threads in &effort.threads {
        rows.extend(interview.ask(&Reads::hits(FEW, &streams, threads, time), rounds)?);
    }
    let streams = zipf_streams(MANY, 0.99, most);
    for &threads in effort.threads.iter().filter(|threads| !effort.quick || **threads == most) {
        rows.extend(interview.ask(&Reads::hits(MANY, &streams, threads, time), rounds)?);
        rows.extend(interview.ask(&Batches::new(&streams, threads, time), rounds)?);
    }
    for &threads in &effort.threads {
        rows.extend(interview.ask(&Reads::misses(threads, time), rounds)?);
    }
    for &threads in &effort.threads {
        rows.extend(interview.ask(&Reads::hot_key(threads, time), rounds)?);
    }
    let streams = zipf_streams(fill::KEYS, 0.9, most);
    for &threads in &effort.threads {
        rows.extend(interview.ask(&Fill::new(&streams, threads, time), rounds)?);
    }
    for &threads in &effort.threads {
        rows.extend(interview.ask(&Churn::new(threads, time), rounds)?);
    }
    for &threads in &effort.threads {
        rows.extend(interview.ask(&Weighted::new(threads, time), rounds)?);
    }
    let streams = zipf_streams(mixed::KEYS, 0.99, most);
    for inserts_percent in mixed::PERCENT {
        for &threads in &effort.threads {
            let mixed = Mixed::new(&streams, inserts_percent, threads, time);
            rows.extend(interview.ask(&mixed, rounds)?);
        }
    }
    Ok(rows)
}
