//! `list`: the migrations of the state table.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::connect::{StateAccess, complain, for_state};
use super::output::data;
use super::table::table;
use super::{FAILED, start};
use crate::config::StateSettings;
use crate::engine::EngineError;
use crate::runtime::operator::{Overview, migrations, overview};

/// `list`.
pub(super) fn list(settings: &StateSettings, as_json: bool) -> ExitCode {
    start(&settings.log, async {
        finish(
            async {
                let StateAccess { ports, .. } = for_state(&settings.state).await?;
                let mut found = Vec::new();
                for migration in migrations(&*ports).await? {
                    // One that was entered and never planned has nothing to show yet.
                    found.extend(overview(&*ports, &migration).await?);
                }
                Ok(if as_json { pretty(&json!(found.iter().map(summary).collect::<Vec<_>>())) } else { rows(&found) })
            }
            .await,
        )
    })
}

fn finish(told: Result<String, EngineError>) -> ExitCode {
    match told {
        Ok(text) => data(&text),
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// JSON for people.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn summary(found: &Overview) -> Value {
    let meta = &found.meta;
    json!({
        "migration": meta.migration,
        "phase": meta.phase,
        "source_table": meta.source_table,
        "shadow_table": meta.shadow_table,
        "created": meta.created.to_string(),
        "paused": meta.paused,
        "holder": holder(found).map(|(owner, _)| owner),
    })
}

fn rows(found: &[Overview]) -> String {
    let row = |one: &Overview| {
        let holder = holder(one).map_or_else(|| "nobody".to_owned(), |(_, host)| host);
        let meta = &one.meta;
        [meta.migration.clone(), meta.phase.to_string(), meta.source_table.clone(), meta.shadow_table.clone(), holder]
    };
    table(["MIGRATION", "PHASE", "SOURCE", "SHADOW", "RUN BY"], found.iter().map(row))
}

/// Who holds the lease as far as one look tells, and where.
fn holder(found: &Overview) -> Option<(String, String)> {
    found.lease.as_ref().filter(|lease| !lease.released).map(|lease| (lease.owner.clone(), lease.host.clone()))
}
