//! `run`: brings the migration forward until stopped.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::connect::{Connected, complain, for_migration};
use super::signals::obey_signals;
use super::{DONE, FAILED, RunArgs, start};
use crate::config::Settings;
use crate::engine::EngineError;
use crate::runtime::admin::{self, Admin};
use crate::runtime::{self, Monitor};
use crate::telemetry::{Meters, install_recorder};

/// Runs the verb.
pub(super) fn run(settings: &Settings, args: &RunArgs) -> ExitCode {
    start(&settings.log, async {
        match migrate(settings, args.enable_stream).await {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => {
                complain(&error);
                ExitCode::from(FAILED)
            }
        }
    })
}

async fn migrate(settings: &Settings, enable_stream: bool) -> Result<(), EngineError> {
    let prometheus = install_recorder().map_err(|error| EngineError::Task(error.to_string()))?;
    let (monitor, meters) = (Arc::new(Monitor::default()), Arc::new(Meters::default()));
    let (listener, _) = admin::bind(settings.admin.listen).await.map_err(|error| {
        EngineError::refused(
            format!("the admin port cannot listen on {}: {error}", settings.admin.listen),
            "choose another address with --admin-listen; port 0 takes a free one",
        )
    })?;
    let (stop, closing) = (CancellationToken::new(), CancellationToken::new());
    let mut beside = JoinSet::new();
    let served = Admin { monitor: Arc::clone(&monitor), meters: Arc::clone(&meters), prometheus };
    beside.spawn(admin::serve(listener, served, closing.clone()));
    beside.spawn(obey_signals(
        stop.clone(),
        "stopping; writes in flight finish and checkpoints are saved. Once more stops at once, and the next run resumes.",
    ));
    let connected = tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        connected = for_migration(settings, enable_stream) => connected?,
    };
    let Connected { ports, job } = connected;
    let ended = Box::pin(runtime::run(ports, job, meters, monitor, stop)).await;
    closing.cancel();
    beside.shutdown().await;
    ended
}
