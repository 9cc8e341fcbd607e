//! The rules of the source that no compiler checks: layers, who may name atomics, comments on
//! orderings and unsafe code, the register of orderings and seeds, sizes, links, stages. Each rule is shown to find what it forbids.

#[path = "tidy/growth.rs"]
mod growth;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/register.rs"]
mod register;
#[path = "tidy/stages.rs"]
mod stages;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules, and what each may import from the crate; itself apart. What stands further up is built
/// on what stands further down.
const LAYERS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("load", LOAD),
    ("dedup", FACE),
    ("telemetry", FACE),
    ("tier", FACE),
    ("builder", TOP),
    ("cache", TOP),
    ("guard", TOP),
    ("iter", TOP),
    ("janitor", &["engine", "sync"]),
    ("reader", TOP),
    (
        "engine",
        &[
            "accounting",
            "entry",
            "error",
            "expiry",
            "hash",
            "health",
            "latency",
            "load_policy",
            "outcome",
            "policy",
            "reclaim",
            "stats",
            "sync",
            "table",
            "time",
            "trace",
        ],
    ),
    // Siblings: none of them imports another.
    ("table", &["entry", "reclaim", "sync"]),
    ("policy", &["sync"]),
    ("accounting", &["sync"]),
    ("expiry", &["entry", "sync", "time"]),
    ("entry", &["sync"]),
    ("reclaim", &["sync"]),
    // Leaves.
    ("health", &["sync", "time"]),
    ("latency", &["sync", "time"]),
    ("outcome", &["error"]),
    ("stats", &[]),
    ("error", &[]),
    ("hash", &[]),
    ("load_policy", &[]),
    ("random_state", &[]),
    ("time", &["sync"]),
    ("trace", &[]),
    ("sync", &[]),
];
/// What stands on the public surface only.
const FACE: &[&str] = &[
    "builder",
    "cache",
    "error",
    "expiry",
    "guard",
    "hash",
    "health",
    "iter",
    "outcome",
    "random_state",
    "reader",
    "stats",
    "sync",
    "time",
];
/// What takes part in the table, too.
const LOAD: &[&str] = &[
    "cache",
    "engine",
    "error",
    "expiry",
    "health",
    "latency",
    "load_policy",
    "random_state",
    "stats",
    "sync",
    "time",
    "trace",
];
/// What makes the public surface.
const TOP: &[&str] = &[
    "builder",
    "cache",
    "engine",
    "error",
    "expiry",
    "guard",
    "health",
    "iter",
    "janitor",
    "latency",
    "load_policy",
    "outcome",
    "random_state",
    "reader",
    "stats",
    "time",
];

/// Where code may be unsafe.
const UNSAFE: &[&str] = &["sync", "reclaim", "entry", "table"];
/// Lines of code in a file, at most.
const LONGEST: usize = 600;
/// How far above an unsafe block its comment may begin.
const NEAR: usize = 8;

/// A file, taken apart.
struct Source {
    /// Below the folder that is looked at, with slashes.
    path: String,
    lines: Vec<Line>,
    /// Compiled for tests only.
    test: bool,
}

/// A line: what is compiled, without the contents of its strings, and what is not.
#[derive(Default)]
struct Line {
    code: String,
    comment: String,
}

/// What the reader of a file is in the middle of.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Code,
    Text { hashes: Option<usize> },
    Block(usize),
}

impl Source {
    fn new(path: &str, text: &str, test: bool) -> Self {
        let mut within = Within::Code;
        let lines = text.lines().map(|line| take_apart(line, &mut within)).collect();
        Self { path: path.to_string(), lines, test }
    }

    /// The module of the crate that the file belongs to.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// A finding for each line whose number and self are such that `wrong` has something to say.
    fn findings(&self, wrong: impl Fn(usize, &Line) -> Option<String>) -> Vec<String> {
        let finding =
            |(nth, line)| wrong(nth, line).map(|text| format!("{}:{}: {text}", self.path, nth + 1));
        self.lines.iter().enumerate().filter_map(finding).collect()
    }
}

