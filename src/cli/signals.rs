//! SIGINT, SIGTERM, and SIGHUP of a terminal that is closed.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use super::FAILED;
use crate::telemetry::{announce, stderr};

/// The first signal stops cleanly and says `how`, the second stops at once.
pub(super) async fn obey_signals(stop: CancellationToken, how: &str) -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hangup = if may_obey_hangups() { Some(signal(SignalKind::hangup())?) } else { None };
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
            () = hung_up(&mut hangup) => "SIGHUP",
        }
    };
    let first = next().await;
    announce(Level::INFO, &format!("{first}: {how}"), None);
    stop.cancel();
    // A terminal that is closed may say so twice.
    let second = loop {
        let signal = next().await;
        if signal != "SIGHUP" {
            break signal;
        }
    };
    announce(Level::WARN, &format!("{second}: stopped at once"), None);
    stderr::flush();
    std::process::exit(i32::from(FAILED));
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP is not ignored already: under `nohup` the process shall outlive its terminal. Only Linux tells; where
/// nobody does, SIGHUP is left as it is.
fn may_obey_hangups() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 0)
}
