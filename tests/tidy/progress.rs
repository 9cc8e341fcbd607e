//! Every public method of what threads share says what it guarantees to them.

use super::source::{Source, sources};
use super::{Line, assert_tidy, objects};

/// Files of settings and reports: values of one thread, whose methods read or change a field.
const VALUES: &[&str] = &[
    "dedup/error.rs",
    "error.rs",
    "health/",
    "latency/",
    "load/fresh.rs",
    "load/outcome.rs",
    "load_policy.rs",
    "outcome.rs",
    "predict/budget.rs",
    "random_state.rs",
    "stats/",
    "tier/",
];

/// Public methods without the heading. A setter of a builder, which takes `mut self`, needs none.
fn silent(source: &Source) -> Vec<String> {
    if source.test || VALUES.iter().any(|value| source.path.starts_with(value)) {
        return Vec::new();
    }
    source.findings(|nth, line| {
        let code = line.code.strip_prefix("    pub ")?;
        let code = code.trim_start_matches("const ").trim_start_matches("async ");
        let name = code.strip_prefix("fn ")?.split(['(', '<']).next()?;
        let setter = [nth, nth + 1].iter().any(|&at| code_at(source, at).contains("mut self"));
        let above = source.lines[..nth].iter().rev().take_while(|line| is_above(line));
        let (mut told, mut hidden) = (false, false);
        for line in above {
            told |= line.comment.contains("# Progress");
            hidden |= line.code.contains("doc(hidden)") || line.code.contains("fuzzing");
        }
        (!told && !hidden && !setter).then(|| format!("`{name}` without `# Progress`"))
    })
}

fn code_at(source: &Source, nth: usize) -> &str {
    source.lines.get(nth).map_or("", |line| &line.code)
}

/// Whether a line can stand between a method and its first line of documentation.
fn is_above(line: &Line) -> bool {
    let code = line.code.trim();
    (code.is_empty() && !line.comment.is_empty()) || code.starts_with('#') || code.ends_with(")]")
}

#[test]
fn public_methods_tell_their_progress() {
    assert!(sources().iter().any(|source| source.path == "cache.rs"));
    assert_tidy(silent);
}

#[test]
fn the_rule_on_progress_can_fail() {
    let method = "impl A {\n    /// Says.\n    #[inline]\n    pub fn get(&self) {}\n}";
    assert!(objects(silent, "cache.rs", method));
    assert!(!objects(silent, "stats/counts.rs", method));
    assert!(!objects(
        silent,
        "cache.rs",
        &method.replace("Says.", "Says.\n    /// # Progress\n    /// It.")
    ));
    assert!(!objects(silent, "builder.rs", &method.replace("&self", "mut self")));
}
