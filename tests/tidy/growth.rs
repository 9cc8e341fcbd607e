//! Public types whose parts users see may get more parts, and say so.

use super::{Line, Source, assert_tidy, crates, objects};

/// Those that are complete: what `compute` may decide, and the parts of a refused insert.
const COMPLETE: &[&str] = &["Compute", "InsertError"];

/// Enums, and structs with public fields, that leave no room to grow.
fn closed(source: &Source) -> Vec<String> {
    source.findings(|nth, line| {
        let (name, is_enum) = match line.code.strip_prefix("pub enum ") {
            Some(rest) => (word(rest), true),
            None => (word(line.code.strip_prefix("pub struct ")?), false),
        };
        let open = is_enum || has_public_field(&source.lines[nth..]);
        let grows = source.above(nth).any(|line| line.code == "#[non_exhaustive]");
        (open && !grows && !COMPLETE.contains(&name.as_str()))
            .then(|| format!("`{name}` is not `#[non_exhaustive]`"))
    })
}

fn word(code: &str) -> String {
    code.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn has_public_field(lines: &[Line]) -> bool {
    let body = lines.iter().take_while(|line| line.code != "}" && !line.code.ends_with(';'));
    body.skip(1).any(|line| line.code.trim_start().starts_with("pub "))
}

#[test]
fn public_types_may_grow() {
    assert_tidy(closed);
    let found: Vec<String> = crates().iter().flat_map(closed).collect();
    assert!(found.is_empty(), "crates: {found:?}");
}

#[test]
fn the_rule_on_growth_can_fail() {
    let is_closed = |text| objects(closed, "a.rs", text);
    assert!(is_closed("pub enum A {\n    B,\n}"));
    assert!(is_closed("#[derive(Debug)]\npub struct A {\n    pub b: u8,\n}"));
    assert!(is_closed("#[non_exhaustive]\npub enum B {}\npub enum A<T> {\n}"));
    assert!(!is_closed("#[non_exhaustive]\n// why\n#[derive(Debug)]\npub enum A {\n}"));
    assert!(!is_closed("pub struct A {\n    b: u8,\n}\npub struct B(u8);\nfn c() {\n    pub d\n}"));
    assert!(!is_closed("pub enum Compute<V> {\n}"));
    assert!(!is_closed("pub(crate) enum A {\n}"));
}
