//! Replays through the binary: the built-in trace, weights, several files, both outputs.

use std::process::Stdio;

use crate::support::{Folder, lab, output, replay_json};
use serde_json::Value;

fn number(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no number `{field}` in {report}"))
}

#[test]
fn the_built_in_trace_replays_the_same_way_twice_on_one_thread() {
    let [first, second] = [(); 2].map(|()| replay_json(&["--threads", "1"]).remove(0));
    assert_eq!(first["trace"], "web12");
    assert_eq!(number(&first, "accesses"), 95_607);
    assert_eq!(number(&first, "unique_keys"), 13_756);
    assert_eq!(number(&first, "capacity"), 1_376);
    assert_eq!(number(&first, "hits") + number(&first, "misses"), 95_607);
    assert_eq!(number(&first, "hits"), number(&second, "hits"));
    assert_eq!(first["warm"]["hits"], second["warm"]["hits"]);
    // 0.8004 is the best that any policy can do here, knowing the future.
    let ratio = first["hit_ratio"].as_f64().expect("a ratio");
    assert!((0.60..0.8004).contains(&ratio), "{ratio}");
}

#[test]
fn a_cache_that_holds_everything_misses_each_key_once() {
    for read in ["get", "reader"] {
        let report =
            replay_json(&["--capacity", "100%", "--threads", "1", "--read", read]).remove(0);
        assert_eq!(number(&report, "misses"), 13_756);
        assert_eq!(number(&report["warm"], "misses"), 0);
        assert_eq!(number(&report, "resident_entries"), 13_756);
        assert_eq!(number(&report, "peak_charge"), 13_756);
        assert_eq!(number(&report, "evictions"), 0);
    }
}

#[test]
fn many_threads_share_the_accesses() {
    for read in ["get", "reader"] {
        let report = replay_json(&["--threads", "9", "--read", read]).remove(0);
        assert_eq!(number(&report, "threads"), 9);
        assert_eq!(number(&report, "hits") + number(&report, "misses"), 95_607);
        assert!(number(&report, "peak_charge") <= 1_376);
        assert_eq!(report["broken"], Value::Array(Vec::new()));
    }
}

#[test]
fn sizes_are_weights() {
    let folder = Folder::new();
    let keys = (0..4000_u64).map(|at| at * at % 257).collect::<Vec<_>>();
    let sizes = keys.iter().map(|key| 10 + *key as u32).collect::<Vec<_>>();
    let path = folder.keys("sized", &keys);
    folder.sizes("sized", &sizes);
    let path = path.to_str().expect("a plain name");
    let report = replay_json(&[path, "--capacity", "50%"]).remove(0);
    assert_eq!((&report["trace"], &report["weighted"]), (&"sized".into(), &true.into()));
    let unique = keys.iter().collect::<std::collections::HashSet<_>>();
    let footprint = unique.iter().map(|key| 10 + **key).sum::<u64>();
    assert_eq!(number(&report, "footprint"), footprint);
    assert_eq!(number(&report, "capacity"), (footprint as f64 / 2.0).round() as u64);
    assert!(number(&report, "resident_charge") > number(&report, "resident_entries"));
    assert!(number(&report, "peak_charge") <= number(&report, "capacity"));

    let report = replay_json(&[path, "--capacity", "50%", "--unit-weights"]).remove(0);
    assert_eq!(report["weighted"], false);
    assert_eq!(number(&report, "footprint"), unique.len() as u64);
}

#[test]
fn an_entry_heavier_than_the_capacity_is_refused() {
    let folder = Folder::new();
    let path = folder.keys("heavy", &[1, 2, 1, 2]);
    folder.sizes("heavy", &[5, 50, 5, 50]);
    let path = path.to_str().expect("a plain name");
    let report = replay_json(&[path, "--capacity", "10", "--threads", "1"]).remove(0);
    assert_eq!((number(&report, "hits"), number(&report, "misses")), (1, 3));
    assert_eq!(number(&report, "refusals"), 4);
    assert_eq!(number(&report, "resident_entries"), 1);
}

#[test]
fn files_are_reported_one_after_the_other() {
    let folder = Folder::new();
    let paths = ["first", "second"].map(|name| folder.keys(name, &[1, 1, 2]));
    let paths = paths.each_ref().map(|path| path.to_str().expect("a plain name"));
    let reports = replay_json(&paths);
    assert_eq!(reports.len(), 2);
    assert_eq!((&reports[0]["trace"], &reports[1]["trace"]), (&"first".into(), &"second".into()));
    assert_eq!(number(&reports[1], "capacity"), 1);
}

#[test]
fn the_text_report_names_everything() {
    let out = output(&mut lab(["replay", "--seconds", "0"]));
    let text = String::from_utf8(out.stdout).expect("reports are text");
    assert!(out.status.success() && out.stderr.is_empty());
    for part in [
        "95,607 accesses",
        "hits",
        "misses",
        "hit ratio",
        "accesses/s",
        "p50",
        "p99.9",
        "get",
        "insert",
        "peak charge",
        "of capacity 1,376",
        "peak retired",
        "entries",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn it_works_from_any_folder() {
    let folder = Folder::new();
    let out = output(lab(["replay", "--seconds", "0"]).current_dir(folder.path()));
    assert!(out.status.success());
}

#[test]
fn help_and_version_are_no_failures() {
    for argument in ["--help", "--version", "help"] {
        let out = output(&mut lab([argument]));
        assert!(out.status.success() && out.stderr.is_empty() && !out.stdout.is_empty());
    }
    let out = output(&mut lab(["replay", "--help"]));
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("4 GiB") && text.contains("--capacity"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut lab = lab(["replay", "--seconds", "0"]);
    let mut lab =
        lab.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the lab starts");
    drop(lab.stdout.take());
    let out = lab.wait_with_output().expect("the lab ends");
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
}
