//! `status`: what the state table says of one migration, once or until told to stop.
//!
//! It works from any machine that reaches the state table: the active process stores its figures there every two
//! seconds. `seen` is one look, `text` and `screen` show it, `watch` looks again and again.

mod screen;
mod seen;
mod text;
mod watch;

use std::process::ExitCode;

use self::seen::{Holding, Seen};
use super::connect::{complain, on_state};
use super::output::{data, pretty};
use super::table::span;
use super::{FAILED, StatusArgs, start};
use crate::aws::AwsState;
use crate::config::CommandSettings;
use crate::engine::EngineError;
use crate::model::Timestamp;
use crate::operator::{Overview, overview};
use crate::ports::{Clock, StatePorts};

/// Runs the verb.
pub(super) fn status(settings: &CommandSettings, args: &StatusArgs) -> ExitCode {
    start(&settings.log, async {
        let told = on_state(&settings.state, async |state| {
            let ports = &*state.ports;
            if args.watch {
                return watch::watch(ports, settings, args.json).await;
            }
            let found = look(ports, settings).await?;
            let now = ports.clock().service();
            let seen = Seen { holding: Holding::at_one_look(&found, now), found, now };
            Ok(data(&if args.json { pretty(&seen.document()) } else { text::lines(&seen) }))
        });
        told.await.unwrap_or_else(|error| {
            complain(&error);
            ExitCode::from(FAILED)
        })
    })
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
