//! Windows, thresholds and reasons, step by step.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::figure::{BadSide, Figure, Unit};
use super::monitor::Monitor;
use super::window::Window;
use super::{CacheCounts, CacheState, Health, Levels, MemoryLimit, Status};
use super::{Thresholds, ThresholdsError, Times, text};
use crate::sync::unique;
use crate::time::{Clock, ManualClock, Timer};

const SECOND: Duration = Duration::from_secs(1);

/// A monitor, and what it is told.
struct Patient {
    monitor: Monitor<CacheCounts>,
    manual: ManualClock,
    counts: CacheCounts,
    state: CacheState,
}

impl Patient {
    fn new() -> Self {
        let (clock, manual) = Clock::manual();
        let state = CacheState { capacity: 1000, ..CacheState::default() };
        Self {
            monitor: Monitor::new(Timer::start(Some(clock))),
            manual,
            counts: CacheCounts::default(),
            state,
        }
    }

    fn ask(&self, thresholds: &Thresholds) -> Health {
        let (counts, state) = (self.counts.clone(), self.state.clone());
        self.monitor.judge(thresholds, || (counts, state), CacheState::measure)
    }

    /// `time` passes, with `hits` and `misses`.
    fn pass(&mut self, time: Duration, hits: u64, misses: u64) {
        self.manual.advance(time);
        self.counts.hits += hits;
        self.counts.misses += misses;
    }
}

fn status(health: &Health, figure: Figure) -> Status {
    health.reason(figure).map_or(Status::Healthy, |reason| reason.status)
}

#[test]
fn a_window_begins_with_the_youngest_note_that_is_old_enough() {
    let mut window = Window::new(60 * SECOND);
    assert_eq!(window.start(Duration::from_secs(0), Duration::ZERO), None, "nothing was noted");
    for second in 0..=1000 {
        window.note(Duration::from_secs(second), &second);
        if second >= 60 {
            let (span, &start) = window.start(Duration::from_secs(second), Duration::ZERO).unwrap();
            assert_eq!(span, Duration::from_secs(second - start));
            assert!((60..62).contains(&(second - start)), "{second}: since {start}");
        }
        assert!(window.len() <= 34, "{} notes", window.len());
    }
    // No thread asks for an hour.
    assert_eq!(
        window.start(Duration::from_secs(4600), Duration::ZERO),
        Some((3600 * SECOND, &1000))
    );
    window.note(Duration::from_secs(4600), &4600);
    assert_eq!(window.len(), 2, "what is older than the start is forgotten");
    assert_eq!(
        window.start(Duration::from_secs(4601), Duration::from_secs(4000)),
        Some((SECOND, &4600))
    );
    assert_eq!(window.start(Duration::from_secs(4601), Duration::from_secs(4601)), None);
}

#[test]
fn a_hundred_calls_a_second_are_a_few_notes() {
    let mut window = Window::new(60 * SECOND);
    for tick in 0..20_000_u64 {
        window.note(Duration::from_millis(10 * tick), &tick);
    }
    assert!((32..=34).contains(&window.len()), "{} notes", window.len());
}

#[test]
fn each_figure_has_a_card_of_its_own() {
    let mut names: Vec<_> = Figure::ALL.iter().map(|figure| figure.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Figure::ALL.len());
    for (nth, &figure) in Figure::ALL.iter().enumerate() {
        assert_eq!(figure as usize, nth, "{figure}: its thresholds are another's");
        let levels = figure.card().levels;
        assert!(Thresholds::default().set(figure, levels).is_ok(), "{figure}: {levels:?}");
        assert!(levels.given().next().is_some() && !figure.card().advice.is_empty());
    }
}

