//! The comparison, as short as it gets.

use crate::support::{Folder, lab, output};
use serde_json::Value;

/// Runs a comparison and returns its object.
fn compare(arguments: &[&str]) -> Value {
    let out = output(lab(["compare", "--quick", "--json", "-"]).args(arguments));
    assert!(out.status.success(), "{arguments:?}: {out:?}");
    serde_json::from_slice(&out.stdout).expect("one object")
}

fn rows(comparison: &Value) -> &[Value] {
    comparison["rows"].as_array().expect("rows")
}

fn answers(comparison: &Value, peer: &str) -> usize {
    rows(comparison).iter().filter(|row| row["peer"] == peer).count()
}

#[test]
fn every_question_about_speed_is_answered() {
    let few = ["--rounds", "2", "--round-ms", "5", "--threads", "1,2"];
    let comparison = compare(&[&["speed", "--peers", "quick_cache"], &few[..]].concat());
    assert_eq!(answers(&comparison, "quick_cache"), 19);
    assert_eq!(answers(&comparison, "clockhand get"), 19);
    assert_eq!(answers(&comparison, "clockhand Reader"), 15);
    assert_eq!(answers(&comparison, "moka"), 0);
    for row in rows(&comparison) {
        assert!(row["value"]["median"].as_f64().is_some_and(|value| value > 0.0), "{row}");
        assert_eq!(row["ratio"].is_null(), row["peer"] == "quick_cache", "{row}");
        assert_eq!(row["clockhand_ratio"].is_null(), row["peer"] == "clockhand get", "{row}");
    }
    let best = comparison["best"].as_array().expect("best");
    assert!(best.len() == 19 && best.iter().all(|best| best["peer"] == "quick_cache"), "{best:?}");
}

#[test]
fn every_cache_answers_about_latency_and_memory() {
    let few = ["--rounds", "1", "--round-ms", "5", "--entries", "100000"];
    let comparison = compare(&[&["latency"], &few[..]].concat());
    for cache in ["clockhand get", "quick_cache", "moka", "foyer LRU", "TinyUFO", "scc"] {
        assert_eq!(answers(&comparison, cache), 40, "{cache}");
    }
    assert_eq!(answers(&comparison, "papaya map"), 0);
    let comparison = compare(&[&["memory"], &few[..]].concat());
    let (resident, excess) =
        rows(&comparison).iter().partition::<Vec<_>, _>(|row| row["measure"] == "resident");
    for row in &resident {
        let bytes = row["value"]["median"].as_f64().expect("a number");
        assert!((16.0..1000.0).contains(&bytes), "{row}");
    }
    assert_eq!(resident.len(), 2 * 8, "two sizes of entries");
    assert_eq!(excess.len(), 2 * 6, "two measures of those that weigh");
    let ours = |row: &&&Value| row["peer"] == "clockhand get" && !row["goals"][0].is_null();
    let ours = excess.iter().find(ours).expect("a goal");
    assert_eq!(ours["value"]["max"], 0.0, "{ours}");
}

#[test]
fn each_cache_may_use_its_own_hasher() {
    let quick = ["--quick", "--rounds", "1", "--round-ms", "1", "--peers", "lru"];
    let out = output(lab(["compare", "latency", "--hashers", "own"]).args(quick));
    let text = String::from_utf8(out.stdout).expect("tables are text");
    assert!(out.status.success());
    assert!(text.contains("DefaultHashBuilder") && text.contains("## Latency"), "{text}");
}

#[test]
fn hit_ratios_stand_beside_the_optimum() {
    let comparison = compare(&["hit-ratio", "--peers", "lru"]);
    let rows = comparison["hit_ratios"]["rows"].as_array().expect("rows");
    let of = |cache: &str| rows.iter().filter(|row| row["cache"] == cache).collect::<Vec<_>>();
    for policy in ["LRU", "CLOCK-1bit", "S3-FIFO", "Belady"] {
        assert_eq!(of(policy).len(), 12, "{policy}");
    }
    assert_eq!(of("clockhand get").len(), 24);
    for row in of("clockhand get") {
        assert_eq!(row["loss"].is_null(), row["threads"] == 1, "{row}");
    }
    for (simulated, measured) in of("LRU").iter().zip(of("Mutex<lru>")) {
        assert_eq!(simulated["hit_ratio"], measured["hit_ratio"]);
    }
    assert_eq!(comparison["hit_ratios"]["beside_best"].as_array().map(Vec::len), Some(12));
    for row in rows {
        assert!(row["distance"].as_f64().is_some_and(|distance| distance >= 0.0), "{row}");
    }
}

