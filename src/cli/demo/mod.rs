//! `demo`: a migration from beginning to end, on a made-up table in an embedded DynamoDB.
//!
//! What is made up: the service (`endpoint`), the table and its items (`approvals`), and the application that keeps
//! writing to it (`book` says what it does next, `application` does it). What is real: everything else. The pipeline is
//! the one of `run`, over HTTP.
//!
//! What must hold:
//!
//! - **No way to AWS.** The only endpoint is on loopback and the credentials are invented; nothing of the user's own
//!   AWS configuration is read.
//! - **"Equal" is found, not assumed.** `compare` reads every item of both tables at the end, lays over the source what
//!   the shadow acknowledged since the switch, and the exit code follows from that alone and from what the new index
//!   answers.
//! - **An end in any case.** Whatever stops moving is given up after a named time.

#[cfg(feature = "embedded")]
mod application;
#[cfg(feature = "embedded")]
mod approvals;
#[cfg(feature = "embedded")]
mod book;
#[cfg(feature = "embedded")]
mod compare;
#[cfg(feature = "embedded")]
mod endpoint;
#[cfg(feature = "embedded")]
mod figures;
#[cfg(feature = "embedded")]
mod pipeline;
#[cfg(feature = "embedded")]
mod progress;
#[cfg(feature = "embedded")]
mod report;
#[cfg(feature = "embedded")]
mod show;
#[cfg(feature = "embedded")]
mod stall;

use std::process::ExitCode;

use super::DemoArgs;
use crate::config::DemoSettings;

/// Runs the verb.
#[cfg(feature = "embedded")]
pub(super) fn run(settings: &DemoSettings, args: &DemoArgs) -> ExitCode {
    use super::connect::complain;
    use super::{DONE, FAILED, PARTIAL, output, start};

    start(&settings.log, async {
        match show::run(settings, args).await {
            Ok(report) => {
                let written = output::data(&report.to_string());
                let verdict = if report.is_equal() { DONE } else { PARTIAL };
                if written == ExitCode::from(DONE) { ExitCode::from(verdict) } else { written }
            }
            Err(error) => {
                complain(&error);
                ExitCode::from(FAILED)
            }
        }
    })
}

/// Says that this build cannot.
#[cfg(not(feature = "embedded"))]
pub(super) fn run(_: &DemoSettings, _: &DemoArgs) -> ExitCode {
    super::output::talk("error: this build of shadowtable has no embedded DynamoDB, which the demo needs");
    super::output::talk("hint: build it with the default features: cargo build --release");
    ExitCode::from(super::FAILED)
}
