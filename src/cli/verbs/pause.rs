//! `pause` and `resume`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::cli::ask::ask_as;
use crate::config::CommandSettings;
use crate::protocol::command::{Paused, Verb};

const ABOUT: &str = "\
Stop the copy, or everything, until `resume`.

Changes: the running process stops reading the source (`copy`: the copy's pages only, the tail goes on; `all`: the tail \
too). What was read is still written, and checkpoints are kept. The pause is stored in the state table and outlives a \
restart of `run`.

While the tail is paused, headroom shrinks: the stream keeps records for 24 h. After 23 h the migration stops as \
`needs-reseed`.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml pause copy     # the table needs its read capacity
  shadowtable -c shadowtable.toml pause all      # the shadow must not be written for a while

Exit codes: 0 paused; 1 failed, or no process holds the lease; 2 refused.";

/// Stop the copy, or everything, until `resume`
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Pause {
    /// What to pause: copy, or all
    #[arg(value_name = "copy|all")]
    what: Target,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

/// What `pause` stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The copy; the tail goes on, so that no history is lost
    Copy,
    /// Copy and tail; headroom shrinks meanwhile
    All,
}

impl Pause {
    /// Stops it.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        let paused = match self.what {
            Target::Copy => Paused::Copy,
            Target::All => Paused::All,
        };
        ask_as(settings, Verb::Pause { paused }, self.json)
    }
}

const RESUME_ABOUT: &str = "\
Go on after `pause`.

Changes: the stored pause is removed, and the running process carries on at its checkpoints. A migration that is not \
paused stays as it is.";

const RESUME_AFTER: &str = "\
Example:
  shadowtable -c shadowtable.toml resume

Exit codes: 0 going on; 1 failed, or no process holds the lease; 2 refused.";

/// Go on after `pause`
#[derive(Args, Clone, Debug)]
#[command(long_about = RESUME_ABOUT, after_long_help = RESUME_AFTER)]
pub struct Resume {
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

impl Resume {
    /// Goes on.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        ask_as(settings, Verb::Pause { paused: Paused::None }, self.json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::cli::verbs::Command;
    use clap::Parser as _;

    fn parsed(line: &str) -> Option<Cli> {
        Cli::try_parse_from(line.split(' ')).ok()
    }

    #[test]
    fn pause_says_what() {
        let Some(Command::Pause(pause)) = parsed("shadowtable pause copy").map(|cli| cli.command) else {
            panic!("not pause")
        };
        assert_eq!(pause.what, Target::Copy);
        assert!(parsed("shadowtable pause").is_none());
        assert!(parsed("shadowtable pause tail").is_none());
    }
}
