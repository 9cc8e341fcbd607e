//! Each rule of the source is shown to find what it forbids, and nothing else.

use std::collections::BTreeSet;

use super::{LONGEST, Source, atomics, layers, leftovers, objects, orderings, sizes, test_files};

#[test]
fn the_rule_on_layers_can_fail() {
    let is_wrong = |path, text| objects(layers, path, text);
    assert!(is_wrong("table/bucket.rs", "use crate::policy::History;"));
    assert!(is_wrong("policy/hand.rs", "use crate::{sync::Relaxed, table::View};"));
    assert!(is_wrong("policy/hand.rs", "use crate::{\n    table::{View, Occupied},\n};"));
    assert!(is_wrong("sync/mod.rs", "fn f() { crate::time::now() }"));
    assert!(is_wrong("engine/write.rs", "use crate::cache::Cache;"));
    assert!(is_wrong("dedup.rs", "use crate::engine::Engine;"));
    assert!(is_wrong("cache.rs", "use super::table::View;"));
    assert!(is_wrong("table/bucket.rs", "use super::super::policy::History;"));
    assert!(is_wrong("drawer.rs", ""));
    assert!(!is_wrong(
        "table/bucket.rs",
        "use super::group::Group;\nuse crate::sync::{fence, seeded};"
    ));
    assert!(!is_wrong("table/bucket.rs", "// crate::policy knows\nlet a = \"crate::policy\";"));
    assert!(!is_wrong(
        "engine/write.rs",
        "use crate::{\n    table::{View},\n    policy::Load,\n};"
    ));
}

#[test]
fn the_rule_on_atomics_can_fail() {
    assert!(objects(atomics, "table/group.rs", "use std::sync::atomic::AtomicU64;"));
    assert!(objects(atomics, "engine/mod.rs", "use loom::thread;"));
    assert!(objects(atomics, "engine/mod.rs", "#[allow(unsafe_code)]"));
    assert!(!objects(atomics, "lib.rs", "#[allow(unsafe_code)]"));
    assert!(objects(atomics, "reclaim/mod.rs", "use crossbeam_epoch::Guard;"));
    assert!(objects(atomics, "sync/mod.rs", "use crossbeam_epoch::Guard;"));
    let model = |path| !atomics(&Source::new(path, "use crossbeam_epoch::Guard;", true)).is_empty();
    assert!(model("table/models.rs") && !model("reclaim/crossbeam_models.rs"));
    assert!(!objects(atomics, "sync/mod.rs", "use std::sync::atomic::AtomicU64;"));
    assert!(!objects(atomics, "table/group.rs", "#[cfg(clockhand_loom)] // not loom itself"));
}

#[test]
fn the_rule_on_orderings_can_fail() {
    let bare = "fn f() {\n    word.load(Ordering::Acquire)\n}";
    let above = "// ORDERING A-b: Acquire: of another function\n";
    let told = "fn f() {\n    // ORDERING A-b: Acquire: pairs\n    word.load(Ordering::Acquire)\n}";
    assert!(objects(orderings, "table/group.rs", bare));
    assert!(objects(orderings, "table/group.rs", &format!("{above}{bare}")));
    assert!(objects(orderings, "sync/mod.rs", bare));
    assert!(objects(orderings, "table/group.rs", &format!("#[cfg(test)]\nfn g() {{}}\n{bare}")));
    assert!(!objects(orderings, "table/group.rs", &format!("#[cfg(test)]\n{bare}")));
    assert!(!objects(
        orderings,
        "table/group.rs",
        "fn f() {\n    let mut a = b.load(Ordering::Relaxed);\n    loop {\n"
    ));
    assert!(objects(
        orderings,
        "table/group.rs",
        "fn f() {\n    let a = b.load(Ordering::Relaxed);\n"
    ));
    assert!(!objects(orderings, "table/group.rs", told));
    assert!(!objects(orderings, "sync/mod.rs", "fn f() { self.0.load(Ordering::Relaxed) }"));
    assert!(!objects(orderings, "table/group.rs", "fn f() -> Ordering { Ordering::Less }"));
}

#[test]
fn the_rule_on_sizes_can_fail() {
    assert!(objects(sizes, "a.rs", &"f();\n".repeat(LONGEST + 1)));
    assert!(objects(sizes, "a/b/c.rs", ""));
    assert!(!objects(sizes, "a/b.rs", &"// f();\n\n".repeat(LONGEST + 1)));
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

#[test]
fn the_rule_on_leftovers_can_fail() {
    assert!(objects(leftovers, "a.rs", concat!("// FIX", "ME: later")));
    assert!(objects(leftovers, "a.rs", concat!("#[ig", "nore = \"slow\"]")));
    assert!(objects(leftovers, "a.rs", "/// ```rust,ignore"));
    assert!(objects(leftovers, "a.rs", "mod tests {"));
    assert!(!objects(leftovers, "a.rs", "/// ```\n/// f();\n/// ```\nmod tests;"));
}

#[test]
fn code_strings_and_comments_are_told_apart() {
    let text = "a(\"// b \\\" c\"); // d \"\ng('\"', 'h, \"i\n// j\"); 'k: '\\\"'";
    let source = Source::new("a.rs", text, false);
    let code: Vec<&str> = source.lines.iter().map(|line| line.code.as_str()).collect();
    let comment: Vec<&str> = source.lines.iter().map(|line| line.comment.as_str()).collect();
    assert_eq!(code, ["a(\"\"); ", "g(, 'h, \"", "\"); 'k: "]);
    assert_eq!(comment, ["// d \"", "", ""]);
}