/// Divides a line into code and comment. Strings keep their quotes only.
fn take_apart(text: &str, within: &mut Within) -> Line {
    let mut line = Line::default();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let mut step = next.len_utf8();
        match *within {
            Within::Block(depth) => {
                if rest.starts_with("*/") {
                    *within = if depth == 1 { Within::Code } else { Within::Block(depth - 1) };
                    step = 2;
                } else if rest.starts_with("/*") {
                    *within = Within::Block(depth + 1);
                    step = 2;
                } else {
                    line.comment.push(next);
                }
            }
            Within::Text { hashes: None } if next == '\\' => step += skipped(&rest[1..]),
            Within::Text { hashes } => {
                let closing = format!("\"{}", "#".repeat(hashes.unwrap_or(0)));
                if rest.starts_with(&closing) {
                    *within = Within::Code;
                    step = closing.len();
                    line.code.push('"');
                }
            }
            Within::Code if rest.starts_with("//") => {
                line.comment.push_str(rest);
                return line;
            }
            Within::Code if rest.starts_with("/*") => {
                *within = Within::Block(1);
                step = 2;
            }
            Within::Code => {
                step = code_step(rest, &line.code, within);
                line.code.push_str(if *within == Within::Code { &rest[..step] } else { "\"" });
            }
        }
        rest = &rest[step..];
    }
    line
}

fn skipped(rest: &str) -> usize {
    rest.chars().next().map_or(0, char::len_utf8)
}

/// How many bytes of code come next: a character literal, the beginning of a string, or one
/// character.
fn code_step(rest: &str, before: &str, within: &mut Within) -> usize {
    let mut chars = rest.chars();
    let next = chars.next().unwrap_or_default();
    let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if next == '"' {
        *within = Within::Text { hashes: None };
        return 1;
    }
    if next == 'r' && !in_word {
        let hashes = rest[1..].chars().take_while(|&c| c == '#').count();
        if rest[1 + hashes..].starts_with('"') {
            *within = Within::Text { hashes: Some(hashes) };
            return hashes + 2;
        }
    }
    if next == '\'' {
        // A lifetime has no closing quote.
        return match (chars.next(), chars.next()) {
            (Some('\\'), _) => rest[2..].find('\'').map_or(1, |at| at + 3),
            (Some(c), Some('\'')) => 2 + c.len_utf8(),
            _ => 1,
        };
    }
    next.len_utf8()
}

/// Whether a word stands alone in the code.
fn has_word(code: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(part) && !code[at + word.len()..].starts_with(part))
}

/// Imports from layers that are not below.
fn layers(source: &Source) -> Vec<String> {
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == source.module()) else {
        return vec![format!("{}: a module without a layer", source.path)];
    };
    if source.test || source.module() == "lib" {
        return Vec::new();
    }
    let top = !source.path.contains('/') || source.path.ends_with("/mod.rs");
    let whole: String = source.lines.iter().flat_map(|line| [&line.code, "\n"]).collect();
    let mut found = Vec::new();
    for name in named_by_crate(&whole) {
        if name != source.module() && !allowed.contains(&name.as_str()) {
            found.push(format!("{}: imports `{name}`, which is no layer below", source.path));
        }
    }
    if whole.contains("super::super::") || (top && whole.contains("super::")) {
        found.push(format!("{}: leaves its module by `super`; say `crate`", source.path));
    }
    found
}

