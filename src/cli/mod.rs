//! The command line. stdout is data, stderr is talk; `output` writes both.
//!
//! | file | does |
//! |---|---|
//! | `args` | the flags that any verb takes, and the help of the whole |
//! | `verbs/` | a file, or a folder, per verb: its arguments, its help, its run |
//! | `connect` | from settings to ports: connections, identity, key schemas |
//! | `ask` | asks the active process, or the person at the terminal |
//! | `output`, `table`, `version`, `signals` | what all of them share |
//!
//! Exit codes, the same for every verb: 0 done, 1 failed (a usage error too), 2 refused by a gate or by the active process, done in
//! part, or differences found.

mod args;
mod ask;
mod connect;
mod output;
mod signals;
mod table;
mod verbs;
mod version;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub use args::{Cli, GlobalArgs};

use crate::config::{self, Loaded, LogSettings, Mistakes};
use crate::telemetry::{init_logs, stderr};

/// Exit code of what is done.
pub const DONE: u8 = 0;
/// Exit code of what failed, usage errors included.
pub const FAILED: u8 = 1;
/// Exit code of what is done in part, or found differences.
pub const PARTIAL: u8 = 2;

/// Parses the command line, does what it asks and says how that went.
pub fn main_with<A: Into<OsString> + Clone>(args: impl IntoIterator<Item = A>) -> ExitCode {
    match parse(args) {
        Ok(cli) => cli.command.run(&cli.global),
        Err(code) => code,
    }
}

/// The configuration; that of the working directory is named, since nobody else did.
fn load(global: &GlobalArgs) -> Loaded {
    let loaded = config::load_in(Some(Path::new("")), &global.flags(), &config::environment());
    if loaded.is_found_by_itself() {
        output::talk(&format!("using {} of the working directory", config::FILE_NAME));
    }
    loaded
}

/// The same, without a file that nobody named.
fn load_named(global: &GlobalArgs) -> Loaded {
    config::load(&global.flags(), &config::environment())
}

/// Starts logs and the runtime, and does the work.
fn start(log: &LogSettings, work: impl Future<Output = ExitCode>) -> ExitCode {
    start_for(log, None, work)
}

/// The same, with the migration's id in each line of the log.
fn start_for(log: &LogSettings, migration: Option<&str>, work: impl Future<Output = ExitCode>) -> ExitCode {
    let colour = std::io::stderr().is_terminal() && !config::no_color();
    if let Err(error) = init_logs(log, migration, colour) {
        output::talk(&format!("error: log.level: {error}"));
        return ExitCode::from(FAILED);
    }
    let done = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            output::talk(&format!("error: the runtime cannot start: {error}"));
            ExitCode::from(FAILED)
        }
    };
    stderr::flush();
    done
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
