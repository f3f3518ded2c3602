//! `forget`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::ask::{confirmed, failed, operator_job};
use crate::cli::connect::on_state;
use crate::cli::output::talk;
use crate::cli::{DONE, FAILED, start};
use crate::config::CommandSettings;
use crate::operator;

const ABOUT: &str = "\
Remove an ended migration from the state table: its entries, its audit trail, and its claims on tables.

Only one that is `finished` or `aborted` is forgotten. Changes: the state table, and nothing else. What is forgotten \
is no longer shown by `list`, and its id can be used again.

It asks first. Where there is nobody to ask (stdin is no terminal), --yes is needed.";

const AFTER: &str = "\
Example:
  shadowtable --migration task-approvals-2026-11 forget

Exit codes: 0 forgotten; 1 failed, or not confirmed.";

/// Remove an ended migration from the state table
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Forget {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Forget {
    /// Removes it.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        let id = settings.migration.as_str();
        if !self.yes && !confirmed(&format!("Remove migration {id} from the state table, its audit trail too?")) {
            return ExitCode::from(FAILED);
        }
        start(&settings.log, async {
            let forgotten = on_state(&settings.state, async |state| {
                Box::pin(operator::forget(&state.ports, id, &operator_job(state.who.clone()))).await
            });
            match forgotten.await {
                Ok(()) => {
                    talk(&format!("migration {id} is forgotten"));
                    ExitCode::from(DONE)
                }
                Err(error) => failed(&error),
            }
        })
    }
}
