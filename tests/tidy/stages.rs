//! What runs in CI and what the justfile offers are the same stages.

use std::collections::BTreeSet;
use std::fs;

use super::root;

type Names = BTreeSet<String>;

fn words(text: &str) -> Names {
    text.split_whitespace().map(str::to_string).collect()
}

/// The stages that `.ci/run` has.
fn declared(script: &str) -> Names {
    let name = |line: &str| Some(line.strip_prefix("stage_")?.strip_suffix("() {")?.to_string());
    script.lines().filter_map(name).collect()
}

/// The stages that it runs when none is named.
fn run_by_default(script: &str) -> Names {
    let list = |line: &str| Some(words(line.trim().strip_prefix("stages=(")?.strip_suffix(')')?));
    script.lines().filter_map(list).find(|list| !list.contains("\"$@\"")).unwrap_or_default()
}

/// The stages that a justfile runs, those apart that its user names.
fn offered(justfile: &str) -> Names {
    let called = |line: &str| Some(words(line.trim().strip_prefix(".ci/run ")?));
    let named = |word: &String| !word.contains("{{");
    justfile.lines().filter_map(called).flatten().filter(named).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the project")
}

#[test]
fn the_justfile_has_the_stages_of_the_script() {
    let script = read(".ci/run");
    let stages = declared(&script);
    assert!(stages.len() > 1);
    assert_eq!(run_by_default(&script), stages, "a stage that is not run, or is not there");
    assert_eq!(offered(&read("justfile")), stages, "the justfile's stages and those of .ci/run");
}

#[test]
fn the_rule_on_stages_can_fail() {
    let script = "stage_a() {\n}\nstage_b() {\nstages=(\"$@\")\n    stages=(a b c)\n";
    assert_eq!(declared(script), words("a b"));
    assert_eq!(run_by_default(script), words("a b c"));
    assert_eq!(
        offered("ci:\n    .ci/run\nx +names:\n    .ci/run {{names}}\na:\n    .ci/run a\n"),
        words("a")
    );
}
