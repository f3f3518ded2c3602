//! `quarantine list`, `show` and `retry`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::ask::{ask, failed};
use crate::cli::connect::on_state;
use crate::cli::output::{data, pretty, talk};
use crate::cli::table::table;
use crate::cli::{DONE, FAILED, start};
use crate::config::CommandSettings;
use crate::engine::state::entities::QuarantineRecord;
use crate::operator;
use crate::protocol::command::Verb;

const ABOUT: &str = "\
See and retry the items that the shadow refuses for good: a wrong key type for a new index, an item too large, a \
shadow key that another item has.

Each is kept in the state table with its key and the reason, while the migration goes on. Beyond apply.quarantine_limit \
the migration stops.

Changes: `list` and `show` nothing; `retry` offers items to the shadow again.";

const AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml quarantine list
  shadowtable -c shadowtable.toml quarantine retry --all

Exit codes: see each verb's --help.";

/// See and retry the changes that the shadow refuses
#[derive(Args, Clone, Debug)]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct Quarantine {
    /// What to do with them.
    #[command(subcommand)]
    verb: QuarantineVerb,
}

const LIST_ABOUT: &str = "\
List the items in quarantine, with keys and reasons.

Changes nothing.";

const LIST_AFTER: &str = "\
Example:
  shadowtable -c shadowtable.toml quarantine list --json

Exit codes: 0 listed; 1 failed.";

const SHOW_ABOUT: &str = "\
Show one item in quarantine.

Changes nothing.";

const SHOW_AFTER: &str = "\
Example:
  shadowtable -c shadowtable.toml quarantine show 3f9a1c

Exit codes: 0 shown; 1 failed, or there is no such id.";

const RETRY_ABOUT: &str = "\
Read items again from the source (consistently) and offer them to the shadow.

Changes: what the shadow takes now leaves the quarantine; what it refuses again stays there. The active process does it \
after this command has answered: look at `quarantine list` a moment later.";

const RETRY_AFTER: &str = "\
Examples:
  shadowtable -c shadowtable.toml quarantine retry 3f9a1c 77b002
  shadowtable -c shadowtable.toml quarantine retry --all

Exit codes: 0 they are being read again; 1 failed, or no process holds the lease; 2 nothing in quarantine has such an id.";

/// What to do with what is in quarantine.
#[derive(Clone, Debug, Subcommand)]
enum QuarantineVerb {
    /// List the changes in quarantine, with keys and reasons
    #[command(long_about = LIST_ABOUT, after_long_help = LIST_AFTER)]
    List {
        /// JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Show one change in quarantine
    #[command(long_about = SHOW_ABOUT, after_long_help = SHOW_AFTER)]
    Show {
        /// Its id, as `quarantine list` shows it
        id: String,
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Read items again from the source and offer them to the shadow
    #[command(long_about = RETRY_ABOUT, after_long_help = RETRY_AFTER)]
    Retry(RetryArgs),
}

/// `quarantine retry`.
#[derive(Args, Clone, Debug)]
struct RetryArgs {
    /// Their ids, as `quarantine list` shows them
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    ids: Vec<String>,
    /// Everything in quarantine
    #[arg(long)]
    all: bool,
}

impl Quarantine {
    /// Does what the verb asks.
    pub(in crate::cli) fn run(&self, settings: &CommandSettings) -> ExitCode {
        match &self.verb {
            QuarantineVerb::Retry(args) => {
                ask(settings, Verb::Retry { ids: if args.all { Vec::new() } else { args.ids.clone() } })
            }
            QuarantineVerb::List { json } => show(settings, *json, None, rows),
            QuarantineVerb::Show { id, json } => {
                show(settings, *json, Some(id.as_str()), |found| found.iter().map(detail).collect())
            }
        }
    }
}

fn show(
    settings: &CommandSettings,
    as_json: bool,
    id: Option<&str>,
    text: impl Fn(&[QuarantineRecord]) -> String,
) -> ExitCode {
    start(&settings.log, async {
        let found = on_state(&settings.state, async |state| {
            operator::quarantine(&*state.ports, settings.migration.as_str()).await
        });
        match found.await {
            Ok(mut found) => {
                found.retain(|record| id.is_none_or(|id| record.id == id));
                if let (Some(id), true) = (id, found.is_empty()) {
                    talk(&format!(
                        "error: nothing in quarantine has the id {id}\nhint: see `shadowtable quarantine list`"
                    ));
                    return ExitCode::from(FAILED);
                }
                if found.is_empty() && !as_json {
                    talk("nothing is in quarantine");
                    return ExitCode::from(DONE);
                }
                data(&if as_json {
                    pretty(&json!(found.iter().map(document).collect::<Vec<_>>()))
                } else {
                    text(&found)
                })
            }
            Err(error) => failed(&error),
        }
    })
}

fn document(record: &QuarantineRecord) -> serde_json::Value {
    json!({
        "id": record.id,
        "source_key": record.keys.source,
        "shadow_key": record.keys.shadow,
        "reason": record.reason,
        "message": record.message,
        "since": record.since.to_string(),
    })
}

fn rows(found: &[QuarantineRecord]) -> String {
    let row = |record: &QuarantineRecord| {
        [
            record.id.clone(),
            record.reason.as_str().into(),
            record.since.to_string(),
            key_or(record.keys.source.as_ref(), "none"),
            record.message.clone(),
        ]
    };
    table(["ID", "REASON", "SINCE", "SOURCE KEY", "MESSAGE"], found.iter().map(row))
}

fn detail(record: &QuarantineRecord) -> String {
    format!(
        "id          {}\nreason      {}\nmessage     {}\nsince       {}\nsource key  {}\nshadow key  {}\n",
        record.id,
        record.reason.as_str(),
        record.message,
        record.since,
        key_or(record.keys.source.as_ref(), NO_KEY),
        key_or(record.keys.shadow.as_ref(), NO_KEY),
    )
}

const NO_KEY: &str = "none: the transform makes none";

fn key_or(key: Option<&serde_json::Value>, none: &str) -> String {
    key.map_or_else(|| none.to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    #[test]
    fn retry_takes_ids_or_all() {
        let is_taken = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
        assert!(is_taken("shadowtable quarantine retry a b"));
        assert!(is_taken("shadowtable quarantine retry --all"));
        assert!(!is_taken("shadowtable quarantine retry"));
        assert!(!is_taken("shadowtable quarantine retry a --all"));
    }
}
