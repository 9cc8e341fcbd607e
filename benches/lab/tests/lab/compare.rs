//! The comparison, as short as it gets: every question is answered by every cache.

use crate::support::{lab, output};
use serde_json::Value;

#[test]
fn every_question_is_answered() {
    let out = output(&mut lab([
        "compare",
        "--quick",
        "--rounds",
        "2",
        "--round-ms",
        "5",
        "--entries",
        "100000",
        "--json",
    ]));
    assert!(out.status.success(), "{out:?}");
    let comparison: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let rows = comparison["rows"].as_array().expect("rows");
    let answers = |peer: &str| rows.iter().filter(|row| row["peer"] == peer).count();
    assert_eq!(answers("quick_cache"), 9);
    assert_eq!(answers("clockhand get"), 9);
    assert_eq!(answers("clockhand Reader"), 6);
    for row in rows {
        assert!(row["value"]["median"].as_f64().is_some_and(|value| value > 0.0), "{row}");
        assert_eq!(row["ratio"].is_null(), row["peer"] == "quick_cache", "{row}");
    }
}

#[test]
fn each_cache_may_use_its_own_hasher() {
    let quick = ["--quick", "--rounds", "1", "--round-ms", "1", "--entries", "100000"];
    let out = output(lab(["compare", "--hashers", "own"]).args(quick));
    let text = String::from_utf8(out.stdout).expect("tables are text");
    assert!(out.status.success());
    assert!(text.contains("DefaultHashBuilder") && text.contains("| hit read, one hot key"));
}
