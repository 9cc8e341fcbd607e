//! Commands that need what this build is without.

use std::ffi::OsString;

use clap::Args;

use crate::failure::Failure;

/// Whatever arguments such a command is given.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(super) struct Absent {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Absent {
    /// Says how to run the command, with the same arguments.
    pub(super) fn run(self, command: &str, feature: &str) -> Result<(), Failure> {
        let words = self.arguments.iter().map(|word| format!(" {}", word.to_string_lossy()));
        let arguments = words.collect::<String>();
        Err(Failure::Input(format!(
            "this build is without {command}; run `cargo run --release -p clockhand-lab --features {feature} -- \
             {command}{arguments}`"
        )))
    }
}
