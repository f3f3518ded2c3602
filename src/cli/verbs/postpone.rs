//! `postpone`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::ask::ask;
use crate::config::CommandSettings;
use crate::protocol::command::Verb;

const ABOUT: &str = "\
Put cutovers off, whoever asks for one: the gate `not postponed` refuses until `postpone --off`.

Changes: the state table; it outlives a restart of `run`. A cutover that is under way goes on.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml postpone
  shadowtable -c shadowtable.toml postpone --off

Exit codes: 0 done; 1 failed, or no process holds the lease; 2 refused.";

/// Put cutovers off, whoever asks for one
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Postpone {
    /// Allow cutovers again
    #[arg(long)]
    off: bool,
}

impl Postpone {
    /// Puts cutovers off.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        ask(settings, Verb::Postpone { postponed: !self.off })
    }
}
