//! What the tier counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that orders nothing.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        // ORDERING: Relaxed: nothing is published by a count.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // ORDERING: Relaxed: nothing is published by a count.
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counts {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The counts as they go on.
        #[derive(Default)]
        pub(crate) struct Counts {
            $(pub(crate) $name: Count,)*
        }

        /// What the second tier has done since it was built.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct TierStats {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Counts {
            pub(crate) fn read(&self) -> TierStats {
                TierStats { $($name: self.$name.get(),)* }
            }
        }

        impl TierStats {
            /// The names of the counts, what they are, and their values.
            pub fn figures(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),*), self.$name),)*].into_iter()
            }
        }
    };
}

counts! {
    /// Reads that found a value.
    hits,
    /// Reads that found none.
    misses,
    /// Reads that could not be done.
    errors,
    /// Values of loads that were stored.
    puts,
    /// Values of loads that were not stored, as something was written to the key meanwhile, or the load took too long.
    fenced,
    /// Values that were written by `insert`.
    inserts,
    /// Keys that were removed by `invalidate`.
    removals,
    /// Writes that did not reach the server, or may not have.
    failed_writes,
    /// Keys of failed writes that were removed from the server later.
    repaired,
    /// Times that the log of failed writes overflowed, so that the generation was advanced.
    overflows,
    /// Keys that other instances or the server have told to be invalid.
    invalidations,
    /// Times that everything was told to be invalid.
    flushes,
    /// Messages that name no key of this tier.
    foreign_messages,
    /// Times that the connection was set up.
    connects,
    /// Times that the connection was lost.
    disconnects,
    /// Times that the breaker has opened.
    breaker_opened,
    /// Operations that were not sent, as the breaker was open or too many were under way.
    refused,
    /// Operations that took longer than their timeout.
    timeouts,
    /// Values whose envelope was damaged or cut short, or none at all.
    corrupt,
    /// Values in an envelope of a newer format, or of another codec.
    other_format,
    /// Values that were larger than allowed, read or to be written.
    too_large,
    /// Values that the codec could not encode or decode.
    undecodable,
    /// Ids that were claimed on the server.
    claims,
    /// Claims of ids that another instance had done or was processing.
    duplicates,
    /// Claims that were granted by this instance alone, as the server could not be asked.
    claims_alone,
    /// Completions of claims that were lost by then.
    late,
    /// Completions that the server was not told of.
    unsettled,
    /// Loads that waited for the lease of another instance.
    lease_waits,
    /// Loads that did not wait any longer, and loaded for themselves.
    lease_timeouts,
}
