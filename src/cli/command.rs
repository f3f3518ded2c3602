//! `pause`, `resume`, `abort`, `reseed` and `quarantine`: what operators ask.

use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use serde_json::json;

use super::connect::{Connected, complain, for_migration, host, on_state};
use super::output::{data, pretty, talk};
use super::table::table;
use super::{DONE, FAILED, LeaseVerb, PARTIAL, PauseTarget, QuarantineVerb, start};
use crate::config::{CommandSettings, Settings};
use crate::engine::ApplySettings;
use crate::engine::EngineError;
use crate::engine::LeaseSettings;
use crate::engine::state::entities::{Made, Product, QuarantineRecord};
use crate::model::Place;
use crate::operator::{self, Aborted, OperatorJob, Overview, command};
use crate::protocol::command::{Paused, Verb};
use crate::runtime::Allowed;

/// `pause` and `resume`.
pub(super) fn pause(settings: &CommandSettings, what: Option<PauseTarget>, as_json: bool) -> ExitCode {
    let paused = match what {
        None => Paused::None,
        Some(PauseTarget::Copy) => Paused::Copy,
        Some(PauseTarget::All) => Paused::All,
    };
    ask_as(settings, Verb::Pause { paused }, as_json)
}

/// `abort`.
pub(super) fn abort(settings: &CommandSettings, yes: bool) -> ExitCode {
    let id = settings.migration.as_str();
    if !yes && !confirmed(&format!("End migration {id} for good? Its shadow will no longer be kept in step.")) {
        return ExitCode::from(FAILED);
    }
    start(&settings.log, async {
        let ended = on_state(&settings.state, async |state| {
            Box::pin(operator::abort(&state.ports, id, &operator_job(state.who.clone()))).await
        });
        match ended.await {
            Ok(Aborted::Done(found)) => data(&remains(&found, settings)),
            Ok(Aborted::Refused(why)) => {
                talk(&why);
                ExitCode::from(PARTIAL)
            }
            Err(error) => failed(&error),
        }
    })
}

/// `forget`.
pub(super) fn forget(settings: &CommandSettings, yes: bool) -> ExitCode {
    let id = settings.migration.as_str();
    if !yes && !confirmed(&format!("Remove migration {id} from the state table, its audit trail too?")) {
        return ExitCode::from(FAILED);
    }
    start(&settings.log, async {
        let forgotten = on_state(&settings.state, async |state| {
            Box::pin(operator::forget(&state.ports, id, &operator_job(state.who.clone()))).await
        });
        match forgotten.await {
            Ok(()) => {
                talk(&format!("migration {id} is forgotten"));
                ExitCode::from(DONE)
            }
            Err(error) => failed(&error),
        }
    })
}

/// An operator who takes the lease for a moment.
fn operator_job(who: String) -> OperatorJob {
    let (lease, abandon) = (LeaseSettings::default().duration, ApplySettings::default().abandon);
    OperatorJob { lease, abandon, host: host(), who }
}

