//! The register of orderings and seeds, `docs/memory-ordering.md`, and the code agree, both ways.

use std::collections::BTreeSet;
use std::fs;

use super::source::{Source, files, root, sources};

type Names = BTreeSet<String>;

fn register() -> String {
    fs::read_to_string(root().join("docs/memory-ordering.md")).expect("the register")
}

/// The rows of the register's tables.
fn rows(register: &str) -> impl Iterator<Item = Vec<&str>> {
    let inner = |line: &'_ str| {
        line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')).map(str::len)
    };
    let cells =
        move |line| inner(line).map(|_| line.trim_matches('|').split('|').map(str::trim).collect());
    register.lines().filter_map(cells)
}

/// The ids of the rows of orderings, such as `T-b`.
fn ids(register: &str) -> Vec<String> {
    let is_id = |word: &str| matches!(word.as_bytes(), [b'A'..=b'Z', b'-', b'a'..=b'z']);
    rows(register).map(|cells| cells[0]).filter(|cell| is_id(cell)).map(String::from).collect()
}

/// The rows of seeds: a seed, and the test that fails with it.
fn seeds(register: &str) -> Vec<(String, String)> {
    let whole = |cell: &str| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_string);
    let row = |cells: Vec<&str>| match cells[..] {
        [seed, _, test] => Some((whole(seed)?, whole(test)?)),
        _ => None,
    };
    rows(register).filter_map(row).collect()
}

/// The seeds in a text of code.
fn seeded(text: &str) -> impl Iterator<Item = String> {
    let name = |rest: &str| rest.split('"').next().map(str::to_string);
    text.split(concat!("seeded", "(\"")).skip(1).filter_map(name)
}

/// The ids that the comments of a file on orderings name, as `// ORDERING T-b, T-d: why`.
fn named(source: &Source) -> Vec<String> {
    let comments = source.lines.iter().filter_map(|line| line.comment.split_once("ORDERING"));
    let ids = comments.flat_map(|(_, rest)| rest.split(':').next().unwrap_or_default().split(','));
    ids.map(|id| id.trim().to_string()).collect()
}

/// The files of the crate and, below `tests/`, those of its tests.
fn all_files() -> Vec<(String, String)> {
    let tests = files("tests").into_iter().map(|(path, text)| (format!("tests/{path}"), text));
    files("src").into_iter().chain(tests).collect()
}

/// Whether a test such as `table::models::two_removals` or `tests::bound::one_key` is there, the second in
/// `tests/bound.rs` or in the module `tests/it/bound.rs`.
fn has_test(files: &[(String, String)], test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let path = format!("{}.rs", module.replace("::", "/"));
    let within = path.replacen("tests/", "tests/it/", 1);
    let declared = format!("fn {name}(");
    let of_module = |file: &String| *file == path || *file == within;
    files.iter().any(|(file, text)| of_module(file) && text.contains(&declared))
}

#[test]
fn every_ordering_has_its_row_and_every_row_its_ordering() {
    let rows = ids(&register());
    let ids: Names = rows.iter().cloned().collect();
    assert_eq!(ids.len(), rows.len(), "an id has two rows");
    let named: Names = sources().iter().filter(|source| !source.test).flat_map(named).collect();
    assert_eq!(named, ids, "the ids of the comments, and those of the register");
}

#[test]
fn every_seed_has_its_row_and_every_row_its_seed() {
    let there: Names = files("src").iter().flat_map(|(_, text)| seeded(text)).collect();
    let rows = seeds(&register());
    let listed: Names = rows.iter().map(|(seed, _)| seed.clone()).collect();
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "a row is there twice");
    assert_eq!(listed, there, "the seeds of the register and those of the code");
}

/// What the rows of the register name in code: tests, and seeds by the first words that seeds have.
#[test]
fn what_the_register_names_is_there() {
    let (files, register) = (all_files(), register());
    let seeds: Names = seeds(&register).into_iter().map(|(seed, _)| seed).collect();
    let first = |name: &str| name.split('-').next().unwrap_or_default().to_string();
    let firsts: Names = seeds.iter().map(|seed| first(seed)).collect();
    let quoted = register.lines().filter(|line| line.starts_with('|'));
    for name in quoted.flat_map(|line| line.split('`').skip(1).step_by(2)) {
        assert!(!name.contains("::") || has_test(&files, name), "no test `{name}`");
        let has_form = name.contains('-')
            && name.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase());
        let is_seed = has_form && firsts.contains(&first(name));
        assert!(!is_seed || seeds.contains(name), "no row of the seed `{name}`");
    }
}

/// `.ci/run` reads the same rows, by this expression.
#[test]
fn the_script_reads_the_register() {
    let script = fs::read_to_string(root().join(".ci/run")).expect("the script");
    let expression = r"| `\([a-z-]*\)` | .* | `\([a-z_:]*\)` |$/\1 \2/p' docs/memory-ordering.md";
    assert!(script.contains(expression));
    let fits =
        |text: &str, more: &str| text.chars().all(|c| c.is_ascii_lowercase() || more.contains(c));
    for (seed, test) in seeds(&register()) {
        assert!(fits(&seed, "-") && fits(&test, "_:"), "the script does not see {seed}, {test}");
    }
}

#[test]
fn the_rules_on_the_register_can_fail() {
    let text = "| id | access |\n|---|---|\n| A-b | it |\n| `a-b` | it | `table::models::c` |\n";
    assert_eq!(ids(text), ["A-b"]);
    assert_eq!(seeds(text), [("a-b".to_string(), "table::models::c".to_string())]);
    assert_eq!(seeded(concat!("if seeded", "(\"a-b\") {")).collect::<Vec<_>>(), ["a-b"]);
    let file = |path: &str, text: &str| (path.to_string(), text.to_string());
    let files = [file("table/models.rs", "fn c() {}"), file("tests/it/bound.rs", "fn e() {}")];
    assert!(has_test(&files, "table::models::c") && has_test(&files, "tests::bound::e"));
    assert!(!has_test(&files, "table::models::e") && !has_test(&files, "policy::models::c"));
    let ids_of = |code| named(&Source::new("a.rs", code));
    assert_eq!(
        ids_of("// ORDERING A-b, A-c: Acquire: why\n// ORDERING: no id"),
        ["A-b", "A-c", ""]
    );
}