#[test]
fn thresholds_that_contradict_each_other_are_refused() {
    let set = |figure, levels| Thresholds::default().set(figure, levels);
    let levels = Levels::new().warning(0.7).degraded(0.85);
    let error = set(Figure::HitRate, levels).unwrap_err();
    assert_eq!(error, ThresholdsError::WrongOrder { figure: Figure::HitRate, levels });
    assert_eq!(
        error.to_string(),
        "the levels of hit_rate are not in order: warning 0.7 degraded 0.85; warning must be the \
         highest and critical the lowest"
    );
    assert!(set(Figure::Memory, levels).is_ok());
    assert!(set(Figure::Memory, Levels::new().warning(0.9).critical(0.8)).is_err());
    assert!(set(Figure::Lag, Levels::new().warning(f64::INFINITY)).is_ok());
    let error = set(Figure::Lag, Levels::new().critical(f64::NAN)).unwrap_err();
    assert_eq!(error, ThresholdsError::NotANumber { figure: Figure::Lag });
    assert!(Thresholds::default().margin(f64::NAN).is_err());
    let clamped = Thresholds::default().margin(7.0).unwrap().window(Duration::ZERO);
    assert_eq!((clamped.margin, clamped.window), (0.5, Duration::from_millis(1)));
}

#[test]
fn values_are_told_from_their_thresholds() {
    let pair = |unit, value, threshold| text::pair(unit, value, threshold);
    let both = |a: &str, b: &str| (a.to_string(), b.to_string());
    assert_eq!(pair(Unit::Ratio, 0.6213, 0.7), both("62.1 %", "70 %"));
    assert_eq!(pair(Unit::Ratio, 0.84999, 0.85), both("84.999 %", "85 %"));
    assert_eq!(pair(Unit::Seconds, 0.25, 0.1), both("250 ms", "100 ms"));
    assert_eq!(pair(Unit::Seconds, 90.0, 0.5), both("90 s", "500 ms"));
    assert_eq!(pair(Unit::PerMinute, 120.0, 100.0), both("120 a minute", "100 a minute"));
    assert_eq!(pair(Unit::Count, 3.0, 3.0), both("3", "3"));
}

#[test]
fn hit_rates_go_down_and_up_again_level_by_level() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    cache.counts.full = true;
    let mut told = Vec::new();
    // In each step, a whole window has this many hits in a thousand.
    for hits in [900, 860, 840, 860, 880, 895, 860, 840, 690, 710, 730, 740, 880, 893] {
        cache.pass(60 * SECOND, 10 * hits, 10 * (1000 - hits));
        told.push(status(&cache.ask(&thresholds), Figure::HitRate));
    }
    use Status::{Degraded, Healthy, Warning};
    let expected = [
        // The first window was that of the warm-up.
        Healthy, Healthy, Warning, Warning, Warning, Healthy, Healthy, Warning, Degraded, Degraded,
        Degraded, Warning, Warning, Healthy,
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_margin_that_no_ratio_could_reach_is_cut() {
    let mut cache = Patient::new();
    cache.counts.full = true;
    let levels = Levels::new().warning(0.98);
    let thresholds = Thresholds::default().set(Figure::HitRate, levels).unwrap();
    let mut told = Vec::new();
    for hits in [1000, 970, 985, 991] {
        cache.pass(60 * SECOND, 10 * hits, 10 * (1000 - hits));
        told.push(cache.ask(&thresholds).is_healthy());
    }
    assert_eq!(told, [true, false, false, true]);
}

#[test]
fn messages_name_figure_value_threshold_and_what_to_do() {
    let mut cache = Patient::new();
    cache.counts.full = true;
    let thresholds = Thresholds::default();
    cache.ask(&thresholds);
    cache.pass(60 * SECOND, 6200, 3800);
    let health = cache.ask(&thresholds);
    let reason = health.reason(Figure::HitRate).unwrap();
    assert_eq!((reason.value, reason.threshold), (0.62, 0.7));
    assert_eq!(
        health.to_string(),
        "degraded\n- degraded: hit rate: 62 %, below 70 %; raise the capacity or the time to live; \
         `explain` says why a key is missed"
    );
    cache.pass(60 * SECOND, 7200, 2800);
    let health = cache.ask(&thresholds);
    let message = &health.reason(Figure::HitRate).unwrap().message;
    let begins = "hit rate: 72 %, was below 70 % and has to come back to 73.5 %; raise";
    assert!(message.starts_with(begins), "{message}");
}

#[test]
fn nothing_is_said_of_hits_before_the_warm_up() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    for _ in 0..4 {
        cache.pass(60 * SECOND, 0, 100_000);
        assert!(cache.ask(&thresholds).is_healthy());
    }
    // Five minutes are over, and the window of a rate begins.
    cache.pass(60 * SECOND, 0, 100_000);
    assert!(cache.ask(&thresholds).is_healthy());
    cache.pass(14 * SECOND, 0, 100_000);
    assert!(cache.ask(&thresholds).is_healthy(), "a window of less than a quarter of a minute");
    cache.pass(SECOND, 0, 0);
    assert_eq!(cache.ask(&thresholds).status, Status::Degraded);
}

