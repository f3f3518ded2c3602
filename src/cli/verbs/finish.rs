//! `finish`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::FAILED;
use crate::cli::ask::{ask, confirmed};
use crate::config::CommandSettings;
use crate::protocol::command::Verb;

const ABOUT: &str = "\
End the migration after its switch.

Until then the running process watches the source: a change that arrives there after the switch goes to quarantine, and \
raises an alert.

Changes: the state table. The running process ends. Source, shadow and stream stay as they are.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml finish

Exit codes: 0 done; 1 failed; 2 refused.";

/// End the migration after its switch
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Finish {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Finish {
    /// Ends the migration.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        let question = "End the migration? Late changes at the source will no longer be noticed.";
        if !self.yes && !confirmed(question) {
            return ExitCode::from(FAILED);
        }
        ask(settings, Verb::Finish)
    }
}
