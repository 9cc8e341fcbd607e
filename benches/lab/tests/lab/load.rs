//! The costs of loading: every cache answers every question, and the figures that do
//! not depend on the machine are as they have to be.

use serde_json::Value;

use crate::support::{Folder, json, lab, output};

const LOAD: [&str; 9] =
    ["load", "--quick", "--rounds", "1", "--round-ms", "1", "--threads", "2", "--callers=4"];

#[test]
fn each_cache_loads_as_often_as_it_has_to() {
    let told = json(&LOAD);
    let rows = told["rows"].as_array().expect("rows");
    let of = |question: &str| rows.iter().filter(|row| row["question"] == question).count();
    assert_eq!([of("hit"), of("miss"), of("join")], [7, 7, 6]);
    for row in rows {
        assert!(row["ns"]["median"].as_f64().is_some_and(|ns| ns > 0.0), "{row}");
        let is_other = row["cache"] != "clockhand";
        assert_eq!(row["clockhand_ratio"]["median"].is_f64(), is_other, "{row}");
        let loads = if row["question"] == "hit" { 0.0 } else { 1.0 };
        assert!(is_other || row["loads_per_operation"] == loads, "{row}");
    }
}

#[test]
fn a_table_and_a_file() {
    let folder = Folder::new();
    let path = folder.path().join("load.json");
    let out = output(lab(LOAD).arg("--json").arg(&path));
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).expect("a table is text");
    for says in ["get_or_load_async", "get_or_insert_with", "future::Cache::get_with", "4 callers"]
    {
        assert!(text.contains(says), "{text}");
    }
    let file = std::fs::read(path).expect("a file");
    assert!(serde_json::from_slice::<Value>(&file).is_ok_and(|told| told["rows"].is_array()));
}
