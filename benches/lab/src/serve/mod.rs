//! The library at work: a market feed, each message processed once, into a cache of quotes; threads that
//! read it; a cache that loads candles from a slow origin; and all of it over HTTP.

mod candles;
mod closing;
mod fault;
mod feed;
mod http;
mod order;
mod origin;
mod pace;
mod readers;
mod series;
#[cfg(feature = "tier")]
mod shared;
mod team;
mod watch;
mod world;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use clockhand::Warmer;

pub(crate) use self::closing::Closing;
use self::fault::Harm;
use self::http::Server;
pub(crate) use self::order::{Order, Plan};
use self::series::Series;
use self::team::Team;
use self::watch::{LOOK, Watch};
use self::world::World;
use crate::failure::Failure;

/// Symbols whose candles are kept fresh.
const WARM_SYMBOLS: u32 = 300;

/// Serves until the time is over or a signal comes.
pub(crate) fn run(plan: Plan) -> Result<Closing, Failure> {
    let listener = http::listen(plan.port)?;
    let world = Arc::new(World::new(plan)?);
    let (tell, told) = mpsc::channel();
    let server = Server::start(listener, &world, tell)?;
    let popular = Series::popular(WARM_SYMBOLS);
    let warmer = Warmer::start(&world.charts, popular, candles::RENEWED / 2);
    let warmer = warmer.map_err(Failure::machine("cannot start a thread"))?;
    let team = Team::start(&world)?;
    // Nothing is lost when nobody listens.
    let _ = writeln!(
        io::stderr(),
        "clockhand-lab: the page is at http://{0}/cache, what else there is at http://{0}/; Ctrl-C stops",
        server.address()
    );
    let watch = conduct(&world, &told);
    world.end();
    let ended = team.end();
    server.stop();
    let warmed = warmer.stop();
    ended?;
    Ok(Closing::of(&world, &watch?, &warmed))
}

/// Watches, lets go wrong what was ordered, and shows how it goes, until the end.
fn conduct(world: &Arc<World>, told: &Receiver<()>) -> Result<Watch, Failure> {
    let (mut watch, mut harm) = (Watch::new(world.plan.trouble), None::<Harm>);
    let mut line = Line::new();
    // Until somebody wants it to stop, or nobody is left who could.
    while let Err(RecvTimeoutError::Timeout) = told.recv_timeout(LOOK) {
        let time = watch.time();
        if world.plan.duration.is_some_and(|duration| time >= duration) {
            break;
        }
        if let Some(trouble) = world.plan.trouble {
            match harm {
                None if trouble.lasts(time) => harm = Some(trouble.fault.begin(world)?),
                Some(_) if time >= trouble.ends => harm = None,
                _ => {}
            }
        }
        watch.look(world);
        line.show(world, &watch);
    }
    line.clear();
    Ok(watch)
}

/// One line on a terminal that tells how it goes.
struct Line {
    on: bool,
    shown: u64,
    messages: u64,
    lookups: u64,
}

impl Line {
    fn new() -> Self {
        Self { on: io::stderr().is_terminal(), shown: 0, messages: 0, lookups: 0 }
    }

    /// Once a second.
    fn show(&mut self, world: &World, watch: &Watch) {
        let second = watch.time().as_secs();
        if !self.on || second == self.shown {
            return;
        }
        let (messages, lookups) = (world.fed.sent.count(), world.read.lookups());
        let seconds = second - self.shown;
        let text = world.line(
            watch,
            (messages - self.messages) / seconds,
            (lookups - self.lookups) / seconds,
        );
        (self.shown, self.messages, self.lookups) = (second, messages, lookups);
        // Nothing is lost when nobody looks.
        let _ = write!(io::stderr(), "\r\x1b[2K{second} s: {text}");
    }

    fn clear(&self) {
        if self.on {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}
