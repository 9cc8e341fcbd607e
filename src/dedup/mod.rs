//! Every message once: ids that were processed, and offsets that were.
//!
//! A log with redelivery hands the same message out several times, to several threads at once. To look
//! whether an id is known and then to add it are two steps, and two threads find the same id new. Here
//! [`Deduplicator::claim`] is one step: exactly one caller gets [`Claim::New`], with a [`Ticket`] that
//! it completes when the message is processed, or drops to give the claim back.
//!
//! | you have | use |
//! |---|---|
//! | ids of any kind, redelivered within some minutes | [`Deduplicator`] |
//! | offsets of partitions | [`OffsetTracker`]: it says what to commit, in memory that goes with the gaps |
//!
//! # Once, and when not
//!
//! A message is processed at least once, whatever happens; and at most once as long as it is remembered, processing
//! takes less than the lease, and the process lives. What was in flight when the process was killed is processed
//! again after a restart, and so is what was processed after the last snapshot. Over several processes nothing is
//! promised but that no commit passes what was not processed.
//!
//! # How it works
//!
//! | file | idea |
//! |---|---|
//! | `word` | the packed word that says what is known of an id; its states and invariants |
//! | `record` | what the cache keeps of an id |
//! | `ring` | the order of completion, in which ids are forgotten |
//! | `store` | where these meet: claim, complete, give back, forget |
//! | `waiters`, `wait` | joining a claim in progress |
//! | `settings`, `error` | builders, environment variables, and what can be wrong with them |
//! | `deduplicator`, `ticket` | what users see |
//! | `cleanup` | forgetting what has expired, what makes room, and claims whose holders never came back |
//! | `guests` | what came from a snapshot, in the order in which it is due |
//! | `asked` | an id that is given away, or lent |
//! | `snapshot`, `ident`, `saves` | bytes that survive a restart; the files that they are in |
//! | `set`, `span`, `lane` | sets of offsets; what is known of a partition; its lock, its generations |
//! | `offsets`, `offset_ticket` | the tracker, as users see it |
//! | `partitions` | how the partitions are doing |
//! | `process` | from a claim to an outcome |
//! | `tally`, `metrics` | counters |
//! | `keeper` | the threads that clean up and write snapshots |

mod asked;
mod cleanup;
mod deduplicator;
mod error;
mod guests;
mod ident;
mod keeper;
mod lane;
mod metrics;
#[cfg(all(test, clockhand_loom))]
mod models;
mod offset_ticket;
mod offsets;
mod partitions;
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
mod wait;
#[cfg_attr(
    not(feature = "async"),
    expect(dead_code, reason = "only tasks need their leases watched")
)]
mod waiters;
mod word;

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
