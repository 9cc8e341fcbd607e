//! Modules import only what is below them, and files of a folder do not import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::Rule;
use super::source::{Source, names, sources_of};

/// Modules, and what each may import from the crate; itself apart. What stands further up is built on what stands
/// further down. `TOP` makes the public surface.
const MODULES: &str = include_str!("layers.txt");

pub(crate) const LAYERS: Rule = Rule {
    name: "layers",
    find: layers,
    wrong: &[
        ("table/bucket.rs", "use crate::policy::History;"),
        ("policy/hand.rs", "use crate::sync::Relaxed;\nuse crate::table::View;"),
        ("policy/hand.rs", "use crate::{sync::Relaxed};"),
        ("sync/mod.rs", "fn f() { crate::time::now() }"),
        ("engine/write.rs", "use crate::cache::Cache;"),
        ("dedup.rs", "use crate::engine::Engine;"),
        ("cache.rs", "use super::table::View;"),
        ("table/bucket.rs", "use super::super::policy::History;"),
        ("drawer.rs", ""),
    ],
    right: &[
        ("table/bucket.rs", "use super::group::Group;\nuse crate::sync::{fence, seeded};"),
        ("table/bucket.rs", "// crate::policy knows\nlet a = \"crate::policy\";"),
        ("engine/write.rs", "use crate::table::{View};\nuse crate::policy::Load;"),
        ("engine/models.rs", "use crate::{Cache, Clock};"),
    ],
};

/// What a module may import; nothing if it has no layer.
fn allowed(module: &str) -> Option<Vec<&'static str>> {
    let mut rows = MODULES.lines().filter_map(|line| line.split_once(':'));
    let (_, below) = rows.find(|(name, _)| *name == module)?;
    if below.trim() == "TOP" { allowed("TOP") } else { Some(below.split_whitespace().collect()) }
}

/// Imports from layers that are not below.
fn layers(source: &Source) -> Vec<String> {
    if source.module() == "lib" {
        return Vec::new();
    }
    let Some(allowed) = allowed(source.module()) else {
        return vec![format!("{}: a module without a layer", source.path)];
    };
    let top = !source.path.contains('/') || source.path.ends_with("/mod.rs");
    source.findings(|_, line| {
        let leaves = line.code.contains("super::super::") || top && line.code.contains("super::");
        let is_below = |name: &&str| *name == source.module() || allowed.contains(name);
        let mut imported = line.code.split("crate::").skip(1).filter_map(|rest| names(rest).next());
        match imported.find(|name| !is_below(name)) {
            _ if source.test => None,
            _ if line.code.contains("crate::{") => {
                Some("imports from several modules in one line".into())
            }
            _ if leaves => Some("leaves its module by `super`; say `crate`".into()),
            above => above.map(|name| format!("imports `{name}`, which is no layer below")),
        }
    })
}

/// Where there are no circles.
const FOLDERS: [&str; 8] = [
    "src/policy",
    "src/table",
    "src/expiry",
    "src/health",
    "src/persist",
    "src/sync",
    "src/time",
    "benches/lab/src/compare",
];

/// What each file imports from the others of its folder. The module's own file has no say: it names them all.
fn imports(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let file = |source: &Source| source.path.trim_end_matches(".rs").to_string();
    let own =
        |source: &&Source| !source.test && !source.path.contains('/') && file(source) != "mod";
    let files: BTreeSet<String> = sources.iter().filter(own).map(file).collect();
    let of = |source: &Source| {
        let code = source.code();
        let named = code.split("super::").skip(1).flat_map(|rest| {
            let end = if rest.starts_with('{') { rest.find('}') } else { rest.find("::") };
            names(&rest[..end.unwrap_or(0)])
        });
        let others = named.filter(|name| files.contains(*name) && *name != file(source));
        others.map(str::to_string).collect()
    };
    sources.iter().filter(own).map(|source| (file(source), of(source))).collect()
}

/// The files that are left when those that import nothing more are taken out, again and again.
fn circle(mut imports: BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    while let Some(end) =
        imports.iter().find(|(_, own)| own.is_empty()).map(|(file, _)| file.clone())
    {
        imports.remove(&end);
        imports.values_mut().for_each(|imported| _ = imported.remove(&end));
    }
    imports.into_keys().collect()
}

#[test]
fn no_folder_has_a_circle() {
    for folder in FOLDERS {
        let sources = sources_of(folder);
        let imports = imports(&sources);
        assert!(imports.len() > 2, "{folder} has moved");
        assert_eq!(circle(imports), [""; 0], "{folder}: a circle, and what leads there");
    }
    let file = |path, text| Source::new(path, text);
    let is_circle = |text| {
        let files = [file("a.rs", "use super::b::B;"), file("b.rs", text)];
        !circle(imports(&files)).is_empty()
    };
    assert!(is_circle("use super::{c, a::A};") && is_circle("fn f() { super::a::f() }"));
    assert!(!is_circle("// use super::a::A;\nuse super::B;"));
}
