//! The command line: a file per verb. stdout is data, stderr is talk; `output` writes both.
//!
//! Exit codes, the same for every verb: 0 done, 1 failed (a usage error too), 2 done in part or differences found.

mod args;
mod check;
mod command;
mod connect;
mod cutover;
mod demo;
mod look;
mod manual;
mod output;
mod pages;
mod run;
mod signals;
mod status;
mod table;
mod version;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

pub use args::{
    AbortArgs, AuditArgs, Cli, Command, ConfigVerb, CutoverArgs, DemoArgs, FinishArgs, ForgetArgs, GlobalArgs,
    LeaseVerb, ListArgs, PauseTarget, PostponeArgs, QuarantineVerb, ReseedArgs, RetryArgs, RunArgs, StatusArgs,
    UnfenceArgs,
};

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
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    // Only by the verbs that need it: standard input can be read once.
    let load = || load(&cli.global);
    let done = match &cli.command {
        Command::Config { verb } => return check::run(verb, &cli.global),
        Command::Completions { shell } => return pages::completions(*shell),
        Command::Man { verb } => return pages::man(verb),
        Command::Run(args) => load().for_migration().map(|settings| run::run(&settings, args)),
        Command::List(args) => load().for_state_only().map(|settings| look::list(&settings, args.json)),
        Command::Status(args) => load().for_command().map(|settings| status::status(&settings, args)),
        Command::Pause { what, json } => {
            load().for_command().map(|settings| command::pause(&settings, Some(*what), *json))
        }
        Command::Resume { json } => load().for_command().map(|settings| command::pause(&settings, None, *json)),
        Command::Abort(args) => load().for_command().map(|settings| command::abort(&settings, args.yes)),
        Command::Reseed(args) => {
            load().for_migration().map(|settings| command::reseed(&settings, args.yes, args.delete_shadow))
        }
        Command::Cutover(args) => load().for_command().map(|settings| cutover::cutover(&settings, args)),
        Command::Unfence(args) => {
            load().for_command().map(|settings| cutover::unfence(&settings, args.vouch, args.yes))
        }
        Command::Postpone(args) => load().for_command().map(|settings| cutover::postpone(&settings, args.off)),
        Command::Finish(args) => load().for_command().map(|settings| cutover::finish(&settings, args.yes)),
        Command::Forget(args) => load().for_command().map(|settings| command::forget(&settings, args.yes)),
        Command::Lease { verb } => load().for_command().map(|settings| command::lease(&settings, *verb)),
        Command::Audit(args) => load().for_command().map(|settings| cutover::audit(&settings, args.json)),
        Command::Quarantine { verb } => load().for_command().map(|settings| command::quarantine(&settings, verb)),
        // The demo brings its own tables: a file that lies about has nothing to say.
        Command::Demo(args) => config::load(&cli.global.flags(), &config::environment())
            .for_demo()
            .map(|settings| demo::run(&settings, args)),
    };
    done.unwrap_or_else(|mistakes| report(&mistakes))
}

/// The configuration; that of the working directory is named, since nobody else did.
fn load(global: &GlobalArgs) -> Loaded {
    let loaded = config::load_in(Some(Path::new("")), &global.flags(), &config::environment());
    if loaded.is_found_by_itself() {
        output::talk(&format!("using {} of the working directory", config::FILE_NAME));
    }
    loaded
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
