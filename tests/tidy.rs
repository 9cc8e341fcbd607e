//! The rules of the source that no compiler and no lint checks: layers, who may name atomics, reasons of orderings, the
//! register of orderings and seeds, sizes, links, the listing of the public surface. Each rule is shown to find what it forbids.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/growth.rs"]
mod growth;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/methods.rs"]
mod methods;
#[path = "tidy/register.rs"]
mod register;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/surface.rs"]
mod surface;
#[path = "tidy/words.rs"]
mod words;

use std::collections::BTreeSet;

use source::{Line, Source, crates, files, has_word, root, sources, sources_of, test_files};

/// Modules, and what each may import from the crate; itself apart. What stands further up is built on what stands
/// further down. `TOP` makes the public surface.
const LAYERS: &str = "
    predict: cache engine evidence load narrow persist random_state sync temporary time
    load: cache engine error expiry health latency load_policy random_state stats sync time trace
    dedup: builder cache error expiry guard hash health iter narrow outcome random_state reader settings stats sync temporary time
    tier: sync
    builder: TOP
    cache: TOP
    guard: TOP
    iter: TOP
    reader: TOP
    maintenance_thread: engine sync
    engine: accounting entry error evidence expiry hash health latency load_policy narrow outcome policy reclaim settings slot_meta stats sync table tags time trace
    table: entry narrow reclaim slot_meta sync
    policy: narrow slot_meta sync
    accounting: sync
    expiry: entry narrow sync time
    entry: narrow sync tags
    tags: sync
    reclaim: sync
    evidence: narrow sync
    health: narrow sync time
    latency: narrow sync time
    outcome: error
    removals: outcome sync
    persist: cache engine narrow sync temporary time
    temporary: sync
    time: narrow sync
    settings: load_policy
    slot_meta:
    stats:
    error:
    hash: narrow
    guide:
    key_ref:
    load_policy:
    narrow:
    random_state:
    trace:
    sync: narrow
";
const TOP: &str = "builder cache engine error expiry guard health iter maintenance_thread latency load_policy outcome random_state reader settings stats tags time";

/// Lines of code in a file, at most.
const LONGEST: usize = 600;

/// What a module may import; nothing if it has no layer.
fn allowed(module: &str) -> Option<Vec<&'static str>> {
    let row = |line: &'static str| line.trim().split_once(':');
    let (_, below) = LAYERS.lines().filter_map(row).find(|(name, _)| *name == module)?;
    let below = if below.trim() == "TOP" { TOP } else { below };
    Some(below.split_whitespace().collect())
}

/// Imports from layers that are not below.
fn layers(source: &Source) -> Vec<String> {
    if source.module() == "lib" {
        return Vec::new();
    }
    let Some(allowed) = allowed(source.module()) else {
        return vec![format!("{}: a module without a layer", source.path)];
    };
    if source.test {
        return Vec::new();
    }
    let top = !source.path.contains('/') || source.path.ends_with("/mod.rs");
    let whole: String = source.lines.iter().flat_map(|line| [&line.code, "\n"]).collect();
    let above = |name: &String| name != source.module() && !allowed.contains(&name.as_str());
    let import = |name| format!("{}: imports `{name}`, which is no layer below", source.path);
    let mut found: Vec<_> = named_by_crate(&whole).into_iter().filter(above).map(import).collect();
    if whole.contains("super::super::") || (top && whole.contains("super::")) {
        found.push(format!("{}: leaves its module by `super`; say `crate`", source.path));
    }
    found
}

/// The first names after each `crate::`, with those in braces.
fn named_by_crate(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(braced) = rest.strip_prefix('{') else {
            names.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let outside = |c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0 && c == ',' || depth < 0
        };
        let ends = braced.match_indices(outside).map(|(at, _)| at);
        let begins = ends.map(|at| &braced[at + 1..]);
        let parts = std::iter::once(braced).chain(begins);
        names.extend(parts.map(word).take_while(|name| !name.is_empty()));
    }
    names
}

/// Atomics that do not come from `sync`, `crossbeam_epoch` but in the models that measure it, and unsafe code that is
/// allowed outside its folders. That each block says why is a lint.
fn atomics(source: &Source) -> Vec<String> {
    source.findings(|_, line| {
        let sync = source.module() == "sync";
        let atomic = line.code.contains("std::sync::atomic")
            || line.code.contains("core::sync::atomic")
            || has_word(&line.code, "loom");
        let crossbeam_models = source.test && source.module() == "reclaim";
        let safe = !["lib", "sync", "reclaim", "entry", "table"].contains(&source.module());
        let found = match () {
            () if has_word(&line.code, "crossbeam_epoch") && !crossbeam_models => {
                "`crossbeam_epoch`"
            }
            () if atomic && !source.test && !sync => "atomics that `sync` does not lend",
            () if safe && line.code.contains("allow(unsafe_code") => "unsafe code",
            () => return None,
        };
        Some(format!("names {found}"))
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

/// Examples that are not compiled, notes of things left to do, tests that do not run or stand inline.
fn leftovers(source: &Source) -> Vec<String> {
    let marks = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    source.findings(|_, line| {
        let has = |text: &str| line.code.contains(text);
        let found = match () {
            () if line.comment.contains("```") && line.comment.contains("ignore") => {
                "an example that is not compiled"
            }
            () if has("mod tests {") || has("mod models {") => "tests that have no file",
            () if has(concat!("#[ig", "nore")) => "a test that does not run",
            () if marks.iter().any(|mark| has_word(&line.comment, mark)) => "left over",
            () => return None,
        };
        Some(found.to_string())
    })
}

/// Files that are too long or too deep.
fn sizes(source: &Source) -> Vec<String> {
    let code = source.lines.iter().filter(|line| !line.code.trim().is_empty()).count();
    let long = (code > LONGEST).then(|| format!("{code} lines of code, more than {LONGEST}"));
    let deep = (source.path.matches('/').count() > 1).then(|| "more than two folders deep".into());
    long.into_iter().chain(deep).map(|wrong| format!("{}: {wrong}", source.path)).collect()
}

fn assert_tidy(rule: fn(&Source) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(rule).collect();
    assert!(found.is_empty(), "{}", listed(&found));
}

fn listed(found: &[String]) -> String {
    found.iter().map(|line| format!("\n  src/{line}")).collect()
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
fn every_ordering_says_why() {
    assert_tidy(orderings);
}

#[test]
fn nothing_is_left_over() {
    assert_tidy(leftovers);
    for folder in ["tests", "benches", "crates", "fuzz", "docs/examples"] {
        for source in sources_of(folder) {
            let found = leftovers(&source);
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
