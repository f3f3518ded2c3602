//! `run`: brings the migration forward until stopped.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Level;

use crate::admin::{self, Admin};
use crate::cli::ask::failed;
use crate::cli::connect::{Connected, complain, for_migration};
use crate::cli::signals::obey_signals;
use crate::cli::{DONE, FAILED, start_for};
use crate::config::Settings;
use crate::engine::EngineError;
use crate::protocol::phase::Phase;
use crate::runtime::{self, Allowed, Monitor};
use crate::telemetry::{Meters, announce, announce_panics, install_recorder};

const ABOUT: &str = "\
Bring the migration forward: create the shadow, copy, tail; until stopped.

It reads the phase from the state table and carries on from there, so it is the way to begin, to resume and to \
restart. One process at a time holds the migration's lease; a second `run` waits as standby and takes over, unless it is \
configured otherwise.

Before it makes anything it tries the rules and the layout on up to 300 items of the source. Where most would be refused, it \
ends, unless --accept-refused is given. A global table is refused, unless --single-writer-region vouches that nothing \
writes to the replicas, now and until the migration is finished; this is recorded.

Changes: creates the state table and the shadow where they do not exist, and writes to both. The source is only read. \
Where its stream is off, run refuses, unless --enable-stream is given.

Stop it with SIGINT or SIGTERM: writes in flight are finished and checkpoints saved, for lease.grace_seconds at \
most, or twice that where the tables do not answer.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml run
  shadowtable -c shadowtable.toml run --enable-stream
  shadowtable -c shadowtable.toml --set copy.read_units_per_second=500 run

Exit codes: 0 stopped as asked; 1 failed, or needs-reseed.";

/// Bring the migration forward: create the shadow, copy, tail; until stopped
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Run {
    /// Enable the source's stream (new and old images) where it is off: the one change to the source
    #[arg(long)]
    enable_stream: bool,
    /// Vouch that nothing writes to the source's replicas in other regions, where it is a global table
    #[arg(long)]
    single_writer_region: bool,
    /// Copy even if the new layout refuses most items of a sample
    #[arg(long)]
    accept_refused: bool,
}

impl Run {
    /// Runs until stopped.
    pub(in crate::cli) fn run(&self, settings: &Settings) -> ExitCode {
        announce_panics();
        start_for(&settings.log, Some(settings.migration.as_str()), async {
            migrate(settings, self.allowed()).await.unwrap_or_else(|error| failed(&error))
        })
    }

    const fn allowed(&self) -> Allowed {
        Allowed {
            enable_stream: self.enable_stream,
            single_writer_region: self.single_writer_region,
            refused_items: self.accept_refused,
        }
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
