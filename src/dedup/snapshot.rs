//! Snapshots as bytes.
//!
//! ```text
//! +------------+-------------+--------------------+----------+---------+----------------+
//! | "clkdedup" | version: 16 | whole length: 64   | contents | records | checksum: 32   |
//! +------------+-------------+--------------------+----------+---------+----------------+
//! ```
//!
//! Numbers are little-endian. `contents` is a text that names the kind of records. The checksum is
//! the CRC-32 of all bytes before it. A record of an id is the nanoseconds that it has left, all
//! ones if it does not expire, and the id. A record of a partition is its topic, its number, four
//! offsets and the three sets of its span.

use std::hash::Hash;
use std::time::Duration;

use super::error::SnapshotError;
use super::ident::SnapshotId;
use super::set::{END, OffsetSet};
use super::span::Span;
use super::store::Store;
use super::tracked_partition::TrackedPartitions;
use crate::time::{Moment, nanos};

const MAGIC: &[u8; 8] = b"clkdedup";
const VERSION: u16 = 2;
const CHECKSUM: usize = size_of::<u32>();
/// The bytes in front of the contents.
const HEAD: usize = MAGIC.len() + size_of::<u16>() + size_of::<u64>();
const NEVER_EXPIRES: u64 = u64::MAX;

/// The kind of records in a snapshot.
#[derive(Debug)]
pub(super) enum Contents {
    Ids(String),
    Offsets,
}

impl Contents {
    fn name(&self) -> String {
        match self {
            Self::Ids(kind) => format!("ids of {kind}"),
            Self::Offsets => "offsets".to_string(),
        }
    }
}

/// A snapshot that is being written.
#[derive(Debug)]
pub(super) struct SnapshotWriter(Vec<u8>);

impl SnapshotWriter {
    pub(super) fn new(contents: Contents) -> Self {
        let mut bytes = MAGIC.to_vec();
        VERSION.encode(&mut bytes);
        // The length, filled in at the end.
        0_u64.encode(&mut bytes);
        contents.name().encode(&mut bytes);
        Self(bytes)
    }

    pub(super) fn partition(&mut self, topic: &str, partition: i32, span: &Span) {
        topic.to_string().encode(&mut self.0);
        partition.encode(&mut self.0);
        for offset in [span.floor, span.first, span.low, span.frontier] {
            offset.encode(&mut self.0);
        }
        for set in [&span.resolved, &span.absent, &span.unknown] {
            set.encode(&mut self.0);
        }
    }

    pub(super) fn seal(self) -> Vec<u8> {
        let mut bytes = self.0;
        let whole = (bytes.len() + CHECKSUM) as u64;
        bytes[HEAD - size_of::<u64>()..HEAD].copy_from_slice(&whole.to_le_bytes());
        crc32fast::hash(&bytes).encode(&mut bytes);
        bytes
    }
}

fn put_id<Id: SnapshotId>(id: &Id, left: Option<Duration>, out: &mut Vec<u8>) {
    left.map_or(NEVER_EXPIRES, nanos).encode(out);
    id.encode(out);
}

/// Takes a snapshot of the ids that are remembered.
pub(super) fn of_ids<Id>(store: &Store<Id>) -> Vec<u8>
where
    Id: SnapshotId + Hash + Eq + Clone + Send + Sync + 'static,
{
    // The ring is read first, as ids move from there to the due set. In the bytes the due set comes
    // first, as its ids are older.
    let mut in_ring = Vec::new();
    store.for_each_in_ring(|id, left| put_id(id, left, &mut in_ring));
    let mut writer = SnapshotWriter::new(Contents::Ids(Id::kind()));
    store.for_each_in_due_set(|id, left| put_id(id, left, &mut writer.0));
    writer.0.append(&mut in_ring);
    writer.seal()
}

/// Takes a snapshot of the partitions that are reported.
pub(super) fn of_offsets(partitions: &TrackedPartitions) -> Vec<u8> {
    let mut writer = SnapshotWriter::new(Contents::Offsets);
    partitions.for_each(|tracked| {
        // A copy, so that nothing is written under the lock.
        if let Some(span) = tracked.reported(Span::remembered) {
            writer.partition(tracked.topic(), tracked.number(), &span);
        }
    });
    writer.seal()
}

/// Returns the records of a snapshot, if it is complete, undamaged, and of this kind.
fn open<'b>(bytes: &'b [u8], contents: &Contents) -> Result<&'b [u8], SnapshotError> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Foreign)?;
    let found = bytes.len() as u64;
    let short = SnapshotError::Length { expected: (HEAD + CHECKSUM) as u64, found };
    let version = u16::decode(&mut rest).ok_or(short.clone())?;
    if version != VERSION {
        return Err(SnapshotError::Version { found: version });
    }
    let expected = u64::decode(&mut rest).ok_or(short.clone())?;
    if expected != found {
        return Err(SnapshotError::Length { expected, found });
    }
    let (mut rest, checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or(short)?;
    if crc32fast::hash(&bytes[..bytes.len() - CHECKSUM]) != u32::from_le_bytes(*checksum) {
        return Err(SnapshotError::Corrupt);
    }
    let (found, expected) =
        (String::decode(&mut rest).ok_or(SnapshotError::Corrupt)?, contents.name());
    if found == expected { Ok(rest) } else { Err(SnapshotError::OtherContents { expected, found }) }
}

/// Returns the ids in a snapshot, oldest first, with the time that each has left.
pub(super) fn ids<Id: SnapshotId>(
    bytes: &[u8],
) -> Result<Vec<(Id, Option<Duration>)>, SnapshotError> {
    let mut rest = open(bytes, &Contents::Ids(Id::kind()))?;
    let mut ids = Vec::new();
    while !rest.is_empty() {
        let nanos = u64::decode(&mut rest).ok_or(SnapshotError::Corrupt)?;
        let id = Id::decode(&mut rest).ok_or(SnapshotError::Corrupt)?;
        ids.push((id, (nanos != NEVER_EXPIRES).then(|| Duration::from_nanos(nanos))));
    }
    Ok(ids)
}

/// Returns the partitions in a snapshot.
pub(super) fn partitions(
    bytes: &[u8],
    now: Moment,
) -> Result<Vec<(String, i32, Span)>, SnapshotError> {
    let mut rest = open(bytes, &Contents::Offsets)?;
    let mut partitions = Vec::new();
    while !rest.is_empty() {
        partitions.push(partition(&mut rest, now).ok_or(SnapshotError::Corrupt)?);
    }
    Ok(partitions)
}

fn partition(rest: &mut &[u8], now: Moment) -> Option<(String, i32, Span)> {
    let topic = String::decode(rest)?;
    let partition = i32::decode(rest)?;
    let mut offset = || u64::decode(rest);
    let (floor, first, low, frontier) = (offset()?, offset()?, offset()?, offset()?);
    let [resolved, absent, unknown] =
        [OffsetSet::decode(rest)?, OffsetSet::decode(rest)?, OffsetSet::decode(rest)?];
    let in_order = floor <= first && first <= low && low <= END && first <= frontier;
    if !in_order || frontier > END {
        return None;
    }
    let mut span = Span::new(first, floor, now);
    (span.low, span.frontier) = (low, frontier);
    (span.resolved, span.absent, span.unknown) = (resolved, absent, unknown);
    span.normalize(now);
    Some((topic, partition, span))
}
