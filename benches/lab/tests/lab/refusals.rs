//! Refused writes: every row is there, and no promise is broken.

use serde_json::Value;

use crate::support::{lab, output};

#[test]
fn no_bound_is_exceeded_and_no_update_lost() {
    let out = output(&mut lab(["refusals", "--operations", "2000", "--threads", "3", "--json"]));
    assert!(out.status.success(), "{out:?}");
    let told: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let rows = told["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 12);
    for row in rows {
        assert!(row["operations"].as_u64().is_some_and(|done| done >= 2_000), "{row}");
        assert!(row["peak_retired"].as_u64() <= row["retired_capacity"].as_u64(), "{row}");
        assert_eq!((&row["lost"], &row["beyond"]), (&0.into(), &0.into()), "{row}");
    }
}

#[test]
fn rows_are_chosen_by_name() {
    let out = output(&mut lab(["refusals", "--operations", "1", "--only", "guard"]));
    let text = String::from_utf8(out.stdout).expect("a table is text");
    assert_eq!(text.lines().filter(|line| line.contains("beside a guard")).count(), 2, "{text}");
    assert!(!text.contains("own readers"), "{text}");
}
