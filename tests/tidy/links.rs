//! The links between the documents lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// The targets of a document's links.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// The name by which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).any(|anchor| anchor == wanted)
}

/// What is wrong with a link in the document at `path`.
fn broken(path: &Path, text: &str, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let beside = path.parent().expect("a file is in a folder").join(file);
    if !file.is_empty() && !beside.exists() {
        return Some(format!("{}: no file `{file}`", path.display()));
    }
    let other = if file.is_empty() { text.to_string() } else { fs::read_to_string(beside).ok()? };
    let found = anchor.is_empty() || has_anchor(&other, anchor);
    (!found).then(|| format!("{}: no heading for `{target}`", path.display()))
}

fn documents() -> Vec<PathBuf> {
    let root = root();
    let crates = fs::read_dir(root.join("crates")).expect("the folder of the crates");
    let crates = crates.map(|folder| folder.expect("a crate").path());
    let mut folders: Vec<PathBuf> =
        ["", "docs", "docs/adr", "benches/lab"].iter().map(|folder| root.join(folder)).collect();
    folders.extend(crates);
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a readable file");
        found.extend(targets(&text).filter_map(|target| broken(&path, &text, target)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_rule_on_links_can_fail() {
    let path = root().join("README.md");
    let is_broken = |target| broken(&path, "# One heading: of `a`\n", target).is_some();
    assert!(is_broken("docs/nowhere.md"));
    assert!(is_broken("#no-heading"));
    assert!(is_broken("#one heading-of-a"));
    assert!(is_broken("CONTRIBUTING.md#no-heading"));
    assert!(!is_broken("#one-heading-of-a"));
    assert!(!is_broken("CONTRIBUTING.md#checks"));
    assert!(!is_broken("https://example.org/nowhere"));
    assert_eq!(targets("[a](b) and [c](d#e)").collect::<Vec<_>>(), ["b", "d#e"]);
}
