//! Linux: `/proc`.

use std::time::Instant;

use procfs::process::Process;
use procfs::{CurrentSI, KernelStats, ProcResult, ticks_per_second};

/// Resident memory of this process.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let pages = Process::myself().and_then(|process| process.statm()).ok()?.resident;
    Some(pages * procfs::page_size())
}

/// Measures how many cores other processes keep busy.
#[derive(Debug)]
pub struct CpuMeter {
    began: Instant,
    others: ProcResult<f64>,
}

impl CpuMeter {
    /// Begins to measure.
    #[must_use]
    pub fn begin() -> Self {
        Self { began: Instant::now(), others: seconds_of_others() }
    }

    /// The cores that other processes kept busy since the beginning, on average.
    #[must_use]
    pub fn cores_taken(&self) -> Option<f64> {
        let before = self.others.as_ref().ok()?;
        let since = seconds_of_others().ok()? - before;
        Some((since / self.began.elapsed().as_secs_f64()).max(0.0))
    }
}

/// Processor time that everything but this process and its children used or was denied, since boot.
fn seconds_of_others() -> ProcResult<f64> {
    let all = KernelStats::current()?.total;
    let busy = all.user + all.nice + all.system + all.irq.unwrap_or(0) + all.softirq.unwrap_or(0);
    let stat = Process::myself()?.stat()?;
    let children = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
    let own = stat.utime + stat.stime + children;
    let others = busy + all.steal.unwrap_or(0);
    Ok((others as f64 - own as f64) / ticks_per_second() as f64)
}
