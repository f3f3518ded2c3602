//! `list` and `status`: what the state table says.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::connect::{complain, for_state};
use super::output::data;
use super::table::{span, table};
use super::{FAILED, start};
use crate::config::{CommandSettings, StateSettings};
use crate::engine::EngineError;
use crate::model::Timestamp;
use crate::ports::{Clock, Ports};
use crate::runtime::Status;
use crate::runtime::operator::{Overview, migrations, overview};

/// How old the holder's figures may be, in seconds, until they are called old.
const FRESH_SECONDS: f64 = 15.0;

/// `list`.
pub(super) fn list(settings: &StateSettings, as_json: bool) -> ExitCode {
    start(&settings.log, async {
        finish(
            async {
                let ports = for_state(&settings.state).await?;
                let mut found = Vec::new();
                for migration in migrations(&*ports).await? {
                    // One that was entered and never planned has nothing to show yet.
                    found.extend(overview(&*ports, &migration).await?);
                }
                Ok(if as_json { pretty(&json!(found.iter().map(summary).collect::<Vec<_>>())) } else { rows(&found) })
            }
            .await,
        )
    })
}

/// `status`.
pub(super) fn status(settings: &CommandSettings, as_json: bool) -> ExitCode {
    start(&settings.log, async {
        finish(
            async {
                let ports = for_state(&settings.state).await?;
                let id = settings.migration.as_str();
                let found = overview(&*ports, id).await?.ok_or_else(|| {
                    EngineError::refused(
                        format!("the state table {} knows no migration {id}", settings.state.table),
                        "see `shadowtable list`; `shadowtable run` begins one",
                    )
                })?;
                let now = ports.clock().service();
                Ok(if as_json { pretty(&document(&found, now)) } else { lines(&found, now) })
            }
            .await,
        )
    })
}

fn finish(told: Result<String, EngineError>) -> ExitCode {
    match told {
        Ok(text) => data(&text),
        Err(error) => {
            complain(&error);
            ExitCode::from(FAILED)
        }
    }
}

pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn summary(found: &Overview) -> Value {
    let meta = &found.meta;
    json!({
        "migration": meta.migration,
        "phase": meta.phase,
        "source_table": meta.source_table,
        "shadow_table": meta.shadow_table,
        "created": meta.created.to_string(),
        "paused": meta.paused,
        "holder": holder(found).map(|(owner, _)| owner),
    })
}

fn rows(found: &[Overview]) -> String {
    let row = |one: &Overview| {
        let holder = holder(one).map_or_else(|| "nobody".to_owned(), |(_, host)| host);
        let meta = &one.meta;
        [meta.migration.clone(), meta.phase.to_string(), meta.source_table.clone(), meta.shadow_table.clone(), holder]
    };
    table(["MIGRATION", "PHASE", "SOURCE", "SHADOW", "RUN BY"], found.iter().map(row))
}

/// Who holds the lease as far as one look tells, and where.
fn holder(found: &Overview) -> Option<(String, String)> {
    found.lease.as_ref().filter(|lease| !lease.released).map(|lease| (lease.owner.clone(), lease.host.clone()))
}

/// The document of the admin port as the holder last wrote it, with what is durable laid over it.
fn document(found: &Overview, now: Timestamp) -> Value {
    let meta = &found.meta;
    let mut document = match &found.live {
        Some((_, status)) => serde_json::to_value(status).unwrap_or_default(),
        None => json!({ "schema": crate::runtime::STATUS_SCHEMA }),
    };
    if let Some(object) = document.as_object_mut() {
        object.insert("migration".into(), json!(meta.migration));
        object.insert("phase".into(), json!(meta.phase));
        object.insert("reason".into(), json!(meta.reason));
        object.insert("source_table".into(), json!(meta.source_table));
        object.insert("shadow_table".into(), json!(meta.shadow_table));
        object.insert("paused".into(), json!(meta.paused));
        object.insert("postponed".into(), json!(meta.postponed));
        object.insert("cutover".into(), json!(meta.cutover));
        object.insert("age_seconds".into(), json!(found.live.as_ref().map(|(at, _)| now.since(*at).as_secs_f64())));
        object
            .insert("holder".into(), json!(holder(found).map(|(owner, host)| json!({ "owner": owner, "host": host }))));
    }
    document
}

fn lines(found: &Overview, now: Timestamp) -> String {
    let meta = &found.meta;
    let mut rows = vec![
        ("migration", meta.migration.clone()),
        ("phase", meta.reason.as_ref().map_or_else(|| meta.phase.to_string(), |why| format!("{} ({why})", meta.phase))),
        ("source", meta.source_table.clone()),
        ("shadow", meta.shadow_table.clone()),
        ("paused", meta.paused.as_str().to_owned()),
        ("run by", holder(found).map_or_else(|| "nobody".to_owned(), |(owner, host)| format!("{host} ({owner})"))),
    ];
    if let Some(cutover) = &meta.cutover {
        let trouble = cutover.trouble.as_ref().map_or_else(String::new, |trouble| format!(": {trouble}"));
        rows.push(("cutover", format!("{}, asked for from {}{trouble}", cutover.begun, cutover.by)));
    }
    if meta.phase.may_be_fenced() {
        rows.push(("source", "MAY BE FENCED".to_owned()));
    }
    if meta.postponed {
        rows.push(("postponed", "no cutover begins until `shadowtable postpone --off`".to_owned()));
    }
    if let Some((at, status)) = &found.live {
        let age = now.since(*at).as_secs_f64();
        let old = if age > FRESH_SECONDS { ": nobody refreshes them" } else { "" };
        rows.push(("figures", format!("{} old{old}", span(age))));
        rows.extend(figures(status));
    }
    rows.iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<11}{value}\n"))
}

fn figures(status: &Status) -> Vec<(&'static str, String)> {
    let seconds = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), span);
    let (copy, tail) = (&status.copy, &status.tail);
    vec![
        ("lag", seconds(status.lag_seconds)),
        ("headroom", seconds(status.headroom_seconds)),
        ("last poll", seconds(status.since_poll_seconds)),
        (
            "copy",
            format!(
                "{:.1} %, {} items, {} of {} segments",
                copy.ratio * 100.0,
                copy.items,
                copy.segments_done,
                copy.segments
            ),
        ),
        (
            "shards",
            format!("{} open, {} waiting, {} finished", tail.shards_open, tail.shards_waiting, tail.shards_finished),
        ),
        ("pending", format!("{} writes, {} in flight", status.apply.pending, status.apply.in_flight)),
        ("quarantine", format!("{} items", status.quarantine)),
    ]
}
