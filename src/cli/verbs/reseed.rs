//! `reseed`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::ask::{confirmed, failed};
use crate::cli::connect::{Connected, for_migration};
use crate::cli::output::data;
use crate::cli::{FAILED, start};
use crate::config::Settings;
use crate::operator;
use crate::runtime::Allowed;

const ABOUT: &str = "\
Begin again with a new, empty shadow: the way out of `needs-reseed`.

The stream dropped changes before they were read, or the shadow is not the one that was provisioned. Copying again over \
the old contents would keep items that were deleted meanwhile, so the shadow must be empty. Either configure another \
name under [shadow], or let --delete-shadow delete the old one and create it again.

Changes: checkpoints and quarantine are dropped, and copy and tail begin anew. With --delete-shadow the shadow table is \
deleted with all its items; it is refused after a switch, where the source is not the one that was copied, and where \
the pointer names the shadow. The source is only read.

It asks first. Where there is nobody to ask (stdin is no terminal), --yes is needed.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml --shadow-table TaskApprovals-v3 reseed
  shadowtable -c shadowtable.toml reseed --delete-shadow

Exit codes: 0 begun again; 1 failed, or not confirmed.";

/// Begin again with a new, empty shadow
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Reseed {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Delete the shadow table and its items, and create it again under its name
    #[arg(long)]
    delete_shadow: bool,
}

impl Reseed {
    /// Begins again.
    pub(in crate::cli) fn run(&self, settings: &Settings) -> ExitCode {
        let question = if self.delete_shadow {
            format!("Delete {} with everything in it, and copy again from the beginning?", settings.shadow.table)
        } else {
            format!("Forget all progress of {} and copy again into {}?", settings.migration, settings.shadow.table)
        };
        if !self.yes && !confirmed(&question) {
            return ExitCode::from(FAILED);
        }
        start(&settings.log, async {
            let done = async {
                let Connected { ports, job, places } = for_migration(settings, Allowed::default()).await?;
                Box::pin(operator::reseed(&ports, &job, self.delete_shadow))
                    .await
                    .map_err(|error| error.located(&places))
            };
            match done.await {
                Ok(()) => {
                    data("the migration is planned anew: `shadowtable run` provisions the shadow and copies again\n")
                }
                Err(error) => failed(&error),
            }
        })
    }
}
