//! The words of types and of prose, and the links between the documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Rule;
use super::source::{Source, crates, names, root, sources, sources_of};

/// Words of types that need no explanation. A new one belongs here only if every reader knows it; else it belongs in the
/// glossary, or the type has another name.
const PLAIN: &str = include_str!("plain.txt");

const GLOSSARY: &str = include_str!("../../docs/glossary.md");

pub(crate) const TYPES: Rule = Rule {
    name: "types",
    find: types,
    wrong: &[("a.rs", "pub(crate) struct BuryLane<T>(T);"), ("a.rs", "enum Perch {")],
    right: &[("a.rs", "pub struct VictimBatch;"), ("models.rs", "struct Toy;")],
};

/// The words of the first column of the glossary.
fn explained() -> BTreeSet<String> {
    let firsts = GLOSSARY.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    firsts.flat_map(names).map(str::to_lowercase).collect()
}

/// Types whose names have words that are neither plain nor explained.
fn types(source: &Source) -> Vec<String> {
    let (plain, explained) = (PLAIN.split_whitespace().collect::<BTreeSet<_>>(), explained());
    source.findings(|_, line| {
        let mut words =
            names(&line.code).skip_while(|word| ["pub", "crate", "super", "unsafe"].contains(word));
        let is_type = ["struct", "enum", "trait"].contains(&words.next()?);
        let name = words.next().filter(|_| is_type && !source.test)?;
        let known = |word: &&str| plain.contains(word) || explained.contains(*word);
        let word = in_camel_case(name).into_iter().find(|word| !known(&&**word))?;
        Some(format!("`{name}`: explain `{word}` in the glossary, or rename"))
    })
}

/// The words of a name in camel case.
fn in_camel_case(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_lowercase().to_string()),
        }
    }
    words
}

#[test]
fn a_word_is_plain_or_in_the_glossary() {
    let explained = explained();
    let twice: Vec<_> = PLAIN.split_whitespace().filter(|word| explained.contains(*word)).collect();
    assert!(
        twice.is_empty() && explained.contains("victim"),
        "plain, and yet explained: {twice:?}"
    );
    assert_eq!(in_camel_case("SlotMetaRef"), ["slot", "meta", "ref"]);
}

/// What a reader stops at, and what to write. Where the code is quoted it may stand.
const PHRASES: &str = include_str!("phrases.txt");

/// Documents whose words are those of their time.
const RECORDS: &[&str] = &["docs/benchmarks.md", "CHANGELOG.md"];

/// What a line of prose says that it should not, with what it should say. Code in backticks is not prose.
fn phrase(text: &str) -> Option<(&'static str, &'static str)> {
    let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("``").to_lowercase();
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let stands = |phrase: &str| {
        prose.match_indices(phrase).any(|(at, _)| {
            !prose[..at].ends_with(part) && !prose[at + phrase.len()..].starts_with(part)
        })
    };
    PHRASES.lines().filter_map(|line| line.split_once(": ")).find(|(phrase, _)| stands(phrase))
}

#[test]
fn prose_does_without_some_phrases() {
    let found = |path: &str, nth: usize, text: &str| {
        let (phrase, instead) = phrase(text)?;
        Some(format!("{path}:{}: `{phrase}`: say `{instead}`", nth + 1))
    };
    let mut all = Vec::new();
    for source in sources().into_iter().chain(crates()).chain(sources_of("benches")) {
        let comments = source.lines.iter().map(|line| &*line.comment).enumerate();
        all.extend(comments.filter_map(|(nth, text)| found(&source.path, nth, text)));
    }
    for (path, text) in documents(&["", "docs", "docs/adr"]) {
        let path = inside(&path);
        let lines = text.lines().enumerate().filter(|_| !RECORDS.contains(&&*path));
        all.extend(lines.filter_map(|(nth, text)| found(&path, nth, text)));
    }
    assert!(all.is_empty(), "{all:#?}");
    assert!(phrase("It stays for ever.").is_some() && phrase("once for every entry").is_none());
    assert!(phrase("Whoever comes").is_some() && phrase("the seed `a-somebody`").is_none());
}