#[test]
fn a_cache_that_has_been_full_is_warm_and_its_filling_is_not_held_against_it() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default().off(Figure::Evictions);
    cache.pass(10 * SECOND, 0, 50_000);
    cache.counts.evictions = 1;
    assert!(cache.ask(&thresholds).is_healthy());
    cache.pass(20 * SECOND, 9000, 1000);
    assert!(cache.ask(&thresholds).is_healthy(), "90 % since it was full");
    cache.pass(20 * SECOND, 0, 10_000);
    assert_eq!(cache.ask(&thresholds).reasons[0].value, 0.45);
}

#[test]
fn few_reads_are_no_rate() {
    let mut cache = Patient::new();
    cache.counts.full = true;
    let thresholds = Thresholds::default();
    cache.ask(&thresholds);
    let mut told = Vec::new();
    for misses in [999, 1000, 500, 499] {
        cache.pass(60 * SECOND, 0, misses);
        told.push(cache.ask(&thresholds).is_healthy());
    }
    assert_eq!(told, [true, false, false, true], "half as many do once it is known to be bad");
}

#[test]
fn callers_with_other_thresholds_have_their_own_memory() {
    let mut cache = Patient::new();
    cache.counts.full = true;
    let strict = Thresholds::default();
    let levels = Levels::new().warning(0.80);
    let mild = Thresholds::default().set(Figure::HitRate, levels).unwrap();
    let mut told = Vec::new();
    for hits in [900, 840, 860, 790, 830, 860] {
        cache.pass(60 * SECOND, 10 * hits, 10 * (1000 - hits));
        told.push([&strict, &mild].map(|thresholds| cache.ask(thresholds).is_healthy()));
    }
    let expected =
        [[true, true], [false, true], [false, true], [false, false], [false, false], [false, true]];
    assert_eq!(told, expected);
}

#[test]
fn of_many_sets_of_thresholds_the_one_that_was_used_longest_ago_is_forgotten() {
    let mut cache = Patient::new();
    let reads = |nth| Thresholds::default().min_reads(nth);
    cache.counts.refusals = 1;
    // Each of them has a window that begins at the start.
    assert!((0..8).all(|nth| !cache.ask(&reads(nth)).is_healthy()));
    cache.pass(3600 * SECOND, 0, 0);
    cache.counts.refusals = 2;
    assert!(!cache.ask(&reads(0)).is_healthy(), "it has asked before");
    assert!(cache.ask(&reads(8)).is_healthy(), "it has no window yet");
    assert!(cache.ask(&reads(1)).is_healthy(), "it was forgotten for the ninth");
    assert!(!cache.ask(&reads(3)).is_healthy());
}

#[test]
fn counts_are_those_of_the_window() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    cache.counts.refusals = 3;
    assert_eq!(cache.ask(&thresholds).reasons[0].value, 3.0, "it is as young as a window");
    for _ in 0..59 {
        cache.pass(SECOND, 0, 0);
        assert!(!cache.ask(&thresholds).is_healthy());
    }
    cache.pass(3 * SECOND, 0, 0);
    assert!(cache.ask(&thresholds).is_healthy());
    // Asked once in an hour, it is the hour that counts.
    cache.pass(3600 * SECOND, 0, 0);
    cache.counts.refusals += 2;
    assert_eq!(cache.ask(&thresholds).reasons[0].value, 2.0);
    cache.pass(3600 * SECOND, 0, 0);
    assert!(cache.ask(&thresholds).is_healthy());
}

#[test]
fn who_asks_an_old_cache_for_the_first_time_is_told_of_the_moment_only() {
    let mut cache = Patient::new();
    cache.counts = CacheCounts { refusals: 9, evictions: 1 << 30, ..cache.counts };
    cache.pass(61 * SECOND, 0, 0);
    let thresholds = Thresholds::default();
    assert!(cache.ask(&thresholds).is_healthy());
    cache.state = CacheState { retired_capacity: 100, retired: 60, ..cache.state };
    assert_eq!(cache.ask(&thresholds).reasons[0].figure, Figure::Garbage);
}

