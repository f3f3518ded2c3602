//! `run`: brings the migration forward until stopped.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::connect::{Connected, complain, for_migration};
use super::signals::obey_signals;
use super::{DONE, FAILED, RunArgs, start_for};
use crate::admin::{self, Admin};
use crate::config::Settings;
use crate::engine::EngineError;
use crate::protocol::phase::Phase;
use crate::runtime::{self, Allowed, Monitor};
use crate::telemetry::{Meters, announce, announce_panics, install_recorder};

/// Runs the verb.
pub(super) fn run(settings: &Settings, args: &RunArgs) -> ExitCode {
    announce_panics();
    start_for(&settings.log, Some(settings.migration.as_str()), async {
        match migrate(settings, allowed(args)).await {
            Ok(ended) => ended,
            Err(error) => {
                complain(&error);
                ExitCode::from(FAILED)
            }
        }
    })
}

const fn allowed(args: &RunArgs) -> Allowed {
    Allowed {
        enable_stream: args.enable_stream,
        single_writer_region: args.single_writer_region,
        refused_items: args.accept_refused,
    }
}

async fn migrate(settings: &Settings, allowed: Allowed) -> Result<ExitCode, EngineError> {
    let prometheus =
        install_recorder(Some(settings.migration.as_str())).map_err(|error| EngineError::Task(error.to_string()))?;
    let (monitor, meters) = (Arc::new(Monitor::default()), Arc::new(Meters::default()));
    let (listener, _) = admin::bind(settings.admin.listen).await.map_err(|error| {
        EngineError::refused(
            format!("the admin port cannot listen on {}: {error}", settings.admin.listen),
            "choose another address with --admin-listen; port 0 takes a free one",
        )
    })?;
    let (stop, closing) = (CancellationToken::new(), CancellationToken::new());
    let mut beside = JoinSet::new();
    let served = Admin {
        monitor: Arc::clone(&monitor),
        meters: Arc::clone(&meters),
        prometheus,
        allowed_hosts: settings.admin.allowed_hosts.clone(),
    };
    beside.spawn(admin::serve(listener, served, closing.clone()));
    beside.spawn(obey_signals(
        stop.clone(),
        "stopping; writes in flight finish and checkpoints are saved. Once more stops at once, and the next run resumes.",
    ));
    let connected = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(ExitCode::from(DONE)),
        connected = for_migration(settings, allowed) => connected?,
    };
    let Connected { ports, job, places } = connected;
    let ended = Box::pin(runtime::run(ports, job, meters, Arc::clone(&monitor), stop.clone())).await;
    let ended = ended.map_err(|error| error.located(&places));
    if ended.is_ok() {
        let said = if stop.is_cancelled() {
            "stopped; the next run resumes from what is saved"
        } else {
            "the migration was ended; nothing is left to run"
        };
        announce(Level::INFO, said, None);
    }
    if let Err(error) = &ended {
        complain(error);
        if is_to_be_seen(error, &monitor) {
            // Whoever scrapes metrics sees once more what ended it. A signal cuts it short.
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(settings.admin.linger) => {}
            }
        }
    }
    closing.cancel();
    beside.shutdown().await;
    Ok(ExitCode::from(if ended.is_ok() { DONE } else { FAILED }))
}

/// Whether an alert waits for it: lost history, or a defect. A refusal at the start is for whoever started it.
fn is_to_be_seen(error: &EngineError, monitor: &Monitor) -> bool {
    error.is_defect() || matches!(error, EngineError::Lost(_)) || monitor.phase_left() == Some(Phase::NeedsReseed)
}
