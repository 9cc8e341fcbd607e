//! Every public method of what threads share says what it guarantees to them, and the number of functions without an
//! example may only fall.

use super::source::{Source, sources};
use super::{assert_tidy, objects};

/// Public functions and methods that have neither an example nor a place named where one is.
const WITHOUT_EXAMPLE: usize = 22;

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

/// The name of the public function that a line of code begins.
fn function(code: &str) -> Option<&str> {
    let code = code.strip_prefix("pub ")?;
    let code = code.trim_start_matches("const ").trim_start_matches("async ");
    code.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Whether the documentation of what a line begins says one of these. What is hidden says all of them.
fn says(source: &Source, nth: usize, words: &[&str]) -> bool {
    source.above(nth).any(|line| {
        let hidden = ["doc(hidden)", "fuzzing"].iter().any(|mark| line.code.contains(mark));
        hidden || words.iter().any(|word| line.comment.contains(word))
    })
}

/// Public methods without the heading. A setter of a builder, which takes `mut self`, needs none.
fn silent(source: &Source) -> Vec<String> {
    if source.test || VALUES.iter().any(|value| source.path.starts_with(value)) {
        return Vec::new();
    }
    source.findings(|nth, line| {
        let name = function(line.code.strip_prefix("    ")?)?;
        let signature = source.lines[nth..].iter().take(2);
        let setter = signature.into_iter().any(|line| line.code.contains("mut self"));
        let told = says(source, nth, &["# Progress"]);
        (!told && !setter).then(|| format!("`{name}` without `# Progress`"))
    })
}

/// Public functions and methods without an example.
fn bare(source: &Source) -> Vec<String> {
    if source.test {
        return Vec::new();
    }
    source.findings(|nth, line| {
        let name = function(line.code.strip_prefix("    ").unwrap_or(&line.code))?;
        (!says(source, nth, &["```", "/// See "])).then(|| format!("`{name}` without an example"))
    })
}

#[test]
fn public_methods_tell_their_progress() {
    assert!(sources().iter().any(|source| source.path == "cache.rs"));
    assert_tidy(silent);
}

#[test]
fn no_method_is_added_without_an_example() {
    let sources = sources();
    let users = sources.iter().filter(|source| source.path != "load/memoized.rs");
    let found: Vec<String> = users.flat_map(bare).collect();
    assert!(found.len() <= WITHOUT_EXAMPLE, "give an example:\n{}", found.join("\n"));
}

#[test]
fn the_rules_on_methods_can_fail() {
    let method = "impl A {\n    /// Says.\n    #[inline]\n    pub fn get(&self) {}\n}";
    let with = |docs| method.replace("Says.", docs);
    assert!(objects(silent, "cache.rs", method));
    assert!(!objects(silent, "stats/counts.rs", method));
    assert!(!objects(silent, "cache.rs", &with("Says.\n    /// # Progress\n    /// It.")));
    assert!(!objects(silent, "builder.rs", &method.replace("&self", "mut self")));
    assert!(objects(bare, "cache.rs", method));
    assert!(!objects(bare, "cache.rs", &with("```\n    /// a.get();\n    /// ```")));
    assert!(!objects(bare, "cache.rs", &with("See [`A`].")));
    assert!(objects(bare, "load/memoize.rs", "/// Says.\npub async fn get() {}"));
    assert!(!objects(bare, "cache.rs", &method.replace("pub fn", "pub(crate) fn")));
}
