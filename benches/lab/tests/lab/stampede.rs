//! The stampede: the figures that do not depend on the machine are as they have to be.

use crate::support::json;

#[test]
fn a_stampede_is_coalesced() {
    let told =
        json(&["stampede", "ways", "--seconds=2.5", "--store-ms=150", "--callers=20", "--keys=2"]);
    let ways = told["ways"].as_array().expect("ways");
    assert_eq!(ways.len(), 4);
    assert!(told["before_after"].is_null());
    for way in ways {
        assert!(way["loads"].as_u64().is_some_and(|loads| loads > 0), "{way}");
        assert!(way["response_ns"]["max"].as_u64().is_some_and(|ns| ns >= 145_000_000), "{way}");
        if way["coalesces"] == true {
            assert_eq!(way["most_per_key_and_period"], 1, "{way}");
            assert!(way["most_at_once"].as_u64().is_some_and(|most| most <= 2), "{way}");
        }
    }
    let most = |way: usize| ways[way]["most_at_once"].as_u64();
    assert!(most(1) > most(2), "there was no stampede to coalesce: {told}");
}

const SIDES: [&str; 5] =
    ["stampede", "before-after", "--seconds=3", "--store-ms=100", "--callers=60"];

#[test]
fn clockhand_loads_a_page_once_at_a_time_and_keeps_its_bounds() {
    let told = json(&SIDES);
    assert_eq!(told["ways"].as_array().map(Vec::len), Some(0));
    let [before, after] = ["before", "after"].map(|side| &told["before_after"][side]);
    for side in [before, after] {
        assert!(side["requests"].as_u64().is_some_and(|requests| requests > 0), "{side}");
        let [low, high] = ["memory_low", "memory_high"].map(|end| side[end].as_u64());
        assert!(low.is_some_and(|low| low > 0) && low <= high, "{side}");
    }
    assert_ne!(before["loads_beside_others"], 0, "there was no stampede to coalesce: {before}");
    assert_eq!((&after["loads_beside_others"], &after["beyond_bounds"]), (&0.into(), &0.into()));
}

#[test]
fn both_sides_are_drawn() {
    let folder = crate::support::Folder::new();
    let path = folder.path().join("sides.svg");
    let drawn = format!("--chart={}", path.display());
    json(&[&SIDES[..], &[&drawn]].concat());
    let chart = std::fs::read_to_string(path).expect("a chart");
    for text in ["<svg", "response time, mean, ms", "memory, most, MB", "clockhand"] {
        assert!(chart.contains(text), "{text}");
    }
}
