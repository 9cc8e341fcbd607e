//! The command line: arguments in, an exit status out, every failure on one line.

#[cfg(not(all(feature = "peers", feature = "predict", feature = "serve", feature = "tier")))]
mod absent;
#[cfg(feature = "peers")]
mod compare;
#[cfg(feature = "demos")]
mod races;
mod replay;
mod said;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "demos")]
mod stampede;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

#[cfg(not(all(feature = "peers", feature = "predict", feature = "serve", feature = "tier")))]
use self::absent::Absent;
#[cfg(feature = "peers")]
use self::compare::Compare;
#[cfg(feature = "demos")]
use self::races::{Dedup, Races};
use self::replay::Replay;
#[cfg(feature = "peers")]
use self::said::print_json;
#[cfg(any(feature = "peers", feature = "predict", feature = "tier"))]
use self::said::told;
use self::said::{finish, print, usage};
#[cfg(feature = "demos")]
pub(crate) use self::values::contestants;
pub(crate) use self::values::{seconds, threads};
#[cfg(feature = "peers")]
use crate::load;
#[cfg(feature = "peers")]
use crate::peers::{self, Hashers};
#[cfg(feature = "demos")]
use crate::stampede::Order;

/// Replays access traces through clockhand and compares it with other caches.
#[derive(Debug, Parser)]
#[command(name = "clockhand-lab", version)]
struct Lab {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay traces: look each key up, insert it on a miss
    ///
    /// Each file is replayed on its own: one pass from an empty cache for the hit ratio, then
    /// repeated passes for throughput and latency. `NAME.u64.zst` is one little-endian u64 key per
    /// access, compressed with zstd; `NAME.u32.zst` beside it, one u32 size per access, makes the
    /// sizes the weights. At most 4 GiB are unpacked of a file.
    Replay(Replay),
    /// Compare clockhand with its peers in one run
    ///
    /// Rounds of all caches take turns. Printed are the median round, the spread, and the ratio to
    /// quick_cache within the same rounds. Leave the machine alone meanwhile.
    #[cfg(feature = "peers")]
    Compare(Compare),
    /// Compare clockhand with its peers in one run (feature `peers`)
    #[cfg(not(feature = "peers"))]
    Compare(Absent),
    /// Run the races that the library exists for: naive caches lose them, clockhand does not
    ///
    /// Each race is run twice: with a map whose every step is under a lock, and with clockhand doing
    /// the same work. Printed is how often it went wrong.
    #[cfg(feature = "demos")]
    Races(Races),
    /// Run the races that the library exists for (feature `demos`)
    #[cfg(not(feature = "demos"))]
    Races(Absent),
    /// Measure what a hit, a miss and a wait for another's load cost, beside moka and quick_cache
    ///
    /// Through `get_or_load` and `get_or_load_async`, and what the others have for it. Rounds of all
    /// caches take turns.
    #[cfg(feature = "peers")]
    Load(load::Order),
    /// Measure what loading costs, beside moka and quick_cache (feature `peers`)
    #[cfg(not(feature = "peers"))]
    Load(Absent),
    /// Let a hundred clients ask while the store behind the cache is slow: before and after, and four ways
    ///
    /// Before: a naive cache with the races in it; after: clockhand. Then a few keys without a cache; by get
    /// and then insert; by `get_or_load`; by a `LoadingCache` that renews values ahead of their expiry. It
    /// takes five times `--seconds`, about.
    #[cfg(feature = "demos")]
    Stampede(Order),
    /// Let a hundred clients ask while the store behind the cache is slow (feature `demos`)
    #[cfg(not(feature = "demos"))]
    Stampede(Absent),
    /// Serve quotes and candles of a generated market feed, with the page and the metrics of the caches
    ///
    /// Each message of the feed, some of which come twice, is processed once, into a cache of quotes that
    /// threads read; candles are loaded from a slow origin. It stops at Ctrl-C or SIGTERM, with a report.
    #[cfg(feature = "serve")]
    Serve(crate::serve::Order),
    /// Serve quotes and candles of a generated market feed, with a page (feature `serve`)
    #[cfg(not(feature = "serve"))]
    Serve(Absent),
    /// Load ahead of requests, by models and without, on generated days of a market and on traces
    ///
    /// Printed are the waits that each way avoids and the loads that it costs. Figures are the same every time.
    #[cfg(feature = "predict")]
    Predict(crate::predict::Order),
    /// Load ahead of requests, by models and without (feature `predict`)
    #[cfg(not(feature = "predict"))]
    Predict(Absent),
    /// Measure what a second tier in Redis costs, beside the plain client and the store of `cached`
    ///
    /// Hits in the cache and in Redis, misses, a hundred keys at once, and writes, by one and by five instances. A
    /// `redis-server` is started for that, unless one is given.
    #[cfg(feature = "tier")]
    Tier(crate::tier::Order),
    /// Measure what a second tier in Redis costs (feature `tier`)
    #[cfg(not(feature = "tier"))]
    Tier(Absent),
    /// Consume a log with redelivery, with clockhand and with sets used the obvious ways
    ///
    /// Printed is how often a message was processed twice, and how often never.
    #[cfg(feature = "demos")]
    Dedup(Dedup),
    /// Consume a log with redelivery, with clockhand and with sets (feature `demos`)
    #[cfg(not(feature = "demos"))]
    Dedup(Absent),
    #[cfg(feature = "peers")]
    /// Measure one cache's memory; `compare` runs it in processes of their own
    #[command(hide = true)]
    Resident { hashers: Hashers, peer: String, size: peers::Size, entries: u64 },
    #[cfg(feature = "peers")]
    /// Measure how far one cache exceeds its bound; `compare` runs it in processes of their own
    #[command(hide = true)]
    Excess { hashers: Hashers, peer: String, capacity: u64 },
}

