//! The rules of the source that no compiler and no lint checks. A rule on one file at a time is a row of [`RULES`], with texts
//! to which it has to object, and such to which it has not; `register`, `documents` and `listing` hold files against each other.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/listing.rs"]
mod listing;
#[path = "tidy/register.rs"]
mod register;
#[path = "tidy/source.rs"]
mod source;

use source::{Source, sources, sources_of};

/// A rule on a file: what it finds there, and texts, each with a path, in which it finds something, and nothing.
struct Rule {
    name: &'static str,
    find: fn(&Source) -> Vec<String>,
    wrong: &'static [(&'static str, &'static str)],
    right: &'static [(&'static str, &'static str)],
}

const RULES: [Rule; 6] = [
    layers::LAYERS,
    code::ATOMICS,
    code::ORDERINGS,
    code::LEFTOVERS,
    code::PROGRESS,
    documents::TYPES,
];

#[test]
fn every_rule_holds() {
    let everywhere = ["tests", "benches", "crates", "fuzz", "docs/examples"];
    for rule in &RULES {
        let mut sources = sources();
        if rule.name == "leftovers" {
            sources.extend(everywhere.into_iter().flat_map(sources_of));
        }
        let found: Vec<String> = sources.iter().flat_map(rule.find).collect();
        assert!(found.is_empty(), "{}: {found:#?}", rule.name);
    }
}

#[test]
fn every_rule_can_fail() {
    let found = |rule: &Rule, &(path, text): &(&str, &str)| {
        !(rule.find)(&Source::new(path, text)).is_empty()
    };
    for rule in &RULES {
        assert!(!rule.wrong.is_empty() && !rule.right.is_empty(), "{}", rule.name);
        for text in rule.wrong {
            assert!(found(rule, text), "{} has to object to {text:?}", rule.name);
        }
        for text in rule.right {
            assert!(!found(rule, text), "{} has not to object to {text:?}", rule.name);
        }
    }
}
