//! `audit`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::cli::ask::failed;
use crate::cli::connect::on_state;
use crate::cli::output::{data, pretty};
use crate::cli::start;
use crate::cli::table::table;
use crate::config::CommandSettings;
use crate::engine::state::entities::EventRecord;
use crate::operator;

const ABOUT: &str = "\
Show what was done, when, by which process, and who asked for it: phases, pauses, and each step of a cutover before and \
after.

Changes nothing. The trail is kept for a year.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml audit
  shadowtable -c shadowtable.toml audit --json

Exit codes: 0 shown; 1 failed.";

/// Show what was done, when and by whom
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Audit {
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Audit {
    /// Shows the trail.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        start(&settings.log, async {
            let id = settings.migration.as_str();
            let found = on_state(&settings.state, async |state| {
                operator::require(&*state.ports, id).await?;
                operator::audit(&*state.ports, id).await
            });
            match found.await {
                Ok(events) if self.json => data(&pretty(&json!(events.iter().map(document).collect::<Vec<_>>()))),
                Ok(events) => {
                    let row = |event: &EventRecord| [event.at.to_string(), event.owner.clone(), event.what.clone()];
                    data(&table(["AT", "BY", "WHAT"], events.iter().map(row)))
                }
                Err(error) => failed(&error),
            }
        })
    }
}

fn document(event: &EventRecord) -> serde_json::Value {
    json!({ "at": event.at.to_string(), "by": event.owner, "what": event.what })
}
