//! The races: clockhand wins all of them.

use serde_json::Value;

use crate::support::{lab, output};

#[test]
fn clockhand_loses_no_race() {
    let out = output(&mut lab(["races", "--seconds", "0.1", "--threads", "4", "--json"]));
    assert!(out.status.success(), "{out:?}");
    let told: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let races = told["races"].as_array().expect("races");
    assert_eq!(races.len(), 4);
    for race in races {
        assert_eq!(race["clockhand"]["violations"], 0, "{race}");
        for side in ["naive", "clockhand"] {
            assert!(race[side]["operations"].as_u64().is_some_and(|done| done > 0), "{race}");
        }
    }
}

#[test]
fn a_table_says_what_went_wrong() {
    let out = output(&mut lab(["races", "--seconds", "0.01"]));
    let text = String::from_utf8(out.stdout).expect("a table is text");
    assert!(out.status.success());
    for name in ["check, then act", "stale arithmetic", "iteration over a changing map", "offsets"]
    {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn every_message_is_processed_once() {
    let out = output(&mut lab(["dedup", "--deliveries", "50000", "--threads", "4", "--json"]));
    assert!(out.status.success(), "{out:?}");
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).expect("one JSON object");
    let ways = told["ways"].as_array().expect("ways");
    assert_eq!((ways.len(), &told["messages"]), (5, &45_000.into()));
    assert_eq!((&ways[0]["twice"], &ways[0]["lost"]), (&0.into(), &0.into()));
    assert_ne!(ways[2]["lost"], 0, "what fails after it was added is lost");
}
