//! The register of orderings and seeds, `docs/memory-ordering.md`, and the code agree, both ways.

use std::collections::BTreeSet;
use std::fs;

use super::{Source, files, listed, root, sources};

type Names = BTreeSet<String>;

/// The cells of a row of a table.
fn cells(line: &str) -> Vec<&str> {
    let inner = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|'));
    inner.map_or(Vec::new(), |inner| inner.split('|').map(str::trim).collect())
}

/// What is quoted as code in a text.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a word has the form of an id, such as `T-b`.
fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'Z', b'-', b'a'..=b'z'])
}

/// Whether a word has the form of a seed's name.
fn is_seed(word: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    word.contains('-') && word.split('-').all(part)
}

/// The ids of the rows of orderings.
fn ids(register: &str) -> Vec<String> {
    let id = |line| cells(line).first().filter(|cell| is_id(cell)).map(ToString::to_string);
    register.lines().filter_map(id).collect()
}

/// The rows of seeds: a seed, and the test that fails with it.
fn seed_rows(register: &str) -> Vec<(String, String)> {
    let whole = |cell: &str| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_string);
    let row = |line| {
        let cells = cells(line);
        let [seed, _, test] = cells[..] else { return None };
        Some((whole(seed)?, whole(test)?))
    };
    register.lines().filter_map(row).collect()
}

/// The seeds in a text of code.
fn seeds(text: &str) -> Names {
    let name = |rest: &str| rest.split('"').next().map(str::to_string);
    text.split(concat!("seeded", "(\"")).skip(1).filter_map(name).collect()
}

/// The ids that a comment on an ordering names; nothing if it is none. `// ORDERING T-b, T-d: why`.
fn named_ids(comment: &str) -> Option<Vec<String>> {
    let (_, rest) = comment.split_once("ORDERING")?;
    let ids = rest.split(':').next().unwrap_or_default();
    Some(ids.split(',').map(|id| id.trim().to_string()).collect())
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

/// The files of the crate and, below `tests/`, those of its tests.
fn all_files() -> Vec<(String, String)> {
    let tests = files("tests").into_iter().map(|(path, text)| (format!("tests/{path}"), text));
    files("src").into_iter().chain(tests).collect()
}

fn register() -> String {
    fs::read_to_string(root().join("docs/memory-ordering.md")).expect("the register")
}

/// What is wrong with the comments on orderings in a file, and which ids they name.
fn comments(source: &Source, ids: &Names) -> (Vec<String>, Names) {
    let mut named = Names::new();
    let found = source.findings(|_, line| {
        let own = named_ids(&line.comment).filter(|_| !source.test)?;
        let unknown = own.iter().find(|id| !ids.contains(*id))?;
        Some(format!("the register has no row `{unknown}`"))
    });
    source
        .lines
        .iter()
        .filter_map(|line| named_ids(&line.comment))
        .for_each(|own| named.extend(own));
    (found, named)
}

#[test]
fn every_ordering_has_its_row_and_every_row_its_ordering() {
    let rows = ids(&register());
    let ids: Names = rows.iter().cloned().collect();
    assert!(!ids.is_empty());
    assert_eq!(ids.len(), rows.len(), "an id has two rows");
    let (mut found, mut named) = (Vec::new(), Names::new());
    for source in sources() {
        let (wrong, own) = comments(&source, &ids);
        found.extend(wrong);
        named.extend(own);
    }
    assert!(found.is_empty(), "{}", listed(&found));
    let unused: Vec<_> = ids.difference(&named).collect();
    assert!(unused.is_empty(), "no comment names {unused:?}");
}

#[test]
fn every_seed_has_its_row_and_every_row_its_seed() {
    let there: Names = files("src").iter().flat_map(|(_, text)| seeds(text)).collect();
    let rows = seed_rows(&register());
    let listed: Names = rows.iter().map(|(seed, _)| seed.clone()).collect();
    let distinct: BTreeSet<_> = rows.iter().collect();
    assert_eq!(distinct.len(), rows.len(), "a seed has two rows for one test");
    assert_eq!(listed, there, "the seeds of the register and those of the code");
}

/// What the rows of a register name in code: tests, and seeds by the first words that seeds have.
#[test]
fn what_the_register_names_is_there() {
    let (files, register) = (all_files(), register());
    let seeds: Names = seed_rows(&register).into_iter().map(|(seed, _)| seed).collect();
    let first = |name: &str| name.split('-').next().unwrap_or_default().to_string();
    let firsts: Names = seeds.iter().map(|seed| first(seed)).collect();
    for name in register.lines().filter(|line| line.starts_with('|')).flat_map(quoted) {
        assert!(!name.contains("::") || has_test(&files, name), "no test `{name}`");
        let is_seed = is_seed(name) && firsts.contains(&first(name));
        assert!(!is_seed || seeds.contains(name), "no row of the seed `{name}`");
    }
}

/// `.ci/run` reads the same rows.
#[test]
fn the_script_reads_the_register() {
    let script = fs::read_to_string(root().join(".ci/run")).expect("the script");
    assert!(
        script
            .contains(r"| `\([a-z-]*\)` | .* | `\([a-z_:]*\)` |$/\1 \2/p' docs/memory-ordering.md")
    );
    let plain =
        |text: &str, more: &str| text.chars().all(|c| c.is_ascii_lowercase() || more.contains(c));
    for (seed, test) in seed_rows(&register()) {
        assert!(plain(&seed, "-") && plain(&test, "_:"), "the script does not see {seed}, {test}");
    }
}

#[test]
fn the_rules_on_the_register_can_fail() {
    let text = "| id | access |\n|---|---|\n| A-b | it |\n| `a-b` | it | `table::models::c` |\n";
    assert_eq!(ids(text), ["A-b"]);
    assert_eq!(seed_rows(text), [("a-b".to_string(), "table::models::c".to_string())]);
    assert_eq!(seeds(concat!("if seeded", "(\"a-b\") {")), Names::from(["a-b".to_string()]));
    let files = [
        ("table/models.rs".to_string(), "fn c() {}".to_string()),
        ("tests/fork.rs".to_string(), "fn d() {}".to_string()),
        ("tests/it/bound.rs".to_string(), "fn e() {}".to_string()),
    ];
    assert!(has_test(&files, "table::models::c") && has_test(&files, "tests::fork::d"));
    assert!(has_test(&files, "tests::bound::e") && !has_test(&files, "tests::bound::d"));
    assert!(!has_test(&files, "table::models::d"));
    assert!(!has_test(&files, "policy::models::c"));
    let known = Names::from(["A-b".to_string()]);
    let wrong = |code: &str| !comments(&Source::new("a.rs", code, false), &known).0.is_empty();
    assert!(wrong("// ORDERING: Acquire: no id"));
    assert!(wrong("// ORDERING A-c: Acquire: no such row"));
    assert!(wrong("// ORDERING A-b, A-c: Acquire: one of them"));
    assert!(!wrong("// ORDERING A-b: Acquire: pairs with `b`"));
    assert!(is_seed("table-no-help") && !is_seed("no") && !is_seed("A-b") && !is_seed("a--b"));
    assert_eq!(quoted("`a` b `c`").collect::<Vec<_>>(), ["a", "c"]);
}
