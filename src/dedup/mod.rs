//! Every message once: ids and offsets that were processed are remembered.
//!
//! A log with redelivery delivers the same message several times, to several threads concurrently.
//! Looking whether an id is known and then adding it are two steps, between which two threads find
//! the same id new. [`Deduplicator::claim`] is one step: exactly one caller gets [`Claim::New`],
//! with a [`Ticket`] that it completes when the message is processed, or drops to give the claim
//! back.
//!
//! | you have | use |
//! |---|---|
//! | ids of any kind, redelivered within some minutes | [`Deduplicator`] |
//! | offsets of partitions | [`OffsetTracker`]: it tells what to commit, in memory proportional to the gaps |
//!
//! | to | call |
//! |---|---|
//! | process a message unless that was done | `process`, or `process_async` for a future (feature `async`) |
//! | claim it, and complete or extend the claim yourself | `claim`, then [`Ticket::complete`], [`Ticket::extend`] or a drop |
//! | wait until another caller is done | `wait_done`, `wait_done_async` |
//! | note it as processed without any work | `mark_processed` |
//! | survive a restart | `snapshot_every`, `snapshot_to`, `restore_from` |
//! | commit offsets | [`OffsetTracker::polled`] with each batch, [`OffsetTracker::committable`] before a commit |
//! | follow a rebalance or a seek | [`OffsetTracker::assign`], [`OffsetTracker::revoke`], [`OffsetTracker::seek`] |
//!
//! # When a message is processed once, and when not
//!
//! A message is processed at least once in any case. It is processed at most once as long as it is
//! remembered, processing takes less than the lease, and the process lives. Messages that were in
//! progress when the process was killed are processed again after a restart, and so are those that
//! were processed after the last snapshot. Across several processes, the only promise is that no
//! commit passes a message that was not processed.
//!
//! # How it works
//!
//! | file | idea |
//! |---|---|
//! | `claim_word` | the packed word with the state of an id; its states and invariants |
//! | `record` | what the cache keeps of an id |
//! | `ring` | the order of completion, in which ids are forgotten |
//! | `store` | what these do together: claim, complete, give back, forget |
//! | `waiters`, `wait` | joining a claim in progress |
//! | `settings`, `error` | builders, environment variables, and their errors |
//! | `deduplicator`, `ticket` | the public interface |
//! | `cleanup` | forgetting what has expired, what makes room, and claims whose holders never came back |
//! | `due_set` | ids that are done and not in the ring, such as restored ones, in the order in which they are due |
//! | `id_source` | an id that a claim takes, or borrows |
//! | `snapshot`, `ident`, `saves` | bytes that survive a restart; the files that they are in |
//! | `set`, `span`, `tracked_partition` | sets of offsets; what is known of a partition; its lock, its generations |
//! | `offsets`, `offset_ticket` | the public interface of the tracker |
//! | `partitions` | the status of partitions |
//! | `process` | from a claim to an outcome |
//! | `tally`, `metrics` | counters |
//! | `periodic` | the threads that clean up and write snapshots |

mod claim_word;
mod cleanup;
mod deduplicator;
mod due_set;
mod error;
mod id_source;
mod ident;
mod metrics;
#[cfg(all(test, clockhand_loom))]
mod models;
mod offset_ticket;
mod offsets;
mod partitions;
mod periodic;
mod process;
mod record;
mod ring;
mod saves;
mod set;
mod settings;
mod snapshot;
mod span;
mod store;
mod tally;
#[cfg(all(test, not(clockhand_loom)))]
mod tests;
mod ticket;
mod tracked_partition;
mod wait;
#[cfg_attr(
    not(feature = "async"),
    expect(dead_code, reason = "only tasks need their leases watched")
)]
mod waiters;

pub use deduplicator::Deduplicator;
pub use error::{SettingsError, SnapshotError};
pub use ident::SnapshotId;
pub use metrics::Metrics;
pub use offset_ticket::OffsetTicket;
pub use offsets::{OffsetTracker, OffsetTrackerBuilder, Partition, PendingOffset};
pub use partitions::PartitionStatus;
pub use settings::DeduplicatorBuilder;
pub use ticket::{Claim, Outcome, Ticket};
pub use wait::Waited;
#[cfg(feature = "async")]
pub use wait::{WaitDone, WaitOffset};
