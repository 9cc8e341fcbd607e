//! A second tier: round trips are the same every time, and a server has to be there.

use crate::failures::fails;
use crate::support::{json, lab, output};

/// A field of the row of this operation, way and number of instances.
fn of(told: &serde_json::Value, operation: &str, way: &str, instances: u64) -> f64 {
    let rows = told["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| {
        row["operation"] == operation && row["way"] == way && row["instances"] == instances
    });
    row.expect("a row")["round_trips"].as_f64().expect("a number")
}

#[test]
fn round_trips_are_what_they_have_to_be() {
    if std::process::Command::new("redis-server").arg("--version").output().is_err() {
        eprintln!("skipped: redis-server is not installed");
        return;
    }
    let told = json(&["tier", "--time-ms=200"]);
    let (ours, plain) = ("clockhand-redis", "redis, plain");
    for instances in [1, 5] {
        assert!(of(&told, "hit in the cache", ours, instances) < 0.1);
        for (operation, way, trips) in [
            ("hit in Redis", ours, 1.0),
            ("hit in Redis", plain, 1.0),
            ("miss", ours, 2.0),
            ("miss", plain, 2.0),
            ("100 hits in Redis", ours, 1.0),
            ("write", ours, 1.0),
        ] {
            let counted = of(&told, operation, way, instances);
            // A check of the connection each second, and a script that the server does not know yet, come on top.
            assert!(counted >= trips && counted < trips + 1.0, "{operation}, {way}: {counted}");
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let arguments = ["tier", "--redis=redis://:hunter2@127.0.0.1:1"];
    let output = output(&mut lab(arguments));
    fails(&output, "look at --redis");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
}
