//! The lab's command line; see the library of the same package.

use std::process::ExitCode;

use clockhand_lab::heap::CountsBlocks;

#[global_allocator]
static HEAP: CountsBlocks = CountsBlocks;

fn main() -> ExitCode {
    clockhand_lab::cli::main(std::env::args_os())
}
