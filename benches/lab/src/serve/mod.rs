//! The library at work: a market feed, each message processed once, into a cache of quotes; threads that
//! read it; a cache that loads candles from a slow origin; and all of it over HTTP.

mod candles;
mod closing;
mod fault;
mod feed;
mod http;
mod options;
mod origin;
mod pace;
mod readers;
mod series;
#[cfg(feature = "tier")]
mod shared;
mod team;
mod watch;
mod world;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};

use clockhand::Warmer;

pub(crate) use self::closing::Closing;
use self::fault::ActiveFault;
use self::http::Server;
pub(crate) use self::options::Options;
use self::series::Series;
use self::team::Team;
use self::watch::{LOOK, Watch};
use self::world::World;
use crate::failure::Failure;
use crate::progress;

/// Symbols whose candles are kept fresh.
const WARM_SYMBOLS: u32 = 300;

/// Serves until `--duration` has passed or a signal comes.
pub(crate) fn run(plan: Options) -> Result<Closing, Failure> {
    let listener = http::listen(plan.port)?;
    let world = Arc::new(World::new(plan)?);
    let (tell, told) = mpsc::channel();
    let server = Server::start(listener, &world, tell)?;
    let popular = Series::popular(WARM_SYMBOLS);
    let warmer = Warmer::start(&world.charts, popular, candles::RENEWED / 2);
    let warmer = warmer.map_err(Failure::machine("cannot start a thread"))?;
    let team = Team::start(&world)?;
    // Nothing is lost when no one listens.
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
    let (mut watch, mut active) = (Watch::new(world.plan.fault_plan()), None::<ActiveFault>);
    // Seconds, messages and look-ups that were shown last, in one line on a terminal.
    let (bar, mut shown) = (progress::line(), [0; 3]);
    // Until it is told to stop, or no one is left who could tell.
    while let Err(RecvTimeoutError::Timeout) = told.recv_timeout(LOOK) {
        let time = watch.time();
        if world.plan.duration.is_some_and(|duration| time >= duration) {
            break;
        }
        if let Some(fault_plan) = world.plan.fault_plan() {
            match active {
                None if fault_plan.lasts(time) => active = Some(fault_plan.fault.begin(world)?),
                Some(_) if time >= fault_plan.ends => active = None,
                _ => {}
            }
        }
        watch.look(world);
        let now = [watch.time().as_secs(), world.fed.sent.count(), world.read.lookups()];
        if now[0] > shown[0] {
            let per_second = |of: usize| (now[of] - shown[of]) / (now[0] - shown[0]);
            let line = world.line(&watch, per_second(1), per_second(2));
            bar.set_message(format!("{} s: {line}", now[0]));
            shown = now;
        }
    }
    bar.finish_and_clear();
    Ok(watch)
}
