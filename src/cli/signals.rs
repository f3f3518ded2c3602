//! SIGINT and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::FAILED;
use super::output::talk;

/// The first SIGINT or SIGTERM stops cleanly and says `how`, the second stops at once.
pub(super) async fn obey_signals(stop: CancellationToken, how: &str) -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    };
    let first = next().await;
    talk(&format!("{first}: {how}"));
    stop.cancel();
    let second = next().await;
    talk(&format!("{second}: stopped at once"));
    std::process::exit(i32::from(FAILED));
}