/// Runs the lab with the process's arguments.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let lab = match Lab::try_parse_from(arguments) {
        Ok(lab) => lab,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            return finish(print(&error.render().to_string()));
        }
        Err(error) => return finish(Err(usage(&error))),
    };
    finish(match lab.command {
        Command::Replay(order) => order.run(),
        #[cfg(feature = "peers")]
        Command::Compare(order) => order.run(),
        #[cfg(not(feature = "peers"))]
        Command::Compare(order) => order.run("compare", "peers"),
        #[cfg(feature = "demos")]
        Command::Races(order) => order.run(),
        #[cfg(not(feature = "demos"))]
        Command::Races(order) => order.run("races", "demos"),
        #[cfg(not(feature = "peers"))]
        Command::Load(order) => order.run("load", "peers"),
        #[cfg(feature = "peers")]
        Command::Load(order) => told(order.json.clone(), |quiet| load::run(&order.effort(), quiet)),
        #[cfg(feature = "demos")]
        Command::Stampede(order) => stampede::run(&order),
        #[cfg(not(feature = "demos"))]
        Command::Stampede(order) => order.run("stampede", "demos"),
        #[cfg(feature = "peers")]
        Command::Resident { hashers, peer, size, entries } => {
            let resident = peers::resident(hashers, &peer, size, entries);
            resident.and_then(|resident| print_json(&resident))
        }
        #[cfg(feature = "peers")]
        Command::Excess { hashers, peer, capacity } => {
            peers::excess(hashers, &peer, capacity).and_then(|excess| print_json(&excess))
        }
        #[cfg(feature = "demos")]
        Command::Dedup(order) => order.run(),
        #[cfg(not(feature = "demos"))]
        Command::Dedup(order) => order.run("dedup", "demos"),
        #[cfg(feature = "tier")]
        Command::Tier(order) => told(order.json.clone(), |quiet| crate::tier::run(&order, quiet)),
        #[cfg(not(feature = "tier"))]
        Command::Tier(order) => order.run("tier", "tier"),
        #[cfg(feature = "predict")]
        Command::Predict(order) => {
            told(order.json.clone(), |quiet| crate::predict::run(&order, quiet))
        }
        #[cfg(not(feature = "predict"))]
        Command::Predict(order) => order.run("predict", "predict"),
        #[cfg(feature = "serve")]
        Command::Serve(order) => serve::run(&order),
        #[cfg(not(feature = "serve"))]
        Command::Serve(order) => order.run("serve", "serve"),
    })
}
