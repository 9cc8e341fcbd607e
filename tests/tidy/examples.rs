//! How many public methods have no example. The number may only fall.

use super::source::{Source, sources};
use super::{Line, objects};

/// Public functions and methods that have neither an example nor a place named where one is.
const WITHOUT: usize = 22;

/// Public functions and methods without an example.
fn bare(source: &Source) -> Vec<String> {
    if source.test {
        return Vec::new();
    }
    source.findings(|nth, line| {
        let code = line.code.strip_prefix("    ").filter(|code| !code.starts_with(' '));
        let code = code.unwrap_or(&line.code).strip_prefix("pub ")?;
        let code = code.trim_start_matches("const ").trim_start_matches("async ");
        let name = code.strip_prefix("fn ")?.split(['(', '<']).next()?;
        let above = source.lines[..nth].iter().rev().take_while(|line| is_above(line));
        let (mut shown, mut hidden) = (false, false);
        for line in above {
            shown |= line.comment.contains("```") || line.comment.contains("/// See ");
            hidden |= line.code.contains("doc(hidden)") || line.code.contains("fuzzing");
        }
        (!shown && !hidden).then(|| format!("`{name}` without an example"))
    })
}

/// Whether a line can stand between a function and its first line of documentation.
fn is_above(line: &Line) -> bool {
    let code = line.code.trim();
    (code.is_empty() && !line.comment.is_empty()) || code.starts_with('#') || code.ends_with(")]")
}

#[test]
fn no_method_is_added_without_an_example() {
    let found: Vec<String> = sources()
        .iter()
        .filter(|source| source.path != "load/memoized.rs")
        .flat_map(bare)
        .collect();
    assert!(found.len() <= WITHOUT, "give an example:\n{}", found.join("\n"));
}

#[test]
fn the_rule_on_examples_can_fail() {
    let method = "impl A {\n    /// Says.\n    #[inline]\n    pub fn get(&self) {}\n}";
    assert!(objects(bare, "cache.rs", method));
    assert!(!objects(
        bare,
        "cache.rs",
        &method.replace("Says.", "```\n    /// a.get();\n    /// ```")
    ));
    assert!(!objects(bare, "cache.rs", &method.replace("Says.", "See [`A`].")));
    assert!(objects(bare, "load/memoize.rs", "/// Says.\npub async fn get() {}"));
    assert!(!objects(bare, "cache.rs", &method.replace("pub fn", "pub(crate) fn")));
}