/// What an ended migration leaves behind, and the commands that remove it: only what it made itself.
fn remains(found: &Overview, settings: &CommandSettings) -> String {
    let meta = &found.meta;
    let at = |place: &Place, profile: &Option<String>| Place { profile: profile.clone(), ..place.clone() };
    let line = |made: &Made| match (made.what, &made.table_id) {
        (Product::Shadow, Some(id)) => {
            let is_its = meta.tables.shadow.identity.as_ref().is_some_and(|shadow| shadow.table_id == *id);
            let what = if is_its { "the shadow table: " } else { "an earlier shadow:" };
            format!(
                "  {what} {}\n                     (while its table id is {id}: another of this name is not this migration's)\n",
                at(&made.place, &settings.profiles.shadow).command("delete-table")
            )
        }
        (Product::Shadow, None) => {
            format!("  a table {} may have been made, and was never used: look before you delete it.\n", made.place)
        }
        (Product::Stream, _) => format!(
            "  the stream:        {} --stream-specification StreamEnabled=false\n                     (this migration \
                 enabled it; somebody else may read it by now)\n",
            at(&made.place, &settings.profiles.source).command("update-table")
        ),
    };
    let found_there = meta.tables.shadow.identity.as_ref().filter(|shadow| !meta.has_made(shadow)).map(|shadow| {
        format!(
            "  the shadow table {} was there before the migration, empty; what was copied is in it. It is yours to keep or \
             to delete.\n",
            shadow.place
        )
    });
    let nothing = (meta.tables.shadow.identity.is_none() && meta.made.iter().all(|made| made.what != Product::Shadow))
        .then(|| "  no table was made.\n".to_owned());
    let lines: String = found_there.into_iter().chain(nothing).chain(meta.made.iter().map(line)).collect();
    format!(
        "migration {id} is aborted. Nothing was deleted. What remains of it, and the command that removes it:\n{lines}\
         \x20 its state:         shadowtable --migration {id} forget\n                     (it is the record of what was \
         done, and costs next to nothing)\n",
        id = meta.migration
    )
}

/// `reseed`.
pub(super) fn reseed(settings: &Settings, yes: bool, delete_shadow: bool) -> ExitCode {
    let question = if delete_shadow {
        format!("Delete {} with everything in it, and copy again from the beginning?", settings.shadow.table)
    } else {
        format!("Forget all progress of {} and copy again into {}?", settings.migration, settings.shadow.table)
    };
    if !yes && !confirmed(&question) {
        return ExitCode::from(FAILED);
    }
    start(&settings.log, async {
        let done = async {
            let Connected { ports, job, places } = for_migration(settings, Allowed::default()).await?;
            Box::pin(operator::reseed(&ports, &job, delete_shadow)).await.map_err(|error| error.located(&places))
        };
        match done.await {
            Ok(()) => data("the migration is planned anew: `shadowtable run` provisions the shadow and copies again\n"),
            Err(error) => failed(&error),
        }
    })
}

/// `lease release`.
pub(super) fn lease(settings: &CommandSettings, verb: LeaseVerb) -> ExitCode {
    let LeaseVerb::Release { force, yes } = verb;
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

/// `quarantine`.
pub(super) fn quarantine(settings: &CommandSettings, verb: &QuarantineVerb) -> ExitCode {
    match verb {
        QuarantineVerb::Retry(args) => {
            ask(settings, Verb::Retry { ids: if args.all { Vec::new() } else { args.ids.clone() } })
        }
        QuarantineVerb::List { json } => show(settings, *json, None, rows),
        QuarantineVerb::Show { id, json } => {
            show(settings, *json, Some(id.as_str()), |found| found.iter().map(detail).collect())
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

/// Asks the active process.
pub(super) fn ask(settings: &CommandSettings, verb: Verb) -> ExitCode {
    ask_as(settings, verb, false)
}

fn ask_as(settings: &CommandSettings, verb: Verb, as_json: bool) -> ExitCode {
    start(&settings.log, async {
        let answer = on_state(&settings.state, async |state| {
            command(&*state.ports, settings.migration.as_str(), &state.who, verb).await
        });
        match answer.await {
            Ok(answer) => {
                if as_json {
                    let _ = data(&pretty(&json!({ "done": answer.done, "message": answer.message })));
                } else {
                    talk(&answer.message);
                }
                ExitCode::from(if answer.done { DONE } else { PARTIAL })
            }
            Err(error) => failed(&error),
        }
    })
}

pub(super) fn failed(error: &EngineError) -> ExitCode {
    complain(error);
    ExitCode::from(FAILED)
}

/// Asks a person. Without a terminal nobody can answer, and that is a no.
pub(super) fn confirmed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        talk(&format!("{question}\nhint: there is no terminal to ask on; say --yes"));
        return false;
    }
    talk(&format!("{question} [y/N]"));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}
