//! `lease release`.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::ask::{confirmed, failed};
use crate::cli::connect::on_state;
use crate::cli::output::talk;
use crate::cli::{DONE, FAILED, start};
use crate::config::CommandSettings;
use crate::operator;

const ABOUT: &str = "\
Give back the lease of a holder that is known to be dead, so that a standby, or the next `run`, takes it at once. Without \
this, it waits until the lease has run out (lease.duration_seconds, 15 s).

It is refused while the holder renews its lease. A holder that is only suspended, or cut off from the state table, does \
not: if it comes back, two processes write, and data may be lost. Be certain that it is dead.

Changes: the state table.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml lease release --force

Exit codes: 0 given back; 1 failed, or the holder is alive.";

/// Take the lease from a holder that is dead
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Lease {
    /// What to do with it.
    #[command(subcommand)]
    verb: LeaseVerb,
}

/// What to do with a lease.
#[derive(Clone, Copy, Debug, Subcommand)]
enum LeaseVerb {
    /// Give back the lease of a holder that is known to be dead
    #[command(long_about = ABOUT, after_long_help = AFTER)]
    Release {
        /// It is known to be dead
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Lease {
    /// Gives it back.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        let LeaseVerb::Release { force, yes } = self.verb;
        if !force {
            talk(
                "error: a lease is taken from its holder only by force\nhint: a dead holder's lease runs out by itself; --force does not wait for that",
            );
            return ExitCode::from(FAILED);
        }
        let question = "Is the process that holds the lease dead for certain? Two that write would lose data.";
        if !yes && !confirmed(question) {
            return ExitCode::from(FAILED);
        }
        start(&settings.log, async {
            let released = on_state(&settings.state, async |state| {
                operator::release_lease(&*state.ports, settings.migration.as_str(), &state.who).await
            });
            match released.await {
                Ok(record) => {
                    talk(&format!("the lease of {} on {} is given back", record.owner, record.host));
                    ExitCode::from(DONE)
                }
                Err(error) => failed(&error),
            }
        })
    }
}