#[test]
fn traces_with_sizes_are_replayed_by_weight() {
    let comparison = compare(&["hit-ratio", "--peers", "foyer-lru,scc"]);
    let rows = comparison["hit_ratios"]["weighted"].as_array().expect("rows");
    // Four capacities of one trace, through three caches, and five rows more: clockhand by bytes, GDSF twice, and two that
    // know the future. scc does not weigh.
    assert_eq!(rows.len(), 4 * 8);
    let offline = rows.iter().filter(|row| row["cache"] == "Belady, offline");
    let bytes = offline.map(|row| row["byte_hit_ratio"].as_f64().expect("a ratio"));
    assert_eq!(bytes.collect::<Vec<_>>(), [0.27333, 0.53008, 0.62843, 0.72144], "of the file");
    assert_eq!(rows.iter().filter(|row| row["simulated"] == true).count(), 4 * 4);
    let best = |cost: &str, ratio: &str| {
        let of = |cache: &str| {
            let own = rows.iter().filter(|row| row["cache"] == format!("{cache}{cost}").as_str());
            own.map(|row| row[ratio].as_f64().expect("a ratio")).sum::<f64>() / 4.0
        };
        of("clockhand get") / of("GDSF")
    };
    let (objects, bytes) = (best("", "hit_ratio"), best(", cost = size", "byte_hit_ratio"));
    assert!(
        objects > 0.97 && bytes > 0.97,
        "of GDSF: {objects} of the objects, {bytes} of the bytes"
    );
    for row in rows {
        let [hits, bytes] =
            ["hit_ratio", "byte_hit_ratio"].map(|ratio| row[ratio].as_f64().expect("a ratio"));
        assert!((0.0..1.0).contains(&hits) && (0.0..1.0).contains(&bytes), "{row}");
        assert_eq!(row["clockhand_ratio"].is_null(), row["cache"] == "clockhand get", "{row}");
        // Not told of a simulation.
        let Some(held) = row["held"].as_f64() else { continue };
        assert!(held > 0.0, "{row}");
        // Others promise no exact bound: a shard of foyer keeps one object that is heavier than the shard.
        assert!(held <= 1.0 || row["cache"] != "clockhand get", "{row}");
    }
}

#[test]
fn a_folder_says_what_is_known_of_its_traces() {
    let folder = Folder::new();
    folder.keys("small", &[1, 2, 3, 1, 2, 3, 1, 2, 3]);
    let path = folder.path().to_str().expect("a plain name");
    let known = |ratio: &str| {
        let rows =
            format!("trace,entries,policy,hit_ratio\nsmall,2,LRU,0\nsmall,2,Belady,{ratio}\n");
        folder.raw("rows.csv", rows.as_bytes());
        output(&mut lab(["compare", "hit-ratio", "--peers", "lru", "--traces", path]))
    };
    let out = known("0.33333");
    assert!(out.status.success(), "{out:?}");
    let out = known("0.34");
    assert_eq!(out.status.code(), Some(1));
    let line = String::from_utf8(out.stderr).expect("errors are text");
    assert!(line.contains("small with 2 entries: Belady hits 0.33333, and 0.34000 is known"));
}

#[test]
fn reports_go_to_files() {
    let folder = Folder::new();
    let [json, markdown] = ["a.json", "a.md"].map(|name| folder.path().join(name));
    let files = [("--json", &json), ("--markdown", &markdown)];
    let files = files.iter().flat_map(|(option, path)| [option.as_ref(), path.as_os_str()]);
    let out = output(lab(["compare", "hit-ratio", "--peers", "lru"]).args(files));
    assert!(out.status.success(), "{out:?}");
    let tables = std::fs::read(markdown).expect("the file was written");
    assert_eq!(tables, out.stdout);
    let json = std::fs::read(json).expect("the file was written");
    let json: Value = serde_json::from_slice(&json).expect("one object");
    assert!(json["hit_ratios"]["rows"].is_array());
}

#[test]
fn charts_are_drawn_into_a_folder() {
    let folder = Folder::new();
    let charts = folder.path().join("made/for/it");
    let quick = ["--quick", "--rounds", "1", "--round-ms", "1", "--peers", "lru", "--charts"];
    for subject in ["latency", "hit-ratio"] {
        let out = output(lab(["compare", subject]).args(quick).arg(&charts));
        assert!(out.status.success(), "{out:?}");
    }
    let drawn = std::fs::read_dir(&charts).expect("the folder was made").count();
    assert_eq!(
        drawn,
        20 + 5,
        "of the hit ratios: three traces, and one by size, of requests and of bytes"
    );
    let chart = std::fs::read_to_string(charts.join("hit-ratio-web12.svg")).expect("a chart");
    for text in ["<svg", "clockhand get, 8 thr", "Belady", "1376 entries"] {
        assert!(chart.contains(text), "{text}");
    }
    let chart = std::fs::read_to_string(charts.join("byte-hit-ratio-web-nasa.svg"));
    let chart = chart.expect("a chart of the trace with sizes");
    for text in ["<svg", "GDSF, cost = size", "Belady by size, offline", "21871863 bytes, 20 %"] {
        assert!(chart.contains(text), "{text}");
    }
}
