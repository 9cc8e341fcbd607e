//! Types are named by plain English words or by those of the glossary, and prose does without some phrases.

use std::collections::BTreeSet;
use std::fs;

use super::source::{Source, root, sources};

/// Words of types that need no explanation, one a line. A new one belongs here only if every reader knows it; else it
/// belongs in the glossary, or the type has another name.
const PLAIN: &str = include_str!("plain.txt");

/// What a reader stops at, and what to write. Where the code is quoted it may stand.
const PHRASES: &[(&str, &str)] = &[
    ("nobody notices", "does not count as a read"),
    ("for ever", "forever"),
    ("for so many", "the parameter's name"),
    ("for so long at", "the parameter's name"),
    ("nought", "zero"),
    ("time was over", "expired"),
    ("time is over", "has expired"),
    ("comes in with", "is inserted with"),
    ("came in since", "was inserted since"),
    ("beside writers", "concurrently with writers"),
    ("beside readers", "concurrently with readers"),
    ("beside other caches", "compared with other caches"),
    ("asks for the line", "prefetches"),
    ("worth to be", "worth being"),
    ("whoever", "the thread that"),
    ("somebody", "another thread"),
    ("perch", "owned guard"),
    ("control word", "header word"),
];

/// Documents whose words are those of their time.
const RECORDS: &[&str] = &["docs/benchmarks.md", "CHANGELOG.md"];

/// The words of the first column of the glossary.
fn glossary() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/glossary.md")).expect("the glossary");
    let firsts = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let words = |first: &str| {
        first.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect::<Vec<_>>()
    };
    firsts.flat_map(words).collect()
}

/// The words of the types that a file defines.
fn typed(source: &Source) -> Vec<(String, String)> {
    let names = source.lines.iter().filter_map(|line| {
        let code =
            line.code.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        let code = code.trim_start_matches("pub(super) ");
        let kind =
            ["struct ", "enum ", "trait "].into_iter().find(|kind| code.starts_with(kind))?;
        let name: String = code[kind.len()..].chars().take_while(|c| c.is_alphanumeric()).collect();
        Some(name)
    });
    names.flat_map(|name| words(&name).into_iter().map(move |word| (name.clone(), word))).collect()
}

/// The words of a name in camel case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_lowercase().to_string()),
        }
    }
    words
}

/// What a line of prose says that it should not, with what it should say. Code in backticks is not prose.
fn phrase(text: &str) -> Option<&'static (&'static str, &'static str)> {
    let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("``").to_lowercase();
    let stands = |phrase: &str| {
        let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        prose.match_indices(phrase).any(|(at, _)| {
            !prose[..at].ends_with(part) && !prose[at + phrase.len()..].starts_with(part)
        })
    };
    PHRASES.iter().find(|(phrase, _)| stands(phrase))
}

#[test]
fn types_are_plain_or_explained() {
    let (plain, glossary): (BTreeSet<&str>, _) = (PLAIN.lines().collect(), glossary());
    for source in sources().iter().filter(|source| !source.test) {
        for (name, word) in typed(source) {
            let known = plain.contains(word.as_str()) || glossary.contains(&word);
            assert!(
                known,
                "{}: `{name}`: explain `{word}` in the glossary, or rename",
                source.path
            );
        }
    }
    let twice: Vec<_> = plain.iter().filter(|word| glossary.contains(**word)).collect();
    assert!(twice.is_empty(), "plain, and yet in the glossary: {twice:?}");
}

#[test]
fn prose_does_without_some_phrases() {
    for source in sources() {
        let found = source.findings(|_, line| {
            let (phrase, instead) = phrase(&line.comment)?;
            Some(format!("`{phrase}`: say `{instead}`"))
        });
        assert!(found.is_empty(), "{found:#?}");
    }
    let docs = fs::read_dir(root().join("docs")).expect("documents").flatten();
    let docs = docs.map(|doc| format!("docs/{}", doc.file_name().to_string_lossy()));
    for path in docs.chain(["README.md", "CONTRIBUTING.md"].map(String::from)) {
        if !path.ends_with(".md") || RECORDS.contains(&path.as_str()) {
            continue;
        }
        let text = fs::read_to_string(root().join(&path)).expect("a document");
        for (nth, line) in text.lines().enumerate() {
            let found =
                phrase(line).map(|(phrase, instead)| format!("`{phrase}`: say `{instead}`"));
            assert!(found.is_none(), "{path}:{}: {}", nth + 1, found.unwrap_or_default());
        }
    }
}

#[test]
fn the_rules_on_words_can_fail() {
    assert_eq!(words("SlotMetaRef"), ["slot", "meta", "ref"]);
    let source = Source::new("a.rs", "pub(crate) struct BuryLane<T>(T);\n", false);
    assert_eq!(typed(&source).len(), 2);
    assert!(!glossary().contains("bury") && glossary().contains("victim"));
    assert!(phrase("It stays for ever.").is_some() && phrase("once for every entry").is_none());
    assert!(phrase("Whoever comes").is_some() && phrase("the seed `a-somebody`").is_none());
}
