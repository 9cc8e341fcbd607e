//! Commands that need what this build is without.

use std::ffi::OsString;

use crate::failure::Failure;

/// Ends the help of such a build.
pub(super) const MORE: &str = "Features bring more commands: `peers` brings compare and load; `predict`, `serve` and \
                               `tier` bring one each.";

/// Which feature a command needs.
const FEATURES: [(&str, &str); 5] = [
    ("compare", "peers"),
    ("load", "peers"),
    ("predict", "predict"),
    ("serve", "serve"),
    ("tier", "tier"),
];

/// Says how to run a command, with the same arguments, or that there is none of this name.
pub(super) fn absent(words: &[OsString]) -> Failure {
    let words = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>();
    let name = words.first().map_or("", |name| name);
    Failure::Input(match FEATURES.iter().find(|(command, _)| *command == name) {
        Some((_, feature)) => format!(
            "this build is without {name}; run `cargo run --release -p clockhand-lab --features {feature} -- {}`",
            words.join(" ")
        ),
        None => format!("unrecognized subcommand '{name}' (--help shows the options)"),
    })
}
