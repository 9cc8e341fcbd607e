//! Rules on code: atomics, orderings, what is left over, sizes, progress.

use super::Rule;
use super::source::{Source, has_word, names};

pub(crate) const ATOMICS: Rule = Rule {
    name: "atomics",
    find: atomics,
    wrong: &[
        ("table/group.rs", "use std::sync::atomic::AtomicU64;"),
        ("engine/mod.rs", "use loom::thread;"),
        ("engine/mod.rs", "#[allow(unsafe_code)]"),
        ("reclaim/mod.rs", "use crossbeam_epoch::Guard;"),
        ("sync/mod.rs", "use crossbeam_epoch::Guard;"),
        ("table/models.rs", "use crossbeam_epoch::Guard;"),
    ],
    right: &[
        ("lib.rs", "#[allow(unsafe_code)]"),
        ("reclaim/crossbeam_models.rs", "use crossbeam_epoch::Guard;"),
        ("sync/mod.rs", "use std::sync::atomic::AtomicU64;"),
        ("table/group.rs", "#[cfg(clockhand_loom)] // not loom itself"),
    ],
};

/// Atomics that do not come from `sync`, `crossbeam_epoch` but in the models that measure it, and unsafe code that is
/// allowed outside its folders. That each block says why is a lint.
fn atomics(source: &Source) -> Vec<String> {
    let (sync, module) = (source.module() == "sync", source.module());
    let crossbeam_models = source.test && module == "reclaim";
    let safe = !["lib", "sync", "reclaim", "entry", "table"].contains(&module);
    source.findings(|_, line| {
        let has = |text: &str| line.code.contains(text);
        let atomic =
            has("std::sync::atomic") || has("core::sync::atomic") || has_word(&line.code, "loom");
        match () {
            () if has_word(&line.code, "crossbeam_epoch") && !crossbeam_models => {
                Some("names `crossbeam_epoch`".into())
            }
            () if atomic && !source.test && !sync => {
                Some("names atomics that `sync` does not lend".into())
            }
            () if safe && has("allow(unsafe_code") => Some("allows unsafe code".into()),
            () => None,
        }
    })
}

pub(crate) const ORDERINGS: Rule = Rule {
    name: "orderings",
    find: orderings,
    wrong: &[
        ("a.rs", "fn f() {\n    word.load(Ordering::Acquire)\n}"),
        (
            "a.rs",
            "// ORDERING A-b: of another function\nfn f() {\n    word.load(Ordering::Acquire)\n}",
        ),
        ("sync/mod.rs", "fn f() {\n    word.load(Ordering::Acquire)\n}"),
        ("a.rs", "#[cfg(test)]\nfn g() {}\nfn f() {\n    word.load(Ordering::Acquire)\n}"),
        ("a.rs", "fn f() {\n    let a = b.load(Ordering::Relaxed);\n"),
    ],
    right: &[
        (
            "a.rs",
            "fn f() {\n    // ORDERING A-b: Acquire: pairs\n    word.load(Ordering::Acquire)\n}",
        ),
        ("a.rs", "#[cfg(test)]\nfn f() {\n    word.load(Ordering::Acquire)\n}"),
        ("a.rs", "fn f() {\n    let mut a = b.load(Ordering::Relaxed);\n    loop {\n"),
        ("sync/mod.rs", "fn f() { self.0.load(Ordering::Relaxed) }"),
        ("a.rs", "fn f() -> Ordering { Ordering::Less }"),
    ],
};

