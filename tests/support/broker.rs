//! A broker of partitioned logs, simulated: markers, compaction, a group whose members come and go, commits.
//!
//! It keeps to what Kafka promises, and to no more. It knows which records were processed, so it can tell when a commit
//! passes one that was not.
#![allow(dead_code, reason = "every user has its own part of this")]

use std::collections::{BTreeMap, BTreeSet};

/// A record: where it is, and what no other record has, not even one that had its place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) id: u64,
}

/// Who may commit: a member in one generation of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: usize,
    pub(crate) generation: u64,
}

#[derive(Debug, Default)]
struct Log {
    records: BTreeMap<i64, u64>,
    end: i64,
    /// Nothing was committed yet.
    committed: Option<i64>,
    owner: Option<usize>,
}

/// The broker of one topic, with one group.
#[derive(Debug)]
pub(crate) struct Broker {
    logs: Vec<Log>,
    next_id: u64,
    generation: u64,
    /// Commits of older generations are refused, as Kafka does; other logs do not.
    pub(crate) fences: bool,
    /// Whose work was done.
    processed: BTreeSet<u64>,
    /// Over which a consumer sought, and so does not want.
    waived: BTreeSet<u64>,
}

impl Broker {
    pub(crate) fn new(partitions: usize, fences: bool) -> Self {
        let logs = (0..partitions).map(|_| Log::default()).collect();
        let (processed, waived) = (BTreeSet::new(), BTreeSet::new());
        Self { logs, next_id: 0, generation: 0, fences, processed, waived }
    }

    pub(crate) fn partitions(&self) -> i32 {
        self.logs.len() as i32
    }

    fn log(&mut self, partition: i32) -> &mut Log {
        &mut self.logs[partition as usize]
    }

    /// A transaction: so many records, and a marker behind them.
    pub(crate) fn produce(&mut self, partition: i32, records: u64, marker: bool) {
        for _ in 0..records {
            let id = self.next_id;
            self.next_id += 1;
            let log = self.log(partition);
            log.records.insert(log.end, id);
            log.end += 1;
        }
        self.log(partition).end += i64::from(marker);
    }

    /// Offsets that are given to nothing.
    pub(crate) fn skip_offsets(&mut self, partition: i32, offsets: i64) {
        self.log(partition).end += offsets;
    }

    /// Removes a record, as compaction does; never the last one.
    pub(crate) fn compact(&mut self, partition: i32, nth: usize) {
        let log = self.log(partition);
        if nth + 1 < log.records.len()
            && let Some(&offset) = log.records.keys().nth(nth)
        {
            log.records.remove(&offset);
        }
    }

    /// Deletes the topic's partition and makes it anew.
    pub(crate) fn make_anew(&mut self, partition: i32) {
        *self.log(partition) = Log::default();
    }

    pub(crate) fn end(&self, partition: i32) -> i64 {
        self.logs[partition as usize].end
    }

    /// Where a consumer begins; negative, as clients have it, if nothing was committed.
    pub(crate) fn committed(&self, partition: i32) -> i64 {
        self.logs[partition as usize].committed.unwrap_or(-1001)
    }

    /// The records from a position on, at most so many.
    pub(crate) fn fetch(&self, partition: i32, position: i64, most: usize) -> Vec<Record> {
        let log = &self.logs[partition as usize];
        let from = log.records.range(position.max(0)..);
        from.take(most).map(|(&offset, &id)| Record { partition, offset, id }).collect()
    }

    /// Deals the partitions out to members; the generation of the group that begins with it.
    pub(crate) fn rebalance(&mut self, owners: &[Option<usize>]) -> u64 {
        self.generation += 1;
        for (log, owner) in self.logs.iter_mut().zip(owners) {
            log.owner = *owner;
        }
        self.generation
    }

    pub(crate) fn rebalance_generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn owner(&self, partition: i32) -> Option<usize> {
        self.logs[partition as usize].owner
    }

    /// Accepts a commit, unless its member is of an older generation, or has the partition no longer.
    ///
    /// # Panics
    ///
    /// If it passes a record whose work was not done: the promise that consumers are tested for.
    pub(crate) fn commit(&mut self, member: Member, partition: i32, offset: i64) -> bool {
        let owns = self.owner(partition) == Some(member.name);
        if self.fences && (member.generation != self.generation || !owns) {
            return false;
        }
        let unprocessed = self.unprocessed(partition).find(|record| record.offset < offset);
        assert_eq!(unprocessed, None, "{member:?} commits {offset} of partition {partition}");
        assert!(offset <= self.end(partition), "{member:?} commits {offset}, behind the end");
        self.log(partition).committed = Some(offset);
        true
    }

    /// The work of a record was done.
    pub(crate) fn note_processed(&mut self, record: Record) {
        self.processed.insert(record.id);
    }

    /// A consumer seeks over what lies between.
    pub(crate) fn waive(&mut self, partition: i32, from: i64, to: i64) {
        let log = &self.logs[partition as usize];
        if from < to {
            self.waived.extend(log.records.range(from..to).map(|(_, &id)| id));
        }
    }

    /// The records that exist and were not processed.
    pub(crate) fn unprocessed(&self, partition: i32) -> impl Iterator<Item = Record> {
        let log = &self.logs[partition as usize];
        let wanted = |id: &u64| !self.processed.contains(id) && !self.waived.contains(id);
        let records = log.records.iter().filter(move |(_, id)| wanted(id));
        records.map(move |(&offset, &id)| Record { partition, offset, id })
    }

    /// Whether everything was processed and committed.
    pub(crate) fn is_drained(&self) -> bool {
        (0..self.partitions()).all(|partition| {
            let last = self.logs[partition as usize].records.keys().next_back();
            let behind = last.is_some_and(|&last| self.committed(partition) <= last);
            !behind && self.unprocessed(partition).next().is_none()
        })
    }
}
