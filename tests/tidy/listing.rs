//! The listing of the public surface, `tests/it/public_api.rs` and the files below it, has every public name: who renames
//! or removes one has to change what says that users can compile against it. And new functions have examples.

use std::collections::BTreeSet;

use super::code::function;
use super::source::{Source, files, names, sources};

/// Where the library is compiled for its own tests only, and what is public for a reason of the language.
const NOT_LISTED: &[&str] = &["validate", "__private", "memoized"];
/// What only the attribute `memoize` calls.
const HIDDEN: &str = "load/memoized.rs";

/// Public functions and methods that have neither an example nor a place named where one is.
const WITHOUT_EXAMPLE: usize = 22;

/// The public names that a line declares: an item, a field, or what is published from elsewhere.
fn declared(code: &str) -> Vec<&str> {
    let Some(rest) = code.trim().strip_prefix("pub ") else { return Vec::new() };
    if let Some(path) = rest.strip_prefix("use ") {
        return names(path).filter(|name| name.starts_with(char::is_uppercase)).collect();
    }
    let before =
        ["async", "const", "enum", "fn", "mod", "static", "struct", "trait", "type", "unsafe"];
    names(rest).find(|word| !before.contains(word)).into_iter().collect()
}

/// The public names of a file that a listing has not.
fn missing(source: &Source, listing: &BTreeSet<&str>) -> Vec<String> {
    if source.test || source.path.ends_with(HIDDEN) {
        return Vec::new();
    }
    source.findings(|_, line| {
        let listed = |name: &&str| listing.contains(name) || NOT_LISTED.contains(name);
        let name = declared(&line.code).into_iter().find(|name| !listed(name))?;
        Some(format!("`{name}` is not in tests/it/public_api"))
    })
}

#[test]
fn the_listing_has_every_public_name() {
    let files = files("tests/it").into_iter().filter(|(path, _)| path.starts_with("public_api"));
    let texts: Vec<String> = files.map(|(_, text)| text).collect();
    let listing: BTreeSet<&str> = texts.iter().flat_map(|text| names(text)).collect();
    let found: Vec<String> =
        sources().iter().flat_map(|source| missing(source, &listing)).collect();
    assert!(!listing.is_empty() && found.is_empty(), "{found:#?}");
}

#[test]
fn a_listing_that_lacks_a_name_is_found() {
    let listing = names("let _: Cache = cache.get(key);").collect();
    let misses = |code| !missing(&Source::new("a.rs", code), &listing).is_empty();
    for code in [
        "    pub fn put(&self) {",
        "    pub async fn put(&self) {",
        "pub struct Table<K> {",
        "    pub size: u64,",
        "pub use table::{Cache, Table};",
    ] {
        assert!(misses(code), "{code}");
    }
    assert!(!misses("    pub const fn get(&self) {\n    pub(crate) fn put(&self) {"));
    assert!(!misses("pub use cache::Cache;\npub(super) struct Table;\nfn put() {"));
}

/// Public functions and methods without an example.
fn without_example(source: &Source) -> Vec<String> {
    source.findings(|nth, line| {
        let name = function(line.code.strip_prefix("    ").unwrap_or(&line.code))?;
        let told = source.test || source.documents(nth, &["```", "/// See "]);
        (!told).then(|| format!("`{name}` without an example"))
    })
}

#[test]
fn no_method_is_added_without_an_example() {
    let sources = sources();
    let users = sources.iter().filter(|source| source.path != HIDDEN);
    let found: Vec<String> = users.flat_map(without_example).collect();
    assert!(found.len() <= WITHOUT_EXAMPLE, "give an example:\n{}", found.join("\n"));
    let lacks = |text| !without_example(&Source::new("cache.rs", text)).is_empty();
    assert!(lacks("    /// Says.\n    pub fn get(&self) {}"));
    assert!(lacks("/// Says.\npub async fn get() {}"));
    assert!(!lacks("    /// ```\n    /// a.get();\n    /// ```\n    pub fn get(&self) {}"));
    assert!(!lacks("    /// See [`A`].\n    pub fn get(&self) {}"));
}