/// Orderings without a reason in the same function, above. Needs none: code for tests, a seeded bug,
/// and a first guess that the exchange in the loop behind it checks.
fn orderings(source: &Source) -> Vec<String> {
    const NAMES: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let line_at = |nth: usize| source.lines.get(nth).map_or("", |line| line.code.trim());
    source.findings(|nth, line| {
        let used = NAMES.iter().find(|name| line.code.contains(&format!("Ordering::{name}")))?;
        // The types that have no ordering to choose are made there.
        let made = source.module() == "sync" && *used == "Relaxed";
        let seed = [nth.saturating_sub(1), nth].iter().any(|&at| line_at(at).contains("seeded("));
        let guess = line.code.trim().starts_with("let mut ")
            && line.code.contains(".load(Ordering::Relaxed);")
            && line_at(nth + 1) == "loop {";
        let begin = (0..=nth).rev().find(|&at| has_word(line_at(at), "fn")).unwrap_or(0);
        let for_tests = source.test || line_at(begin.saturating_sub(1)) == "#[cfg(test)]";
        let told = source.lines[begin..=nth].iter().any(|l| l.comment.contains("ORDERING "));
        let fine = made || seed || guess || for_tests || told;
        (!fine).then(|| format!("`Ordering::{used}` without `ORDERING` above"))
    })
}

pub(crate) const LEFTOVERS: Rule = Rule {
    name: "leftovers",
    find: leftovers,
    wrong: &[
        ("a.rs", concat!("// FIX", "ME: later")),
        ("a.rs", "/// ```rust,ignore"),
        ("a.rs", "mod tests {"),
    ],
    right: &[("a.rs", "/// ```\n/// f();\n/// ```\nmod tests;")],
};

/// Examples that are not compiled, notes of things left to do, tests inline.
fn leftovers(source: &Source) -> Vec<String> {
    let marks = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    source.findings(|_, line| {
        let example = line.comment.contains("```") && line.comment.contains("ignore");
        let inline =
            ["mod tests {", "mod models {"].iter().any(|module| line.code.contains(module));
        let left = marks.iter().any(|mark| has_word(&line.comment, mark));
        (example || inline || left).then(|| "left over".into())
    })
}

pub(crate) const PROGRESS: Rule = Rule {
    name: "progress",
    find: progress,
    wrong: &[
        ("cache.rs", "impl A {\n    /// Says.\n    #[inline]\n    pub fn get(&self) {}\n}"),
        ("a.rs", "/// # Progress\npub struct A;\nimpl A {\n    pub fn get(&self) {}\n}"),
        ("a.rs", "/// All methods.\npub struct B;\nimpl A {\n    pub fn get(&self) {}\n}"),
    ],
    right: &[
        ("a.rs", "/// All methods are.\npub struct A;\nimpl A {\n    pub fn get(&self) {}\n}"),
        ("cache.rs", "    /// # Progress\n    /// It.\n    #[inline]\n    pub fn get(&self) {}"),
        ("cache.rs", "    pub(crate) fn get(&self) {}"),
    ],
};

/// The name of the public function that a line of code begins.
pub(crate) fn function(code: &str) -> Option<&str> {
    let code = code.strip_prefix("pub ")?;
    let code = code.trim_start_matches("const ").trim_start_matches("async ");
    code.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Public methods without the heading, of types whose documentation does not say it of all their methods.
fn progress(source: &Source) -> Vec<String> {
    let words = |line: usize| names(&source.lines[line].code).collect::<Vec<_>>();
    let says_it_of_all = |name: &str| {
        let is_it = |line: &usize| matches!(words(*line)[..], ["pub", "struct" | "enum", own, ..] if own == name);
        let lines = (0..source.lines.len()).filter(is_it);
        lines.into_iter().any(|line| source.documents(line, &["All methods are"]))
    };
    source.findings(|nth, line| {
        let name = function(line.code.strip_prefix("    ")?)?;
        let of_impl = (0..nth).rev().find(|line| words(*line).first() == Some(&"impl"));
        let types = of_impl.map_or(Vec::new(), words);
        let told = source.test || source.documents(nth, &["# Progress"]);
        let fine = told || types.into_iter().any(says_it_of_all);
        (!fine).then(|| format!("`{name}` without `# Progress`"))
    })
}
