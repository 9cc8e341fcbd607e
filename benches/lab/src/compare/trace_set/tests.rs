use std::env;
use std::path::Path;

use super::TraceSet;
use crate::simulate::{Dense, POLICIES};

/// A folder with more traces and their `rows.csv`, where there is one.
const FOLDER: &str = "CLOCKHAND_TRACES";

/// Every policy must reach what is known of it, on every trace and with every capacity.
fn agrees(folder: Option<&Path>) -> usize {
    let set = TraceSet::find(folder).expect("the figures are sound");
    let mut compared = 0;
    for runs in set.runs() {
        let keys = Dense::of(runs.source.load(true).expect("a sound trace").keys());
        for &entries in &runs.capacities {
            set.simulate(&runs.source.name(), &keys, entries).expect("what is known");
            let row = |policy| {
                let same = (&*runs.source.name(), entries, policy);
                set.known
                    .iter()
                    .any(|known| (&*known.trace, known.capacity, &*known.policy) == same)
            };
            compared += POLICIES.iter().filter(|(policy, _)| row(*policy)).count();
        }
    }
    compared
}

#[test]
fn simulations_agree_with_the_known_figures() {
    assert_eq!(agrees(None), 12 * POLICIES.len());
    if let Some(folder) = env::var_os(FOLDER) {
        assert!(agrees(Some(folder.as_ref())) > 0, "the names are those of the figures");
    }
}
