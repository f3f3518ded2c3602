//! The command line: a file per verb. stdout is data, stderr is talk; `output` writes both.
//!
//! Exit codes, the same for every verb: 0 done, 1 failed (a usage error too), 2 done in part or differences found.

mod args;
mod config;
mod manual;
mod output;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub use args::{
    AbortArgs, Cli, Command, ConfigVerb, DemoArgs, GlobalArgs, ListArgs, PauseTarget, QuarantineVerb, ReseedArgs,
    RetryArgs, RunArgs, StatusArgs,
};

use crate::config::Mistakes;

/// Exit code of what is done.
pub const DONE: u8 = 0;
/// Exit code of what failed, usage errors included.
pub const FAILED: u8 = 1;
/// Exit code of what is done in part, or found differences.
pub const PARTIAL: u8 = 2;

/// Parses the command line, does what it asks and says how that went.
pub fn main_with<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> ExitCode {
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match &cli.command {
        Command::Config { verb } => config::run(*verb, &cli.global),
        Command::Run(_)
        | Command::List(_)
        | Command::Status(_)
        | Command::Pause { .. }
        | Command::Resume
        | Command::Abort(_)
        | Command::Reseed(_)
        | Command::Quarantine { .. }
        | Command::Demo(_) => {
            output::talk("error: this build has no other verbs than `config`");
            ExitCode::from(FAILED)
        }
    }
}

/// The parsed command line. Help, version and usage errors are printed here; the code is what to exit with then.
pub fn parse<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(args).map_err(|error| {
        // A closed pipe is no reason to fail: there is nobody left to tell.
        let _ = error.print();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::from(DONE),
            _ => ExitCode::from(FAILED),
        }
    })
}

/// Prints the mistakes of a configuration, one per line, and gives the code to exit with.
pub fn report(mistakes: &Mistakes) -> ExitCode {
    for mistake in mistakes {
        output::talk(&format!("error: {mistake}"));
    }
    ExitCode::from(FAILED)
}
