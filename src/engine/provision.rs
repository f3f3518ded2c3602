//! Checks the source and makes the shadow, idempotently.

use std::time::Duration;

use super::entities::TableIdentity;
use super::error::EngineError;
use super::retry::Retry;
use crate::model::{IndexStatus, StreamDescription, TableDescription, TableLayout, TableStatus, ViewType};
use crate::plan::differences;
use crate::ports::{Clock, CreateOptions, Fault, PortError, Ports, Reaction, TableAdmin};

/// How often a table in the making is looked at.
const POLL: Duration = Duration::from_millis(500);

/// The source, fit to be migrated.
#[derive(Clone, Debug)]
pub struct Source {
    /// The table.
    pub table: TableDescription,
    /// Its stream.
    pub stream: StreamDescription,
}

/// The source as it is, with a stream that carries what the transform needs. `enable`: a stream may be enabled where
/// there is none; an existing one is never toggled.
pub async fn check_source<P: Ports>(ports: &P, needs_old_images: bool, enable: bool) -> Result<Source, EngineError> {
    let admin = ports.source_admin();
    let name = admin.name();
    let enable_command = format!(
        "aws dynamodb update-table --table-name {name} --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    );
    let mut asked = false;
    loop {
        let table = find_source(ports.clock(), admin).await?;
        if matches!(table.status, TableStatus::Deleting | TableStatus::Unusable) {
            return Err(EngineError::refused(
                format!("the source table {name} is {:?}", table.status).to_lowercase(),
                "a migration needs a table that can be read; nothing was changed",
            ));
        }
        match &table.stream {
            Some(stream) if needs_old_images && !stream.view.has_old_images() => {
                return Err(EngineError::refused(
                    format!(
                        "the transform changes keys, so the stream of {name} must carry old images, but its view type is {}",
                        stream.view.as_str()
                    ),
                    format!(
                        "a view type cannot be edited: disable the stream (which ends its other consumers) and enable it again: {enable_command}"
                    ),
                ));
            }
            Some(stream) => return Ok(Source { stream: stream.clone(), table }),
            None if enable && !asked => {
                tracing::info!(table = name, "enabling the source's stream with new and old images");
                enable_stream(ports, admin).await?;
                asked = true;
            }
            None if asked => ports.clock().sleep(POLL).await,
            None => {
                return Err(EngineError::refused(
                    format!("the source table {name} has no stream"),
                    format!("let it be enabled with `shadowtable run --enable-stream`, or enable it: {enable_command}"),
                ));
            }
        }
    }
}

/// The source as it is; a missing one is refused.
pub async fn find_source(clock: &impl Clock, admin: &impl TableAdmin) -> Result<TableDescription, EngineError> {
    describe(clock, admin).await?.ok_or_else(|| {
        EngineError::refused(
            format!("the source table {} does not exist", admin.name()),
            "check source.table, source.region and source.endpoint_url",
        )
    })
}

async fn enable_stream<P: Ports>(ports: &P, admin: &P::Admin) -> Result<(), EngineError> {
    let mut retry = Retry::default();
    loop {
        match admin.enable_stream(ViewType::NewAndOldImages).await {
            Err(error) if error.fault.reaction() == Reaction::BackOff => wait(ports.clock(), &mut retry, &error).await,
            // Enabled already: an earlier attempt took effect. What it carries is looked at next.
            Err(error) if matches!(error.fault, Fault::Busy | Fault::Rejected) => return Ok(()),
            other => return Ok(other?),
        }
    }
}

/// The shadow: created if it is not there, complete with all its indexes, and active. One that is there must be the
/// recorded one, or empty, and have the target's layout. Returns its description.
pub async fn provision_shadow<P: Ports>(
    ports: &P,
    target: &TableLayout,
    recorded: Option<&TableIdentity>,
) -> Result<TableDescription, EngineError> {
    let admin = ports.shadow_admin();
    let name = admin.name();
    let mut retry = Retry::default();
    loop {
        let Some(table) = describe(ports.clock(), admin).await? else {
            if let Some(recorded) = recorded {
                return Err(EngineError::refused(
                    format!("the shadow table {name}, recorded as {}, does not exist", recorded.arn),
                    "check shadow.region and shadow.endpoint_url; if it was deleted, start over with `shadowtable reseed`",
                ));
            }
            tracing::info!(table = name, "creating the shadow table");
            match admin.create(target, &CreateOptions::default()).await {
                Ok(()) => {}
                Err(error) if error.fault == Fault::Busy => ports.clock().sleep(POLL).await,
                Err(error) if error.fault.reaction() == Reaction::BackOff => {
                    wait(ports.clock(), &mut retry, &error).await;
                }
                Err(error) if error.fault == Fault::Rejected => {
                    return Err(EngineError::refused(
                        format!("the service refuses the target layout: {}", error.message),
                        "correct the layout file, then run again; nothing was created",
                    ));
                }
                Err(error) => return Err(error.into()),
            }
            continue;
        };
        match table.status {
            TableStatus::Creating | TableStatus::Updating => ports.clock().sleep(POLL).await,
            TableStatus::Active if !indexes_active(&table) => ports.clock().sleep(POLL).await,
            TableStatus::Active => {
                check_shadow(ports, target, recorded, &table).await?;
                return Ok(table);
            }
            TableStatus::Deleting | TableStatus::Unusable => {
                return Err(EngineError::refused(
                    format!("the shadow table {name} is being deleted or cannot be used"),
                    "wait until it is gone, or choose another shadow.table, then run again",
                ));
            }
        }
    }
}

fn indexes_active(table: &TableDescription) -> bool {
    table.index_status.values().all(|status| *status == IndexStatus::Active)
}

async fn check_shadow<P: Ports>(
    ports: &P,
    target: &TableLayout,
    recorded: Option<&TableIdentity>,
    table: &TableDescription,
) -> Result<(), EngineError> {
    let admin = ports.shadow_admin();
    let name = admin.name();
    if let Some(recorded) = recorded {
        same_table("shadow", recorded, table)?;
    }
    let drift: Vec<_> = differences(target, &table.layout).into_iter().filter(|one| !one.is_capacity()).collect();
    if !drift.is_empty() {
        let lines: Vec<_> = drift.iter().map(|difference| format!("  {difference}")).collect();
        return Err(EngineError::refused(
            format!("the shadow table {name} does not have the target's layout:\n{}", lines.join("\n")),
            "delete it or choose another shadow.table; shadowtable creates it with the right layout",
        ));
    }
    if table.stream.is_some() {
        return Err(EngineError::refused(
            format!("the shadow table {name} has a stream enabled"),
            "disable it: the shadow's stream must be off until the switch",
        ));
    }
    let mut retry = Retry::default();
    while recorded.is_none() {
        match admin.is_empty().await {
            Ok(true) => break,
            Ok(false) => {
                return Err(EngineError::refused(
                    format!("the shadow table {name} is neither empty nor the one that this migration recorded"),
                    "choose another shadow.table, or delete this one if nobody needs it",
                ));
            }
            Err(error) if error.fault.reaction() == Reaction::BackOff => wait(ports.clock(), &mut retry, &error).await,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Refuses another region's or account's table, and stops for one that was deleted and created again.
pub fn same_table(role: &str, recorded: &TableIdentity, found: &TableDescription) -> Result<(), EngineError> {
    if recorded.arn != found.arn {
        return Err(EngineError::refused(
            format!("the {role} table is {}, but this migration was begun with {}", found.arn, recorded.arn),
            format!("check {role}.region, {role}.profile, {role}.role_arn and {role}.endpoint_url"),
        ));
    }
    if recorded.table_id != found.table_id {
        return Err(EngineError::Lost(format!(
            "the {role} table {} was deleted and created again: its table id is {}, recorded is {}",
            found.arn, found.table_id, recorded.table_id
        )));
    }
    Ok(())
}

/// The shadow, if it is still the one that was recorded, whatever its layout is by now.
pub async fn same_shadow<P: Ports>(ports: &P, recorded: &TableIdentity) -> Result<TableDescription, EngineError> {
    let admin = ports.shadow_admin();
    let table = describe(ports.clock(), admin).await?.ok_or_else(|| {
        EngineError::Lost(format!("the shadow table {}, recorded as {}, does not exist", admin.name(), recorded.arn))
    })?;
    same_table("shadow", recorded, &table)?;
    Ok(table)
}

/// A table as it is, however often the request must be repeated.
pub async fn describe(clock: &impl Clock, admin: &impl TableAdmin) -> Result<Option<TableDescription>, EngineError> {
    let mut retry = Retry::default();
    loop {
        match admin.describe().await {
            Err(error) if error.fault.reaction() == Reaction::BackOff => wait(clock, &mut retry, &error).await,
            other => return Ok(other?),
        }
    }
}

async fn wait(clock: &impl Clock, retry: &mut Retry, error: &PortError) {
    tracing::warn!(%error, "trying again");
    retry.wait(clock).await;
}
