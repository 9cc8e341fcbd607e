//! Loading ahead: the figures are the same every time, and what they have to be.

use std::sync::OnceLock;

use serde_json::Value;

use crate::support::{Folder, json, lab, output};

const DAYS: [&str; 6] = ["predict", "days", "--symbols=20", "--days=3", "--learn=1", "--seed=5"];

/// What they print, as an object.
fn days() -> &'static Value {
    static TOLD: OnceLock<Value> = OnceLock::new();
    TOLD.get_or_init(|| figures(&DAYS))
}

/// A field of the way of this name.
fn of(told: &Value, way: &str, field: &str) -> f64 {
    let rows = told["days"]["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["way"] == way).expect("a way");
    row[field].as_f64().expect("a number")
}

#[test]
fn renewing_avoids_waits_and_costs_loads() {
    let told = days();
    let [none, all, hottest] = ["nothing", "all are renewed", "the 20 hottest are renewed"];
    assert_eq!(of(told, none, "ahead"), 0.0);
    let ahead = [all, hottest].map(|way| of(told, way, "ahead"));
    let avoided = [all, hottest].map(|way| of(told, way, "avoided"));
    assert!(ahead[0] > ahead[1] && ahead[1] > 0.0, "{ahead:?}");
    assert!(avoided[0] > avoided[1] && avoided[1] > 0.0, "{avoided:?}");
    for way in [all, hottest] {
        let waits = of(told, none, "waits") - of(told, way, "avoided");
        assert_eq!(waits, of(told, way, "waits"), "{way}");
        assert!(of(told, way, "precision") > 0.0, "{way}");
    }
}

/// The object without what depends on the machine.
fn figures(arguments: &[&str]) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !name.starts_with("ns_per"));
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut told = json(arguments);
    strip(&mut told);
    told
}

#[test]
fn figures_are_the_same_every_time() {
    assert_eq!(days(), &figures(&DAYS));
}

#[test]
fn what_follows_a_key_again_and_again_is_prefetched() {
    let folder = Folder::new();
    // Pairs that come in turns, among keys that come once.
    let pairs = |round: u64| {
        (0..2000).flat_map(move |nth| [nth, 10_000 + nth, 100_000 + 2000 * round + nth])
    };
    let keys: Vec<u64> = (0..6).flat_map(pairs).collect();
    let path = folder.keys("pairs", &keys);
    let told =
        figures(&["predict", "traces", "--capacity=1500", path.to_str().expect("a plain name")]);
    let rows = told["traces"].as_array().expect("rows");
    let hit_ratio = |way: &str| {
        let row = rows.iter().find(|row| row["way"] == way).expect("a way");
        row["hit_ratio"].as_f64().expect("a number")
    };
    assert!(hit_ratio("Mithril") > hit_ratio("nothing") + 0.1, "{told}");
    assert!(hit_ratio("Successors") > hit_ratio("Mithril"), "{told}");
    assert!(hit_ratio("both models") > hit_ratio("Mithril"), "{told}");
    assert_eq!(hit_ratio("Reuse"), hit_ratio("nothing"), "nothing expires");
    let out = output(lab(["predict", "traces", "--capacity=1500"]).arg(path));
    let text = String::from_utf8(out.stdout).expect("a table is text");
    for says in ["pairs", "Mithril", "both models", "points", "precision"] {
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn models_avoid_most_waits_for_few_of_the_loads() {
    let (told, all) = (days(), "all are renewed");
    for way in ["Reuse", "both models"] {
        let share = |field| of(told, way, field) / of(told, all, field);
        assert!(share("avoided") >= 0.8, "{way}: {}", share("avoided"));
        assert!(share("ahead") <= 0.3, "{way}: {}", share("ahead"));
    }
    assert!(of(told, "Successors", "avoided") > 0.0);
    assert!(of(told, "Successors", "precision") > 0.5);
}

#[test]
fn models_recover_within_a_day_of_a_drift() {
    let drift = &days()["drift"];
    assert!(drift["before"].as_f64().is_some_and(|share| share > 0.2), "{drift}");
    assert!(drift["hours"].as_u64().is_some_and(|hours| hours <= 6), "{drift}");
}

#[test]
fn keys_that_mislead_stay_within_budget_and_memory() {
    let adversary = &days()["adversary"];
    let of = |field: &str| adversary[field].as_u64().expect("a number");
    assert!(of("ahead") <= of("budget") / 4, "it stops itself long before: {adversary}");
    assert!(of("memory") <= of("allowed"), "{adversary}");
    assert!(of("waits") <= of("waits_before") * 101 / 100, "{adversary}");
}

#[test]
fn too_few_days() {
    let out = output(&mut lab(["predict", "days", "--days=3", "--learn=2"]));
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("too few days"), "{out:?}");
}
