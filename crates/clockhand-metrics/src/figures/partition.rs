//! The figures of the partitions of a tracker.

use clockhand::dedup::PartitionStatus;

use super::Number::{Real, Signed, Whole};
use super::{Family, Number, Tell, Unit};

type Partitions = Family<Vec<PartitionStatus>>;

/// Tells a number of each partition.
fn each(all: &[PartitionStatus], tell: &mut Tell<'_>, number: impl Fn(&PartitionStatus) -> Number) {
    for one in all {
        tell(&[("topic", &one.topic), ("partition", &one.partition.to_string())], number(one));
    }
}

pub(crate) const FAMILIES: &[Partitions] = &[
    Partitions::gauge("watermark", "The offset to commit.", |all, tell| {
        each(all, tell, |one| Signed(one.committable));
    }),
    Partitions::gauge(
        "lag",
        "Offsets between the one to commit and the last one that is known.",
        |all, tell| {
            each(all, tell, |one| Whole(one.lag));
        },
    ),
    Partitions::gauge(
        "oldest_pending",
        "How long the oldest offset has been pending.",
        |all, tell| {
            each(all, tell, |one| {
                Real(one.oldest_pending.map_or(0.0, |pending| pending.age.as_secs_f64()))
            });
        },
    )
    .of(Unit::Seconds),
];