/// The first names after each `crate::`, with those in braces.
fn named_by_crate(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(braced) = rest.strip_prefix('{') else {
            names.insert(word(rest));
            continue;
        };
        let (mut depth, mut fresh) = (0, true);
        for (at, c) in braced.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => fresh = true,
                c if fresh && !c.is_whitespace() => {
                    names.insert(word(&braced[at..]));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// Atomics that do not come from `sync`, and `crossbeam_epoch` but in the models that measure it.
fn atomics(source: &Source) -> Vec<String> {
    source.findings(|_, line| {
        let free = source.test || source.module() == "sync";
        let atomic = line.code.contains("std::sync::atomic")
            || line.code.contains("core::sync::atomic")
            || has_word(&line.code, "loom");
        let yardstick = source.test && source.module() == "reclaim";
        if has_word(&line.code, "crossbeam_epoch") && !yardstick {
            return Some("names `crossbeam_epoch`".to_string());
        }
        (atomic && !free).then(|| "names atomics that `sync` does not lend".to_string())
    })
}

/// Unsafe code where there may be none, or without its reason.
fn unsafety(source: &Source) -> Vec<String> {
    source.findings(|nth, line| {
        if !has_word(&line.code, "unsafe") {
            return None;
        }
        if !UNSAFE.contains(&source.module()) {
            return Some("unsafe code outside its folders".to_string());
        }
        let needs = line.code.contains("unsafe {") || line.code.contains("unsafe impl");
        let near = &source.lines[nth.saturating_sub(NEAR)..=nth];
        let told = near.iter().any(|line| line.comment.contains("SAFETY:"));
        (needs && !told).then(|| "no `SAFETY:` above".to_string())
    })
}

/// Orderings without a reason in the same function, above. Needs none: code for tests, a seeded bug,
/// and a first guess that the exchange in the loop behind it checks.
fn orderings(source: &Source) -> Vec<String> {
    const NAMES: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let line_at = |nth: usize| source.lines.get(nth).map_or("", |line| line.code.trim());
    source.findings(|nth, line| {
        let used = NAMES.iter().find(|name| line.code.contains(&format!("Ordering::{name}")))?;
        // The types that have no ordering to choose are made there.
        let made = source.module() == "sync" && *used == "Relaxed";
        let seed = [nth.saturating_sub(1), nth].iter().any(|&at| line_at(at).contains("seeded("));
        let guess = line.code.trim().starts_with("let mut ")
            && line.code.contains(".load(Ordering::Relaxed);")
            && line_at(nth + 1) == "loop {";
        if source.test || made || seed || guess {
            return None;
        }
        let begin = (0..=nth).rev().find(|&at| has_word(line_at(at), "fn")).unwrap_or(0);
        let for_tests = line_at(begin.saturating_sub(1)) == "#[cfg(test)]";
        let told = source.lines[begin..=nth].iter().any(|l| l.comment.contains("ORDERING "));
        (!told && !for_tests).then(|| format!("`Ordering::{used}` without `ORDERING` above"))
    })
}

/// Examples that are not compiled, things left to do, tests that do not run or stand inline.
fn leftovers(source: &Source) -> Vec<String> {
    let undone = [concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("#[ig", "nore")];
    let marks = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    source.findings(|_, line| {
        let fence = line.comment.contains("```") && line.comment.contains("ignore");
        if fence {
            return Some("an example that is not compiled".to_string());
        }
        let inline = ["mod tests {", "mod models {"].iter().any(|m| line.code.contains(m));
        if inline {
            return Some("tests inline; they have a file of their own".to_string());
        }
        let undone = undone.iter().find(|mark| line.code.contains(**mark));
        let marked = marks.iter().find(|mark| has_word(&line.comment, mark));
        undone.or(marked).map(|mark| format!("left over: {mark}"))
    })
}

/// Files that are too long or too deep.
fn sizes(source: &Source) -> Vec<String> {
    let code = source.lines.iter().filter(|line| !line.code.trim().is_empty()).count();
    let mut found = Vec::new();
    if code > LONGEST {
        found.push(format!("{}: {code} lines of code, more than {LONGEST}", source.path));
    }
    if source.path.matches('/').count() > 1 {
        found.push(format!("{}: more than two folders deep", source.path));
    }
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The paths and texts of all Rust files below a folder.
fn files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, base: &Path, out: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("a folder of the package") {
            let path = entry.expect("an entry of a folder").path();
            // What was built for the package below it is not its source.
            if path.is_dir() && path.ends_with("target") {
                continue;
            }
            if path.is_dir() {
                walk(&path, base, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(base).expect("below its base");
                let name = name.to_string_lossy().replace('\\', "/");
                out.push((name, fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    let base = root().join(folder);
    let mut out = Vec::new();
    walk(&base, &base, &mut out);
    out.sort();
    out
}

/// The modules that are declared for tests only, as paths of files.
fn test_files(files: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in files {
        let folder = match path.strip_suffix("mod.rs") {
            Some(folder) => folder.to_string(),
            None if path == "lib.rs" => String::new(),
            None => format!("{}/", path.trim_end_matches(".rs")),
        };
        let mut for_tests = false;
        for line in text.lines().map(str::trim) {
            let module = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
            if let Some(module) = module.filter(|_| for_tests) {
                found.insert(format!("{folder}{module}.rs"));
            }
            for_tests = line.starts_with("#[cfg(") && has_word(line, "test");
        }
    }
    found
}

fn sources() -> Vec<Source> {
    let files = files("src");
    let tests = test_files(&files);
    files.iter().map(|(path, text)| Source::new(path, text, tests.contains(path))).collect()
}

/// The sources of the crates below `crates`, by their paths in them.
fn crates() -> Vec<Source> {
    let folders = fs::read_dir(root().join("crates")).expect("the folder of the crates");
    let folders = folders.map(|folder| folder.expect("a crate").file_name());
    let mut found = Vec::new();
    for name in folders {
        let folder = format!("crates/{}/src", name.to_string_lossy());
        let files = files(&folder);
        let tests = test_files(&files);
        found
            .extend(files.iter().map(|(path, text)| Source::new(path, text, tests.contains(path))));
    }
    found
}

fn assert_tidy(rule: fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{}", listed(&found));
}

fn listed(found: &[String]) -> String {
    found.iter().fold(String::new(), |mut list, line| {
        let _ = write!(list, "\n  src/{line}");
        list
    })
}

#[test]
fn layers_import_only_what_is_below() {
    assert_tidy(layers);
}

#[test]
fn only_sync_names_atomics() {
    assert_tidy(atomics);
}

#[test]
fn unsafe_code_keeps_to_its_folders_and_says_why() {
    assert_tidy(unsafety);
}

#[test]
fn every_ordering_says_why() {
    assert_tidy(orderings);
}

#[test]
fn nothing_is_left_over() {
    assert_tidy(leftovers);
    for folder in ["tests", "benches", "crates", "fuzz", "docs/examples"] {
        for (path, text) in files(folder) {
            let found = leftovers(&Source::new(&path, &text, true));
            assert!(found.is_empty(), "{folder}: {found:?}");
        }
    }
}

#[test]
fn files_are_short_and_near() {
    assert_tidy(sizes);
    let found: Vec<String> = crates().iter().flat_map(sizes).collect();
    assert!(found.is_empty(), "crates: {found:?}");
}

/// Whether a rule objects to a text in a certain place.
fn objects(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> bool {
    !rule(&Source::new(path, text, false)).is_empty()
}

#[test]
fn the_rule_on_layers_can_fail() {
    let is_wrong = |path, text| objects(layers, path, text);
    assert!(is_wrong("table/home.rs", "use crate::policy::Memory;"));
    assert!(is_wrong("policy/hand.rs", "use crate::{sync::Relaxed, table::View};"));
    assert!(is_wrong("policy/hand.rs", "use crate::{\n    table::{View, Held},\n};"));
    assert!(is_wrong("sync/mod.rs", "fn f() { crate::time::now() }"));
    assert!(is_wrong("engine/write.rs", "use crate::cache::Cache;"));
    assert!(is_wrong("dedup.rs", "use crate::engine::Engine;"));
    assert!(is_wrong("cache.rs", "use super::table::View;"));
    assert!(is_wrong("table/home.rs", "use super::super::policy::Memory;"));
    assert!(is_wrong("drawer.rs", ""));
    assert!(!is_wrong("table/home.rs", "use super::row::Row;\nuse crate::sync::{fence, seeded};"));
    assert!(!is_wrong("table/home.rs", "// crate::policy knows\nlet a = \"crate::policy\";"));
    assert!(!is_wrong(
        "engine/write.rs",
        "use crate::{\n    table::{View},\n    policy::Load,\n};"
    ));
}

#[test]
fn the_rule_on_atomics_can_fail() {
    assert!(objects(atomics, "table/row.rs", "use std::sync::atomic::AtomicU64;"));
    assert!(objects(atomics, "engine/mod.rs", "use loom::thread;"));
    assert!(objects(atomics, "reclaim/mod.rs", "use crossbeam_epoch::Guard;"));
    assert!(objects(atomics, "sync/mod.rs", "use crossbeam_epoch::Guard;"));
    let model = |path| !atomics(&Source::new(path, "use crossbeam_epoch::Guard;", true)).is_empty();
    assert!(model("table/models.rs") && !model("reclaim/yardstick.rs"));
    assert!(!objects(atomics, "sync/mod.rs", "use std::sync::atomic::AtomicU64;"));
    assert!(!objects(atomics, "table/row.rs", "#[cfg(clockhand_loom)] // not loom itself"));
}

#[test]
fn the_rule_on_unsafe_code_can_fail() {
    assert!(objects(unsafety, "engine/mod.rs", "// SAFETY: none\nunsafe { f() }"));
    assert!(objects(unsafety, "table/row.rs", "let a = unsafe { f() };"));
    assert!(objects(unsafety, "table/row.rs", "unsafe impl Send for Row {}"));
    assert!(!objects(unsafety, "table/row.rs", "// SAFETY: by T1\nlet a = unsafe { f() };"));
    assert!(!objects(unsafety, "engine/mod.rs", "#![deny(unsafe_code)] // unsafe"));
}

#[test]
fn the_rule_on_orderings_can_fail() {
    let bare = "fn f() {\n    word.load(Ordering::Acquire)\n}";
    let above = "// ORDERING A-b: Acquire: of another function\n";
    let told = "fn f() {\n    // ORDERING A-b: Acquire: pairs\n    word.load(Ordering::Acquire)\n}";
    assert!(objects(orderings, "table/row.rs", bare));
    assert!(objects(orderings, "table/row.rs", &format!("{above}{bare}")));
    assert!(objects(orderings, "sync/mod.rs", bare));
    assert!(objects(orderings, "table/row.rs", &format!("#[cfg(test)]\nfn g() {{}}\n{bare}")));
    assert!(!objects(orderings, "table/row.rs", &format!("#[cfg(test)]\n{bare}")));
    assert!(!objects(
        orderings,
        "table/row.rs",
        "fn f() {\n    let mut a = b.load(Ordering::Relaxed);\n    loop {\n"
    ));
    assert!(objects(
        orderings,
        "table/row.rs",
        "fn f() {\n    let a = b.load(Ordering::Relaxed);\n"
    ));
    assert!(!objects(orderings, "table/row.rs", told));
    assert!(!objects(orderings, "sync/mod.rs", "fn f() { self.0.load(Ordering::Relaxed) }"));
    assert!(!objects(orderings, "table/row.rs", "fn f() -> Ordering { Ordering::Less }"));
}

#[test]
fn the_rule_on_leftovers_can_fail() {
    assert!(objects(leftovers, "a.rs", concat!("fn f() { to", "do!() }")));
    assert!(objects(leftovers, "a.rs", concat!("fn f() { unimpl", "emented!(\"a\") }")));
    assert!(objects(leftovers, "a.rs", concat!("// FIX", "ME: later")));
    assert!(objects(leftovers, "a.rs", concat!("#[ig", "nore = \"slow\"]")));
    assert!(objects(leftovers, "a.rs", "/// ```rust,ignore"));
    assert!(objects(leftovers, "a.rs", "mod tests {"));
    assert!(!objects(leftovers, "a.rs", "/// ```\n/// f();\n/// ```\nmod tests;"));
}

#[test]
fn the_rule_on_sizes_can_fail() {
    assert!(objects(sizes, "a.rs", &"f();\n".repeat(LONGEST + 1)));
    assert!(objects(sizes, "a/b/c.rs", ""));
    assert!(!objects(sizes, "a/b.rs", &"// f();\n\n".repeat(LONGEST + 1)));
}

#[test]
fn code_strings_and_comments_are_told_apart() {
    let text = "a(\"// b \\\" c\"); // d\n/* e\nf */ g('\"', 'h, r#\"i \" j\"#); 'k: '\\''";
    let source = Source::new("a.rs", text, false);
    let code: Vec<&str> = source.lines.iter().map(|line| line.code.as_str()).collect();
    let comment: Vec<&str> = source.lines.iter().map(|line| line.comment.as_str()).collect();
    assert_eq!(code, ["a(\"\"); ", "", " g('\"', 'h, \"\"); 'k: '\\''"]);
    assert_eq!(comment, ["// d", " e", "f "]);
}

#[test]
fn files_for_tests_are_found_by_their_declaration() {
    let files = [
        ("a/mod.rs".to_string(), "mod b;\n#[cfg(all(test, not(x)))]\nmod c;\nmod d;".to_string()),
        ("e.rs".to_string(), "#[cfg(test)]\nmod f;".to_string()),
    ];
    let wanted = BTreeSet::from(["a/c.rs".to_string(), "e/f.rs".to_string()]);
    assert_eq!(test_files(&files), wanted);
}
