//! No file imports one that imports it, by way of others or not, in the folders where that was mended once.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, sources_of};

const FOLDERS: [&str; 3] = ["src/policy", "src/table", "benches/lab/src/compare"];

/// What each file imports from the others of its folder. The module's own file has no say: it names them all.
fn imports(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let name = |source: &Source| source.path.trim_end_matches(".rs").to_string();
    let files: BTreeSet<String> = sources
        .iter()
        .filter(|source| !source.test && !source.path.contains('/'))
        .map(name)
        .filter(|file| file != "mod")
        .collect();
    let of = |source: &Source| {
        let code: String = source.lines.iter().flat_map(|line| [&line.code, "\n"]).collect();
        let named = code.split("super::").skip(1).flat_map(|rest| {
            let until = if rest.starts_with('{') { rest.find('}') } else { rest.find("::") };
            let named = &rest[..until.unwrap_or(0)];
            named.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_string)
        });
        named.filter(|file| files.contains(file) && *file != name(source)).collect()
    };
    sources
        .iter()
        .filter(|source| files.contains(&name(source)))
        .map(|s| (name(s), of(s)))
        .collect()
}

/// The files that are left when those that import nothing more are taken out, again and again.
fn circle(mut imports: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    loop {
        let ends = imports.iter().filter(|(_, imported)| imported.is_empty());
        let Some(end) = ends.map(|(file, _)| file.clone()).next() else { break };
        imports.remove(&end);
        imports.values_mut().for_each(|imported| _ = imported.remove(&end));
    }
    imports.into_keys().collect()
}

#[test]
fn no_folder_has_a_circle() {
    for folder in FOLDERS {
        let imports = imports(&sources_of(folder));
        assert!(imports.len() > 5, "{folder} has moved");
        assert_eq!(circle(imports), [""; 0], "{folder}: a circle, and what leads there");
    }
}

#[test]
fn the_rule_on_circles_can_fail() {
    let file = |path, text| Source::new(path, text, false);
    let with = |text| circle(imports(&[file("a.rs", "use super::b::B;"), file("b.rs", text)]));
    assert_eq!(with("use super::{c, a::A};\nuse crate::a;"), ["a", "b"]);
    assert_eq!(with("fn f() { super::a::f() }"), ["a", "b"]);
    assert_eq!(with("// use super::a::A;\nuse super::B;"), [""; 0]);
}
