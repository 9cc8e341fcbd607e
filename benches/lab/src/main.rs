//! The lab's command line; see the library of the same package.

use std::process::ExitCode;

fn main() -> ExitCode {
    clockhand_lab::cli::main(std::env::args_os())
}
