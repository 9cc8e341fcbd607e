//! The threads of the service.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::candles::{self, ASKERS};
use super::feed::{Feeder, TOPIC};
use super::readers;
use super::world::World;
use crate::failure::Failure;

/// Threads that work until the service is over.
pub(super) struct Team {
    world: Arc<World>,
    threads: Vec<JoinHandle<()>>,
}

impl Team {
    pub(super) fn start(world: &Arc<World>) -> Result<Self, Failure> {
        let mut team = Self { world: Arc::clone(world), threads: Vec::new() };
        match team.start_all() {
            Ok(()) => Ok(team),
            Err(error) => {
                world.end();
                team.end()?;
                Err(Failure::machine("cannot start the threads")(error))
            }
        }
    }

    fn start_all(&mut self) -> io::Result<()> {
        let threads = self.world.plan.threads;
        // All partitions are there before one of them is fed.
        for id in 0..threads {
            self.world.tracker.assign(TOPIC, id as i32, 0);
        }
        for id in 0..threads {
            self.spawn(format!("feed-{id}"), move |world| Feeder::new(world, id as i32).feed())?;
            self.spawn(format!("read-{id}"), move |world| readers::read(world, id))?;
        }
        (0..ASKERS).try_for_each(|id| {
            self.spawn(format!("ask-{id}"), move |world| candles::ask(world, id))
        })
    }

    fn spawn(
        &mut self,
        name: String,
        work: impl FnOnce(&World) + Send + 'static,
    ) -> io::Result<()> {
        let world = Arc::clone(&self.world);
        self.threads.push(Builder::new().name(name).spawn(move || work(&world))?);
        Ok(())
    }

    /// Waits for all of them.
    pub(super) fn end(self) -> Result<(), Failure> {
        let panicked = self.threads.into_iter().filter_map(|thread| {
            let name = thread.thread().name().unwrap_or("a thread").to_owned();
            thread.join().is_err().then_some(name)
        });
        let panicked = panicked.collect::<Vec<_>>();
        match panicked.is_empty() {
            true => Ok(()),
            false => Err(Failure::Broken(format!("panicked: {}", panicked.join(", ")))),
        }
    }
}