#[test]
fn a_few_evictions_at_the_beginning_are_no_high_rate() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    cache.counts.evictions = 100;
    cache.pass(SECOND, 0, 0);
    assert!(cache.ask(&thresholds).is_healthy());
    cache.counts.evictions = 101;
    assert_eq!(cache.ask(&thresholds).reasons[0].value, 101.0);
    cache.pass(119 * SECOND, 0, 0);
    assert!(cache.ask(&thresholds).is_healthy(), "50.5 a minute");
    // A window of ten seconds with twenty evictions is at the rate of 120 a minute.
    let short = Thresholds::default().window(10 * SECOND);
    cache.ask(&short);
    cache.pass(10 * SECOND, 0, 0);
    cache.counts.evictions += 20;
    assert_eq!(cache.ask(&short).reasons[0].value, 120.0);
}

#[test]
fn failed_loads_are_a_part_of_those_that_ended() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    let mut told = Vec::new();
    for (succeeded, failed) in [(18, 1), (19, 1), (990, 9), (80, 20), (993, 7), (0, 0)] {
        cache.pass(60 * SECOND, 0, 0);
        cache.counts.loads_succeeded += succeeded;
        cache.counts.loads_failed += failed;
        told.push(cache.ask(&thresholds).status);
    }
    use Status::{Degraded, Healthy, Warning};
    assert_eq!(told, [Healthy, Warning, Healthy, Degraded, Healthy, Healthy]);
}

#[test]
fn half_as_many_timed_reads_do_once_they_are_known_to_be_slow() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    let (mut told, mut all) = (Vec::new(), 0);
    for reads in [19, 20, 10, 19, 9] {
        cache.pass(60 * SECOND, 0, 0);
        all += reads;
        cache.counts.reads = Times::new([(SECOND, all)].into_iter());
        told.push(cache.ask(&thresholds).reasons.len());
    }
    assert_eq!(told, [0, 3, 3, 3, 0]);
}

#[test]
fn cleanups_are_judged_by_what_they_take_on_average() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default();
    let mut told = Vec::new();
    for (cleanups, time) in [(10, SECOND), (10, 2 * SECOND), (0, Duration::ZERO)] {
        cache.pass(60 * SECOND, 0, 0);
        cache.counts.cleanups += cleanups;
        cache.counts.cleanup_time += time;
        told.push(cache.ask(&thresholds).reasons.first().map(|reason| reason.value));
    }
    assert_eq!(told, [None, Some(0.2), None]);
}

/// A full cache is well, whatever its retired capacity; what comes on top is not.
#[test]
fn memory_is_judged_by_the_room_that_a_full_cache_leaves() {
    let thresholds = Thresholds::default().off(Figure::Garbage);
    let judge = |charged, lingering, retired, capacity, retired_capacity| {
        let cache = Patient {
            state: CacheState {
                charged,
                lingering,
                retired,
                capacity,
                retired_capacity,
                ..CacheState::default()
            },
            ..Patient::new()
        };
        cache.ask(&thresholds).status
    };
    // The default of large caches, of small ones, and none.
    assert_eq!(judge(8000, 0, 0, 8000, 1000), Status::Healthy);
    assert_eq!(judge(8000, 0, 790, 8000, 1000), Status::Healthy);
    assert_eq!(judge(8000, 0, 810, 8000, 1000), Status::Warning);
    assert_eq!(judge(8000, 0, 910, 8000, 1000), Status::Critical);
    assert_eq!(judge(7000, 0, 1000, 8000, 1000), Status::Healthy, "there is room");
    assert_eq!(judge(1000, 0, 790 * 64, 1000, 64_000), Status::Healthy);
    assert_eq!(judge(1000, 0, 820 * 64, 1000, 64_000), Status::Warning);
    assert_eq!(judge(1000, 0, 0, 1000, 0), Status::Healthy);
    assert_eq!(judge(600, 400, 0, 1000, 0), Status::Healthy, "garbage is judged by itself");
    assert_eq!(judge(0, 0, 0, 0, 0), Status::Healthy);
}

