//! What Prometheus' own tool says of the metrics and of the rules; and that rules and dashboard name
//! metrics that there are. Without the tool, the parts that need it say so and end.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clockhand::Cache;
use clockhand::dedup::{Deduplicator, OffsetTracker};
use clockhand_metrics::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

/// All that a collector can tell.
fn everything() -> String {
    let build = |name| {
        let builder = Cache::<u64, u64>::builder().capacity(7).name(name);
        #[cfg(feature = "histograms")]
        let builder = builder.sample_every(1);
        builder.build().expect("a cache")
    };
    let (units, bytes) = (build("units"), build("bytes"));
    let seen: Deduplicator<u64> = Deduplicator::builder().capacity(100).build().expect("settings");
    let tracker = OffsetTracker::builder().build().expect("settings");
    tracker.assign("ticks", 3, 1000);
    let collector = Collector::new().cache(&units).cache_in_bytes(&bytes);
    let collector = collector.deduplicator("orders", &seen).tracker("feed", &tracker);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry).expect("a text");
    text
}

/// Runs the tool; an error with what it says, if something is wrong. `None` if it is not there.
fn promtool(arguments: &[&str], input: &str) -> Option<Result<(), String>> {
    let started = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = match started {
        Ok(tool) => tool,
        Err(error) => {
            let required = env::var_os("CLOCKHAND_PROMTOOL").is_some();
            assert!(!required, "promtool does not start: {error}");
            eprintln!("skipped: there is no promtool ({error})");
            return None;
        }
    };
    let mut stdin = tool.stdin.take().expect("its input");
    stdin.write_all(input.as_bytes()).expect("a tool that reads");
    drop(stdin);
    let done = tool.wait_with_output().expect("an end");
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some(if done.status.success() { Ok(()) } else { Err(said) })
}

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn promtool_accepts_the_metrics() {
    if let Some(said) = promtool(&["check", "metrics"], &everything()) {
        assert_eq!(said, Ok(()));
        // It does look at them.
        let wrong = "# TYPE a_total gauge\na_total 1\n";
        assert!(promtool(&["check", "metrics"], wrong).is_some_and(|said| said.is_err()));
    }
}

#[test]
fn promtool_accepts_the_rules() {
    let rules = document("alerts.yml");
    let rules = rules.to_str().expect("a path in UTF-8");
    if let Some(said) = promtool(&["check", "rules", rules], "") {
        assert_eq!(said, Ok(()));
    }
}

/// Each rule speaks of what is unwell, of nothing else, and no longer.
#[test]
fn each_rule_fires_and_stops() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts.yml");
    let said = fs::read_to_string(&tests).expect("a document");
    let rules = fs::read_to_string(document("alerts.yml")).expect("a document");
    for rule in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(said.contains(&format!("alertname=\"{rule}\"")), "{rule} is not tested");
    }
    if let Some(said) = promtool(&["test", "rules", tests.to_str().expect("UTF-8")], "") {
        assert_eq!(said, Ok(()));
    }
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let told = |name: &&str| {
        let timed = name.starts_with("clockhand_cache_latency");
        name.starts_with("clockhand_") && (cfg!(feature = "histograms") || !timed)
    };
    words.filter(told).map(str::to_string).collect()
}

#[test]
fn rules_and_dashboard_name_metrics_that_there_are() {
    let text = everything();
    let names = text.lines().filter(|line| !line.starts_with('#'));
    let names = names.filter_map(|line| line.split(['{', ' ']).next());
    let there: BTreeSet<String> = names.map(str::to_string).collect();
    for name in ["alerts.yml", "grafana.json"] {
        let wanted = named(&fs::read_to_string(document(name)).expect("a document"));
        assert!(wanted.len() > 10, "{name} names {wanted:?}");
        let missing: Vec<_> = wanted.difference(&there).collect();
        assert!(missing.is_empty(), "{name} names {missing:?}, which are not told");
    }
}
