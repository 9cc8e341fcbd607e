//! The races: locks around steps lose all of them, clockhand none.

use serde_json::Value;

use crate::support::{lab, output};

#[test]
fn locks_around_steps_lose_every_race_and_clockhand_none() {
    let out = output(&mut lab(["races", "--seconds", "0.05", "--threads", "4", "--json"]));
    assert!(out.status.success(), "{out:?}");
    let told: Value = serde_json::from_slice(&out.stdout).expect("one object");
    let races = told["races"].as_array().expect("races");
    assert_eq!(races.len(), 4 * 2);
    for (nth, race) in races.iter().enumerate() {
        assert_eq!(race["form"], ["threads", "tasks"][nth % 2], "{race}");
        assert!(race["naive"]["violations"].as_u64().is_some_and(|times| times > 0), "{race}");
        assert_eq!(race["clockhand"]["violations"], 0, "{race}");
        assert!(race["clockhand"]["operations"].as_u64().is_some_and(|done| done > 0), "{race}");
    }
}

#[test]
fn a_race_goes_on_until_it_is_lost() {
    let out = output(&mut lab(["races", "--seconds", "0", "--threads", "2", "--json"]));
    let told: Value = serde_json::from_slice(&out.stdout).expect("one object");
    for race in told["races"].as_array().expect("races") {
        assert!(race["naive"]["violations"].as_u64().is_some_and(|times| times > 0), "{race}");
    }
}

#[test]
fn a_table_says_what_went_wrong() {
    let out = output(&mut lab(["races", "--seconds", "0.01"]));
    let text = String::from_utf8(out.stdout).expect("a table is text");
    assert!(out.status.success());
    for name in ["check, then act", "stale arithmetic", "iteration over a changing map", "offsets"]
    {
        assert!(text.contains(&format!("- {name}: each is ")), "{text}");
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn every_message_is_processed_once() {
    let out = output(&mut lab(["dedup", "--deliveries", "50000", "--threads", "4", "--json"]));
    assert!(out.status.success(), "{out:?}");
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).expect("one JSON object");
    let ways = told["ways"].as_array().expect("ways");
    let others = if cfg!(feature = "peers") { 4 } else { 2 };
    assert_eq!((ways.len(), &told["messages"]), (1 + others, &45_000.into()));
    assert_eq!((&ways[0]["twice"], &ways[0]["lost"]), (&0.into(), &0.into()));
    assert_ne!(ways[2]["lost"], 0, "what fails after it was added is lost");
}
