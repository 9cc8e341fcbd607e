//! Clients, each a thread, who ask for something, think, and ask again.

use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::arena::{Bell, work_beside};
use crate::failure::Failure;
use crate::latency::{Quantiles, Sampler};

/// What a client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A value, at once.
    Hit,
    /// A value, after the store had answered.
    Loaded,
    /// None.
    Failed,
}

/// Who asks, and what counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clients {
    pub(crate) number: usize,
    /// Between an answer and the next request, from half of this to half as much again.
    pub(crate) think: Duration,
    /// Requests before this do not count.
    pub(crate) counts_from: Duration,
    /// From then on no client should have to wait.
    pub(crate) warm_up: Duration,
}

/// What all clients met together.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) hits: u64,
    pub(crate) loaded: u64,
    pub(crate) failed: u64,
    pub(crate) response_ns: Quantiles,
    /// From their requests to the responses, added up.
    pub(crate) responding: Duration,
    /// The same of those requests that were no hits.
    pub(crate) waited: Duration,
    /// How long they were there, added up.
    pub(crate) present: Duration,
    /// Requests that were no hits, although it was warm; and clients that had such a request.
    pub(crate) late: [u64; 2],
}

impl Totals {
    pub(crate) fn requests(&self) -> u64 {
        self.hits + self.loaded + self.failed
    }
}

impl Clients {
    /// Lets all of them `ask` for keys that they `draw`, until `conduct` has ended.
    pub(crate) fn run(
        &self,
        draw: impl Fn(&mut SmallRng) -> u64 + Sync,
        ask: impl Fn(u64) -> Answer + Sync,
        conduct: impl FnOnce(),
    ) -> Result<Totals, Failure> {
        let work = |id: usize, bell: &Bell| self.one(id, &draw, &ask, bell);
        let each = work_beside(self.number, work, conduct)?;
        let each: Vec<ClientTotals> = each.into_iter().map(|shift| shift.result).collect();
        let count = |of: Answer| each.iter().map(|one| one.answers[of as usize]).sum();
        let time = |of: fn(&ClientTotals) -> Duration| each.iter().map(of).sum();
        Ok(Totals {
            hits: count(Answer::Hit),
            loaded: count(Answer::Loaded),
            failed: count(Answer::Failed),
            response_ns: Quantiles::of(each.iter().map(|one| &one.responses)),
            responding: time(|one| one.responding),
            waited: time(|one| one.waited),
            present: time(|one| one.present),
            late: [
                each.iter().map(|one| one.late).sum(),
                each.iter().filter(|one| one.late > 0).count() as u64,
            ],
        })
    }

    fn one(
        &self,
        id: usize,
        draw: impl Fn(&mut SmallRng) -> u64,
        ask: impl Fn(u64) -> Answer,
        bell: &Bell,
    ) -> ClientTotals {
        let mut random = SmallRng::seed_from_u64(id as u64);
        let mut responses = Sampler::new(1, id as u64);
        let (mut answers, mut late) = ([0; 3], 0);
        let [mut responding, mut waited] = [Duration::ZERO; 2];
        let began = Instant::now();
        let present = loop {
            let key = draw(&mut random);
            let asked = Instant::now();
            if asked - began < self.counts_from {
                ask(key);
            } else {
                let answer = responses.run(|| ask(key));
                let took = asked.elapsed();
                answers[answer as usize] += 1;
                responding += took;
                if answer != Answer::Hit {
                    waited += took;
                    late += u64::from(asked - began >= self.warm_up);
                }
            }
            if bell.rang() {
                break began.elapsed();
            }
            thread::sleep(self.think.mul_f64(random.random_range(0.5..1.5)));
        };
        ClientTotals { answers, responses: responses.finish(), responding, waited, present, late }
    }
}

/// What one client met.
struct ClientTotals {
    answers: [u64; 3],
    responses: Histogram<u64>,
    responding: Duration,
    waited: Duration,
    present: Duration,
    late: u64,
}

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Lets time go by, shows on a bar that it does, and looks at something meanwhile.
pub(crate) fn let_pass(time: Duration, bar: &ProgressBar, mut look: impl FnMut(Duration)) {
    let (began, mut shown) = (Instant::now(), Duration::ZERO);
    loop {
        let passed = began.elapsed();
        bar.inc((passed - shown).as_millis() as u64);
        shown = passed;
        let Some(left) = time.checked_sub(passed).filter(|left| !left.is_zero()) else { return };
        look(passed);
        thread::sleep(LOOK.min(left));
    }
}
