//! `unfence`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::ask::{confirmed, failed, told};
use crate::cli::connect::on_state;
use crate::cli::{FAILED, start};
use crate::config::CommandSettings;
use crate::operator::{self, command};
use crate::protocol::command::Verb;
use crate::protocol::phase::Phase;

const ABOUT: &str = "\
Give a cutover up, and allow writes to the source again.

Before the switch is intended it always may be. After a switch that failed it asks for --vouch: what the application \
wrote to the shadow meanwhile would not reach the source. While undoing the fence fails, --vouch says that it was undone \
by hand. Where no cutover is under way, it runs the unfence's program once more.

Changes: runs cutover.unfence_command; the migration goes on tailing.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml unfence
  shadowtable -c shadowtable.toml unfence --vouch

Exit codes: 0 done; 1 failed; 2 refused.";

/// Give a cutover up, and allow writes to the source again
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Unfence {
    /// Vouch that nothing writes to the shadow, after a switch that failed; or that the fence was undone by hand
    #[arg(long)]
    vouch: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Unfence {
    /// Gives the cutover up.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        let question = "Does nothing write to the shadow, or (while a fence is being undone) is the source open again?";
        if self.vouch && !self.yes && !confirmed(question) {
            return ExitCode::from(FAILED);
        }
        start(&settings.log, async {
            let answer = on_state(&settings.state, async |state| {
                let (ports, id) = (&*state.ports, settings.migration.as_str());
                let phase = operator::overview(ports, id).await?.map(|found| found.meta.phase);
                let verb = match phase {
                    Some(Phase::Unfencing) if self.vouch => Verb::DeclareUnfenced,
                    _ => Verb::GiveUp { vouched: self.vouch },
                };
                command(ports, id, &state.who, verb).await
            });
            match answer.await {
                Ok(answer) => told(&answer),
                Err(error) => failed(&error),
            }
        })
    }
}
