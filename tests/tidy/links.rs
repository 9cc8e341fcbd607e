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

/// Folders that the crate's package has not.
fn left_out() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let line = manifest.lines().find(|line| line.starts_with("exclude = [\"/"));
    let folders = line.expect("folders are left out").split('"').skip(1).step_by(2);
    folders.map(|folder| folder.trim_start_matches('/').to_string()).collect()
}

/// Whether a link in the document at `path`, which the package has, leads to a file that it has not.
fn leaves_the_package(path: &Path, target: &str) -> bool {
    let file = target.split('#').next().expect("a target");
    let beside = path.parent().expect("a file is in a folder").join(file);
    let (Ok(whole), Ok(root)) = (beside.canonicalize(), root().canonicalize()) else { return true };
    let Ok(inside) = whole.strip_prefix(root) else { return true };
    left_out().iter().any(|folder| inside.starts_with(folder))
}

/// The pages of the documentation (`src/guide.rs`), where a file is nowhere.
const PAGES: [&str; 3] = ["docs/guide.md", "docs/migration.md", "docs/operations.md"];

#[test]
fn no_link_leaves_the_package() {
    let mut found = Vec::new();
    for path in documents() {
        let inside = path.strip_prefix(root()).expect("below the root");
        if left_out().iter().any(|folder| inside.starts_with(folder)) {
            continue;
        }
        let is_page = PAGES.iter().any(|page| inside == Path::new(page));
        let text = fs::read_to_string(&path).expect("a readable file");
        let links = targets(&text).filter(|target| !target.contains("://"));
        let dead = |target: &&str| {
            leaves_the_package(&path, target) || (is_page && !target.starts_with('#'))
        };
        found.extend(links.filter(dead).map(|target| format!("{}: {target}", path.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_rule_on_links_out_of_the_package_can_fail() {
    let guide = root().join("docs/guide.md");
    assert!(leaves_the_package(&guide, "../crates/clockhand-redis/README.md"));
    assert!(leaves_the_package(&guide, "../../nowhere.md"));
    assert!(!leaves_the_package(&guide, "design.md#layers"));
    let pages = fs::read_to_string(root().join("src/guide.rs")).expect("the pages");
    assert!(PAGES.iter().all(|page| pages.contains(page)));
    assert_eq!(pages.matches("include_str!").count(), PAGES.len());
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
