//! The `shadowtable` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    shadowtable::cli::main_with(std::env::args_os())
}
