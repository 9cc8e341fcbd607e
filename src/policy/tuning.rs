//! The numbers of the policy, and where they come from.
//!
//! They were chosen on traces (`docs/benchmarks.md`), and none is sharp: a change by a third moves the mean hit ratio
//! in the third digit. Constants that only lay out bits are in the files of these bits.

// Probation.

/// Probation's target at the start and at least, as a part of the capacity. One percent is the window with which
/// W-TinyLFU starts, too.
pub(super) const MIN_PROBATION_FRACTION: f64 = 0.01;
/// Probation's target at most. The rest is for what was read: without it a loop longer than the cache leaves nothing.
pub(super) const MAX_PROBATION_FRACTION: f64 = 0.80;
/// Entries that probation's hand looks at for one victim. Where all were read since it last passed, the last one is
/// evicted all the same.
pub(super) const MAX_PROBATION_STEPS: usize = 24;
/// The same for the protected hand, which looks at an entry for each candidate.
pub(super) const MAX_PROTECTED_STEPS: usize = 16;
/// Batches that are taken from the FIFO for one victim. Their entries may all have left.
pub(super) const MAX_BATCHES: usize = 4;
/// Entries that one insert promotes while there is room: more than one, so that probation gets down to its target.
pub(super) const MAX_PROMOTED_PER_INSERT: usize = 4;

// Which entry stays.

/// How much longer an entry of the protected part must have been unread than a key was away that takes its place.
/// With one, a loop a little longer than the cache makes every key that was evicted come back as a ghost; with two,
/// a new working set waits for a round longer.
pub(super) const MIN_AGE_RATIO: f64 = 1.5;
/// For how many uses a read counts that the protected hand has not seen before, where an entry there is compared with
/// a candidate (ADR 27).
pub(super) const USES_PER_READ: u64 = 2;
/// By how much more often the key of the protected hand's entry must have been used than a candidate's for the hand
/// to go on. The hand stays at one that wins narrowly: so its age tells how long it was not read.
pub(super) const MIN_FREQUENCY_LEAD: u64 = 5;
/// Candidates that are compared with what was seen of the protected hand's entry until it is looked at again. It may
/// be read meanwhile.
pub(super) const MAX_COMPARISONS: u64 = 8;
/// How much more an entry at the protected hand must save for each unit of weight, asked for no more often, for a key
/// that came back soon not to start protected (ADR 22).
pub(super) const MIN_WORTH_RATIO: u64 = 2;
/// How much more than an entry of the protected part another one there was worth that a candidate lost to, for the
/// entry to be evicted although it was read (ADR 22).
pub(super) const WORTHLESS_RATIO: u64 = 16;
/// Entries of the protected part over which its hand goes on to one that is worth less: with it, the least of four
/// makes room (ADR 22).
pub(super) const MAX_LESS_WORTHY: usize = 3;
/// Parts of the capacity: an entry that needs more than one of them besides what is free may be on trial (ADR 22).
pub(super) const TRIAL_PARTS: u64 = 64;
/// The same for one that is a giant, and is on trial although it fits.
pub(super) const GIANT_PARTS: u64 = 4;
/// Entries of the protected part with which a heavy newcomer is compared: a sample of those that it displaces.
pub(super) const SAMPLE_SIZE: usize = 16;

// The FIFO.

/// Fingerprints in a batch at most: two cache lines.
pub(super) const MAX_BATCH: usize = 32;
/// Entries of the cache for each fingerprint in a batch. In a small cache, threads that keep a batch for themselves
/// would know of a large part of probation.
pub(super) const ENTRIES_PER_FINGERPRINT: usize = 1 << 10;
/// Batches that are with threads, and not counted.
pub(super) const UNCOUNTED_BATCHES: u64 = 4;
/// Entries that are inserted during one round of probation's hand, for each entry of the cache. The hand only finds
/// those that the FIFO has lost.
pub(super) const ARRIVALS_PER_ROUND: u64 = 2;
/// Attempts to take a batch that may be lost to other threads.
pub(super) const MAX_TAKE_ATTEMPTS: usize = 4;
/// Batches that are taken for one turn of probation's hand.
pub(super) const BATCHES_PER_TURN: u64 = 8;

// The hands.

/// Positions at which a hand notes the time: a round is known to a 64th.
pub(super) const CHECKPOINTS: usize = 64;
/// Entries of which a thread knows where they are: a batch of the FIFO.
pub(super) const MAX_AHEAD: usize = MAX_BATCH;
/// Parts of a range that are scanned one after the other, so that not all of it is scanned for one victim.
pub(super) const PARTS_PER_RANGE: u64 = 8;
/// Ranges that are taken for one entry.
pub(super) const MAX_RANGES: u64 = 16;

// What is remembered.

/// Misses, for each entry of the cache, after which a count of uses is halved (ADR 20). TinyLFU ages its sketch after
/// ten times the capacity.
pub(super) const CAPACITIES_PER_PERIOD: u64 = 12;
/// Entries of the cache for a set of sixteen ghosts: so there are 267 ghosts for each hundred entries (ADR 27).
pub(super) const ENTRIES_PER_GHOST_SET: usize = 6;
/// Sets of ghosts at least: in a small cache the ghosts are all that is known of the past.
pub(super) const MIN_GHOST_SETS: usize = 128;
/// A cache of fewer entries has half as many, so that its steps are single misses.
pub(super) const TINY: usize = 128;
/// Steps of the coarse time while as many misses happen as the cache has entries.
pub(super) const STEPS_PER_CAPACITY: usize = 64;
/// Ghosts for each miss in a step, at most: a ghost is replaced before its time comes round again.
pub(super) const GHOSTS_PER_STEP: usize = 1 << 10;
/// The part of the capacity in hundredths, in misses, within which a ghost is near: a little more probation would have kept its
/// key.
pub(super) const NEAR_HUNDREDTHS: u64 = 22;
/// For how long it counts that a key left probation, in misses for each entry of the cache (ADR 11).
pub(super) const FAR_CAPACITIES: u64 = 4;
/// For how long it counts that a key left the protected part, in tenths of the capacity in misses.
pub(super) const LATE_TENTHS: u64 = 7;
/// Causes in a set, and entries of the cache for one: nothing is decided by them, so they are few (ADR 18).
pub(super) const CAUSES_PER_SET: usize = 8;
pub(super) const ENTRIES_PER_CAUSE_SET: usize = 32;
/// Misses that a thread counts for itself, at most, and the part of the capacity that they are at most: so few that
/// no age is noticeably wrong (ADR 8).
pub(super) const MAX_UNREPORTED: u64 = 16;
pub(super) const UNREPORTED_PART: u64 = 256;
/// Bytes of the history for each entry of a large cache, at most.
pub(super) const MAX_BYTES_PER_ENTRY: u128 = 24;
