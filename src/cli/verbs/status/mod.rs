//! `status`: what the state table says of one migration, once or until told to stop.
//!
//! It works from any machine that reaches the state table: the active process stores its figures there every two
//! seconds. `seen` is one look, `text` and `screen` show it, `watch` looks again and again.

mod screen;
mod seen;
mod text;
mod watch;

use std::process::ExitCode;

use clap::Args;

use self::seen::{Holding, Seen};
use crate::aws::AwsState;
use crate::cli::ask::failed;
use crate::cli::connect::on_state;
use crate::cli::output::{data, pretty};
use crate::cli::start;
use crate::cli::table::span;
use crate::config::CommandSettings;
use crate::engine::EngineError;
use crate::model::Timestamp;
use crate::operator::{Overview, overview};
use crate::ports::{Clock, StatePorts};

const ABOUT: &str = "\
Show the migration's phase, the copy's progress, lag, headroom, quarantine and who holds the lease.

Lag is the age of the oldest change not yet durable in the shadow; headroom is how long until the stream drops records \
that were not read. The figures are those that the running process stored last.

--watch looks again and again. On a terminal it draws a screen (q quits); elsewhere it writes a line every five seconds, \
with --json a document. docs/operations/status.md describes the document.

Changes nothing. Needs [migration] and [state] of the configuration.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml status
  shadowtable --migration task-approvals-2026-11 status --json
  shadowtable -c shadowtable.toml status --watch

Exit codes: 0 shown; 1 failed, or there is no such migration.";

/// Show phase, progress, lag and headroom of the migration
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Status {
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    /// Look again and again: a screen on a terminal, a line now and then elsewhere
    #[arg(long)]
    watch: bool,
}

impl Status {
    /// Shows it.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        start(&settings.log, async {
            let told = on_state(&settings.state, async |state| {
                let ports = &*state.ports;
                if self.watch {
                    return watch::watch(ports, settings, self.json).await;
                }
                let found = look(ports, settings).await?;
                let now = ports.clock().service();
                let seen = Seen { holding: Holding::at_one_look(&found, now), found, now };
                Ok(data(&if self.json { pretty(&seen.document()) } else { text::lines(&seen) }))
            });
            told.await.unwrap_or_else(|error| failed(&error))
        })
    }
}

/// Who runs a migration, as far as one look tells.
pub(super) fn who_runs(found: &Overview, now: Timestamp) -> String {
    match Holding::at_one_look(found, now) {
        Holding::Held { host, .. } => host,
        Holding::Silent { host, seconds, .. } => format!("nobody ({host} is silent for {})", span(seconds)),
        Holding::Nobody => "nobody".to_owned(),
    }
}

async fn look(ports: &AwsState, settings: &CommandSettings) -> Result<Overview, EngineError> {
    let id = settings.migration.as_str();
    overview(ports, id).await?.ok_or_else(|| {
        EngineError::refused(
            format!("the state table {} knows no migration {id}", settings.state.table),
            "see `shadowtable list`; `shadowtable run` begins one",
        )
    })
}
