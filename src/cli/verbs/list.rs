//! `list`: the migrations of the state table.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::status::who_runs;
use crate::cli::ask::failed;
use crate::cli::connect::on_state;
use crate::cli::output::{data, pretty, talk};
use crate::cli::table::table;
use crate::cli::{DONE, start};
use crate::config::StateSettings;
use crate::engine::EngineError;
use crate::model::{Side, Timestamp};
use crate::operator::{Overview, migrations, overview};
use crate::ports::{Clock as _, StatePorts as _, TableAdmin as _};

const ABOUT: &str = "\
List the migrations of the state table, each with its phase, and who runs it.

Changes nothing. Needs only [state] of the configuration.";

const AFTER: &str = "\
Examples:
  shadowtable --region eu-central-1 list
  shadowtable -c shadowtable.toml list --json

Exit codes: 0 listed; 1 failed.";

/// List the migrations of the state table
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct List {
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl List {
    /// Lists them.
    pub(in crate::cli) fn run(&self, settings: &StateSettings) -> ExitCode {
        start(&settings.log, async {
            let told = on_state(&settings.state, async |state| {
                let (ports, mut found) = (&*state.ports, Vec::new());
                for migration in migrations(ports).await? {
                    match overview(ports, &migration).await {
                        // One that was entered and never planned has nothing to show yet.
                        Ok(one) => found.extend(one),
                        // One that this version cannot read does not hide the others.
                        Err(error @ EngineError::State { .. }) => {
                            talk(&format!("note: migration {migration}: {error}"));
                        }
                        Err(error) => return Err(error),
                    }
                }
                let now = ports.clock().service();
                Ok(if self.json {
                    data(&pretty(&json!(found.iter().map(summary).collect::<Vec<_>>())))
                } else if found.is_empty() {
                    talk(&format!("no migration in the state table {}", ports.table().admin().place()));
                    ExitCode::from(DONE)
                } else {
                    data(&rows(&found, now))
                })
            });
            told.await.unwrap_or_else(|error| failed(&error))
        })
    }
}

fn summary(found: &Overview) -> Value {
    let meta = &found.meta;
    json!({
        "migration": meta.migration,
        "phase": meta.phase,
        "source_table": meta.name(Side::Source),
        "shadow_table": meta.name(Side::Shadow),
        "created": meta.created.to_string(),
        "paused": meta.paused,
        "holder": holder(found).map(|(owner, _)| owner),
    })
}

fn rows(found: &[Overview], now: Timestamp) -> String {
    let row = |one: &Overview| {
        let holder = who_runs(one, now);
        let meta = &one.meta;
        [
            meta.migration.clone(),
            meta.phase.to_string(),
            meta.name(Side::Source).to_owned(),
            meta.name(Side::Shadow).to_owned(),
            holder,
        ]
    };
    table(["MIGRATION", "PHASE", "SOURCE", "SHADOW", "RUN BY"], found.iter().map(row))
}

/// Who holds the lease as far as one look tells, and where.
fn holder(found: &Overview) -> Option<(String, String)> {
    found.lease.as_ref().filter(|lease| !lease.released).map(|lease| (lease.owner.clone(), lease.host.clone()))
}
