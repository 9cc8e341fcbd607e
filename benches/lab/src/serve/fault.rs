//! What may go wrong for a while, and how it has to show.

use std::any::Any;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use clockhand::health::Figure;
use serde::Serialize;

use super::origin::OriginState;
use super::series::Series;
use super::world::{CANDLES, QUOTES, World};
use crate::failure::Failure;
use crate::machine::resident_bytes;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// A reader sleeps on a quote that it has found
    StalledReader,
    /// The origin of the candles takes longer than its client waits
    SlowOrigin,
    /// The origin of the candles refuses every request
    OriginDown,
    /// Something else in the process takes most of its memory
    Memory,
}

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct FaultPlan {
    pub(super) fault: Fault,
    pub(super) begins: Duration,
    pub(super) ends: Duration,
}

/// What is taken of the memory at a time.
const PIECE: usize = 4 << 20;

/// How long something may be left of a fault after its end.
const AFTERMATH: Duration = Duration::from_secs(5);

impl FaultPlan {
    pub(super) fn lasts(&self, time: Duration) -> bool {
        self.begins <= time && time < self.ends
    }

    /// Whether something may come of it at this time.
    pub(super) fn reaches(&self, time: Duration) -> bool {
        self.begins <= time && time < self.ends + AFTERMATH
    }
}

impl Fault {
    /// Its name, as it is given to `--fault`.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// What health has to give as a reason: one of these.
    pub(super) const fn figures(self) -> &'static [Figure] {
        match self {
            Self::StalledReader => &[Figure::Garbage, Figure::Memory, Figure::Refusals],
            Self::SlowOrigin | Self::OriginDown => &[Figure::LoadErrors, Figure::RenewalFailures],
            Self::Memory => &[Figure::ProcessMemory],
        }
    }

    /// Whose health has to give it: the place in what [`World::health`] returns.
    pub(super) const fn part(self) -> usize {
        if self.is_of_origin() { CANDLES } else { QUOTES }
    }

    pub(super) const fn is_of_origin(self) -> bool {
        matches!(self, Self::SlowOrigin | Self::OriginDown)
    }

    /// Lets it go wrong until what is returned is dropped.
    pub(super) fn begin(self, world: &Arc<World>) -> Result<ActiveFault, Failure> {
        match self {
            Self::StalledReader => stall_reader(world),
            Self::SlowOrigin => Ok(Box::new(SpoiltOrigin::new(world, OriginState::Slow))),
            Self::OriginDown => Ok(Box::new(SpoiltOrigin::new(world, OriginState::Down))),
            Self::Memory => take_memory(world.memory_limit),
        }
    }
}

/// What goes wrong until this is dropped.
pub(super) type ActiveFault = Box<dyn Any>;

/// An origin that is as usual again when this is dropped.
struct SpoiltOrigin(Arc<World>);

impl SpoiltOrigin {
    fn new(world: &Arc<World>, state: OriginState) -> Self {
        world.origin.set_state(state);
        Self(Arc::clone(world))
    }
}

impl Drop for SpoiltOrigin {
    fn drop(&mut self) {
        self.0.origin.set_state(OriginState::Usual);
    }
}

fn stall_reader(world: &World) -> Result<ActiveFault, Failure> {
    let quotes = world.quotes.clone();
    on_a_thread("stalled-reader", move |sleeps| {
        let mut reader = quotes.reader();
        let popular = Series::popular(1000).find(|series| quotes.contains_key(series));
        let quote = popular.as_ref().and_then(|series| reader.get(series));
        // It sleeps with the quote in its hands.
        let _ = sleeps.recv();
        std::hint::black_box(quote);
    })
}

/// Takes nearly all of the memory that there may be, piece by piece.
fn take_memory(limit: u64) -> Result<ActiveFault, Failure> {
    on_a_thread("ballast", move |sleeps| {
        let mut taken = Vec::new();
        while resident_bytes().is_some_and(|bytes| bytes < limit / 100 * 95)
            && matches!(sleeps.try_recv(), Err(TryRecvError::Empty))
        {
            taken.push(vec![1_u8; PIECE]);
        }
        let _ = sleeps.recv();
        std::hint::black_box(taken);
    })
}

/// A thread that goes on until what is returned is dropped. Nothing is ever sent: the receiver has an answer when the other
/// end has gone.
fn on_a_thread(
    name: &str,
    work: impl FnOnce(Receiver<()>) + Send + 'static,
) -> Result<ActiveFault, Failure> {
    let (wakes, sleeps) = mpsc::channel::<()>();
    let thread = thread::Builder::new().name(name.into()).spawn(move || work(sleeps));
    thread.map_err(Failure::machine("cannot start a thread"))?;
    Ok(Box::new(wakes))
}
