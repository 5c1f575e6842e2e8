//! The `embargo` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    embargo::cli::main()
}