/// The documents in some folders, with their texts.
fn documents(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let entries =
        folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect("a folder"));
    let paths = entries.map(|entry| entry.expect("an entry of a folder").path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.map(|path| (path.clone(), fs::read_to_string(path).expect("a readable file"))).collect()
}

fn inside(path: &Path) -> String {
    path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/")
}

/// The targets of a document's links that are no addresses.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

fn has_anchor(text: &str, wanted: &str) -> bool {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let anchor = |heading: &str| {
        let heading = heading.trim_start_matches('#').trim().to_lowercase();
        heading.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == wanted)
}

/// The pages of the documentation (`src/guide.rs`), where a file is nowhere.
const PAGES: [&str; 3] = ["docs/guide.md", "docs/migration.md", "docs/operations.md"];

/// Folders that the crate's package has not.
fn left_out() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let line = manifest.lines().find(|line| line.starts_with("exclude = [\"/"));
    let folders = line.expect("folders are left out").split('"').skip(1).step_by(2);
    folders.map(|folder| folder.trim_start_matches('/').to_string()).collect()
}

/// Whether a link in the document at `path` leads nowhere, or from what the package has to what it has not.
fn is_broken(path: &Path, text: &str, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let other = if file.is_empty() { path.into() } else { path.with_file_name("").join(file) };
    let Ok(whole) = other.canonicalize() else { return true };
    let (from, to) = (inside(path), whole.strip_prefix(root().canonicalize().expect("the root")));
    let outside = |folder: &String| to.as_ref().map_or(true, |to| to.starts_with(folder));
    let is_left_out =
        |path: &str| left_out().iter().any(|folder| path.starts_with(folder.as_str()));
    let leaves = !is_left_out(&from) && left_out().iter().any(outside);
    let is_file_of_page = PAGES.contains(&&*from) && !file.is_empty();
    let read = || {
        if file.is_empty() { text.into() } else { fs::read_to_string(&other).unwrap_or_default() }
    };
    leaves || is_file_of_page || !(anchor.is_empty() || has_anchor(&read(), anchor))
}

#[test]
fn links_lead_somewhere() {
    let crates = fs::read_dir(root().join("crates")).expect("the folder of the crates");
    let crates = crates.map(|folder| inside(&folder.expect("a crate").path()));
    let folders: Vec<String> =
        crates.chain(["", "docs", "docs/adr", "benches/lab"].map(String::from)).collect();
    let folders: Vec<&str> = folders.iter().map(|folder| &**folder).collect();
    for (path, text) in documents(&folders) {
        let broken: Vec<_> =
            targets(&text).filter(|target| is_broken(&path, &text, target)).collect();
        assert!(broken.is_empty(), "{}: {broken:?}", path.display());
    }
    let pages = fs::read_to_string(root().join("src/guide.rs")).expect("the pages");
    assert!(PAGES.iter().all(|page| pages.contains(page)));
    assert_eq!(pages.matches("include_str!").count(), PAGES.len());
}

#[test]
fn a_broken_link_is_found() {
    let [readme, guide] = ["README.md", "docs/guide.md"].map(|path| root().join(path));
    let broken = |target| is_broken(&readme, "# One heading: of `a`\n", target);
    for target in [
        "docs/nowhere.md",
        "#no-heading",
        "#one heading-of-a",
        "CONTRIBUTING.md#no-heading",
        "benches/lab/README.md",
    ] {
        assert!(broken(target), "{target}");
    }
    assert!(!broken("#one-heading-of-a") && !broken("CONTRIBUTING.md#checks"));
    assert!(
        is_broken(&guide, "", "../crates/clockhand-redis/README.md")
            && is_broken(&guide, "", "design.md")
    );
    let text = "[a](b), [c](d#e) and [f](https://example.org/nowhere)";
    assert_eq!(targets(text).collect::<Vec<_>>(), ["b", "d#e"]);
}
