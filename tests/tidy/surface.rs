//! The listing of the public surface, `tests/it/public_api.rs` and the files below it, has every public name: who renames
//! or removes one has to change what says that users can compile against it.

use std::collections::BTreeSet;

use super::{Source, files, sources};

type Names = BTreeSet<String>;

/// Where the library is compiled for its own tests only, and what is public for a reason of the language.
const NOT_LISTED: &[&str] = &["validate", "__private", "memoized"];
/// What only the attribute `memoize` calls.
const HIDDEN: &str = "load/memoized.rs";

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The public names that a line declares: an item, a field, or what is published from elsewhere.
fn declared(code: &str) -> Vec<&str> {
    let Some(rest) = code.trim().strip_prefix("pub ") else { return Vec::new() };
    if let Some(path) = rest.strip_prefix("use ") {
        let is_type = |word: &&str| word.starts_with(char::is_uppercase);
        return words(path).filter(is_type).collect();
    }
    let before =
        ["async", "const", "enum", "fn", "mod", "static", "struct", "trait", "type", "unsafe"];
    words(rest).find(|word| !before.contains(word)).into_iter().collect()
}

/// The public names of the library that a listing has not.
fn missing(sources: &[Source], listing: &Names) -> Vec<String> {
    let lines = sources
        .iter()
        .filter(|source| !source.test && !source.path.ends_with(HIDDEN))
        .flat_map(|source| source.lines.iter().map(move |line| (&source.path, &line.code)));
    let names =
        lines.flat_map(|(path, code)| declared(code).into_iter().map(move |name| (path, name)));
    let unlisted = names.filter(|(_, name)| !listing.contains(*name) && !NOT_LISTED.contains(name));
    unlisted.map(|(path, name)| format!("{path}: `{name}`")).collect()
}

fn names_of(text: &str) -> Names {
    words(text).map(str::to_string).collect()
}

#[test]
fn the_listing_has_every_public_name() {
    let listing = files("tests/it").into_iter().filter(|(path, _)| path.starts_with("public_api"));
    let listing: Names = listing.flat_map(|(_, text)| names_of(&text)).collect();
    assert!(!listing.is_empty());
    let missing = missing(&sources(), &listing);
    assert!(missing.is_empty(), "not in tests/it/public_api: {missing:#?}");
}

#[test]
fn the_rule_on_the_surface_can_fail() {
    let listing = names_of("let _: Cache = cache.get(key);");
    let misses = |code| !missing(&[Source::new("a.rs", code, false)], &listing).is_empty();
    assert!(misses("    pub fn put(&self) {"));
    assert!(misses("    pub async fn put(&self) {"));
    assert!(misses("pub struct Table<K> {"));
    assert!(misses("    pub size: u64,"));
    assert!(misses("pub use table::{Cache, Table};"));
    assert!(!misses("    pub const fn get(&self) {\n    pub(crate) fn put(&self) {"));
    assert!(!misses("pub use cache::Cache;\npub(super) struct Table;\nfn put() {"));
    assert!(missing(&[Source::new("a.rs", "pub fn put() {", true)], &listing).is_empty());
}
