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

use clap::{Args, value_parser};

use crate::config::DemoSettings;

const ABOUT: &str = "\
Migrate a made-up table on an embedded DynamoDB while an application writes to it.

The table has an index whose projection lacks an attribute. While writers insert, update and delete, the same pipeline \
as that of `run` builds a table whose index has it. Then the application is moved over: it stops writing, everything that it wrote \
arrives, and it goes on with the new table as soon as a pointer that it reads names it. At the end every item of both \
tables is compared, with what was written since the switch laid over the old one, and the new index is asked. It takes \
about half a minute.

Needs no AWS account, reads no credentials and contacts nothing but this machine. Changes nothing that outlives it: the \
tables are kept in memory. Settings of the engine, of logs and of the admin port count as for `run`; what is not configured is set \
for a short show. Where the admin port's default address is taken, a free one is used.

Progress goes to stderr: a bar on a terminal, a line a second otherwise, or with NO_COLOR. The outcome goes to stdout.";

const AFTER: &str = "\
Examples:
  shadowtable demo
  shadowtable demo --items 50000 --seconds 60
  shadowtable --log-level info demo                   # with what the pipeline logs

Exit codes: 0 source and shadow are equal; 1 failed, stopped before the comparison, or built without the embedded \
DynamoDB; 2 differences found.";

/// Migrate a made-up table on an embedded DynamoDB
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Demo {
    /// Items in the table at the start, 1 to 200,000
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = value_parser!(u32).range(1..=200_000))]
    pub(super) items: u32,
    /// Seconds for which the application writes, 1 to 300
    #[arg(long, default_value_t = 15, value_name = "N", value_parser = value_parser!(u32).range(1..=300))]
    pub(super) seconds: u32,
}

impl Demo {
    /// Shows it.
    #[cfg(feature = "embedded")]
    pub(in crate::cli) fn run(&self, settings: &DemoSettings) -> ExitCode {
        use crate::cli::ask::failed;
        use crate::cli::{DONE, PARTIAL, output, start};

        start(&settings.log, async {
            match show::run(settings, self).await {
                Ok(report) => {
                    let written = output::data(&report.to_string());
                    let verdict = if report.is_equal() { DONE } else { PARTIAL };
                    if written == ExitCode::from(DONE) { ExitCode::from(verdict) } else { written }
                }
                Err(error) => failed(&error),
            }
        })
    }

    /// Says that this build cannot.
    #[cfg(not(feature = "embedded"))]
    #[expect(clippy::unused_self, reason = "called as where it is built in")]
    pub(in crate::cli) fn run(&self, _: &DemoSettings) -> ExitCode {
        use crate::cli::{FAILED, output::talk};

        talk("error: this build of shadowtable has no embedded DynamoDB, which the demo needs");
        talk("hint: build it with the default features: cargo build --release");
        ExitCode::from(FAILED)
    }
}
