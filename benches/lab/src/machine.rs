//! What the system tells about memory and processor time: `/proc` of Linux. Where there is none, both are unknown.

use std::fs;
use std::time::Instant;

use crate::team::cores;

/// Ticks of `/proc` per second: `USER_HZ`, which is part of the kernel's interface.
const TICKS: f64 = 100.0;

/// Resident memory of this process.
#[cfg(any(feature = "peers", feature = "serve", test))]
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Measures how many cores other processes keep busy.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    began: Instant,
    others: Option<f64>,
}

impl CpuMeter {
    /// Begins to measure.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), others: seconds_of_others() }
    }

    /// The cores that other processes kept busy since the beginning, on average.
    pub(crate) fn cores_taken(&self) -> Option<f64> {
        let since = seconds_of_others()? - self.others?;
        Some((since / self.began.elapsed().as_secs_f64()).max(0.0))
    }
}

/// Processor time that everything but this process and its children used or was denied, since boot.
fn seconds_of_others() -> Option<f64> {
    let all = fs::read_to_string("/proc/stat").ok()?;
    // user nice system idle iowait irq softirq steal
    let all = numbers(all.lines().next()?.strip_prefix("cpu")?)?;
    let idle = all.get(3)? + all.get(4)?;
    let busy = all.iter().take(8).sum::<f64>() - idle;
    Some(busy / TICKS - own_seconds()?)
}

/// Processor time that this process and its children used.
pub(crate) fn own_seconds() -> Option<f64> {
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may have spaces and parentheses, and the state: utime stime cutime cstime
    // are fields 14 to 17 of all, the name being the second.
    let (_, fields) = own.rsplit_once(')')?;
    let own = numbers(fields.trim_start().get(1..)?)?;
    Some(own.get(10..14)?.iter().sum::<f64>() / TICKS)
}

fn numbers(text: &str) -> Option<Vec<f64>> {
    text.split_whitespace().map(|number| number.parse().ok()).collect()
}

/// What was measured on.
pub(crate) fn measured_on(clock_ns: u64) -> String {
    let build =
        if cfg!(debug_assertions) { "DEBUG build: compare nothing" } else { "release build" };
    format!("{} cores, {build}, two readings of the clock {clock_ns} ns", cores())
}

/// What else the machine did meanwhile.
pub(crate) fn others(cores: f64) -> String {
    let verdict = if cores > 0.1 {
        "too many, contention may be understated"
    } else {
        "few enough to trust contention"
    };
    format!("other processes kept {cores:.2} cores busy meanwhile: {verdict}")
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