#[test]
fn garbage_is_judged_by_its_bound() {
    let mut cache = Patient::new();
    let thresholds = Thresholds::default().off(Figure::Memory);
    let mut told = Vec::new();
    for (retired, lingering) in [(50, 0), (51, 0), (48, 0), (47, 0), (100, 300)] {
        cache.state = CacheState { retired_capacity: 100, retired, lingering, ..cache.state };
        told.push(cache.ask(&thresholds).reasons.first().map(|reason| reason.value));
    }
    assert_eq!(told, [None, Some(0.51), Some(0.48), None, Some(4.0)]);
    cache.state = CacheState { retired_capacity: 0, retired: 0, lingering: 501, ..cache.state };
    assert_eq!(cache.ask(&thresholds).reasons[0].value, 0.501);
}

/// A root of a file system for what is read of the kernel.
struct Root(PathBuf);

impl Root {
    fn new(files: &[(&str, &str)]) -> Self {
        let name = format!("clockhand-health-{}-{}", std::process::id(), unique());
        let root = Self(std::env::temp_dir().join(name));
        for (path, text) in files {
            let path = root.0.join(path);
            fs::create_dir_all(path.parent().expect("below the root")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_memory_of_the_process_is_compared_with_its_limit() {
    let root = Root::new(&[("proc/self/status", "Name:\tx\nVmRSS:\t    2048 kB\nThreads: 1\n")]);
    assert_eq!(MemoryLimit::Bytes(4 << 20).taken_below(&root.0), Some(0.5));
    let of_nothing = MemoryLimit::Bytes(0).taken_below(&root.0);
    assert!(of_nothing.is_some_and(|taken| taken.is_finite() && taken > 1.0), "{of_nothing:?}");
    assert_eq!(MemoryLimit::Unlimited.taken_below(&root.0), None);
    assert_eq!(MemoryLimit::Cgroup.taken_below(&root.0), None);
    let mut cache = Patient::new();
    cache.state.process = Some(0.95);
    assert_eq!(cache.ask(&Thresholds::default()).status, Status::Critical);
    if cfg!(target_os = "linux") {
        let taken = MemoryLimit::Bytes(1 << 50).taken().unwrap();
        assert!(taken > 0.0 && taken < 1.0);
    }
}

#[test]
fn the_limit_of_a_cgroup_is_the_nearest_to_be_reached() {
    let root = Root::new(&[
        ("proc/self/cgroup", "0::/outer/own\n"),
        ("sys/fs/cgroup/outer/own/memory.max", "max\n"),
        ("sys/fs/cgroup/outer/own/memory.current", "500\n"),
        ("sys/fs/cgroup/outer/memory.max", "2000\n"),
        ("sys/fs/cgroup/outer/memory.current", "1500\n"),
        ("sys/fs/cgroup/outer/memory.stat", "anon 900\ninactive_file 300\nactive_file 100\n"),
        ("sys/fs/cgroup/memory.max", "10000\n"),
        ("sys/fs/cgroup/memory.current", "5900\n"),
    ]);
    assert_eq!(MemoryLimit::Cgroup.taken_below(&root.0), Some(0.6));
    let first = Root::new(&[
        ("proc/self/cgroup", "5:cpu:/\n4:hugetlb,memory:/own\n0::/\n"),
        ("sys/fs/cgroup/memory/own/memory.limit_in_bytes", "1000\n"),
        ("sys/fs/cgroup/memory/own/memory.usage_in_bytes", "900\n"),
        ("sys/fs/cgroup/memory/own/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n"),
    ]);
    assert_eq!(MemoryLimit::Cgroup.taken_below(&first.0), Some(0.7));
}

#[test]
fn only_the_hit_rate_is_bad_below() {
    let below = |figure: &&Figure| figure.card().bad == BadSide::Below;
    assert_eq!(Figure::ALL.iter().filter(below).collect::<Vec<_>>(), [&Figure::HitRate]);
}

#[test]
fn the_operations_guide_has_each_figure() {
    let guide = include_str!("../../docs/operations.md");
    for figure in Figure::ALL {
        assert!(guide.contains(&format!("`{figure}`")), "{figure} is missing");
    }
}
